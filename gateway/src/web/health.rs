//! What `/health`, `/ready` and `/status` answer: the shapes and the rules, without a socket.
//!
//! `/health` says whether this process works, whatever Google and the store do: a load balancer that replaced tasks
//! because Google is down would only make it worse. `/ready` says whether it should get new clients.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::timeouts::Timeout;
use crate::google::Reachability;
use crate::version;

/// How the gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything works.
    Ok,
    /// It serves, but Google does not answer.
    Degraded,
    /// It is about to stop.
    Draining,
}

impl State {
    /// The state that follows from the drain and from how Google answers. A drain outweighs all else.
    pub fn of(draining: bool, google: Reachability) -> Self {
        match google {
            _ if draining => Self::Draining,
            Reachability::Unreachable => Self::Degraded,
            Reachability::Reachable | Reachability::Unknown => Self::Ok,
        }
    }
}

/// The name of a reachability, as the endpoints and the landing page write it.
pub fn reachability(google: Reachability) -> &'static str {
    match google {
        Reachability::Unknown => "unknown",
        Reachability::Reachable => "reachable",
        Reachability::Unreachable => "unreachable",
    }
}

/// The open connections of this task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connections {
    /// How many are open.
    pub active: usize,
    /// Age of the oldest one; zero without any.
    pub oldest: Duration,
    /// Their mean age; zero without any.
    pub average_age: Duration,
}

/// The body of `/health`. The status is always 200: a task that drains is not broken, and killing it early would cut
/// the calls it still finishes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    status: &'static str,
    ok: bool,
    draining: bool,
    active_connections: usize,
    uptime: u64,
    timestamp: Timestamp,
    connections: ConnectionAges,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionAges {
    sse_keep_alive_interval: u128,
    oldest_connection: u64,
    average_age: u64,
}

impl Health {
    /// `keepalive` is the interval of comments on streams, written in milliseconds; ages and `uptime` are written in
    /// whole seconds.
    pub fn new(
        draining: bool,
        connections: Connections,
        keepalive: Duration,
        uptime: Duration,
        now: Timestamp,
    ) -> Self {
        Self {
            status: if draining { "draining" } else { "ok" },
            ok: !draining,
            draining,
            active_connections: connections.active,
            uptime: uptime.as_secs(),
            timestamp: now,
            connections: ConnectionAges {
                sse_keep_alive_interval: keepalive.as_millis(),
                oldest_connection: connections.oldest.as_secs(),
                average_age: connections.average_age.as_secs(),
            },
        }
    }
}

/// The body of `/ready`.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    status: &'static str,
    google: &'static str,
}

impl Ready {
    /// The body, and its status: 503 while draining only, because a task without Google still serves every client as
    /// well as any other task would.
    pub fn new(draining: bool, google: Reachability) -> (StatusCode, Self) {
        let (code, status) = match State::of(draining, google) {
            State::Ok => (StatusCode::OK, "ready"),
            State::Degraded => (StatusCode::OK, "degraded"),
            State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        };
        let google = reachability(google);
        (code, Self { status, google })
    }
}

/// The body of `/status`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    version: &'static str,
    git_sha: &'static str,
    rmcp_version: &'static str,
    uptime: u64,
    timeouts: Vec<Timeout>,
    tools: BTreeMap<&'static str, usize>,
    streams: usize,
    connections: usize,
}

impl Status {
    /// `tools` counts the tools of each profile; `uptime` is written in whole seconds.
    pub fn new(
        uptime: Duration,
        timeouts: Vec<Timeout>,
        tools: BTreeMap<&'static str, usize>,
        streams: usize,
        connections: usize,
    ) -> Self {
        Self {
            version: version::VERSION,
            git_sha: version::GIT_SHA,
            rmcp_version: version::RMCP_VERSION,
            uptime: uptime.as_secs(),
            timeouts,
            tools,
            streams,
            connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(draining: bool) -> Health {
        let connections = Connections {
            active: 3,
            oldest: Duration::from_millis(312_999),
            average_age: Duration::from_millis(104_500),
        };
        let now = "2026-11-20T12:00:00Z".parse().expect("a time");
        let (keepalive, uptime) = (Duration::from_secs(15), Duration::from_millis(3_600_900));
        Health::new(draining, connections, keepalive, uptime, now)
    }

    #[test]
    fn health_has_the_documented_shape() {
        insta::assert_json_snapshot!(health(false), @r#"
        {
          "status": "ok",
          "ok": true,
          "draining": false,
          "activeConnections": 3,
          "uptime": 3600,
          "timestamp": "2026-11-20T12:00:00Z",
          "connections": {
            "sseKeepAliveInterval": 15000,
            "oldestConnection": 312,
            "averageAge": 104
          }
        }
        "#);
    }

    #[test]
    fn health_says_when_it_drains() {
        let body = serde_json::to_value(health(true)).expect("JSON");
        assert_eq!(
            (&body["status"], &body["ok"], &body["draining"]),
            (&"draining".into(), &false.into(), &true.into())
        );
    }

    #[test]
    fn only_a_drain_makes_the_task_unready() {
        let cases = [
            (false, Reachability::Unknown, 200, "ready", "unknown"),
            (false, Reachability::Reachable, 200, "ready", "reachable"),
            (false, Reachability::Unreachable, 200, "degraded", "unreachable"),
            (true, Reachability::Reachable, 503, "draining", "reachable"),
            (true, Reachability::Unreachable, 503, "draining", "unreachable"),
        ];
        for (draining, google, code, status, name) in cases {
            let (got, body) = Ready::new(draining, google);
            let body = serde_json::to_value(body).expect("JSON");
            assert_eq!(got.as_u16(), code);
            assert_eq!(body, serde_json::json!({"status": status, "google": name}));
        }
    }

    #[test]
    fn status_has_the_documented_shape() {
        let timeouts = vec![
            Timeout {
                name: "SLOW_AFTER",
                ms: Some(2_000),
                rule: "Below `REQUEST_TIMEOUT`.",
            },
            Timeout {
                name: "age of a stream",
                ms: None,
                rule: "Unlimited.",
            },
        ];
        let tools = BTreeMap::from([("core", 13)]);
        let status = Status {
            version: "0.1.0",
            git_sha: "0123456789ab",
            rmcp_version: "3.9.0",
            ..Status::new(Duration::from_millis(90_900), timeouts, tools, 2, 5)
        };
        insta::assert_json_snapshot!(status, @r#"
        {
          "version": "0.1.0",
          "gitSha": "0123456789ab",
          "rmcpVersion": "3.9.0",
          "uptime": 90,
          "timeouts": [
            {
              "name": "SLOW_AFTER",
              "ms": 2000,
              "rule": "Below `REQUEST_TIMEOUT`."
            },
            {
              "name": "age of a stream",
              "ms": null,
              "rule": "Unlimited."
            }
          ],
          "tools": {
            "core": 13
          },
          "streams": 2,
          "connections": 5
        }
        "#);
    }
}
