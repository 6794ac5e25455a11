//! The provider's public keys (RFC 7517): RSA signature keys by `kid`, everything else skipped.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use serde::Deserialize;

/// A JWK set as it comes. The keys stay untyped, because one of an unknown kind must not spoil the others.
#[derive(Debug, Deserialize)]
pub(super) struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RsaJwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    n: String,
    e: String,
}

/// The usable keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keys(Arc<Vec<(String, DecodingKey)>>);

impl Keys {
    /// Keeps the RSA keys that may sign with `RS256`.
    pub(super) fn parse(set: JwkSet) -> Self {
        let usable = set.keys.into_iter().filter_map(|value| {
            let jwk: RsaJwk = serde_json::from_value(value).ok()?;
            let right_kind = jwk.kty == "RSA" && jwk.alg.is_none_or(|alg| alg == "RS256");
            let key = DecodingKey::from_rsa_components(&jwk.n, &jwk.e).ok()?;
            right_kind.then_some((jwk.kid, key))
        });
        Self(Arc::new(usable.collect()))
    }

    /// The key named `kid`.
    pub(super) fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.iter().find(|(id, _)| id == kid).map(|(_, key)| key)
    }
}
