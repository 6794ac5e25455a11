//! One gateway task: its addresses, its environment, its process, and what the load balancer makes of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use serde_json::{Value, json};

use super::partition::{self, Wire};
use crate::process::Process;

/// Task 1 has the address after this one.
const BASE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);

/// Where the load balancer stands with a task, in the words of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not registered.
    Unused,
    /// Registered, and not checked often enough yet.
    Initial,
    /// In the rotation.
    Healthy,
    /// Out of the rotation until its checks pass again.
    Unhealthy,
    /// Deregistered, with connections that live on.
    Draining,
}

impl Health {
    /// The word in events and in the picture.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }

    /// What follows from a look at a registered target.
    pub(crate) fn seen(self, up: bool) -> Self {
        match self {
            Self::Unused | Self::Draining => self,
            _ if up => Self::Healthy,
            Self::Initial => Self::Initial,
            Self::Healthy | Self::Unhealthy => Self::Unhealthy,
        }
    }
}

/// What all tasks have in common.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The program.
    pub(crate) gateway: PathBuf,
    /// Its whole environment, less what tells tasks apart.
    pub(crate) environment: Vec<(String, String)>,
    /// For clients, on each task's own address.
    pub(crate) port: u16,
    /// For other tasks.
    pub(crate) peer_port: u16,
    /// Where the logs go.
    pub(crate) directory: PathBuf,
}

impl Recipe {
    /// The address that task `number` alone has.
    pub(crate) fn address(&self, number: u32) -> SocketAddr {
        SocketAddr::from((ip(number), self.port))
    }

    /// Where the other tasks reach it.
    pub(crate) fn peer_address(&self, number: u32) -> SocketAddr {
        SocketAddr::from((ip(number), self.peer_port))
    }

    /// Its log.
    pub(crate) fn log(&self, number: u32) -> PathBuf {
        self.directory.join(format!("task-{number}.log"))
    }

    /// How its traffic is recognised.
    pub(crate) fn wire(&self, number: u32) -> Wire {
        Wire {
            addresses: vec![self.address(number), self.peer_address(number)],
            group: Some(self.group(number)),
        }
    }

    /// A group that no other process runs as.
    fn group(&self, number: u32) -> u32 {
        1_000_000 + u32::from(self.port) * 1_000 + number % 1_000
    }

    /// Starts task `number`.
    pub(crate) fn start(&self, number: u32) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.gateway);
        let host = ip(number).to_string();
        command
            .arg("serve")
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("HOST", &host)
            .env("PORT", self.port.to_string())
            .env("PEER_HOST", &host)
            .env("PEER_PORT", self.peer_port.to_string());
        if partition::may_cut() {
            command.gid(self.group(number));
        }
        Process::start(&format!("task {number}"), &mut command, &self.log(number))
    }
}

fn ip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(BASE) + number)
}

/// A task whose process runs, or ended a moment ago.
#[derive(Debug)]
pub(crate) struct Member {
    /// The process.
    pub(crate) process: Process,
    /// Its place in the load balancer.
    pub(crate) slot: usize,
    /// What the load balancer makes of it.
    pub(crate) health: Health,
    /// Requests and streams in progress.
    pub(crate) open: u64,
    /// Somebody asked for its end: it counts no longer among the tasks that are wanted.
    pub(crate) leaving: bool,
    /// When its process ended, and how.
    pub(crate) end: Option<(Instant, Exit)>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its exit code, unless a signal killed it.
    pub(crate) code: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self {
            code: status.code(),
            signal: status.signal(),
        }
    }
}

impl Exit {
    /// As JSON, about task `number`.
    pub(crate) fn json(self, number: u32) -> Value {
        json!({ "task": number, "code": self.code, "signal": self.signal })
    }
}

/// `path` for a message: only the file, because people know the directory.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            gateway: "gateway".into(),
            environment: Vec::new(),
            port: 3000,
            peer_port: 3001,
            directory: "state".into(),
        }
    }

    #[test]
    fn every_task_has_an_address_of_its_own_even_after_many_rolls() {
        let recipe = recipe();
        assert_eq!(recipe.address(1).to_string(), "127.0.0.11:3000");
        assert_eq!(recipe.peer_address(2).to_string(), "127.0.0.12:3001");
        assert_eq!(recipe.address(300).to_string(), "127.0.1.54:3000");
        assert_ne!(recipe.wire(1).group, recipe.wire(2).group);
    }

    #[test]
    fn a_new_target_is_initial_until_it_is_up_and_unhealthy_only_after_that() {
        assert_eq!(Health::Initial.seen(false), Health::Initial);
        assert_eq!(Health::Initial.seen(true), Health::Healthy);
        assert_eq!(Health::Healthy.seen(false), Health::Unhealthy);
        assert_eq!(Health::Unhealthy.seen(true), Health::Healthy);
        assert_eq!(Health::Draining.seen(true), Health::Draining);
        assert_eq!(Health::Unused.seen(true), Health::Unused);
    }
}
