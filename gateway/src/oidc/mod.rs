//! What an OpenID provider says about itself: discovery document, keys and token endpoint, fetched lazily.

mod document;
mod id_token;
mod keys;
mod wire;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::clock::Clock;
use crate::config::GoogleConfig;

use document::Document;
use id_token::Expected;
use keys::Keys;

/// The endpoints of OpenID Connect Discovery 1.0 that the gateway uses.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct ProviderMetadata {
    /// Must equal the configured issuer.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// Where an access token's owner is told.
    pub userinfo_endpoint: Url,
    /// The provider's public keys.
    pub jwks_uri: Url,
}

/// A successful token response (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// `access_token`.
    pub access_token: SecretString,
    /// `refresh_token`, when the provider sent one.
    pub refresh_token: Option<SecretString>,
    /// `id_token`, in an answer to a code.
    pub id_token: Option<String>,
    /// `scope`, space separated; empty when the provider granted exactly what was asked for and left it out.
    pub scope: String,
    /// When the access token expires.
    pub expires_at: Timestamp,
}

/// The verified claims of an ID token that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdClaims {
    /// `sub`.
    pub subject: String,
    /// `email`.
    pub email: String,
    /// `email_verified`.
    pub email_verified: bool,
    /// `hd`: the Workspace domain; absent for consumer accounts.
    pub hosted_domain: Option<String>,
    /// `name`.
    pub name: Option<String>,
}

/// Why the provider gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// No answer, a 5xx, a 429: try again later; nothing is known about the grant.
    #[error("the identity provider did not answer: {detail}")]
    Unreachable {
        /// For the log.
        detail: String,
    },
    /// `invalid_grant`: the code or refresh token is dead; only a new login helps.
    #[error("the identity provider refused the grant")]
    InvalidGrant,
    /// Another error of RFC 6749 section 5.2: our configuration is wrong.
    #[error("the identity provider refused the request: {code}")]
    Rejected {
        /// The `error` field, e.g. `invalid_client` or `unauthorized_client`.
        code: String,
    },
    /// An ID token or document that is not what it should be.
    #[error("the identity provider's answer is not valid: {detail}")]
    Malformed {
        /// For the log.
        detail: String,
    },
}

impl OidcError {
    fn malformed(detail: impl Into<String>) -> Self {
        Self::Malformed {
            detail: detail.into(),
        }
    }
}

/// One OpenID provider. Cheap to clone; discovery and keys are cached and fetched on first use.
#[derive(Clone, Debug)]
pub struct Provider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Without a trailing slash, as it stands in ID tokens.
    issuer: String,
    client_id: String,
    client_secret: SecretString,
    http: reqwest::Client,
    clock: Clock,
    metadata: Document<Arc<ProviderMetadata>>,
    keys: Document<Keys>,
}

impl Provider {
    /// Remembers where the provider is. No network.
    pub fn new(config: &GoogleConfig, http: reqwest::Client, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                issuer: config.issuer.as_str().trim_end_matches('/').to_owned(),
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                http,
                clock,
                metadata: Document::default(),
                keys: Document::default(),
            }),
        }
    }

    /// The discovery document, cached.
    pub async fn metadata(&self) -> Result<Arc<ProviderMetadata>, OidcError> {
        let inner = &self.inner;
        let fetch = async {
            let url = format!("{}/.well-known/openid-configuration", inner.issuer);
            let metadata: ProviderMetadata = wire::get_json(&inner.http, &url).await?;
            check_metadata(&metadata, &inner.issuer)?;
            Ok(Arc::new(metadata))
        };
        inner.metadata.get(&inner.clock, |_| true, fetch).await
    }

    /// Fetches what [`Provider::verify_id_token`] needs, so that a one-time code is spent only if the
    /// answer can be verified. Free once cached.
    pub async fn prepare(&self) -> Result<(), OidcError> {
        self.keys(|_| true).await.map(|_| ())
    }

    /// Exchanges an authorization code (with our PKCE verifier).
    pub async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<TokenResponse, OidcError> {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<TokenResponse, OidcError> {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ])
        .await
    }

    /// Verifies signature, issuer, audience, expiry and nonce of an ID token.
    pub async fn verify_id_token(&self, id_token: &str, nonce: &str) -> Result<IdClaims, OidcError> {
        let kid = id_token::key_id(id_token)?;
        let keys = self.keys(|keys| keys.find(&kid).is_some()).await?;
        let key = keys
            .find(&kid)
            .ok_or_else(|| OidcError::malformed("the ID token is signed with an unknown key"))?;
        let claims = id_token::verify_signature(id_token, key)?;
        let expected = Expected {
            issuer: &self.inner.issuer,
            client_id: &self.inner.client_id,
            nonce,
        };
        id_token::check(claims, &expected, self.inner.clock.unix_seconds())
    }

    async fn keys(&self, good: impl Fn(&Keys) -> bool + Send) -> Result<Keys, OidcError> {
        let inner = &self.inner;
        let fetch = async {
            let url = self.metadata().await?.jwks_uri.clone();
            Ok(Keys::parse(wire::get_json(&inner.http, url.as_str()).await?))
        };
        inner.keys.get(&inner.clock, good, fetch).await
    }

    async fn token(&self, grant: &[(&str, &str)]) -> Result<TokenResponse, OidcError> {
        let inner = &self.inner;
        let endpoint = self.metadata().await?.token_endpoint.clone();
        let mut form = grant.to_vec();
        form.push(("client_id", &inner.client_id));
        form.push(("client_secret", inner.client_secret.expose_secret()));
        let answer = wire::post_form(&inner.http, endpoint, &form).await?;
        Ok(answer.into_response(inner.clock.now()))
    }
}

/// The rules of OpenID Connect Discovery 1.0 section 4.3, and that an https issuer names https endpoints:
/// the client secret goes to one of them.
fn check_metadata(metadata: &ProviderMetadata, issuer: &str) -> Result<(), OidcError> {
    if metadata.issuer.trim_end_matches('/') != issuer {
        return Err(OidcError::malformed(format!(
            "the discovery document names issuer `{}` instead of `{issuer}`",
            metadata.issuer
        )));
    }
    let endpoints = [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.userinfo_endpoint,
        &metadata.jwks_uri,
    ];
    match endpoints.iter().find(|url| url.scheme() != "https") {
        Some(url) if issuer.starts_with("https://") => Err(OidcError::malformed(format!(
            "the discovery document names an endpoint that is not https: `{url}`"
        ))),
        _ => Ok(()),
    }
}
