//! The legacy era: `initialize`, sessions, one message per POST (2025-11-25 and before).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::id::UserId;
use crate::mcp::asks::Asks;
use crate::mcp::catalog::initialize_result;
use crate::mcp::dispatch::{Mcp, Phrasing, Reply, ToolRequest};
use crate::mcp::envelope::{Message, RequestId};
use crate::mcp::error::{Code, RpcError, printable, to_json};
use crate::mcp::running::{Caller, RunningCall};
use crate::model::principal::Principal;
use crate::session::directory::{Session, SessionKey};
use crate::session::seal::{CAN_ELICIT, CAN_LIST_ROOTS, CAN_SAMPLE, LEGACY_VERSIONS, Transport};

/// What is answered to a version that is not served.
pub(super) const NEWEST: &str = "2025-11-25";
/// Levels of RFC 5424, least severe first (2025-11-25 server/utilities/logging).
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams {
    protocol_version: String,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    client_info: Value,
}

impl Mcp {
    /// Answers a message of the legacy era. Without a session the methods that need none are still served:
    /// a client that lost its session id is better off with tools than with an error.
    pub async fn legacy(
        &self,
        principal: &Arc<Principal>,
        session: Option<&Session>,
        message: Message<'_>,
    ) -> Reply {
        match message {
            Message::Request { id, method, params } => {
                let outcome = self
                    .legacy_request(principal, session, (&id, &method, params))
                    .await;
                outcome.unwrap_or_else(|error| Reply::error(200, Some(&id), &error))
            }
            Message::Notification { method, params } => {
                if let (Some(session), "notifications/cancelled") = (session, method.as_ref()) {
                    self.cancel(session.key, &principal.user, params);
                }
                Reply::Accepted
            }
            Message::Response { id, text } => {
                self.answered(principal, &id, text);
                Reply::Accepted
            }
        }
    }

    async fn legacy_request(
        &self,
        principal: &Arc<Principal>,
        session: Option<&Session>,
        (id, method, params): (&RequestId, &str, Option<&RawValue>),
    ) -> Result<Reply, RpcError> {
        let empty = |field: &str| Reply::result(id, &to_json(&json!({ field: [] })));
        match method {
            "initialize" => self.initialize(principal, id, params, session),
            "ping" => Ok(Reply::result(id, &to_json(&json!({})))),
            "tools/list" => no_cursor(params).map(|()| Reply::result(id, &self.catalog.tools_legacy)),
            "tools/call" => self.legacy_call(principal, session, id, params).map(Reply::Call),
            "resources/list" => Ok(empty("resources")),
            "resources/read" => Err(no_such_resource(Code::ResourceNotFound, params)),
            "resources/templates/list" => Ok(empty("resourceTemplates")),
            "prompts/list" => Ok(empty("prompts")),
            "completion/complete" => {
                let nothing = json!({"completion": {"values": [], "total": 0, "hasMore": false}});
                Ok(Reply::result(id, &to_json(&nothing)))
            }
            "logging/setLevel" => self.set_level(principal, session, id, params).await,
            "prompts/get" => Err(RpcError::invalid_params(
                "there is no such prompt; ask `prompts/list`",
            )),
            other => Err(RpcError::method_not_found(other)),
        }
    }

    fn initialize(
        &self,
        principal: &Arc<Principal>,
        id: &RequestId,
        params: Option<&RawValue>,
        session: Option<&Session>,
    ) -> Result<Reply, RpcError> {
        let params: InitializeParams = params
            .and_then(|params| serde_json::from_str(params.get()).ok())
            .ok_or_else(|| RpcError::invalid_params("`params.protocolVersion` must be a string"))?;
        let asked = LEGACY_VERSIONS
            .into_iter()
            .find(|known| *known == params.protocol_version);
        let version = asked.unwrap_or(NEWEST);
        let body = Reply::result(id, &to_json(&initialize_result(version)));
        let on_sse = session.filter(|session| session.sealed.transport == Transport::HttpSse);
        // The HTTP+SSE transport has its session since the GET.
        let (session_id, session) = if let Some(session) = on_sse {
            (None, session.clone())
        } else {
            let capabilities = capability_bits(&params.capabilities);
            let (id, session) =
                self.sessions
                    .start(&principal.user, version, Transport::Streamable, capabilities);
            (Some(id), session)
        };
        let (sessions, user) = (self.sessions.clone(), principal.user.clone());
        self.lifecycle.spawn(async move {
            let field = |name: &str| {
                params
                    .client_info
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            sessions
                .remember(&session, &user, field("name"), field("version"))
                .await;
        });
        match body {
            Reply::Message { status, body, .. } => Ok(Reply::Message {
                status,
                body,
                session_id,
            }),
            other => Ok(other),
        }
    }

    fn legacy_call(
        &self,
        principal: &Arc<Principal>,
        session: Option<&Session>,
        id: &RequestId,
        params: Option<&RawValue>,
    ) -> Result<RunningCall, RpcError> {
        let cancel = CancellationToken::new();
        let tracked = session.map(|session| {
            self.inflight
                .begin(session.key, &principal.user, id.clone(), cancel.clone())
        });
        let level = session.and_then(|session| session.log_level.as_deref());
        let request = ToolRequest {
            id: id.clone(),
            params,
            principal: Arc::clone(principal),
            phrasing: Phrasing::Legacy,
            wants_warnings: level.is_some_and(passes_warnings),
            caller: Some(Caller {
                user: principal.user.clone(),
                session: session.map(|session| session.key),
                capabilities: session.map_or(0, |session| session.sealed.capabilities),
                takes_primers: session.is_some_and(|session| session.sealed.protocol_version() == NEWEST),
            }),
        };
        self.call_tool(request, cancel, tracked)
    }

    /// A client's answer to a request of the gateway.
    fn answered(&self, principal: &Principal, id: &RequestId, text: &str) {
        if self.asks.answer(id, &principal.user, text.as_bytes()) {
            return;
        }
        if let Some(owner) = Asks::owner(id).filter(|owner| *owner != self.me) {
            self.tell_answer(owner, &principal.user, id, text);
        } else {
            tracing::info!(user = %principal.user, "an answer came that nobody waits for");
        }
    }

    async fn set_level(
        &self,
        principal: &Principal,
        session: Option<&Session>,
        id: &RequestId,
        params: Option<&RawValue>,
    ) -> Result<Reply, RpcError> {
        #[derive(Deserialize)]
        struct Params {
            level: String,
        }
        let level = params
            .and_then(|params| serde_json::from_str::<Params>(params.get()).ok())
            .map(|p| p.level);
        let level = level
            .as_deref()
            .and_then(|level| LEVELS.into_iter().find(|known| *known == level));
        let level = level.ok_or_else(|| {
            RpcError::invalid_params(format!("`params.level` must be one of {}", LEVELS.join(", ")))
        })?;
        if let Some(session) = session {
            let stored = self.sessions.set_log_level(session, &principal.user, level).await;
            stored.map_err(|error| {
                tracing::warn!(%error, "log level was not stored");
                RpcError::new(Code::Internal, "the level was not stored; set it again")
            })?;
        }
        Ok(Reply::result(id, &to_json(&json!({}))))
    }

    fn cancel(&self, session: SessionKey, user: &UserId, params: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow, rename = "requestId")]
            request_id: &'a RawValue,
        }
        let params = params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok());
        if let Some(id) = params.and_then(|params| RequestId::parse(params.request_id).ok()) {
            let found = self.cancel_here(session, user, &id, 0);
            tracing::debug!(session = %session.text(), found, "cancel");
            if !found {
                self.tell_cancel(session, user, &id, 0);
            }
        }
    }
}

/// Whether a client that set `level` wants to see warnings.
pub(super) fn passes_warnings(level: &str) -> bool {
    LEVELS
        .into_iter()
        .take_while(|known| *known != "error")
        .any(|known| known == level)
}

/// Lists fit on one page, so every cursor is one that nobody handed out.
pub(super) fn no_cursor(params: Option<&RawValue>) -> Result<(), RpcError> {
    #[derive(Deserialize)]
    struct Params {
        cursor: Option<Value>,
    }
    match params.and_then(|params| serde_json::from_str::<Params>(params.get()).ok()) {
        Some(Params { cursor: Some(_) }) => Err(RpcError::invalid_params(
            "`params.cursor` is not one of this server's; the list has one page",
        )),
        _ => Ok(()),
    }
}

/// The answer to `resources/read`: there are no resources. `data` repeats the URI, as both eras ask for it;
/// `code` is what differs between them.
pub(super) fn no_such_resource(code: Code, params: Option<&RawValue>) -> RpcError {
    #[derive(Deserialize)]
    struct Params {
        uri: String,
    }
    match params.and_then(|params| serde_json::from_str::<Params>(params.get()).ok()) {
        Some(Params { uri }) => RpcError {
            code,
            message: format!("there is no resource `{}`; ask `resources/list`", printable(&uri)),
            data: Some(json!({ "uri": uri })),
        },
        None => RpcError::invalid_params("`params.uri` must be the URI of a resource"),
    }
}

fn capability_bits(capabilities: &Value) -> u8 {
    let bit = |name: &str, bit: u8| {
        if capabilities.get(name).is_some_and(Value::is_object) {
            bit
        } else {
            0
        }
    };
    bit("elicitation", CAN_ELICIT) | bit("sampling", CAN_SAMPLE) | bit("roots", CAN_LIST_ROOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_pass_levels_up_to_warning() {
        assert!(passes_warnings("debug") && passes_warnings("warning"));
        assert!(!passes_warnings("error") && !passes_warnings("nonsense"));
    }

    #[test]
    fn client_capabilities_become_bits() {
        assert_eq!(
            capability_bits(&json!({"elicitation": {}, "roots": {"listChanged": true}})),
            5
        );
        assert_eq!(capability_bits(&json!(null)), 0);
    }
}
