//! The gate of a release: `cargo xtask verify` as a child, whose exit code is a contract.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use super::place::Place;
use super::work::{Care, Gate, Verdict};
use crate::process;
use crate::ui::{self, Mark};
use crate::verify::facts::{list_at, text};
use crate::workspace::Workspace;

/// How many assertions are named where there is one line for all of them.
const NAMED: usize = 6;

/// What the gate needs besides the environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct GateOptions {
    /// A file with an access token for the MCP probes of the gate; without one the gate cannot look, and a release is
    /// not promoted
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A certificate authority (PEM) that the probes trust, too
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Probe ADDRESS instead of what DNS says, as in curl
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Option<String>,
    /// Groups of assertions to look at, by their letters; the others say nothing about this deployment
    #[arg(long, value_name = "LETTERS")]
    only: Option<String>,
}

/// Runs `verify` on an environment.
#[derive(Debug)]
pub(crate) struct VerifyGate<'a> {
    pub(crate) place: &'a Place,
    pub(crate) options: &'a GateOptions,
    pub(crate) workspace: &'a Workspace,
}

impl Gate for VerifyGate<'_> {
    fn check(&self, digest: &str, care: Care) -> anyhow::Result<Verdict> {
        let mut command = self.command(digest, care)?;
        ui::step(Mark::Run, "verifying");
        if self.place.verbose {
            ui::say(format_args!("$ {}", process::shown(&command)));
        }
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("the verification does not start")?;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(read(output.status.code(), &report))
    }
}

impl VerifyGate<'_> {
    fn command(&self, digest: &str, care: Care) -> anyhow::Result<Command> {
        let mut command = Command::new(process::this_program()?);
        let place = self.place;
        command.args(["verify", "--json", "--env", &place.environment]);
        command.args(["--target", place.target.word(), "--digest", digest]);
        command.arg(match care {
            Care::Gate => "--gate",
            Care::Quick | Care::AfterReturn => "--quick",
        });
        let only = self
            .options
            .only
            .clone()
            .unwrap_or_else(|| "ABCDEFGHIJKLM".to_owned());
        // The last deployment was sent back, which is what group C would find.
        let only = match care {
            Care::AfterReturn => only.replace('C', ""),
            _ => only,
        };
        command.args(["--only", &only]);
        let options = self.options;
        for (option, value) in [
            ("--profile", &place.profile),
            ("--endpoint", &place.endpoint),
            ("--resolve", &options.resolve),
        ] {
            if let Some(value) = value {
                command.args([option, value]);
            }
        }
        for (option, path) in [
            ("--token-file", &options.token_file),
            ("--authority", &options.authority),
            // What this release was made of, whatever the sources are by now.
            ("--declared", &Some(place.declared_file(self.workspace))),
        ] {
            if let Some(path) = path {
                command.arg(option).arg(path);
            }
        }
        Ok(command)
    }
}

/// What an exit code and a report come to. Only what was certainly found wrong is a failure.
fn read(code: Option<i32>, report: &Value) -> Verdict {
    let of = |verdict: &str| -> Vec<Value> {
        let lines = list_at(report, "/assertions").filter(|line| text(line, "/verdict") == verdict);
        lines.cloned().collect()
    };
    match code {
        Some(0) => Verdict::Pass,
        Some(1) => {
            let failed = of("fail");
            for line in &failed {
                ui::step(
                    Mark::Fail,
                    format_args!("{} {}", text(line, "/id"), text(line, "/what")),
                );
                ui::detail(&format!(
                    "expected {}\nactual   {}\nfix      {}",
                    text(line, "/expected"),
                    text(line, "/actual"),
                    text(line, "/fix")
                ));
            }
            Verdict::Fail(format!("verify: {}", named(&failed)))
        }
        _ => {
            let unknown = of("unknown");
            for line in unknown.iter().take(NAMED) {
                ui::detail(&format!(
                    "{} {}: {} ({})",
                    text(line, "/id"),
                    text(line, "/what"),
                    text(line, "/reason"),
                    text(line, "/hint")
                ));
            }
            Verdict::Unknown(if unknown.is_empty() {
                "the verification broke, see above".to_owned()
            } else {
                format!("nobody could look at {}", named(&unknown))
            })
        }
    }
}

fn named(lines: &[Value]) -> String {
    let mut names: Vec<String> = lines
        .iter()
        .take(NAMED)
        .map(|line| format!("{} {}", text(line, "/id"), text(line, "/what")))
        .collect();
    if lines.len() > NAMED {
        names.push(format!("and {} more", lines.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_certain_failure_is_one() {
        let line = |verdict: &str| json!({ "id": "H2", "what": "idle timeout", "verdict": verdict });
        let report = json!({ "assertions": [line("fail"), line("unknown")] });
        assert_eq!(read(Some(0), &Value::Null), Verdict::Pass);
        assert_eq!(
            read(Some(1), &report),
            Verdict::Fail("verify: H2 idle timeout".to_owned())
        );
        for code in [Some(2), Some(101), None] {
            assert!(matches!(read(code, &report), Verdict::Unknown(_)), "{code:?}");
            assert!(
                matches!(read(code, &Value::Null), Verdict::Unknown(_)),
                "{code:?}"
            );
        }
    }
}
