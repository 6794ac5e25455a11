//! Who is calling: what a verified access token says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, UserId};

/// The authenticated caller of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The person (Google `sub`).
    pub user: UserId,
    /// Their address at login, for display and for logs. Never a key.
    pub email: Arc<str>,
    /// The OAuth client that acts for them.
    pub client: ClientId,
    /// Granted scopes, space separated (RFC 6749 section 3.3).
    pub scope: Arc<str>,
    /// The MCP URL that the token is good for (RFC 8707).
    pub audience: Arc<str>,
    /// The token's `jti`.
    pub token_id: Arc<str>,
    /// The grant that the token belongs to: the hash of its refresh-token family (`sid`).
    pub grant: Arc<str>,
    /// Expiry of the token, in seconds since the Unix epoch.
    pub expires_at: i64,
}
