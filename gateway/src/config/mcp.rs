//! Streams and calls.

use std::time::Duration;

use super::env;
use super::parse::Reader;

/// Settings of the MCP endpoint.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// `SSE_KEEPALIVE_INTERVAL`: a comment is written to every open stream this often.
    pub keepalive_interval: Duration,
    /// `REQUEST_TIMEOUT`: budget of one call. Streams have no limit.
    pub request_timeout: Duration,
    /// `SLOW_AFTER`: a call that takes longer turns into an SSE response.
    pub slow_after: Duration,
    /// `MAX_CALLS_PER_USER`: how many calls of one person may be at work on this task.
    pub max_calls_per_user: usize,
    /// `SESSION_IDLE_TTL`: how long the row of an unused legacy session is kept.
    pub session_idle_ttl: Duration,
    /// `TEST_TOOLS=1`: the tools that tests need are there. Release builds do not know this setting.
    #[cfg(debug_assertions)]
    pub test_tools: bool,
}

impl McpConfig {
    /// Reads the section; `None` when a problem was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keepalive_interval = reader.millis(env::SSE_KEEPALIVE_INTERVAL);
        let request_timeout = reader.millis(env::REQUEST_TIMEOUT);
        let slow_after = reader.millis(env::SLOW_AFTER);
        let max_calls_per_user = reader.number(env::MAX_CALLS_PER_USER);
        let session_idle_ttl = reader.millis(env::SESSION_IDLE_TTL);
        let read = Self {
            keepalive_interval: keepalive_interval?,
            request_timeout: request_timeout?,
            slow_after: slow_after?,
            max_calls_per_user: usize::try_from(max_calls_per_user?).ok()?,
            session_idle_ttl: session_idle_ttl?,
            #[cfg(debug_assertions)]
            test_tools: reader.is_on("TEST_TOOLS"),
        };
        if read.slow_after >= read.request_timeout {
            let message = format!(
                "`SLOW_AFTER` is `{}`, which is not below `REQUEST_TIMEOUT`, which is `{}`",
                read.slow_after.as_millis(),
                read.request_timeout.as_millis()
            );
            reader.complain(
                env::SLOW_AFTER,
                message,
                "lower `SLOW_AFTER`, else no call ever turns into a stream before it is cut",
            );
            return None;
        }
        Some(read)
    }
}
