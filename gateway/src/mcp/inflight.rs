//! Calls that run on this task, so that a cancel finds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::mcp::envelope::RequestId;
use crate::session::directory::SessionKey;

type Calls = Mutex<HashMap<(SessionKey, RequestId), CancellationToken>>;

/// The calls of legacy sessions, by session and request id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    calls: Arc<Calls>,
}

/// Forgets a call when it is over.
#[derive(Debug)]
pub struct InFlightCall {
    calls: Arc<Calls>,
    key: (SessionKey, RequestId),
}

impl InFlight {
    /// Notes a call. An id that is used twice at once belongs to the later call.
    pub fn begin(&self, session: SessionKey, id: RequestId, cancel: CancellationToken) -> InFlightCall {
        let key = (session, id);
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), cancel);
        InFlightCall {
            calls: Arc::clone(&self.calls),
            key,
        }
    }

    /// Cancels a call of the session; of another session's it knows nothing.
    pub fn cancel(&self, session: SessionKey, id: RequestId) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&(session, id)).is_some_and(|cancel| {
            cancel.cancel();
            true
        })
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
