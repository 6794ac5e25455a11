//! Work whose answers go out on a stream of the HTTP+SSE transport: a drain leaves the stream open for so long.

use std::collections::HashMap;
use std::sync::Arc;

use super::Wheel;
use crate::mcp::envelope::RequestId;
use crate::session::directory::SessionKey;
use crate::session::peers::message::Work;

/// A stream of the session has to stay for a call's answer. Dropped when the call is over.
#[derive(Debug)]
pub struct Hold {
    wheel: Arc<Wheel>,
    session: SessionKey,
    request: RequestId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.wheel.lock().holds.end_here(self.session, &self.request);
    }
}

impl Wheel {
    /// Notes that a call is under way whose answer goes out on a stream of the session: a drain leaves the stream
    /// open for so long. `None`: the session has no stream here.
    pub fn hold(self: &Arc<Self>, session: SessionKey, request: &RequestId) -> Option<Hold> {
        let mut inner = self.lock();
        if !inner.by_session.contains_key(&session) {
            return None;
        }
        inner.holds.begin_here(session, request);
        Some(Hold {
            wheel: Arc::clone(self),
            session,
            request: request.clone(),
        })
    }

    /// The same for work of another task. `true`: it was not known before.
    pub(in crate::mcp) fn hold_elsewhere(&self, session: SessionKey, work: &Work) -> bool {
        let mut inner = self.lock();
        inner.by_session.contains_key(&session) && inner.holds.begin_elsewhere(session, work)
    }

    /// Whether a stream is held for that work.
    pub(in crate::mcp) fn is_held_elsewhere(&self, session: SessionKey, work: &str) -> bool {
        self.lock().holds.is_elsewhere(session, work)
    }

    /// The JSON-RPC ids, as JSON text, of what is at work for a session.
    pub(in crate::mcp) fn at_work(&self, session: SessionKey) -> Vec<String> {
        self.lock().holds.at_work(session)
    }

    /// That work is over.
    pub(in crate::mcp) fn let_go(&self, session: SessionKey, work: &str) {
        self.lock().holds.end_elsewhere(session, work);
    }
}

/// What is at work for the streams here.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<SessionKey, OfSession>);

/// What is at work for one session.
#[derive(Debug, Default)]
struct OfSession {
    /// What the calls of this task are to answer.
    here: Vec<RequestId>,
    /// Work of other tasks, by the name that they gave it, with the JSON-RPC id that it is to answer.
    elsewhere: HashMap<String, String>,
}

impl OfSession {
    fn is_over(&self) -> bool {
        self.here.is_empty() && self.elsewhere.is_empty()
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

    /// The JSON-RPC ids of what is at work for a session.
    pub(super) fn at_work(&self, session: SessionKey) -> Vec<String> {
        let of_session = self.0.get(&session);
        let here = of_session.into_iter().flat_map(|work| &work.here);
        let elsewhere = of_session.into_iter().flat_map(|work| work.elsewhere.values());
        here.map(RequestId::as_json)
            .chain(elsewhere.map(String::as_str))
            .map(str::to_owned)
            .collect()
    }

    /// A call of this task begins.
    fn begin_here(&mut self, session: SessionKey, request: &RequestId) {
        self.0.entry(session).or_default().here.push(request.clone());
    }

    /// A call of this task is over.
    fn end_here(&mut self, session: SessionKey, request: &RequestId) {
        self.change(session, |work| {
            if let Some(place) = work.here.iter().position(|here| here == request) {
                work.here.swap_remove(place);
            }
        });
    }

    /// Another task is at work. `true`: that is new.
    fn begin_elsewhere(&mut self, session: SessionKey, work: &Work) -> bool {
        let of_session = self.0.entry(session).or_default();
        let (name, request) = (work.name.clone(), work.request_id.clone());
        of_session.elsewhere.insert(name, request).is_none()
    }

    /// Whether another task is at work under this name.
    fn is_elsewhere(&self, session: SessionKey, name: &str) -> bool {
        let work = self.0.get(&session);
        work.is_some_and(|work| work.elsewhere.contains_key(name))
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

    fn change(&mut self, session: SessionKey, change: impl FnOnce(&mut OfSession)) {
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

    fn request(id: &str) -> RequestId {
        RequestId::from_json(id).unwrap()
    }

    fn work(name: &str, id: &str) -> Work {
        Work {
            name: name.to_owned(),
            request_id: id.to_owned(),
        }
    }

    #[test]
    fn a_session_is_free_when_the_last_of_its_work_is_over_wherever_that_was() {
        let mut holds = Holds::default();
        holds.begin_here(SESSION, &request("7"));
        let a = work("a", "8");
        assert!(holds.begin_elsewhere(SESSION, &a) && !holds.begin_elsewhere(SESSION, &a));
        assert_eq!(holds.at_work(SESSION), ["7", "8"]);
        holds.end_here(SESSION, &request("7"));
        assert!(holds.holds(SESSION));
        holds.end_elsewhere(SESSION, "b");
        assert_eq!(holds.at_work(SESSION), ["8"], "nobody knows of that work");
        holds.end_elsewhere(SESSION, "a");
        assert!(holds.is_empty());
    }

    #[test]
    fn two_calls_with_one_id_hold_a_stream_until_both_are_over() {
        let mut holds = Holds::default();
        for _ in 0..2 {
            holds.begin_here(SESSION, &request("7"));
        }
        holds.end_here(SESSION, &request("7"));
        assert_eq!(holds.at_work(SESSION), ["7"]);
        holds.end_here(SESSION, &request("7"));
        assert!(holds.is_empty());
    }

    #[test]
    fn what_others_do_can_be_forgotten_and_what_is_done_here_stays() {
        let other = SessionKey([2; 16]);
        let mut holds = Holds::default();
        holds.begin_here(SESSION, &request("7"));
        for session in [SESSION, other] {
            holds.begin_elsewhere(session, &work("a", "8"));
        }
        holds.forget_elsewhere();
        assert!(!holds.holds(other) && holds.holds(SESSION));
        assert!(!holds.is_elsewhere(SESSION, "a"));
        holds.end_here(SESSION, &request("7"));
        assert!(holds.is_empty());
    }
}
