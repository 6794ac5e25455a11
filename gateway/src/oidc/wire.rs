//! The provider over HTTP: bounded in time and size, every failure sorted into [`OidcError`].

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{OidcError, TokenResponse};

/// One request to the provider may take this long; a person is waiting in front of the browser.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Google's documents and token answers are a few KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What access tokens live when the provider does not say (RFC 6749 section 5.1 recommends to say).
const DEFAULT_LIFETIME_SECONDS: i64 = 3600;

/// Fetches a JSON document.
pub(super) async fn get_json<T: DeserializeOwned>(http: &reqwest::Client, url: &str) -> Result<T, OidcError> {
    let request = http.get(url).timeout(TIMEOUT);
    let (status, body) = send(request).await?;
    if !status.is_success() {
        return Err(OidcError::malformed(format!("`{url}` answers {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| OidcError::malformed(format!("`{url}`: {error}")))
}

/// Posts a form to the token endpoint.
pub(super) async fn post_form(
    http: &reqwest::Client,
    url: Url,
    form: &[(&str, &str)],
) -> Result<TokenAnswer, OidcError> {
    let (status, body) = send(http.post(url).timeout(TIMEOUT).form(form)).await?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| OidcError::malformed(format!("the token response: {error}")));
    }
    let code = serde_json::from_slice::<ErrorAnswer>(&body)
        .map_or_else(|_| format!("status {}", status.as_u16()), |answer| answer.error);
    Err(match code.as_str() {
        "invalid_grant" => OidcError::InvalidGrant,
        "temporarily_unavailable" | "server_error" => OidcError::Unreachable { detail: code },
        _ => OidcError::Rejected { code },
    })
}

/// A successful answer of the token endpoint.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: String,
    refresh_token: Option<String>,
    id_token: Option<String>,
    #[serde(default)]
    scope: String,
    expires_in: Option<i64>,
}

impl TokenAnswer {
    /// With the lifetime turned into a point in time.
    pub(super) fn into_response(self, now: Timestamp) -> TokenResponse {
        let lifetime = self.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS);
        TokenResponse {
            access_token: self.access_token.into(),
            refresh_token: self.refresh_token.map(Into::into),
            id_token: self.id_token,
            scope: self.scope,
            expires_at: now
                .checked_add(SignedDuration::from_secs(lifetime))
                .unwrap_or(now),
        }
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

/// Sends and reads at most [`BODY_BYTES_MAX`]. A status that says "later" is [`OidcError::Unreachable`].
async fn send(request: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), OidcError> {
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return Err(OidcError::Unreachable {
            detail: format!("status {}", status.as_u16()),
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(OidcError::malformed("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

/// The whole chain of causes, because reqwest's own text stops at "error sending request".
fn unreachable(error: reqwest::Error) -> OidcError {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(detail, ": {error}");
        cause = error.source();
    }
    OidcError::Unreachable { detail }
}
