//! One Google access token per person: cached, refreshed before it ends, by one request at a time.
//!
//! The store is where grants are; a grant that was read once outlives an outage of the store in memory, so that calls
//! of known people keep working, and what changed meanwhile is stored afterwards.

mod known;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{ErrorCode, ToolError};
use super::last_answer::LastAnswer;
use crate::clock::Clock;
use crate::id::{self, UserId};
use crate::lifecycle::Lifecycle;
use crate::model::google::GoogleGrant;
use crate::oidc::{OidcError, Provider, TokenResponse};
use crate::store::{Store, StoreError, StoredGrant};

use known::KnownGrants;

/// A token with less than this left is replaced, so that it does not end in the middle of a call.
const REFRESH_BEFORE_SECONDS: i64 = 300;
/// How long the right to refresh is ours; longer than [`REFRESH_TIMEOUT`].
const LEASE: Duration = Duration::from_secs(30);
/// Budget of one exchange with the token endpoint.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often and how many times a request looks whether another task has the new token.
const POLL: Duration = Duration::from_millis(200);
const POLLS: u32 = 5;
/// For how long a token is used without a look at the store, where a new login may have replaced it.
const CACHED: Duration = Duration::from_mins(1);
/// The same for a token that came from memory, because the store was away.
const CACHED_WITHOUT_STORE: Duration = Duration::from_secs(5);
/// How long somebody with a usable token waits for a look at the store. A store that is slower is as good as away.
const PATIENCE: Duration = Duration::from_secs(1);
/// People whose token is kept in memory.
const CACHED_MAX: u64 = 10_000;

/// A usable access token.
#[derive(Clone)]
pub(crate) struct Bearer {
    /// The token itself.
    pub(crate) token: SecretString,
    /// Scopes that Google granted, space separated.
    pub(crate) scope: String,
    /// Seconds since the Unix epoch.
    pub(crate) expires_at: i64,
    /// Whether there is a refresh token.
    pub(crate) refreshable: bool,
}

impl Bearer {
    fn same_token(&self, other: &SecretString) -> bool {
        self.token.expose_secret() == other.expose_secret()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl From<&GoogleGrant> for Bearer {
    fn from(grant: &GoogleGrant) -> Self {
        Self {
            token: grant.access_token.clone(),
            scope: grant.scope.clone(),
            expires_at: grant.expires_at,
            refreshable: !grant.refresh_token.expose_secret().is_empty(),
        }
    }
}

/// A token, and until when it is used without a look at the store.
#[derive(Clone, Debug)]
struct Cached {
    bearer: Arc<Bearer>,
    until: Timestamp,
}

/// Why there is no token.
enum Failure {
    /// The store did not answer; what is known may do instead.
    StoreAway(StoreError),
    /// The answer of the tool.
    Final(ToolError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Throttled { .. } | StoreError::Unavailable { .. } => Self::StoreAway(error),
            StoreError::Conflict | StoreError::Corrupt { .. } => Self::Final(store_error(&error)),
        }
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::Final(error)
    }
}

/// Hands out access tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    store: Store,
    provider: Provider,
    clock: Clock,
    cache: Cache<UserId, Cached>,
    known: KnownGrants,
    lifecycle: Lifecycle,
    /// How Google answered, here and in the client of the APIs.
    pub(super) last_answer: LastAnswer,
}

impl Credentials {
    /// Remembers where grants and the provider are. No I/O.
    pub(crate) fn new(store: Store, provider: Provider, clock: Clock, lifecycle: Lifecycle) -> Self {
        Self {
            known: KnownGrants::new(store.clone(), clock.clone(), lifecycle.clone()),
            store,
            provider,
            clock,
            cache: Cache::new(CACHED_MAX),
            lifecycle,
            last_answer: LastAnswer::default(),
        }
    }

    /// The person's access token, refreshed if it is about to end.
    pub(crate) async fn bearer(&self, user: &UserId) -> Result<Arc<Bearer>, ToolError> {
        if let Some(cached) = self.cache.get(user).await {
            if self.is_fresh(cached.bearer.expires_at) && self.clock.now() < cached.until {
                return Ok(cached.bearer);
            }
            self.cache.invalidate(user).await;
        }
        let known = self.known.get(user);
        let Some(known) = known.filter(|grant| self.is_alive(grant, None)) else {
            return self.load(user, None).await;
        };
        let fresh = self.is_fresh(known.expires_at);
        if fresh && self.known.is_store_away() {
            return Ok(Arc::new(Bearer::from(&known)));
        }
        if let Ok(loaded) = tokio::time::timeout(PATIENCE, self.load(user, None)).await {
            return loaded;
        }
        // With a fresh token nobody but the store can have been slow.
        if fresh {
            self.known.note_store_away();
        }
        Ok(Arc::new(Bearer::from(&known)))
    }

    /// Another access token than `rejected`, which Google answered with 401.
    pub(crate) async fn renewed(&self, user: &UserId, rejected: &Bearer) -> Result<Arc<Bearer>, ToolError> {
        // A load that began before the rejection was known may hand out the rejected token once more.
        for _ in 0..2 {
            if let Some(cached) = self.cache.get(user).await
                && !cached.bearer.same_token(&rejected.token)
            {
                return Ok(cached.bearer);
            }
            self.cache.invalidate(user).await;
            let bearer = self.load(user, Some(&rejected.token)).await?;
            if !bearer.same_token(&rejected.token) {
                return Ok(bearer);
            }
        }
        Err(reauth("Google does not accept the login any more"))
    }

    /// Forgets the cached token, because a new login may have brought a better one.
    pub(crate) async fn forget(&self, user: &UserId) {
        self.cache.invalidate(user).await;
    }

    /// All callers of one person wait for the same load. It is a task of its own, because a caller that is
    /// cancelled halfway must lose neither the lease nor a refresh token that the provider has just replaced.
    async fn load(&self, user: &UserId, rejected: Option<&SecretString>) -> Result<Arc<Bearer>, ToolError> {
        let (this, user, rejected) = (self.clone(), user.clone(), rejected.cloned());
        let load = self.lifecycle.spawn(async move {
            let obtained = Box::pin(this.obtain(&user, rejected.as_ref()));
            let loaded = this.cache.try_get_with_by_ref(&user, obtained).await;
            loaded
                .map(|cached| cached.bearer)
                .map_err(|error| ToolError::clone(&error))
        });
        load.await
            .unwrap_or_else(|_| Err(unavailable("the Google login could not be read")))
    }

    async fn obtain(&self, user: &UserId, rejected: Option<&SecretString>) -> Result<Cached, ToolError> {
        let (grant, cached_for) = match self.with_store(user, rejected).await {
            Ok(grant) => (grant, CACHED),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::StoreAway(error)) => {
                self.known.note_store_away();
                let grant = self.without_store(user, rejected, &error).await?;
                (grant, CACHED_WITHOUT_STORE)
            }
        };
        Ok(Cached {
            bearer: Arc::new(Bearer::from(&grant)),
            until: self.clock.now() + self.clock.interval(cached_for),
        })
    }

    /// A usable grant by way of the store, refreshed if need be.
    async fn with_store(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
    ) -> Result<GoogleGrant, Failure> {
        let grant = self.grant(user).await?.grant;
        if self.is_usable(&grant, rejected) {
            return Ok(grant);
        }
        let owner = id::random_token();
        let outcome = if self.store.acquire_refresh_lease(user, &owner, LEASE).await? {
            let outcome = self.refresh_leased(user, rejected).await;
            if let Err(error) = self.store.release_refresh_lease(user, &owner).await {
                tracing::warn!(%error, "the refresh lease was not released; it expires by itself");
            }
            outcome
        } else {
            self.await_other(user, rejected).await
        };
        match outcome {
            // The old token is better than no answer as long as Google takes it.
            Err(Failure::Final(error))
                if error.code != ErrorCode::ReauthRequired && self.is_alive(&grant, rejected) =>
            {
                tracing::warn!(%error, "using the old Google token, the new one has to wait");
                Ok(grant)
            }
            outcome => outcome,
        }
    }

    /// A usable grant from memory. Nobody else can be asked who refreshes it, so it may happen once per task: Google
    /// gives each its own access token.
    async fn without_store(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
        away: &StoreError,
    ) -> Result<GoogleGrant, ToolError> {
        let Some(known) = self.known.get(user) else {
            return Err(store_error(away));
        };
        if self.is_usable(&known, rejected) {
            return Ok(known);
        }
        match self.refresh(&known).await {
            Ok(Some(grant)) => {
                self.known.refreshed(user, grant.clone());
                Ok(grant)
            }
            Ok(None) => Err(withdrawn()),
            Err(error) if error.code != ErrorCode::ReauthRequired && self.is_alive(&known, rejected) => {
                tracing::warn!(%error, "using the old Google token, the new one has to wait");
                Ok(known)
            }
            Err(error) => Err(error),
        }
    }

    /// Refreshes as the holder of the lease.
    async fn refresh_leased(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
    ) -> Result<GoogleGrant, Failure> {
        // The lease's last holder may have refreshed between our look and our turn.
        let stored = self.grant(user).await?;
        if self.is_usable(&stored.grant, rejected) {
            return Ok(stored.grant);
        }
        match self.refresh(&stored.grant).await? {
            Some(grant) => Ok(self.keep(user, &stored, grant).await),
            None => self.bury(user, stored).await,
        }
    }

    /// Asks the token endpoint for the next state of a grant. `None`: Google refuses it for good.
    async fn refresh(&self, grant: &GoogleGrant) -> Result<Option<GoogleGrant>, ToolError> {
        if grant.refresh_token.expose_secret().is_empty() {
            return Err(reauth("Google gave no refresh token for this login"));
        }
        let refresh = self.provider.refresh(&grant.refresh_token);
        let answer = tokio::time::timeout(REFRESH_TIMEOUT, refresh).await;
        let silent = matches!(answer, Err(_) | Ok(Err(OidcError::Unreachable { .. })));
        self.last_answer.note(!silent);
        match answer {
            Ok(Ok(tokens)) => Ok(Some(next(grant, tokens))),
            Ok(Err(OidcError::InvalidGrant)) => Ok(None),
            // Permanent for this refresh token, but also what a wrong client id in our settings looks
            // like: the grant stays as it is, so that correcting the settings is enough.
            Ok(Err(OidcError::Rejected { code })) if code == "unauthorized_client" => {
                tracing::error!("Google says the refresh token belongs to another OAuth client");
                Err(reauth("the Google login was made with another OAuth client"))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Google token was not refreshed");
                Err(unavailable("Google's token endpoint gave no new token"))
            }
            Err(_) => Err(unavailable("Google's token endpoint did not answer in time")),
        }
    }

    /// Stores a refreshed grant, unless a new login or another task changed it meanwhile.
    async fn keep(&self, user: &UserId, before: &StoredGrant, grant: GoogleGrant) -> GoogleGrant {
        let stored = self.store.replace_google_grant(user, before, grant.clone()).await;
        match stored {
            Ok(stored) => self.known.note(user, stored),
            Err(StoreError::Conflict) => match self.grant(user).await {
                Ok(newer) if self.is_usable(&newer.grant, None) => return newer.grant,
                Ok(_) | Err(_) => tracing::warn!("the Google grant changed during its refresh"),
            },
            Err(error) => {
                tracing::warn!(%error, "the refreshed Google token was not stored yet");
                self.known.refreshed(user, grant.clone());
            }
        }
        grant
    }

    /// Marks a grant that Google refused for good, unless a new login replaced it meanwhile.
    async fn bury(&self, user: &UserId, stored: StoredGrant) -> Result<GoogleGrant, Failure> {
        let dead = GoogleGrant {
            reauth_required: true,
            ..stored.grant.clone()
        };
        match self.store.replace_google_grant(user, &stored, dead).await {
            Ok(stored) => self.known.note(user, stored),
            Err(StoreError::Conflict) => return Ok(self.grant(user).await?.grant),
            Err(error) => tracing::warn!(%error, "the dead Google grant was not marked"),
        }
        Err(withdrawn().into())
    }

    /// Waits for the request (of any task) that holds the lease.
    async fn await_other(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
    ) -> Result<GoogleGrant, Failure> {
        for _ in 0..POLLS {
            tokio::time::sleep(POLL).await;
            let grant = self.grant(user).await?.grant;
            if self.is_usable(&grant, rejected) {
                return Ok(grant);
            }
        }
        let waiting = unavailable("the Google token is being refreshed").after(Some(POLL * POLLS));
        Err(waiting.into())
    }

    async fn grant(&self, user: &UserId) -> Result<StoredGrant, Failure> {
        match self.known.read(user).await? {
            None => Err(reauth("there is no Google login for this account").into()),
            Some(stored) if stored.grant.reauth_required => Err(withdrawn().into()),
            Some(stored) => Ok(stored),
        }
    }

    fn is_fresh(&self, expires_at: i64) -> bool {
        expires_at - self.clock.unix_seconds() > REFRESH_BEFORE_SECONDS
    }

    fn is_usable(&self, grant: &GoogleGrant, rejected: Option<&SecretString>) -> bool {
        self.is_fresh(grant.expires_at) && differs(grant, rejected)
    }

    fn is_alive(&self, grant: &GoogleGrant, rejected: Option<&SecretString>) -> bool {
        grant.expires_at > self.clock.unix_seconds() && differs(grant, rejected)
    }
}

fn differs(grant: &GoogleGrant, rejected: Option<&SecretString>) -> bool {
    rejected.is_none_or(|token| token.expose_secret() != grant.access_token.expose_secret())
}

/// A grant after an answer of the token endpoint, which leaves out what stays the same.
fn next(grant: &GoogleGrant, tokens: TokenResponse) -> GoogleGrant {
    GoogleGrant {
        access_token: tokens.access_token,
        refresh_token: tokens
            .refresh_token
            .unwrap_or_else(|| grant.refresh_token.clone()),
        scope: if tokens.scope.is_empty() {
            grant.scope.clone()
        } else {
            tokens.scope
        },
        expires_at: tokens.expires_at.as_second(),
        reauth_required: false,
    }
}

fn reauth(message: &str) -> ToolError {
    ToolError::new(ErrorCode::ReauthRequired, message)
}

fn withdrawn() -> ToolError {
    reauth("Google has withdrawn the login")
}

fn unavailable(message: &str) -> ToolError {
    ToolError::new(ErrorCode::UpstreamUnavailable, message)
}

fn store_error(error: &StoreError) -> ToolError {
    tracing::warn!(%error, "the Google grant was not read");
    let retry_after = match error {
        StoreError::Throttled { retry_after } => Some(*retry_after),
        StoreError::Conflict | StoreError::Unavailable { .. } | StoreError::Corrupt { .. } => None,
    };
    unavailable("the gateway cannot read the Google login at the moment").after(retry_after)
}

#[cfg(test)]
mod tests;
