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
use crate::mcp::lost::Place;
use crate::mcp::running::{RunningCall, Step};
use crate::mcp::sse;
use crate::mcp::wheel::{AWAITED_FOR, Hold};
use crate::session::directory::SessionKey;
use crate::session::peers::message::{PeerMessage, PeerReply, Successor, Whereabouts, Work};
use crate::session::peers::{PeerError, message};

/// How often events are handed over to a task that does not answer. It may have got them the first time; clients
/// pass over a response that they had, but would wait for one that never came.
const DELIVERIES: usize = 3;
/// How often a task that works for a stream here is asked whether it still does, and one that holds a stream for work
/// here whether it lives.
const ASK_WORKER: Duration = Duration::from_secs(2);
/// How often in a row it may be missing among the living. One that was too busy for its heartbeats is back with the
/// next one, which comes within three such questions.
const MISSED_MAX: u32 = 3;

/// How long a task may be silent that is dead: its heartbeats count for less.
const SILENT_FOR: Duration = Duration::from_secs(30);

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

impl Outlet {
    /// The stream, and the task that holds it.
    fn place(&self, me: TaskId) -> Place {
        let holder = match &self.holder {
            Holder::Here(_) => me,
            Holder::At(task, _) => *task,
        };
        Place {
            session: self.session,
            holder,
        }
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
        loop {
            let outlet = |holder| Outlet {
                request: request.clone(),
                session,
                holder,
            };
            if let Some(hold) = self.wheel.hold(session) {
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
                    Err(PeerError::Unknown) if began.elapsed() >= UNKNOWN_FOR => return None,
                    Err(PeerError::Silent | PeerError::Unknown) => {
                        errand = Some(begun);
                        Whereabouts::Awaited
                    }
                    Err(PeerError::Refused | PeerError::Rejected) => return None,
                }
            };
            match whereabouts {
                Whereabouts::At(next) if hops < HOPS_MAX => {
                    (session, task) = (next.session, next.task);
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
    /// is back. `false`: the stream is gone, or its task.
    pub async fn pass(&self, outlet: &mut Outlet, events: &Bytes, last: bool) -> bool {
        loop {
            let holder = match self.pass_now(outlet, events, last).await {
                Passed::Yes => return true,
                Passed::Ended(holder) => holder,
                Passed::Lost => return false,
            };
            match self.outlet(outlet.session, Some(holder), &outlet.request).await {
                Some(next) => *outlet = next,
                None => return false,
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
        let noted = self.note(grant, &outlet.request, outlet.place(self.me));
        let (tell, told) = oneshot::channel();
        let mut tell = Some(tell);
        self.lifecycle.spawn(async move {
            loop {
                let step = tokio::select! {
                    step = call.next() => step,
                    change = mcp.holder_changes(&outlet) => match change {
                        Change::Moved(next) => {
                            noted.moved(next.place(mcp.me));
                            outlet = next;
                            continue;
                        }
                        Change::Died => break,
                    },
                };
                let (message, last) = match step {
                    Step::Message(message) => (message, false),
                    Step::Response(message) => (message, true),
                };
                let passed = mcp.pass(&mut outlet, &sse::message(&message), last).await;
                if let Some(tell) = tell.take() {
                    // Whoever sent the request may be gone.
                    let _ = tell.send(passed);
                }
                match (passed, last) {
                    (true, true) => return noted.answered(),
                    (true, false) => noted.moved(outlet.place(mcp.me)),
                    (false, _) => break,
                }
            }
            let session = outlet.session.text();
            tracing::info!(%session, "the stream of a call is gone; its result is dropped");
            // Whoever waits for the first word hears now that none will come, and tells the client.
            if tell.is_some_and(|tell| tell.send(false).is_ok()) {
                noted.answered();
            }
        });
        told
    }

    /// Completes when another task than before holds the stream of a call at work, or the one that held it is dead: the
    /// client is told now, and not when its call is over.
    async fn holder_changes(&self, outlet: &Outlet) -> Change {
        let Holder::At(task, errand) = &outlet.holder else {
            return std::future::pending().await;
        };
        let question = delivery(outlet.session, &Bytes::new(), errand, false);
        let mut missed = 0;
        loop {
            tokio::time::sleep(self.clock.interval(ASK_WORKER)).await;
            match self.peers.send(*task, &question).await {
                // Before the task leaves that knows where the client is.
                Ok(PeerReply {
                    whereabouts: Some(Whereabouts::At(_)),
                    ..
                }) => {
                    if let Some(next) = self.outlet(outlet.session, Some(*task), &outlet.request).await {
                        return Change::Moved(next);
                    }
                }
                Ok(_) | Err(PeerError::Silent | PeerError::Rejected) => missed = 0,
                Err(PeerError::Unknown) if missed < MISSED_MAX => missed += 1,
                Err(PeerError::Unknown | PeerError::Refused) => return Change::Died,
            }
        }
    }

    /// A client of HTTP+SSE is back, with a new stream: tells the task where its last one ended, if there is no doubt
    /// which one that was; or the client, if that one went down with its task. In the background: the client waits for
    /// nothing.
    pub fn welcome_back(self: &Arc<Self>, grant: &str, session: SessionKey) {
        let mcp = Arc::clone(self);
        let grant = grant.to_owned();
        self.lifecycle.spawn(async move {
            if !mcp.wheel.has_begun(session).await {
                return;
            }
            let until = Instant::now() + SILENT_FOR;
            let (task, ended) = loop {
                match mcp.last_stream(&grant).await {
                    Last::Ended(task, session) => break (task, session),
                    Last::WentDown { living } => return mcp.tell_lost(&grant, session, &living).await,
                    Last::Untold if Instant::now() < until => tokio::time::sleep(ASK_WORKER).await,
                    Last::Untold | Last::Unclear => return,
                }
            };
            if !mcp.wheel.carries(session) {
                return;
            }
            let by = Successor {
                session,
                task: mcp.me,
            };
            let noted = if task == mcp.me {
                mcp.wheel.succeed(ended, &grant, by)
            } else {
                let session = ended;
                let message = PeerMessage::Succeeded { session, grant, by };
                mcp.peers.send(task, &message).await.is_ok_and(|reply| reply.found)
            };
            tracing::debug!(ended = %ended.text(), session = %session.text(), noted, "a client is back on a new stream");
        });
    }

    /// The last stream of the only client of a grant that is missed anywhere. A client that comes back says only under
    /// which grant it acts. So there is a doubt when others of the grant are missed, or may be because a task does not
    /// say; and when one whose stream broke off may not know, because another of its streams seems open.
    async fn last_stream(&self, grant: &str) -> Last {
        let question = PeerMessage::Returned {
            grant: grant.to_owned(),
        };
        let mut told = vec![(self.me, self.wheel.missed(grant))];
        let mut died = false;
        for (task, answer) in self.peers.ask_all(&question).await {
            match answer.map(|reply| reply.missed) {
                Ok(Some(missed)) => told.push((task, missed)),
                Err(PeerError::Refused | PeerError::Unknown) => died = true,
                Err(PeerError::Silent) => return Last::Untold,
                Ok(None) | Err(PeerError::Rejected) => return Last::Unclear,
            }
        }
        // Before its first look a task knows no others.
        if self.peers.versions().borrow().is_none() {
            return Last::Unclear;
        }
        let missed: usize = told.iter().map(|(_, missed)| missed.count).sum();
        let open: usize = told.iter().map(|(_, missed)| missed.open).sum();
        if missed == 0 && open == 1 {
            let living = told.iter().map(|(task, _)| *task).collect();
            return Last::WentDown { living };
        }
        let mut awaited = told
            .iter()
            .filter_map(|(task, missed)| Some((*task, missed.awaited?, missed.drained)));
        match awaited.next() {
            // One of those that are open is the one that it came back with.
            Some((task, ended, drained)) if missed == 1 && !died && (drained || open == 1) => {
                Last::Ended(task, ended)
            }
            _ => Last::Unclear,
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
        if let Some(work) = work {
            if last || !carried {
                self.wheel.let_go(session, &work.name);
            } else if self.wheel.hold_elsewhere(session, &work.name) {
                self.watch_over(from, session, work);
            }
        }
        PeerReply {
            whereabouts: self.wheel.whereabouts(session).filter(|_| !carried),
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
    /// The client has this one by now.
    Moved(Outlet),
    Died,
}

/// What is known of the last stream of a client that is back.
enum Last {
    /// It ended at this task.
    Ended(TaskId, SessionKey),
    /// No task that lives misses a client of the grant or has another one, and these are all: if the client was here
    /// before, its stream went down with its task.
    WentDown {
        living: Vec<TaskId>,
    },
    /// A task does not answer, which may be dead.
    Untold,
    Unclear,
}

/// What became of events.
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
