//! The `gateway` binary.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
