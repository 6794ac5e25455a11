//! Names that are almost right: suggestions for misspelt variables and for names that other gateways use.

use std::collections::BTreeMap;

use super::env;

/// Names that people bring along, and what to do instead.
const FOREIGN: &[(&str, &str)] = &[
    ("DYNAMODB_TABLE_NAME", "set `SESSIONS_TABLE` and `TOKENS_TABLE`"),
    (
        "GOOGLE_REDIRECT_URI",
        "it is always `PUBLIC_URL` followed by `/auth/callback`",
    ),
    ("KMS_KEY_ID", "set `KMS_KEY_ARN`"),
    ("RUST_LOG", "set `LOG_LEVEL`"),
];

/// A sentence for every variable of the environment that looks meant for the gateway but is not read.
pub(super) fn warnings(env: &BTreeMap<String, String>) -> Vec<String> {
    env.keys()
        .filter(|name| env::ALL.iter().all(|known| known.name != name.as_str()))
        .filter_map(|name| {
            if let Some((_, instead)) = FOREIGN.iter().find(|(foreign, _)| foreign == name) {
                return Some(format!("`{name}` is not read; {instead}"));
            }
            let meant = meant_by(name)?;
            Some(format!("`{name}` is not read; did you mean `{meant}`?"))
        })
        .collect()
}

/// The variable that an unread variable was probably meant to be.
///
/// An environment is full of other people's names (`HOME` is two letters from `HOST`), so only near misses
/// of long names count, and beginnings of at least two words.
fn meant_by(name: &str) -> Option<&'static str> {
    const SHORTEST: usize = 6;
    const LONG: usize = 10;
    let (known, distance) = nearest(name)?;
    let tolerated = if known.len() < LONG { 1 } else { 2 };
    (name.len() >= SHORTEST && distance <= tolerated).then_some(known)
}

/// The known variable with the fewest edits between it and `name`, and how many those are.
/// At least two words that begin a variable count as that variable.
pub(super) fn nearest(name: &str) -> Option<(&'static str, usize)> {
    let name = name.to_ascii_uppercase();
    let beginning = format!("{name}_");
    env::ALL
        .iter()
        .map(|known| match known.name {
            known if name.contains('_') && known.starts_with(&beginning) => (known, 0),
            known => (known, distance(&name, known)),
        })
        .min_by_key(|(_, distance)| *distance)
}

/// Levenshtein distance: how many bytes to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.bytes().enumerate() {
        let mut left = index + 1;
        let mut next = vec![left];
        for ((b, diagonal), above) in to.bytes().zip(&row).zip(row.iter().skip(1)) {
            left = if a == b {
                *diagonal
            } else {
                1 + left.min(*diagonal).min(*above)
            };
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(names: &[&str]) -> Vec<String> {
        warnings(
            &names
                .iter()
                .map(|name| ((*name).to_owned(), "x".to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_near_miss_names_what_was_meant() {
        for (wrong, right) in [
            ("SSE_KEEPALIVE", "SSE_KEEPALIVE_INTERVAL"),
            ("SSE_KEEP_ALIVE_INTERVAL", "SSE_KEEPALIVE_INTERVAL"),
            ("SESION_SECRET", "SESSION_SECRET"),
            ("session_secret", "SESSION_SECRET"),
            ("LOGLEVEL", "LOG_LEVEL"),
            ("GOOGLE_API_BASE", "GOOGLE_API_BASE_URL"),
            ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
        ] {
            let expected = format!("`{wrong}` is not read; did you mean `{right}`?");
            assert_eq!(warned(&[wrong]), [expected]);
        }
    }

    #[test]
    fn names_of_other_gateways_say_what_to_set_instead() {
        let warnings = warned(&["KMS_KEY_ID", "DYNAMODB_TABLE_NAME", "RUST_LOG"]);
        assert_eq!(
            warnings,
            [
                "`DYNAMODB_TABLE_NAME` is not read; set `SESSIONS_TABLE` and `TOKENS_TABLE`",
                "`KMS_KEY_ID` is not read; set `KMS_KEY_ARN`",
                "`RUST_LOG` is not read; set `LOG_LEVEL`",
            ]
        );
    }

    #[test]
    fn an_ordinary_environment_gives_no_warning() {
        let ordinary = [
            "HOME",
            "HOSTNAME",
            "HOSTTYPE",
            "LOGNAME",
            "PATH",
            "PWD",
            "SHELL",
            "TERM",
            "USER",
            "LANG",
            "AWS_REGION",
            "AWS_SESSION_TOKEN",
            "SSL_CERT_FILE",
            "TMPDIR",
            "NODE_ENV",
            "GATEWAY_PORT",
            "XDG_DATA_DIRS",
            "STORAGE",
            "EXPORT",
        ];
        assert_eq!(warned(&ordinary), [""; 0]);
    }

    #[test]
    fn variables_that_are_read_give_no_warning() {
        let all: Vec<_> = env::ALL.iter().map(|known| known.name).collect();
        assert_eq!(warned(&all), [""; 0]);
    }

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), edits, "{from} -> {to}");
        }
    }
}
