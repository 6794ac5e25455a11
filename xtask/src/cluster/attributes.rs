//! The numbers of the production topology: load balancer, target group and service, as AWS knows them.

use std::time::Duration;

/// What the load balancer and the target group are configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `idle_timeout.timeout_seconds`: for both sides of the load balancer.
    pub(crate) idle_timeout: Duration,
    /// `deregistration_delay.timeout_seconds`: how long open connections outlive a deregistration.
    pub(crate) deregistration_delay: Duration,
    /// `stickiness.lb_cookie.duration_seconds`; `None`: no cookie.
    pub(crate) stickiness: Option<Duration>,
    /// When a target counts as healthy.
    pub(crate) health: HealthCheck,
    /// What ECS adds to it.
    pub(crate) service: Service,
}

/// How the load balancer asks its targets whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    /// Answered 200 by a target that is well.
    pub(crate) path: String,
    /// From one question to the next.
    pub(crate) interval: Duration,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// Good answers in a row that make a target healthy.
    pub(crate) healthy: u32,
    /// Bad ones that make it unhealthy.
    pub(crate) unhealthy: u32,
}

/// How the service treats its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// `stopTimeout`: from SIGTERM to SIGKILL.
    pub(crate) stop_timeout: Duration,
    /// From the end of a process until its target is deregistered.
    pub(crate) notice: Duration,
    /// From SIGTERM until the target is deregistered, where a task is stopped from outside.
    pub(crate) stop_lag: Duration,
    /// From the end of a task until its replacement starts.
    pub(crate) replacement: Duration,
    /// How long a new task may take to become healthy; includes the grace period.
    pub(crate) health_limit: Duration,
}

impl Attributes {
    /// As `infra` declares them. What AWS does not say in numbers (how soon ECS notices) is what people measured.
    pub(crate) fn production() -> Self {
        Self {
            idle_timeout: Duration::from_mins(5),
            deregistration_delay: Duration::from_mins(5),
            stickiness: None,
            health: HealthCheck {
                path: "/health".to_owned(),
                interval: Duration::from_secs(15),
                timeout: Duration::from_secs(10),
                healthy: 2,
                unhealthy: 3,
            },
            service: Service {
                stop_timeout: Duration::from_mins(2),
                notice: Duration::from_secs(3),
                stop_lag: Duration::from_secs(10),
                replacement: Duration::from_secs(5),
                health_limit: Duration::from_mins(3),
            },
        }
    }

    /// Every duration at `scale`. A limit on how long real work may take keeps room for it.
    pub(crate) fn scaled(mut self, scale: TimeScale) -> Self {
        let health = &mut self.health;
        let service = &mut self.service;
        for duration in [
            &mut self.idle_timeout,
            &mut self.deregistration_delay,
            &mut health.interval,
            &mut service.notice,
            &mut service.stop_lag,
            &mut service.replacement,
        ] {
            *duration = scale.apply(*duration);
        }
        health.timeout = scale.apply(health.timeout).max(LEAST_WORK);
        service.stop_timeout = scale.apply(service.stop_timeout).max(LEAST_WORK);
        service.health_limit = scale.apply(service.health_limit).max(LEAST_START);
        self.stickiness = self.stickiness.map(|duration| scale.apply(duration));
        self
    }
}

/// A busy machine takes this long for an answer, whatever the scale.
const LEAST_WORK: Duration = Duration::from_secs(2);
/// And this long to start a process.
const LEAST_START: Duration = Duration::from_secs(30);

/// What every interval is multiplied by; the gateway gets the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TimeScale(f64);

impl TimeScale {
    /// Whether time runs as in production.
    pub(crate) fn is_real(self) -> bool {
        self.0 >= 1.0
    }

    /// The factor.
    pub(crate) fn factor(self) -> f64 {
        self.0
    }

    /// `duration` at this scale.
    pub(crate) fn apply(self, duration: Duration) -> Duration {
        duration.mul_f64(self.0)
    }
}

impl std::str::FromStr for TimeScale {
    type Err = String;

    /// The limits are those of the gateway's `TIME_SCALE`.
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|factor| (0.001..=1.0).contains(factor))
            .map(Self)
            .ok_or_else(|| "must be a number from 0.001 to 1".to_owned())
    }
}

impl std::fmt::Display for TimeScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(scale: &str) -> Attributes {
        Attributes::production().scaled(scale.parse().unwrap())
    }

    #[test]
    fn one_knob_shortens_every_interval() {
        let quick = at("0.05");
        let millis = |duration: Duration| duration.as_millis();
        assert_eq!(millis(quick.idle_timeout), 15_000);
        assert_eq!(millis(quick.deregistration_delay), 15_000);
        assert_eq!(millis(quick.health.interval), 750);
        assert_eq!(millis(quick.service.stop_timeout), 6_000);
        assert_eq!(millis(quick.service.notice), 150);
        assert_eq!(millis(quick.service.stop_lag), 500);
        assert_eq!((quick.health.healthy, quick.health.unhealthy), (2, 3));
        assert_eq!(at("1"), Attributes::production());
    }

    #[test]
    fn what_takes_real_work_keeps_time_for_it() {
        let quickest = at("0.001");
        assert_eq!(quickest.health.timeout, LEAST_WORK);
        assert_eq!(quickest.service.stop_timeout, LEAST_WORK);
        assert_eq!(quickest.service.health_limit, LEAST_START);
    }

    #[test]
    fn a_scale_that_the_gateway_would_refuse_is_refused_here() {
        for bad in ["0", "1.5", "-1", "NaN", "fast", ""] {
            assert!(bad.parse::<TimeScale>().is_err(), "{bad}");
        }
        assert_eq!("0.05".parse::<TimeScale>().unwrap().to_string(), "0.05");
    }
}
