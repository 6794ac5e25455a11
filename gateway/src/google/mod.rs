//! Google Workspace as its users see it: one API client, per-user credentials, thirteen read-only tools.

use rmcp::model::{CallToolResult, JsonObject, Tool};

use crate::clock::Clock;
use crate::config::GoogleConfig;
use crate::model::call::CallContext;
use crate::oidc::Provider;
use crate::store::Store;

/// The Google side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Google {}

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

#[expect(
    unused_variables,
    clippy::todo,
    clippy::unused_async,
    reason = "placeholder until branch `google` lands"
)]
impl Google {
    /// Wires the Google side. No network.
    pub fn new(
        config: &GoogleConfig,
        http: reqwest::Client,
        provider: Provider,
        store: Store,
        clock: Clock,
    ) -> Self {
        todo!()
    }
    /// The 13 tools of the `core` profile, in the order of `tools/list`.
    pub fn tools(&self) -> &[Tool] {
        todo!()
    }
    /// Calls a tool. Failures of Google and bad arguments are results with `isError`; `None`: no such tool.
    pub async fn call(
        &self,
        context: &CallContext,
        name: &str,
        arguments: JsonObject,
    ) -> Option<CallToolResult> {
        todo!()
    }
    /// How Google answers at the moment.
    pub fn reachability(&self) -> Reachability {
        todo!()
    }
}
