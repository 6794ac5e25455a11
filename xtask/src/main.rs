//! `cargo xtask`: everything that is done to this repository, from one command.
//!
//! A verb is one file with an argument struct and its `run`; here it gets a variant and an arm.

mod apt;
mod aws;
mod bench;
mod cluster;
mod dev;
mod emulator;
mod environment;
mod http;
mod image;
mod interrupt;
mod links;
mod local;
mod login;
mod machine;
mod ministack;
mod moto;
mod npm;
mod problem;
mod process;
mod python;
mod release;
mod soak;
mod test;
mod tidy;
mod ui;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::interrupt::Interrupt;
use crate::workspace::Workspace;

/// Everything that is done to this repository, from one command.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
#[command(after_help = "Exit codes: 0 done, 1 the check said no, 2 the tool broke.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Bench(bench::Bench),
    Cluster(cluster::Cluster),
    Deploy(release::Deploy),
    Dev(dev::Dev),
    Diff(release::Diff),
    Image(image::Image),
    Local(local::Local),
    Lock(release::LockVerb),
    Logs(release::Logs),
    Releases(release::Releases),
    Rollback(release::Rollback),
    Soak(soak::Soak),
    Status(release::StatusVerb),
    Test(test::Test),
    Tidy(tidy::Tidy),
    Verify(verify::Verify),
    Wait(release::Wait),
}

/// How a verb ended, when it could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Exit code 0.
    Done,
    /// The check said no: exit code 1.
    Refused,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.verb) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(1),
        Err(error) => {
            ui::error(&error);
            ExitCode::from(2)
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::on_signals()?;
    let workspace = Workspace::find()?;
    match verb {
        Verb::Cluster(cluster) => cluster.run(&workspace, &interrupt),
        Verb::Bench(bench) => bench.run(&workspace, &interrupt),
        Verb::Deploy(deploy) => deploy.run(&workspace, &interrupt),
        Verb::Dev(dev) => dev.run(&workspace, &interrupt),
        Verb::Image(image) => image.run(&workspace, &interrupt),
        Verb::Local(local) => local.run(&workspace, &interrupt),
        Verb::Diff(diff) => diff.run(&workspace, &interrupt),
        Verb::Lock(lock) => lock.run(&workspace, &interrupt),
        Verb::Logs(logs) => logs.run(&workspace, &interrupt),
        Verb::Releases(releases) => releases.run(&workspace, &interrupt),
        Verb::Rollback(rollback) => rollback.run(&workspace, &interrupt),
        Verb::Soak(soak) => soak.run(&workspace, &interrupt),
        Verb::Status(status) => status.run(&workspace, &interrupt),
        Verb::Test(test) => test.run(&workspace, &interrupt),
        Verb::Tidy(tidy) => tidy.run(&workspace),
        Verb::Verify(verify) => verify.run(&workspace, &interrupt),
        Verb::Wait(wait) => wait.run(&workspace, &interrupt),
    }
}
