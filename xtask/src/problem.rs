//! An error that says what to do about it.

use std::fmt;

/// What failed, what there is to see, and the way out. Goes into an `anyhow` chain; `ui` renders it.
#[derive(Debug)]
pub(crate) struct Problem {
    what: String,
    detail: String,
    hint: String,
}

impl Problem {
    /// `what` is lower case, with values in backticks; `hint` says what to do.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            detail: String::new(),
            hint: hint.into(),
        }
    }

    /// Adds lines to look at, such as the end of a log.
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Lines to look at; may be empty.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}
