//! A login in progress: from `/oauth/authorize` over consent and Google to the code.

use serde::{Deserialize, Serialize};

use crate::id::ClientId;

/// What the client asked for, kept until the browser comes back from Google.
///
/// The row is keyed by the hash of a random identifier that the browser carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The client that asked.
    pub client_id: ClientId,
    /// Where the answer goes; already matched against the registration.
    pub redirect_uri: String,
    /// The client's `state`, returned as it came.
    pub state: Option<String>,
    /// Granted scopes, space separated.
    pub scope: String,
    /// The MCP URL the token will be good for (RFC 8707 `resource`).
    pub resource: String,
    /// PKCE `S256` challenge (RFC 7636).
    pub code_challenge: String,
    /// How far the browser has come.
    pub stage: Stage,
    /// Seconds since the Unix epoch; at most ten minutes after the start.
    pub expires_at: i64,
}

/// How far a login has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Stage {
    /// Our consent page is shown. The hash binds it to the browser that it was shown to.
    Consent {
        /// SHA-256 of the browser's cookie, base64url.
        browser_hash: String,
    },
    /// Approved; the browser is at Google.
    Google {
        /// SHA-256 of the browser's state cookie, base64url.
        browser_hash: String,
        /// OIDC `nonce` that the ID token must repeat.
        nonce: String,
    },
}
