//! What a verb does, as a list of steps: pure, so that a test can follow a roll and count the healthy targets.

use std::fmt;

/// One step, about the task with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start a process and register it as a target.
    Start(u32),
    /// Wait until the load balancer calls it healthy.
    Healthy(u32),
    /// Go on only if somebody else is healthy as well.
    Spare(u32),
    /// Take it out of the rotation.
    Deregister(u32),
    /// Wait the deregistration delay; ends early when the process does.
    Delay(u32),
    /// Cut what is still open to it.
    Close(u32),
    /// SIGTERM.
    Terminate(u32),
    /// Wait as long as ECS takes to deregister a task that it has signalled already.
    Lag(u32),
    /// Wait for its end; SIGKILL after `stopTimeout`.
    Exit(u32),
    /// SIGKILL, and wait for the end.
    Kill(u32),
}

/// Something that a person or a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// SIGKILL: a crash.
    Kill(u32),
    /// SIGTERM before the deregistration, as `StopTask` and a retired host do it.
    Stop(u32),
    /// Deregistration, its delay, SIGTERM: as a deployment treats an old task.
    Drain(u32),
    /// One more task.
    Add,
    /// A deployment.
    Roll,
    /// Unplug a task, or a service.
    Cut(Part),
    /// Plug it in again.
    Heal(Part),
}

/// Something that can be unplugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One task: nobody reaches it and it reaches nobody.
    Task(u32),
    /// The store: no task reaches it.
    Store,
    /// The key service.
    Kms,
    /// Google.
    Google,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "store" => Ok(Self::Store),
            "kms" => Ok(Self::Kms),
            "google" => Ok(Self::Google),
            number => number
                .parse()
                .map(Self::Task)
                .map_err(|_| "must be the number of a task, `store`, `kms` or `google`".to_owned()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => task.fmt(f),
            Self::Store => f.write_str("store"),
            Self::Kms => f.write_str("kms"),
            Self::Google => f.write_str("google"),
        }
    }
}

/// A crash.
pub(crate) fn kill(task: u32) -> Vec<Step> {
    vec![Step::Kill(task)]
}

/// A stop from outside: the process hears of it before the load balancer does.
pub(crate) fn stop(task: u32) -> Vec<Step> {
    vec![
        Step::Terminate(task),
        Step::Lag(task),
        Step::Deregister(task),
        Step::Exit(task),
    ]
}

/// An orderly end: the load balancer hears of it first.
pub(crate) fn drain(task: u32) -> Vec<Step> {
    vec![
        Step::Deregister(task),
        Step::Delay(task),
        Step::Close(task),
        Step::Terminate(task),
        Step::Exit(task),
    ]
}

/// A new task.
pub(crate) fn add(task: u32) -> Vec<Step> {
    vec![Step::Start(task), Step::Healthy(task)]
}

/// A deployment at 100 to 200 %: for each of `old` a new task, numbered from `first_new`, is healthy before the old one
/// leaves.
pub(crate) fn roll(old: &[u32], first_new: u32) -> Vec<Step> {
    let pairs = old.iter().zip(first_new..);
    let replacement = |(old, new): (&u32, u32)| [add(new), vec![Step::Spare(*old)], drain(*old)].concat();
    pairs.flat_map(replacement).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Plays the steps; returns the fewest healthy targets at any moment, and who runs in the end.
    fn play(steps: &[Step], before: &[u32]) -> (usize, Vec<u32>) {
        let mut running: BTreeSet<u32> = before.iter().copied().collect();
        let mut healthy = running.clone();
        let mut fewest = healthy.len();
        for step in steps {
            match *step {
                Step::Start(task) => assert!(running.insert(task), "{task} runs already"),
                Step::Healthy(task) => assert!(healthy.insert(task)),
                Step::Deregister(task) => assert!(healthy.remove(&task)),
                Step::Terminate(task) => assert!(!healthy.contains(&task), "{task} still gets requests"),
                Step::Exit(task) => assert!(running.remove(&task)),
                Step::Spare(task) => assert!(healthy.iter().any(|other| *other != task)),
                Step::Delay(_) | Step::Close(_) => {}
                Step::Lag(_) | Step::Kill(_) => panic!("not in a deployment"),
            }
            fewest = fewest.min(healthy.len());
        }
        (fewest, running.into_iter().collect())
    }

    #[test]
    fn a_roll_replaces_every_task_and_never_has_fewer_healthy_than_before() {
        for old in [&[1][..], &[1, 2], &[3, 5, 6]] {
            let (fewest, after) = play(&roll(old, 7), old);
            assert_eq!(fewest, old.len());
            assert_eq!(after, (7..).take(old.len()).collect::<Vec<_>>());
        }
        assert_eq!(roll(&[], 1), []);
    }

    #[test]
    fn a_roll_goes_one_by_one() {
        let steps = roll(&[1, 2], 3);
        assert_eq!(steps[..2], [Step::Start(3), Step::Healthy(3)]);
        let (gone, next) = (Step::Exit(1), Step::Start(4));
        let at = |wanted| steps.iter().position(|step| *step == wanted).unwrap();
        assert!(at(gone) < at(next));
    }

    #[test]
    fn a_stop_signals_first_and_a_drain_deregisters_first() {
        let at = |steps: &[Step], wanted| steps.iter().position(|step| *step == wanted).unwrap();
        let (stop, drain) = (stop(2), drain(2));
        assert!(at(&stop, Step::Terminate(2)) < at(&stop, Step::Deregister(2)));
        assert!(at(&drain, Step::Deregister(2)) < at(&drain, Step::Delay(2)));
        assert!(at(&drain, Step::Delay(2)) < at(&drain, Step::Terminate(2)));
    }

    #[test]
    fn a_part_is_written_as_it_is_read() {
        for text in ["12", "store", "kms", "google"] {
            assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
        }
        assert!("haproxy".parse::<Part>().is_err());
    }
}
