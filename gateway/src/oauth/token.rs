//! The token endpoint (RFC 6749 section 3.2): who asks, for which grant, and every way to be refused.

use std::time::Duration;

use serde::Serialize;

use crate::id::{self, UserId};
use crate::jwt::{self, Claims};
use crate::model::client::Client;
use crate::oauth::params::{Params, Repeated};
use crate::oauth::{OAuth, is_preimage};
use crate::store::StoreError;

/// How long an access token lives, in seconds.
pub const ACCESS_SECONDS: i64 = 3600;

/// How long a refresh token lives without being used, in seconds; every use starts it anew.
pub const REFRESH_SECONDS: i64 = 30 * 86_400;

/// A successful response (RFC 6749 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// A JWT for the MCP URL of the grant.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: i64,
    /// Replaces the one that was presented.
    pub refresh_token: String,
    /// Granted scopes, space separated.
    pub scope: String,
}

/// `client_id` and `client_secret` of an `Authorization: Basic` header (RFC 6749 section 2.3.1).
#[derive(Clone, Debug)]
pub struct BasicCredentials {
    /// The user name.
    pub client_id: String,
    /// The password; empty for a public client.
    pub client_secret: String,
}

/// Why no token is issued. The variants name the exact reason for the log; outside, several look the same.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// Neither a form nor JSON.
    #[error("the body is neither a form nor a JSON object")]
    NotParameters,
    /// A parameter that the grant needs.
    #[error("parameter `{0}` is missing")]
    Missing(&'static str),
    /// RFC 6749 section 3.2.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// Credentials in the header and in the body (RFC 6749 section 2.3).
    #[error("the client authenticates in two ways at once")]
    TwoCredentials,
    /// Neither `authorization_code` nor `refresh_token`.
    #[error("the grant type is not supported")]
    GrantType,
    /// No such registration.
    #[error("the client is not registered")]
    UnknownClient,
    /// The secret is wrong, missing, or none was issued.
    #[error("the client secret is wrong")]
    WrongSecret,
    /// No such code.
    #[error("the code is unknown")]
    UnknownCode,
    /// The code was issued to another client.
    #[error("the code belongs to another client")]
    ForeignCode,
    /// Not the redirect URI of the authorization request.
    #[error("the redirect URI is not the one of the authorization request")]
    WrongRedirect,
    /// The verifier does not belong to the challenge.
    #[error("the code verifier is wrong")]
    WrongVerifier,
    /// The code was redeemed before; the tokens of that time are revoked.
    #[error("the code was redeemed before; its tokens are revoked")]
    CodeReplayed,
    /// The code is too old.
    #[error("the code expired")]
    CodeExpired,
    /// Not the resource of the grant.
    #[error("the resource is not the one of the grant")]
    WrongResource,
    /// None of the scopes was granted.
    #[error("the scope exceeds the grant")]
    WrongScope,
    /// Not a refresh token of ours, or its family is gone.
    #[error("the refresh token is unknown, expired or revoked")]
    UnknownRefresh,
    /// The refresh token was issued to another client.
    #[error("the refresh token belongs to another client")]
    ForeignRefresh,
    /// An old refresh token came back; the family is revoked.
    #[error("the refresh token was used before; its family is revoked")]
    RefreshReplayed,
    /// The store failed, and nothing was spent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] jwt::TokenError),
}

impl TokenRefusal {
    /// The `error` of RFC 6749 section 5.2.
    ///
    /// A failure of ours is `temporarily_unavailable`, with status 400 as well: clients answer a 5xx of this
    /// endpoint, like an `invalid_grant`, by throwing the login away.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotParameters | Self::Missing(_) | Self::Repeated(_) | Self::TwoCredentials => {
                "invalid_request"
            }
            Self::GrantType => "unsupported_grant_type",
            Self::UnknownClient | Self::WrongSecret => "invalid_client",
            Self::UnknownCode
            | Self::ForeignCode
            | Self::WrongRedirect
            | Self::WrongVerifier
            | Self::CodeReplayed
            | Self::CodeExpired
            | Self::UnknownRefresh
            | Self::ForeignRefresh
            | Self::RefreshReplayed => "invalid_grant",
            Self::WrongResource => "invalid_target",
            Self::WrongScope => "invalid_scope",
            Self::Store(_) | Self::Signing(_) => "temporarily_unavailable",
        }
    }

    /// The `error_description`: one text per code, so that it does not tell a wrong secret from an unknown
    /// client or a replayed code from an expired one.
    pub fn description(&self) -> String {
        match self.code() {
            "invalid_request" => self.to_string(),
            "unsupported_grant_type" => "use `authorization_code` or `refresh_token`".to_owned(),
            "invalid_client" => {
                "the client is not registered or its secret is wrong; register again".to_owned()
            }
            "invalid_grant" => {
                "the code or refresh token is not valid, or not for this request; log in again".to_owned()
            }
            "invalid_target" => "the resource is not the one of the grant".to_owned(),
            "invalid_scope" => "the scope exceeds the grant".to_owned(),
            _ => "the gateway cannot answer now and nothing was spent; try again".to_owned(),
        }
    }

    /// How long to wait before trying again, if that helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(StoreError::Throttled { retry_after }) => Some(*retry_after),
            Self::Store(_) | Self::Signing(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl OAuth {
    /// Answers a token request.
    pub async fn token(
        &self,
        params: &Params,
        basic: Option<&BasicCredentials>,
    ) -> Result<Tokens, TokenRefusal> {
        let client = self.authenticate(params, basic).await?;
        let tokens = match params.one("grant_type")? {
            Some("authorization_code") => self.redeem_code(params, &client).await?,
            Some("refresh_token") => self.refresh(params, &client).await?,
            Some(_) => return Err(TokenRefusal::GrantType),
            None => return Err(TokenRefusal::Missing("grant_type")),
        };
        self.keep_client(&client).await;
        Ok(tokens)
    }

    async fn authenticate(
        &self,
        params: &Params,
        basic: Option<&BasicCredentials>,
    ) -> Result<Client, TokenRefusal> {
        let (named, secret) = (params.one("client_id")?, params.one("client_secret")?);
        let (id, secret) = match basic {
            None => (named.ok_or(TokenRefusal::Missing("client_id"))?, secret),
            Some(_) if secret.is_some() => return Err(TokenRefusal::TwoCredentials),
            Some(basic) if named.is_some_and(|id| id != basic.client_id) => {
                return Err(TokenRefusal::TwoCredentials);
            }
            Some(basic) => {
                let secret = Some(basic.client_secret.as_str()).filter(|secret| !secret.is_empty());
                (basic.client_id.as_str(), secret)
            }
        };
        let client = self.client(id).await?.ok_or(TokenRefusal::UnknownClient)?;
        let authentic = match (&client.secret_hash, secret) {
            (None, None) => true,
            (Some(hash), Some(secret)) => is_preimage(secret, hash),
            (None, Some(_)) | (Some(_), None) => false,
        };
        authentic.then_some(client).ok_or(TokenRefusal::WrongSecret)
    }

    /// Signs an access token and puts the response together.
    pub(super) fn tokens(&self, holder: &Holder<'_>, refresh_token: String) -> Result<Tokens, TokenRefusal> {
        let now = self.now();
        let claims = Claims {
            iss: self.issuer().to_owned(),
            sub: holder.user.as_str().to_owned(),
            aud: holder.resource.to_owned(),
            client_id: holder.client.id.as_str().to_owned(),
            scope: holder.scope.to_owned(),
            email: holder.email.to_owned(),
            jti: id::base64url(&id::random::<16>()),
            sid: holder.family_hash.to_owned(),
            iat: now,
            exp: now + ACCESS_SECONDS,
        };
        Ok(Tokens {
            access_token: self.inner.keys.sign(&claims)?,
            token_type: "Bearer",
            expires_in: ACCESS_SECONDS,
            refresh_token,
            scope: holder.scope.to_owned(),
        })
    }
}

/// Whom and what an access token is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) user: &'a UserId,
    pub(super) email: &'a str,
    pub(super) client: &'a Client,
    pub(super) scope: &'a str,
    pub(super) resource: &'a str,
    pub(super) family_hash: &'a str,
}
