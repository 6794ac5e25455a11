//! Work whose answers go out on a stream of the HTTP+SSE transport: a drain leaves the stream open for so long.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Wheel;
use crate::session::directory::SessionKey;

/// A stream of the session has to stay for a call's answer. Dropped when the call is over.
#[derive(Debug)]
pub struct Hold {
    wheel: Arc<Wheel>,
    session: SessionKey,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.wheel.lock().holds.end_here(self.session);
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
        let mut inner = self.lock();
        inner.by_session.contains_key(&session) && inner.holds.begin_elsewhere(session, work)
    }

    /// Whether a stream is held for that work.
    pub(in crate::mcp) fn is_held_elsewhere(&self, session: SessionKey, work: &str) -> bool {
        self.lock().holds.is_elsewhere(session, work)
    }

    /// That work is over.
    pub(in crate::mcp) fn let_go(&self, session: SessionKey, work: &str) {
        self.lock().holds.end_elsewhere(session, work);
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

    /// A call of this task is over.
    fn end_here(&mut self, session: SessionKey) {
        self.change(session, |work| work.here = work.here.saturating_sub(1));
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

    /// Another task's work is over.
    fn end_elsewhere(&mut self, session: SessionKey, name: &str) {
        self.change(session, |work| {
            work.elsewhere.remove(name);
        });
    }

    /// Forgets all work of other tasks.
    pub(super) fn forget_elsewhere(&mut self) {
        self.0.retain(|_, work| {
            work.elsewhere.clear();
            !work.is_over()
        });
    }

    fn change(&mut self, session: SessionKey, change: impl FnOnce(&mut Work)) {
        if let Some(work) = self.0.get_mut(&session) {
            change(work);
            if work.is_over() {
                self.0.remove(&session);
            }
        }
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
        holds.end_here(SESSION);
        assert!(holds.holds(SESSION));
        holds.end_elsewhere(SESSION, "b");
        assert!(holds.holds(SESSION), "nobody knows of that work");
        holds.end_elsewhere(SESSION, "a");
        assert!(holds.is_empty());
    }

    #[test]
    fn what_others_do_can_be_forgotten_and_what_is_done_here_stays() {
        let other = SessionKey([2; 16]);
        let mut holds = Holds::default();
        holds.begin_here(SESSION);
        for session in [SESSION, other] {
            holds.begin_elsewhere(session, "a");
        }
        holds.forget_elsewhere();
        assert!(!holds.holds(other) && holds.holds(SESSION));
        assert!(!holds.is_elsewhere(SESSION, "a"));
        holds.end_here(SESSION);
        assert!(holds.is_empty());
    }
}
