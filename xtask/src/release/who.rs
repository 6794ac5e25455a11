//! Who releases: a person on a machine, or a run of the pipeline.

use std::process::Command;

use rustix::process::{Pid, test_kill_process};

use crate::environment;

/// Somebody who changes an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    /// `ana@laptop`, or the actor of a run.
    pub(crate) name: String,
    /// The machine.
    pub(crate) host: String,
    /// This process.
    pub(crate) process: u32,
    /// Page of the run.
    pub(crate) run: Option<String>,
}

impl Who {
    /// Looks around.
    pub(crate) fn am_i() -> Self {
        let said = |name: &str| environment::var(name).and_then(|value| value.into_string().ok());
        let host = Command::new("uname").arg("-n").output().ok();
        let host = host.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let host = host
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| "unknown".to_owned());
        let run = match (
            said("GITHUB_SERVER_URL"),
            said("GITHUB_REPOSITORY"),
            said("GITHUB_RUN_ID"),
        ) {
            (Some(server), Some(repository), Some(id)) => {
                Some(format!("{server}/{repository}/actions/runs/{id}"))
            }
            _ => None,
        };
        let user = said("USER").unwrap_or_else(|| "somebody".to_owned());
        let name = match (&run, said("GITHUB_ACTOR")) {
            (Some(_), Some(actor)) => actor,
            _ => format!("{user}@{host}"),
        };
        Self {
            name,
            host,
            process: std::process::id(),
            run,
        }
    }
}

/// Whether a process of this machine runs. One that may not be asked does.
pub(crate) fn is_alive(process: u32) -> bool {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_ended_is_not() {
        assert!(is_alive(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        assert!(!is_alive(id));
        assert!(!is_alive(0));
    }
}
