//! Rows of legacy MCP sessions, keyed by `session_hash`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::dynamodb::When;
use super::item::{encode, number};
use super::{Result, Store, keys};
use crate::id::UserId;
use crate::model::session::SessionRow;

impl Store {
    /// Stores a session's row. `Conflict` when the session was ended.
    pub async fn put_session(&self, session_hash: &str, row: &SessionRow) -> Result<()> {
        let key = keys::session(session_hash);
        let when = When {
            condition: "attribute_not_exists(pk) OR ended = :no OR expires_at <= :now",
            values: [(":no", AttributeValue::Bool(false)), (":now", number(self.now()))],
        };
        self.0.db.put_when(&key, encode(key.kind, row)?, when).await
    }

    /// A session's row that has not expired, ended or not.
    pub async fn session(&self, session_hash: &str) -> Result<Option<SessionRow>> {
        self.read(&keys::session(session_hash)).await
    }

    /// Marks a session as ended until `expires_at` (seconds since the Unix epoch), whether or not it had a row.
    pub async fn end_session(&self, session_hash: &str, user: &UserId, expires_at: i64) -> Result<()> {
        let key = keys::session(session_hash);
        let tombstone = SessionRow {
            user: user.clone(),
            client_name: String::new(),
            client_version: String::new(),
            log_level: None,
            ended: true,
            expires_at,
        };
        self.0.db.put(&key, encode(key.kind, &tombstone)?).await
    }
}
