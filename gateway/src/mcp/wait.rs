//! `gateway_wait`: a call that does nothing, slowly, and says how far it is.
//!
//! `cargo xtask verify --full` (L16) calls it to see whether long calls come through everything between a client and
//! the gateway. It is served to whoever names it, like any other tool and within the same limits, and is in no list: no
//! model has a use for it.

use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::Value;
use tokio::time::Instant;

use super::dispatch::failed;
use super::error::printable;
use crate::clock::Clock;
use crate::model::call::{CallContext, CallEvent};

/// Its name.
pub(super) const NAME: &str = "gateway_wait";

/// The most that `seconds` may be, where a call may take longer than that.
const SECONDS_MAX: u128 = 300;
/// How often it says how far it is, and how often at least.
const REPORT_EVERY: Duration = Duration::from_secs(10);
const REPORTS_MIN: u32 = 10;

/// Waits for `seconds` of the design.
pub(super) async fn call(context: &CallContext, arguments: &JsonObject, clock: &Clock) -> CallToolResult {
    let begun = Instant::now();
    let second = clock.interval(Duration::from_secs(1));
    let seconds = match seconds(arguments, context.remaining(), second) {
        Ok(seconds) => seconds,
        Err(message) => return failed("invalid_argument", &message),
    };
    let total = second * seconds;
    let pause = clock.interval(REPORT_EVERY).min(total / REPORTS_MIN);
    let mut waited = pause;
    while waited < total {
        tokio::time::sleep_until(begun + waited).await;
        let done = waited.div_duration_f64(second);
        context.report(CallEvent::Progress {
            done,
            total: Some(f64::from(seconds)),
            message: format!("{done:.1} of {seconds} s"),
        });
        waited += pause;
    }
    tokio::time::sleep_until(begun + total).await;
    CallToolResult::success(vec![ContentBlock::text(format!("waited {seconds} s"))])
}

/// How long to wait, which has to be over before the call is: else what is wrong with it.
fn seconds(arguments: &JsonObject, remaining: Duration, second: Duration) -> Result<u32, String> {
    let in_time = remaining.saturating_sub(Duration::from_millis(1));
    let longest = (in_time.as_nanos() / second.as_nanos()).min(SECONDS_MAX);
    let given = arguments.get("seconds");
    let wanted = given
        .and_then(Value::as_u64)
        .and_then(|given| u32::try_from(given).ok());
    wanted
        .filter(|wanted| *wanted >= 1 && u128::from(*wanted) <= longest)
        .ok_or_else(|| {
            let given = given.map_or_else(|| "missing".to_owned(), |given| format!("`{}`", printable(&given.to_string())));
            format!("`seconds` is {given}; it must be a whole number from 1 to {longest}, which is shorter than `REQUEST_TIMEOUT`")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wait_is_over_before_its_call_has_to_be() {
        let asked = |given: Value, remaining: u64| {
            let arguments = JsonObject::from_iter([("seconds".to_owned(), given)]);
            seconds(
                &arguments,
                Duration::from_millis(remaining),
                Duration::from_millis(10),
            )
        };
        assert_eq!(asked(json!(1), 3_000), Ok(1));
        assert_eq!(asked(json!(299), 3_000), Ok(299));
        assert_eq!(asked(json!(300), 9_000), Ok(300));
        for (given, remaining, longest) in [
            (json!(300), 3_000, 299),
            (json!(301), 9_000, 300),
            (json!(0), 9_000, 300),
            (json!(-1), 9_000, 300),
            (json!(1.5), 9_000, 300),
            (json!("1"), 9_000, 300),
            (json!(u64::MAX), 9_000, 300),
        ] {
            let message = asked(given.clone(), remaining).unwrap_err();
            let wanted = format!("a whole number from 1 to {longest}");
            assert!(
                message.starts_with(&format!("`seconds` is `{given}`")),
                "{message}"
            );
            assert!(message.contains(&wanted), "{message}");
        }
        let missing = seconds(&JsonObject::new(), Duration::from_secs(9), Duration::from_secs(1));
        assert!(missing.unwrap_err().starts_with("`seconds` is missing"));
    }
}
