//! The timeout ladder: every effective time limit with the rule it follows, for people and for checks.

use std::time::Duration;

use serde::Serialize;

use super::variable::Variable;
use super::{Config, env};

/// The idle timeout of the load balancer that the values are made for. Set in `infra`, not here.
pub const LOAD_BALANCER_IDLE: Duration = Duration::from_mins(5);

/// One rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeout {
    /// The variable that sets it, or what it limits when nothing does.
    pub name: &'static str,
    /// The limit in milliseconds; `None`: there is no limit.
    pub ms: Option<u64>,
    /// Why it has this value.
    pub rule: &'static str,
}

impl Config {
    /// Every effective time limit, from the shortest-lived thing to the longest. Printed at start.
    pub fn timeouts(&self) -> Vec<Timeout> {
        let set = |variable: &Variable, value: Duration| Timeout {
            name: variable.name,
            ms: Some(millis(value)),
            rule: variable.why,
        };
        let (server, mcp) = (&self.server, &self.mcp);
        vec![
            set(env::SLOW_AFTER, mcp.slow_after),
            set(env::SSE_KEEPALIVE_INTERVAL, mcp.keepalive_interval),
            set(env::TCP_KEEPALIVE, server.tcp_keepalive),
            set(env::HEADER_TIMEOUT, server.header_timeout),
            set(env::DRAIN_GRACE, server.drain_grace),
            set(env::DRAIN_TIMEOUT, server.drain_timeout),
            set(env::REQUEST_TIMEOUT, mcp.request_timeout),
            Timeout {
                name: "load balancer idle timeout, expected",
                ms: Some(millis(self.time_scale.apply(LOAD_BALANCER_IDLE))),
                rule: "Above three comments on a stream, below `KEEP_ALIVE_TIMEOUT`.",
            },
            set(env::KEEP_ALIVE_TIMEOUT, server.keep_alive_timeout),
            set(env::SESSION_IDLE_TTL, mcp.session_idle_ttl),
            Timeout {
                name: "age of a connection",
                ms: None,
                rule: "A connection that is used lives as long as its client wants.",
            },
            Timeout {
                name: "age of a stream",
                ms: None,
                rule: "Clients do not recover well from a stream that ends.",
            },
        ]
    }
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
