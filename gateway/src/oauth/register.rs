//! Dynamic client registration (RFC 7591). What a client says of itself is bounded, and trusted for nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{self, ClientId};
use crate::model::client::Client;
use crate::oauth::redirect::{self, RedirectProblem};
use crate::oauth::scope::SCOPE;
use crate::oauth::{CLIENT_SECONDS, OAuth};
use crate::store::StoreError;

/// `grant_types` that the token endpoint knows.
pub const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];

/// `token_endpoint_auth_method`s that the token endpoint knows. The first is the default: MCP clients are
/// public, and a secret that nobody asked for would only be stored in clear text on a laptop.
pub const AUTH_METHODS: [&str; 3] = ["none", "client_secret_post", "client_secret_basic"];

/// Cursor registers three redirect URIs, VS Code four.
const REDIRECT_URIS_MAX: usize = 10;

/// Longer names serve to push the rest of the consent page out of sight.
const NAME_CHARS_MAX: usize = 100;

/// The metadata that matters here; unknown members are ignored (RFC 7591 section 2).
#[derive(Debug, Deserialize)]
struct Metadata {
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    application_type: Option<String>,
}

/// What is stored and told of a registration.
#[derive(Debug)]
struct Accepted {
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    auth_method: &'static str,
    grant_types: Vec<&'static str>,
    application_type: Option<&'static str>,
}

/// The registration response (RFC 7591 section 3.2.1): everything that was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// The new identifier.
    pub client_id: String,
    /// Seconds since the Unix epoch.
    pub client_id_issued_at: i64,
    /// Told once; only its hash is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: the secret lives as long as the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// As registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// As registered.
    pub redirect_uris: Vec<String>,
    /// Those of the request that are known here.
    pub grant_types: Vec<&'static str>,
    /// Always `code`.
    pub response_types: [&'static str; 1],
    /// One of [`AUTH_METHODS`].
    pub token_endpoint_auth_method: &'static str,
    /// What the client may ask for.
    pub scope: &'static str,
    /// `native` or `web`, as the client said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_type: Option<&'static str>,
}

/// Why a registration is refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The body is not a JSON object with the right types.
    #[error("the client metadata does not parse: {0}")]
    NotMetadata(String),
    /// `redirect_uris` is empty or too long a list.
    #[error("`redirect_uris` must hold 1 to {REDIRECT_URIS_MAX} URIs")]
    RedirectCount,
    /// One bad URI refuses the whole registration, and is named, so that it does not go missing silently.
    #[error("redirect URI `{uri}` {problem}")]
    Redirect {
        /// As sent, shortened.
        uri: String,
        /// What is wrong with it.
        problem: RedirectProblem,
    },
    /// `client_name` is too long.
    #[error("`client_name` is longer than {NAME_CHARS_MAX} characters")]
    NameLength,
    /// An authentication method that the token endpoint does not know.
    #[error(
        "`token_endpoint_auth_method` must be one of `none`, `client_secret_post`, `client_secret_basic`"
    )]
    AuthMethod,
    /// The client does not use the one flow there is.
    #[error("`grant_types` must include `authorization_code`, and `response_types` `code`")]
    Flow,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegisterError {
    /// The `error` of RFC 7591 section 3.2.2.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RedirectCount | Self::Redirect { .. } => "invalid_redirect_uri",
            Self::NotMetadata(_) | Self::NameLength | Self::AuthMethod | Self::Flow => {
                "invalid_client_metadata"
            }
            Self::Store(_) => "temporarily_unavailable",
        }
    }
}

impl OAuth {
    /// Registers a client from the JSON body of its request.
    pub async fn register(&self, body: &[u8]) -> Result<Registration, RegisterError> {
        let metadata = serde_json::from_slice::<Value>(body)
            .and_then(serde_json::from_value::<Metadata>)
            .map_err(|error| RegisterError::NotMetadata(shortened(&error.to_string())))?;
        let accepted = accept(metadata)?;
        let now = self.now();
        let id = id::base64url(&id::random::<16>());
        let secret = (accepted.auth_method != "none").then(id::random_token);
        self.inner
            .store
            .put_client(&Client {
                id: ClientId::new(id.clone()),
                name: accepted.client_name.clone(),
                redirect_uris: accepted.redirect_uris.clone(),
                auth_method: accepted.auth_method.to_owned(),
                secret_hash: secret.as_deref().map(id::hashed),
                created_at: now,
                expires_at: now + CLIENT_SECONDS,
            })
            .await?;
        Ok(Registration {
            client_id: id,
            client_id_issued_at: now,
            client_secret_expires_at: secret.as_ref().map(|_| 0),
            client_secret: secret,
            client_name: accepted.client_name,
            redirect_uris: accepted.redirect_uris,
            grant_types: accepted.grant_types,
            response_types: ["code"],
            token_endpoint_auth_method: accepted.auth_method,
            scope: SCOPE,
            application_type: accepted.application_type,
        })
    }
}

/// What is quoted of a client's own text.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The rules, without I/O.
fn accept(metadata: Metadata) -> Result<Accepted, RegisterError> {
    if !(1..=REDIRECT_URIS_MAX).contains(&metadata.redirect_uris.len()) {
        return Err(RegisterError::RedirectCount);
    }
    for uri in &metadata.redirect_uris {
        redirect::check(uri).map_err(|problem| RegisterError::Redirect {
            uri: shortened(uri),
            problem,
        })?;
    }
    let client_name = metadata.client_name.filter(|name| !name.trim().is_empty());
    if client_name
        .as_ref()
        .is_some_and(|name| name.chars().count() > NAME_CHARS_MAX)
    {
        return Err(RegisterError::NameLength);
    }
    let auth_method = match metadata.token_endpoint_auth_method.as_deref() {
        None => AUTH_METHODS.first().copied(),
        Some(asked) => AUTH_METHODS.into_iter().find(|known| *known == asked),
    };
    let grant_types: Vec<_> = match &metadata.grant_types {
        None => GRANT_TYPES.to_vec(),
        Some(asked) => GRANT_TYPES
            .into_iter()
            .filter(|known| asked.iter().any(|a| a == known))
            .collect(),
    };
    let code = metadata
        .response_types
        .is_none_or(|types| types.iter().any(|kind| kind == "code"));
    if !code || !grant_types.contains(&"authorization_code") {
        return Err(RegisterError::Flow);
    }
    Ok(Accepted {
        redirect_uris: metadata.redirect_uris,
        client_name,
        auth_method: auth_method.ok_or(RegisterError::AuthMethod)?,
        grant_types,
        application_type: metadata
            .application_type
            .and_then(|asked| ["native", "web"].into_iter().find(|known| *known == asked)),
    })
}

#[cfg(test)]
mod tests;
