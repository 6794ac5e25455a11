//! Google's tokens of each person, encrypted, and the right to refresh them.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::{ExposeSecret as _, SecretSlice};
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

/// A grant as it was read, for a change that must not undo somebody else's.
#[derive(Clone, Debug)]
pub struct StoredGrant {
    /// The grant.
    pub grant: GoogleGrant,
    /// Its row. No two writes have the same ciphertext, so it is the row's version as well.
    sealed: Sealed,
}

impl StoredGrant {
    /// Whether nobody wrote the row between the two.
    pub fn is_same_write(&self, other: &Self) -> bool {
        self.sealed.ciphertext == other.sealed.ciphertext
    }
}

impl Store {
    /// Stores Google's tokens of a person, over whatever was there: what a new login brings is the newest.
    pub async fn put_google_grant(&self, user: &UserId, grant: &GoogleGrant) -> Result<()> {
        let key = keys::google_grant(user);
        let plain = plain(key.kind, grant)?;
        let context = self.context(&key, user);
        let sealed = self.0.envelope.seal(plain.expose_secret(), &context).await?;
        self.0.db.put(&key, row(sealed)).await
    }

    /// Stores the next state of a grant, unless somebody changed it since it was read: then `Conflict`.
    pub async fn replace_google_grant(
        &self,
        user: &UserId,
        before: &StoredGrant,
        grant: GoogleGrant,
    ) -> Result<StoredGrant> {
        let key = keys::google_grant(user);
        let plain = plain(key.kind, &grant)?;
        let context = self.context(&key, user);
        let envelope = &self.0.envelope;
        let sealed = envelope
            .reseal(plain.expose_secret(), &before.sealed, &context)
            .await?;
        let when = When {
            // `:mine` is there when an attempt is repeated whose answer got lost.
            condition: "ciphertext IN (:before, :mine)",
            values: [
                (":before", binary(before.sealed.ciphertext.clone())),
                (":mine", binary(sealed.ciphertext.clone())),
            ],
        };
        self.0.db.put_when(&key, row(sealed.clone()), when).await?;
        Ok(StoredGrant { grant, sealed })
    }

    /// Google's tokens of a person.
    pub async fn google_grant(&self, user: &UserId) -> Result<Option<GoogleGrant>> {
        let stored = self.stored_google_grant(user).await?;
        Ok(stored.map(|stored| stored.grant))
    }

    /// Google's tokens of a person, to be changed.
    pub async fn stored_google_grant(&self, user: &UserId) -> Result<Option<StoredGrant>> {
        let key = keys::google_grant(user);
        let Some(item) = self.live(&key).await? else {
            return Ok(None);
        };
        let sealed = sealed(&item).ok_or_else(|| unreadable(key.kind))?;
        let context = self.context(&key, user);
        let plain = self.0.envelope.open(&sealed, &context).await?;
        let plain: Plain<String> =
            serde_json::from_slice(plain.expose_secret()).map_err(|_| unreadable(key.kind))?;
        let grant = GoogleGrant {
            access_token: plain.access_token.into(),
            refresh_token: plain.refresh_token.into(),
            scope: plain.scope,
            expires_at: plain.expires_at,
            reauth_required: plain.reauth_required,
        };
        Ok(Some(StoredGrant { grant, sealed }))
    }

    /// Whether a grant could be stored now, as far as one can know: asked before something is spent that a grant
    /// comes from.
    pub async fn check_sealing(&self) -> Result<()> {
        let probe = Context {
            table: self.0.db.name(keys::Table::Tokens),
            user: "nobody",
            purpose: "probe",
        };
        self.0.envelope.check(&probe).await
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

fn plain(kind: &str, grant: &GoogleGrant) -> Result<SecretSlice<u8>> {
    let plain = Plain {
        access_token: grant.access_token.expose_secret(),
        refresh_token: grant.refresh_token.expose_secret(),
        scope: grant.scope.as_str(),
        expires_at: grant.expires_at,
        reauth_required: grant.reauth_required,
    };
    let json = serde_json::to_vec(&plain).map_err(|_| unreadable(kind))?;
    Ok(json.into())
}

fn row(sealed: Sealed) -> Item {
    Item::from([
        ("key_id".to_owned(), text(sealed.key_id)),
        ("wrapped_key".to_owned(), binary(sealed.wrapped_key)),
        ("ciphertext".to_owned(), binary(sealed.ciphertext)),
    ])
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
