//! The log of slow calls: a head per call, and its events in rows beside it.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::dynamodb::When;
use super::item::{Item, encode, number, text, unreadable};
use super::keys::{self, EXPIRES_AT};
use super::{Result, Store, StoreError};
use crate::id;
use crate::model::call_log::CallRow;

/// Bytes of an event in one row: an item has at most 400 KB, keys and names included.
const PART_BYTES: usize = 350_000;
/// Bytes of one event: a transaction has at most 4 MB, the head among them, and some engines count the base64.
pub const EVENT_BYTES_MAX: usize = 8 * PART_BYTES;

impl Store {
    /// Stores the head of a call that has no events yet. `Conflict` when there is such a call.
    pub async fn begin_call(&self, call: &str, row: &CallRow) -> Result<()> {
        let key = keys::call(call);
        // Names this call of the function, so that an attempt which the SDK repeats after a lost answer finds its own
        // row and takes it for no conflict.
        let attempt = text(id::random_token());
        let mut item = encode(key.kind, row)?;
        item.insert("attempt".to_owned(), attempt.clone());
        let when = When {
            condition: "attribute_not_exists(pk) OR attempt = :attempt",
            values: [(":attempt", attempt)],
        };
        self.0.db.put_when(&key, item, when).await
    }

    /// Adds event number `seq`, the response when `last`, in one transaction with the head.
    ///
    /// `Conflict` when the newest event is not `seq - 1` or was the response: somebody else wrote meanwhile.
    /// `Corrupt` for an event of more than [`EVENT_BYTES_MAX`].
    pub async fn append_event(
        &self,
        call: &str,
        (seq, event): (u32, &[u8]),
        last: bool,
        expires_at: i64,
    ) -> Result<()> {
        if event.len() > EVENT_BYTES_MAX {
            let detail = format!("an event of {} bytes does not fit into the log", event.len());
            return Err(StoreError::Corrupt { detail });
        }
        let when = When {
            condition: "last_seq = :before AND ended = :no",
            values: [
                (":before", number(i64::from(seq) - 1)),
                (":no", AttributeValue::Bool(false)),
                (":seq", number(i64::from(seq))),
                (":ended", AttributeValue::Bool(last)),
            ],
        };
        let update = "SET last_seq = :seq, ended = :ended";
        let mut actions = vec![self.0.db.update_action(&keys::call(call), update, when)?];
        let parts = event.chunks(PART_BYTES);
        let count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
        for (part, data) in parts.enumerate() {
            let item = Item::from([
                ("data".to_owned(), AttributeValue::B(Blob::new(data))),
                ("parts".to_owned(), number(count)),
                (EXPIRES_AT.to_owned(), number(expires_at)),
            ]);
            actions.push(self.0.db.insert_action(&keys::event(call, seq, part), item)?);
        }
        self.0.db.transact(actions).await
    }

    /// The head of a call that has not expired.
    pub async fn call(&self, call: &str) -> Result<Option<CallRow>> {
        self.read(&keys::call(call)).await
    }

    /// Event number `seq` of a call, whole. `Corrupt` when the head promises it and it is not there.
    pub async fn event(&self, call: &str, seq: u32) -> Result<Vec<u8>> {
        let (mut event, parts) = self.part(call, seq, 0).await?;
        for part in 1..parts {
            event.extend(self.part(call, seq, part).await?.0);
        }
        Ok(event)
    }

    /// One part, and how many there are.
    async fn part(&self, call: &str, seq: u32, part: usize) -> Result<(Vec<u8>, usize)> {
        let key = keys::event(call, seq, part);
        let broken = || unreadable(key.kind);
        let item = self.0.db.get(&key).await?.ok_or_else(broken)?;
        let data = item
            .get("data")
            .and_then(|data| data.as_b().ok())
            .ok_or_else(broken)?;
        let parts = item
            .get("parts")
            .and_then(|parts| parts.as_n().ok()?.parse().ok());
        Ok((data.clone().into_inner(), parts.ok_or_else(broken)?))
    }
}
