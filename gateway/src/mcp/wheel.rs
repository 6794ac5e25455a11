//! The keep-alive wheel: every idle stream of the process on one timer, outside of hyper.
//!
//! A stream that only waits costs its socket and one entry here (`design.md` section 4). The wheel turns
//! in [`SLOTS`] ticks per keep-alive interval. On each tick it notices the clients that are gone, and writes a
//! comment to the streams whose turn it is, so that the work spreads evenly over the interval.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use slab::Slab;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::id;
use crate::lifecycle::Lifecycle;
use crate::mcp::sse;
use crate::mcp::standalone::ListVersion;
use crate::session::directory::SessionKey;

/// Ticks per keep-alive interval: with 15 s, a client's close is noticed within one second.
const SLOTS: usize = 15;
/// Bytes that may wait for a slow reader before its stream is cut. The largest tool result fits twice.
const MAX_OUTBOX: usize = 4 << 20;
/// How long a reader may take none of the bytes that wait for it.
const MAX_STALL: Duration = Duration::from_mins(1);
/// Idle streams of one session; one more replaces the oldest. No client opens more than a handful.
const MAX_PER_SESSION: usize = 128;
/// Streams that are written to without letting others in between.
const BATCH: usize = 256;
/// The notification about a changed tool list.
pub(super) const LIST_CHANGED: &str = "notifications/tools/list_changed";
/// Base of the `retry:` sent when a stream ends in a drain. Clients try twice, so that two waits have
/// to span the time until a healthy task answers.
const DRAIN_RETRY: Duration = Duration::from_secs(1);

/// What an idle stream is for.
#[derive(Debug)]
pub enum StreamKind {
    /// The GET stream of a legacy session (Streamable HTTP).
    Standalone,
    /// The GET stream of the deprecated HTTP+SSE transport: it carries all answers.
    HttpSse,
    /// `subscriptions/listen` (2026-07-28). The result message that ends it.
    Listen {
        /// The JSON-RPC response.
        result: Box<[u8]>,
        /// What tells of a changed tool list; `None`: the client did not ask for it.
        list_changed: Option<Box<[u8]>>,
    },
}

/// A stream that the connection loop hands over.
#[derive(Debug)]
pub struct IdleStream {
    /// What it is for.
    pub kind: StreamKind,
    /// Whose it is.
    pub session: SessionKey,
    /// Sent right after the response head: complete events.
    pub first: Bytes,
}

/// Why a stream ended, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed the connection.
    Client,
    /// The kernel reported an error: reset, or no acknowledgement for too long.
    Transport,
    /// The client did not read what waits for it.
    SlowReader,
    /// A newer stream of the same session took its place.
    Replaced,
    /// The process is stopping.
    Drain,
}

impl CloseReason {
    /// The word in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Transport => "transport",
            Self::SlowReader => "slow_reader",
            Self::Replaced => "replaced",
            Self::Drain => "drain",
        }
    }
}

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

struct Entry {
    socket: Arc<TcpStream>,
    session: SessionKey,
    kind: StreamKind,
    opened: Instant,
    slot: usize,
    outbox: Option<Box<Outbox>>,
    /// Gives the connection's place back when the stream ends.
    _place: Place,
}

/// Whatever counts the connection; dropped with it.
pub type Place = Box<dyn Send + Sync>;

/// Bytes that the socket did not take yet. Exists only while there are any.
struct Outbox {
    queue: VecDeque<Bytes>,
    bytes: usize,
    progress: Instant,
}

#[derive(Default)]
struct Inner {
    streams: Slab<Entry>,
    by_session: HashMap<SessionKey, Vec<usize>>,
    tick: usize,
    draining: bool,
}

/// Holds every idle stream. Shared by all connections.
pub struct Wheel {
    inner: Mutex<Inner>,
    lifecycle: Lifecycle,
    interval: Duration,
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
    pub fn start(interval: Duration, lifecycle: &Lifecycle) -> Arc<Self> {
        let wheel = Arc::new(Self {
            inner: Mutex::default(),
            lifecycle: lifecycle.clone(),
            interval,
        });
        let turning = Arc::clone(&wheel);
        lifecycle.spawn_loop(async move {
            let mut ticks = tokio::time::interval(turning.interval / u32::try_from(SLOTS).unwrap_or(1));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
        head: &[u8],
        stream: IdleStream,
        place: Place,
    ) -> Result<(), TcpStream> {
        let mut start = head.to_vec();
        start.extend_from_slice(&sse::chunk(&[sse::KEEP_ALIVE, &stream.first].concat()));
        let mut inner = self.lock();
        if inner.draining {
            return Err(socket);
        }
        let entry = Entry {
            socket: Arc::new(socket),
            session: stream.session,
            kind: stream.kind,
            opened: Instant::now(),
            slot: inner.tick % SLOTS,
            outbox: None,
            _place: place,
        };
        tracing::debug!(session = %entry.session.text(), "SSE stream initiated");
        let key = inner.streams.insert(entry);
        let of_session = inner.by_session.entry(stream.session).or_default();
        of_session.push(key);
        if of_session.len() > MAX_PER_SESSION {
            let oldest = of_session.remove(0);
            close(&mut inner, oldest, CloseReason::Replaced);
        }
        self.write(&mut inner, key, start.into());
        Ok(())
    }

    /// Sends events on the newest stream of a session (a message goes on exactly one). `false`: it has none here.
    pub fn send(self: &Arc<Self>, session: SessionKey, events: &[u8]) -> bool {
        let mut inner = self.lock();
        let Some(key) = inner
            .by_session
            .get(&session)
            .and_then(|keys| keys.last().copied())
        else {
            return false;
        };
        self.write(&mut inner, key, sse::chunk(events));
        inner.streams.contains(key)
    }

    /// Tells every client with a stream here that the tool list changed: sessions on their newest stream, listens that
    /// asked for it. Returns how many were told.
    pub async fn tell_list_changed(self: &Arc<Self>, version: ListVersion) -> usize {
        let plain = sse::chunk(&version.list_changed());
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
                StreamKind::Standalone | StreamKind::HttpSse => plain.clone(),
                StreamKind::Listen {
                    list_changed: Some(event),
                    ..
                } => sse::chunk(&sse::message(event)),
                StreamKind::Listen { .. } => continue,
            };
            self.write(&mut inner, key, event);
            told += 1;
        }
        told
    }

    /// Whether a session has a stream here.
    pub fn carries(&self, session: SessionKey) -> bool {
        self.lock().by_session.contains_key(&session)
    }

    /// Ends all streams of a session that was deleted. `false`: it has none here.
    pub fn close_session(&self, session: SessionKey) -> bool {
        let mut inner = self.lock();
        let keys = inner.by_session.remove(&session).unwrap_or_default();
        for key in &keys {
            finish(&mut inner, *key, CloseReason::Client);
        }
        !keys.is_empty()
    }

    /// Ends every stream: listens with their result, the others with a jittered `retry:`. Refuses new ones.
    pub fn drain(&self) -> usize {
        let mut inner = self.lock();
        inner.draining = true;
        let keys: Vec<usize> = inner.streams.iter().map(|(key, _)| key).collect();
        for key in &keys {
            finish(&mut inner, *key, CloseReason::Drain);
        }
        keys.len()
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
        for (key, entry) in &inner.streams {
            if let Some(reason) = entry.end_seen() {
                ended.push((key, reason));
            } else if entry.slot == due && entry.outbox.is_none() {
                comments.push(key);
            }
        }
        for (key, reason) in ended {
            close(&mut inner, key, reason);
        }
        let comment = sse::chunk(sse::KEEP_ALIVE);
        for key in comments {
            self.write(&mut inner, key, comment.clone());
        }
    }

    /// Writes now what the socket takes, and leaves the rest to a task that lives until it is written.
    fn write(self: &Arc<Self>, inner: &mut Inner, key: usize, data: Bytes) {
        let Some(entry) = inner.streams.get_mut(key) else {
            return;
        };
        let had_outbox = entry.outbox.is_some();
        match entry.push(data) {
            Err(reason) => close(inner, key, reason),
            Ok(()) if entry.outbox.is_some() && !had_outbox => {
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
                () = tokio::time::sleep(MAX_STALL) => Ok(()),
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
            match entry.flush() {
                Err(reason) => return close(&mut inner, key, reason),
                Ok(()) if entry.outbox.is_none() => return,
                Ok(()) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The data stays consistent even if a holder panicked: every change is a single step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Why the stream is over, if it is: read readiness tells of EOF without a system call per stream.
    fn end_seen(&self) -> Option<CloseReason> {
        let mut scratch = [0; 256];
        let read = self.socket.try_read(&mut scratch);
        match read {
            Ok(0) => Some(CloseReason::Client),
            // Whatever a client sends on a stream that only flows one way is ignored.
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let stalled = self
                    .outbox
                    .as_ref()
                    .is_some_and(|outbox| outbox.progress.elapsed() > MAX_STALL);
                stalled.then_some(CloseReason::SlowReader)
            }
            Err(_) => Some(CloseReason::Transport),
        }
    }

    /// Adds data and writes what the socket takes.
    fn push(&mut self, data: Bytes) -> Result<(), CloseReason> {
        let outbox = self.outbox.get_or_insert_with(|| {
            Box::new(Outbox {
                queue: VecDeque::new(),
                bytes: 0,
                progress: Instant::now(),
            })
        });
        if outbox.bytes + data.len() > MAX_OUTBOX {
            return Err(CloseReason::SlowReader);
        }
        outbox.bytes += data.len();
        outbox.queue.push_back(data);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), CloseReason> {
        let Some(outbox) = &mut self.outbox else {
            return Ok(());
        };
        while let Some(front) = outbox.queue.front_mut() {
            match self.socket.try_write(front) {
                Ok(written) => {
                    outbox.bytes -= written;
                    outbox.progress = Instant::now();
                    front.advance(written);
                    if front.is_empty() {
                        outbox.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(CloseReason::Transport),
            }
        }
        self.outbox = None;
        Ok(())
    }
}

/// Says good-bye as the stream's kind asks for, then closes it.
fn finish(inner: &mut Inner, key: usize, reason: CloseReason) {
    let Some(entry) = inner.streams.get_mut(key) else {
        return;
    };
    let farewell = match &entry.kind {
        StreamKind::Listen { result, .. } => sse::message(result),
        StreamKind::Standalone | StreamKind::HttpSse => {
            let [jitter, ..] = id::random::<1>();
            let base = u64::try_from(DRAIN_RETRY.as_millis()).unwrap_or(1_000);
            sse::retry(base + u64::from(jitter) * 8)
        }
    };
    // Best effort: a client that does not read now reconnects all the same.
    let _ = entry.push([&sse::chunk(&farewell), sse::LAST_CHUNK].concat().into());
    close(inner, key, reason);
}

/// Forgets a stream and closes its connection. Every end of a stream passes here, and is logged.
fn close(inner: &mut Inner, key: usize, reason: CloseReason) {
    let Some(entry) = inner.streams.try_remove(key) else {
        return;
    };
    if let Some(keys) = inner.by_session.get_mut(&entry.session) {
        keys.retain(|other| *other != key);
        if keys.is_empty() {
            inner.by_session.remove(&entry.session);
        }
    }
    if entry.outbox.is_some() {
        // A task waits for the reader and shares the socket. This wakes it, and ends the connection now.
        let _ = SockRef::from(&*entry.socket).shutdown(Shutdown::Both);
    }
    let seconds = entry.opened.elapsed().as_secs();
    let session = entry.session.text();
    tracing::info!(%session, reason = reason.as_str(), seconds, "stream disconnected after {seconds}s");
}
