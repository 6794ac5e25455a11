//! The MCP server behind every transport: takes a message of an authenticated user, gives a [`Reply`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::quota::Quota;
use crate::clock::Clock;
use crate::config::McpConfig;
use crate::google::Google;
use crate::id::TaskId;
use crate::lifecycle::Lifecycle;
use crate::mcp::asks::Asks;
use crate::mcp::catalog::Catalog;
use crate::mcp::deliver::{Errands, WAITING_MAX};
use crate::mcp::envelope::RequestId;
use crate::mcp::error::{RpcError, printable, result_response, to_json};
use crate::mcp::inflight::{InFlight, InFlightCall};
use crate::mcp::running::{Caller, RunningCall};
use crate::mcp::tools::Tools;
use crate::mcp::wheel::{IdleStream, Wheel};
use crate::model::call::CallContext;
use crate::model::principal::Principal;
use crate::session::directory::Sessions;
use crate::session::events::CallLog;
use crate::session::peers::Peers;
#[cfg(debug_assertions)]
use crate::store::Store;

/// Events of one call that may wait to be sent; more are dropped, because they only report.
const EVENT_QUEUE: usize = 16;

/// What the MCP server is wired with.
#[derive(Debug)]
pub struct Parts {
    /// Google's tools.
    pub google: Google,
    /// Legacy sessions.
    pub sessions: Sessions,
    /// Idle streams.
    pub wheel: Arc<Wheel>,
    /// The log of slow calls.
    pub log: CallLog,
    /// Start, drain and stop.
    pub lifecycle: Lifecycle,
    /// How long intervals are.
    pub clock: Clock,
    /// What the tools for tests work on.
    #[cfg(debug_assertions)]
    pub test_store: Option<Store>,
    /// The other tasks, and the name of this one.
    pub peers: Peers,
}

/// The MCP server. Shared by all connections.
#[derive(Debug)]
pub struct Mcp {
    pub(super) tools: Tools,
    pub(super) catalog: Catalog,
    pub(super) asks: Asks,
    pub(super) log: CallLog,
    pub(super) me: TaskId,
    pub(super) inflight: InFlight,
    pub(super) errands: Errands,
    /// Places of requests that wait for a client to come back.
    pub(super) waiting: Semaphore,
    pub(super) lifecycle: Lifecycle,
    pub(super) clock: Clock,
    pub(super) peers: Peers,
    /// Legacy sessions.
    pub sessions: Sessions,
    /// Idle streams.
    pub wheel: Arc<Wheel>,
    tool_names: HashSet<String>,
    quota: Quota,
    request_timeout: Duration,
    /// How long a call may take before it counts as slow.
    pub(super) slow_after: Duration,
}

/// What a message is answered with.
#[derive(Debug)]
pub enum Reply {
    /// Nothing to say: HTTP 202.
    Accepted,
    /// One message, complete.
    Message {
        /// HTTP status.
        status: u16,
        /// The JSON-RPC response.
        body: Vec<u8>,
        /// `Mcp-Session-Id` of a session that was just started.
        session_id: Option<String>,
    },
    /// A tool is at work.
    Call(RunningCall),
    /// The response is a stream that waits for events.
    Idle(IdleStream),
}

impl Reply {
    /// A response with status 200.
    pub(super) fn result(id: &RequestId, result: &RawValue) -> Self {
        Self::Message {
            status: 200,
            body: result_response(id, result.get()),
            session_id: None,
        }
    }

    /// An error response.
    pub(super) fn error(status: u16, id: Option<&RequestId>, error: &RpcError) -> Self {
        Self::Message {
            status,
            body: error.response(id),
            session_id: None,
        }
    }
}

/// How results and notifications of a call are phrased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phrasing {
    /// Up to 2025-11-25.
    Legacy,
    /// 2026-07-28: results carry `resultType` and who answered.
    Modern,
}

/// A `tools/call` request on its way.
pub(super) struct ToolRequest<'a> {
    pub(super) id: RequestId,
    pub(super) params: Option<&'a RawValue>,
    pub(super) principal: Arc<Principal>,
    pub(super) phrasing: Phrasing,
    /// Whether the client asked for `notifications/message` at level `warning` or lower.
    pub(super) wants_warnings: bool,
    /// The client, where it can be asked and can come back for a result: in the legacy era.
    pub(super) caller: Option<Caller>,
}

#[derive(Deserialize)]
struct CallParams {
    name: Option<Value>,
    arguments: Option<Value>,
    #[serde(rename = "_meta")]
    meta: Option<CallMeta>,
}

#[derive(Deserialize)]
struct CallMeta {
    #[serde(rename = "progressToken")]
    progress_token: Option<Value>,
}

impl Mcp {
    /// Wires the server.
    pub fn new(config: &McpConfig, parts: Parts) -> Self {
        #[cfg(debug_assertions)]
        let tools = Tools::new(
            parts.google,
            parts.clock.clone(),
            parts.test_store.filter(|_| config.test_tools),
        );
        #[cfg(not(debug_assertions))]
        let tools = Tools::new(parts.google, parts.clock.clone());
        Self {
            catalog: Catalog::new(&tools.list()),
            tool_names: tools.names(),
            tools,
            asks: Asks::new(parts.peers.me()),
            log: parts.log,
            me: parts.peers.me(),
            peers: parts.peers,
            inflight: InFlight::default(),
            errands: Errands::default(),
            waiting: Semaphore::new(WAITING_MAX),
            lifecycle: parts.lifecycle,
            clock: parts.clock,
            sessions: parts.sessions,
            wheel: parts.wheel,
            quota: Quota::new(config.max_calls_per_user),
            request_timeout: config.request_timeout,
            slow_after: config.slow_after,
        }
    }

    /// The names of all tools, in the order of `tools/list`.
    pub fn tool_names(&self) -> Vec<String> {
        self.tools
            .list()
            .iter()
            .map(|tool| tool.name.to_string())
            .collect()
    }

    /// Starts a tool. The work goes on when the connection breaks, until `cancel` fires.
    pub(super) fn call_tool(
        &self,
        request: ToolRequest<'_>,
        cancel: CancellationToken,
        tracked: Option<InFlightCall>,
    ) -> Result<RunningCall, RpcError> {
        let (name, arguments, meta) = self.call_params(request.params)?;
        let (events_in, events) = mpsc::channel(EVENT_QUEUE);
        let (done_in, done) = oneshot::channel();
        let deadline = Instant::now() + self.request_timeout;
        let context = CallContext::new(
            Arc::clone(&request.principal),
            cancel.clone(),
            deadline,
            events_in,
        );
        let (tools, budget, hard) = (
            self.tools.clone(),
            self.request_timeout,
            self.lifecycle.hard().clone(),
        );
        let (id, phrasing) = (request.id.clone(), request.phrasing);
        let at_work = self.quota.begin(&request.principal.user);
        let limit = self.quota.limit();
        self.lifecycle.spawn(async move {
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Ok(failed("cancelled", "the call was cancelled")),
                () = std::future::ready(()), if at_work.is_none() => Ok(too_many_calls(limit)),
                result = tools.call(&context, &name, arguments) => {
                    result.ok_or_else(|| unknown_tool(&name))
                }
                () = hard.cancelled() => Ok(failed("shutting_down", "the gateway is stopping; call again")),
                () = tokio::time::sleep_until(deadline) => {
                    Ok(failed("timeout", &format!("`{name}` took longer than {} s; ask for less", budget.as_secs())))
                }
            };
            drop((tracked, at_work));
            // A receiver that is gone means a client that is gone.
            let _ = done_in.send(phrase(&id, phrasing, outcome));
        });
        let progress_token = meta
            .and_then(|meta| meta.progress_token)
            .filter(|t| t.is_string() || t.is_i64() || t.is_u64());
        Ok(RunningCall {
            id: request.id,
            phrasing,
            events,
            done,
            progress_token,
            wants_warnings: request.wants_warnings,
            guard: None,
            caller: request.caller,
            asks: self.asks.clone(),
            open_asks: Vec::new(),
        })
    }

    fn call_params(
        &self,
        params: Option<&RawValue>,
    ) -> Result<(String, JsonObject, Option<CallMeta>), RpcError> {
        let params = params.ok_or_else(|| RpcError::invalid_params("`params` with `name` is missing"))?;
        let params: CallParams = serde_json::from_str(params.get()).map_err(|_| {
            RpcError::invalid_params("`params` must be an object with `name` and `arguments`")
        })?;
        let Some(Value::String(name)) = params.name else {
            return Err(RpcError::invalid_params(
                "`params.name` must be the name of a tool",
            ));
        };
        if !self.tool_names.contains(&name) {
            return Err(unknown_tool(&name));
        }
        let arguments = match params.arguments {
            None | Some(Value::Null) => JsonObject::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(RpcError::invalid_params("`params.arguments` must be an object")),
        };
        Ok((name, arguments, params.meta))
    }
}

fn unknown_tool(name: &str) -> RpcError {
    RpcError::invalid_params(format!(
        "there is no tool `{}`; ask `tools/list`",
        printable(name)
    ))
}

/// A failure as a tool result: clients show it to the model, and end their wait for sure.
pub(super) fn failed(code: &str, message: &str) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(format!("{code}: {message}"))]);
    result.structured_content = Some(json!({"error": {"code": code, "message": message}}));
    result
}

/// A person who has `limit` calls at work has to wait. A result, and no 503: clients do not repeat a request, and their
/// models understand what a tool says.
fn too_many_calls(limit: usize) -> CallToolResult {
    let message =
        format!("{limit} calls of yours are at work, which is the limit; call again when one has ended");
    let mut result = failed("rate_limited", &message);
    result.structured_content =
        Some(json!({"error": {"code": "rate_limited", "message": message, "retryAfterMs": 1_000}}));
    result
}

/// The response message for `outcome`.
pub(super) fn phrase(
    id: &RequestId,
    phrasing: Phrasing,
    outcome: Result<CallToolResult, RpcError>,
) -> Vec<u8> {
    let mut result = match outcome {
        Ok(result) => result,
        Err(error) => return error.response(Some(id)),
    };
    match phrasing {
        Phrasing::Legacy => {
            result.result_type = None;
            result_response(id, to_json(&result).get())
        }
        Phrasing::Modern => {
            let value = serde_json::to_value(&result).unwrap_or_default();
            result_response(id, to_json(&crate::mcp::catalog::complete(value)).get())
        }
    }
}
