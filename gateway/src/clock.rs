//! The wall clock and the pace of time, as a value that is passed in, so that a test can move the one and quicken
//! the other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// How much shorter than designed every interval is: 1, or less where hours are played in minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale(f64);

impl TimeScale {
    /// Every interval as designed.
    pub const REAL: Self = Self(1.0);

    /// The scale with this factor; `None` outside 0.001 to 1.
    pub fn new(factor: f64) -> Option<Self> {
        (0.001..=1.0).contains(&factor).then_some(Self(factor))
    }

    /// `interval` at this scale.
    pub fn apply(self, interval: Duration) -> Duration {
        if self == Self::REAL {
            return interval;
        }
        interval.mul_f64(self.0)
    }
}

impl fmt::Display for TimeScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells the wall-clock time, and how long intervals are. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    scale: TimeScale,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self {
            source: Source::System,
            scale: TimeScale::REAL,
        }
    }

    /// A clock that stands still at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self {
            source: Source::Manual(Arc::new(AtomicI64::new(start.as_millisecond()))),
            scale: TimeScale::REAL,
        }
    }

    /// This clock, with intervals at `scale`. The time of day is not scaled: tokens and rows carry it.
    #[must_use]
    pub fn with_scale(mut self, scale: TimeScale) -> Self {
        self.scale = scale;
        self
    }

    /// How long an interval of the design takes here.
    ///
    /// Every interval, pause and grace period that is a constant goes through this one place: polls, heartbeats, the
    /// steps of a drain. Durations of the configuration have been scaled already. Deadlines for somebody else's
    /// answer stay as they are, because the network is not quicker in a test.
    pub fn interval(&self, designed: Duration) -> Duration {
        self.scale.apply(designed)
    }

    /// The current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Manual(millis) => {
                Timestamp::from_millisecond(millis.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Seconds since the Unix epoch: the unit of JWT claims and of the store's expiry attribute.
    pub fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }

    /// Moves a manual clock forward. The system clock does not move: tests hold manual ones.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(millis) = &self.source {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_add(by, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_has_shorter_intervals_and_the_same_time_of_day() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let quick = clock
            .clone()
            .with_scale(TimeScale::new(0.05).expect("within its limits"));
        assert_eq!(clock.interval(Duration::MAX), Duration::MAX);
        assert_eq!(quick.interval(Duration::from_secs(20)), Duration::from_secs(1));
        quick.advance(Duration::from_secs(1));
        assert_eq!((clock.unix_seconds(), quick.unix_seconds()), (1, 1));
        assert_eq!(TimeScale::new(0.0), None);
        assert_eq!(TimeScale::new(f64::NAN), None);
    }
}
