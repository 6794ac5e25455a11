//! The log of a slow call: what outlives the connection and the task that began it.

use serde::{Deserialize, Serialize};

use crate::id::{TaskId, UserId};

/// The head of a call's log. Its events are rows of their own, numbered from 1 without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// Whose call it is.
    pub user: UserId,
    /// The key of the legacy session that made it, as text; `None` for a request without one.
    pub session: Option<String>,
    /// The JSON-RPC id of the request, as JSON text.
    pub request_id: String,
    /// The task that runs it. Others end the call when that task is gone.
    pub owner: TaskId,
    /// The number of the newest event; 0 before the first.
    pub last_seq: u32,
    /// The newest event is the response.
    pub ended: bool,
    /// Seconds since the Unix epoch: how long the result waits to be fetched.
    pub expires_at: i64,
}

/// A slow call over HTTP+SSE, whose client has no place to come back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// The JSON-RPC id of the request, as JSON text.
    pub request_id: String,
    /// Seconds since the Unix epoch, moved on while the call is at work.
    pub expires_at: i64,
}
