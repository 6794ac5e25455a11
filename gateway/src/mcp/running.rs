//! A tool at work, seen by who answers the client: notifications, requests to the client, then the response.

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::id::UserId;
use crate::mcp::asks::{Asks, OpenAsk};
use crate::mcp::dispatch::{Phrasing, failed, phrase};
use crate::mcp::envelope::RequestId;
use crate::mcp::error::notification;
use crate::model::call::{Ask, AskError, CallEvent};
use crate::session::directory::SessionKey;
use crate::session::seal::{CAN_ELICIT, CAN_LIST_ROOTS, CAN_SAMPLE};

/// The client behind a call of the legacy era: it can be asked, and it can come back for what it missed.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it acts for.
    pub user: UserId,
    /// Its session, if it has one.
    pub session: Option<SessionKey>,
    /// What it offers: the `CAN_` bits of its session.
    pub capabilities: u8,
    /// Whether it takes an event without a message as a place to come back to (from 2025-11-25 on).
    pub takes_primers: bool,
}

/// A tool at work: yields notifications, then the response.
#[derive(Debug)]
pub struct RunningCall {
    pub(super) id: RequestId,
    pub(super) phrasing: Phrasing,
    pub(super) events: mpsc::Receiver<CallEvent>,
    pub(super) done: oneshot::Receiver<Vec<u8>>,
    pub(super) progress_token: Option<Value>,
    pub(super) wants_warnings: bool,
    pub(super) guard: Option<DropGuard>,
    pub(super) caller: Option<Caller>,
    pub(super) asks: Asks,
    /// The requests to the client that may still be answered.
    pub(super) open_asks: Vec<OpenAsk>,
}

/// One step of a running call, as a JSON-RPC message.
#[derive(Debug)]
pub enum Step {
    /// More follows. A notification, or a request to the client.
    Message(Vec<u8>),
    /// The end.
    Response(Vec<u8>),
}

impl RunningCall {
    /// Dropping the call from now on cancels the work: what the modern era asks for.
    pub(super) fn cancel_on_drop(mut self, cancel: CancellationToken) -> Self {
        self.guard = Some(cancel.drop_guard());
        self
    }

    /// Whether its client can come back for what it missed.
    pub fn can_be_resumed(&self) -> bool {
        let caller = self.caller.as_ref();
        caller.is_some_and(|caller| caller.session.is_some())
    }

    /// The next message. Cancel-safe; not to be called again after the response.
    pub async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some(message) = self.describe(event) {
                        return Step::Message(message);
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

    fn describe(&mut self, event: CallEvent) -> Option<Vec<u8>> {
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
            CallEvent::Ask(ask) => self.pose(ask),
        }
    }

    /// The request to the client, unless it cannot be asked.
    fn pose(&mut self, ask: Ask) -> Option<Vec<u8>> {
        let Ask {
            method,
            params,
            answer,
        } = ask;
        let Some(caller) = self.caller.as_ref().filter(|caller| offers(caller, method)) else {
            // The tool that asked may be gone; then nobody minds.
            let _ = answer.send(Err(AskError::Unsupported));
            return None;
        };
        let open = self.asks.open(&caller.user, answer)?;
        let request = json!({"jsonrpc": "2.0", "id": open.id(), "method": method, "params": params});
        self.open_asks.push(open);
        Some(request.to_string().into_bytes())
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

fn offers(caller: &Caller, method: &str) -> bool {
    let needed = match method {
        "elicitation/create" => CAN_ELICIT,
        "sampling/createMessage" => CAN_SAMPLE,
        "roots/list" => CAN_LIST_ROOTS,
        _ => return false,
    };
    caller.capabilities & needed != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

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
            caller: None,
            asks: Asks::new(TaskId::random()),
            open_asks: Vec::new(),
        };
        match call.next().await {
            Step::Response(body) => serde_json::from_slice(&body).unwrap(),
            Step::Message(_) => Value::Null,
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
