//! Reads how many tests passed and failed from what test runners print.

use std::fmt;
use std::ops::AddAssign;

/// The most lines of a failing suite's output that are shown.
const EXCERPT_LINES: usize = 80;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Did what they should.
    pub(crate) passed: u64,
    /// Did not.
    pub(crate) failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Makes counts and exit status agree: a run that failed without a failing test counts as one failure, and so
/// does a test runner that ran nothing. A command that only says yes or no counts as one test.
pub(crate) fn settle(counted: Option<Counts>, success: bool) -> Counts {
    match (counted, success) {
        (None, true) => Counts { passed: 1, failed: 0 },
        (None, false) => Counts { passed: 0, failed: 1 },
        (Some(Counts { passed, failed: 0 }), success) => Counts {
            passed,
            failed: u64::from(!success || passed == 0),
        },
        (Some(counts), _) => counts,
    }
}

/// The sum over the test binaries of `cargo test`.
pub(crate) fn cargo_test(output: &str) -> Counts {
    let mut total = Counts::default();
    for line in output.lines() {
        let Some(result) = line.strip_prefix("test result: ") else {
            continue;
        };
        // The end of the line tells it from the same words in the output of a failing test.
        if result.contains("; finished in ") {
            total += Counts {
                passed: number_before(result, " passed;"),
                failed: number_before(result, " failed;"),
            };
        }
    }
    total
}

/// The totals that `node --test` ends with (reporters `spec` and `tap`).
pub(crate) fn node_test(output: &str) -> Counts {
    let total = |name: &str| {
        output.lines().rev().find_map(|line| {
            let rest = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# "))?;
            rest.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok()
        })
    };
    let failed = total("fail").unwrap_or_default() + total("cancelled").unwrap_or_default();
    Counts {
        passed: total("pass").unwrap_or_default(),
        failed,
    }
}

/// A last line like our own: `N passed, N failed`.
pub(crate) fn summary_line(output: &str) -> Counts {
    let read = |line: &str| {
        let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
        Some(Counts {
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    };
    output.lines().rev().find_map(read).unwrap_or_default()
}

/// What a reader of a failing suite wants to see: the failures that `cargo test` lists, else the end.
pub(crate) fn excerpt(output: &str) -> String {
    let mut failures = Vec::new();
    let mut inside = false;
    for line in output.lines() {
        inside |= line == "failures:";
        if inside {
            failures.push(line);
        }
        inside &= !(line.starts_with("test result: FAILED") && line.contains("; finished in "));
    }
    if !failures.is_empty() {
        failures.truncate(EXCERPT_LINES);
        return failures.join("\n");
    }
    let lines: Vec<&str> = output.lines().collect();
    lines
        .get(lines.len().saturating_sub(EXCERPT_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

/// The lines of a suite that name what it left out.
pub(crate) fn not_run(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.trim_start().starts_with("not run: "))
        .collect();
    lines.join("\n")
}

/// The number in front of `word`.
fn number_before(text: &str, word: &str) -> u64 {
    let number = text
        .split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
