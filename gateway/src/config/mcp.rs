//! Streams and calls.

use std::time::Duration;

/// Settings of the MCP endpoint.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// `SSE_KEEPALIVE_INTERVAL`: a comment is written to every open stream this often.
    pub keepalive_interval: Duration,
    /// `REQUEST_TIMEOUT`: budget of one call. Streams have no limit.
    pub request_timeout: Duration,
    /// `SLOW_AFTER`: a call that takes longer turns into an SSE response.
    pub slow_after: Duration,
    /// `SESSION_IDLE_TTL`: how long the row of an unused legacy session is kept.
    pub session_idle_ttl: Duration,
}
