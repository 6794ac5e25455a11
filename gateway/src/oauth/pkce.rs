//! Proof Key for Code Exchange (RFC 7636), `S256` only: `plain` would show the verifier to whoever sees the URL.

use subtle::ConstantTimeEq as _;

use crate::id;

/// The `S256` challenge of a verifier (RFC 7636 section 4.2).
pub fn challenge(verifier: &str) -> String {
    id::base64url(&id::sha256(verifier.as_bytes()))
}

/// Whether a `code_challenge` can be the result of `S256`: base64url of 32 bytes.
pub fn is_challenge(text: &str) -> bool {
    text.len() == 43 && id::from_base64url(text).is_some_and(|digest| digest.len() == 32)
}

/// Whether `verifier` is well formed (RFC 7636 section 4.1) and belongs to `challenge`.
pub fn verify(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && self::challenge(verifier)
            .as_bytes()
            .ct_eq(challenge.as_bytes())
            .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_verifies() {
        assert_eq!(challenge(VERIFIER), CHALLENGE);
        assert!(is_challenge(CHALLENGE));
        assert!(verify(VERIFIER, CHALLENGE));
    }

    #[test]
    fn a_wrong_short_long_or_plain_verifier_is_refused() {
        assert!(!verify(&VERIFIER.replace('d', "e"), CHALLENGE));
        assert!(!verify(CHALLENGE, CHALLENGE));
        assert!(!verify("", CHALLENGE));
        for odd in ["a".repeat(42), "a".repeat(129), format!("{} ", "a".repeat(43))] {
            assert!(!verify(&odd, &challenge(&odd)), "{odd}");
        }
        for even in ["a".repeat(43), "~".repeat(128)] {
            assert!(verify(&even, &challenge(&even)), "{even}");
        }
    }

    #[test]
    fn what_cannot_be_a_digest_is_no_challenge() {
        for text in [
            "",
            "short",
            &format!("{CHALLENGE}="),
            &"*".repeat(43),
            &"a".repeat(44),
        ] {
            assert!(!is_challenge(text), "{text}");
        }
    }
}
