//! Verifies the bearer of a request, with a bounded cache of what was verified before.

use std::collections::HashSet;
use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::id::{self, ClientId, UserId};
use crate::jwt::{Claims, SigningKeys, TokenError};
use crate::model::principal::Principal;

/// One verification of ES256 costs several times the rest of a fast call, so this many are remembered.
const CACHE_ENTRIES_MAX: u64 = 10_000;

/// Ours have about 600 bytes; whatever is longer is not worth a digest.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why a request has no principal. All are 401 outside; the log names the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization` header.
    #[error("the request carries no bearer token")]
    Missing,
    /// Not `Bearer <token>`, or not a token of ours for this URL.
    #[error("the bearer token is not valid here")]
    Invalid,
    /// A token of ours whose hour is over.
    #[error("the bearer token expired")]
    Expired,
    /// A token of ours whose grant was withdrawn.
    #[error("the bearer token was revoked")]
    Revoked,
}

/// Verifies bearers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bearer {
    keys: SigningKeys,
    issuer: Arc<str>,
    clock: Clock,
    /// Keyed by a digest of token and audiences, so that no token lies in memory and none is good elsewhere.
    verified: Cache<[u8; 32], Arc<Principal>>,
    /// Grants whose tokens are refused before their hour is over.
    denied: watch::Sender<HashSet<String>>,
}

impl Bearer {
    /// `issuer` is our public origin.
    pub fn new(keys: SigningKeys, issuer: String, clock: Clock) -> Self {
        Self {
            keys,
            issuer: issuer.into(),
            clock,
            verified: Cache::new(CACHE_ENTRIES_MAX),
            denied: watch::Sender::default(),
        }
    }

    /// Refuses the tokens of these grants from now on, and of no others.
    pub fn deny(&self, grants: Vec<String>) {
        self.denied.send_replace(grants.into_iter().collect());
    }

    /// Whether the tokens of a grant are refused.
    pub fn is_denied(&self, grant: &str) -> bool {
        self.denied.borrow().contains(grant)
    }

    /// Completes when the tokens of a grant are refused: what was begun under it ends then.
    pub fn denial(&self, grant: Arc<str>) -> impl Future<Output = ()> + Send + 'static {
        // Holds the sender, so there is always a next change to wait for.
        let denied = self.denied.clone();
        async move {
            let mut changes = denied.subscribe();
            let _ = changes.wait_for(|denied| denied.contains(&*grant)).await;
        }
    }

    /// The principal of an `Authorization` header value whose token is for one of `audiences`.
    pub fn verify(
        &self,
        authorization: Option<&[u8]>,
        audiences: &[&str],
    ) -> Result<Arc<Principal>, BearerError> {
        let token = token(authorization.ok_or(BearerError::Missing)?).ok_or(BearerError::Invalid)?;
        let now = self.clock.unix_seconds();
        let key = cache_key(token, audiences);
        // A token at the end of its hour goes through the full check, which knows the leeway.
        if let Some(principal) = self
            .verified
            .get(&key)
            .filter(|principal| principal.expires_at > now)
        {
            return self.admit(principal);
        }
        let claims = self
            .keys
            .verify(token, &self.issuer, audiences, now)
            .map_err(|error| match error {
                TokenError::Invalid => BearerError::Invalid,
                TokenError::Expired => BearerError::Expired,
            })?;
        let principal = Arc::new(principal(claims));
        self.verified.insert(key, Arc::clone(&principal));
        self.admit(principal)
    }

    fn admit(&self, principal: Arc<Principal>) -> Result<Arc<Principal>, BearerError> {
        if self.is_denied(&principal.grant) {
            return Err(BearerError::Revoked);
        }
        Ok(principal)
    }
}

/// The token of a header value; the scheme is case-insensitive (RFC 9110 section 11.1).
fn token(authorization: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(authorization).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let acceptable = scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    acceptable.then_some(token)
}

fn cache_key(token: &str, audiences: &[&str]) -> [u8; 32] {
    // A space is in neither a token nor a URL, so no two lists look the same.
    let mut material = token.to_owned();
    for audience in audiences {
        material.push(' ');
        material.push_str(audience);
    }
    id::sha256(material.as_bytes())
}

fn principal(claims: Claims) -> Principal {
    Principal {
        user: UserId::new(claims.sub),
        email: claims.email.into(),
        client: ClientId::new(claims.client_id),
        scope: claims.scope.into(),
        audience: claims.aud.into(),
        token_id: claims.jti.into(),
        grant: claims.sid.into(),
        expires_at: claims.exp,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::secret::Keyring;

    const ORIGIN: &str = "https://mcp.example.com";
    const MCP: &str = "https://mcp.example.com/mcp";
    const SSE: &str = "https://mcp.example.com/mcp/sse";

    fn bearer() -> (Bearer, String, Clock) {
        let keyring = Keyring::new("a secret for tests only".to_owned().into(), Vec::new());
        let keys = SigningKeys::derive(&keyring).unwrap();
        let clock = Clock::manual(Timestamp::from_second(1_000).unwrap());
        let claims = Claims {
            iss: ORIGIN.into(),
            sub: "1001".into(),
            aud: MCP.into(),
            client_id: "c".into(),
            scope: "mcp".into(),
            email: "ana@example.com".into(),
            jti: "j".into(),
            sid: "s".into(),
            iat: 1_000,
            exp: 4_600,
        };
        let token = keys.sign(&claims).unwrap();
        (Bearer::new(keys, ORIGIN.to_owned(), clock.clone()), token, clock)
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_the_rest_is_not() {
        let (bearer, token, _) = bearer();
        let verify = |value: &str| {
            bearer
                .verify(Some(value.as_bytes()), &[MCP])
                .map(|p| p.user.clone())
        };
        for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
            assert_eq!(
                verify(&format!("{scheme} {token}")),
                Ok(UserId::new("1001")),
                "{scheme}"
            );
        }
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            &token,
            &format!("Bearer\t{token}"),
            &long,
        ] {
            assert_eq!(verify(value), Err(BearerError::Invalid), "{value}");
        }
        assert_eq!(bearer.verify(None, &[MCP]), Err(BearerError::Missing));
        assert_eq!(
            bearer.verify(Some(b"Bearer \xff"), &[MCP]),
            Err(BearerError::Invalid)
        );
    }

    #[test]
    fn a_verified_token_is_remembered_for_its_audience_and_its_hour_only() {
        let (bearer, token, clock) = bearer();
        let header = format!("Bearer {token}");
        let verify = |audiences: &[&str]| bearer.verify(Some(header.as_bytes()), audiences);
        let first = verify(&[MCP]).unwrap();
        assert!(
            Arc::ptr_eq(&first, &verify(&[MCP]).unwrap()),
            "the second time comes from the cache"
        );
        assert_eq!(verify(&[SSE]), Err(BearerError::Invalid));
        assert_eq!(verify(&[]), Err(BearerError::Invalid));
        assert!(verify(&[MCP, SSE]).is_ok());
        clock.advance(Duration::from_secs(3_659));
        assert!(
            verify(&[MCP]).is_ok(),
            "the leeway holds for a remembered token, too"
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(verify(&[MCP]), Err(BearerError::Expired));
    }

    #[test]
    fn a_denied_grant_is_refused_even_when_its_token_is_remembered() {
        let (bearer, token, _) = bearer();
        let header = format!("Bearer {token}");
        let verify = || bearer.verify(Some(header.as_bytes()), &[MCP]).map(drop);
        assert_eq!(verify(), Ok(()));
        bearer.deny(vec!["another".into()]);
        assert_eq!(verify(), Ok(()));
        bearer.deny(vec!["another".into(), "s".into()]);
        assert_eq!(verify(), Err(BearerError::Revoked));
        bearer.verified.invalidate_all();
        assert_eq!(verify(), Err(BearerError::Revoked), "also one that is new here");
        bearer.deny(Vec::new());
        assert_eq!(verify(), Ok(()));
    }

    #[tokio::test]
    async fn who_waits_for_a_denial_hears_of_it_and_of_no_other() {
        let (bearer, _, _) = bearer();
        let mut denial = Box::pin(bearer.denial("s".into()));
        bearer.deny(vec!["another".into()]);
        assert_eq!(futures_util::poll!(denial.as_mut()), std::task::Poll::Pending);
        bearer.deny(vec!["another".into(), "s".into()]);
        denial.await;
        bearer.denial("s".into()).await;
    }

    #[test]
    fn a_token_of_another_deployment_is_refused() {
        let (_, token, clock) = bearer();
        let other = Keyring::new("another secret for tests".to_owned().into(), Vec::new());
        let keys = SigningKeys::derive(&other).unwrap();
        let bearer = Bearer::new(keys, ORIGIN.to_owned(), clock);
        let header = format!("Bearer {token}");
        assert_eq!(
            bearer.verify(Some(header.as_bytes()), &[MCP]),
            Err(BearerError::Invalid)
        );
    }
}
