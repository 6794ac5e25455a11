//! What tasks tell each other: what this one does about what it hears, and what it says.

use std::sync::Arc;

use serde_json::Value;

use crate::id::{TaskId, UserId};
use crate::mcp::dispatch::Mcp;
use crate::mcp::envelope::RequestId;
use crate::session::directory::SessionKey;
use crate::session::events::CallId;
use crate::session::peers::PeerError;
use crate::session::peers::message::{PeerMessage, PeerReply};

/// How often an answer is passed on to a task that does not answer.
const TRIES: usize = 3;
/// Streams that a client of HTTP+SSE may have had one after the other since it asked for what it gives up on.
const HOPS_MAX: u8 = 4;

/// What is known of the task that works for a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// It is at work, or nobody can say that it is not.
    MayRun,
    /// It is not among the living. One that was too busy for its heartbeats is back with the next one.
    Missing,
    /// It is certainly gone, or has forgotten the work.
    Gone,
}

impl Mcp {
    /// Asks another task whether it still is at `work`. One that is only silent may be.
    pub(super) async fn worker(&self, task: TaskId, work: String) -> Worker {
        match self.peers.send(task, &PeerMessage::Running { call: work }).await {
            Ok(reply) if !reply.found => Worker::Gone,
            Err(PeerError::Refused) => Worker::Gone,
            Err(PeerError::Unknown) => Worker::Missing,
            Ok(_) | Err(PeerError::Silent | PeerError::Rejected) => Worker::MayRun,
        }
    }

    /// Acts on a message of task `from`. Quick: the sender waits.
    pub fn hear(self: &Arc<Self>, from: TaskId, message: PeerMessage) -> PeerReply {
        let found = match message {
            PeerMessage::Cancel {
                session,
                request_id,
                user,
                hops,
            } => RequestId::from_json(&request_id)
                .is_some_and(|id| self.cancel_here(session, &user, &id, hops)),
            PeerMessage::Ended { session } => {
                self.sessions.note_end(session);
                self.wheel.close_session(session)
            }
            PeerMessage::Deliver(delivery) => return self.carry(from, delivery),
            PeerMessage::Answer { id, user, response } => {
                let id = RequestId::from_json(&Value::from(id).to_string());
                id.is_some_and(|id| self.asks.answer(&id, &user, response.get().as_bytes()))
            }
            PeerMessage::Running { call } => {
                CallId::parse(&call).is_some_and(|call| self.log.runs(call)) || self.errands.runs(&call)
            }
            PeerMessage::Leaving { grants } => {
                return PeerReply {
                    leaving: self.also_leaving(&grants),
                    ..PeerReply::default()
                };
            }
            PeerMessage::Returned { grant } => {
                return PeerReply {
                    missed: Some(self.wheel.missed(&grant)),
                    ..PeerReply::default()
                };
            }
            PeerMessage::Succeeded { session, grant, by } => self.wheel.succeed(session, &grant, by),
        };
        PeerReply::found(found)
    }

    /// Tells `owner` that a client answered a request of its. In the background: the client waits for nothing.
    pub(super) fn tell_answer(&self, owner: TaskId, user: &UserId, id: &RequestId, response: &str) {
        let (Ok(id), Ok(response)) = (serde_json::from_str(id.as_json()), serde_json::from_str(response))
        else {
            return;
        };
        let user = user.clone();
        let answer = PeerMessage::Answer { id, user, response };
        let peers = self.peers.clone();
        self.lifecycle.spawn(async move {
            for _ in 0..TRIES {
                match peers.send(owner, &answer).await {
                    // It may have got the answer the first time, and then finds no request any more.
                    Err(PeerError::Silent) => {}
                    Ok(reply) if reply.found => return,
                    Ok(_) | Err(_) => break,
                }
            }
            tracing::info!(task = %owner, "an answer came that nobody waits for");
        });
    }

    /// Ends a call that runs here, or was begun on a stream that ended here before the client had the one of `session`:
    /// then it may run anywhere, and the other tasks are told. `hops`: how often that happened on the way here.
    pub(super) fn cancel_here(&self, session: SessionKey, user: &UserId, id: &RequestId, hops: u8) -> bool {
        if self.inflight.cancel(session, user, id.clone()) {
            return true;
        }
        let before = self.wheel.predecessor(session).filter(|_| hops < HOPS_MAX);
        let Some(before) = before else {
            return false;
        };
        if !self.cancel_here(before, user, id, hops + 1) {
            self.tell_cancel(before, user, id, hops + 1);
        }
        true
    }

    /// Tells the other tasks that a client gives up on a call that does not run here. In the background: the client
    /// waits for nothing.
    pub(super) fn tell_cancel(&self, session: SessionKey, user: &UserId, id: &RequestId, hops: u8) {
        let cancel = PeerMessage::Cancel {
            session,
            request_id: id.as_json().to_owned(),
            user: user.clone(),
            hops,
        };
        let peers = self.peers.clone();
        self.lifecycle.spawn(async move {
            let found = peers.broadcast(&cancel).await;
            tracing::debug!(session = %session.text(), found, "cancel was passed on");
        });
    }

    /// Tells the other tasks that a session is over.
    pub fn tell_end(&self, session: SessionKey) {
        let peers = self.peers.clone();
        self.lifecycle.spawn(async move {
            peers.broadcast(&PeerMessage::Ended { session }).await;
        });
    }
}
