//! The authorization server over HTTP: which URL does what, and how its results and errors look on the wire.

mod browser;
mod cookie;
mod explain;
mod token;

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::oauth::metadata::{AUTHORIZATION_SERVER_PATH, PROTECTED_RESOURCE_PATH};
use crate::oauth::register::RegisterError;
use crate::oauth::resource::RESOURCES;
use crate::oauth::{CALLBACK_PATH, OAuth};
use crate::web::App;
use crate::web::body::{self, BodyError};

/// Registrations and forms are a few KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;

impl FromRef<App> for OAuth {
    fn from_ref(app: &App) -> Self {
        app.oauth.clone()
    }
}

/// Every route of the login. No response of theirs may be cached.
pub fn routes<S>() -> Router<S>
where
    OAuth: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    let pages = Router::new()
        .route("/oauth/authorize", get(browser::authorize))
        .route("/oauth/consent", post(browser::consent))
        .route(CALLBACK_PATH, get(browser::callback));
    metadata()
        .route("/oauth/jwks", get(jwks))
        .route("/oauth/register", post(register))
        .route("/oauth/token", post(token::token))
        .layer(middleware::from_fn(any_origin))
        .merge(pages)
        .layer(middleware::map_response(no_store))
}

/// The discovery documents: at the root for clients that look there, and below it for each MCP path.
///
/// There is no `/.well-known/openid-configuration`: this is no OpenID provider, and the clients that would
/// ask for it ask for the OAuth document first.
fn metadata<S>() -> Router<S>
where
    OAuth: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    let server = |State(oauth): State<OAuth>| async move { Json(oauth.server_metadata()) };
    let resource = |path: &'static str| {
        get(move |State(oauth): State<OAuth>| async move {
            oauth
                .resource_metadata(path)
                .map(Json)
                .ok_or(StatusCode::NOT_FOUND)
        })
    };
    let root = Router::new()
        .route(AUTHORIZATION_SERVER_PATH, get(server))
        .route(PROTECTED_RESOURCE_PATH, resource("/mcp"));
    RESOURCES.into_iter().fold(root, |router, path| {
        router
            .route(&format!("{AUTHORIZATION_SERVER_PATH}{path}"), get(server))
            .route(&format!("{PROTECTED_RESOURCE_PATH}{path}"), resource(path))
    })
}

async fn jwks(State(oauth): State<OAuth>) -> Response {
    Json(oauth.jwks()).into_response()
}

async fn read_body(body: Body) -> Result<Bytes, BodyError> {
    body::read(body, BODY_BYTES_MAX).await
}

async fn register(State(oauth): State<OAuth>, body: Body) -> Response {
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(error) => return unreadable(error, "invalid_client_metadata"),
    };
    match oauth.register(&body).await {
        Ok(registration) => {
            tracing::info!(client_id = %registration.client_id, "a client registered");
            (StatusCode::CREATED, Json(registration)).into_response()
        }
        Err(error @ RegisterError::Store(_)) => {
            tracing::error!(%error, "a client could not be registered");
            let body = error_body(error.code(), "the registration cannot be stored now; try again");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                retry_after(Duration::from_secs(1)),
                body,
            )
                .into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "a registration was refused");
            (
                StatusCode::BAD_REQUEST,
                error_body(error.code(), &error.to_string()),
            )
                .into_response()
        }
    }
}

/// The error body of RFC 6749 section 5.2 and RFC 7591 section 3.2.2.
fn error_body(code: &str, description: &str) -> Json<serde_json::Value> {
    Json(json!({"error": code, "error_description": description}))
}

/// A body that was not read: its rest cannot be told from another request.
fn unreadable(error: BodyError, code: &str) -> Response {
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (error.status(), close, error_body(code, &error.to_string())).into_response()
}

/// `Retry-After` in whole seconds, at least one.
fn retry_after(wait: Duration) -> [(HeaderName, HeaderValue); 1] {
    let seconds = wait.as_secs().max(1);
    [(header::RETRY_AFTER, HeaderValue::from(seconds))]
}

/// Lets programs in browsers use the endpoints, from any origin: nothing here relies on cookies.
async fn any_origin(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let mut set = |name: HeaderName, value: &'static str| {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    };
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Retry-After, WWW-Authenticate",
    );
    if preflight {
        set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
        set(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, MCP-Protocol-Version",
        );
        set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
    response
}

async fn no_store(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
