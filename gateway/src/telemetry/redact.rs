//! What stands for a secret in a log line, and how foreign text is kept on one line.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::id;

/// What is printed in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Endings of field names whose text is never written. The last line of defence: a secret has no business in a
/// log field, and [`fingerprint`] is what callers log.
const SECRET_NAMES: [&str; 6] = [
    "authorization",
    "cookie",
    "password",
    "secret",
    "token",
    "verifier",
];

/// Twelve hexadecimal digits that stand for a token or session id: equal for equal secrets, useless as one.
///
/// For values of at least 128 random bits only; anything that can be guessed can be found by its digest.
pub fn fingerprint(secret: &str) -> String {
    id::sha256(secret.as_bytes())
        .iter()
        .take(6)
        .fold(String::with_capacity(12), |mut digits, byte| {
            // Writing to a string cannot fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

/// Whether the text of a log field with this name is a secret.
pub fn is_secret(field: &str) -> bool {
    SECRET_NAMES.iter().any(|name| field.ends_with(name))
}

/// The text on one line and at most `max` characters long, so that what a client sent can neither forge a log line
/// nor fill the log: control and direction characters are escaped, the rest is left out with a note.
pub fn one_line(text: &str, max: usize) -> Cow<'_, str> {
    let harmless = |c: char| c == '\'' || c == '"' || c == '\\' || c.escape_debug().len() == 1;
    let end = text.char_indices().nth(max).map(|(index, _)| index);
    if end.is_none() && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let (kept, cut) = text.split_at(end.unwrap_or(text.len()));
    let mut line = String::with_capacity(kept.len() + 32);
    for c in kept.chars() {
        if harmless(c) {
            line.push(c);
        } else {
            line.extend(c.escape_debug());
        }
    }
    if !cut.is_empty() {
        let _ = write!(line, "… ({} more characters)", cut.chars().count());
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_stable_short_and_not_the_secret() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01");
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }

    #[test]
    fn line_breaks_and_terminal_codes_are_escaped() {
        for (text, line) in [
            (
                "plain \"quoted\" C:\\path 'x' é 🙂",
                "plain \"quoted\" C:\\path 'x' é 🙂",
            ),
            ("a\r\nlevel=ERROR forged", "a\\r\\nlevel=ERROR forged"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\u{2028}b\u{202e}c", "a\\u{2028}b\\u{202e}c"),
            ("nul\0", "nul\\0"),
        ] {
            assert_eq!(one_line(text, 100), line);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(one_line("éééééé", 6), "éééééé");
        assert_eq!(one_line("ééééééé", 6), "éééééé… (1 more characters)");
        assert_eq!(one_line("\n\n\n", 1), "\\n… (2 more characters)");
    }

    #[test]
    fn fields_named_like_secrets_are_secret_and_their_fingerprints_are_not() {
        for name in [
            "authorization",
            "token",
            "refresh_token",
            "client_secret",
            "set_cookie",
            "code_verifier",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "token_fingerprint",
            "token_endpoint",
            "user",
            "error_code",
            "secret_id",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
