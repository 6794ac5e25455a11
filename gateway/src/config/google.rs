//! Google as identity provider and as API.

use secrecy::SecretString;
use url::Url;

use super::parse::{Reader, Refusal};
use super::variable::Variable;
use super::{address, env};

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

impl GoogleConfig {
    /// Reads the section; `None` when a problem was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let allowed_domain = reader.get(env::ALLOWED_DOMAIN, address::workspace_domain);
        let client_id = reader.get(env::GOOGLE_CLIENT_ID, |value| {
            unspaced(env::GOOGLE_CLIENT_ID, value)
        });
        let client_secret = reader.get(env::GOOGLE_CLIENT_SECRET, |value| {
            unspaced(env::GOOGLE_CLIENT_SECRET, value).map(SecretString::from)
        });
        let issuer = reader.get(env::GOOGLE_ISSUER, address::secure);
        let api_base_url = reader.optional(env::GOOGLE_API_BASE_URL, address::secure);
        Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            allowed_domain: allowed_domain?,
            issuer: issuer?,
            api_base_url: api_base_url?,
        })
    }
}

/// Accepts what Google's console shows: a copy with a space in it holds more than the value.
fn unspaced(variable: &Variable, value: &str) -> Result<String, Refusal> {
    if value.contains(char::is_whitespace) {
        return Err(Refusal::new(
            variable.kind.to_string(),
            "copy it from the credentials page of the Google Cloud console",
        ));
    }
    Ok(value.to_owned())
}
