//! What an OpenID provider says about itself: discovery document, keys and token endpoint, fetched lazily.

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::clock::Clock;
use crate::config::GoogleConfig;

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
    /// `scope`, space separated.
    pub scope: String,
    /// When the access token expires.
    pub expires_at: Timestamp,
}

/// The verified claims of an ID token that matter here.
#[derive(Clone, Debug)]
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
#[derive(Debug, thiserror::Error)]
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

/// One OpenID provider. Cheap to clone; discovery and keys are cached and fetched on first use.
#[derive(Clone, Debug)]
pub struct Provider {}

#[expect(
    unused_variables,
    clippy::todo,
    clippy::unused_async,
    reason = "placeholder until branch `oauth` lands"
)]
impl Provider {
    /// Remembers where the provider is. No network.
    pub fn new(config: &GoogleConfig, http: reqwest::Client, clock: Clock) -> Self {
        todo!()
    }
    /// The discovery document, cached.
    pub async fn metadata(&self) -> Result<std::sync::Arc<ProviderMetadata>, OidcError> {
        todo!()
    }
    /// Exchanges an authorization code (with our PKCE verifier).
    pub async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<TokenResponse, OidcError> {
        todo!()
    }
    /// Exchanges a refresh token.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<TokenResponse, OidcError> {
        todo!()
    }
    /// Verifies signature, issuer, audience, expiry and nonce of an ID token.
    pub async fn verify_id_token(&self, id_token: &str, nonce: &str) -> Result<IdClaims, OidcError> {
        todo!()
    }
}
