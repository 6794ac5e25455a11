//! What a tool gets along with its arguments: who asks, until when, and how to say how far it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::principal::Principal;

/// Something a call reports before its result.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEvent {
    /// `notifications/progress`: steps done, of how many if known, and a sentence for people.
    Progress {
        done: f64,
        total: Option<f64>,
        message: String,
    },
    /// `notifications/message` at level `warning`.
    Warning { message: String },
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

    /// Time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
