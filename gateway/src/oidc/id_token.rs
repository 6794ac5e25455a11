//! The rules of an ID token (OpenID Connect Core 1.0 section 3.1.3.7), as functions without I/O.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::{IdClaims, OidcError};

/// Clock skew towards the provider that is forgiven, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// The claims as they come. Numbers must be numbers: an `exp` in quotes is refused, not ignored.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RawClaims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    nonce: Option<String>,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
    hd: Option<String>,
    name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What the claims have to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// Without a trailing slash.
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

/// The `kid` of a token signed with `RS256`; nothing is verified yet.
pub(super) fn key_id(id_token: &str) -> Result<String, OidcError> {
    let header = jsonwebtoken::decode_header(id_token)
        .map_err(|_| OidcError::malformed("the ID token's header does not parse"))?;
    if header.alg != Algorithm::RS256 {
        return Err(OidcError::malformed("the ID token is not signed with `RS256`"));
    }
    header
        .kid
        .ok_or_else(|| OidcError::malformed("the ID token names no key"))
}

/// Verifies the signature and hands out the claims, which [`check`] has yet to judge.
pub(super) fn verify_signature(id_token: &str, key: &DecodingKey) -> Result<RawClaims, OidcError> {
    let mut validation = Validation::new(Algorithm::RS256);
    // Every claim is judged by `check`, against the injected clock and in one place.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<RawClaims>(id_token, key, &validation)
        .map(|data| data.claims)
        .map_err(|error| OidcError::malformed(format!("the ID token does not verify: {error}")))
}

/// Judges issuer, audience, expiry and nonce. `email_verified` and `hd` are for the caller to judge.
pub(super) fn check(claims: RawClaims, expected: &Expected<'_>, now: i64) -> Result<IdClaims, OidcError> {
    let refuse = |detail: &str| Err(OidcError::malformed(detail));
    if !same_issuer(&claims.iss, expected.issuer) {
        return refuse("the ID token comes from another issuer");
    }
    let for_us = match &claims.aud {
        Audience::One(aud) => aud == expected.client_id,
        Audience::Many(all) => all.iter().any(|aud| aud == expected.client_id),
    };
    let several = matches!(&claims.aud, Audience::Many(all) if all.len() > 1);
    let party = claims.azp.as_deref();
    if !for_us || party.is_some_and(|azp| azp != expected.client_id) || (several && party.is_none()) {
        return refuse("the ID token is for another client");
    }
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
        return refuse("the ID token expired");
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return refuse("the ID token belongs to another login");
    }
    if claims.sub.is_empty() || claims.email.is_empty() {
        return refuse("the ID token names no subject or no address");
    }
    Ok(IdClaims {
        subject: claims.sub,
        email: claims.email,
        email_verified: claims.email_verified,
        hosted_domain: claims.hd,
        name: claims.name,
    })
}

/// Google documents two spellings of its issuer, with and without the scheme.
fn same_issuer(found: &str, issuer: &str) -> bool {
    found == issuer || (issuer == "https://accounts.google.com" && found == "accounts.google.com")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://accounts.google.com",
        client_id: "us",
        nonce: "n-1",
    };

    /// Valid claims with some replaced (`null` removes one), judged at 1000.
    fn judge(changes: &Value) -> Result<IdClaims, OidcError> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "sub": "1001", "aud": "us", "azp": "us",
            "exp": 1000, "iat": 900, "nonce": "n-1",
            "email": "ana@example.com", "email_verified": true, "hd": "example.com", "name": "Ana",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let claims: RawClaims =
            serde_json::from_value(claims).map_err(|error| OidcError::malformed(error.to_string()))?;
        check(claims, &EXPECTED, 1000)
    }

    #[test]
    fn good_claims_are_handed_out() {
        let claims = judge(&json!({})).unwrap();
        assert_eq!(claims.subject, "1001");
        assert_eq!(claims.email, "ana@example.com");
        assert_eq!(claims.hosted_domain.as_deref(), Some("example.com"));
        assert!(claims.email_verified);
    }

    #[test]
    fn the_documented_variants_of_google_pass() {
        assert!(judge(&json!({"iss": "accounts.google.com"})).is_ok());
        assert!(judge(&json!({"aud": ["us"], "azp": null})).is_ok());
        assert!(judge(&json!({"aud": ["us", "them"]})).is_ok());
        // 60 seconds of skew: 941 is still good at 1000, 940 is not.
        assert!(judge(&json!({"exp": 941})).is_ok());
    }

    #[test]
    fn every_wrong_claim_refuses_the_token() {
        for change in [
            json!({"iss": "https://accounts.google.com.evil.example"}),
            json!({"iss": "http://accounts.google.com"}),
            json!({"iss": null}),
            json!({"aud": "them"}),
            json!({"aud": []}),
            json!({"aud": null}),
            json!({"aud": ["us", "them"], "azp": null}),
            json!({"azp": "them"}),
            json!({"exp": 940}),
            json!({"exp": "9999999999"}),
            json!({"exp": null}),
            json!({"nonce": "n-2"}),
            json!({"nonce": null}),
            json!({"sub": ""}),
            json!({"email": null}),
            json!({"email_verified": "true"}),
        ] {
            assert!(judge(&change).is_err(), "{change}");
        }
    }

    #[test]
    fn an_address_counts_as_verified_only_when_the_token_says_so() {
        assert!(!judge(&json!({"email_verified": false})).unwrap().email_verified);
        assert!(!judge(&json!({"email_verified": null})).unwrap().email_verified);
        assert_eq!(judge(&json!({"hd": null})).unwrap().hosted_domain, None);
    }
}
