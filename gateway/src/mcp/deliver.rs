//! Answers of the deprecated HTTP+SSE transport: they go out on the session's stream, wherever that is held.
//!
//! A load balancer sends the stream of a client to one task and its POSTs to any. The URL that a client POSTs to
//! names the task that holds its stream; another one does the work itself and hands over the events.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::TaskId;
use crate::mcp::dispatch::Mcp;
use crate::mcp::running::{RunningCall, Step};
use crate::mcp::sse;
use crate::mcp::wheel::Hold;
use crate::session::directory::SessionKey;
use crate::session::peers::PeerError;
use crate::session::peers::message::PeerMessage;

/// How often events are handed over to a task that does not answer. It may have got them the first time; clients
/// pass over a response that they had, but would wait for one that never came.
const DELIVERIES: usize = 3;

/// Who holds the stream of a session.
#[derive(Debug)]
pub enum Holder {
    /// This task, which keeps the stream open through a drain for as long as this is not dropped.
    Here(Hold),
    /// Another one.
    At(TaskId),
}

impl Mcp {
    /// This task's name in the URL that HTTP+SSE clients POST to.
    pub fn task(&self) -> TaskId {
        self.peers.me()
    }

    /// Who holds the stream of a session: this task, or the `named` one if it says so. To be asked before work is
    /// begun: an answer that nobody can get would be worse than none.
    pub async fn holder(&self, session: SessionKey, named: Option<TaskId>) -> Option<Holder> {
        if let Some(hold) = self.wheel.hold(session) {
            return Some(Holder::Here(hold));
        }
        let task = named.filter(|task| *task != self.peers.me())?;
        let question = PeerMessage::Deliver {
            session,
            events: String::new(),
        };
        let answer = self.peers.send(task, &question).await;
        let holds = answer.is_ok_and(|reply| reply.found);
        holds.then_some(Holder::At(task))
    }

    /// Sends events on the stream of a session. `false`: the stream or its task is gone.
    pub async fn pass(&self, holder: &Holder, session: SessionKey, events: &Bytes) -> bool {
        let Holder::At(task) = holder else {
            return self.wheel.send(session, events);
        };
        let message = PeerMessage::Deliver {
            session,
            events: String::from_utf8_lossy(events).into_owned(),
        };
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
                if !mcp.pass(&holder, session, &sse::message(&message)).await {
                    tracing::info!(session = %session.text(), "the stream of a call is gone; its result is dropped");
                    return;
                }
                if last {
                    return;
                }
            }
        });
    }
}
