//! The grants that this task has seen, for when the store is away, and what has to be stored once it is back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::CACHED_MAX;
use crate::clock::Clock;
use crate::id::UserId;
use crate::lifecycle::Lifecycle;
use crate::model::google::GoogleGrant;
use crate::store::{Store, StoreError, StoredGrant};

/// How long a grant that nobody uses is remembered: the life of an access token.
const FORGET_AFTER: Duration = Duration::from_hours(1);
/// For how long a store that failed to answer is not waited for by those who can do without.
const AWAY_FOR: Duration = Duration::from_secs(5);
/// How often it is tried to store what an outage kept from the store.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Grants in memory, in step with the store as far as it answers. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct KnownGrants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    lifecycle: Lifecycle,
    grants: Cache<UserId, Known>,
    /// When the store last failed to answer, in milliseconds since the Unix epoch.
    away_at: AtomicI64,
    /// Whose grant waits to be stored. A task saves them while there are any.
    unsaved: Mutex<BTreeSet<UserId>>,
}

#[derive(Clone, Debug)]
struct Known {
    /// What the store has.
    stored: StoredGrant,
    /// What a refresh brought since, and the store does not have.
    unsaved: Option<GoogleGrant>,
}

impl KnownGrants {
    pub(super) fn new(store: Store, clock: Clock, lifecycle: Lifecycle) -> Self {
        let grants = Cache::builder()
            .max_capacity(CACHED_MAX)
            .time_to_idle(FORGET_AFTER)
            .build();
        Self(Arc::new(Inner {
            store,
            clock,
            lifecycle,
            grants,
            away_at: AtomicI64::new(i64::MIN),
            unsaved: Mutex::default(),
        }))
    }

    /// The newest state of a person's grant that this task knows, unless it is dead.
    pub(super) fn get(&self, user: &UserId) -> Option<GoogleGrant> {
        let known = self.0.grants.get(user)?;
        let grant = known.unsaved.unwrap_or(known.stored.grant);
        (!grant.reauth_required).then_some(grant)
    }

    /// What the store has; before that it gets what an outage kept from it, unless somebody changed the grant.
    pub(super) async fn read(&self, user: &UserId) -> Result<Option<StoredGrant>, StoreError> {
        let read = self.0.store.stored_google_grant(user).await?;
        self.0.away_at.store(i64::MIN, Ordering::Relaxed);
        let Some(mut stored) = read else {
            self.0.grants.invalidate(user);
            return Ok(None);
        };
        if let Some(Known {
            stored: before,
            unsaved: Some(grant),
        }) = self.0.grants.get(user)
            && before.is_same_write(&stored)
        {
            stored = match self.0.store.replace_google_grant(user, &stored, grant).await {
                Ok(stored) => stored,
                Err(StoreError::Conflict) => return Box::pin(self.read_again(user)).await,
                Err(error) => return Err(error),
            };
        }
        self.note(user, stored.clone());
        Ok(Some(stored))
    }

    /// After a change by somebody else, which outweighs what was not stored.
    async fn read_again(&self, user: &UserId) -> Result<Option<StoredGrant>, StoreError> {
        let read = self.0.store.stored_google_grant(user).await?;
        match &read {
            Some(stored) => self.note(user, stored.clone()),
            None => self.0.grants.invalidate(user),
        }
        Ok(read)
    }

    /// Remembers what the store has.
    pub(super) fn note(&self, user: &UserId, stored: StoredGrant) {
        let unsaved = None;
        self.0.grants.insert(user.clone(), Known { stored, unsaved });
    }

    /// Remembers a refresh that the store does not know of, and stores it as soon as that is possible.
    pub(super) fn refreshed(&self, user: &UserId, grant: GoogleGrant) {
        let Some(known) = self.0.grants.get(user) else {
            return;
        };
        let unsaved = Some(grant);
        self.0.grants.insert(user.clone(), Known { unsaved, ..known });
        let mut waiting = self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.is_empty();
        waiting.insert(user.clone());
        drop(waiting);
        if first {
            let this = self.clone();
            self.0.lifecycle.spawn_loop(async move { this.save().await });
        }
    }

    /// Whether the store failed to answer a moment ago.
    pub(super) fn is_store_away(&self) -> bool {
        let since = self
            .millis()
            .saturating_sub(self.0.away_at.load(Ordering::Relaxed));
        let limit = self.0.clock.interval(AWAY_FOR).as_millis();
        u128::try_from(since).is_ok_and(|since| since < limit)
    }

    /// Remembers that the store did not answer.
    pub(super) fn note_store_away(&self) {
        self.0.away_at.store(self.millis(), Ordering::Relaxed);
    }

    fn millis(&self) -> i64 {
        self.0.clock.now().as_millisecond()
    }

    /// Stores what waits, one grant after the other, until nothing does.
    async fn save(&self) {
        loop {
            tokio::time::sleep(self.0.clock.interval(SAVE_EVERY)).await;
            let waiting = self.waiting();
            for user in waiting {
                // One that the store does not take now would keep the others waiting for its deadline as well.
                if let Err(error) = Box::pin(self.read(&user)).await {
                    tracing::warn!(%error, "refreshed Google tokens still wait to be stored");
                    break;
                }
                if self.is_saved(&user) {
                    return;
                }
            }
        }
    }

    fn waiting(&self) -> Vec<UserId> {
        let waiting = self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().cloned().collect()
    }

    /// Takes a person off the list, unless there was another refresh meanwhile; whether it is empty now.
    fn is_saved(&self, user: &UserId) -> bool {
        let mut waiting = self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.0.grants.get(user);
        if known.is_none_or(|known| known.unsaved.is_none()) {
            waiting.remove(user);
        }
        waiting.is_empty()
    }
}
