//! The tables themselves: made in the embedded engine, looked at in DynamoDB, where the deployment makes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    KeyType, ScalarAttributeType, TableDescription, TableStatus, TimeToLiveStatus,
};

use super::error::StoreError;
use super::keys::{EXPIRES_AT, PK};

/// Looks for a table. `Unavailable` when it is missing, not ready, or has another key. What only costs money or
/// makes it grow is a warning.
pub(super) async fn check(client: &Client, table: &str) -> Result<(), StoreError> {
    let described = client.describe_table().table_name(table).send().await;
    let description = match described {
        Ok(answer) => answer.table,
        Err(SdkError::ServiceError(answer))
            if matches!(answer.err(), DescribeTableError::ResourceNotFoundException(_)) =>
        {
            return Err(StoreError::unavailable(format!(
                "there is no table `{table}`; deploy the stateful stack first, or check `SESSIONS_TABLE`, \
                 `TOKENS_TABLE` and the region"
            )));
        }
        Err(error) => return Err(StoreError::from_engine(error)),
    };
    if let Some(problem) = description.as_ref().and_then(|found| problem(table, found)) {
        return Err(StoreError::unavailable(problem));
    }
    if let Some(problem) = ttl_problem(client, table).await {
        tracing::warn!("{problem}");
    }
    Ok(())
}

/// Why no row can be kept in this table.
fn problem(table: &str, found: &TableDescription) -> Option<String> {
    let keys: Vec<_> = found
        .key_schema()
        .iter()
        .map(|key| (key.attribute_name(), key.key_type().clone()))
        .collect();
    let is_text = found.attribute_definitions().iter().any(|attribute| {
        attribute.attribute_name() == PK && *attribute.attribute_type() == ScalarAttributeType::S
    });
    if keys != [(PK, KeyType::Hash)] || !is_text {
        let names: Vec<_> = keys.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Some(format!(
            "table `{table}` has the key {}, and the gateway needs the partition key `{PK}` (string) and no sort \
             key; create it anew with the stateful stack",
            names.join(", ")
        ));
    }
    match found.table_status() {
        None | Some(TableStatus::Active | TableStatus::Updating) => None,
        Some(status) => Some(format!("table `{table}` is not ready, its status is `{status}`")),
    }
}

/// Why expired rows stay. Expiry is checked in code, so the table is right without TTL, but grows.
async fn ttl_problem(client: &Client, table: &str) -> Option<String> {
    let described = client.describe_time_to_live().table_name(table).send().await;
    let ttl = match described {
        Ok(answer) => answer.time_to_live_description,
        Err(error) => {
            let code = error.code().unwrap_or("no answer");
            return Some(format!(
                "cannot tell whether expired rows of table `{table}` are deleted ({code}); allow the task \
                 `dynamodb:DescribeTimeToLive`"
            ));
        }
    };
    let on = ttl.as_ref().is_some_and(|ttl| {
        let enabled = [TimeToLiveStatus::Enabled, TimeToLiveStatus::Enabling];
        let status = ttl.time_to_live_status();
        ttl.attribute_name() == Some(EXPIRES_AT) && status.is_some_and(|status| enabled.contains(status))
    });
    (!on).then(|| {
        format!(
            "expired rows of table `{table}` are not deleted and it grows; run `aws dynamodb update-time-to-live \
             --table-name {table} --time-to-live-specification Enabled=true,AttributeName={EXPIRES_AT}`"
        )
    })
}

/// Creates a table with its TTL attribute. One that exists is fine.
#[cfg(any(feature = "embedded", test))]
pub(super) async fn create(client: &Client, table: &str) -> Result<(), StoreError> {
    use aws_sdk_dynamodb::operation::create_table::CreateTableError;
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, TimeToLiveSpecification,
    };

    let invalid = |error: aws_sdk_dynamodb::error::BuildError| StoreError::unavailable(error.to_string());
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

#[cfg(feature = "embedded")]
#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement};

    use super::*;
    use crate::clock::Clock;
    use crate::store::embedded::Engine;

    fn client() -> Client {
        Engine::in_memory(Clock::system()).unwrap().into_client()
    }

    /// Creates a table with these keys (partition key first) and no TTL.
    async fn made(client: &Client, table: &str, keys: &[(&str, ScalarAttributeType)]) {
        let mut request = client.create_table().table_name(table);
        for ((name, of), role) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
            let key = KeySchemaElement::builder().attribute_name(*name).key_type(role);
            let attribute = AttributeDefinition::builder()
                .attribute_name(*name)
                .attribute_type(of.clone());
            request = request
                .key_schema(key.build().unwrap())
                .attribute_definitions(attribute.build().unwrap());
        }
        let request = request.billing_mode(BillingMode::PayPerRequest);
        request.send().await.unwrap();
    }

    async fn refused(client: &Client, table: &str) -> String {
        match check(client, table).await {
            Err(StoreError::Unavailable { detail }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_table_as_the_gateway_makes_it_is_right() {
        let client = client();
        create(&client, "tokens").await.unwrap();
        check(&client, "tokens").await.unwrap();
        assert_eq!(ttl_problem(&client, "tokens").await, None);
    }

    #[tokio::test]
    async fn a_table_that_is_missing_or_has_another_key_is_named_with_what_to_do() {
        let client = client();
        let missing = refused(&client, "tokens").await;
        assert!(missing.contains("there is no table `tokens`"), "{missing}");
        let (text, number) = (ScalarAttributeType::S, ScalarAttributeType::N);
        made(&client, "other-name", &[("id", text.clone())]).await;
        made(&client, "other-type", &[(PK, number)]).await;
        made(&client, "sorted", &[(PK, text.clone()), ("sk", text)]).await;
        for table in ["other-name", "other-type", "sorted"] {
            let problem = refused(&client, table).await;
            assert!(
                problem.starts_with(&format!("table `{table}` has the key `"))
                    && problem.contains("needs the partition key `pk` (string)"),
                "{problem}"
            );
        }
    }

    #[tokio::test]
    async fn a_table_without_ttl_serves_and_the_warning_has_the_command_that_helps() {
        let client = client();
        made(&client, "tokens", &[(PK, ScalarAttributeType::S)]).await;
        check(&client, "tokens").await.unwrap();
        let problem = ttl_problem(&client, "tokens").await.unwrap();
        assert!(
            problem.contains("aws dynamodb update-time-to-live --table-name tokens"),
            "{problem}"
        );
    }
}
