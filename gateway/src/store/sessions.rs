//! Rows of legacy MCP sessions, keyed by `session_hash`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::dynamodb::When;
use super::item::{encode, number, text};
use super::{Result, Store, StoreError, keys};
use crate::id::UserId;
use crate::model::session::SessionRow;

impl Store {
    /// Stores the first row of a session. `Conflict` when there is one, ended or not.
    pub async fn insert_session(&self, session_hash: &str, row: &SessionRow) -> Result<()> {
        let key = keys::session(session_hash);
        let when = When {
            condition: "attribute_not_exists(pk) OR expires_at <= :now",
            values: [(":now", number(self.now()))],
        };
        self.0.db.put_when(&key, encode(key.kind, row)?, when).await
    }

    /// Sets the level of a session's row and moves its expiry (seconds since the Unix epoch); nothing else of it
    /// changes, because requests of one session run at once. `Conflict` when there is none, or it was ended.
    pub async fn set_session_level(&self, session_hash: &str, level: &str, expires_at: i64) -> Result<()> {
        let when = When {
            condition: "ended = :no AND expires_at > :now",
            values: [
                (":no", AttributeValue::Bool(false)),
                (":now", number(self.now())),
                (":level", text(level)),
                (":new", number(expires_at)),
            ],
        };
        let update = "SET log_level = :level, expires_at = :new";
        let key = keys::session(session_hash);
        self.0.db.update_when(&key, update, when).await.map(drop)
    }

    /// Moves the expiry of a session's row forward (never back), because it was used. One that is gone or ended
    /// stays so.
    pub async fn extend_session(&self, session_hash: &str, expires_at: i64) -> Result<()> {
        let when = When {
            condition: "ended = :no AND expires_at > :now AND expires_at < :new",
            values: [
                (":no", AttributeValue::Bool(false)),
                (":now", number(self.now())),
                (":new", number(expires_at)),
            ],
        };
        let key = keys::session(session_hash);
        match self.0.db.update_when(&key, "SET expires_at = :new", when).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
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
