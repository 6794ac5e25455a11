//! Reads declared variables one by one and collects everything that is wrong with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Problem;
use super::variable::{Default, Kind, Variable};

/// Where values come from, and what is wrong so far.
pub(super) struct Reader<'a> {
    env: &'a BTreeMap<String, String>,
    file: BTreeMap<&'static str, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// What was asked for, so that a test can tell that every declaration is read.
    #[cfg(test)]
    pub(super) asked: std::collections::BTreeSet<&'static str>,
}

/// Why a value is refused: what it must be, and how to get there.
pub(super) struct Refusal {
    must: String,
    hint: String,
}

impl Refusal {
    pub(super) fn new(must: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            must: must.into(),
            hint: hint.into(),
        }
    }

    /// What the value must be.
    #[cfg(test)]
    pub(super) fn must(&self) -> &str {
        &self.must
    }

    /// How to get there.
    #[cfg(test)]
    pub(super) fn hint(&self) -> &str {
        &self.hint
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a BTreeMap<String, String>, file: super::file::File) -> Self {
        Self {
            env,
            file: file.values,
            problems: file.problems,
            warnings: super::names::warnings(env),
            #[cfg(test)]
            asked: std::collections::BTreeSet::new(),
        }
    }

    /// Whether a switch for tests is on. Such switches are not declared, because release builds do not have them.
    #[cfg(debug_assertions)]
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.env.get(name).is_some_and(|value| value == "1")
    }

    /// What was set, without surrounding white space. The environment wins; an empty value counts as unset,
    /// because container tools pass variables that they do not know as empty.
    fn set(&mut self, variable: &'static Variable) -> Option<String> {
        #[cfg(test)]
        self.asked.insert(variable.name);
        [self.env.get(variable.name), self.file.get(variable.name)]
            .into_iter()
            .flatten()
            .map(|value| value.trim())
            .find(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// Whether the variable was set at all.
    pub(super) fn is_set(&mut self, variable: &'static Variable) -> bool {
        self.set(variable).is_some()
    }

    /// Notes a problem. A secret's value is not printed.
    pub(super) fn refuse(&mut self, variable: &Variable, value: &str, refusal: Refusal) {
        let Refusal { must, hint } = refusal;
        let name = variable.name;
        let message = if variable.secret {
            format!("`{name}` must be {must}")
        } else {
            format!("`{name}` must be {must}, got `{}`", value.escape_debug())
        };
        self.complain(variable, message, hint);
    }

    /// Notes a problem that has its own sentence.
    pub(super) fn complain(&mut self, variable: &Variable, message: String, hint: impl Into<String>) {
        self.problems.push(Problem {
            variable: variable.name.to_owned(),
            message,
            hint: hint.into(),
        });
    }

    /// The parsed value of a variable that is required or has a default. `None`: a problem was noted.
    pub(super) fn get<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let value = match (self.set(variable), variable.default) {
            (Some(value), _) => value,
            (None, Default::Value(value)) => value.to_owned(),
            (None, Default::Required | Default::Described(_)) => {
                let message = format!("`{}` is not set", variable.name);
                let hint = format!("set it to {}; {}", variable.kind, variable.advice());
                self.complain(variable, message, hint);
                return None;
            }
        };
        self.parse(variable, &value, parse)
    }

    /// The parsed value of a variable that may be absent. `None`: a problem was noted.
    #[expect(
        clippy::option_option,
        reason = "the outer level says whether the value is usable, the inner one whether there is one"
    )]
    pub(super) fn optional<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        match self.set(variable) {
            Some(value) => self.parse(variable, &value, parse).map(Some),
            None => Some(None),
        }
    }

    fn parse<T>(
        &mut self,
        variable: &'static Variable,
        value: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        // A value that is no UTF-8 arrives with replacement characters; a line break would forge log lines.
        let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        let parsed = if value.contains(odd) {
            Err(Refusal::new(
                "printable UTF-8 text",
                "remove the control characters",
            ))
        } else {
            parse(value)
        };
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(refusal) => {
                self.refuse(variable, value, refusal);
                None
            }
        }
    }

    /// A duration declared in milliseconds.
    pub(super) fn millis(&mut self, variable: &'static Variable) -> Option<Duration> {
        self.number(variable).map(Duration::from_millis)
    }

    /// A whole number within the declared range.
    pub(super) fn number(&mut self, variable: &'static Variable) -> Option<u64> {
        let (Kind::Millis { min, max } | Kind::Number { min, max }) = variable.kind else {
            debug_assert!(false, "`{}` is not declared as a number", variable.name);
            return None;
        };
        self.get(variable, |value| {
            let number = value.parse::<u64>().ok().filter(|n| (min..=max).contains(n));
            number.ok_or_else(|| Refusal::new(variable.kind.to_string(), variable.advice()))
        })
    }

    /// One of the declared words.
    pub(super) fn word(&mut self, variable: &'static Variable) -> Option<&'static str> {
        let Kind::OneOf(words) = variable.kind else {
            debug_assert!(false, "`{}` is not declared as a choice", variable.name);
            return None;
        };
        self.get(variable, |value| {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(value));
            word.copied()
                .ok_or_else(|| Refusal::new(variable.kind.to_string(), variable.advice()))
        })
    }

    /// A list separated by commas; empty when unset. Each item is checked on its own.
    pub(super) fn list(
        &mut self,
        variable: &'static Variable,
        parse: fn(&str) -> Result<String, Refusal>,
    ) -> Option<Vec<String>> {
        let items = self.optional(variable, |value| {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect::<Vec<_>>())
        })?;
        let items = items.unwrap_or_default();
        let parsed: Vec<_> = items
            .iter()
            .filter_map(|item| self.parse(variable, item, parse))
            .collect();
        (parsed.len() == items.len()).then_some(parsed)
    }

    /// A path, as it is.
    pub(super) fn path(&mut self, variable: &'static Variable) -> Option<PathBuf> {
        self.get(variable, |value| Ok(PathBuf::from(value)))
    }
}
