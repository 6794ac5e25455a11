//! What is declared about a variable: enough to read it, to check it and to document it.

use std::fmt;

/// One setting. The environment variable has this name; the key in the file is the same in lower case.
#[derive(Debug)]
pub struct Variable {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Where the reference lists it.
    pub section: Section,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// What is accepted.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: Default,
    /// Why the default or the range is what it is.
    pub why: &'static str,
    /// Whether the value must never be printed.
    pub secret: bool,
}

impl Variable {
    /// The key in the configuration file.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// The default and its reason, as a hint.
    pub fn advice(&self) -> String {
        let why = clause(self.why);
        match self.default {
            Default::Value(value) => format!("the default is `{value}`; {why}"),
            Default::Required | Default::Described(_) => why,
        }
    }
}

/// A sentence as part of a longer one: no capital unless its first word is an abbreviation, no full stop.
fn clause(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    let first = chars.next();
    let rest = chars.as_str();
    let abbreviation = rest.starts_with(char::is_uppercase);
    match first {
        Some(first) if !abbreviation => format!("{}{rest}", first.to_lowercase()),
        Some(first) => format!("{first}{rest}"),
        None => String::new(),
    }
}

/// A chapter of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Names, sockets and limits.
    Server,
    /// Streams and calls.
    Calls,
    /// Google as identity provider and as API.
    Google,
    /// Where state lives.
    Store,
    /// Keys.
    Keys,
    /// Log lines, and the file itself.
    Process,
}

impl Section {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 6] = [
        Self::Server,
        Self::Calls,
        Self::Google,
        Self::Store,
        Self::Keys,
        Self::Process,
    ];

    /// The heading in the reference.
    pub fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Calls => "Streams and calls",
            Self::Google => "Google",
            Self::Store => "Store",
            Self::Keys => "Keys",
            Self::Process => "Process",
        }
    }
}

/// What a value has to look like. `Display` completes the sentence "must be …".
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A duration in milliseconds, both bounds included.
    Millis { min: u64, max: u64 },
    /// A whole number, both bounds included.
    Number { min: u64, max: u64 },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Anything that this phrase describes.
    Text(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis { min, max } => write!(f, "milliseconds from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::OneOf(words) => match words.split_last() {
                Some((last, rest)) => {
                    let rest: Vec<_> = rest.iter().map(|word| format!("`{word}`")).collect();
                    write!(f, "{} or `{last}`", rest.join(", "))
                }
                None => Ok(()),
            },
            Self::Text(phrase) => f.write_str(phrase),
        }
    }
}

/// What holds when a variable is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// The gateway does not start.
    Required,
    /// This value, read like one that was set.
    Value(&'static str),
    /// What this phrase describes; the section that reads it decides.
    Described(&'static str),
}
