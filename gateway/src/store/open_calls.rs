//! The slow calls over HTTP+SSE that are open, in one row per grant: whoever comes back from a stream that is not known any
//! more is told of them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::change::{Change, MAX_REMOVED};
use super::item::{self, Item, number};
use super::keys::{self, EXPIRES_AT};
use super::{Result, Store};
use crate::model::call_log::OpenCall;

/// Begins the name of a call's attribute.
const CALL: &str = "call:";

impl Store {
    /// Notes a call under a grant. `name` is for this call alone.
    pub async fn note_open_call(&self, grant: &str, name: &str, call: &OpenCall) -> Result<()> {
        let key = keys::open_calls(grant);
        let fields = AttributeValue::M(item::encode(key.kind, call)?);
        let change = Change::default().set(&attribute(name), fields);
        self.change(&key, change.set(EXPIRES_AT, number(call.expires_at)))
            .await
            .map(drop)
    }

    /// Takes a call out that is over, and then what was left behind. `expires_at` (seconds since the
    /// Unix epoch): when the others are over, at the latest.
    pub async fn forget_open_call(&self, grant: &str, name: &str, expires_at: i64) -> Result<()> {
        let names = [name.to_owned()];
        let row = self.remove_open_calls(grant, &names, expires_at).await?;
        let calls = to_calls(keys::open_calls(grant).kind, &row);
        let over = calls.filter(|(_, call)| call.expires_at <= self.now());
        let over: Vec<String> = over.map(|(name, _)| name).take(MAX_REMOVED).collect();
        if !over.is_empty() {
            self.remove_open_calls(grant, &over, expires_at).await?;
        }
        Ok(())
    }

    async fn remove_open_calls(&self, grant: &str, names: &[String], expires_at: i64) -> Result<Item> {
        let change = names
            .iter()
            .fold(Change::default(), |change, name| change.remove(&attribute(name)));
        let change = change.set(EXPIRES_AT, number(expires_at));
        self.change(&keys::open_calls(grant), change).await
    }

    /// The slow calls that are open under a grant, and those whose client has no answer.
    pub async fn open_calls(&self, grant: &str) -> Result<Vec<OpenCall>> {
        let key = keys::open_calls(grant);
        let row = self.0.db.get(&key).await?.unwrap_or_default();
        let calls = to_calls(key.kind, &row).map(|(_, call)| call);
        Ok(calls.filter(|call| call.expires_at > self.now()).collect())
    }
}

fn attribute(name: &str) -> String {
    format!("{CALL}{name}")
}

/// The calls by the names of their attributes. What is not ours is passed over.
fn to_calls(kind: &str, row: &Item) -> impl Iterator<Item = (String, OpenCall)> {
    row.iter().filter_map(move |(name, value)| {
        let name = name.strip_prefix(CALL)?;
        Some((name.to_owned(), item::decode(kind, value.as_m().ok()?).ok()?))
    })
}
