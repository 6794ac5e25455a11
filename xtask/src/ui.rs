//! The one place that prints: stderr is talk, stdout is data.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::environment;
use crate::problem::Problem;

/// How a step went. The word carries the meaning, the colour only repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Under way.
    Run,
    /// Well.
    Ok,
    /// Not well.
    Fail,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Run => "RUN ",
            Self::Ok => "OK  ",
            Self::Fail => "FAIL",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Run => "\x1b[2m",
            Self::Ok => "\x1b[32m",
            Self::Fail => "\x1b[31m",
        }
    }
}

/// One line of data on stdout.
pub(crate) fn data(line: impl Display) {
    // A reader that went away is no reason to fail: there is nobody left to tell.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// One line of talk on stderr.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// One step of the work and how it goes.
pub(crate) fn step(mark: Mark, what: impl Display) {
    say(format_args!("{} {what}", painted(mark.word(), mark.colour())));
}

/// Lines that belong to what was said before, indented.
pub(crate) fn detail(text: &str) {
    for line in text.lines() {
        say(format_args!("  | {line}"));
    }
}

/// An error with its causes, what there is to see, and its hint.
pub(crate) fn error(error: &anyhow::Error) {
    say(format_args!("{} {error}", painted("error:", "\x1b[31;1m")));
    for cause in error.chain().skip(1) {
        say(format_args!("caused by: {cause}"));
    }
    let Some(problem) = error.downcast_ref::<Problem>() else {
        return;
    };
    detail(problem.detail());
    say(format_args!(
        "\n{} {}",
        painted("hint:", "\x1b[36;1m"),
        problem.hint()
    ));
}

/// Seconds with one decimal.
pub(crate) fn seconds(elapsed: Duration) -> String {
    format!("{:.1}s", elapsed.as_secs_f64())
}

/// `text` in `colour` where colours are seen and wanted (`NO_COLOR` unset).
fn painted(text: &str, colour: &str) -> String {
    if std::io::stderr().is_terminal() && environment::var("NO_COLOR").is_none() {
        format!("{colour}{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
