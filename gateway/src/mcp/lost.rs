//! Calls over HTTP+SSE whose answers cannot reach their client any more.
//!
//! The transport gives a client no place to come back to, so a slow call is noted in the store under the grant of its
//! client. Where the last stream of a client that comes back is not known for sure, nothing that was asked on it will be
//! answered, and the client is told of every call that is noted. It passes over those of other clients: it did not ask for
//! them, or its own request of that id is lost, too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::id;
use crate::mcp::dispatch::Mcp;
use crate::mcp::durable::{LOG_TIMEOUT, answer_lost};
use crate::mcp::envelope::RequestId;
use crate::mcp::sse;
use crate::session::directory::SessionKey;

/// How often the note of a call at work is written anew: it expires a while after the call or its task is gone.
const RENEW: Duration = Duration::from_secs(10);

/// A call that is noted while it is slow. Dropped without a word, its note stays: its client has no answer.
#[derive(Debug)]
pub(super) struct Noted(watch::Sender<State>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fast,
    Slow,
    Over,
}

impl Noted {
    /// Its POST is answered already, so that the client waits for its stream alone.
    pub(super) fn is_slow(&self) {
        self.0.send_if_modified(|state| {
            *state == State::Fast && std::mem::replace(state, State::Slow) == State::Fast
        });
    }

    /// The client has its answer, or was told that none will come.
    pub(super) fn over(self) {
        self.0.send_replace(State::Over);
    }
}

impl Mcp {
    /// Has a call noted as soon as it is slow.
    pub(super) fn note(self: &Arc<Self>, grant: &Arc<str>, request: &RequestId) -> Noted {
        let (tell, state) = watch::channel(State::Fast);
        let (mcp, grant, request) = (Arc::clone(self), Arc::clone(grant), request.clone());
        self.lifecycle
            .spawn(async move { mcp.keep_note(&grant, &request, state).await });
        Noted(tell)
    }

    async fn keep_note(&self, grant: &str, request: &RequestId, mut state: watch::Receiver<State>) {
        tokio::select! {
            () = tokio::time::sleep(self.slow_after) => {}
            state = state.wait_for(|state| *state != State::Fast) => {
                if state.is_ok_and(|state| *state == State::Over) {
                    return;
                }
            }
        }
        let name = id::base64url(&id::random::<9>());
        loop {
            let note = self.log.note_open(grant, &name, request.as_json());
            if !matches!(timeout(LOG_TIMEOUT, note).await, Ok(Ok(()))) {
                tracing::warn!(
                    "a slow call over HTTP+SSE is not noted; should its stream be lost, its client is not told"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(self.clock.interval(RENEW)) => {}
                over = state.wait_for(|state| *state == State::Over) => match over {
                    Ok(_) => break,
                    Err(_) => return,
                },
            }
        }
        let forgotten = timeout(LOG_TIMEOUT, self.log.forget_open(grant, &name)).await;
        if !matches!(forgotten, Ok(Ok(()))) {
            tracing::warn!("a call over HTTP+SSE that is over stays noted for a while");
        }
    }

    /// What tells a client of a grant, which comes back with the stream of `session`, that the calls are lost which it may
    /// have asked for before. `None`: the store does not say. The notes stay, for the other clients of the grant.
    pub(super) async fn lost(&self, grant: &str, session: SessionKey) -> Option<Bytes> {
        let open = match timeout(LOG_TIMEOUT, self.log.open(grant)).await {
            Ok(Ok(open)) => open,
            Ok(Err(error)) => return note_unreadable(&error),
            Err(_) => return note_unreadable(&"no answer in time"),
        };
        let asked_since = self.wheel.at_work(session);
        let noted: BTreeSet<&String> = open.iter().map(|call| &call.request_id).collect();
        let lost = noted.into_iter().filter(|id| !asked_since.contains(id));
        let ids = lost.filter_map(|id| RequestId::from_json(id));
        let told: Vec<u8> = ids.flat_map(|id| sse::message(&answer_lost(&id))).collect();
        if !told.is_empty() {
            let session = session.text();
            tracing::warn!(%session, "a client is told that what it asked on its last stream may be lost");
        }
        Some(told.into())
    }
}

fn note_unreadable(error: &dyn std::fmt::Display) -> Option<Bytes> {
    tracing::warn!(%error, "the slow calls of a client that came back are not readable; it waits for their answers");
    None
}
