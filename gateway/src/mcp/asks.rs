//! Requests of the gateway to clients, and the answers that find their way back to who asked.
//!
//! The answer is a POST of its own, which may reach any task. So the id that is minted for a request names the
//! task that waits: `<task id>.<random>`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::id::{self, TaskId, UserId};
use crate::mcp::envelope::RequestId;
use crate::model::call::AskError;

/// Requests that may wait for answers at once, over all calls of a task.
const MAX_WAITING: usize = 10_000;

#[derive(Debug)]
struct Waiting {
    user: UserId,
    answer: oneshot::Sender<Result<Value, AskError>>,
}

/// The requests that wait for answers on this task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Asks {
    me: TaskId,
    waiting: Arc<Mutex<HashMap<String, Waiting>>>,
}

/// A request that waits; forgotten when dropped.
#[derive(Debug)]
pub struct OpenAsk {
    asks: Asks,
    key: String,
}

/// A client's response, as far as it matters.
#[derive(Deserialize)]
struct Response {
    result: Option<Value>,
    error: Option<ResponseError>,
}

#[derive(Deserialize)]
struct ResponseError {
    #[serde(default)]
    message: String,
}

impl Asks {
    /// No requests yet.
    pub fn new(me: TaskId) -> Self {
        Self {
            me,
            waiting: Arc::default(),
        }
    }

    /// Mints the id of a request to `user`; the answer to it goes to `answer`.
    pub fn open(&self, user: &UserId, answer: oneshot::Sender<Result<Value, AskError>>) -> Option<OpenAsk> {
        let key = id::base64url(&id::random::<12>());
        let mut waiting = self.lock();
        if waiting.len() >= MAX_WAITING {
            let _ = answer.send(Err(AskError::Busy));
            return None;
        }
        let user = user.clone();
        waiting.insert(key.clone(), Waiting { user, answer });
        Some(OpenAsk {
            asks: self.clone(),
            key,
        })
    }

    /// The task that waits for the answer with this id; `None` for an id that no gateway minted.
    pub fn owner(id: &RequestId) -> Option<TaskId> {
        split(id).map(|(owner, _)| owner)
    }

    /// Gives the answer of `user` (a whole JSON-RPC response) to who waits for it here. `false`: nobody does.
    pub fn answer(&self, id: &RequestId, user: &UserId, response: &[u8]) -> bool {
        let Some((_, key)) = split(id).filter(|(owner, _)| *owner == self.me) else {
            return false;
        };
        let mut waiting = self.lock();
        if waiting.get(key).is_none_or(|waiting| waiting.user != *user) {
            return false;
        }
        let Some(asker) = waiting.remove(key) else {
            return false;
        };
        let outcome = match serde_json::from_slice(response) {
            Ok(Response {
                error: Some(error), ..
            }) => Err(AskError::Refused(error.message)),
            Ok(Response {
                result: Some(result), ..
            }) => Ok(result),
            _ => Err(AskError::Refused(
                "the response has neither result nor error".to_owned(),
            )),
        };
        asker.answer.send(outcome).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenAsk {
    /// The id on the wire, without quotes.
    pub fn id(&self) -> String {
        format!("{}.{}", self.asks.me, self.key)
    }
}

impl Drop for OpenAsk {
    fn drop(&mut self) {
        self.asks.lock().remove(&self.key);
    }
}

fn split(id: &RequestId) -> Option<(TaskId, &str)> {
    let text = id.as_json().strip_prefix('"')?.strip_suffix('"')?;
    let (owner, key) = text.split_once('.')?;
    Some((TaskId::parse(owner)?, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(id: &str) -> RequestId {
        RequestId::parse(&serde_json::value::to_raw_value(id).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_reaches_who_asked_once_and_only_from_the_person_who_was_asked() {
        let (asks, ana, ben) = (
            Asks::new(TaskId::random()),
            UserId::new("1001"),
            UserId::new("1002"),
        );
        let (answer, answered) = oneshot::channel();
        let open = asks.open(&ana, answer).unwrap();
        let id = wire(&open.id());
        assert_eq!(Asks::owner(&id), Some(asks.me));
        let response = br#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#;
        assert!(!asks.answer(&id, &ben, response), "somebody else's answer");
        assert!(
            !Asks::new(TaskId::random()).answer(&id, &ana, response),
            "another task's"
        );
        assert!(asks.answer(&id, &ana, response));
        assert!(!asks.answer(&id, &ana, response), "the second time");
        assert_eq!(answered.await.unwrap().unwrap()["action"], "accept");
    }

    #[tokio::test]
    async fn an_error_is_a_refusal_and_a_question_that_is_dropped_is_forgotten() {
        let (asks, ana) = (Asks::new(TaskId::random()), UserId::new("1001"));
        let (answer, answered) = oneshot::channel();
        let open = asks.open(&ana, answer).unwrap();
        let refusal = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#;
        assert!(asks.answer(&wire(&open.id()), &ana, refusal));
        assert_eq!(answered.await.unwrap(), Err(AskError::Refused("no".to_owned())));
        let (answer, answered) = oneshot::channel();
        drop(asks.open(&ana, answer));
        assert!(answered.await.is_err() && asks.lock().is_empty());
    }

    #[test]
    fn ids_that_no_gateway_minted_have_no_owner() {
        for id in ["7", "a.b", ".", "AAAAAAAAAAA", "AAAAAAAAAAAA.x"] {
            assert_eq!(Asks::owner(&wire(id)), None, "{id}");
        }
        assert_eq!(
            Asks::owner(&RequestId::parse(&serde_json::value::to_raw_value(&7).unwrap()).unwrap()),
            None
        );
    }
}
