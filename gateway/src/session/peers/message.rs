//! What tasks say to each other.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::UserId;
use crate::session::directory::SessionKey;

/// A message to another task. The sender has checked that `user` owns what it names; the receiver checks again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMessage {
    /// A client answered a request of the receiver, which waits for it.
    Answer {
        /// The id that the receiver minted for its request.
        id: String,
        /// Who answered.
        user: UserId,
        /// The JSON-RPC response, as it came.
        response: Box<RawValue>,
    },
    /// A client gives up on a call, which may run at the receiver.
    Cancel {
        /// The session of the call.
        session: SessionKey,
        /// The call's JSON-RPC id, as JSON text.
        request_id: String,
        /// Who cancels.
        user: UserId,
    },
    /// A client ended its session.
    Ended {
        /// The session.
        session: SessionKey,
    },
    /// Events for a stream of the HTTP+SSE transport that the receiver holds; none only asks for the stream.
    Deliver(Delivery),
    /// Asks whether a call is at work at the receiver.
    Running {
        /// The id of the call, or the name that the receiver gave its work for a stream.
        call: String,
    },
}

/// What goes out on a stream of another task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The session of the stream.
    pub session: SessionKey,
    /// Complete server-sent events.
    pub events: String,
    /// The work that these are of: the stream is to stay open for it.
    #[serde(default)]
    pub work: Option<Work>,
    /// These are the last events of that work.
    #[serde(default)]
    pub last: bool,
}

/// Work of one task for a stream of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Work {
    /// What the task that does it calls it.
    pub name: String,
    /// The JSON-RPC id of the request that it is for, as JSON text.
    pub request_id: String,
}

impl PeerMessage {
    /// The word in logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Cancel { .. } => "cancel",
            Self::Ended { .. } => "ended",
            Self::Deliver(_) => "deliver",
            Self::Running { .. } => "running",
        }
    }
}

/// What a task answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReply {
    /// Whether what the message is about was there: the request, the call, the session's stream.
    pub found: bool,
}
