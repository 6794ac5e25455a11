//! What is wrong with a configuration, all of it at once.

use std::fmt;

use super::env;

/// One thing to fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the variable.
    pub variable: String,
    /// What is wrong, in one sentence that names the variable.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Every problem of a configuration. `Display` prints one block per problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// In the order of the reference; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// `CONFIG_FILE` names a file that cannot be read.
    pub(super) fn unreadable_file(path: &str, error: &std::io::Error) -> Self {
        Self::about_the_file(
            format!("`CONFIG_FILE` names `{path}`, which cannot be read: {error}"),
            "create the file, or unset the variable",
        )
    }

    /// The file is no TOML.
    pub(super) fn about_the_file(message: String, hint: &str) -> Self {
        Self {
            problems: vec![Problem {
                variable: env::CONFIG_FILE.name.to_owned(),
                message,
                hint: hint.to_owned(),
            }],
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => writeln!(f, "the configuration has 1 problem")?,
            count => writeln!(f, "the configuration has {count} problems")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {}\n  hint: {}\n", problem.message, problem.hint)?;
        }
        Ok(())
    }
}
