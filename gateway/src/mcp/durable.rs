//! Calls of the legacy era that outlive their connection and their task.
//!
//! A call that turns slow gets a log (`session::events`): what it says goes there before it goes to the wire. A
//! client that lost its connection comes back with `Last-Event-ID` to any task, which replays what the client
//! missed and follows the log to its end. A call whose task is gone is ended by the one that the client came to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::id;
use crate::mcp::dispatch::{Mcp, Phrasing, failed, phrase};
use crate::mcp::envelope::RequestId;
use crate::mcp::hear::Worker;
use crate::mcp::modern;
use crate::mcp::running::{Caller, RunningCall, Step};
use crate::mcp::sse;
use crate::model::call_log::CallRow;
use crate::model::principal::Principal;
use crate::session::directory::SessionKey;
use crate::session::events::{CallWriter, EventId};
use crate::store::StoreError;

/// Events that may wait for the connection; the log has them all.
const WIRE_QUEUE: usize = 16;
/// How long a reader may take no event before its connection is given up; it can come back for the rest.
const WIRE_STALL: Duration = Duration::from_secs(30);
/// How long the client of a call waits for the log to begin, and for each event to be in it. A store that is
/// slower is as good as away: the call goes on without a way back.
pub(super) const LOG_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a response is offered to a store that does not take it.
const PARK_FOR: Duration = Duration::from_mins(5);
/// Pause between two such offers.
const PARK_PAUSE: Duration = Duration::from_secs(1);
/// What clients are told to wait before they come back. They try twice, so two waits have to span the time in which a
/// load balancer still sends them to a task that is gone.
const RETRY: Duration = Duration::from_secs(2);
/// How often a log on another task is looked at: at first, and at most.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// How often the task of a call is asked whether it still runs it.
const ASK_OWNER: Duration = Duration::from_secs(2);

/// How a request to go on with a stream is answered.
#[expect(
    missing_debug_implementations,
    reason = "a stream of events has nothing to show"
)]
pub enum Resumed {
    /// There is nothing more to come: 405, which ends the client's tries.
    Over,
    /// The rest of the stream.
    Events(BoxStream<'static, Bytes>),
}

impl Mcp {
    /// The rest of a call as server-sent events, after `first`. In the legacy era the work does not depend on
    /// whether somebody reads them; in the modern era a client that loses them is told so when it comes back.
    ///
    /// Waits for the log to begin, so that the head of the response does not go out before the place that its client
    /// can come back to: one that has the head alone when this task dies would wait for ever.
    pub async fn events(
        self: &Arc<Self>,
        mut call: RunningCall,
        first: Option<Step>,
    ) -> BoxStream<'static, Bytes> {
        let Some(caller) = call.caller.take() else {
            let primer = sse::primer(modern::place(&call.id), RETRY);
            return stream::iter([primer]).chain(direct(call, first)).boxed();
        };
        // The tool may go on asking.
        call.caller = Some(caller.clone());
        let (wire, events) = mpsc::channel(WIRE_QUEUE);
        let (begins, begun) = oneshot::channel();
        let mcp = Arc::clone(self);
        self.lifecycle.spawn(async move {
            let mut scribe = Scribe {
                stall: mcp.clock.interval(WIRE_STALL),
                wire: Some(wire),
                log: None,
            };
            scribe.begin(&mcp, &caller, &call.id).await;
            // A handler that is gone means a client that is gone.
            let _ = begins.send(());
            scribe.record_all(&mcp, call, first).await;
        });
        let _ = begun.await;
        receive(events)
    }

    /// What follows after the event that the client has. Only its own person, in its own session, gets it.
    pub async fn resume(
        self: &Arc<Self>,
        principal: &Principal,
        session: Option<SessionKey>,
        from: EventId,
    ) -> Resumed {
        let row = timeout(LOG_TIMEOUT, self.log.row(from.call)).await;
        match row {
            Ok(Ok(Some(row))) if !belongs(&row, principal, session) => {
                tracing::info!(user = %principal.user, "a foreign event id was refused");
                return Resumed::Over;
            }
            Ok(Ok(Some(row))) if row.ended && row.last_seq <= from.seq => return Resumed::Over,
            Ok(Ok(None)) => return Resumed::Over,
            Ok(Ok(Some(_))) => {}
            // The client has two tries only, so it is better off waiting here for the store than with a 503.
            Ok(Err(_)) | Err(_) => tracing::warn!("the log of a call is not readable yet; its client waits"),
        }
        let (wire, events) = mpsc::channel(WIRE_QUEUE);
        let tail = Tail {
            mcp: Arc::clone(self),
            principal: principal.clone(),
            session,
            wire,
            at: from,
            owner: Worker::MayRun,
            owner_asked: None,
        };
        self.lifecycle.spawn(tail.follow());
        Resumed::Events(receive(events))
    }

    /// What is known of the call's task.
    async fn owner(&self, row: &CallRow, at: EventId) -> Worker {
        if row.owner != self.me {
            return self.worker(row.owner, at.call.text()).await;
        }
        if self.log.runs(at.call) {
            Worker::MayRun
        } else {
            Worker::Gone
        }
    }
}

/// The call itself as events; dropping them drops the call.
fn direct(call: RunningCall, first: Option<Step>) -> impl stream::Stream<Item = Bytes> + Send {
    stream::unfold((Some(call), first), |(call, first)| async move {
        let mut call = call?;
        let step = match first {
            Some(step) => step,
            None => call.next().await,
        };
        Some(match step {
            Step::Message(message) => (sse::message(&message), (Some(call), None)),
            Step::Response(message) => (sse::message(&message), (None, None)),
        })
    })
}

/// The response of a call whose task is gone.
pub(super) fn outcome_unknown(id: &RequestId) -> Vec<u8> {
    unknown(
        id,
        "the process that ran this call is gone; whether the call took effect is unknown, so look before you call again",
    )
}

/// The response of a call whose own cannot reach the client any more.
pub(super) fn answer_lost(id: &RequestId) -> Vec<u8> {
    unknown(
        id,
        "the connection for the answer of this call is gone; it may have been done or still be at work, so wait a while \
         and look before you call again",
    )
}

fn unknown(id: &RequestId, message: &str) -> Vec<u8> {
    phrase(id, Phrasing::Legacy, Ok(failed("outcome_unknown", message)))
}

fn receive(mut events: mpsc::Receiver<Bytes>) -> BoxStream<'static, Bytes> {
    stream::poll_fn(move |context| events.poll_recv(context)).boxed()
}

fn belongs(row: &CallRow, principal: &Principal, session: Option<SessionKey>) -> bool {
    row.user == principal.user && row.session == session.map(SessionKey::text)
}

/// Writes what a call says to its log and to the connection, as long as there is one.
struct Scribe {
    /// How long a reader may take no event.
    stall: Duration,
    wire: Option<mpsc::Sender<Bytes>>,
    log: Option<CallWriter>,
}

impl Scribe {
    async fn begin(&mut self, mcp: &Mcp, caller: &Caller, id: &RequestId) {
        let begun = mcp.log.begin(&caller.user, caller.session, id.as_json());
        self.log = match timeout(LOG_TIMEOUT, begun).await {
            Ok(Ok(writer)) => Some(writer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a slow call has no log; it goes on, but its client cannot come back for it");
                None
            }
            Err(_) => {
                tracing::warn!(
                    "the log of a slow call did not begin in time; its client cannot come back for it"
                );
                None
            }
        };
        if let Some(log) = self.log.as_ref().filter(|_| caller.takes_primers) {
            let primer = sse::primer(log.position(), RETRY);
            self.send(primer).await;
        }
    }

    async fn record_all(&mut self, mcp: &Mcp, mut call: RunningCall, first: Option<Step>) {
        let mut next = first;
        loop {
            let step = match next.take() {
                Some(step) => step,
                None => call.next().await,
            };
            match step {
                Step::Message(message) => {
                    let place = self.log_message(&message).await;
                    self.send(event(place, &message)).await;
                }
                Step::Response(message) => return self.end(mcp, &message).await,
            }
        }
    }

    /// A message that does not get into the log goes to the wire all the same, without a place.
    async fn log_message(&mut self, message: &[u8]) -> Option<EventId> {
        let log = self.log.as_ref()?;
        match append(log, message, false).await {
            Ok(place) => Some(place),
            Err(error) => {
                tracing::warn!(%error, "a message of a slow call is not in its log");
                self.catch_up().await;
                None
            }
        }
    }

    /// The response: to the log, to the wire, and again to the log until it has it.
    async fn end(&mut self, mcp: &Mcp, message: &[u8]) {
        let Some(log) = self.log.as_ref() else {
            return self.send(sse::message(message)).await;
        };
        let first_try = append(log, message, true).await;
        self.send(event(first_try.as_ref().ok().copied(), message)).await;
        // The connection ends now, whatever the store does.
        self.wire = None;
        let Err(mut error) = first_try else {
            return;
        };
        let [park_for, pause] = [PARK_FOR, PARK_PAUSE].map(|designed| mcp.clock.interval(designed));
        let give_up = Instant::now() + park_for;
        while Instant::now() < give_up && !mcp.lifecycle.hard().is_cancelled() {
            if matches!(error, StoreError::Corrupt { .. }) || self.catch_up().await {
                break;
            }
            tokio::time::sleep(pause).await;
            let Some(log) = self.log.as_ref() else { break };
            match append(log, message, true).await {
                Ok(_) => return,
                Err(again) => error = again,
            }
        }
        tracing::warn!(%error, "the result of a slow call was not parked");
    }

    /// Finds out where the log stands. `true`: it has its response, by an attempt whose answer got lost or by a task
    /// that took this one for dead.
    async fn catch_up(&mut self) -> bool {
        let Some(log) = self.log.as_ref() else {
            return true;
        };
        matches!(timeout(LOG_TIMEOUT, log.catch_up()).await, Ok(Ok(true)))
    }

    async fn send(&mut self, event: Bytes) {
        let Some(wire) = &self.wire else {
            return;
        };
        if !matches!(timeout(self.stall, wire.send(event)).await, Ok(Ok(()))) {
            self.wire = None;
        }
    }
}

async fn append(log: &CallWriter, message: &[u8], last: bool) -> Result<EventId, StoreError> {
    let late = || StoreError::Unavailable {
        detail: format!("no answer within {} s", LOG_TIMEOUT.as_secs()),
    };
    timeout(LOG_TIMEOUT, log.append(message, last))
        .await
        .unwrap_or_else(|_| Err(late()))
}

fn event(place: Option<EventId>, message: &[u8]) -> Bytes {
    match place {
        Some(place) => sse::message_at(place, message),
        None => sse::message(message),
    }
}

/// Gives a client that came back what it missed, then what comes.
struct Tail {
    mcp: Arc<Mcp>,
    principal: Principal,
    session: Option<SessionKey>,
    wire: mpsc::Sender<Bytes>,
    /// The event that the client has.
    at: EventId,
    /// What was last known of the call's task, and when it was asked.
    owner: Worker,
    owner_asked: Option<Instant>,
}

impl Tail {
    async fn follow(mut self) {
        // Clients forget their place when a stream ends without one, so every stream begins with it.
        if !self.send(sse::primer(self.at, RETRY)).await {
            return;
        }
        let [least, most] = [LOOK, LOOK_MAX].map(|designed| self.mcp.clock.interval(designed));
        let mut pause = least;
        loop {
            match self.look().await {
                Ok(Looked::Over) => return,
                Ok(Looked::News) => pause = least,
                Ok(Looked::Nothing) => pause = (pause * 2).min(most),
                Err(error) => {
                    tracing::warn!(%error, "the log of a call is not readable; its client waits");
                    pause = most;
                }
            }
            tokio::select! {
                () = self.news(pause) => {}
                () = self.wire.closed() => return,
                () = self.mcp.lifecycle.soft().cancelled() => return self.send_away().await,
            }
        }
    }

    /// One look at the log: sends what is new in it.
    async fn look(&mut self) -> Result<Looked, StoreError> {
        let row = self.mcp.log.row(self.at.call).await?;
        let Some(row) = row.filter(|row| belongs(row, &self.principal, self.session)) else {
            return Ok(Looked::Over);
        };
        let before = self.at.seq;
        while self.at.seq < row.last_seq {
            let next = EventId {
                seq: self.at.seq + 1,
                ..self.at
            };
            let message = self.mcp.log.event(next).await?;
            if !self.send(sse::message_at(next, &message)).await {
                return Ok(Looked::Over);
            }
            self.at = next;
        }
        if row.ended {
            return Ok(Looked::Over);
        }
        if self.at.seq > before {
            return Ok(Looked::News);
        }
        let ask = self.mcp.clock.interval(ASK_OWNER);
        if self.owner_asked.is_none_or(|asked| asked.elapsed() >= ask) {
            self.owner_asked = Some(Instant::now());
            let before = self.owner;
            self.owner = self.mcp.owner(&row, self.at).await;
            match self.owner {
                Worker::MayRun => {}
                Worker::Missing if before != Worker::Missing => {}
                Worker::Missing | Worker::Gone => return self.end_orphan().await,
            }
        }
        Ok(Looked::Nothing)
    }

    /// Ends the call of a task that is gone: whether it did its work nobody knows.
    async fn end_orphan(&mut self) -> Result<Looked, StoreError> {
        // Read again: the task may have ended the call between the first look and its own end.
        let row = self.mcp.log.row(self.at.call).await?;
        let Some(row) = row.filter(|row| !row.ended && row.last_seq == self.at.seq) else {
            return Ok(Looked::News);
        };
        let Some(id) = serde_json::from_str(&row.request_id)
            .ok()
            .and_then(|raw| RequestId::parse(raw).ok())
        else {
            return Ok(Looked::Over);
        };
        let response = outcome_unknown(&id);
        match self.mcp.log.end_orphan(self.at.call, &row, &response).await {
            Ok(()) => tracing::warn!(owner = %row.owner, "the call of a task that is gone was ended"),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        Ok(Looked::News)
    }

    /// Waits for a new event of a call of this task, or for `pause`.
    async fn news(&self, pause: Duration) {
        let watch = self.mcp.log.watch(self.at.call);
        let here = async {
            match watch {
                Some(mut watch) if *watch.borrow() <= self.at.seq => {
                    let _ = watch.changed().await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = here => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// This task stops: the client goes on at another one.
    async fn send_away(&self) {
        let [jitter] = id::random::<1>();
        let jitter = Duration::from_millis(4 * u64::from(jitter));
        let wait = self.mcp.clock.interval(RETRY / 2 + jitter);
        let _ = self.send(sse::retry(wait)).await;
    }

    /// `false`: the client is gone, or does not read.
    async fn send(&self, event: Bytes) -> bool {
        let stall = self.mcp.clock.interval(WIRE_STALL);
        matches!(timeout(stall, self.wire.send(event)).await, Ok(Ok(())))
    }
}

/// What a look at the log showed.
enum Looked {
    /// Something that may go on.
    News,
    /// Nothing new.
    Nothing,
    /// The end.
    Over,
}
