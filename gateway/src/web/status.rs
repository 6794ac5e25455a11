//! `/`, `/health`, `/ready` and `/status`: what people, load balancers and operators look at.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;

use crate::version;
use crate::web::health::{self, Connections, Health, Ready, Status};
use crate::web::pages::PRODUCT;
use crate::web::pages::landing::{Landing, ToolEntry, landing};
use crate::web::pages::layout;
use crate::web::pages::links::Links;
use crate::web::{App, AppState};

/// The name under which clients list this server when it is added with a button.
const SERVER_NAME: &str = "mcp-gateway";

/// The routes that need no login.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(front))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/status", get(status))
}

async fn health(State(app): State<App>) -> Json<Health> {
    let streams = app.mcp.wheel.stats();
    let connections = Connections {
        active: app.connections.active(),
        oldest: streams.oldest,
        average_age: streams.average,
    };
    let keepalive = app.config.mcp.keepalive_interval;
    Json(Health::new(
        app.lifecycle.is_draining(),
        connections,
        keepalive,
        uptime(&app),
        app.clock.now(),
    ))
}

async fn ready(State(app): State<App>) -> Response {
    let (code, body) = Ready::new(app.lifecycle.is_draining(), app.google.reachability());
    (code, Json(body)).into_response()
}

async fn status(State(app): State<App>) -> Json<Status> {
    let tools = BTreeMap::from([("core", app.google.tools().len())]);
    let streams = app.mcp.wheel.stats().streams;
    Json(Status::new(
        uptime(&app),
        app.config.timeouts(),
        tools,
        streams,
        app.connections.active(),
    ))
}

async fn front(State(app): State<App>) -> Response {
    let origin = app.config.server.origin();
    let mcp_url = format!("{origin}/mcp");
    let model = Landing {
        product: PRODUCT.to_owned(),
        version: version::VERSION.to_owned(),
        git_sha: version::GIT_SHA.to_owned(),
        links: Links::new(SERVER_NAME, &mcp_url),
        sse_url: format!("{mcp_url}/sse"),
        mcp_url,
        state: health::State::of(app.lifecycle.is_draining(), app.google.reachability()),
        google: app.google.reachability(),
        active_streams: app.mcp.wheel.stats().streams,
        uptime: uptime(&app),
        tools: app.google.tools().iter().map(tool_entry).collect(),
    };
    layout::respond(&layout::LANDING, StatusCode::OK, landing(&model))
}

fn tool_entry(tool: &rmcp::model::Tool) -> ToolEntry {
    ToolEntry {
        name: tool.name.to_string(),
        title: tool.title.clone(),
        read_only: tool
            .annotations
            .as_ref()
            .and_then(|hints| hints.read_only_hint)
            .unwrap_or(false),
    }
}

fn uptime(app: &AppState) -> Duration {
    app.clock
        .now()
        .duration_since(app.started)
        .try_into()
        .unwrap_or_default()
}
