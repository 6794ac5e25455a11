//! What tasks say to each other.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{TaskId, UserId};
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
        /// How often it was passed on to the session that the client had before.
        #[serde(default)]
        hops: u8,
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
    /// Streams of HTTP+SSE under these grants are to end at the sender: of which grants does a client leave the receiver?
    Leaving {
        /// The grants.
        grants: Vec<String>,
    },
    /// A client of HTTP+SSE came back with a new stream under this grant: which clients of the grant does the receiver
    /// miss?
    Returned {
        /// The grant.
        grant: String,
    },
    /// The client whose stream ended at the receiver has another one now.
    Succeeded {
        /// The session of the stream that ended.
        session: SessionKey,
        /// The grant of both.
        grant: String,
        /// The stream that came instead.
        by: Successor,
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

/// The stream that a client opened after one that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// Its session.
    pub session: SessionKey,
    /// The task that holds it.
    pub task: TaskId,
}

/// Where the client is whose stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// Not back yet.
    Awaited,
    /// On another stream.
    At(Successor),
}

/// What a task knows of the clients of one grant whose streams of HTTP+SSE ended there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many did not come back within the last minute.
    pub count: usize,
    /// The session of the one that is expected now; of many, the last.
    pub awaited: Option<SessionKey>,
    /// A drain ended the stream of that one, so it is sure to have lost it.
    pub drained: bool,
    /// How many streams of the grant are open there.
    pub open: usize,
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
            Self::Leaving { .. } => "leaving",
            Self::Returned { .. } => "returned",
            Self::Succeeded { .. } => "succeeded",
        }
    }
}

/// What a task answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReply {
    /// Whether what the message is about was there: the request, the call, the session's stream.
    pub found: bool,
    /// Where the client is whose stream was asked for and ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<Whereabouts>,
    /// The clients that are missed, if that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// The places in the question's list of the grants of which a client leaves, if that was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<usize>,
}

impl PeerReply {
    /// Yes or no.
    pub fn found(found: bool) -> Self {
        Self {
            found,
            ..Self::default()
        }
    }
}
