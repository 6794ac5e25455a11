//! Where state lives.

use std::path::PathBuf;

use url::Url;

use super::parse::{Reader, Refusal};
use super::{address, env};

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

impl StoreConfig {
    /// Reads the section; `None` when a problem was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let engine = reader.word(env::STORE);
        let data_dir = reader.path(env::DATA_DIR);
        let endpoint = reader.optional(env::DYNAMODB_ENDPOINT, address::endpoint);
        let sessions_table = reader.get(env::SESSIONS_TABLE, table);
        let tokens_table = reader.get(env::TOKENS_TABLE, table);
        let key_file = reader.optional(env::MASTER_KEY_FILE, |value| Ok(PathBuf::from(value)));
        let (engine, data_dir) = (engine?, data_dir?);
        let embedded = engine == "embedded";
        if embedded && !cfg!(feature = "embedded") {
            reader.complain(
                env::STORE,
                "`STORE` is `embedded`, but this build has no embedded engine".to_owned(),
                "set `STORE=dynamodb`, or build with the cargo feature `embedded`",
            );
            return None;
        }
        let master_key_file = match key_file? {
            Some(path) => path,
            None if embedded => data_dir.join("master.key"),
            None => {
                reader.complain(
                    env::MASTER_KEY_FILE,
                    "`MASTER_KEY_FILE` is not set, and `STORE` is `dynamodb`".to_owned(),
                    "set it to a key file that all tasks share",
                );
                return None;
            }
        };
        let ignored = if embedded {
            env::DYNAMODB_ENDPOINT
        } else {
            env::DATA_DIR
        };
        if reader.is_set(ignored) {
            let name = ignored.name;
            reader
                .warnings
                .push(format!("`{name}` is set, but not read with `STORE={engine}`"));
        }
        let (sessions_table, tokens_table) = (sessions_table?, tokens_table?);
        if sessions_table == tokens_table {
            reader.complain(
                env::TOKENS_TABLE,
                format!("`TOKENS_TABLE` and `SESSIONS_TABLE` are both `{tokens_table}`"),
                "give each table a name of its own",
            );
            return None;
        }
        let backend = if embedded {
            Backend::Embedded {
                data_dir: Some(data_dir),
            }
        } else {
            Backend::DynamoDb { endpoint: endpoint? }
        };
        Some(Self {
            backend,
            master_key_file,
            sessions_table,
            tokens_table,
        })
    }
}

/// Accepts the name of a DynamoDB table.
fn table(value: &str) -> Result<String, Refusal> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (3..=255).contains(&value.len()) && value.bytes().all(allowed) {
        return Ok(value.to_owned());
    }
    Err(Refusal::new(
        env::SESSIONS_TABLE.kind.to_string(),
        "DynamoDB allows no other table names",
    ))
}
