//! The private port: messages of other tasks, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};

use crate::session::peers::auth::{Guard, PATH, Refusal, Stamp};
use crate::session::peers::message::PeerMessage;
use crate::web::App;
use crate::web::body;

/// Largest message: events with the largest result, as JSON inside of JSON.
const MAX_BODY: usize = 16 << 20;

#[derive(Clone, Debug)]
struct Private {
    app: App,
    guard: Arc<Guard>,
}

/// Every route of the private port. Anything else there is 404.
pub fn router(app: App) -> Router {
    let guard = Arc::new(app.peers.guard());
    Router::new()
        .route(PATH, post(receive))
        .with_state(Private { app, guard })
}

async fn receive(
    State(private): State<Private>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let refused = |status: StatusCode, reason: &str| {
        tracing::warn!(%address, reason, "peer message refused");
        status.into_response()
    };
    let stamp = match stamp(&private.guard, request.headers()) {
        Ok(stamp) => stamp,
        Err(refusal) => return refused(status(refusal), refusal.reason()),
    };
    let body = match body::read(request.into_body(), MAX_BODY).await {
        Ok(body) => body,
        Err(error) => {
            // Unread bytes are left on the connection, so it cannot serve another request.
            let close = [(http::header::CONNECTION, "close")];
            return (close, refused(error.status(), error.reason())).into_response();
        }
    };
    if let Err(refusal) = private.guard.admit(&stamp, &body) {
        return refused(status(refusal), refusal.reason());
    }
    match serde_json::from_slice::<PeerMessage>(&body) {
        Ok(message) => {
            tracing::debug!(task = %stamp.from, message = message.kind(), "peer message");
            Json(private.app.mcp.hear(stamp.from, message)).into_response()
        }
        // A task of a newer version says something new.
        Err(_) => refused(StatusCode::BAD_REQUEST, "unknown"),
    }
}

fn stamp(guard: &Guard, headers: &HeaderMap) -> Result<Stamp, Refusal> {
    let stamp = Stamp::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))?;
    guard.admit_stamp(&stamp)?;
    Ok(stamp)
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Refusal::Stale | Refusal::Forged => StatusCode::UNAUTHORIZED,
        Refusal::Replayed => StatusCode::CONFLICT,
        Refusal::Flooded => StatusCode::SERVICE_UNAVAILABLE,
    }
}
