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

impl Mcp {
    /// Acts on a message of task `from`. Quick: the sender waits.
    pub fn hear(self: &Arc<Self>, from: TaskId, message: PeerMessage) -> PeerReply {
        let found = match message {
            PeerMessage::Cancel {
                session,
                request_id,
                user,
            } => RequestId::from_json(&request_id).is_some_and(|id| self.inflight.cancel(session, &user, id)),
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
                    awaited: self.wheel.awaited(&grant),
                    ..PeerReply::default()
                };
            }
            PeerMessage::Succeeded { session, by } => self.wheel.succeed(session, by),
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

    /// Tells the other tasks that a client gives up on a call that does not run here. In the background: the client
    /// waits for nothing.
    pub(super) fn tell_cancel(&self, session: SessionKey, user: &UserId, id: &RequestId) {
        let cancel = PeerMessage::Cancel {
            session,
            request_id: id.as_json().to_owned(),
            user: user.clone(),
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
