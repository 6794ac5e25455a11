//! Work whose answers go out on a stream of the HTTP+SSE transport: a drain leaves the stream open for so long.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{CloseReason, Inner, Wheel, ticks};
use crate::session::directory::SessionKey;

/// A stream of the session has to stay for a call's answer. Dropped when the call is over.
#[derive(Debug)]
pub struct Hold {
    wheel: Arc<Wheel>,
    session: SessionKey,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.wheel.release(self.session);
    }
}

impl Wheel {
    /// Notes that a call is under way whose answer goes out on a stream of the session: a drain leaves the stream
    /// open for so long. `None`: the session has no stream here.
    pub fn hold(self: &Arc<Self>, session: SessionKey) -> Option<Hold> {
        let mut inner = self.lock();
        if !inner.by_session.contains_key(&session) {
            return None;
        }
        inner.holds.begin_here(session);
        Some(Hold {
            wheel: Arc::clone(self),
            session,
        })
    }

    /// The same for work of another task, by the name that it gave it. `true`: it was not known before.
    pub(in crate::mcp) fn hold_elsewhere(&self, session: SessionKey, work: &str) -> bool {
        self.lock().holds.begin_elsewhere(session, work)
    }

    /// Whether a stream is held for that work.
    pub(in crate::mcp) fn is_held_elsewhere(&self, session: SessionKey, work: &str) -> bool {
        self.lock().holds.is_elsewhere(session, work)
    }

    /// That work is over.
    pub(in crate::mcp) fn let_go(self: &Arc<Self>, session: SessionKey, work: &str) {
        let mut inner = self.lock();
        if inner.holds.end_elsewhere(session, work) {
            self.free(&mut inner, session);
        }
    }

    fn release(self: &Arc<Self>, session: SessionKey) {
        let mut inner = self.lock();
        if inner.holds.end_here(session) {
            self.free(&mut inner, session);
        }
    }

    /// Nothing is at work for a session any more.
    fn free(self: &Arc<Self>, inner: &mut Inner, session: SessionKey) {
        if inner.draining {
            self.finish_session(inner, session, CloseReason::Drain);
        }
    }

    /// The process stays as long as something is at work for a stream here, which may be on another task.
    pub(super) async fn wait_for_work(self: Arc<Self>) {
        let mut ticks = ticks(self.interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.lifecycle.hard().cancelled() => break,
            }
            if self.lock().holds.is_empty() {
                return;
            }
        }
        // The answers of this task come in a moment; those of others come too late.
        let mut inner = self.lock();
        for session in inner.holds.forget_elsewhere() {
            self.free(&mut inner, session);
        }
    }
}

/// What is at work for the streams here.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<SessionKey, Work>);

/// What is at work for one session.
#[derive(Debug, Default)]
struct Work {
    /// Calls of this task.
    here: usize,
    /// Work of other tasks, by the name that they gave it.
    elsewhere: HashSet<String>,
}

impl Work {
    fn is_over(&self) -> bool {
        self.here == 0 && self.elsewhere.is_empty()
    }
}

impl Holds {
    /// Whether nothing is at work.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is at work for a session.
    pub(super) fn holds(&self, session: SessionKey) -> bool {
        self.0.contains_key(&session)
    }

    /// A call of this task begins.
    fn begin_here(&mut self, session: SessionKey) {
        self.0.entry(session).or_default().here += 1;
    }

    /// A call of this task is over. `true`: it was the last work for the session.
    fn end_here(&mut self, session: SessionKey) -> bool {
        self.change(session, |work| work.here = work.here.saturating_sub(1))
    }

    /// Another task is at work. `true`: that is new.
    fn begin_elsewhere(&mut self, session: SessionKey, name: &str) -> bool {
        let work = self.0.entry(session).or_default();
        work.elsewhere.insert(name.to_owned())
    }

    /// Whether another task is at work under this name.
    fn is_elsewhere(&self, session: SessionKey, name: &str) -> bool {
        let work = self.0.get(&session);
        work.is_some_and(|work| work.elsewhere.contains(name))
    }

    /// Another task's work is over. `true`: it was the last one for the session.
    fn end_elsewhere(&mut self, session: SessionKey, name: &str) -> bool {
        self.change(session, |work| {
            work.elsewhere.remove(name);
        })
    }

    /// Forgets all work of other tasks; returns the sessions for which that was the last.
    fn forget_elsewhere(&mut self) -> Vec<SessionKey> {
        let sessions: Vec<SessionKey> = self.0.keys().copied().collect();
        let over = |session: &SessionKey| self.change(*session, |work| work.elsewhere.clear());
        sessions.into_iter().filter(over).collect()
    }

    fn change(&mut self, session: SessionKey, change: impl FnOnce(&mut Work)) -> bool {
        let Some(work) = self.0.get_mut(&session) else {
            return false;
        };
        change(work);
        let over = work.is_over();
        if over {
            self.0.remove(&session);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionKey = SessionKey([1; 16]);

    #[test]
    fn a_session_is_free_when_the_last_of_its_work_is_over_wherever_that_was() {
        let mut holds = Holds::default();
        holds.begin_here(SESSION);
        assert!(holds.begin_elsewhere(SESSION, "a") && !holds.begin_elsewhere(SESSION, "a"));
        assert!(!holds.end_here(SESSION) && holds.holds(SESSION));
        assert!(!holds.end_elsewhere(SESSION, "b"), "nobody knows of it");
        assert!(holds.end_elsewhere(SESSION, "a") && holds.is_empty());
        assert!(!holds.end_elsewhere(SESSION, "a"), "it was over before");
    }

    #[test]
    fn what_others_do_can_be_forgotten_and_what_is_done_here_stays() {
        let other = SessionKey([2; 16]);
        let mut holds = Holds::default();
        holds.begin_here(SESSION);
        for session in [SESSION, other] {
            holds.begin_elsewhere(session, "a");
        }
        assert_eq!(holds.forget_elsewhere(), [other]);
        assert!(!holds.is_elsewhere(SESSION, "a") && holds.end_here(SESSION));
    }
}
