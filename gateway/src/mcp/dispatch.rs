//! The MCP server behind every transport: takes a message of an authenticated user, gives a [`Reply`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::McpConfig;
use crate::google::Google;
use crate::lifecycle::Lifecycle;
use crate::mcp::catalog::Catalog;
use crate::mcp::envelope::RequestId;
use crate::mcp::error::{RpcError, notification, printable, result_response, to_json};
use crate::mcp::inflight::{InFlight, InFlightCall};
use crate::mcp::wheel::{IdleStream, Wheel};
use crate::model::call::{CallContext, CallEvent};
use crate::model::principal::Principal;
use crate::session::directory::Sessions;

/// Events of one call that may wait to be sent; more are dropped, because they only report.
const EVENT_QUEUE: usize = 16;

/// The MCP server. Shared by all connections.
#[derive(Debug)]
pub struct Mcp {
    pub(super) google: Google,
    pub(super) catalog: Catalog,
    pub(super) inflight: InFlight,
    pub(super) lifecycle: Lifecycle,
    /// Legacy sessions.
    pub sessions: Sessions,
    /// Idle streams.
    pub wheel: Arc<Wheel>,
    tool_names: HashSet<String>,
    request_timeout: Duration,
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
    pub fn new(
        config: &McpConfig,
        google: Google,
        sessions: Sessions,
        wheel: Arc<Wheel>,
        lifecycle: Lifecycle,
    ) -> Self {
        let catalog = Catalog::new(google.tools());
        let tool_names = google.tools().iter().map(|tool| tool.name.to_string()).collect();
        let request_timeout = config.request_timeout;
        let inflight = InFlight::default();
        Self {
            google,
            catalog,
            inflight,
            lifecycle,
            sessions,
            wheel,
            tool_names,
            request_timeout,
        }
    }

    /// The names of all tools, in the order of `tools/list`.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.google.tools().iter().map(|tool| tool.name.as_ref())
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
        let (google, budget, hard) = (
            self.google.clone(),
            self.request_timeout,
            self.lifecycle.hard().clone(),
        );
        let (id, phrasing) = (request.id.clone(), request.phrasing);
        self.lifecycle.spawn(async move {
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Ok(failed("cancelled", "the call was cancelled")),
                result = google.call(&context, &name, arguments) => {
                    result.ok_or_else(|| unknown_tool(&name))
                }
                () = hard.cancelled() => Ok(failed("shutting_down", "the gateway is stopping; call again")),
                () = tokio::time::sleep_until(deadline) => {
                    Ok(failed("timeout", &format!("`{name}` took longer than {} s; ask for less", budget.as_secs())))
                }
            };
            drop(tracked);
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
fn failed(code: &str, message: &str) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(format!("{code}: {message}"))]);
    result.structured_content = Some(json!({"error": {"code": code, "message": message}}));
    result
}

fn phrase(id: &RequestId, phrasing: Phrasing, outcome: Result<CallToolResult, RpcError>) -> Vec<u8> {
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

/// A tool at work: yields notifications, then the response.
#[derive(Debug)]
pub struct RunningCall {
    id: RequestId,
    phrasing: Phrasing,
    events: mpsc::Receiver<CallEvent>,
    done: oneshot::Receiver<Vec<u8>>,
    progress_token: Option<Value>,
    wants_warnings: bool,
    guard: Option<DropGuard>,
}

/// One step of a running call, as a JSON-RPC message.
#[derive(Debug)]
pub enum Step {
    /// More follows.
    Notification(Vec<u8>),
    /// The end.
    Response(Vec<u8>),
}

impl RunningCall {
    /// Dropping the call from now on cancels the work: what the modern era asks for.
    pub(super) fn cancel_on_drop(mut self, cancel: CancellationToken) -> Self {
        self.guard = Some(cancel.drop_guard());
        self
    }

    /// The next message. Cancel-safe; not to be called again after the response.
    pub async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some(message) = self.describe(event) {
                        return Step::Notification(message);
                    }
                }
                done = &mut self.done => {
                    // Disarmed: the work is over, there is nothing to cancel.
                    self.guard.take().map(DropGuard::disarm);
                    return Step::Response(done.unwrap_or_else(|_| self.died()));
                }
            }
        }
    }

    fn describe(&self, event: CallEvent) -> Option<Vec<u8>> {
        match event {
            CallEvent::Progress { done, total, message } => {
                let token = self.progress_token.as_ref()?;
                let mut params = json!({"progressToken": token, "progress": done, "message": message});
                if let (Some(total), Some(params)) = (total, params.as_object_mut()) {
                    params.insert("total".to_owned(), json!(total));
                }
                Some(notification("notifications/progress", &params))
            }
            CallEvent::Warning { message } if self.wants_warnings => {
                let params = json!({"level": "warning", "logger": "mcp-gateway", "data": message});
                Some(notification("notifications/message", &params))
            }
            CallEvent::Warning { .. } => None,
        }
    }

    /// The task ended without an answer, which only a panic does.
    fn died(&self) -> Vec<u8> {
        tracing::error!("a tool call ended without a result");
        phrase(
            &self.id,
            self.phrasing,
            Ok(failed(
                "internal",
                "the call failed inside the gateway; call again",
            )),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call whose task is gone without an answer.
    async fn dead(phrasing: Phrasing) -> Value {
        let (_, events) = mpsc::channel(1);
        let (_, done) = oneshot::channel();
        let id = RequestId::parse(&serde_json::value::to_raw_value(&7).unwrap()).unwrap();
        let mut call = RunningCall {
            id,
            phrasing,
            events,
            done,
            progress_token: None,
            wants_warnings: false,
            guard: None,
        };
        match call.next().await {
            Step::Response(body) => serde_json::from_slice(&body).unwrap(),
            Step::Notification(_) => Value::Null,
        }
    }

    #[tokio::test]
    async fn a_call_that_dies_ends_with_a_result_of_its_era() {
        let (legacy, modern) = (dead(Phrasing::Legacy).await, dead(Phrasing::Modern).await);
        for answer in [&legacy, &modern] {
            assert_eq!(answer["id"], 7);
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            let code = &answer["result"]["structuredContent"]["error"]["code"];
            assert_eq!(code, "internal", "{answer}");
        }
        assert!(legacy["result"].get("resultType").is_none(), "{legacy}");
        assert_eq!(modern["result"]["resultType"], "complete");
    }
}
