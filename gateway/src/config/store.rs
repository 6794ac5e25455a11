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
    /// `SESSIONS_TABLE`.
    pub sessions_table: String,
    /// `TOKENS_TABLE`.
    pub tokens_table: String,
}

/// The engine behind the DynamoDB API, and who keeps the key that encrypts secrets at rest.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The engine in this process, in memory: for tests, no setting leads here.
    Memory,
    /// `STORE=embedded`: the engine in this process.
    Embedded {
        /// `DATA_DIR`: where its file is.
        data_dir: PathBuf,
        /// `MASTER_KEY_FILE`: the local key, mode 0600, made when missing.
        master_key_file: PathBuf,
    },
    /// `STORE=dynamodb`.
    DynamoDb {
        /// `DYNAMODB_ENDPOINT`: what speaks its API instead of Amazon DynamoDB.
        endpoint: Option<Url>,
        /// The key at rest.
        kms: KmsConfig,
    },
}

/// The KMS key that wraps data keys.
#[derive(Clone, Debug)]
pub struct KmsConfig {
    /// `KMS_KEY_ARN`.
    pub key: KeyArn,
    /// `KMS_ENDPOINT`: what speaks its API instead of AWS KMS.
    pub endpoint: Option<Url>,
}

/// The ARN of a KMS key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArn(String);

impl KeyArn {
    /// `None` for anything but the ARN of a key.
    pub fn parse(value: &str) -> Option<Self> {
        let word = |part: &str, extra: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || extra.contains(c);
            !part.is_empty() && part.chars().all(allowed)
        };
        let parts: Vec<&str> = value.split(':').collect();
        let &["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return None;
        };
        let id = resource.strip_prefix("key/")?;
        let account_fits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let fits = word(partition, "") && word(region, "") && account_fits && word(id, "");
        (fits && value.len() <= 200).then(|| Self(value.to_owned()))
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that the key lives in, which need not be that of the tables.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl StoreConfig {
    /// Reads the section; `None` when a problem was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let engine = reader.word(env::STORE);
        let embedded = engine == Some("embedded");
        let local = Self::local(reader);
        let aws = Self::aws(reader, engine == Some("dynamodb"));
        let sessions_table = reader.get(env::SESSIONS_TABLE, table);
        let tokens_table = reader.get(env::TOKENS_TABLE, table);
        let engine = engine?;
        if embedded && !cfg!(feature = "embedded") {
            reader.complain(
                env::STORE,
                "`STORE` is `embedded`, but this build has no embedded engine".to_owned(),
                "set `STORE=dynamodb`, or build with the cargo feature `embedded`",
            );
            return None;
        }
        let ignored: &[_] = if embedded {
            &[env::DYNAMODB_ENDPOINT, env::KMS_KEY_ARN, env::KMS_ENDPOINT]
        } else {
            &[env::DATA_DIR, env::MASTER_KEY_FILE]
        };
        for variable in ignored {
            if reader.is_set(variable) {
                let name = variable.name;
                reader
                    .warnings
                    .push(format!("`{name}` is set, but not read with `STORE={engine}`"));
            }
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
        Some(Self {
            backend: if embedded { local? } else { aws? },
            sessions_table,
            tokens_table,
        })
    }

    /// What `STORE=embedded` needs.
    fn local(reader: &mut Reader<'_>) -> Option<Backend> {
        let data_dir = reader.path(env::DATA_DIR);
        let key_file = reader.optional(env::MASTER_KEY_FILE, |value| Ok(PathBuf::from(value)));
        let (data_dir, key_file) = (data_dir?, key_file?);
        Some(Backend::Embedded {
            master_key_file: key_file.unwrap_or_else(|| data_dir.join("master.key")),
            data_dir,
        })
    }

    /// What `STORE=dynamodb` needs; with another engine a key is checked when there is one.
    fn aws(reader: &mut Reader<'_>, required: bool) -> Option<Backend> {
        let endpoint = reader.optional(env::DYNAMODB_ENDPOINT, address::endpoint);
        let key = reader.optional(env::KMS_KEY_ARN, key_arn);
        let kms_endpoint = reader.optional(env::KMS_ENDPOINT, address::endpoint);
        let (endpoint, key, kms_endpoint) = (endpoint?, key?, kms_endpoint?);
        if key.is_none() && required {
            reader.complain(
                env::KMS_KEY_ARN,
                "`KMS_KEY_ARN` is not set, and `STORE` is `dynamodb`".to_owned(),
                "set it to the ARN of the KMS key that encrypts credentials at rest",
            );
        }
        let kms = KmsConfig {
            key: key?,
            endpoint: kms_endpoint,
        };
        Some(Backend::DynamoDb { endpoint, kms })
    }
}

/// Accepts the ARN of a KMS key.
fn key_arn(value: &str) -> Result<KeyArn, Refusal> {
    KeyArn::parse(value).ok_or_else(|| {
        Refusal::new(
            env::KMS_KEY_ARN.kind.to_string(),
            "neither an alias nor a bare key id says for good which key it is",
        )
    })
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
