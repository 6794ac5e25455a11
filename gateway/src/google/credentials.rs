//! One Google access token per person: cached, refreshed before it ends, by one request at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{ErrorCode, ToolError};
use super::last_answer::LastAnswer;
use crate::clock::Clock;
use crate::id::{self, UserId};
use crate::lifecycle::Lifecycle;
use crate::model::google::GoogleGrant;
use crate::oidc::{OidcError, Provider, TokenResponse};
use crate::store::{Store, StoreError};

/// A token with less than this left is replaced, so that it does not end in the middle of a call.
const REFRESH_BEFORE_SECONDS: i64 = 300;
/// How long the right to refresh is ours; longer than [`REFRESH_TIMEOUT`].
const LEASE: Duration = Duration::from_secs(30);
/// Budget of one exchange with the token endpoint.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often and how many times a request looks whether another task has the new token.
const POLL: Duration = Duration::from_millis(200);
const POLLS: u32 = 5;
/// How long a token is used without a look at the store, where a new login may have replaced it.
const CACHED: Duration = Duration::from_mins(1);
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

/// Hands out access tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    store: Store,
    provider: Provider,
    clock: Clock,
    cache: Cache<UserId, Arc<Bearer>>,
    lifecycle: Lifecycle,
    /// How Google answered, here and in the client of the APIs.
    pub(super) last_answer: LastAnswer,
}

impl Credentials {
    /// Remembers where grants and the provider are. No I/O.
    pub(crate) fn new(store: Store, provider: Provider, clock: Clock, lifecycle: Lifecycle) -> Self {
        let cache = Cache::builder()
            .max_capacity(CACHED_MAX)
            .time_to_live(CACHED)
            .build();
        Self {
            store,
            provider,
            clock,
            cache,
            lifecycle,
            last_answer: LastAnswer::default(),
        }
    }

    /// The person's access token, refreshed if it is about to end.
    pub(crate) async fn bearer(&self, user: &UserId) -> Result<Arc<Bearer>, ToolError> {
        if let Some(bearer) = self.cache.get(user).await {
            if self.is_fresh(bearer.expires_at) {
                return Ok(bearer);
            }
            self.cache.invalidate(user).await;
        }
        self.load(user, None).await
    }

    /// Another access token than `rejected`, which Google answered with 401.
    pub(crate) async fn renewed(&self, user: &UserId, rejected: &Bearer) -> Result<Arc<Bearer>, ToolError> {
        // A load that began before the rejection was known may hand out the rejected token once more.
        for _ in 0..2 {
            if let Some(bearer) = self.cache.get(user).await
                && !bearer.same_token(&rejected.token)
            {
                return Ok(bearer);
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
            loaded.map_err(|error| ToolError::clone(&error))
        });
        load.await
            .unwrap_or_else(|_| Err(unavailable("the Google login could not be read")))
    }

    async fn obtain(&self, user: &UserId, rejected: Option<&SecretString>) -> Result<Arc<Bearer>, ToolError> {
        let grant = self.grant(user).await?;
        if self.is_usable(&grant, rejected) {
            return Ok(Arc::new(Bearer::from(&grant)));
        }
        let owner = id::random_token();
        let leased = self.store.acquire_refresh_lease(user, &owner, LEASE).await;
        let outcome = match leased {
            Ok(true) => {
                let outcome = self.refresh_leased(user, rejected).await;
                if let Err(error) = self.store.release_refresh_lease(user, &owner).await {
                    tracing::warn!(%error, "the refresh lease was not released; it expires by itself");
                }
                outcome
            }
            Ok(false) => self.await_other(user, rejected).await,
            Err(error) => Err(store_error(&error)),
        };
        match outcome {
            Ok(grant) => Ok(Arc::new(Bearer::from(&grant))),
            // The old token is better than no answer as long as Google takes it.
            Err(error) if error.code != ErrorCode::ReauthRequired && self.is_alive(&grant, rejected) => {
                tracing::warn!(%error, "using the old Google token, the new one has to wait");
                Ok(Arc::new(Bearer::from(&grant)))
            }
            Err(error) => Err(error),
        }
    }

    /// Refreshes as the holder of the lease.
    async fn refresh_leased(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
    ) -> Result<GoogleGrant, ToolError> {
        // The lease's last holder may have refreshed between our look and our turn.
        let grant = self.grant(user).await?;
        if self.is_usable(&grant, rejected) {
            return Ok(grant);
        }
        if grant.refresh_token.expose_secret().is_empty() {
            return Err(reauth("Google gave no refresh token for this login"));
        }
        let refresh = self.provider.refresh(&grant.refresh_token);
        let answer = tokio::time::timeout(REFRESH_TIMEOUT, refresh).await;
        let silent = matches!(answer, Err(_) | Ok(Err(OidcError::Unreachable { .. })));
        self.last_answer.note(!silent);
        match answer {
            Ok(Ok(tokens)) => Ok(self.keep(user, &grant, tokens).await),
            Ok(Err(OidcError::InvalidGrant)) => self.bury(user, grant).await,
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

    /// Stores the answer of the token endpoint, unless a new login replaced the grant meanwhile.
    async fn keep(&self, user: &UserId, old: &GoogleGrant, tokens: TokenResponse) -> GoogleGrant {
        let grant = GoogleGrant {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token.unwrap_or_else(|| old.refresh_token.clone()),
            scope: if tokens.scope.is_empty() {
                old.scope.clone()
            } else {
                tokens.scope
            },
            expires_at: tokens.expires_at.as_second(),
            reauth_required: false,
        };
        if let Some(newer) = self.replaced(user, old).await {
            return newer;
        }
        if let Err(error) = self.store.put_google_grant(user, &grant).await {
            // The token works all the same; the next task refreshes once more.
            tracing::warn!(%error, "the refreshed Google token was not stored");
        }
        grant
    }

    /// Marks a grant that Google refused for good, unless a new login replaced it meanwhile.
    async fn bury(&self, user: &UserId, grant: GoogleGrant) -> Result<GoogleGrant, ToolError> {
        if let Some(newer) = self.replaced(user, &grant).await {
            return Ok(newer);
        }
        let dead = GoogleGrant {
            reauth_required: true,
            ..grant
        };
        if let Err(error) = self.store.put_google_grant(user, &dead).await {
            tracing::warn!(%error, "the dead Google grant was not marked");
        }
        Err(reauth("Google has withdrawn the login"))
    }

    /// The stored grant, if it is not the one that `old` is any more.
    async fn replaced(&self, user: &UserId, old: &GoogleGrant) -> Option<GoogleGrant> {
        let stored = self.store.google_grant(user).await.ok()??;
        let same = stored.refresh_token.expose_secret() == old.refresh_token.expose_secret();
        (!same && !stored.reauth_required).then_some(stored)
    }

    /// Waits for the request (of any task) that holds the lease.
    async fn await_other(
        &self,
        user: &UserId,
        rejected: Option<&SecretString>,
    ) -> Result<GoogleGrant, ToolError> {
        for _ in 0..POLLS {
            tokio::time::sleep(POLL).await;
            let grant = self.grant(user).await?;
            if self.is_usable(&grant, rejected) {
                return Ok(grant);
            }
        }
        Err(unavailable("the Google token is being refreshed").after(Some(POLL * POLLS)))
    }

    async fn grant(&self, user: &UserId) -> Result<GoogleGrant, ToolError> {
        let grant = self.store.google_grant(user).await;
        match grant.map_err(|error| store_error(&error))? {
            None => Err(reauth("there is no Google login for this account")),
            Some(grant) if grant.reauth_required => Err(reauth("Google has withdrawn the login")),
            Some(grant) => Ok(grant),
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

fn reauth(message: &str) -> ToolError {
    ToolError::new(ErrorCode::ReauthRequired, message)
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
