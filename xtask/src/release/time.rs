//! Times as people read them and as they are kept: UTC, to the second.

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a release learns what time it is"
)]
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// `2026-10-20T23:46:40Z`.
pub(crate) fn shown(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // The civil calendar in eras of 400 years, in which a year begins in March, so that its odd day comes last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `3 min`, `2 h`, `5 d`: how long ago or ahead something is.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verify::facts;

    #[test]
    fn a_time_is_read_back_as_it_was_written() {
        for seconds in [0, 951_782_400, 1_709_208_000, 1_792_540_000, 4_107_542_399] {
            let text = shown(seconds);
            let read = facts::seconds(&json!(text)).unwrap();
            assert!(
                (read - f64::from(u32::try_from(seconds).unwrap())).abs() < 0.5,
                "{text}"
            );
        }
        assert_eq!(shown(951_782_400), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn a_span_has_the_unit_that_people_would_use() {
        let rows = [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7200, "2 h"),
            (200_000, "2 d"),
        ];
        for (seconds, shown) in rows {
            assert_eq!(span(seconds), shown);
        }
    }
}
