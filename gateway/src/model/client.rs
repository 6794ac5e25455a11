//! OAuth clients as registered (RFC 7591).

use serde::{Deserialize, Serialize};

use crate::id::ClientId;

/// A dynamically registered client. Public clients only have no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// `client_name`, as the client calls itself. Untrusted text.
    pub name: Option<String>,
    /// `redirect_uris`, matched exactly but for the port of a loopback address (RFC 8252 section 7.3).
    pub redirect_uris: Vec<String>,
    /// `token_endpoint_auth_method`: `none`, `client_secret_post` or `client_secret_basic`.
    pub auth_method: String,
    /// SHA-256 of `client_secret`, base64url; `None` for a public client.
    pub secret_hash: Option<String>,
    /// Seconds since the Unix epoch.
    pub created_at: i64,
    /// When an unused registration is forgotten, in seconds since the Unix epoch.
    pub expires_at: i64,
}
