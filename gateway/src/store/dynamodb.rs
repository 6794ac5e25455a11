//! The plumbing under the row families: one SDK client, its deadlines and retries, and four kinds of requests.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config;
use aws_sdk_dynamodb::types::{Put, ReturnValue, TransactWriteItem, Update};
use tokio::sync::OnceCell;
use url::Url;

use super::aws::Aws;
use super::error::StoreError;
#[cfg(feature = "embedded")]
use super::faults::Faults;
use super::item::{Item, text};
use super::keys::{Key, PK, Table};
use super::{retry, tables};

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

/// The names of the tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) sessions: String,
    pub(super) tokens: String,
}

/// Both tables behind one client.
#[derive(Clone, Debug)]
pub(super) struct DynamoDb {
    connection: Connection,
    tables: Tables,
}

#[derive(Clone, Debug)]
enum Connection {
    /// The engine in this process: the gateway is its only user and makes its tables.
    #[cfg(feature = "embedded")]
    Embedded { client: Client, faults: Option<Faults> },
    /// Looking up region and credentials takes the network, so it waits for the first use.
    Remote {
        aws: Arc<Aws>,
        endpoint: Option<Url>,
        client: OnceCell<Client>,
    },
}

impl DynamoDb {
    /// Over the engine that `client` reaches in this process, through the layer of `faults` if there is one.
    #[cfg(feature = "embedded")]
    pub(super) fn embedded(client: Client, faults: Option<Faults>, tables: Tables) -> Self {
        Self {
            connection: Connection::Embedded { client, faults },
            tables,
        }
    }

    /// Over Amazon DynamoDB, or what speaks its API at `endpoint`.
    pub(super) fn remote(aws: Arc<Aws>, endpoint: Option<Url>, tables: Tables) -> Self {
        let client = OnceCell::new();
        Self {
            connection: Connection::Remote {
                aws,
                endpoint,
                client,
            },
            tables,
        }
    }

    /// The layer in front of the engine.
    #[cfg(feature = "embedded")]
    pub(super) fn faults(&self) -> Option<&Faults> {
        match &self.connection {
            Connection::Embedded { faults, .. } => faults.as_ref(),
            Connection::Remote { .. } => None,
        }
    }

    /// The name of a table.
    pub(super) fn name(&self, table: Table) -> &str {
        match table {
            Table::Sessions => &self.tables.sessions,
            Table::Tokens => &self.tables.tokens,
        }
    }

    pub(super) async fn client(&self) -> Result<&Client, StoreError> {
        match &self.connection {
            #[cfg(feature = "embedded")]
            Connection::Embedded { client, .. } => Ok(client),
            Connection::Remote {
                aws,
                endpoint,
                client,
            } => {
                let connect = || async {
                    let mut config = config::Builder::from(aws.config().await?);
                    if let Some(endpoint) = endpoint {
                        config = config.endpoint_url(endpoint.as_str());
                    }
                    Ok(Client::from_conf(retry::enable(config).build()))
                };
                client.get_or_try_init(connect).await
            }
        }
    }

    /// Makes the tables of the embedded engine; looks at those of DynamoDB.
    ///
    /// `Unavailable` when one is missing or has another key. Says in the log what else is wrong with one.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        for table in [&self.tables.sessions, &self.tables.tokens] {
            match self.connection {
                #[cfg(feature = "embedded")]
                Connection::Embedded { .. } => tables::create(client, table).await?,
                Connection::Remote { .. } => tables::check(client, table).await?,
            }
        }
        Ok(())
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
