//! Calls over HTTP+SSE whose stream goes down with its task.
//!
//! The transport gives a client no place to come back to, so a slow call is noted in the store under the grant of its
//! client, with the task that holds the stream. A client that comes back, and is the only one of its grant, and is missed
//! by no task that lives, had its stream on one that died: nothing that it asked before can be answered any more, and it
//! is told so.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::id::{self, TaskId};
use crate::mcp::dispatch::Mcp;
use crate::mcp::durable::{LOG_TIMEOUT, outcome_unknown};
use crate::mcp::envelope::RequestId;
use crate::mcp::sse;
use crate::session::directory::SessionKey;

/// A call that is noted while it is slow. Dropped without a word, its note stays: its client has no answer.
#[derive(Debug)]
pub(super) struct Noted(watch::Sender<State>);

/// A stream, and the task that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) session: SessionKey,
    pub(super) holder: TaskId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At work, for this stream.
    For(Place),
    Over,
}

impl Noted {
    /// The answer is for this stream now.
    pub(super) fn moved(&self, to: Place) {
        let now = State::For(to);
        self.0
            .send_if_modified(|state| std::mem::replace(state, now) != now);
    }

    /// The client has its answer, was told that none will come, or did not come back.
    pub(super) fn over(self) {
        self.0.send_replace(State::Over);
    }
}

impl Mcp {
    /// Has a call noted as soon as it is slow.
    pub(super) fn note(self: &Arc<Self>, grant: &Arc<str>, request: &RequestId, at: Place) -> Noted {
        let (tell, state) = watch::channel(State::For(at));
        let (mcp, grant, request) = (Arc::clone(self), Arc::clone(grant), request.clone());
        self.lifecycle
            .spawn(async move { mcp.keep_note(&grant, &request, state).await });
        Noted(tell)
    }

    async fn keep_note(&self, grant: &str, request: &RequestId, mut state: watch::Receiver<State>) {
        tokio::select! {
            () = tokio::time::sleep(self.slow_after) => {}
            over = state.wait_for(|state| *state == State::Over) => if over.is_ok() {
                return;
            },
        }
        let name = id::base64url(&id::random::<9>());
        loop {
            let now = *state.borrow_and_update();
            let written = match now {
                State::For(Place { session, holder }) => {
                    let at = (session, holder);
                    let note = self.log.note_open(grant, &name, request.as_json(), at);
                    timeout(LOG_TIMEOUT, note).await
                }
                State::Over => {
                    let names = std::slice::from_ref(&name);
                    timeout(LOG_TIMEOUT, self.log.forget_open(grant, names)).await
                }
            };
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!(
                    "a slow call over HTTP+SSE is not noted as it is; should its task die, its client may not be told"
                );
            }
            if now == State::Over || state.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells the only client of a grant, which came back, of its calls whose stream went down with its task; `living`: all
    /// tasks but those. If there are calls of more than one such stream, it may be another client that comes back first,
    /// and nobody is told.
    pub(super) async fn tell_lost(self: &Arc<Self>, grant: &str, session: SessionKey, living: &[TaskId]) {
        let open = match timeout(LOG_TIMEOUT, self.log.open(grant)).await {
            Ok(Ok(open)) => open,
            Ok(Err(error)) => return note_unreadable(&error),
            Err(_) => return note_unreadable(&"no answer in time"),
        };
        let gone = open.iter().filter(|(_, call)| !living.contains(&call.holder));
        let lost: Vec<_> = gone.collect();
        let Some((_, first)) = lost.first() else {
            return;
        };
        if lost.iter().any(|(_, call)| call.session != first.session) {
            return;
        }
        let ids = lost
            .iter()
            .filter_map(|(_, call)| RequestId::from_json(&call.request_id));
        let told: Vec<u8> = ids.flat_map(|id| sse::message(&outcome_unknown(&id))).collect();
        if told.is_empty() || !self.wheel.send(session, &told) {
            return;
        }
        tracing::warn!(
            calls = lost.len(),
            "a client was told of calls whose stream went down with its task"
        );
        let names: Vec<String> = lost.iter().map(|(name, _)| name.clone()).collect();
        let forgotten = timeout(LOG_TIMEOUT, self.log.forget_open(grant, &names)).await;
        if !matches!(forgotten, Ok(Ok(()))) {
            tracing::warn!("a client may be told again of calls whose stream went down with its task");
        }
    }
}

fn note_unreadable(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "the slow calls of a client that came back are not readable; it waits for their answers");
}
