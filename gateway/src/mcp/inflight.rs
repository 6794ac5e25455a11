//! Calls that run on this task, so that a cancel finds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::id::UserId;
use crate::mcp::envelope::RequestId;
use crate::session::directory::SessionKey;

#[derive(Debug, Default)]
struct Calls {
    begun: u64,
    running: HashMap<(SessionKey, RequestId), Running>,
}

#[derive(Debug)]
struct Running {
    /// Tells calls apart that use one id.
    number: u64,
    user: UserId,
    cancel: CancellationToken,
}

/// The calls of legacy sessions, by session and request id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    calls: Arc<Mutex<Calls>>,
}

/// Forgets a call when it is over.
#[derive(Debug)]
pub struct InFlightCall {
    all: InFlight,
    key: (SessionKey, RequestId),
    number: u64,
}

impl InFlight {
    /// Notes a call. An id that is used twice at once belongs to the later call.
    pub fn begin(
        &self,
        session: SessionKey,
        user: &UserId,
        id: RequestId,
        cancel: CancellationToken,
    ) -> InFlightCall {
        let mut calls = self.lock();
        calls.begun += 1;
        let (key, number) = ((session, id), calls.begun);
        let user = user.clone();
        let call = Running { number, user, cancel };
        calls.running.insert(key.clone(), call);
        InFlightCall {
            all: self.clone(),
            key,
            number,
        }
    }

    /// Cancels a call of the session; of another session's or user's it knows nothing.
    pub fn cancel(&self, session: SessionKey, user: &UserId, id: RequestId) -> bool {
        let calls = self.lock();
        let call = calls.running.get(&(session, id));
        let call = call.filter(|call| call.user == *user);
        call.inspect(|call| call.cancel.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        let mut calls = self.all.lock();
        let mine = |call: &Running| call.number == self.number;
        if calls.running.get(&self.key).is_some_and(mine) {
            calls.running.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionKey = SessionKey([1; 16]);

    fn ana() -> UserId {
        UserId::new("1001")
    }

    fn id() -> RequestId {
        RequestId::parse(&serde_json::value::to_raw_value(&7).unwrap()).unwrap()
    }

    #[test]
    fn a_cancel_finds_the_call_of_its_session_until_it_is_over() {
        let (calls, cancel) = (InFlight::default(), CancellationToken::new());
        let call = calls.begin(SESSION, &ana(), id(), cancel.clone());
        assert!(!calls.cancel(SessionKey([2; 16]), &ana(), id()) && !cancel.is_cancelled());
        assert!(!calls.cancel(SESSION, &UserId::new("1002"), id()) && !cancel.is_cancelled());
        assert!(calls.cancel(SESSION, &ana(), id()) && cancel.is_cancelled());
        drop(call);
        assert!(!calls.cancel(SESSION, &ana(), id()));
    }

    #[test]
    fn an_id_that_is_used_twice_belongs_to_the_later_call_even_after_the_end_of_the_first() {
        let (calls, cancel) = (InFlight::default(), CancellationToken::new());
        let first = calls.begin(SESSION, &ana(), id(), CancellationToken::new());
        let second = calls.begin(SESSION, &ana(), id(), cancel.clone());
        drop(first);
        assert!(calls.cancel(SESSION, &ana(), id()) && cancel.is_cancelled());
        drop(second);
        assert!(calls.lock().running.is_empty());
    }
}
