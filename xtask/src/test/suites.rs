//! The suites, as data: what each is called, needs and runs, and how its results are counted.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;

use super::count::{self, Counts};
use super::needs::Need;
use crate::emulator;
use crate::workspace::Workspace;

/// A group of tests with one command.
#[derive(Debug)]
pub(crate) struct Suite {
    /// As named on the command line.
    pub(crate) name: &'static str,
    /// The suite is part of a commit that has this file.
    pub(crate) listed_with: &'static str,
    /// What to do.
    pub(crate) run: Run,
}

/// How a suite runs.
#[derive(Debug)]
pub(crate) enum Run {
    /// In this process.
    Tidy,
    /// As a child.
    Command {
        /// What must be there first.
        needs: &'static [Need],
        /// Builds the command line.
        command: fn(&Workspace) -> Command,
        /// Reads the results from the output; `None` for a command that only says yes or no.
        count: Option<fn(&str) -> Counts>,
    },
}

/// Where the infrastructure is, relative to the checkout.
pub(crate) const INFRA: &str = "infra";

/// Where the checks of the workflows are, relative to the checkout.
pub(crate) const WORKFLOWS: &str = "xtask/workflows";

/// Where the tests with real MCP clients live, relative to the checkout.
pub(crate) const CLIENTS: &str = "gateway/tests/clients";

/// Where the live half of `verify` is, relative to the checkout.
const PROBE: &str = "xtask/probe";

/// All suites, the quick ones first.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "tidy",
        listed_with: "Cargo.toml",
        run: Run::Tidy,
    },
    Suite {
        name: "fmt",
        listed_with: "Cargo.toml",
        run: Run::Command {
            needs: &[],
            command: |workspace| cargo(workspace, &["fmt", "--all", "--check", "--", "--color=never"]),
            count: None,
        },
    },
    Suite {
        name: "clippy",
        listed_with: "Cargo.toml",
        run: Run::Command {
            needs: &[],
            command: |workspace| {
                cargo(
                    workspace,
                    &[
                        "clippy",
                        "--locked",
                        "--workspace",
                        "--all-targets",
                        "--",
                        "--deny",
                        "warnings",
                    ],
                )
            },
            count: None,
        },
    },
    Suite {
        name: "workflows",
        listed_with: "xtask/workflows/package-lock.json",
        run: Run::Command {
            needs: &[Need::WorkflowTools],
            command: |workspace| node_test(workspace, WORKFLOWS),
            count: Some(count::node_test),
        },
    },
    Suite {
        name: "rust",
        listed_with: "Cargo.toml",
        run: Run::Command {
            needs: &[Need::Emulator, Need::Clients, Need::ForeignStore, Need::Kms],
            command: |workspace| {
                let mut command = cargo(workspace, &["test", "--locked", "--workspace", "--no-fail-fast"]);
                command.env("RUST_TEST_THREADS", test_threads());
                command
            },
            count: Some(count::cargo_test),
        },
    },
    Suite {
        name: "emulator",
        listed_with: "xtask/emulator/package-lock.json",
        run: Run::Command {
            needs: &[Need::Emulator],
            command: |workspace| node_test(workspace, emulator::DIRECTORY),
            count: Some(count::node_test),
        },
    },
    Suite {
        name: "clients",
        listed_with: "gateway/tests/clients/package-lock.json",
        run: Run::Command {
            needs: &[
                Need::Emulator,
                Need::Gateway,
                Need::Clients,
                Need::ForeignStore,
                Need::Kms,
            ],
            command: |workspace| node_test(workspace, CLIENTS),
            count: Some(count::node_test),
        },
    },
    Suite {
        name: "verify",
        listed_with: "xtask/probe/live.test.mjs",
        run: Run::Command {
            needs: &[Need::Emulator, Need::Gateway, Need::Ministack, Need::Balancer],
            command: |workspace| node_test(workspace, PROBE),
            count: Some(count::node_test),
        },
    },
    Suite {
        name: "conformance",
        listed_with: "gateway/tests/clients/conformance.mjs",
        run: Run::Command {
            needs: &[Need::Emulator, Need::Gateway, Need::Clients],
            command: conformance,
            count: Some(count::summary_line),
        },
    },
    Suite {
        name: "infra",
        listed_with: "infra/package-lock.json",
        run: Run::Command {
            needs: &[Need::Infra, Need::TemplateTools, Need::AwsEmulators],
            command: infra,
            count: Some(count::summary_line),
        },
    },
    Suite {
        name: "release",
        listed_with: "infra/release.ts",
        run: Run::Command {
            needs: &[
                Need::Gateway,
                Need::Infra,
                Need::AwsCommandLine,
                Need::AwsEmulators,
            ],
            command: release,
            count: Some(count::summary_line),
        },
    },
    Suite {
        name: "soak",
        listed_with: "gateway/tests/clients/soak/index.mjs",
        run: Run::Command {
            needs: &[
                Need::Emulator,
                Need::Gateway,
                Need::Clients,
                Need::Ministack,
                Need::Balancer,
            ],
            command: soak,
            count: Some(count::summary_line),
        },
    },
];

/// The suites of this commit.
pub(crate) fn listed(workspace: &Workspace) -> Vec<&'static Suite> {
    SUITES
        .iter()
        .filter(|suite| workspace.root().join(suite.listed_with).exists())
        .collect()
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(workspace.root());
    command
}

/// Twice as many as cores: most of the time a test waits for a gateway that waits for a timer.
fn test_threads() -> String {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (2 * cores).to_string()
}

fn node_test(workspace: &Workspace, directory: &str) -> Command {
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=spec"])
        .current_dir(workspace.root().join(directory));
    command
}

/// The short form of `cargo xtask soak`.
fn soak(workspace: &Workspace) -> Command {
    let mut command = Command::new("node");
    command
        .args(["soak/index.mjs", "--in-tests"])
        .current_dir(workspace.root().join(CLIENTS));
    command
}

/// The conformance suite needs a newer Node than the rest: the one that its lock file pins.
fn conformance(workspace: &Workspace) -> Command {
    let directory = workspace.root().join(CLIENTS);
    let pinned = directory.join("node_modules/.bin/node");
    let node = if pinned.exists() {
        pinned
    } else {
        PathBuf::from("node")
    };
    let mut command = Command::new(node);
    command.arg("conformance.mjs").current_dir(directory);
    command
}

fn infra(workspace: &Workspace) -> Command {
    in_infra(workspace, "check.ts")
}

fn release(workspace: &Workspace) -> Command {
    in_infra(workspace, "release.ts")
}

fn in_infra(workspace: &Workspace, script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .args(["--import", "tsx", script])
        .current_dir(workspace.root().join(INFRA));
    command
}
