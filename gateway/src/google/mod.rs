//! Google Workspace as its users see it: one API client, per-user credentials, thirteen read-only tools.
//!
//! Reading order: `request` (what is asked), `client` (how it is asked), `credentials` (in whose name),
//! `error` (what can go wrong), `tools` (what MCP clients see). `text`, `mime` and `outline` turn what
//! Google answers into text.

mod client;
mod credentials;
mod error;
mod last_answer;
mod mime;
mod outline;
mod request;
mod retry;
mod text;
mod tools;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use rmcp::model::{CallToolResult, JsonObject, Tool};

use self::client::{Call, Client, Limits};
use self::credentials::Credentials;
use self::tools::Registry;
use crate::clock::Clock;
use crate::config::GoogleConfig;
use crate::lifecycle::Lifecycle;
use crate::model::call::CallContext;
use crate::oidc::Provider;
use crate::store::Store;

/// The Google side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Google {
    client: Arc<Client>,
    registry: Arc<Registry>,
}

/// How Google answers, seen from this task: what `/ready` and the landing page show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// Nothing was asked yet.
    Unknown,
    /// The last request was answered.
    Reachable,
    /// The last request got no answer (timeout, connection, 5xx).
    Unreachable,
}

impl Google {
    /// Wires the Google side. No network.
    pub fn new(
        config: &GoogleConfig,
        http: reqwest::Client,
        provider: Provider,
        store: Store,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        let credentials = Credentials::new(store, provider.clone(), clock.clone(), lifecycle);
        let base = config.api_base_url.clone();
        let limits = Limits::default();
        Self {
            client: Arc::new(Client::new(http, base, credentials, provider, clock, limits)),
            registry: Arc::new(Registry::core()),
        }
    }

    /// The 13 tools of the `core` profile, in the order of `tools/list`.
    pub fn tools(&self) -> &[Tool] {
        self.registry.tools()
    }

    /// Calls a tool. Failures of Google and bad arguments are results with `isError`; `None`: no such tool.
    pub async fn call(
        &self,
        context: &CallContext,
        name: &str,
        arguments: JsonObject,
    ) -> Option<CallToolResult> {
        let call = Call::new(&self.client, context);
        self.registry.call(&call, name, arguments).await
    }

    /// How Google answers at the moment.
    pub fn reachability(&self) -> Reachability {
        self.client.reachability()
    }
}
