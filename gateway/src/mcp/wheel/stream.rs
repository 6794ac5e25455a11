//! What an idle stream is for, and why one ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::session::directory::SessionKey;

/// What a client is asked to wait after a stream that broke, unless it breaks too often. That of HTTP+SSE never tries
/// again after an answer that is not 200, which a load balancer gives for a task that died a moment ago.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_HTTP_SSE: Duration = Duration::from_secs(4);

/// What an idle stream is for.
#[derive(Debug)]
pub enum StreamKind {
    /// The GET stream of a legacy session (Streamable HTTP).
    Standalone,
    /// The GET stream of the deprecated HTTP+SSE transport: it carries all answers.
    HttpSse {
        /// Whose session it is, as in the session's seal.
        owner: [u8; 16],
    },
    /// `subscriptions/listen` (2026-07-28). The result message that ends it.
    Listen {
        /// The JSON-RPC response.
        result: Box<[u8]>,
        /// What tells of a changed tool list; `None`: the client did not ask for it.
        list_changed: Option<Box<[u8]>>,
    },
}

impl StreamKind {
    /// What its client is asked to wait before it opens the next one.
    pub fn retry(&self) -> Duration {
        match self {
            Self::HttpSse { .. } => RETRY_HTTP_SSE,
            Self::Standalone | Self::Listen { .. } => RETRY,
        }
    }

    pub(super) fn is_http_sse(&self) -> bool {
        matches!(self, Self::HttpSse { .. })
    }
}

/// A stream that the connection loop hands over.
#[derive(Debug)]
pub struct IdleStream {
    /// What it is for.
    pub kind: StreamKind,
    /// Whose it is.
    pub session: SessionKey,
    /// The grant that it was opened under; it ends when that is denied.
    pub grant: Arc<str>,
    /// Sent right after the response head: complete events.
    pub first: Bytes,
}

/// Why a stream ended, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed the connection.
    Client,
    /// The kernel reported an error: reset, or no acknowledgement for too long.
    Transport,
    /// The client did not read what waits for it.
    SlowReader,
    /// A newer stream of the same session took its place.
    Replaced,
    /// The client ended the session with DELETE.
    SessionEnded,
    /// The grant that it was opened under is denied.
    Revoked,
    /// The process is stopping.
    Drain,
    /// The process stops now, and what the stream had to say was not all said.
    Deadline,
}

impl CloseReason {
    /// The word in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Transport => "transport",
            Self::SlowReader => "slow_reader",
            Self::Replaced => "replaced",
            Self::SessionEnded => "session_ended",
            Self::Revoked => "revoked",
            Self::Drain => "drain",
            Self::Deadline => "deadline",
        }
    }
}

/// Which transport a client comes back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Streamable HTTP.
    Streamable,
    /// HTTP+SSE.
    HttpSse,
}
