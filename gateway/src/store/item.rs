//! Model structs as DynamoDB items: one attribute per field, so that conditions can name any of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::StoreError;
use super::keys::EXPIRES_AT;

/// The attributes of a row, the key among them or not.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The fields of `row` as attributes. A field that is `None` has no attribute.
pub(super) fn encode<T: Serialize>(kind: &str, row: &T) -> Result<Item, StoreError> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => Ok(attributes(fields)),
        Ok(_) | Err(_) => Err(unreadable(kind)),
    }
}

/// The row that `item` holds; attributes that are no fields of `T` are passed over.
pub(super) fn decode<T: DeserializeOwned>(kind: &str, item: &Item) -> Result<T, StoreError> {
    let fields = item
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), to_json(value)?)))
        .collect();
    // The error of serde_json quotes the value, and values stay out of logs.
    serde_json::from_value(Value::Object(fields)).map_err(|_| unreadable(kind))
}

/// Whether the row still counts at `now` (seconds since the Unix epoch). One without an expiry always does.
pub(super) fn is_live(kind: &str, item: &Item, now: i64) -> Result<bool, StoreError> {
    let Some(expires_at) = item.get(EXPIRES_AT) else {
        return Ok(true);
    };
    let expires_at = expires_at.as_n().ok().and_then(|digits| digits.parse().ok());
    let expires_at: i64 = expires_at.ok_or_else(|| unreadable(kind))?;
    Ok(expires_at > now)
}

/// A row of type `kind` that does not parse.
pub(super) fn unreadable(kind: &str) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a `{kind}` row does not parse"),
    }
}

fn attributes(fields: Map<String, Value>) -> Item {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, from_json(value)))
        .collect()
}

fn from_json(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Number(digits) => AttributeValue::N(digits.to_string()),
        Value::String(value) => text(value),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(from_json).collect()),
        Value::Object(fields) => AttributeValue::M(attributes(fields)),
    }
}

/// `None` for the attribute types that no field has (binary, sets).
fn to_json(value: &AttributeValue) -> Option<Value> {
    Some(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::N(digits) => Value::Number(digits.parse().ok()?),
        AttributeValue::S(value) => Value::String(value.clone()),
        AttributeValue::L(values) => Value::Array(values.iter().filter_map(to_json).collect()),
        AttributeValue::M(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), to_json(value)?)))
                .collect(),
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientId;
    use crate::model::authorization::{Authorization, Stage};

    fn authorization() -> Authorization {
        Authorization {
            client_id: ClientId::new("c"),
            redirect_uri: "http://127.0.0.1:7/callback".into(),
            state: None,
            scope: String::new(),
            resource: "https://mcp.example.com/mcp".into(),
            code_challenge: "challenge".into(),
            stage: Stage::Google {
                browser_hash: "b".into(),
                nonce: "n".into(),
            },
            expires_at: 1_800_000_000,
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was_with_its_expiry_as_a_number() {
        let row = authorization();
        let mut item = encode("authorization", &row).unwrap();
        assert_eq!(item.get(EXPIRES_AT), Some(&number(1_800_000_000)));
        assert!(!item.contains_key("state"), "an absent value has no attribute");
        item.insert("taken_by".into(), text("somebody"));
        assert_eq!(decode::<Authorization>("authorization", &item).unwrap(), row);
    }

    #[test]
    fn a_row_with_a_field_of_the_wrong_type_is_corrupt_and_its_value_is_not_told() {
        let mut item = encode("authorization", &authorization()).unwrap();
        item.insert("code_challenge".into(), number(4_711));
        let error = decode::<Authorization>("authorization", &item).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { detail } if !detail.contains("4711")));
    }

    #[test]
    fn a_row_counts_until_its_last_second() {
        let item = encode("authorization", &authorization()).unwrap();
        assert!(is_live("authorization", &item, 1_799_999_999).unwrap());
        assert!(!is_live("authorization", &item, 1_800_000_000).unwrap());
        assert!(is_live("user", &Item::new(), i64::MAX).unwrap());
        let odd = Item::from([(EXPIRES_AT.to_owned(), text("soon"))]);
        assert!(is_live("client", &odd, 0).is_err());
    }
}
