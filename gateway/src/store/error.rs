//! The four ways in which the store can fail. A miss is not one of them: it is `None`.

use std::time::Duration;

/// Why a store operation has no result. No SDK type, and no internal text for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the row first; read again and decide again.
    #[error("the row was changed by another request")]
    Conflict,
    /// The engine asks for fewer requests.
    #[error("the store is throttled")]
    Throttled {
        /// When to come back.
        retry_after: Duration,
    },
    /// No answer, or an answer that says nothing about the row. The operation may have happened.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// For the log.
        detail: String,
    },
    /// A row that does not parse or does not decrypt.
    #[error("a stored row is unreadable: {detail}")]
    Corrupt {
        /// For the log; names the row type, never its content.
        detail: String,
    },
}
