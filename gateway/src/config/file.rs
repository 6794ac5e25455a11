//! The optional TOML file: flat, the same settings as the environment, keys in lower case.

use std::collections::BTreeMap;

use super::error::{ConfigErrors, Problem};
use super::{env, names};

/// What a file says, by variable name, and what is wrong with its keys.
#[derive(Default)]
pub(super) struct File {
    pub(super) values: BTreeMap<&'static str, String>,
    pub(super) problems: Vec<Problem>,
}

/// Reads the text of a file. `Err` when it is no TOML at all, because then nothing is known about any setting.
pub(super) fn parse(text: &str) -> Result<File, ConfigErrors> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's own rendering quotes the line, which may hold a secret.
        let line = error.span().map_or(0, |span| {
            text.bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
        }) + 1;
        ConfigErrors::about_the_file(
            format!("`CONFIG_FILE` is not valid TOML at line {line}"),
            "write `key = \"value\"`, one setting per line",
        )
    })?;
    let mut file = File::default();
    for (key, value) in table {
        match env::ALL.iter().find(|known| known.key() == key) {
            Some(known) if known.name == env::CONFIG_FILE.name => {
                file.problems.push(Problem {
                    variable: known.name.to_owned(),
                    message: "`config_file` cannot be set in the file".to_owned(),
                    hint: "one file is read, the one that the environment names".to_owned(),
                });
            }
            Some(known) => match plain(value) {
                Some(value) => {
                    file.values.insert(known.name, value);
                }
                None => file.problems.push(Problem {
                    variable: known.name.to_owned(),
                    message: format!(
                        "`{key}` in the file must be a string, a whole number or a list of strings"
                    ),
                    hint: format!("`{}` is {}", known.name, known.kind),
                }),
            },
            None => file.problems.push(unknown(&key)),
        }
    }
    Ok(file)
}

/// The value as the environment would spell it.
fn plain(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            Some(items?.join(","))
        }
        toml::Value::Boolean(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}

fn unknown(key: &str) -> Problem {
    let hint = match names::nearest(key) {
        Some((known, distance)) if distance * 2 <= key.len() => {
            format!("did you mean `{}`?", known.to_ascii_lowercase())
        }
        _ => "docs/reference/configuration.md lists every setting".to_owned(),
    };
    Problem {
        variable: key.to_owned(),
        message: format!("`{key}` in the file is not a setting"),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let file = parse(text).expect("valid TOML");
        file.problems
            .iter()
            .map(|problem| format!("{} | {}", problem.message, problem.hint))
            .collect()
    }

    #[test]
    fn strings_numbers_and_lists_read_like_the_environment() {
        let text =
            "port = 8080\nlog_level = \"debug\"\nallowed_hosts = [\"a.example.com\", \"b.example.com\"]";
        let file = parse(text).expect("valid TOML");
        let values: Vec<_> = file.values.into_iter().collect();
        assert_eq!(
            values,
            [
                ("ALLOWED_HOSTS", "a.example.com,b.example.com".to_owned()),
                ("LOG_LEVEL", "debug".to_owned()),
                ("PORT", "8080".to_owned()),
            ]
        );
        assert!(file.problems.is_empty());
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        for (text, hint) in [
            ("prot = 1", "did you mean `port`?"),
            ("PORT = 1", "did you mean `port`?"),
            ("sse_keepalive = 1", "did you mean `sse_keepalive_interval`?"),
            (
                "zzzzzzzzzzzz = 1",
                "docs/reference/configuration.md lists every setting",
            ),
        ] {
            let key = text.split(' ').next().expect("a key");
            assert_eq!(
                problems(text),
                [format!("`{key}` in the file is not a setting | {hint}")]
            );
        }
    }

    #[test]
    fn a_table_or_a_boolean_is_no_setting() {
        assert_eq!(
            problems("port = true"),
            [
                "`port` in the file must be a string, a whole number or a list of strings | `PORT` is a whole number from 0 to 65535"
            ]
        );
        assert_eq!(problems("[server]\nport = 1").len(), 1);
    }

    #[test]
    fn the_file_cannot_name_another_file() {
        assert_eq!(
            problems("config_file = \"other.toml\""),
            [
                "`config_file` cannot be set in the file | one file is read, the one that the environment names"
            ]
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_and_never_quotes_it() {
        let errors = parse("port = 1\nsession_secret = \"canary-in-a-broken-line\n")
            .err()
            .expect("no TOML");
        assert_eq!(
            errors.problems[0].message,
            "`CONFIG_FILE` is not valid TOML at line 2"
        );
        assert!(!errors.to_string().contains("canary"));
    }
}
