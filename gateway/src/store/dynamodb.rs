//! The plumbing under the row families: one SDK client, its deadlines and retries, and four kinds of requests.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, Put, ReturnValue, ScalarAttributeType,
    TimeToLiveSpecification, TransactWriteItem, Update,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;
use url::Url;

use super::error::StoreError;
use super::item::{Item, text};
use super::keys::{EXPIRES_AT, Key, PK, Table};

/// Until a connection stands.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// For one attempt.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);
/// For an operation with all its attempts and the pauses between them.
pub(super) const OPERATION_DEADLINE: Duration = Duration::from_secs(5);

/// A condition, and the values that it and the update beside it name (`:x`). All of them have to be used.
#[derive(Debug)]
pub(super) struct When<const N: usize> {
    pub(super) condition: &'static str,
    pub(super) values: [(&'static str, aws_sdk_dynamodb::types::AttributeValue); N],
}

impl<const N: usize> When<N> {
    fn into_values(self) -> Option<Item> {
        let values = self.values.map(|(name, value)| (name.to_owned(), value));
        (N > 0).then(|| Item::from(values))
    }
}

/// Both tables behind one client.
#[derive(Clone, Debug)]
pub(super) struct DynamoDb {
    connection: Connection,
    sessions: String,
    tokens: String,
}

#[derive(Clone, Debug)]
enum Connection {
    /// The engine in this process: the gateway is its only user and makes its tables.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "no engine in this build")
    )]
    Embedded(Client),
    /// Looking up region and credentials takes the network, so it waits for the first use.
    Remote {
        endpoint: Option<Url>,
        client: OnceCell<Client>,
    },
}

impl DynamoDb {
    /// Over the engine that `client` reaches in this process.
    #[cfg(feature = "embedded")]
    pub(super) fn embedded(client: Client, sessions: String, tokens: String) -> Self {
        Self {
            connection: Connection::Embedded(client),
            sessions,
            tokens,
        }
    }

    /// Over Amazon DynamoDB, or what speaks its API at `endpoint`.
    pub(super) fn remote(endpoint: Option<Url>, sessions: String, tokens: String) -> Self {
        let client = OnceCell::new();
        Self {
            connection: Connection::Remote { endpoint, client },
            sessions,
            tokens,
        }
    }

    /// The name of a table.
    pub(super) fn name(&self, table: Table) -> &str {
        match table {
            Table::Sessions => &self.sessions,
            Table::Tokens => &self.tokens,
        }
    }

    pub(super) async fn client(&self) -> Result<&Client, StoreError> {
        match &self.connection {
            Connection::Embedded(client) => Ok(client),
            Connection::Remote { endpoint, client } => {
                client.get_or_try_init(|| connect(endpoint.as_ref())).await
            }
        }
    }

    /// Makes the tables of the embedded engine; looks for those of DynamoDB.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        for table in [&self.sessions, &self.tokens] {
            match self.connection {
                Connection::Embedded(_) => self.create_table(table).await?,
                Connection::Remote { .. } => self.find_table(table).await?,
            }
        }
        Ok(())
    }

    /// Creates a table with its TTL attribute. One that exists is fine.
    pub(super) async fn create_table(&self, table: &str) -> Result<(), StoreError> {
        let invalid = |error: aws_sdk_dynamodb::error::BuildError| StoreError::unavailable(error.to_string());
        let client = self.client().await?;
        let key = KeySchemaElement::builder()
            .attribute_name(PK)
            .key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder()
            .attribute_name(PK)
            .attribute_type(ScalarAttributeType::S);
        let created = client
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key.build().map_err(invalid)?)
            .attribute_definitions(attribute.build().map_err(invalid)?)
            .send()
            .await;
        match created.map_err(SdkError::into_service_error) {
            Ok(_) | Err(CreateTableError::ResourceInUseException(_)) => {}
            Err(error) => return Err(StoreError::from_engine(error)),
        }
        // Also for a table that exists: a crash may have come between the two requests.
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name(EXPIRES_AT)
            .enabled(true);
        client
            .update_time_to_live()
            .table_name(table)
            .time_to_live_specification(ttl.build().map_err(invalid)?)
            .send()
            .await
            .map_err(StoreError::from_engine)?;
        Ok(())
    }

    async fn find_table(&self, table: &str) -> Result<(), StoreError> {
        let described = self
            .client()
            .await?
            .describe_table()
            .table_name(table)
            .send()
            .await;
        match described {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(answer))
                if matches!(answer.err(), DescribeTableError::ResourceNotFoundException(_)) =>
            {
                Err(StoreError::unavailable(format!(
                    "there is no table `{table}`; deploy the stateful stack first, or check `SESSIONS_TABLE`, \
                     `TOKENS_TABLE` and the region"
                )))
            }
            Err(error) => Err(StoreError::from_engine(error)),
        }
    }

    /// The row at `key` as the last write left it, whether or not it has expired.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.client().await?.get_item();
        let answer = request
            .table_name(self.name(key.table))
            .key(PK, text(&key.pk))
            .consistent_read(true)
            .send();
        Ok(answer.await.map_err(StoreError::from_engine)?.item)
    }

    /// Replaces the row at `key`.
    pub(super) async fn put(&self, key: &Key, item: Item) -> Result<(), StoreError> {
        let request = self.client().await?.put_item();
        let request = request.table_name(self.name(key.table)).set_item(Some(item));
        let answer = request.item(PK, text(&key.pk)).send().await;
        answer.map(drop).map_err(StoreError::from_engine)
    }

    /// Replaces the row at `key` if the condition holds; else `Conflict`.
    pub(super) async fn put_when<const N: usize>(
        &self,
        key: &Key,
        item: Item,
        when: When<N>,
    ) -> Result<(), StoreError> {
        let request = self.client().await?.put_item();
        let answer = request
            .table_name(self.name(key.table))
            .set_item(Some(item))
            .item(PK, text(&key.pk))
            .condition_expression(when.condition)
            .set_expression_attribute_values(when.into_values())
            .send();
        answer.await.map(drop).map_err(StoreError::from_engine)
    }

    /// Changes the row at `key` if the condition holds, and returns it as it is then; else `Conflict`.
    pub(super) async fn update_when<const N: usize>(
        &self,
        key: &Key,
        update: &'static str,
        when: When<N>,
    ) -> Result<Item, StoreError> {
        let request = self.client().await?.update_item();
        let answer = request
            .table_name(self.name(key.table))
            .key(PK, text(&key.pk))
            .update_expression(update)
            .condition_expression(when.condition)
            .set_expression_attribute_values(when.into_values())
            .return_values(ReturnValue::AllNew)
            .send();
        let changed = answer.await.map_err(StoreError::from_engine)?.attributes;
        Ok(changed.unwrap_or_default())
    }

    /// Deletes the row at `key` if the condition holds; else `Conflict`.
    pub(super) async fn delete_when<const N: usize>(
        &self,
        key: &Key,
        when: When<N>,
    ) -> Result<(), StoreError> {
        let request = self.client().await?.delete_item();
        let answer = request
            .table_name(self.name(key.table))
            .key(PK, text(&key.pk))
            .condition_expression(when.condition)
            .set_expression_attribute_values(when.into_values())
            .send();
        answer.await.map(drop).map_err(StoreError::from_engine)
    }

    /// An update for [`DynamoDb::transact`].
    pub(super) fn update_action<const N: usize>(
        &self,
        key: &Key,
        update: &'static str,
        when: When<N>,
    ) -> Result<TransactWriteItem, StoreError> {
        let action = Update::builder()
            .table_name(self.name(key.table))
            .key(PK, text(&key.pk))
            .update_expression(update)
            .condition_expression(when.condition)
            .set_expression_attribute_values(when.into_values())
            .build()
            .map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(action).build())
    }

    /// A put of a row that must not be there, for [`DynamoDb::transact`].
    pub(super) fn insert_action(&self, key: &Key, item: Item) -> Result<TransactWriteItem, StoreError> {
        let action = Put::builder()
            .table_name(self.name(key.table))
            .set_item(Some(item))
            .item(PK, text(&key.pk))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(action).build())
    }

    /// All of the actions, or none: `Conflict` when a condition does not hold.
    pub(super) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        // The SDK adds an idempotency token, so an attempt after a lost answer does not meet its own work.
        let request = self.client().await?.transact_write_items();
        let answer = request.set_transact_items(Some(actions)).send().await;
        answer.map(drop).map_err(StoreError::from_engine)
    }
}

/// Three attempts, quickly: a person waits, and the pauses have jitter.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(1))
}

pub(super) fn deadlines() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .operation_attempt_timeout(ATTEMPT_DEADLINE)
        .operation_timeout(OPERATION_DEADLINE)
        .build()
}

/// A client by the default chains of the SDK for region and credentials.
async fn connect(endpoint: Option<&Url>) -> Result<Client, StoreError> {
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
    let mut config = config::Builder::from(&loaded);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint.as_str());
    }
    Ok(Client::from_conf(config.build()))
}
