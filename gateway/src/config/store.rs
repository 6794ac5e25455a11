//! Where state lives.

use std::path::PathBuf;

use url::Url;

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `STORE` and what belongs to it.
    pub backend: Backend,
    /// `MASTER_KEY_FILE`: the local key that encrypts secrets at rest, mode 0600, made when missing.
    pub master_key_file: PathBuf,
    /// `SESSIONS_TABLE`.
    pub sessions_table: String,
    /// `TOKENS_TABLE`.
    pub tokens_table: String,
}

/// The engine behind the DynamoDB API.
#[derive(Clone, Debug)]
pub enum Backend {
    /// `STORE=embedded`: the engine in this process, its file in `DATA_DIR`; `None` keeps it in memory (tests).
    Embedded { data_dir: Option<PathBuf> },
    /// `STORE=dynamodb`: Amazon DynamoDB, or `DYNAMODB_ENDPOINT` that speaks its API.
    DynamoDb { endpoint: Option<Url> },
}
