//! `TIME_SCALE`: one knob that shortens every duration of the configuration.

use std::time::Duration;

use super::parse::{Reader, Refusal};
use super::{Config, env};
use crate::clock::TimeScale;

/// TCP keep-alive is set in whole seconds.
const TCP_KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// Reads the scale; `None` when a problem was noted. A release build runs at [`TimeScale::REAL`], whatever is set.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<TimeScale> {
    let scale = reader.get(env::TIME_SCALE, |value| {
        let scale = value.parse().ok().and_then(TimeScale::new);
        scale.ok_or_else(|| Refusal::new(env::TIME_SCALE.kind.to_string(), env::TIME_SCALE.advice()))
    })?;
    if scale == TimeScale::REAL {
        return Some(scale);
    }
    if cfg!(debug_assertions) {
        reader.warnings.push(format!(
            "`TIME_SCALE` is `{scale}`: every interval and timeout is that much of what it should be"
        ));
        return Some(scale);
    }
    reader
        .warnings
        .push("`TIME_SCALE` is not read by a release build".to_owned());
    Some(TimeScale::REAL)
}

impl Config {
    /// Multiplies every duration of every section. Their limits have been checked, and hold for the designed values.
    pub(super) fn scale(&mut self) {
        let scale = self.time_scale;
        let (server, mcp) = (&mut self.server, &mut self.mcp);
        for duration in [
            &mut server.keep_alive_timeout,
            &mut server.header_timeout,
            &mut server.tcp_keepalive,
            &mut server.drain_grace,
            &mut server.drain_timeout,
            &mut mcp.keepalive_interval,
            &mut mcp.request_timeout,
            &mut mcp.slow_after,
            &mut mcp.session_idle_ttl,
        ] {
            *duration = scale.apply(*duration);
        }
        server.tcp_keepalive = server.tcp_keepalive.max(TCP_KEEPALIVE_MIN);
    }
}
