//! All state that outlives a request: one code path, the DynamoDB API through aws-sdk-dynamodb.
//!
//! Every change is one conditional write or one transaction, and every operation has a deadline. Expiry is
//! checked here against the injected clock, because engines delete late.

mod authorizations;
mod aws;
mod calls;
mod change;
mod clients;
mod codes;
#[cfg(test)]
mod contract;
mod dynamodb;
#[cfg(feature = "embedded")]
mod embedded;
mod envelope;
pub mod error;
#[cfg(feature = "embedded")]
pub mod faults;
mod fleet;
mod google_grants;
mod item;
mod keys;
mod open_calls;
mod refresh;
mod retry;
mod sessions;
mod tables;
mod users;

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::config::store::Backend;

use aws::Aws;
pub use calls::EVENT_BYTES_MAX;
use dynamodb::{DynamoDb, Tables};
use envelope::{Envelope, KeyProvider, Kms, LocalKey};
pub use error::StoreError;
#[cfg(feature = "embedded")]
use faults::Faults;
pub use google_grants::StoredGrant;
use item::Item;
use keys::Key;

type Result<T> = std::result::Result<T, StoreError>;

/// The store. Cheap to clone.
///
/// Its methods are in one file per row family. Each fails with `Throttled` or `Unavailable` within five
/// seconds when the engine does not answer, and with `Corrupt` for a row that it cannot read.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: DynamoDb,
    envelope: Envelope,
    clock: Clock,
    /// Moves with every version counter that this process moves.
    bumped: watch::Sender<u64>,
}

impl Store {
    /// Builds clients and keys. No network; the key file and the embedded engine's files are made when missing.
    ///
    /// `Unavailable` when one of those files cannot be used.
    pub fn open(config: &StoreConfig, clock: Clock) -> Result<Self> {
        let tables = Tables {
            sessions: config.sessions_table.clone(),
            tokens: config.tokens_table.clone(),
        };
        match &config.backend {
            Backend::Memory => open_memory(tables, clock),
            Backend::Embedded {
                data_dir,
                master_key_file,
            } => {
                let db = open_embedded(data_dir, &clock, tables)?;
                let key = LocalKey::from_file(master_key_file)?;
                Ok(Self::new(db, KeyProvider::Local(key), clock))
            }
            Backend::DynamoDb { endpoint, kms } => {
                let aws = Arc::<Aws>::default();
                let db = DynamoDb::remote(Arc::clone(&aws), endpoint.clone(), tables);
                let key = KeyProvider::Kms(Kms::new(aws, kms.clone()));
                Ok(Self::new(db, key, clock))
            }
        }
    }

    fn new(db: DynamoDb, provider: KeyProvider, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            db,
            envelope: Envelope::new(provider, clock.clone()),
            clock,
            bumped: watch::Sender::default(),
        }))
    }

    /// The same tables and keys as another process has them: what moves here is not noticed there, except by a look.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self(Arc::new(Inner {
            db: self.0.db.clone(),
            envelope: self.0.envelope.of_another_task(),
            clock: self.0.clock.clone(),
            bumped: watch::Sender::default(),
        }))
    }

    /// The layer between this store and its engine, where faults can be played; in memory only.
    #[cfg(feature = "embedded")]
    pub fn faults(&self) -> Option<&Faults> {
        self.0.db.faults()
    }

    /// Makes sure the tables are there: creates them in the embedded engine, describes them in DynamoDB.
    ///
    /// `Unavailable` when one is missing.
    pub async fn prepare(&self) -> Result<()> {
        self.0.db.prepare().await
    }

    /// Wakes whenever this process moved a version counter: no need to wait for the next look at the row.
    pub fn bumps(&self) -> watch::Receiver<u64> {
        self.0.bumped.subscribe()
    }

    /// Seconds since the Unix epoch.
    fn now(&self) -> i64 {
        self.0.clock.unix_seconds()
    }

    /// The attributes of the row at `key`, unless it has expired.
    async fn live(&self, key: &Key) -> Result<Option<Item>> {
        match self.0.db.get(key).await? {
            Some(item) if item::is_live(key.kind, &item, self.now())? => Ok(Some(item)),
            _ => Ok(None),
        }
    }

    /// The row at `key`, unless it has expired.
    async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let item = self.live(key).await?;
        item.map(|item| item::decode(key.kind, &item)).transpose()
    }
}

#[cfg(feature = "embedded")]
fn open_embedded(directory: &Path, clock: &Clock, tables: Tables) -> Result<DynamoDb> {
    let engine = embedded::Engine::in_directory(directory, clock.clone())?;
    Ok(DynamoDb::embedded(engine.into_client(), None, tables))
}

#[cfg(feature = "embedded")]
fn open_memory(tables: Tables, clock: Clock) -> Result<Store> {
    let engine = embedded::Engine::in_memory(clock.clone())?;
    let faults = Faults::default();
    let client = embedded::client_over(faults.before(engine));
    let db = DynamoDb::embedded(client, Some(faults), tables);
    // Nothing outlives the process, so neither does the key.
    Ok(Store::new(db, KeyProvider::Local(LocalKey::random()?), clock))
}

#[cfg(not(feature = "embedded"))]
fn open_embedded(_: &Path, _: &Clock, _: Tables) -> Result<DynamoDb> {
    Err(StoreError::unavailable(
        "this build has no embedded engine (feature `embedded`); set `STORE=dynamodb`",
    ))
}

#[cfg(not(feature = "embedded"))]
fn open_memory(tables: Tables, clock: Clock) -> Result<Store> {
    let db = open_embedded(Path::new(""), &clock, tables)?;
    Ok(Store::new(db, KeyProvider::Local(LocalKey::random()?), clock))
}
