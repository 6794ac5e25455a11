//! The end of all streams when the process stops.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{CloseReason, Wheel, close};
use crate::session::directory::SessionKey;

/// A stream of HTTP+SSE that is to end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::mcp) struct Leaving {
    pub(in crate::mcp) session: SessionKey,
    pub(in crate::mcp) grant: Arc<str>,
}

impl Wheel {
    /// Refuses new streams and ends those that are open, but for those of HTTP+SSE: listens with their result, the
    /// others with a jittered `retry:`. How many there were.
    pub fn drain(self: &Arc<Self>) -> usize {
        let mut inner = self.lock();
        inner.draining = true;
        self.finish_all(&mut inner, CloseReason::Drain, |entry, _| {
            !entry.kind.is_http_sse()
        })
    }

    /// The streams of HTTP+SSE that can end now, because nothing is at work for them; `in_turn`: of each grant one, and
    /// none as long as the client of the last one is not back. They are noted until [`Wheel::leave`].
    pub(in crate::mcp) fn leaving(&self, in_turn: bool) -> Vec<Leaving> {
        let now = Instant::now();
        let mut inner = self.lock();
        let mut grants = HashSet::new();
        let mut leaving = Vec::new();
        for (_, entry) in &inner.streams {
            let free =
                entry.kind.is_http_sse() && entry.ending.is_none() && !inner.holds.holds(entry.session);
            let mut turn = || {
                let grant = Arc::clone(&entry.grant);
                !in_turn || !inner.ended.awaits(&grant, now) && grants.insert(grant)
            };
            if free && turn() {
                leaving.push(Leaving {
                    session: entry.session,
                    grant: Arc::clone(&entry.grant),
                });
            }
        }
        inner.leaving = leaving.iter().map(|leaving| Arc::clone(&leaving.grant)).collect();
        leaving
    }

    /// Whether a client of a grant is on its way to another stream, or will be in a moment.
    pub(in crate::mcp) fn is_leaving(&self, grant: &str) -> bool {
        let inner = self.lock();
        inner.leaving.contains(grant) || inner.ended.awaits(grant, Instant::now())
    }

    /// Ends these streams, but for those that got work meanwhile, and none of the others that were to end.
    pub(in crate::mcp) fn leave(self: &Arc<Self>, leaving: &[Leaving]) {
        let mut inner = self.lock();
        for Leaving { session, .. } in leaving {
            if !inner.holds.holds(*session) {
                self.finish_session(&mut inner, *session, CloseReason::Drain);
            }
        }
        inner.leaving.clear();
    }

    /// Whether a stop has to wait: for streams of HTTP+SSE, for what is at work for them, which may be on another task,
    /// or for clients whose streams ended within `linger` and who are not back.
    pub(in crate::mcp) fn is_left(&self, linger: Duration) -> bool {
        let inner = self.lock();
        let open = inner.streams.iter().any(|(_, entry)| entry.kind.is_http_sse());
        open || !inner.holds.is_empty() || inner.ended.awaits_any(linger, Instant::now())
    }

    /// Forgets the work of other tasks for streams here.
    pub(in crate::mcp) fn forget_elsewhere(&self) {
        self.lock().holds.forget_elsewhere();
    }

    /// Closes what is still open when the process ends: readers that did not take their last bytes in time, and
    /// streams that wait for calls. How many there were.
    pub fn cut(&self) -> usize {
        let mut inner = self.lock();
        let keys: Vec<usize> = inner.streams.iter().map(|(key, _)| key).collect();
        for key in &keys {
            close(&mut inner, *key, CloseReason::Deadline);
        }
        keys.len()
    }
}
