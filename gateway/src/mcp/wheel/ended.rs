//! Streams of HTTP+SSE that ended a moment ago, and where their clients are since.
//!
//! A client of that transport comes back with a new stream, which is a new session, while what it asked on the old one
//! may still be at work, or be on its way to it. So each task remembers the streams that ended here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Wheel;
use crate::session::directory::SessionKey;
use crate::session::peers::message::{Successor, Whereabouts};

/// How long a client is expected back. It was asked to wait for four seconds at most, and needs a moment to connect.
pub(in crate::mcp) const AWAITED_FOR: Duration = Duration::from_secs(10);
/// How long the stream that came instead is remembered: no call takes longer.
const REMEMBERED_FOR: Duration = Duration::from_mins(5);
/// How long a connection takes at most on its way from a request to the wheel.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(1);
/// Most that are told at once: what is of use is none, one, or more than one.
const TOLD_MAX: usize = 2;

#[derive(Debug)]
struct EndedStream {
    grant: Arc<str>,
    at: Instant,
    successor: Option<Successor>,
}

impl EndedStream {
    fn is_awaited(&self, now: Instant) -> bool {
        self.successor.is_none() && now.duration_since(self.at) < AWAITED_FOR
    }
}

/// The streams that ended here, by their session.
#[derive(Debug, Default)]
pub(super) struct Ended(HashMap<SessionKey, EndedStream>);

impl Ended {
    /// A stream ended.
    pub(super) fn note(&mut self, session: SessionKey, grant: &Arc<str>, now: Instant) {
        let ended = EndedStream {
            grant: Arc::clone(grant),
            at: now,
            successor: None,
        };
        self.0.insert(session, ended);
    }

    /// The sessions of a grant whose clients are expected back.
    fn awaited(&self, grant: &str, now: Instant) -> Vec<SessionKey> {
        let ended = self.0.iter();
        let awaited = ended.filter(|(_, ended)| &*ended.grant == grant && ended.is_awaited(now));
        awaited.map(|(session, _)| *session).take(TOLD_MAX).collect()
    }

    /// Whether a client of a grant is expected back.
    pub(super) fn awaits(&self, grant: &str, now: Instant) -> bool {
        !self.awaited(grant, now).is_empty()
    }

    /// Whether a client is expected back whose stream ended within `time`.
    pub(super) fn awaits_any(&self, time: Duration, now: Instant) -> bool {
        let mut ended = self.0.values();
        ended.any(|ended| ended.successor.is_none() && now.duration_since(ended.at) < time)
    }

    fn succeed(&mut self, session: SessionKey, by: Successor, now: Instant) -> bool {
        let ended = self.0.get_mut(&session).filter(|ended| ended.is_awaited(now));
        ended.map(|ended| ended.successor = Some(by)).is_some()
    }

    fn whereabouts(&self, session: SessionKey, now: Instant) -> Option<Whereabouts> {
        let ended = self.0.get(&session)?;
        let back = ended.successor.map(Whereabouts::At);
        back.or_else(|| ended.is_awaited(now).then_some(Whereabouts::Awaited))
    }

    /// Forgets what is too long ago to matter.
    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, ended| {
            ended.is_awaited(now)
                || ended.successor.is_some() && now.duration_since(ended.at) < REMEMBERED_FOR
        });
    }
}

impl Wheel {
    /// The sessions of a grant whose streams ended here a moment ago, and whose clients are not back: none, one, or some.
    pub(in crate::mcp) fn awaited(&self, grant: &str) -> Vec<SessionKey> {
        self.lock().ended.awaited(grant, Instant::now())
    }

    /// Waits for the stream of a new session, whose connection is handed over in this moment. `false`: it never came.
    pub(in crate::mcp) async fn has_begun(&self, session: SessionKey) -> bool {
        let until = Instant::now() + HANDED_OVER_WITHIN;
        while !self.carries(session) {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(HANDED_OVER_WITHIN / 100).await;
        }
        true
    }

    /// Notes which stream a client has instead of the one of `session`. `false`: nobody waits for that client here.
    pub(in crate::mcp) fn succeed(&self, session: SessionKey, by: Successor) -> bool {
        self.lock().ended.succeed(session, by, Instant::now())
    }

    /// Where the client is whose stream ended here; `None`: there was none, or the client did not come back.
    pub(in crate::mcp) fn whereabouts(&self, session: SessionKey) -> Option<Whereabouts> {
        self.lock().ended.whereabouts(session, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    const A: SessionKey = SessionKey([1; 16]);
    const B: SessionKey = SessionKey([2; 16]);

    fn ended(sessions: &[SessionKey], now: Instant) -> Ended {
        let mut ended = Ended::default();
        for session in sessions {
            ended.note(*session, &"grant".into(), now);
        }
        ended
    }

    #[test]
    fn a_client_is_awaited_until_it_is_back_or_too_late() {
        let now = Instant::now();
        let by = Successor {
            session: B,
            task: TaskId::random(),
        };
        let mut ended = ended(&[A], now);
        assert_eq!(ended.awaited("grant", now), [A]);
        assert!(!ended.awaits("another", now));
        assert_eq!(ended.whereabouts(A, now), Some(Whereabouts::Awaited));
        assert_eq!(ended.whereabouts(B, now), None);
        assert!(ended.succeed(A, by, now) && !ended.succeed(A, by, now), "once");
        assert!(!ended.awaits("grant", now) && !ended.awaits_any(AWAITED_FOR, now));
        let later = now + AWAITED_FOR;
        ended.forget(later);
        assert_eq!(ended.whereabouts(A, later), Some(Whereabouts::At(by)));
        ended.forget(now + REMEMBERED_FOR);
        assert_eq!(ended.whereabouts(A, later), None);
    }

    #[test]
    fn a_client_that_does_not_come_back_is_forgotten() {
        let now = Instant::now();
        let mut ended = ended(&[A, B], now);
        assert_eq!(ended.awaited("grant", now).len(), 2);
        assert!(ended.awaits_any(AWAITED_FOR, now));
        let later = now + AWAITED_FOR;
        assert!(!ended.awaits("grant", later) && !ended.awaits_any(AWAITED_FOR, later));
        assert_eq!(ended.whereabouts(A, later), None);
        ended.forget(later);
        assert!(ended.0.is_empty());
    }
}
