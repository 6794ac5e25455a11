//! When to ask Google again: exponential back-off with full jitter, and `Retry-After`. Pure.

use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// No single pause of our own choice is longer.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// The pause before try `attempt + 1`: a random part of `base` doubled with every attempt, so that
/// callers who failed together do not come back together. `draw` is uniformly random.
pub(crate) fn backoff(base: Duration, attempt: u32, draw: u64) -> Duration {
    let doubled = base.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let ceiling = u64::try_from(doubled.min(PAUSE_MAX).as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(draw % (ceiling + 1))
}

/// The pause that a `Retry-After` asks for: seconds or an HTTP date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(header: Option<&HeaderValue>, now: Timestamp) -> Option<Duration> {
    let text = header?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(header: &str) -> Option<u64> {
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        retry_after(Some(&HeaderValue::from_str(header).unwrap()), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_junk_is_ignored() {
        assert_eq!(asked("30"), Some(30));
        assert_eq!(asked("Fri, 20 Nov 2026 10:02:00 GMT"), Some(120));
        assert_eq!(
            asked("Fri, 20 Nov 2026 09:00:00 GMT"),
            Some(0),
            "a date in the past means now"
        );
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
        assert_eq!(retry_after(None, Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn the_pause_is_random_below_a_doubling_ceiling() {
        let base = Duration::from_millis(500);
        for (attempt, ceiling) in [(1, 500), (2, 1000), (3, 2000), (9, 8000), (u32::MAX, 8000)] {
            assert_eq!(backoff(base, attempt, 0), Duration::ZERO);
            assert_eq!(backoff(base, attempt, ceiling), Duration::from_millis(ceiling));
            for draw in [u64::MAX, 12_345, 987_654_321] {
                assert!(backoff(base, attempt, draw) <= Duration::from_millis(ceiling));
            }
        }
    }
}
