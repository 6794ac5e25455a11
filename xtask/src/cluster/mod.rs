//! `cargo xtask cluster`: the production topology on this machine, with real parts, and verbs that harm it.

pub(crate) mod attributes;
mod control;
mod events;
mod fleet;
pub(crate) mod haproxy;
mod partition;
mod picture;
mod plan;
pub(crate) mod services;
mod start;
mod task;
pub(crate) mod tls;
mod verbs;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use self::attributes::{Attributes, TimeScale};
use self::plan::Part;
use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::ui;
use crate::workspace::Workspace;

/// Run several tasks behind a load balancer here, as in production, and break them.
///
/// HAProxy plays the ALB (TLS, idle timeout, health checks, deregistration), ministack DynamoDB, moto KMS, and an
/// emulator Google. Every task has its own loopback address. It prints a picture, then what happens, until Ctrl-C;
/// the verbs are said from another terminal. State and logs are kept in `.dev/NAME`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Example: cargo xtask cluster --time-scale 0.05 --replace, then: cargo xtask cluster kill 2\n\
    Exit codes: 0 done, 1 the cluster said no, 2 the tool broke."
)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    verb: Option<VerbCommand>,
    #[command(flatten)]
    options: Options,
    /// Name of the cluster: its directory below `.dev`
    #[arg(long, default_value = "cluster", global = true)]
    name: String,
    /// Data as JSON on stdout: the status when ready, then every event; with a verb, its result
    #[arg(long, global = true)]
    json: bool,
    /// Stop when standard input ends, which is when the program that started this one does
    #[arg(long)]
    until_eof: bool,
}

/// How to start a cluster.
#[derive(Debug, clap::Args)]
struct Options {
    /// Gateway tasks
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    tasks: u32,
    /// Port of the load balancer; 0: free ports for everything, so that clusters can run side by side
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Multiplies every interval, of the load balancer and of the gateway: 0.05 makes 300 s 15 s
    #[arg(long, default_value = "1", value_name = "FACTOR")]
    time_scale: TimeScale,
    /// Replace tasks that end, as ECS does
    #[arg(long)]
    replace: bool,
    /// Let the load balancer set its `AWSALB` cookie
    #[arg(long)]
    sticky: bool,
    /// Idle timeout of the load balancer, in seconds before scaling
    #[arg(long, value_name = "SECONDS")]
    idle_timeout: Option<u64>,
    /// How long a deregistered task keeps its connections, in seconds before scaling
    #[arg(long, value_name = "SECONDS")]
    deregistration_delay: Option<u64>,
    /// The gateway to run instead of building one with the profile `rig`
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// Offer the tools that only tests need
    #[arg(long)]
    test_tools: bool,
    /// A further variable for every task; repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = assignment)]
    environment: Vec<(String, String)>,
}

#[derive(Debug, clap::Subcommand)]
enum VerbCommand {
    /// Kill a task (SIGKILL), as a crash does
    Kill {
        /// Its number
        task: u32,
    },
    /// Stop a task: SIGTERM, deregistered only later, as `StopTask` and a retired host do
    Stop {
        /// Its number
        task: u32,
    },
    /// Drain a task: deregister it, wait the delay, SIGTERM, as a deployment does with an old task
    Drain {
        /// Its number
        task: u32,
    },
    /// Unplug a task, or the `store`, `kms` or `google`: packets are dropped until it is healed (root only)
    Cut {
        /// The number of a task, `store`, `kms` or `google`
        part: Part,
    },
    /// Plug it in again
    Heal {
        /// The number of a task, `store`, `kms` or `google`
        part: Part,
    },
    /// Start one more task and wait until it is healthy
    Add,
    /// Replace every task, one by one, never without a healthy one
    Roll,
    /// Show the picture
    Status,
    /// Show everything that happened, and go on showing
    Events,
    /// Stop the cluster
    Down,
}

impl Cluster {
    /// Starts a cluster and stays with it, or asks a running one for something.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let directory = workspace.root().join(".dev").join(&self.name);
        if self.until_eof {
            let interrupt = interrupt.clone();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                interrupt.raise();
            });
        }
        match &self.verb {
            None => start::run(&self.options, self.json, &directory, workspace, interrupt),
            Some(verb) => verb.ask(&directory.join(start::CONTROL), self.json),
        }
    }
}

impl Options {
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::production();
        if let Some(seconds) = self.idle_timeout {
            attributes.idle_timeout = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.deregistration_delay {
            attributes.deregistration_delay = Duration::from_secs(seconds);
        }
        if self.sticky {
            attributes.stickiness = Some(Duration::from_hours(1));
        }
        attributes.scaled(self.time_scale)
    }
}

impl VerbCommand {
    fn request(&self) -> (&'static str, String) {
        match self {
            Self::Kill { task } => ("POST", format!("/kill/{task}")),
            Self::Stop { task } => ("POST", format!("/stop/{task}")),
            Self::Drain { task } => ("POST", format!("/drain/{task}")),
            Self::Cut { part } => ("POST", format!("/cut/{part}")),
            Self::Heal { part } => ("POST", format!("/heal/{part}")),
            Self::Add => ("POST", "/add".to_owned()),
            Self::Roll => ("POST", "/roll".to_owned()),
            Self::Down => ("POST", "/down".to_owned()),
            Self::Status => ("GET", "/status".to_owned()),
            Self::Events => ("GET", "/events".to_owned()),
        }
    }

    fn ask(&self, socket: &std::path::Path, json: bool) -> anyhow::Result<Outcome> {
        if let Self::Events = self {
            control::follow(socket, |line| {
                if json {
                    ui::data(line);
                } else {
                    ui::data(picture::event(line));
                }
            })?;
            return Ok(Outcome::Done);
        }
        let (method, path) = self.request();
        let (status, answer) = control::ask(socket, method, &path)?;
        let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        match (status, self) {
            (200, Self::Status) if !json => ui::data(picture::draw(&answer)),
            (200, _) => ui::data(&answer),
            _ => {
                ui::say(format_args!("error: {}", word("error")));
                ui::detail(word("detail"));
                ui::say(format_args!("\nhint: {}", word("hint")));
                return Ok(Outcome::Refused);
            }
        }
        Ok(Outcome::Done)
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "must be NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        cluster: Cluster,
    }

    fn parse(line: &str) -> Cluster {
        Line::try_parse_from(line.split(' ')).unwrap().cluster
    }

    #[test]
    fn options_change_what_production_has() {
        let attributes = parse("cluster --time-scale 0.1 --deregistration-delay 30 --sticky")
            .options
            .attributes();
        assert_eq!(attributes.deregistration_delay, Duration::from_secs(3));
        assert_eq!(attributes.idle_timeout, Duration::from_secs(30));
        assert_eq!(attributes.stickiness, Some(Duration::from_mins(6)));
        assert_eq!(parse("cluster").options.attributes(), Attributes::production());
    }

    #[test]
    fn verbs_are_paths_of_the_control_socket() {
        let path = |line| parse(line).verb.unwrap().request();
        assert_eq!(
            path("cluster kill 2 --name other"),
            ("POST", "/kill/2".to_owned())
        );
        assert_eq!(path("cluster cut store"), ("POST", "/cut/store".to_owned()));
        assert_eq!(path("cluster status --json"), ("GET", "/status".to_owned()));
    }

    #[test]
    fn variables_are_assignments() {
        assert_eq!(assignment("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(assignment("A").is_err());
    }
}
