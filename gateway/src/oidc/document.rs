//! One document of the provider: fetched on first use, by one caller at a time, and kept when a later fetch fails.

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::OidcError;
use crate::clock::Clock;

/// A kept document is good for an hour, in seconds; Google rotates its keys over days.
const FRESH_SECONDS: i64 = 3600;

/// With a document at hand the next fetch waits this long, in seconds, however many unknown keys are asked for.
const PAUSE_SECONDS: i64 = 60;

/// A cached document of type `T`, which is cheap to clone.
#[derive(Debug)]
pub(super) struct Document<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    kept: Option<Kept<T>>,
    failure: Option<(Instant, OidcError)>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    fetched_at: i64,
    /// The last attempt, successful or not.
    asked_at: i64,
}

impl<T> Default for Document<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                kept: None,
                failure: None,
            }),
        }
    }
}

impl<T: Clone + Send> Document<T> {
    /// The document, fetched when there is none, when it is old, or when it is not `good` for the caller.
    ///
    /// A document that cannot be replaced stays in use: the provider being down must not refuse a login
    /// that the keys at hand can verify. Without a document every call tries again, but callers that were
    /// waiting for an attempt share its failure, so that a provider that hangs does not queue them up.
    pub(super) async fn get(
        &self,
        clock: &Clock,
        good: impl Fn(&T) -> bool + Send,
        fetch: impl Future<Output = Result<T, OidcError>> + Send,
    ) -> Result<T, OidcError> {
        let waiting_since = Instant::now();
        let mut state = self.state.lock().await;
        let now = clock.unix_seconds();
        if let Some(kept) = &state.kept {
            let fresh = now < kept.fetched_at + FRESH_SECONDS && good(&kept.value);
            if fresh || now < kept.asked_at + PAUSE_SECONDS {
                return Ok(kept.value.clone());
            }
        } else if let Some((failed_at, error)) = &state.failure
            && *failed_at > waiting_since
        {
            return Err(error.clone());
        }
        match fetch.await {
            Ok(value) => {
                state.kept = Some(Kept {
                    value: value.clone(),
                    fetched_at: now,
                    asked_at: now,
                });
                Ok(value)
            }
            Err(error) => {
                if let Some(kept) = &mut state.kept {
                    tracing::warn!(%error, "keeping the old document of the identity provider");
                    kept.asked_at = now;
                    return Ok(kept.value.clone());
                }
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
