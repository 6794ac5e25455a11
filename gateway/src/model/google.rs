//! What Google granted us for one person.

use secrecy::SecretString;

/// Google's tokens for one person. Stored encrypted; one per person.
#[derive(Clone, Debug)]
pub struct GoogleGrant {
    /// The bearer for Google's APIs.
    pub access_token: SecretString,
    /// What a new access token is asked for with.
    pub refresh_token: SecretString,
    /// Granted scopes, space separated.
    pub scope: String,
    /// Expiry of the access token, in seconds since the Unix epoch.
    pub expires_at: i64,
    /// Google said `invalid_grant`: only a new login helps.
    pub reauth_required: bool,
}
