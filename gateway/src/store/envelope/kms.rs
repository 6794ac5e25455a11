//! The master key in AWS KMS: it never leaves there, and each use of it names where the record belongs.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_kms::config::{self, Region};
use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_sdk_kms::{Client, Error as KmsError};
use secrecy::SecretSlice;
use tokio::sync::OnceCell;

use super::{Context, DataKey, KeyFailure, Sealed, does_not_open};
use crate::config::store::{KeyArn, KmsConfig};
use crate::store::aws::{self, Aws};
use crate::store::error::{StoreError, is_throttling, throttled, with_causes};

/// The KMS key of this deployment.
pub(in crate::store) struct Kms {
    aws: Arc<Aws>,
    config: KmsConfig,
    client: OnceCell<Client>,
}

impl Kms {
    /// No I/O; region and credentials are looked up at the first use.
    pub(in crate::store) fn new(aws: Arc<Aws>, config: KmsConfig) -> Self {
        let client = OnceCell::new();
        Self { aws, config, client }
    }

    /// Over a client of the tests' own.
    #[cfg(test)]
    pub(in crate::store) fn over(client: Client, key: KeyArn) -> Self {
        Self {
            aws: Arc::default(),
            config: KmsConfig { key, endpoint: None },
            client: OnceCell::new_with(Some(client)),
        }
    }

    /// The key that wraps new data keys.
    pub(super) fn id(&self) -> &str {
        self.config.key.as_str()
    }

    /// A fresh data key. KMS makes it, so that one request gives the key and its wrapping, and the role of a task
    /// needs no right to encrypt what it likes under the master key.
    pub(super) async fn data_key(&self, context: &Context<'_>) -> Result<DataKey, KeyFailure> {
        let request = self.client().await?.generate_data_key();
        let answer = request
            .key_id(self.id())
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(encryption_context(context)))
            .customize()
            .config_override(in_region_of(&self.config.key))
            .send()
            .await
            .map_err(failure)?;
        let (Some(key), Some(wrapped)) = (answer.plaintext, answer.ciphertext_blob) else {
            let detail = "KMS answered without a data key";
            return Err(KeyFailure::Away(StoreError::unavailable(detail)));
        };
        Ok(DataKey {
            key: key.into_inner().into(),
            key_id: self.id().to_owned(),
            wrapped_key: wrapped.into_inner(),
        })
    }

    /// The data key of a record, which may be wrapped by a key that was this deployment's before.
    pub(super) async fn unwrap(
        &self,
        sealed: &Sealed,
        context: &Context<'_>,
    ) -> Result<SecretSlice<u8>, KeyFailure> {
        let key = KeyArn::parse(&sealed.key_id).ok_or_else(|| {
            let why = format!("it needs master key `{}`, which is none of KMS", sealed.key_id);
            KeyFailure::Refused(does_not_open("data key", &why))
        })?;
        let request = self.client().await?.decrypt();
        let answer = request
            .key_id(key.as_str())
            .ciphertext_blob(Blob::new(sealed.wrapped_key.clone()))
            .set_encryption_context(Some(encryption_context(context)))
            .customize()
            .config_override(in_region_of(&key))
            .send()
            .await
            .map_err(failure)?;
        let plaintext = answer.plaintext.map(Blob::into_inner);
        Ok(plaintext.unwrap_or_default().into())
    }

    async fn client(&self) -> Result<&Client, KeyFailure> {
        let connect = || async {
            let mut config = config::Builder::from(self.aws.config().await?);
            if let Some(endpoint) = &self.config.endpoint {
                config = config.endpoint_url(endpoint.as_str());
            }
            let config = config.retry_partition(aws::retry_budget("kms"));
            Ok(Client::from_conf(config.build()))
        };
        self.client
            .get_or_try_init(connect)
            .await
            .map_err(KeyFailure::Away)
    }
}

/// Bound into the ciphertext by KMS, and written to its audit log.
fn encryption_context(context: &Context<'_>) -> HashMap<String, String> {
    [
        ("table", context.table),
        ("user", context.user),
        ("purpose", context.purpose),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A key is used where it lives, whatever the region of the tables.
fn in_region_of(key: &KeyArn) -> config::Builder {
    config::Builder::default().region(Region::new(key.region().to_owned()))
}

/// What an error of KMS means. Goes by error codes.
fn failure(error: impl Into<KmsError>) -> KeyFailure {
    let error = error.into();
    let detail = || StoreError::unavailable(format!("KMS: {}", with_causes(&error)));
    match error.code() {
        Some("InvalidCiphertextException" | "IncorrectKeyException") => {
            KeyFailure::Refused(does_not_open("data key", "KMS says it was changed or moved"))
        }
        Some(code) if is_throttling(code) => KeyFailure::Away(throttled()),
        // KMS has decided: the key is disabled, deleted, or not ours to use. The record is whole all the same, and
        // opens once the key does.
        Some(
            "AccessDeniedException"
            | "DisabledException"
            | "InvalidKeyUsageException"
            | "KMSInvalidStateException"
            | "NotFoundException",
        ) => KeyFailure::Refused(detail()),
        _ => KeyFailure::Away(detail()),
    }
}

#[cfg(test)]
mod tests;
