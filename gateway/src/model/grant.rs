//! What a login grants: the authorization code and the refresh-token family that follows from it.

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, UserId};

/// What an authorization code stands for (RFC 6749 section 4.1). The row is keyed by the code's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// The person who logged in.
    pub user: UserId,
    /// Their address at login.
    pub email: String,
    /// The client that the code was issued to.
    pub client_id: ClientId,
    /// The `redirect_uri` of the authorization request; the token request must repeat it.
    pub redirect_uri: String,
    /// PKCE `S256` challenge (RFC 7636).
    pub code_challenge: String,
    /// Granted scopes, space separated.
    pub scope: String,
    /// RFC 8707 `resource`.
    pub resource: String,
    /// Seconds since the Unix epoch.
    pub expires_at: i64,
}

/// A code's row: the grant and, once redeemed, the family that came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRow {
    /// What the code stands for.
    pub grant: CodeGrant,
    /// The hash of the family issued for it: set exactly once. A second redemption revokes that family.
    pub redeemed_by: Option<String>,
}

/// A chain of refresh tokens, one current at a time (RFC 9700 section 4.14.2). Keyed by the family's hash.
///
/// Tokens are derived (keyring, family, generation), so none is stored, and a client that lost the
/// answer of a rotation gets the very same successor when it asks again within the grace window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    /// The person.
    pub user: UserId,
    /// Their address at login.
    pub email: String,
    /// The client that holds the tokens.
    pub client_id: ClientId,
    /// Granted scopes, space separated.
    pub scope: String,
    /// RFC 8707 `resource`.
    pub resource: String,
    /// The number of the current token; the first one is 0.
    pub generation: u32,
    /// When the current token was made, in seconds since the Unix epoch.
    pub rotated_at: i64,
    /// Set when a token was replayed or the grant was withdrawn; final.
    pub revoked: bool,
    /// Seconds since the Unix epoch.
    pub expires_at: i64,
}
