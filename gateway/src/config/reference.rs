//! Writes `docs/reference/configuration.md` from the declarations.

use std::fmt::Write as _;

use super::env;
use super::variable::{Default, Section, Variable};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from gateway/src/config/env.rs. Rewrite with: UPDATE_DOCS=1 cargo test -p gateway --lib config -->

Settings come from environment variables and from one optional TOML file, which `CONFIG_FILE` names.
The file has the same settings with their names in lower case, such as `port = 3000`; lists may be TOML lists of strings.
The environment wins over the file, and an empty value counts as not set.
An unknown key in the file stops the start.
An environment variable that looks like a misspelt one is only reported.
All problems are reported together, and the gateway exits with status 64; `gateway check` does the same without serving.
Durations are in milliseconds.
";

/// The reference page of all variables, in Markdown.
pub fn reference() -> String {
    let required: Vec<_> = env::ALL
        .iter()
        .filter(|variable| variable.default == Default::Required)
        .map(|variable| format!("`{}`", variable.name))
        .collect();
    let mut page = format!("{INTRODUCTION}\nRequired: {}.\n", required.join(", "));
    for section in Section::ALL {
        let rows = env::ALL
            .iter()
            .filter(|variable| variable.section == section)
            .map(|variable| row(variable));
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## {}\n\n| Variable | Value | Default | Meaning |\n| --- | --- | --- | --- |\n{}",
            section.title(),
            rows.collect::<String>()
        );
    }
    page
}

fn row(variable: &Variable) -> String {
    let default = match variable.default {
        Default::Required => "required".to_owned(),
        Default::Value(value) => format!("`{value}`"),
        Default::Described(phrase) => phrase.to_owned(),
    };
    let secret = if variable.secret {
        " Secret: never printed."
    } else {
        ""
    };
    format!(
        "| `{}` | {} | {default} | {} {}{secret} |\n",
        variable.name, variable.kind, variable.doc, variable.why
    )
}
