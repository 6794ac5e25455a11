//! The part of a legacy MCP session that does not fit into its sealed id.

use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// The row of a legacy session, keyed by the hash of its id. A missing row is not a missing session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The owner; the seal says the same.
    pub user: UserId,
    /// `clientInfo.name` of `initialize`. Untrusted text.
    pub client_name: String,
    /// `clientInfo.version` of `initialize`. Untrusted text.
    pub client_version: String,
    /// Level of `logging/setLevel`, if the client set one.
    pub log_level: Option<String>,
    /// The client sent DELETE: the only reason for a 404 to the owner.
    pub ended: bool,
    /// Seconds since the Unix epoch; moved on while the session is used.
    pub expires_at: i64,
}
