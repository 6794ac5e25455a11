//! An assertion as a row: its id, what it is about, and a pure function over the facts.

use serde_json::Value;

use super::declared::Declared;
use super::facts::{self, Facts, Unknown};

/// When a row is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Always.
    Quick,
    /// After a deploy, and in a full run.
    Gate,
    /// In a full run only: it takes minutes.
    Full,
}

/// One assertion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Group letter and number, as in the runbooks.
    pub(crate) id: &'static str,
    /// What it is about.
    pub(crate) what: &'static str,
    /// The shallowest run that includes it.
    pub(crate) depth: Depth,
    /// Looks.
    pub(crate) check: fn(&View<'_>) -> Result<Finding, Unknown>,
}

impl Row {
    /// A row of every run.
    pub(crate) const fn new(
        id: &'static str,
        what: &'static str,
        check: fn(&View<'_>) -> Result<Finding, Unknown>,
    ) -> Self {
        Self {
            id,
            what,
            depth: Depth::Quick,
            check,
        }
    }

    /// The same row, from `depth` on.
    pub(crate) const fn from(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }
}

/// What a check sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// What should be.
    pub(crate) declared: &'a Declared,
    /// What is.
    pub(crate) facts: &'a Facts,
    /// The image of a release that is not promoted yet, if it is about one.
    pub(crate) digest: Option<&'a str>,
    /// Seconds since 1970.
    pub(crate) now: f64,
}

impl<'a> View<'a> {
    /// The answer to `name`.
    pub(crate) fn fact(&self, name: &str) -> Result<&'a Value, Unknown> {
        self.facts.get(name)
    }

    /// The text at `pointer` of the answer to `name`; empty when there is nothing.
    pub(crate) fn text(&self, name: &str, pointer: &str) -> Result<String, Unknown> {
        Ok(facts::text(self.fact(name)?, pointer))
    }

    /// The output with the logical name `name`.
    pub(crate) fn output(&self, name: &str) -> Result<String, Unknown> {
        self.facts.output(self.declared, name).ok_or_else(|| Unknown {
            reason: format!("no stack has the output `{name}`"),
            hint: "deploy the stacks first: `npx cdk deploy` in `infra`".to_owned(),
        })
    }
}

/// What repairs a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// What follows `aws` and the options of the account.
    Aws(String),
    /// Another command, or an instruction.
    Do(String),
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it is as it should be.
    pub(crate) holds: bool,
    /// What should be.
    pub(crate) expected: String,
    /// What is.
    pub(crate) actual: String,
    /// What to do when it does not hold.
    pub(crate) fix: Fix,
}

impl Finding {
    /// Compares two things that are said the same way.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers have text, numbers and truth values, and say them alike"
    )]
    pub(crate) fn same(expected: impl ToString, actual: impl ToString) -> Self {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        Self::said(expected == actual, expected, actual)
    }

    /// Compares two sets, in whatever order they come.
    pub(crate) fn same_set<E: ToString, A: ToString>(
        expected: impl IntoIterator<Item = E>,
        actual: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut expected: Vec<_> = expected.into_iter().map(|item| item.to_string()).collect();
        let mut actual: Vec<_> = actual.into_iter().map(|item| item.to_string()).collect();
        expected.sort();
        actual.sort();
        Self::same(expected.join(", "), actual.join(", "))
    }

    /// Something that no comparison says.
    pub(crate) fn said(holds: bool, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        let mut actual = actual.into();
        if actual.is_empty() {
            "nothing".clone_into(&mut actual);
        }
        let mut expected = expected.into();
        if expected.is_empty() {
            "nothing".clone_into(&mut expected);
        }
        Self {
            holds,
            expected,
            actual,
            fix: Fix::Do("`npx cdk deploy` in `infra`, which puts back what the template says".to_owned()),
        }
    }

    /// The command of `aws` that repairs it.
    pub(crate) fn aws(mut self, command: impl Into<String>) -> Self {
        self.fix = Fix::Aws(command.into());
        self
    }

    /// What else repairs it.
    pub(crate) fn or_do(mut self, instruction: impl Into<String>) -> Self {
        self.fix = Fix::Do(instruction.into());
        self
    }
}
