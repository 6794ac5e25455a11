//! What a tool gets along with its arguments: who asks, until when, and how to say how far it is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::principal::Principal;

/// Something a call says before its result.
#[derive(Debug)]
pub enum CallEvent {
    /// `notifications/progress`: steps done, of how many if known, and a sentence for people.
    Progress {
        done: f64,
        total: Option<f64>,
        message: String,
    },
    /// `notifications/message` at level `warning`.
    Warning { message: String },
    /// A request to the client.
    Ask(Ask),
}

/// A request of a tool to the client that called it, such as `elicitation/create`.
#[derive(Debug)]
pub struct Ask {
    /// The method.
    pub method: &'static str,
    /// Its parameters.
    pub params: Value,
    /// Where the outcome goes.
    pub answer: oneshot::Sender<Result<Value, AskError>>,
}

/// Why a client did not do what a tool asked of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The client does not offer this, or its era has no such requests.
    #[error("the client cannot be asked this")]
    Unsupported,
    /// Too many requests wait for answers.
    #[error("too many questions are open; try again later")]
    Busy,
    /// The client answered with a JSON-RPC error.
    #[error("the client refused: {0}")]
    Refused(String),
    /// The call is over, or nobody is left to answer.
    #[error("nobody answers any more")]
    Gone,
}

/// The context of one tool call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// Fires when the client cancelled or the process gives up on the call.
    pub cancel: CancellationToken,
    /// When the call has to be over.
    pub deadline: Instant,
    events: mpsc::Sender<CallEvent>,
}

impl CallContext {
    /// A context whose events arrive at `events` (bounded; events beyond the bound are dropped).
    pub fn new(
        principal: Arc<Principal>,
        cancel: CancellationToken,
        deadline: Instant,
        events: mpsc::Sender<CallEvent>,
    ) -> Self {
        Self {
            principal,
            cancel,
            deadline,
            events,
        }
    }

    /// Reports an event; a full or closed queue drops it, because a report must not hold up the work.
    pub fn report(&self, event: CallEvent) {
        let _ = self.events.try_send(event);
    }

    /// Asks the client, and waits for its answer as long as the call may take.
    pub async fn ask(&self, method: &'static str, params: Value) -> Result<Value, AskError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            method,
            params,
            answer,
        };
        let sent = self.events.send(CallEvent::Ask(ask)).await;
        sent.map_err(|_| AskError::Gone)?;
        answered.await.unwrap_or(Err(AskError::Gone))
    }

    /// Time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
