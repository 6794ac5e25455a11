//! Answers of the deprecated HTTP+SSE transport: they go out on the session's stream, wherever that is held.
//!
//! A load balancer sends the stream of a client to one task and its POSTs to any. The URL that a client POSTs to
//! names the task that holds its stream; another one does the work itself and hands over the events. Whoever holds the
//! stream keeps it open through a drain for as long as somebody works for it, and says so on it when the task that
//! worked for it is gone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::id::{self, TaskId};
use crate::mcp::dispatch::Mcp;
use crate::mcp::durable::outcome_unknown;
use crate::mcp::envelope::RequestId;
use crate::mcp::running::{RunningCall, Step};
use crate::mcp::sse;
use crate::mcp::wheel::Hold;
use crate::session::directory::SessionKey;
use crate::session::peers::message::{PeerMessage, PeerReply, Work};
use crate::session::peers::{PeerError, message};

/// How often events are handed over to a task that does not answer. It may have got them the first time; clients
/// pass over a response that they had, but would wait for one that never came.
const DELIVERIES: usize = 3;
/// How often a task that works for a stream here is asked whether it still does.
const ASK_WORKER: Duration = Duration::from_secs(2);
/// How often in a row it may be missing among the living. One that was too busy for its heartbeats is back with the
/// next one, which comes within three such questions.
const MISSED_MAX: u32 = 3;

/// Who holds the stream of a session.
#[derive(Debug)]
pub enum Holder {
    /// This task, which keeps the stream open through a drain for as long as this is not dropped.
    Here(Hold),
    /// Another one.
    At(TaskId, Errand),
}

/// The work of this task for streams that others hold, by names that it made up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Errands(Arc<Mutex<HashSet<String>>>);

/// One of them; over when dropped.
#[derive(Debug)]
pub struct Errand {
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

    /// Who holds the stream of a session: this task, or the `named` one if it says so. To be asked before the work for
    /// `request` is begun: an answer that nobody can get would be worse than none.
    pub async fn holder(
        &self,
        session: SessionKey,
        named: Option<TaskId>,
        request: &RequestId,
    ) -> Option<Holder> {
        if let Some(hold) = self.wheel.hold(session) {
            return Some(Holder::Here(hold));
        }
        let task = named.filter(|task| *task != self.peers.me())?;
        let errand = self.errands.begin(request);
        let question = delivery(session, &Bytes::new(), &errand, false);
        let answer = self.peers.send(task, &question).await;
        let holds = answer.is_ok_and(|reply| reply.found);
        holds.then_some(Holder::At(task, errand))
    }

    /// Sends events on the stream of a session, the `last` ones of the work for it or not. `false`: the stream or its
    /// task is gone.
    pub async fn pass(&self, holder: &Holder, session: SessionKey, events: &Bytes, last: bool) -> bool {
        let Holder::At(task, errand) = holder else {
            return self.wheel.send(session, events);
        };
        let message = delivery(session, events, errand, last);
        for _ in 0..DELIVERIES {
            match self.peers.send(*task, &message).await {
                Ok(reply) => return reply.found,
                Err(PeerError::Silent) => {}
                Err(PeerError::Unknown | PeerError::Refused | PeerError::Rejected) => return false,
            }
        }
        false
    }

    /// Sends what a running call says on the stream of `session`, until its response. The stream is held as long.
    pub fn deliver(self: &Arc<Self>, holder: Holder, session: SessionKey, mut call: RunningCall) {
        let mcp = Arc::clone(self);
        self.lifecycle.spawn(async move {
            loop {
                let (message, last) = match call.next().await {
                    Step::Message(message) => (message, false),
                    Step::Response(message) => (message, true),
                };
                if !mcp
                    .pass(&holder, session, &sse::message(&message), last)
                    .await
                {
                    tracing::info!(session = %session.text(), "the stream of a call is gone; its result is dropped");
                    return;
                }
                if last {
                    return;
                }
            }
        });
    }

    /// Sends events of the work of task `from` on a stream that is held here. `false`: it is not.
    pub(super) fn carry(
        self: &Arc<Self>,
        from: TaskId,
        message::Delivery {
            session,
            events,
            work,
            last,
        }: message::Delivery,
    ) -> bool {
        let carried = match events.as_str() {
            "" => self.wheel.carries(session),
            events => self.wheel.send(session, events.as_bytes()),
        };
        let Some(work) = work else {
            return carried;
        };
        if last || !carried {
            self.wheel.let_go(session, &work.name);
        } else if self.wheel.hold_elsewhere(session, &work.name) {
            self.watch_over(from, session, work);
        }
        carried
    }

    /// Asks a task again and again whether it is still at work, and ends the wait of its client when it is not.
    fn watch_over(self: &Arc<Self>, worker: TaskId, session: SessionKey, work: Work) {
        let mcp = Arc::clone(self);
        let pause = self.clock.interval(ASK_WORKER);
        let call = work.name.clone();
        let question = PeerMessage::Running { call };
        self.lifecycle.spawn_loop(async move {
            let mut missed = 0;
            loop {
                tokio::time::sleep(pause).await;
                if !mcp.wheel.is_held_elsewhere(session, &work.name) {
                    return;
                }
                match mcp.peers.send(worker, &question).await {
                    Ok(PeerReply { found: true }) | Err(PeerError::Silent | PeerError::Rejected) => missed = 0,
                    Err(PeerError::Unknown) if missed < MISSED_MAX => missed += 1,
                    Ok(_) | Err(PeerError::Unknown | PeerError::Refused) => break,
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

/// Events of the work of that name; none only says that it goes on.
fn delivery(session: SessionKey, events: &Bytes, errand: &Errand, last: bool) -> PeerMessage {
    PeerMessage::Deliver(message::Delivery {
        session,
        events: String::from_utf8_lossy(events).into_owned(),
        work: Some(errand.work.clone()),
        last,
    })
}
