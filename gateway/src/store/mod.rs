//! All state that outlives a request: one code path, the DynamoDB API through aws-sdk-dynamodb.
//!
//! Every change is one conditional write or one transaction, and every operation has a deadline. Expiry is
//! checked here against the injected clock, because engines delete late.

mod authorizations;
mod calls;
mod clients;
mod codes;
#[cfg(test)]
mod contract;
mod dynamodb;
#[cfg(feature = "embedded")]
mod embedded;
mod envelope;
pub mod error;
mod fleet;
mod google_grants;
mod item;
mod keys;
mod refresh;
mod sessions;
mod users;

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::config::store::Backend;

pub use calls::EVENT_BYTES_MAX;
#[cfg(feature = "embedded")]
#[cfg(test)]
pub(crate) use contract::faults;
use dynamodb::DynamoDb;
use envelope::{Envelope, KeyProvider, LocalKey};
pub use error::StoreError;
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
    envelope: Arc<Envelope>,
    clock: Clock,
    /// Moves with every version counter that this process moves.
    bumped: watch::Sender<u64>,
}

impl Store {
    /// Builds clients and keys. No network; the key file and the embedded engine's files are made when missing.
    ///
    /// `Unavailable` when one of those files cannot be used.
    pub fn open(config: &StoreConfig, clock: Clock) -> Result<Self> {
        let sessions = config.sessions_table.clone();
        let tokens = config.tokens_table.clone();
        let (db, key) = match &config.backend {
            Backend::Embedded { data_dir } => {
                let db = open_embedded(data_dir.as_deref(), &clock, sessions, tokens)?;
                let key = match data_dir {
                    Some(_) => LocalKey::from_file(&config.master_key_file)?,
                    // Nothing outlives the process, so neither does the key.
                    None => LocalKey::random()?,
                };
                (db, key)
            }
            Backend::DynamoDb { endpoint } => {
                let db = DynamoDb::remote(endpoint.clone(), sessions, tokens);
                (db, LocalKey::from_file(&config.master_key_file)?)
            }
        };
        Ok(Self::new(db, KeyProvider::Local(key), clock))
    }

    fn new(db: DynamoDb, provider: KeyProvider, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            db,
            envelope: Arc::new(Envelope::new(provider)),
            clock,
            bumped: watch::Sender::default(),
        }))
    }

    /// The same tables and keys as another process has them: what moves here is not noticed there, except by a look.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self(Arc::new(Inner {
            db: self.0.db.clone(),
            envelope: Arc::clone(&self.0.envelope),
            clock: self.0.clock.clone(),
            bumped: watch::Sender::default(),
        }))
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
fn open_embedded(
    data_dir: Option<&Path>,
    clock: &Clock,
    sessions: String,
    tokens: String,
) -> Result<DynamoDb> {
    let engine = match data_dir {
        Some(directory) => embedded::Engine::in_directory(directory, clock.clone())?,
        None => embedded::Engine::in_memory(clock.clone())?,
    };
    Ok(DynamoDb::embedded(engine.into_client(), sessions, tokens))
}

#[cfg(not(feature = "embedded"))]
fn open_embedded(_: Option<&Path>, _: &Clock, _: String, _: String) -> Result<DynamoDb> {
    Err(StoreError::unavailable(
        "this build has no embedded engine (feature `embedded`); set `STORE=dynamodb`",
    ))
}
