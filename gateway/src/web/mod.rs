//! The HTTP surface: the only module that knows axum.

pub mod accept;
mod arrival;
mod body;
pub mod health;
pub mod mcp;
pub mod oauth;
pub mod origin;
pub mod pages;
pub mod peer;
pub mod phase;
mod spare;
pub mod status;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use jiff::Timestamp;

use crate::access::bearer::Bearer;
use crate::clock::Clock;
use crate::config::Config;
use crate::google::Google;
use crate::lifecycle::Lifecycle;
use crate::mcp::dispatch::Mcp;
use crate::oauth::OAuth;
use crate::session::directory::Sessions;
use crate::session::peers::Peers;
use crate::store::Store;
use crate::web::accept::Connections;

/// What handlers reach: the wired parts. Shared by all connections.
#[derive(Debug)]
pub struct AppState {
    /// The whole configuration; handlers read their section.
    pub config: Config,
    /// The wall clock.
    pub clock: Clock,
    /// State that outlives a request.
    pub store: Store,
    /// Bearer verification.
    pub bearer: Bearer,
    /// The authorization server.
    pub oauth: OAuth,
    /// Google's APIs and tools.
    pub google: Google,
    /// The MCP server.
    pub mcp: Arc<Mcp>,
    /// The other tasks.
    pub peers: Peers,
    /// Open connections.
    pub connections: Arc<Connections>,
    /// Start, drain and stop.
    pub lifecycle: Lifecycle,
    /// When this process started.
    pub started: Timestamp,
}

impl AppState {
    /// Legacy sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.mcp.sessions
    }
}

/// The axum state.
pub type App = Arc<AppState>;

/// Every route of the gateway.
pub fn router(app: App) -> Router {
    let guarded = mcp::routes().route_layer(middleware::from_fn_with_state(
        Arc::clone(&app),
        origin::check_origin,
    ));
    Router::new()
        .merge(guarded)
        .merge(status::routes())
        .merge(oauth::routes())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            origin::check_host,
        ))
        .with_state(app)
}
