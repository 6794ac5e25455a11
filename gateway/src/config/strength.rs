//! Whether a secret is one: refuses placeholders and repetitions, so that a copied example never starts.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::parse::Refusal;

/// Characters that a secret needs at least: 128 bits in hexadecimal.
const SHORTEST: usize = 32;

/// Different characters that a secret needs at least. 32 random hexadecimal digits have fewer than eight
/// once in a million.
const FEWEST_DIFFERENT: usize = 8;

/// What example files write where a secret belongs.
const PLACEHOLDERS: [&str; 8] = [
    "changeme",
    "example",
    "insecure",
    "password",
    "placeholder",
    "replaceme",
    "supersecret",
    "yoursecret",
];

/// Accepts a secret that keys can be derived from. A refusal never says what the secret is.
pub(super) fn key_material(value: &str) -> Result<SecretString, Refusal> {
    let refuse = |must: &str| Err(Refusal::new(must, "make one with `openssl rand -base64 48`"));
    let length = value.chars().count();
    if length < SHORTEST {
        return refuse(&format!(
            "at least {SHORTEST} characters long, this one has {length}"
        ));
    }
    let letters: String = value
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase();
    if PLACEHOLDERS
        .iter()
        .any(|placeholder| letters.contains(placeholder))
    {
        return refuse("random, this one is a placeholder");
    }
    let different: BTreeSet<char> = value.chars().collect();
    if different.len() < FEWEST_DIFFERENT || repeats(value) {
        return refuse("random, this one repeats itself");
    }
    Ok(SecretString::from(value))
}

/// Whether the text is a shorter one written over and over: then it occurs in its double before the end.
fn repeats(text: &str) -> bool {
    text.char_indices()
        .skip(1)
        .take_while(|(index, _)| *index <= text.len() / 2)
        .any(|(index, _)| {
            let (start, rest) = text.split_at(index);
            rest.as_bytes()
                .chunks(start.len())
                .all(|chunk| start.as_bytes().starts_with(chunk))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(secret: &str) -> String {
        match key_material(secret) {
            Ok(_) => "accepted".to_owned(),
            Err(refusal) => refusal.must().to_owned(),
        }
    }

    #[test]
    fn random_secrets_of_every_spelling_are_accepted() {
        for secret in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "l3m9o2Jt0s7V5Yk1qXw8ZbR4uNc6EhDg",
            "kJ8+z/2Qm1Xw0aVb7YtR5uNc6EhDgP4sT9oLfI3eCqZ0H2yW1rK5xU8jA7nB6vM=",
            "correct horse battery staple clock moving",
        ] {
            assert_eq!(verdict(secret), "accepted", "{secret}");
        }
    }

    #[test]
    fn short_secrets_are_refused_by_their_length() {
        assert_eq!(
            verdict("9f86d081884c7d659a2feaa0c55ad01"),
            "at least 32 characters long, this one has 31"
        );
    }

    #[test]
    fn placeholders_are_refused_however_they_are_written() {
        for secret in [
            "change-me-change-me-change-me-change-me",
            "CHANGE_ME_please_9f86d081884c7d659a2feaa0",
            "your-secret-goes-here-9f86d081884c7d659a",
            "example-session-secret-0123456789abcdef",
        ] {
            assert_eq!(verdict(secret), "random, this one is a placeholder", "{secret}");
        }
    }

    #[test]
    fn repetitions_are_refused() {
        for secret in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef0123",
            "éàéàéàéàéàéàéàéàéàéàéàéàéàéàéàéàéàéàéàéà",
        ] {
            assert_eq!(verdict(secret), "random, this one repeats itself", "{secret}");
        }
    }

    #[test]
    fn a_refusal_never_contains_the_secret() {
        let refusal = key_material("canary-changeme-canary-changeme-canary").expect_err("a placeholder");
        assert!(!refusal.must().contains("canary"));
    }
}
