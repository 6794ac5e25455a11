//! Calls over HTTP+SSE whose stream goes down with its task.
//!
//! The transport gives a client no place to come back to, so a slow call is noted in the store under the grant of its
//! client, with the task that holds the stream. A client that comes back and is missed by no task that lives had its
//! stream on one that died: nothing that it asked before can be answered any more, and it is told so.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At work, for a stream that this task holds.
    For(TaskId),
    Answered,
}

impl Noted {
    /// The stream is held by this task now.
    pub(super) fn moved(&self, holder: TaskId) {
        let now = State::For(holder);
        self.0
            .send_if_modified(|state| std::mem::replace(state, now) != now);
    }

    /// The answer is with the client, or on its way.
    pub(super) fn answered(self) {
        self.0.send_replace(State::Answered);
    }
}

impl Mcp {
    /// Has a call noted as soon as it is slow.
    pub(super) fn note(self: &Arc<Self>, grant: &Arc<str>, request: &RequestId, holder: TaskId) -> Noted {
        let (tell, state) = watch::channel(State::For(holder));
        let (mcp, grant, request) = (Arc::clone(self), Arc::clone(grant), request.clone());
        self.lifecycle
            .spawn(async move { mcp.keep_note(&grant, &request, state).await });
        Noted(tell)
    }

    async fn keep_note(&self, grant: &str, request: &RequestId, mut state: watch::Receiver<State>) {
        tokio::select! {
            () = tokio::time::sleep(self.slow_after) => {}
            over = state.wait_for(|state| *state == State::Answered) => if over.is_ok() {
                return;
            },
        }
        let name = id::base64url(&id::random::<9>());
        loop {
            let now = *state.borrow_and_update();
            let written = match now {
                State::For(holder) => {
                    let note = self.log.note_open(grant, &name, request.as_json(), holder);
                    timeout(LOG_TIMEOUT, note).await
                }
                State::Answered => timeout(LOG_TIMEOUT, self.log.forget_open(grant, &name)).await,
            };
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!(
                    "a slow call over HTTP+SSE is not noted as it is; should its task die, its client may not be told"
                );
            }
            if now == State::Answered || state.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells a client that came back from a stream of a task that died of the calls of its grant that ended with such a
    /// task. It passes over those of another client of the grant, as it waits for no answer to them; `living`: the tasks
    /// whose streams live.
    pub(super) async fn tell_lost(self: &Arc<Self>, grant: &str, session: SessionKey, living: &[TaskId]) {
        let open = match timeout(LOG_TIMEOUT, self.log.open(grant)).await {
            Ok(Ok(open)) => open,
            Ok(Err(error)) => return note_unreadable(&error),
            Err(_) => return note_unreadable(&"no answer in time"),
        };
        for call in open.iter().filter(|call| !living.contains(&call.holder)) {
            let Some(id) = RequestId::from_json(&call.request_id) else {
                continue;
            };
            // Another client may have used the id before that this one uses now.
            if !self.wheel.is_held_for(session, &id) {
                tracing::warn!(task = %call.holder, "a client is told that its call ended with the task of its stream");
                self.wheel.send(session, &sse::message(&outcome_unknown(&id)));
            }
        }
    }
}

fn note_unreadable(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "the slow calls of a client that came back are not readable; it waits for their answers");
}
