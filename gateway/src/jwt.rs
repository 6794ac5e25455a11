//! ES256 access tokens (RFC 9068): signed here, verified by any task without I/O.
//!
//! The key pairs are derived from the keyring, so every task of a deployment has the same ones from
//! the first instant, and rotating `SESSION_SECRET` rotates them with overlap.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPublicKeyUncompressedBin, Pkcs8V1Der};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::id;
use crate::secret::Keyring;

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Our issuer URL.
    pub iss: String,
    /// The person (Google `sub`).
    pub sub: String,
    /// The MCP URL.
    pub aud: String,
    /// The OAuth client.
    pub client_id: String,
    /// Granted scopes, space separated.
    pub scope: String,
    /// The person's address at login.
    pub email: String,
    /// Unique name of this token.
    pub jti: String,
    /// The hash of the refresh-token family that the token belongs to.
    pub sid: String,
    /// Seconds since the Unix epoch.
    pub iat: i64,
    /// Seconds since the Unix epoch.
    pub exp: i64,
}

/// Why a token was refused. The caller answers 401 whatever the reason; the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT of ours: wrong algorithm, unknown key, bad signature, missing claim.
    #[error("the token is not one of ours")]
    Invalid,
    /// A good signature on a token whose time is over.
    #[error("the token expired")]
    Expired,
}

/// The signing keys of all generations, the current one first.
#[derive(Clone)]
pub struct SigningKeys {
    keys: Vec<SigningKey>,
}

#[derive(Clone)]
struct SigningKey {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    x: String,
    y: String,
}

/// A key pair could not be derived: the secret is unusable (practically impossible).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signing key can be derived from `SESSION_SECRET`; set another one")]
pub struct KeyError;

impl SigningKeys {
    /// Derives one P-256 key pair per generation of the keyring.
    pub fn derive(keyring: &Keyring) -> Result<Self, KeyError> {
        let keys = keyring
            .all("access token signing key")
            .into_iter()
            .map(|key| SigningKey::derive(key.id, &key.bytes))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Signs `claims` with the current key.
    pub fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        let key = self.keys.first().ok_or(TokenError::Invalid)?;
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, &key.encoding).map_err(|_| TokenError::Invalid)
    }

    /// Checks signature, `iss`, type, `exp` (60 s of leeway) against `now`, and `aud` to be one of `audiences`.
    pub fn verify(
        &self,
        token: &str,
        issuer: &str,
        audiences: &[&str],
        now: i64,
    ) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let right_type = header.typ.as_deref() == Some("at+jwt") && header.alg == Algorithm::ES256;
        let kid = header.kid.filter(|_| right_type).ok_or(TokenError::Invalid)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == kid)
            .ok_or(TokenError::Invalid)?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library reads the machine's clock; ours is injected, so expiry is checked below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.exp + LEEWAY_SECONDS <= now || claims.iat > now + LEEWAY_SECONDS {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The public keys as a JWK set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| {
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
                       "kid": key.id, "x": key.x, "y": key.y})
            })
            .collect();
        json!({ "keys": keys })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

/// Clock skew between tasks that is forgiven.
const LEEWAY_SECONDS: i64 = 60;

impl SigningKey {
    fn derive(id: String, scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let private = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| KeyError)?;
        let pkcs8: Pkcs8V1Der<'_> = private.as_der().map_err(|_| KeyError)?;
        let public = private.compute_public_key().map_err(|_| KeyError)?;
        let point: EcPublicKeyUncompressedBin<'_> = public.as_be_bytes().map_err(|_| KeyError)?;
        // An uncompressed point is 0x04, X, Y (SEC 1 section 2.3.3).
        let coordinates = point.as_ref().get(1..65).ok_or(KeyError)?;
        let (x, y) = coordinates.split_at(32);
        Ok(Self {
            id,
            encoding: EncodingKey::from_ec_der(pkcs8.as_ref()),
            decoding: DecodingKey::from_ec_der(point.as_ref()),
            x: id::base64url(x),
            y: id::base64url(y),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> SigningKeys {
        let mut all = secrets.iter().map(|s| (*s).to_owned().into());
        let current = all.next().unwrap();
        SigningKeys::derive(&Keyring::new(current, all.collect())).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://mcp.example.com".into(),
            sub: "1001".into(),
            aud: "https://mcp.example.com/mcp".into(),
            client_id: "c".into(),
            scope: "mcp".into(),
            email: "ana@example.com".into(),
            jti: "j".into(),
            sid: "s".into(),
            iat: 1_000,
            exp: 4_600,
        }
    }

    #[test]
    fn a_token_verifies_until_it_expires() {
        let keys = keys(&["first"]);
        let token = keys.sign(&claims()).unwrap();
        let verify = |now| {
            keys.verify(
                &token,
                "https://mcp.example.com",
                &["https://mcp.example.com/mcp"],
                now,
            )
        };
        assert_eq!(verify(2_000), Ok(claims()));
        assert_eq!(verify(4_659), Ok(claims()));
        assert_eq!(verify(4_660), Err(TokenError::Expired));
    }

    #[test]
    fn another_issuer_audience_or_key_is_refused() {
        let keys = keys(&["first"]);
        let token = keys.sign(&claims()).unwrap();
        let iss = "https://mcp.example.com";
        assert_eq!(
            keys.verify(&token, iss, &["https://mcp.example.com/mcp/sse"], 2_000),
            Err(TokenError::Invalid)
        );
        assert_eq!(
            keys.verify(&token, "https://evil.example", &[&claims().aud], 2_000),
            Err(TokenError::Invalid)
        );
        let other = self::keys(&["second"]);
        assert_eq!(
            other.verify(&token, iss, &[&claims().aud], 2_000),
            Err(TokenError::Invalid)
        );
    }

    #[test]
    fn a_rotated_secret_still_verifies_old_tokens() {
        let token = keys(&["first"]).sign(&claims()).unwrap();
        let rotated = keys(&["second", "first"]);
        assert!(
            rotated
                .verify(&token, "https://mcp.example.com", &[&claims().aud], 2_000)
                .is_ok()
        );
        assert_eq!(rotated.jwks()["keys"].as_array().map(Vec::len), Some(2));
    }
}
