//! Answers of the deprecated HTTP+SSE transport: they go out on the session's stream, wherever that is held.
//!
//! A load balancer sends the stream of a client to one task and its POSTs to any. The URL that a client POSTs to
//! names the task that holds its stream; another one does the work itself and hands over the events. Whoever holds the
//! stream keeps it open through a drain for as long as somebody works for it, and says so on it when the task that
//! worked for it is gone. When a stream ends, what was asked on it follows its client to the next one; when it goes down
//! with its task, its client is told ([`lost`](super::lost)).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::id::{self, TaskId};
use crate::mcp::dispatch::Mcp;
use crate::mcp::durable::outcome_unknown;
use crate::mcp::envelope::RequestId;
use crate::mcp::hear::Worker;
use crate::mcp::running::{RunningCall, Step};
use crate::mcp::sse;
use crate::mcp::wheel::{AWAITED_FOR, Hold};
use crate::session::directory::SessionKey;
use crate::session::peers::message::{PeerMessage, PeerReply, Whereabouts, Work};
use crate::session::peers::{PeerError, message};

/// How often events are handed over to a task that does not answer. It may have got them the first time; clients
/// pass over a response that they had, but would wait for one that never came.
pub(super) const DELIVERIES: usize = 3;
/// How often a task that works for a stream here is asked whether it still does, and one that holds a stream for work
/// here whether it lives.
pub(super) const ASK_WORKER: Duration = Duration::from_secs(2);
/// How often in a row it may be missing among the living. One that was too busy for its heartbeats is back with the
/// next one, which comes within three such questions.
const MISSED_MAX: u32 = 3;

/// How long a request waits for a task that is not among the living: one that has just started may serve before its first
/// heartbeat is in the store.
const UNKNOWN_FOR: Duration = Duration::from_millis(2_500);
/// How soon a task is asked again where the client is whose stream ended there; each time a little later.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Streams that a client may have had one after the other since the one that is asked for.
const HOPS_MAX: usize = 8;
/// Requests that wait at one time for clients to come back: with more, tasks would keep each other busy with questions.
pub(super) const WAITING_MAX: usize = 256;

/// The stream that the answers of one request go out on.
#[derive(Debug)]
pub struct Outlet {
    request: RequestId,
    /// The session of the stream: that of the request, or of the stream that its client has instead by now.
    pub session: SessionKey,
    holder: Holder,
}

/// Who holds a stream.
#[derive(Debug)]
enum Holder {
    /// This task, which keeps the stream open through a drain for as long as this is not dropped.
    Here(#[expect(dead_code, reason = "it holds by being there")] Hold),
    /// Another one.
    At(TaskId, Errand),
}

/// The work of this task for streams that others hold, by names that it made up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Errands(Arc<Mutex<HashSet<String>>>);

/// One of them; over when dropped.
#[derive(Debug)]
struct Errand {
    all: Errands,
    work: Work,
}

impl Errands {
    fn begin(&self, request: &RequestId) -> Errand {
        let work = Work {
            name: id::base64url(&id::random::<9>()),
            request_id: request.as_json().to_owned(),
        };
        self.lock().insert(work.name.clone());
        let all = self.clone();
        Errand { all, work }
    }

    /// Whether it is still at work.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.all.lock().remove(&self.work.name);
    }
}

impl Mcp {
    /// This task's name in the URL that HTTP+SSE clients POST to.
    pub fn task(&self) -> TaskId {
        self.peers.me()
    }

    /// The stream of a session, which this task holds, or the `named` one if it says so; when it ended a moment ago, the
    /// one that its client opens instead, as soon as that is there. To be asked before the work for `request` is begun:
    /// an answer that nobody can get would be worse than none.
    pub async fn outlet(
        &self,
        mut session: SessionKey,
        named: Option<TaskId>,
        request: &RequestId,
    ) -> Option<Outlet> {
        let mut task = named.unwrap_or(self.me);
        let mut errand = None;
        let mut waiting = None;
        let (mut hops, mut pause) = (0, ASK_AGAIN);
        let began = Instant::now();
        let mut unknown_since = None;
        loop {
            let outlet = |holder| Outlet {
                request: request.clone(),
                session,
                holder,
            };
            if let Some(hold) = self.wheel.hold(session, request) {
                return Some(outlet(Holder::Here(hold)));
            }
            let whereabouts = if task == self.me {
                self.wheel.whereabouts(session)?
            } else {
                let begun = errand.take().unwrap_or_else(|| self.errands.begin(request));
                let question = delivery(session, &Bytes::new(), &begun, false);
                match self.peers.send(task, &question).await {
                    Ok(reply) if reply.found => return Some(outlet(Holder::At(task, begun))),
                    Ok(reply) => {
                        errand = Some(begun);
                        reply.whereabouts?
                    }
                    Err(error @ (PeerError::Silent | PeerError::Unknown)) => {
                        let since = unknown_since.get_or_insert_with(Instant::now);
                        if error == PeerError::Unknown && since.elapsed() >= UNKNOWN_FOR {
                            return None;
                        }
                        errand = Some(begun);
                        Whereabouts::Awaited
                    }
                    Err(PeerError::Refused | PeerError::Rejected) => return None,
                }
            };
            match whereabouts {
                Whereabouts::At(next) if hops < HOPS_MAX => {
                    (session, task) = (next.session, next.task);
                    unknown_since = None;
                    hops += 1;
                }
                Whereabouts::Awaited if began.elapsed() < AWAITED_FOR => {
                    if waiting.is_none() {
                        waiting = Some(self.waiting.try_acquire().ok()?);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 3 / 2).min(10 * ASK_AGAIN);
                }
                Whereabouts::At(_) | Whereabouts::Awaited => return None,
            }
        }
    }

    /// Sends events on a stream, the `last` ones of the work for it or not; on the next one, if it ended and its client
    /// is back.
    pub async fn pass(&self, outlet: &mut Outlet, events: &Bytes, last: bool) -> Delivered {
        loop {
            let holder = match self.pass_now(outlet, events, last).await {
                Passed::Yes => return Delivered::Sent,
                Passed::Ended(holder) => holder,
                Passed::Lost => return Delivered::Down,
            };
            match self.outlet(outlet.session, Some(holder), &outlet.request).await {
                Some(next) => *outlet = next,
                None => return Delivered::Gone,
            }
        }
    }

    async fn pass_now(&self, outlet: &Outlet, events: &Bytes, last: bool) -> Passed {
        let Holder::At(task, errand) = &outlet.holder else {
            let sent = self.wheel.send(outlet.session, events);
            return if sent { Passed::Yes } else { Passed::Ended(self.me) };
        };
        let message = delivery(outlet.session, events, errand, last);
        for _ in 0..DELIVERIES {
            match self.peers.send(*task, &message).await {
                Ok(reply) if reply.found => return Passed::Yes,
                Ok(_) => return Passed::Ended(*task),
                Err(PeerError::Silent) => {}
                Err(PeerError::Unknown | PeerError::Refused | PeerError::Rejected) => break,
            }
        }
        Passed::Lost
    }

    /// Sends what a running call says on a stream, until its response. The stream is held as long. The receiver hears
    /// whether the first word of the call went out.
    pub fn deliver(
        self: &Arc<Self>,
        grant: &Arc<str>,
        mut outlet: Outlet,
        mut call: RunningCall,
    ) -> oneshot::Receiver<bool> {
        let mcp = Arc::clone(self);
        let noted = self.note(grant, &outlet.request);
        let (tell, told) = oneshot::channel();
        let mut tell = Some(tell);
        self.lifecycle.spawn(async move {
            let is_told = loop {
                let step = tokio::select! {
                    step = call.next() => step,
                    change = mcp.holder_changes(&outlet) => match change {
                        // Not within the branch, where the next word of the call would break it off: the new task would
                        // take this one for dead.
                        Change::Moved(from) => {
                            let next = mcp.outlet(outlet.session, Some(from), &outlet.request).await;
                            if let Some(next) = next {
                                outlet = next;
                            }
                            continue;
                        }
                        Change::Died => break false,
                    },
                };
                let (message, last) = match step {
                    Step::Message(message) => (message, false),
                    Step::Response(message) => (message, true),
                };
                let delivered = mcp.pass(&mut outlet, &sse::message(&message), last).await;
                // Whoever sent the request may be gone; if not, the client hears there that nothing will come.
                let sent = delivered == Delivered::Sent;
                let is_heard = tell.take().is_some_and(|tell| tell.send(sent).is_ok());
                match delivered {
                    Delivered::Sent if last => return noted.over(),
                    Delivered::Sent => noted.is_slow(),
                    Delivered::Gone | Delivered::Down => break is_heard,
                }
            };
            let session = outlet.session.text();
            tracing::info!(%session, "the stream of a call is gone; its result is dropped");
            if is_told || tell.is_some_and(|tell| tell.send(false).is_ok()) {
                noted.over();
            }
        });
        told
    }

    /// Completes when another task than before holds the stream of a call at work, or the one that held it is dead: the
    /// client is told now, and not when its call is over.
    async fn holder_changes(&self, outlet: &Outlet) -> Change {
        let pause = self.clock.interval(ASK_WORKER);
        let Holder::At(task, errand) = &outlet.holder else {
            loop {
                tokio::time::sleep(pause).await;
                if let Some(Whereabouts::At(_)) = self.wheel.whereabouts(outlet.session) {
                    return Change::Moved(self.me);
                }
            }
        };
        let question = delivery(outlet.session, &Bytes::new(), errand, false);
        let mut missed = 0;
        loop {
            tokio::time::sleep(pause).await;
            match self.peers.send(*task, &question).await {
                // Before the task leaves that knows where the client is.
                Ok(PeerReply {
                    whereabouts: Some(Whereabouts::At(_)),
                    ..
                }) => return Change::Moved(*task),
                Ok(_) | Err(PeerError::Silent | PeerError::Rejected) => missed = 0,
                Err(PeerError::Unknown) if missed < MISSED_MAX => missed += 1,
                Err(PeerError::Unknown | PeerError::Refused) => return Change::Died,
            }
        }
    }

    /// Sends events of the work of task `from` on a stream that is held here. Not found: it is not.
    pub(super) fn carry(
        self: &Arc<Self>,
        from: TaskId,
        message::Delivery {
            session,
            events,
            work,
            last,
        }: message::Delivery,
    ) -> PeerReply {
        let carried = match events.as_str() {
            "" => self.wheel.carries(session),
            events => self.wheel.send(session, events.as_bytes()),
        };
        let whereabouts = self.wheel.whereabouts(session).filter(|_| !carried);
        if let Some(work) = work {
            // While the client is on its way, this task stays, which alone will know where it is.
            let is_over = !carried && whereabouts != Some(Whereabouts::Awaited);
            if last || is_over {
                self.wheel.let_go(session, &work.name);
            } else if self.wheel.hold_elsewhere(session, &work) {
                self.watch_over(from, session, work);
            }
        }
        PeerReply {
            whereabouts,
            ..PeerReply::found(carried)
        }
    }

    /// Asks a task again and again whether it is still at work, and ends the wait of its client when it is not.
    fn watch_over(self: &Arc<Self>, worker: TaskId, session: SessionKey, work: Work) {
        let mcp = Arc::clone(self);
        let pause = self.clock.interval(ASK_WORKER);
        self.lifecycle.spawn_loop(async move {
            let mut missed = 0;
            loop {
                tokio::time::sleep(pause).await;
                if !mcp.wheel.is_held_elsewhere(session, &work.name) {
                    return;
                }
                match mcp.worker(worker, work.name.clone()).await {
                    Worker::MayRun => missed = 0,
                    Worker::Missing if missed < MISSED_MAX => missed += 1,
                    Worker::Missing | Worker::Gone => break,
                }
            }
            // Its last word may have come meanwhile.
            if !mcp.wheel.is_held_elsewhere(session, &work.name) {
                return;
            }
            tracing::warn!(task = %worker, "a task that worked for a stream here is gone; its call was ended");
            if let Some(id) = RequestId::from_json(&work.request_id) {
                mcp.wheel.send(session, &sse::message(&outcome_unknown(&id)));
            }
            mcp.wheel.let_go(session, &work.name);
        });
    }
}

/// What happened to the task that held a stream.
enum Change {
    /// The client has another stream by now, and this task knows which.
    Moved(TaskId),
    Died,
}

/// What became of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// They are on their way.
    Sent,
    /// The stream ended, and its client did not come back.
    Gone,
    /// The stream went down with its task, or that is silent.
    Down,
}

/// What became of events on the stream that they were for.
enum Passed {
    Yes,
    /// Their stream ended, which this task held.
    Ended(TaskId),
    /// The task that held it is gone or silent.
    Lost,
}

/// Events of the work of that name; none only says that it goes on.
fn delivery(session: SessionKey, events: &Bytes, errand: &Errand, last: bool) -> PeerMessage {
    PeerMessage::Deliver(message::Delivery {
        session,
        events: String::from_utf8_lossy(events).into_owned(),
        work: Some(errand.work.clone()),
        last,
    })
}
