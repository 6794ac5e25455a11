//! The HTTP surface: the only module that knows axum.

pub mod oauth;
pub mod pages;

use std::sync::Arc;

use crate::access::bearer::Bearer;
use crate::clock::Clock;
use crate::config::Config;
use crate::google::Google;
use crate::oauth::OAuth;
use crate::store::Store;

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
}

/// The axum state.
pub type App = Arc<AppState>;
