//! What was found, for people, for programs and for CI.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::facts::Unknown;
use super::row::{Depth, Finding, Fix, Row, View};
use super::rows::{GROUPS, Group};
use crate::aws::Aws;

/// How one assertion came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Looked at.
    Known(Finding),
    /// It could not be looked at, which says nothing about what it is about.
    Unknown(Unknown),
}

/// One assertion and how it came out.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// As in the row.
    pub(crate) id: &'static str,
    /// As in the row.
    pub(crate) what: &'static str,
    /// How it came out.
    pub(crate) verdict: Verdict,
}

impl Line {
    fn look(row: &Row, view: &View<'_>) -> Self {
        Self {
            id: row.id,
            what: row.what,
            verdict: match (row.check)(view) {
                Ok(finding) => Verdict::Known(finding),
                Err(unknown) => Verdict::Unknown(unknown),
            },
        }
    }

    /// `pass`, `fail` or `unknown`.
    pub(crate) fn word(&self) -> &'static str {
        match &self.verdict {
            Verdict::Known(finding) if finding.holds => "pass",
            Verdict::Known(_) => "fail",
            Verdict::Unknown(_) => "unknown",
        }
    }
}

/// All that was looked at, group by group.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    groups: Vec<(char, &'static str, Vec<Line>)>,
}

impl Report {
    /// Looks at every row of `groups` that is not deeper than `depth`, or one of `also`.
    pub(crate) fn make<'a>(
        groups: impl IntoIterator<Item = &'a Group>,
        depth: Depth,
        also: &[&str],
        view: &View<'_>,
    ) -> Self {
        let look = |group: &Group| {
            let rows = group
                .rows
                .iter()
                .filter(|row| row.depth <= depth || also.contains(&row.id));
            rows.map(|row| Line::look(row, view)).collect()
        };
        let groups = groups
            .into_iter()
            .map(|group| (group.letter, group.title, look(group)));
        Self {
            groups: groups.collect(),
        }
    }

    /// Looks at nothing but whose account it is.
    pub(crate) fn of_account(view: &View<'_>) -> Self {
        let mut report = Self::make(GROUPS, Depth::Quick, &[], view);
        for (_, _, lines) in &mut report.groups {
            lines.retain(|line| line.id == "A1");
        }
        report.groups.retain(|(_, _, lines)| !lines.is_empty());
        report
    }

    /// Forgets the line of an assertion; false when there is none.
    pub(crate) fn leave_out(&mut self, id: &str) -> bool {
        let before = self.lines().count();
        for (_, _, lines) in &mut self.groups {
            lines.retain(|line| line.id != id);
        }
        self.lines().count() < before
    }

    /// Every line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.groups.iter().flat_map(|(_, _, lines)| lines)
    }

    /// How many lines have `word`.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.lines().filter(|line| line.word() == word).count()
    }

    /// A tree: what passes in one line each, what does not with what to do.
    pub(crate) fn tree(&self, aws: &Aws) -> String {
        let mut tree = String::new();
        for (letter, title, lines) in &self.groups {
            let _ = writeln!(tree, "{letter}  {title}");
            for line in lines {
                let _ = writeln!(tree, "   {:<7} {:<4} {}", line.word(), line.id, line.what);
                tree.push_str(&under(&line.verdict, aws));
            }
        }
        tree
    }

    /// One sentence.
    pub(crate) fn sum(&self) -> String {
        let [pass, fail, unknown] = ["pass", "fail", "unknown"].map(|word| self.count(word));
        format!("{pass} pass, {fail} fail, {unknown} unknown")
    }

    /// The same for programs.
    pub(crate) fn json(&self, aws: &Aws) -> Value {
        let assertions: Vec<_> = self
            .lines()
            .map(|line| {
                let (id, what, verdict) = (line.id, line.what, line.word());
                match &line.verdict {
                    Verdict::Known(Finding {
                        expected,
                        actual,
                        fix,
                        ..
                    }) => {
                        let fix = (verdict == "fail").then(|| repair(fix, aws));
                        json!({ "id": id, "what": what, "verdict": verdict,
                            "expected": expected, "actual": actual, "fix": fix })
                    }
                    Verdict::Unknown(Unknown { reason, hint }) => {
                        json!({ "id": id, "what": what, "verdict": verdict, "reason": reason, "hint": hint })
                    }
                }
            })
            .collect();
        json!({
            "pass": self.count("pass"),
            "fail": self.count("fail"),
            "unknown": self.count("unknown"),
            "assertions": assertions,
        })
    }

    /// The same as JUnit, in which what is unknown is an error.
    pub(crate) fn junit(&self, aws: &Aws) -> String {
        let mut xml =
            String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"verify\">\n");
        for (letter, title, lines) in &self.groups {
            let count = |word: &str| lines.iter().filter(|line| line.word() == word).count();
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{letter} {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
                escaped(title),
                lines.len(),
                count("fail"),
                count("unknown")
            );
            for line in lines {
                let name = format!("{} {}", line.id, escaped(line.what));
                let _ = write!(xml, "    <testcase classname=\"verify.{letter}\" name=\"{name}\"");
                let said = escaped(&under(&line.verdict, aws));
                let _ = match line.word() {
                    "pass" => writeln!(xml, "/>"),
                    "fail" => writeln!(xml, "><failure>{said}</failure></testcase>"),
                    _ => writeln!(xml, "><error>{said}</error></testcase>"),
                };
            }
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

/// What is said below a line; nothing below one that passes.
fn under(verdict: &Verdict, aws: &Aws) -> String {
    let (rows, lines) = match verdict {
        Verdict::Known(finding) if finding.holds => return String::new(),
        Verdict::Known(finding) => (
            vec![("expected", &finding.expected), ("actual", &finding.actual)],
            ("fix", repair(&finding.fix, aws)),
        ),
        Verdict::Unknown(unknown) => (vec![("reason", &unknown.reason)], ("hint", unknown.hint.clone())),
    };
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "                {name:<9} {value}");
    }
    let (mut name, value) = lines;
    for line in value.lines() {
        let _ = writeln!(text, "                {name:<9} {line}");
        name = "";
    }
    text
}

fn repair(fix: &Fix, aws: &Aws) -> String {
    match fix {
        Fix::Do(instruction) => instruction.clone(),
        Fix::Aws(commands) => commands
            .lines()
            .map(|command| aws.typed(command))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;")
}
