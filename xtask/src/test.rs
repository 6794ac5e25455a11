//! `cargo xtask test`: every suite of this repository, ending in one line that sums them up.

mod count;
mod needs;
mod suites;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::interrupt::{Interrupt, Interrupted};
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;
use crate::{Outcome, tidy};

pub(crate) use count::Counts;
pub(crate) use needs::{Kit, Need};
pub(crate) use suites::CLIENTS;
use suites::{Run, Suite};

/// A suite that takes longer hangs.
const SUITE_LIMIT: Duration = Duration::from_mins(30);

/// Run the tests: all suites, or the ones named.
///
/// Installs what each suite needs and keeps its whole output in `target/xtask/SUITE.log`.
/// The last line on stdout is `N passed, N failed`, over everything that ran.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Suites: tidy, fmt, clippy, workflows, rust, emulator, clients, verify, conformance, infra, release, soak; as far as this commit has them.\n\
    Example: cargo xtask test rust -- pkce"
)]
pub(crate) struct Test {
    /// Suites to run; none: all
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Further arguments for the one suite that is named, such as a filter
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

impl Test {
    /// Runs the suites one after the other; a failing one does not stop the rest.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let suites = self.choose(&suites::listed(workspace))?;
        let mut kit = Kit::new(workspace, interrupt);
        let mut total = Counts::default();
        for suite in suites {
            total += run_suite(suite, &self.arguments, &mut kit)?;
        }
        ui::data(total);
        Ok(if total.failed == 0 {
            Outcome::Done
        } else {
            Outcome::Refused
        })
    }

    fn choose(&self, listed: &[&'static Suite]) -> anyhow::Result<Vec<&'static Suite>> {
        let names: Vec<_> = listed.iter().map(|suite| suite.name).collect();
        if let Some(unknown) = self.suites.iter().find(|name| !names.contains(&name.as_str())) {
            let hint = format!("the suites of this commit: {}", names.join(", "));
            return Err(Problem::new(format!("there is no suite `{unknown}`"), hint).into());
        }
        if !self.arguments.is_empty() && self.suites.len() != 1 {
            let hint = "name the suite they are for: `cargo xtask test rust -- pkce`";
            return Err(Problem::new("arguments after `--` are for one suite", hint).into());
        }
        let wanted =
            |suite: &&&Suite| self.suites.is_empty() || self.suites.iter().any(|name| name == suite.name);
        Ok(listed.iter().filter(wanted).copied().collect())
    }
}

/// Runs one suite and says how it went. An error only when somebody asks us to stop.
fn run_suite(suite: &Suite, arguments: &[String], kit: &mut Kit<'_>) -> anyhow::Result<Counts> {
    ui::step(Mark::Run, suite.name);
    let start = Instant::now();
    let result = match suite.run {
        Run::Tidy => tidy::suite(kit.workspace),
        Run::Command {
            needs,
            command,
            count,
        } => run_command(suite.name, needs, command, arguments, kit)
            .map(|(output, success)| judge(count, &output, success)),
    };
    let time = ui::seconds(start.elapsed());
    match result {
        Ok((counts, report)) => {
            let mark = if counts.failed == 0 { Mark::Ok } else { Mark::Fail };
            ui::step(mark, format_args!("{:12} {time:>7}  {counts}", suite.name));
            ui::detail(&report);
            Ok(counts)
        }
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => {
            ui::step(
                Mark::Fail,
                format_args!("{:12} {time:>7}  it did not run to its end", suite.name),
            );
            ui::error(&error);
            Ok(Counts { passed: 0, failed: 1 })
        }
    }
}

/// What the output says, and what of it to show: the failures, or else what did not run.
fn judge(count: Option<fn(&str) -> Counts>, output: &str, success: bool) -> (Counts, String) {
    let counted = count.map(|count| count(output));
    let silent = success && counted == Some(Counts::default());
    let settled = count::settle(counted, success);
    let report = if silent {
        "no test ran".to_owned()
    } else if settled.failed == 0 {
        count::not_run(output)
    } else {
        count::excerpt(output)
    };
    (settled, report)
}

/// Provides what the command needs and runs it: its whole output, and whether it exited with 0.
fn run_command(
    name: &str,
    needs: &[Need],
    command: fn(&Workspace) -> Command,
    arguments: &[String],
    kit: &mut Kit<'_>,
) -> anyhow::Result<(String, bool)> {
    for need in needs {
        kit.provide(*need)?;
    }
    let log = kit.workspace.log(name);
    let mut command = command(kit.workspace);
    command
        .args(arguments)
        .envs(kit.environment())
        .envs([
            ("CARGO_TERM_COLOR", "never"),
            ("NO_COLOR", "1"),
            ("FORCE_COLOR", "0"),
        ])
        // A snapshot that differs is a failure, never a new file.
        .env("INSTA_UPDATE", "no");
    let mut process = Process::start(name, &mut command, &log)?;
    ui::say(format_args!(
        "     {} > {}",
        process::shown(&command),
        kit.workspace.shown(&log)
    ));
    let status = process.wait(SUITE_LIMIT, kit.interrupt)?;
    let output = fs::read(&log)?;
    Ok((String::from_utf8_lossy(&output).into_owned(), status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(suites: &[&str], arguments: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let test = Test {
            suites: suites.iter().map(ToString::to_string).collect(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        let listed: Vec<_> = suites::SUITES
            .iter()
            .filter(|suite| suite.name != "clients")
            .collect();
        Ok(test.choose(&listed)?.iter().map(|suite| suite.name).collect())
    }

    #[test]
    fn without_names_every_listed_suite_runs() {
        assert_eq!(
            choose(&[], &[]).unwrap(),
            [
                "tidy",
                "fmt",
                "clippy",
                "workflows",
                "rust",
                "emulator",
                "verify",
                "conformance",
                "infra",
                "release",
                "soak"
            ]
        );
    }

    #[test]
    fn named_suites_run_in_the_order_of_the_list() {
        assert_eq!(choose(&["rust", "tidy"], &[]).unwrap(), ["tidy", "rust"]);
    }

    #[test]
    fn a_suite_that_is_not_listed_is_refused() {
        let error = choose(&["tidy", "clients"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no suite `clients`");
        assert!(
            error
                .downcast_ref::<Problem>()
                .unwrap()
                .hint()
                .contains("tidy, fmt, clippy")
        );
    }

    #[test]
    fn a_filter_that_matches_nothing_is_a_failure_that_says_so() {
        let output = "running 0 tests\ntest result: ok. 0 passed; 0 failed; finished in 0.00s";
        let (counts, report) = judge(Some(count::cargo_test), output, true);
        assert_eq!(counts, Counts { passed: 0, failed: 1 });
        assert_eq!(report, "no test ran");
    }

    #[test]
    fn a_command_that_only_says_no_shows_its_output() {
        let (counts, report) = judge(None, "Diff in a.rs:1", false);
        assert_eq!(counts, Counts { passed: 0, failed: 1 });
        assert_eq!(report, "Diff in a.rs:1");
    }

    #[test]
    fn what_did_not_run_is_named_beside_a_success() {
        let output =
            "not run: tasks (no such extension)\nok one\n  not run: two (no tool)\n1 passed, 0 failed";
        let (counts, report) = judge(Some(count::summary_line), output, true);
        assert_eq!(counts, Counts { passed: 1, failed: 0 });
        assert_eq!(
            report,
            "not run: tasks (no such extension)\n  not run: two (no tool)"
        );
    }

    #[test]
    fn arguments_belong_to_exactly_one_suite() {
        assert_eq!(choose(&["rust"], &["pkce"]).unwrap(), ["rust"]);
        assert!(choose(&[], &["pkce"]).is_err());
        assert!(choose(&["rust", "fmt"], &["pkce"]).is_err());
    }
}
