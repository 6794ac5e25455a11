//! What the clients of AWS have in common: one HTTP client, one look at region and credentials, the same deadlines
//! and the same retries.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use super::error::StoreError;

/// Until a connection stands.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// For one attempt. A service that takes two seconds for everything still gets its answers through.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(3);
/// For an operation with all its attempts and the pauses between them.
pub(super) const OPERATION_DEADLINE: Duration = Duration::from_secs(8);
/// Of a service that refuses three requests in ten, one operation in two million is refused this often in a row.
pub(super) const ATTEMPTS: u32 = 12;
/// Retries that all operations of one client may have on credit; in the long run as many per second as
/// [`RETRIES_PER_SECOND`], so that an outage is not answered with twelve times the load.
const RETRIES_ON_CREDIT: usize = 500;
const RETRIES_PER_SECOND: f32 = 50.0;

/// The SDK's configuration. Looking up region and credentials takes the network, so it waits for the first use.
#[derive(Debug, Default)]
pub(super) struct Aws(OnceCell<SdkConfig>);

impl Aws {
    /// By the default chains of the SDK. `Unavailable` when no region is known.
    pub(super) async fn config(&self) -> Result<&SdkConfig, StoreError> {
        self.0.get_or_try_init(load).await
    }
}

async fn load() -> Result<SdkConfig, StoreError> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let loaded = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retries())
        .timeout_config(deadlines())
        .load()
        .await;
    if loaded.region().is_none() {
        return Err(StoreError::unavailable(
            "no AWS region is known; set `AWS_REGION`",
        ));
    }
    Ok(loaded)
}

/// Quickly, because a person waits; the pauses have jitter.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_millis(500))
}

/// The budget of retries that the operations of one client share.
pub(super) fn retry_budget(client: &'static str) -> RetryPartition {
    let bucket = TokenBucket::builder()
        .capacity(RETRIES_ON_CREDIT)
        .retry_cost(1)
        .throttling_retry_cost(1)
        .timeout_retry_cost(1)
        .refill_rate(RETRIES_PER_SECOND);
    RetryPartition::custom(client)
        .token_bucket(bucket.build())
        .build()
}

pub(super) fn deadlines() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .operation_attempt_timeout(ATTEMPT_DEADLINE)
        .operation_timeout(OPERATION_DEADLINE)
        .build()
}
