//! `cargo xtask bench`: measurements of the release build on this machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// A measurement that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(30);
/// Descriptors of a process besides those of its streams.
const OTHER_FILES: u64 = 200;

/// Measure the release build on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Idle(Idle),
}

/// What an idle event stream costs, beside a plain axum SSE response in the same run.
///
/// Builds gateway and load generator (`gateway/examples/idle_streams`) in release mode. Starts the gateway on loopback a
/// few times, each on an empty directory: the time to its first `tools/list` (50 ms) and what it has resident then (20
/// MB), both judged by the median. Then opens GET streams, each after a POST on the same connection, watches them, then closes a tenth.
/// Measures the resident memory that a stream adds, the comments that every stream gets (one at once, then one every
/// 15 s), streams that are dropped, and how long the gateway takes to notice the close. Then the same with a server
/// that is nothing but axum's `Sse` with a keep-alive.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 within the limits, 1 a limit is broken, 2 it could not be measured.")]
struct Idle {
    /// Streams to open
    #[arg(long, default_value_t = 10_000)]
    streams: u64,
    /// Sessions that the streams belong to
    #[arg(long, default_value_t = 100)]
    sessions: u64,
    /// How long the streams are watched, in seconds
    #[arg(long, default_value_t = 47)]
    seconds: u64,
    /// How often the gateway is started to see how long it takes
    #[arg(long, default_value_t = 9)]
    starts: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

impl Bench {
    /// Builds, measures and prints.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        match self.what {
            What::Idle(idle) => idle.run(workspace, interrupt),
        }
    }
}

impl Idle {
    fn run(&self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        allow_files(self.streams + OTHER_FILES)?;
        ui::step(Mark::Run, "release build");
        process::run_visible("cargo build", &mut build(workspace), interrupt)?;
        ui::step(
            Mark::Run,
            format_args!("{} streams for {} s, twice", self.streams, self.seconds),
        );
        let release = workspace.target().join("release");
        let mut process = Process::start_attached("idle_streams", &mut self.measurement(&release))?;
        match process.wait(LIMIT, interrupt)?.code() {
            Some(0) => Ok(Outcome::Done),
            Some(1) => Ok(Outcome::Refused),
            _ => Err(Problem::new("`idle_streams` could not measure", "what it says is above").into()),
        }
    }

    fn measurement(&self, release: &Path) -> Command {
        let mut command = Command::new(release.join("examples").join("idle_streams"));
        command.arg("--gateway").arg(release.join("gateway"));
        for (option, value) in [
            ("--streams", self.streams),
            ("--sessions", self.sessions),
            ("--seconds", self.seconds),
            ("--starts", self.starts),
        ] {
            command.args([option, &value.to_string()]);
        }
        command.args(self.json.then_some("--json"));
        command
    }
}

fn build(workspace: &Workspace) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(["build", "--locked", "--release", "--package", "gateway"])
        .args(["--bin", "gateway", "--example", "idle_streams"])
        .current_dir(workspace.root());
    command
}

/// Lets this process and its children have `wanted` open files each.
fn allow_files(wanted: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(limit, wanted) else {
        let maximum = limit.maximum.unwrap_or_default();
        return Err(Problem::new(
            format!("a process may have `{maximum}` open files here, `{wanted}` are needed"),
            "raise the hard limit (`ulimit -Hn`), or take fewer `--streams`",
        )
        .into());
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// `limit` with room for `wanted`, if its maximum admits that. No limit is `None`.
fn raised(limit: Rlimit, wanted: u64) -> Option<Rlimit> {
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        return None;
    }
    let current = limit.current.map(|current| current.max(wanted));
    Some(Rlimit { current, ..limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_as_far_as_needed_and_allowed() {
        let limit = |current, maximum| Rlimit { current, maximum };
        let rows = [
            (limit(Some(1024), Some(4096)), Some(limit(Some(2000), Some(4096)))),
            (limit(Some(4096), Some(4096)), Some(limit(Some(4096), Some(4096)))),
            (limit(Some(1024), None), Some(limit(Some(2000), None))),
            (limit(None, None), Some(limit(None, None))),
            (limit(Some(1024), Some(1999)), None),
        ];
        for (before, after) in rows {
            assert_eq!(raised(before, 2000), after, "{before:?}");
        }
    }
}
