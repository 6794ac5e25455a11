//! The authorization server: metadata, registration, authorize, consent, token. No HTTP types, no storage types.
//!
//! A login in order: [`register`] a client, [`authorize`] shows the consent page, [`consent`] sends the
//! browser to Google, [`login`] takes it back and issues a code, [`token`] exchanges the code. The rest are
//! pure rules.

pub mod authorize;
pub mod consent;
pub mod error;
pub mod login;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod refresh_token;
pub mod register;
pub mod resource;
pub mod scope;
pub mod token;

mod code_grant;
mod refresh_grant;

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use crate::clock::Clock;
use crate::config::Config;
use crate::id::{self, ClientId};
use crate::jwt::SigningKeys;
use crate::model::client::Client;
use crate::oidc::Provider;
use crate::secret::Keyring;
use crate::store::{Store, StoreError};

/// A login, from the first page to the return from Google, may take this long, in seconds.
pub const LOGIN_SECONDS: i64 = 600;

/// The path that Google sends the browser back to.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// A registration that nobody uses is forgotten after 90 days, in seconds.
const CLIENT_SECONDS: i64 = 90 * DAY_SECONDS;

/// A token may be signed while its grant is being ended, on a task with a clock of its own.
const DENIAL_MARGIN_SECONDS: i64 = 120;

const DAY_SECONDS: i64 = 86_400;

/// Identifiers that clients send are at most this long; ours have 22 characters.
const CLIENT_ID_LENGTH_MAX: usize = 128;

/// The authorization server's rules over its parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OAuth {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Our public origin: the issuer, and the base of every URL that we tell.
    origin: String,
    /// The Workspace domain whose people may log in.
    allowed_domain: String,
    /// The gateway's own client at Google.
    google_client_id: String,
    keyring: Keyring,
    keys: SigningKeys,
    store: Store,
    provider: Provider,
    clock: Clock,
}

impl OAuth {
    /// Wires the authorization server.
    pub fn new(
        config: &Config,
        keyring: Keyring,
        keys: SigningKeys,
        store: Store,
        provider: Provider,
        clock: Clock,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                origin: config.server.origin(),
                allowed_domain: config.google.allowed_domain.clone(),
                google_client_id: config.google.client_id.clone(),
                keyring,
                keys,
                store,
                provider,
                clock,
            }),
        }
    }

    /// Our public origin, which is also the issuer.
    pub fn issuer(&self) -> &str {
        &self.inner.origin
    }

    /// The public signing keys as a JWK set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.inner.keys.jwks()
    }

    /// A registration that has not expired.
    async fn client(&self, id: &str) -> Result<Option<Client>, StoreError> {
        if id.len() > CLIENT_ID_LENGTH_MAX {
            return Ok(None);
        }
        let client = self.inner.store.client(&ClientId::new(id)).await?;
        Ok(client.filter(|client| client.expires_at > self.now()))
    }

    /// Keeps a registration that is in use alive, with at most one write a day. A failure is only logged:
    /// the next use tries again, 89 days before it matters.
    async fn keep_client(&self, client: &Client) {
        let expires_at = self.now() + CLIENT_SECONDS;
        if client.expires_at > expires_at - DAY_SECONDS {
            return;
        }
        if let Err(error) = self.inner.store.extend_client(&client.id, expires_at).await {
            tracing::warn!(client_id = %client.id, %error, "a registration in use was not extended");
        }
    }

    /// Ends a grant: its refresh tokens, and the access tokens that it gave.
    ///
    /// In this order, so that whoever meets a family that is revoked need not wonder whether the tasks were told.
    async fn end_grant(&self, family_hash: &str) -> Result<(), StoreError> {
        let until = self.now() + token::ACCESS_SECONDS + DENIAL_MARGIN_SECONDS;
        self.inner.store.deny_grant(family_hash, until).await?;
        self.inner.store.revoke_family(family_hash).await
    }

    fn now(&self) -> i64 {
        self.inner.clock.unix_seconds()
    }
}

/// Whether `secret` is what `hash` was made from, in constant time.
fn is_preimage(secret: &str, hash: &str) -> bool {
    id::hashed(secret).as_bytes().ct_eq(hash.as_bytes()).into()
}
