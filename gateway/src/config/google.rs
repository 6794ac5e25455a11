//! Google as identity provider and as API.

use secrecy::SecretString;
use url::Url;

/// Settings of the Google side.
#[derive(Clone, Debug)]
pub struct GoogleConfig {
    /// `GOOGLE_CLIENT_ID`: the OAuth client of this gateway.
    pub client_id: String,
    /// `GOOGLE_CLIENT_SECRET`: its secret.
    pub client_secret: SecretString,
    /// `ALLOWED_DOMAIN`: the Workspace domain (`hd` claim) whose people may log in.
    pub allowed_domain: String,
    /// `GOOGLE_ISSUER`: the OpenID issuer. `https://accounts.google.com`, but for an emulator.
    pub issuer: Url,
    /// `GOOGLE_API_BASE_URL`: one base for all APIs, for an emulator. `None`: Google's own hosts.
    pub api_base_url: Option<Url>,
}
