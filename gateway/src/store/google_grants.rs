//! Google's tokens of each person, encrypted, and the right to refresh them.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::dynamodb::When;
use super::envelope::{Context, Sealed};
use super::item::{Item, number, text, unreadable};
use super::keys::{EXPIRES_AT, Key};
use super::{Result, Store, StoreError, keys};
use crate::id::{self, UserId};
use crate::model::google::GoogleGrant;

/// What is encrypted. [`GoogleGrant`] itself cannot be serialised, so that it does not happen elsewhere.
#[derive(Serialize, Deserialize)]
struct Plain<S> {
    access_token: S,
    refresh_token: S,
    scope: S,
    expires_at: i64,
    reauth_required: bool,
}

impl Store {
    /// Stores Google's tokens of a person, over whatever was there.
    pub async fn put_google_grant(&self, user: &UserId, grant: &GoogleGrant) -> Result<()> {
        let key = keys::google_grant(user);
        let plain = Plain {
            access_token: grant.access_token.expose_secret(),
            refresh_token: grant.refresh_token.expose_secret(),
            scope: grant.scope.as_str(),
            expires_at: grant.expires_at,
            reauth_required: grant.reauth_required,
        };
        let plain = secrecy::SecretSlice::from(serde_json::to_vec(&plain).map_err(|_| unreadable(key.kind))?);
        let context = self.context(&key, user);
        let sealed = self.0.envelope.seal(plain.expose_secret(), &context).await?;
        let item = Item::from([
            ("key_id".to_owned(), text(sealed.key_id)),
            ("wrapped_key".to_owned(), binary(sealed.wrapped_key)),
            ("ciphertext".to_owned(), binary(sealed.ciphertext)),
        ]);
        self.0.db.put(&key, item).await
    }

    /// Google's tokens of a person.
    pub async fn google_grant(&self, user: &UserId) -> Result<Option<GoogleGrant>> {
        let key = keys::google_grant(user);
        let Some(item) = self.live(&key).await? else {
            return Ok(None);
        };
        let sealed = sealed(&item).ok_or_else(|| unreadable(key.kind))?;
        let context = self.context(&key, user);
        let plain = self.0.envelope.open(&sealed, &context).await?;
        let plain: Plain<String> =
            serde_json::from_slice(plain.expose_secret()).map_err(|_| unreadable(key.kind))?;
        Ok(Some(GoogleGrant {
            access_token: plain.access_token.into(),
            refresh_token: plain.refresh_token.into(),
            scope: plain.scope,
            expires_at: plain.expires_at,
            reauth_required: plain.reauth_required,
        }))
    }

    /// Takes the right to refresh a person's Google token, for `ttl` (rounded up to seconds).
    ///
    /// `false`: another request has it, or this `owner` already did. A lease that has run out is free.
    pub async fn acquire_refresh_lease(&self, user: &UserId, owner: &str, ttl: Duration) -> Result<bool> {
        let key = keys::google_lease(user);
        let now = self.now();
        let seconds = i64::try_from(ttl.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX);
        // Names this call, so that an attempt which the SDK repeats after a lost answer finds its own lease.
        let attempt = id::random_token();
        let item = Item::from([
            ("holder".to_owned(), text(owner)),
            ("attempt".to_owned(), text(&attempt)),
            (EXPIRES_AT.to_owned(), number(now.saturating_add(seconds))),
        ]);
        let when = When {
            condition: "attribute_not_exists(pk) OR expires_at <= :now OR attempt = :attempt",
            values: [(":now", number(now)), (":attempt", text(attempt))],
        };
        match self.0.db.put_when(&key, item, when).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the right back, if it is still `owner`'s.
    pub async fn release_refresh_lease(&self, user: &UserId, owner: &str) -> Result<()> {
        let when = When {
            condition: "holder = :owner",
            values: [(":owner", text(owner))],
        };
        match self.0.db.delete_when(&keys::google_lease(user), when).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn context<'a>(&'a self, key: &Key, user: &'a UserId) -> Context<'a> {
        Context {
            table: self.0.db.name(key.table),
            user: user.as_str(),
            purpose: key.kind,
        }
    }
}

fn binary(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn sealed(item: &Item) -> Option<Sealed> {
    let bytes = |name| Some(item.get(name)?.as_b().ok()?.as_ref().to_vec());
    Some(Sealed {
        key_id: item.get("key_id")?.as_s().ok()?.clone(),
        wrapped_key: bytes("wrapped_key")?,
        ciphertext: bytes("ciphertext")?,
    })
}
