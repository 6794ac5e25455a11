//! What the SDK does not repeat by itself: a transaction that DynamoDB cancelled because it was throttled.

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;

use super::aws;
use super::error::is_throttling;

/// Sets how a client repeats what failed.
pub(super) fn enable(config: Builder) -> Builder {
    config
        .retry_config(aws::retries())
        .retry_partition(aws::retry_budget("dynamodb"))
        .retry_classifier(ThrottledTransaction)
}

/// A transaction whose reason for being cancelled is throttling. Each attempt carries the same idempotency token, so
/// it happens once.
#[derive(Debug)]
struct ThrottledTransaction;

impl ClassifyRetry for ThrottledTransaction {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            Some(Ok(_)) | None => None,
        };
        let error = error.and_then(|error| error.downcast_ref::<TransactWriteItemsError>());
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error else {
            return RetryAction::NoActionIndicated;
        };
        let codes = || {
            let reasons = cancelled.cancellation_reasons().iter();
            reasons.filter_map(|reason| reason.code())
        };
        // A condition that does not hold will not hold later.
        if codes().any(is_throttling) && !codes().any(|code| code == "ConditionalCheckFailed") {
            return RetryAction::throttling_error();
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "throttled transaction"
    }
}
