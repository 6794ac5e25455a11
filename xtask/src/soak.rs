//! `cargo xtask soak`: every promise about connections, measured on real tasks behind a load balancer.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::process;
use crate::test::{CLIENTS, Kit, Need};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// Longer than any scenario may take in real time.
const LIMIT: Duration = Duration::from_hours(3);

/// Measure that nothing is lost: idle streams, killed tasks, deployments, a store in trouble.
///
/// Starts gateways over one store (ministack) behind HAProxy, with the Google emulator, and drives the real MCP
/// clients from npm and bare sockets against them. The short form runs 30 times as fast, and `cargo xtask test` runs
/// some of it; the one in real time takes a little more than half an hour and writes a report.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 everything as required, 1 something is not, 2 it could not be measured.\n\
    Example: cargo xtask soak 'kill -9'"
)]
pub(crate) struct Soak {
    /// Scenarios to run, by name; none: all
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// At the pace of production instead of 30 times as fast
    #[arg(long)]
    real_time: bool,
    /// Where to write the report in Markdown, relative to the checkout [in real time: docs/reports/soak.md]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Soak {
    /// Provides what the harness needs and runs it.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let mut kit = Kit::new(workspace, interrupt);
        for need in [Need::Emulator, Need::Clients, Need::Ministack, Need::Balancer] {
            kit.provide(need)?;
        }
        ui::step(Mark::Run, "build with the profile `rig`");
        process::run_visible("cargo build", &mut build(workspace), interrupt)?;
        let mut harness = self.harness(workspace);
        harness.env("GATEWAY_BIN", workspace.rig_binary());
        kit.attend("soak", &mut harness, LIMIT)
    }

    fn harness(&self, workspace: &Workspace) -> Command {
        let mut command = Command::new("node");
        command
            .arg("soak/index.mjs")
            .current_dir(workspace.root().join(CLIENTS));
        command.args(self.real_time.then_some("--real-time"));
        let standard = self.real_time.then(|| PathBuf::from("docs/reports/soak.md"));
        if let Some(report) = self.report.clone().or(standard) {
            command.arg("--report").arg(workspace.root().join(report));
        }
        command.arg("--").args(&self.scenarios);
        command
    }
}

/// Optimised, but with the test tools and the scale of time that debug builds have.
fn build(workspace: &Workspace) -> Command {
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--locked",
            "--profile",
            "rig",
            "--package",
            "gateway",
            "--bin",
            "gateway",
        ])
        .current_dir(workspace.root());
    command
}
