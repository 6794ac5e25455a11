//! `POST /oauth/token`: reads a form or JSON, and never answers a failure of ours with a 5xx.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::{error_body, read_body, retry_after, unreadable};
use crate::oauth::OAuth;
use crate::oauth::params::Params;
use crate::oauth::token::{BasicCredentials, TokenRefusal};

/// The token endpoint.
pub(super) async fn token(State(oauth): State<OAuth>, headers: HeaderMap, body: Body) -> Response {
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(error) => return unreadable(error, "invalid_request"),
    };
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| basic(value.as_bytes()));
    let result = match params(&headers, &body) {
        Some(params) => oauth.token(&params, basic.as_ref()).await,
        None => Err(TokenRefusal::NotParameters),
    };
    match result {
        Ok(tokens) => Json(tokens).into_response(),
        Err(refusal) => refused(&refusal, basic.is_some()),
    }
}

fn refused(refusal: &TokenRefusal, by_header: bool) -> Response {
    let code = refusal.code();
    let body = error_body(code, &refusal.description());
    if code == "temporarily_unavailable" {
        tracing::error!(reason = %refusal, code, "a token request failed");
    } else {
        tracing::warn!(reason = %refusal, code, "a token request was refused");
    }
    if code == "invalid_client" {
        let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
        if by_header {
            // RFC 6749 section 5.2 wants the scheme that the client used.
            let challenge = HeaderValue::from_static("Basic realm=\"token endpoint\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        return response;
    }
    match refusal.retry_after() {
        Some(wait) => (StatusCode::BAD_REQUEST, retry_after(wait), body).into_response(),
        None => (StatusCode::BAD_REQUEST, body).into_response(),
    }
}

/// The body's parameters: JSON when it says so, else a form, which is what RFC 6749 prescribes.
fn params(headers: &HeaderMap, body: &[u8]) -> Option<Params> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        serde_json::from_slice(body).ok().map(Params::from_json)
    } else {
        Some(Params::from_form(body))
    }
}

/// The credentials of a `Basic` header; both parts are percent-encoded (RFC 6749 section 2.3.1). Another
/// scheme, or something that does not parse, is as good as no header.
fn basic(authorization: &[u8]) -> Option<BasicCredentials> {
    let value = std::str::from_utf8(authorization).ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let part = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
    Some(BasicCredentials {
        client_id: part(id)?,
        client_secret: part(secret)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_decoded_and_anything_else_is_ignored() {
        let header = |text: &str| format!("bAsIc {}", STANDARD.encode(text));
        let found = basic(header("a%3Ab:s%20t:u").as_bytes()).unwrap();
        assert_eq!(
            (found.client_id.as_str(), found.client_secret.as_str()),
            ("a:b", "s t:u")
        );
        for other in [
            "",
            "Basic",
            "Basic !!",
            "Bearer YTpi",
            &header("no colon"),
            &header("%ff:x"),
        ] {
            assert!(basic(other.as_bytes()).is_none(), "{other}");
        }
    }
}
