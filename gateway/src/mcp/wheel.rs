//! The keep-alive wheel: every idle stream of the process on one timer, outside of hyper.
//!
//! A stream that only waits costs its socket and one entry here (`design.md` section 4). The wheel turns
//! in [`SLOTS`] ticks per keep-alive interval. On each tick it notices the clients that are gone, and writes a
//! comment to the streams whose turn it is, so that the work spreads evenly over the interval.

mod drain;
mod ended;
mod entry;
mod flapping;
mod holds;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use slab::Slab;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::clock::Clock;
use crate::id;
use crate::lifecycle::Lifecycle;
use crate::mcp::sse;
use crate::mcp::standalone::ListVersion;
use crate::session::directory::SessionKey;
pub(in crate::mcp) use drain::Leaving;
pub(in crate::mcp) use ended::AWAITED_FOR;
use ended::Ended;
use entry::Entry;
pub use entry::Framing;
use flapping::Flapping;
pub use holds::Hold;
use holds::Holds;
pub use stream::{CloseReason, IdleStream, Return, StreamKind};

/// Ticks per keep-alive interval: with 15 s, a client's close is noticed within one second.
const SLOTS: usize = 15;
/// Idle streams of one session; one more replaces the oldest. No client opens more than a handful.
const MAX_PER_SESSION: usize = 128;
/// Streams that are written to without letting others in between.
const BATCH: usize = 256;
/// The notification about a changed tool list.
pub(super) const LIST_CHANGED: &str = "notifications/tools/list_changed";
/// The shortest `retry:` of a stream that ends in a drain, and how much longer it may be, so that not all clients come
/// back at once. Clients try twice: the second attempt is at least four seconds after the end, and a load balancer that
/// was told before the signal sends even the first one elsewhere. A client is to be back within five seconds.
const COME_BACK: Duration = Duration::from_secs(2);
const COME_BACK_JITTER: Duration = Duration::from_secs(1);
/// The same on HTTP+SSE, whose clients try for ever as long as the answer is 200, and lose what they call while they
/// have no stream.
const COME_BACK_HTTP_SSE: Duration = Duration::from_millis(500);

/// Numbers for `/health` and `/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WheelStats {
    /// Streams open now.
    pub streams: usize,
    /// Age of the oldest one.
    pub oldest: Duration,
    /// Mean age.
    pub average: Duration,
}

/// Whatever counts the connection; dropped with it.
pub type Place = Box<dyn Send + Sync>;

struct Inner {
    streams: Slab<Entry>,
    by_session: HashMap<SessionKey, Vec<usize>>,
    /// What is at work whose answers go out on a stream here.
    holds: Holds,
    /// Streams whose clients may be on their way back.
    ended: Ended,
    /// The grants of streams that are about to end.
    leaving: HashSet<Arc<str>>,
    flapping: Flapping,
    tick: usize,
    draining: bool,
}

/// Holds every idle stream. Shared by all connections.
pub struct Wheel {
    inner: Mutex<Inner>,
    lifecycle: Lifecycle,
    interval: Duration,
    clock: Clock,
}

impl std::fmt::Debug for Wheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel")
            .field("streams", &self.lock().streams.len())
            .finish_non_exhaustive()
    }
}

impl Wheel {
    /// A wheel that writes a comment to every stream once per `interval`, and starts to turn.
    pub fn start(interval: Duration, clock: Clock, lifecycle: &Lifecycle) -> Arc<Self> {
        let inner = Inner {
            streams: Slab::new(),
            by_session: HashMap::new(),
            holds: Holds::default(),
            ended: Ended::default(),
            leaving: HashSet::new(),
            flapping: Flapping::new(interval),
            tick: 0,
            draining: false,
        };
        let wheel = Arc::new(Self {
            inner: Mutex::new(inner),
            lifecycle: lifecycle.clone(),
            interval,
            clock,
        });
        let turning = Arc::clone(&wheel);
        lifecycle.spawn_loop(async move {
            let mut ticks = ticks(turning.interval);
            loop {
                ticks.tick().await;
                turning.tick();
            }
        });
        wheel
    }

    /// Takes a connection over: writes `head` (the response head), a first comment and the stream's first
    /// events, and keeps the stream until one side ends it. Gives the untouched connection back once the
    /// process is stopping.
    pub fn adopt(
        self: &Arc<Self>,
        socket: TcpStream,
        (head, framing): (&[u8], Framing),
        stream: IdleStream,
        place: Place,
    ) -> Result<(), TcpStream> {
        let mut inner = self.lock();
        if inner.draining {
            return Err(socket);
        }
        let session = stream.session;
        let wait = inner.flapping.begins(session, &stream.kind);
        let mut start = head.to_vec();
        start.extend_from_slice(&framing.frame(&[sse::KEEP_ALIVE, &stream.first, &wait].concat()));
        let slot = inner.tick % SLOTS;
        let mut entry = Entry::new(socket, framing, slot, stream, place);
        entry.slowed = !wait.is_empty();
        tracing::info!(session = %session.text(), "SSE stream initiated");
        if entry.kind.is_http_sse() {
            inner.ended.begins(&entry.grant);
        }
        let key = inner.streams.insert(entry);
        let of_session = inner.by_session.entry(session).or_default();
        of_session.push(key);
        if of_session.len() > MAX_PER_SESSION {
            let oldest = of_session.remove(0);
            close(&mut inner, oldest, CloseReason::Replaced);
        }
        self.put(&mut inner, key, start.into());
        Ok(())
    }

    /// Sends events on the newest stream of a session (a message goes on exactly one) that its client has not closed.
    /// `false`: it has none here.
    pub fn send(self: &Arc<Self>, session: SessionKey, events: &[u8]) -> bool {
        let mut inner = self.lock();
        loop {
            let keys = inner.by_session.get(&session);
            let Some(key) = keys.and_then(|keys| keys.last().copied()) else {
                return false;
            };
            if let Some(reason) = inner.streams.get(key).and_then(Entry::end_seen) {
                close(&mut inner, key, reason);
                continue;
            }
            self.write(&mut inner, key, events);
            return inner.streams.contains(key);
        }
    }

    /// Tells every client with a stream here that the tool list changed: sessions on their newest stream, listens that
    /// asked for it. Returns how many were told.
    pub async fn tell_list_changed(self: &Arc<Self>, version: ListVersion) -> usize {
        let plain = version.list_changed();
        let sessions: Vec<SessionKey> = self.lock().by_session.keys().copied().collect();
        let mut told = 0;
        for batch in sessions.chunks(BATCH) {
            told += self.tell_batch(batch, &plain);
            // Thousands of writes: calls come first.
            tokio::task::yield_now().await;
        }
        told
    }

    fn tell_batch(self: &Arc<Self>, sessions: &[SessionKey], plain: &Bytes) -> usize {
        let mut inner = self.lock();
        let mut told = 0;
        for session in sessions {
            let newest = inner
                .by_session
                .get(session)
                .and_then(|keys| keys.last().copied());
            let Some((key, entry)) = newest.and_then(|key| Some((key, inner.streams.get(key)?))) else {
                continue;
            };
            let event = match &entry.kind {
                StreamKind::Standalone | StreamKind::HttpSse { .. } => plain.clone(),
                StreamKind::Listen {
                    list_changed: Some(event),
                    ..
                } => sse::message(event),
                StreamKind::Listen { .. } => continue,
            };
            self.write(&mut inner, key, &event);
            told += 1;
        }
        told
    }

    /// Whether a session has a stream here.
    pub fn carries(&self, session: SessionKey) -> bool {
        self.lock().by_session.contains_key(&session)
    }

    /// Ends all streams of a session that was deleted. `false`: it has none here.
    pub fn close_session(self: &Arc<Self>, session: SessionKey) -> bool {
        self.finish_session(&mut self.lock(), session, CloseReason::SessionEnded)
    }

    fn finish_session(self: &Arc<Self>, inner: &mut Inner, session: SessionKey, reason: CloseReason) -> bool {
        let keys = inner.by_session.get(&session).cloned().unwrap_or_default();
        for key in &keys {
            self.finish(inner, *key, reason);
        }
        !keys.is_empty()
    }

    /// Ends the streams that were opened under a grant that is denied now. How many there were.
    pub fn end_denied(self: &Arc<Self>, is_denied: impl Fn(&str) -> bool) -> usize {
        self.finish_all(&mut self.lock(), CloseReason::Revoked, |entry, _| {
            is_denied(&entry.grant)
        })
    }

    /// Ends the streams that are to end; how many there were.
    fn finish_all(
        self: &Arc<Self>,
        inner: &mut Inner,
        reason: CloseReason,
        ends: impl Fn(&Entry, &Holds) -> bool,
    ) -> usize {
        let streams = inner.streams.iter();
        let keys: Vec<usize> = streams
            .filter_map(|(key, entry)| ends(entry, &inner.holds).then_some(key))
            .collect();
        for key in &keys {
            self.finish(inner, *key, reason);
        }
        keys.len()
    }

    /// Tells a client when to connect again, each another time.
    pub fn come_back(&self, to: Return) -> Bytes {
        let (least, jitter) = match to {
            Return::Streamable => (COME_BACK, COME_BACK_JITTER),
            Return::HttpSse => (COME_BACK_HTTP_SSE, COME_BACK_HTTP_SSE),
        };
        let [high, low] = id::random::<2>();
        let part = u32::from(u16::from_be_bytes([high, low]));
        let designed = least + jitter * part / u32::from(u16::MAX);
        sse::retry(self.clock.interval(designed))
    }

    /// Numbers for people.
    pub fn stats(&self) -> WheelStats {
        let inner = self.lock();
        let ages = inner.streams.iter().map(|(_, entry)| entry.opened.elapsed());
        let (oldest, sum) = ages.fold((Duration::ZERO, Duration::ZERO), |(oldest, sum), age| {
            (oldest.max(age), sum + age)
        });
        let streams = inner.streams.len();
        let average = u32::try_from(streams)
            .ok()
            .filter(|n| *n > 0)
            .map_or(Duration::ZERO, |n| sum / n);
        WheelStats {
            streams,
            oldest,
            average,
        }
    }

    /// One turn by one slot.
    fn tick(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.tick = inner.tick.wrapping_add(1);
        let due = inner.tick % SLOTS;
        let mut ended = Vec::new();
        let mut comments = Vec::new();
        let Inner {
            streams, flapping, ..
        } = &mut *inner;
        for (key, entry) in streams {
            if let Some(reason) = entry.end_seen() {
                ended.push((key, reason));
            } else if entry.slot == due && !entry.waits() {
                let relieved = entry.slowed && flapping.lives(entry.opened.elapsed());
                entry.slowed &= !relieved;
                comments.push((key, relieved.then(|| flapping::relief(&entry.kind))));
            }
        }
        for (key, reason) in ended {
            close(&mut inner, key, reason);
        }
        for (key, relief) in comments {
            self.write(&mut inner, key, relief.as_deref().unwrap_or(sse::KEEP_ALIVE));
        }
        if due == 0 {
            inner.flapping.forget(Instant::now());
            inner.ended.forget(Instant::now());
        }
    }

    /// Sends events on a stream.
    fn write(self: &Arc<Self>, inner: &mut Inner, key: usize, events: &[u8]) {
        if let Some(entry) = inner.streams.get(key) {
            let data = entry.framing.frame(events);
            self.put(inner, key, data);
        }
    }

    /// Writes now what the socket takes, and leaves the rest to a task that lives until it is written.
    fn put(self: &Arc<Self>, inner: &mut Inner, key: usize, data: Bytes) {
        let Some(entry) = inner.streams.get_mut(key) else {
            return;
        };
        let had_outbox = entry.waits();
        match entry.push(data) {
            Err(reason) => close(inner, key, reason),
            Ok(()) if entry.waits() && !had_outbox => {
                let (wheel, socket) = (Arc::clone(self), Arc::clone(&entry.socket));
                self.lifecycle
                    .spawn(async move { wheel.flush(key, socket).await });
            }
            Ok(()) => {}
        }
    }

    /// Empties the outbox of one stream as fast as its reader reads.
    async fn flush(self: Arc<Self>, key: usize, socket: Arc<TcpStream>) {
        loop {
            let ready = tokio::select! {
                ready = socket.writable() => ready,
                () = self.lifecycle.hard().cancelled() => return,
                // The tick decides whether a stalled stream goes on; this task only has to look again.
                () = tokio::time::sleep(entry::MAX_STALL) => Ok(()),
            };
            let mut inner = self.lock();
            let Some(entry) = inner
                .streams
                .get_mut(key)
                .filter(|entry| Arc::ptr_eq(&entry.socket, &socket))
            else {
                return;
            };
            if ready.is_err() {
                return close(&mut inner, key, CloseReason::Transport);
            }
            match (entry.flush(), entry.ending) {
                (Ok(()), _) if entry.waits() => {}
                (Ok(()), None) => return,
                (Err(reason), _) | (Ok(()), Some(reason)) => return close(&mut inner, key, reason),
            }
        }
    }

    /// Says good-bye as the stream's kind asks for, then closes it; a reader that is behind gets its rest first.
    fn finish(self: &Arc<Self>, inner: &mut Inner, key: usize, reason: CloseReason) {
        let Some(entry) = inner.streams.get_mut(key) else {
            return;
        };
        if entry.ending.is_some() {
            return;
        }
        let farewell = match &entry.kind {
            StreamKind::Listen { result, .. } => sse::message(result),
            StreamKind::Standalone => self.come_back(Return::Streamable),
            StreamKind::HttpSse { .. } => self.come_back(Return::HttpSse),
        };
        entry.ending = Some(reason);
        let data = entry.framing.last(&farewell);
        detach(inner, key, reason);
        self.put(inner, key, data);
        if inner.streams.get(key).is_some_and(|entry| !entry.waits()) {
            close(inner, key, reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The data stays consistent even if a holder panicked: every change is a single step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tick per slot. Those that come late are made up for, or a stream would get its comment later than it was promised.
fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval / u32::try_from(SLOTS).unwrap_or(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// From now on no message goes out on the stream.
fn detach(inner: &mut Inner, key: usize, reason: CloseReason) {
    let Some(entry) = inner.streams.get(key) else {
        return;
    };
    let Some(keys) = inner.by_session.get_mut(&entry.session) else {
        return;
    };
    keys.retain(|other| *other != key);
    if keys.is_empty() {
        inner.by_session.remove(&entry.session);
        if entry.kind.is_http_sse() {
            inner
                .ended
                .note(entry.session, &entry.grant, reason, Instant::now());
        }
    }
}

/// Forgets a stream and closes its connection. Every end of a stream passes here, and is logged.
fn close(inner: &mut Inner, key: usize, reason: CloseReason) {
    detach(inner, key, reason);
    let Some(entry) = inner.streams.try_remove(key) else {
        return;
    };
    if entry.waits() {
        // A task waits for the reader and shares the socket. This wakes it, and ends the connection now.
        let _ = SockRef::from(&*entry.socket).shutdown(Shutdown::Both);
    }
    let age = entry.opened.elapsed();
    if matches!(
        reason,
        CloseReason::Client | CloseReason::Transport | CloseReason::SlowReader
    ) {
        inner.flapping.ended(entry.session, &entry.kind, age);
    }
    let seconds = age.as_secs();
    let session = entry.session.text();
    tracing::info!(%session, reason = reason.as_str(), seconds, "stream disconnected after {seconds}s");
}
