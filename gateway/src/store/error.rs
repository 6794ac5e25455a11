//! The four ways in which the store can fail. A miss is not one of them: it is `None`.

use std::time::Duration;

use aws_sdk_dynamodb::Error as EngineError;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;

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

/// Neither DynamoDB nor KMS says when to come back; after the SDK's own retries a second is about right.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl StoreError {
    /// What `error` means for the caller. Goes by error codes; messages differ between engines.
    pub(super) fn from_engine(error: impl Into<EngineError>) -> Self {
        let error = error.into();
        let codes: Vec<&str> = match &error {
            EngineError::TransactionCanceledException(cancelled) => cancelled
                .cancellation_reasons()
                .iter()
                .filter_map(|reason| reason.code())
                .collect(),
            other => other.code().into_iter().collect(),
        };
        if codes.iter().any(|code| is_conflict(code)) {
            return Self::Conflict;
        }
        if codes.iter().any(|code| is_throttling(code)) {
            return throttled();
        }
        Self::Unavailable {
            detail: with_causes(&error),
        }
    }

    /// An `Unavailable` with a text of our own.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable {
            detail: detail.into(),
        }
    }
}

/// Codes of exceptions, and (without `Exception`) of a transaction's cancellation reasons.
fn is_conflict(code: &str) -> bool {
    matches!(
        code,
        "ConditionalCheckFailedException"
            | "ConditionalCheckFailed"
            | "TransactionConflictException"
            | "TransactionConflict"
    )
}

pub(super) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            // An earlier attempt of the same transaction is still at work.
            | "TransactionInProgressException"
    )
}

/// A `Throttled` of a service that does not say when to come back.
pub(super) fn throttled() -> StoreError {
    StoreError::Throttled {
        retry_after: RETRY_AFTER,
    }
}

/// The error and what caused it, outermost first. `Debug` would show requests and their content.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
