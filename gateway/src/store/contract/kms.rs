//! KMS for tests: keys of an emulator with real cryptography.

use std::sync::Arc;

use aws_sdk_kms::Client;

use super::setting;
use crate::config::store::{KeyArn, KmsConfig};
use crate::store::aws::Aws;

/// A client of the emulator.
pub(in crate::store) async fn client() -> Client {
    let aws = Arc::<Aws>::default();
    let config = aws_sdk_kms::config::Builder::from(aws.config().await.unwrap());
    let config = config.endpoint_url(setting("KMS_CONTRACT_ENDPOINT"));
    Client::from_conf(config.build())
}

/// A new key.
pub(in crate::store) async fn key(client: &Client) -> KeyArn {
    let made = client.create_key().send().await.unwrap();
    KeyArn::parse(made.key_metadata.unwrap().arn().unwrap()).unwrap()
}

/// The settings for a new key.
pub(super) async fn config() -> KmsConfig {
    KmsConfig {
        key: key(&client().await).await,
        endpoint: Some(setting("KMS_CONTRACT_ENDPOINT")),
    }
}
