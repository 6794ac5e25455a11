//! The modern era (2026-07-28): stateless requests, `server/discover`, `subscriptions/listen`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::id;
use crate::mcp::catalog::{complete, empty_list};
use crate::mcp::dispatch::{Mcp, Phrasing, Reply, ToolRequest, failed, phrase};
use crate::mcp::envelope::{Message, RequestId};
use crate::mcp::era::ModernMeta;
use crate::mcp::error::{Code, RpcError, result_response, to_json};
use crate::mcp::legacy::{no_cursor, no_such_resource, passes_warnings};
use crate::mcp::sse;
use crate::mcp::wheel::{IdleStream, LIST_CHANGED, StreamKind};
use crate::model::principal::Principal;
use crate::session::directory::SessionKey;

/// Key in `_meta` that ties notifications and the result to their listen request.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

impl Mcp {
    /// Answers a message of the modern era.
    pub fn modern(&self, principal: &Arc<Principal>, meta: &ModernMeta, message: Message<'_>) -> Reply {
        let Message::Request { id, method, params } = message else {
            return Reply::Accepted;
        };
        let outcome = match method.as_ref() {
            "server/discover" => Ok(Reply::result(&id, &self.catalog.discover)),
            "tools/list" => no_cursor(params).map(|()| Reply::result(&id, &self.catalog.tools_modern)),
            "tools/call" => self.modern_call(principal, meta, (&id, params)),
            "resources/list" => Ok(Reply::result(&id, &to_json(&empty_list("resources")))),
            "resources/templates/list" => Ok(Reply::result(&id, &to_json(&empty_list("resourceTemplates")))),
            "prompts/list" => Ok(Reply::result(&id, &to_json(&empty_list("prompts")))),
            "prompts/get" => Err(RpcError::invalid_params(
                "there is no such prompt; ask `prompts/list`",
            )),
            "resources/read" => Err(no_such_resource(Code::InvalidParams, params)),
            "completion/complete" => {
                let nothing = complete(json!({"completion": {"values": [], "total": 0, "hasMore": false}}));
                Ok(Reply::result(&id, &to_json(&nothing)))
            }
            "subscriptions/listen" => listen(principal, &id, params),
            other => return Reply::error(404, Some(&id), &RpcError::method_not_found(other)),
        };
        outcome.unwrap_or_else(|error| Reply::error(200, Some(&id), &error))
    }

    fn modern_call(
        &self,
        principal: &Arc<Principal>,
        meta: &ModernMeta,
        (id, params): (&RequestId, Option<&RawValue>),
    ) -> Result<Reply, RpcError> {
        let cancel = CancellationToken::new();
        let request = ToolRequest {
            id: id.clone(),
            params,
            principal: Arc::clone(principal),
            phrasing: Phrasing::Modern,
            wants_warnings: meta.log_level.as_deref().is_some_and(passes_warnings),
            caller: None,
        };
        let call = self.call_tool(request, cancel.clone(), None)?;
        // Closing the response is this era's way to cancel.
        Ok(Reply::Call(call.cancel_on_drop(cancel)))
    }
}

/// What the ids of the events of calls begin with.
const PLACE: &str = "call.";

/// The id of the first event of a call's stream. The era has no way back to a stream (2026-07-28 basic/transports), so
/// a server owes nothing to a `Last-Event-ID`; clients on the SDK for TypeScript send one all the same when a stream
/// breaks off before the response, and without it wait for that until their patience is over.
pub(super) fn place(id: &RequestId) -> String {
    format!("{PLACE}{}", id::base64url(id.as_json().as_bytes()))
}

/// The response for a client that comes back to the stream of a call, on any task. Nothing but the client's own request
/// id is needed: the work was given up when the connection broke, or ended with its task. `None`: the event was of no
/// such stream.
pub fn broken_off(last_event_id: &str) -> Option<Vec<u8>> {
    let id = id::from_base64url(last_event_id.strip_prefix(PLACE)?)?;
    let id = RequestId::from_json(std::str::from_utf8(&id).ok()?)?;
    let outcome = failed(
        "outcome_unknown",
        "the connection of this call broke; whether the call took effect is unknown, so look before you call again",
    );
    Some(phrase(&id, Phrasing::Modern, Ok(outcome)))
}

/// Opens a subscription: the acknowledgement names the subset that will be served.
fn listen(principal: &Principal, id: &RequestId, params: Option<&RawValue>) -> Result<Reply, RpcError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Filter {
        tools_list_changed: Option<bool>,
    }
    #[derive(Deserialize)]
    struct Params {
        notifications: Filter,
    }
    let params: Params = params
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .ok_or_else(|| RpcError::invalid_params("`params.notifications` must be an object of booleans"))?;
    let wants_list = params.notifications.tools_list_changed == Some(true);
    let honoured = if wants_list {
        json!({"toolsListChanged": true})
    } else {
        json!({})
    };
    let tag = format!(r#"{{"{SUBSCRIPTION_ID}":{}}}"#, id.as_json());
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{tag},"notifications":{honoured}}}}}"#
    );
    let result = result_response(id, &format!(r#"{{"resultType":"complete","_meta":{tag}}}"#));
    let list_changed = format!(r#"{{"jsonrpc":"2.0","method":"{LIST_CHANGED}","params":{{"_meta":{tag}}}}}"#);
    Ok(Reply::Idle(IdleStream {
        kind: StreamKind::Listen {
            result: result.into(),
            list_changed: wants_list.then(|| list_changed.into_bytes().into()),
        },
        // A listen belongs to no session; a key of its own keeps it apart from all others.
        session: SessionKey(id::random()),
        grant: Arc::clone(&principal.grant),
        first: sse::message(acknowledged.as_bytes()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_its_request_and_nothing_else_is_one() {
        for json in ["7", r#""a\nb""#] {
            let id = RequestId::from_json(json).unwrap();
            let response = broken_off(&place(&id)).unwrap();
            let response: serde_json::Value = serde_json::from_slice(&response).unwrap();
            assert_eq!(response["id"].to_string(), json);
            assert_eq!(response["result"]["isError"], true, "{response}");
        }
        for other in [
            "",
            "call.",
            "call.e30",
            "call.%",
            "s.1.x",
            "AAAAAAAAAAAAAAAAAAAAAA.1",
        ] {
            assert!(broken_off(other).is_none(), "{other}");
        }
    }
}
