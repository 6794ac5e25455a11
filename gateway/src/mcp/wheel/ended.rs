//! Streams of HTTP+SSE that ended a moment ago, and where their clients are since.
//!
//! A client of that transport comes back with a new stream, which is a new session, while what it asked on the old one
//! may still be at work, or be on its way to it. So each task remembers the streams that ended here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{CloseReason, Wheel};
use crate::session::directory::SessionKey;
use crate::session::peers::message::{Missed, Successor, Whereabouts};

/// How long a client is expected back. It was asked to wait for four seconds at most, and needs a moment to connect.
pub(in crate::mcp) const AWAITED_FOR: Duration = Duration::from_secs(10);
/// How long one that did not come back may yet do so, late, and be taken for another client of its grant.
const DOUBTED_FOR: Duration = Duration::from_mins(1);
/// How long a stream that ended is remembered, with the one that came instead: no call takes longer.
const REMEMBERED_FOR: Duration = Duration::from_mins(5);
/// How long a connection takes at most on its way from a request to the wheel.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(1);
/// Streams of one grant that are remembered; one more takes the place of the oldest.
const PER_GRANT: usize = 64;

#[derive(Debug)]
struct EndedStream {
    session: SessionKey,
    at: Instant,
    reason: CloseReason,
    successor: Option<Successor>,
}

impl EndedStream {
    fn is_awaited(&self, now: Instant) -> bool {
        // A client that did not read is not on its way, though it may come later.
        self.successor.is_none()
            && self.reason != CloseReason::SlowReader
            && now.duration_since(self.at) < AWAITED_FOR
    }
}

/// The streams of one grant.
#[derive(Debug, Default)]
struct OfGrant {
    open: usize,
    ended: VecDeque<EndedStream>,
}

/// The streams of HTTP+SSE by their grant, those that ended here among them.
#[derive(Debug, Default)]
pub(super) struct Ended {
    grants: HashMap<Arc<str>, OfGrant>,
    by_session: HashMap<SessionKey, Arc<str>>,
}

impl Ended {
    /// A stream begins.
    pub(super) fn begins(&mut self, grant: &Arc<str>) {
        self.grants.entry(Arc::clone(grant)).or_default().open += 1;
    }

    /// A stream ended, for a reason that lets its client come back or not.
    pub(super) fn note(&mut self, session: SessionKey, grant: &Arc<str>, reason: CloseReason, now: Instant) {
        let of_grant = self.grants.entry(Arc::clone(grant)).or_default();
        of_grant.open = of_grant.open.saturating_sub(1);
        match reason {
            CloseReason::Drain | CloseReason::Client | CloseReason::Transport | CloseReason::SlowReader => {}
            CloseReason::Replaced
            | CloseReason::SessionEnded
            | CloseReason::Revoked
            | CloseReason::Deadline => return,
        }
        of_grant.ended.push_back(EndedStream {
            session,
            at: now,
            reason,
            successor: None,
        });
        self.by_session.insert(session, Arc::clone(grant));
        if of_grant.ended.len() > PER_GRANT
            && let Some(oldest) = of_grant.ended.pop_front()
        {
            self.by_session.remove(&oldest.session);
        }
    }

    /// What is known here of the clients of a grant.
    fn missed(&self, grant: &str, now: Instant) -> Missed {
        let Some(of_grant) = self.grants.get(grant) else {
            return Missed::default();
        };
        let mut missed = Missed {
            open: of_grant.open,
            ..Missed::default()
        };
        for ended in of_grant.ended.iter().filter(|ended| ended.successor.is_none()) {
            missed.count += usize::from(now.duration_since(ended.at) < DOUBTED_FOR);
            if ended.is_awaited(now) {
                missed.awaited = Some(ended.session);
                missed.drained = ended.reason == CloseReason::Drain;
            }
        }
        missed
    }

    /// Whether a client of a grant is expected back.
    pub(super) fn awaits(&self, grant: &str, now: Instant) -> bool {
        self.missed(grant, now).awaited.is_some()
    }

    /// Whether a client is expected back whose stream ended within `time`.
    pub(super) fn awaits_any(&self, time: Duration, now: Instant) -> bool {
        let mut ended = self.grants.values().flat_map(|of_grant| &of_grant.ended);
        ended.any(|ended| ended.successor.is_none() && now.duration_since(ended.at) < time)
    }

    fn ended(&self, session: SessionKey) -> Option<&EndedStream> {
        let of_grant = self.grants.get(self.by_session.get(&session)?)?;
        of_grant.ended.iter().find(|ended| ended.session == session)
    }

    fn succeed(&mut self, session: SessionKey, grant: &str, by: Successor, now: Instant) -> bool {
        let of_grant = self.grants.get_mut(grant);
        let mut ended = of_grant.into_iter().flat_map(|of_grant| &mut of_grant.ended);
        let may = |ended: &EndedStream| ended.is_awaited(now) || ended.successor == Some(by);
        let ended = ended.find(|ended| ended.session == session && may(ended));
        ended
            .filter(|_| by.session != session)
            .map(|ended| ended.successor = Some(by))
            .is_some()
    }

    fn whereabouts(&self, session: SessionKey, now: Instant) -> Option<Whereabouts> {
        let ended = self.ended(session)?;
        let back = ended.successor.map(Whereabouts::At);
        back.or_else(|| ended.is_awaited(now).then_some(Whereabouts::Awaited))
    }

    fn predecessor(&self, session: SessionKey) -> Option<SessionKey> {
        let mut ended = self.grants.values().flat_map(|of_grant| &of_grant.ended);
        let before = ended.find(|ended| ended.successor.is_some_and(|by| by.session == session));
        before.map(|ended| ended.session)
    }

    /// Forgets what is too long ago to matter.
    pub(super) fn forget(&mut self, now: Instant) {
        let by_session = &mut self.by_session;
        self.grants.retain(|_, of_grant| {
            of_grant.ended.retain(|ended| {
                let remembered = now.duration_since(ended.at) < REMEMBERED_FOR;
                if !remembered {
                    by_session.remove(&ended.session);
                }
                remembered
            });
            of_grant.open > 0 || !of_grant.ended.is_empty()
        });
    }
}

impl Wheel {
    /// What is known here of the clients of a grant that came back nowhere.
    pub(in crate::mcp) fn missed(&self, grant: &str) -> Missed {
        self.lock().ended.missed(grant, Instant::now())
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
    pub(in crate::mcp) fn succeed(&self, session: SessionKey, grant: &str, by: Successor) -> bool {
        self.lock().ended.succeed(session, grant, by, Instant::now())
    }

    /// The session whose client has the stream of `session` instead.
    pub(in crate::mcp) fn predecessor(&self, session: SessionKey) -> Option<SessionKey> {
        self.lock().ended.predecessor(session)
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

    fn by(session: SessionKey) -> Successor {
        Successor {
            session,
            task: TaskId::random(),
        }
    }

    fn ended(sessions: &[SessionKey], reason: CloseReason, now: Instant) -> Ended {
        let mut ended = Ended::default();
        for session in sessions {
            ended.begins(&"grant".into());
            ended.note(*session, &"grant".into(), reason, now);
        }
        ended
    }

    #[test]
    fn a_client_is_awaited_until_it_is_back_or_too_late() {
        let now = Instant::now();
        let mut ended = ended(&[A], CloseReason::Drain, now);
        let missed = ended.missed("grant", now);
        assert_eq!((missed.count, missed.awaited, missed.drained), (1, Some(A), true));
        assert!(!ended.awaits("another", now));
        assert_eq!(ended.whereabouts(A, now), Some(Whereabouts::Awaited));
        assert_eq!(ended.whereabouts(B, now), None);
        assert!(!ended.succeed(A, "another", by(B), now) && !ended.succeed(A, "grant", by(A), now));
        let other = by(B);
        let by = by(B);
        assert!(ended.succeed(A, "grant", by, now));
        assert!(ended.succeed(A, "grant", by, now), "said twice");
        assert!(!ended.succeed(A, "grant", other, now), "once");
        assert_eq!(ended.predecessor(B), Some(A));
        assert!(!ended.awaits("grant", now) && !ended.awaits_any(AWAITED_FOR, now));
        let later = now + AWAITED_FOR;
        ended.forget(later);
        assert_eq!(ended.whereabouts(A, later), Some(Whereabouts::At(by)));
        ended.forget(now + REMEMBERED_FOR);
        assert_eq!(ended.whereabouts(A, later), None);
        assert!(ended.grants.is_empty() && ended.by_session.is_empty());
    }

    #[test]
    fn a_client_that_does_not_come_back_leaves_a_doubt() {
        let now = Instant::now();
        let mut ended = ended(&[A], CloseReason::Client, now);
        let later = now + AWAITED_FOR;
        ended.begins(&"grant".into());
        ended.note(B, &"grant".into(), CloseReason::Transport, later);
        let missed = ended.missed("grant", later);
        assert_eq!(
            (missed.count, missed.awaited, missed.drained),
            (2, Some(B), false)
        );
        assert_eq!(ended.whereabouts(A, later), None);
        assert!(!ended.succeed(A, "grant", by(B), later));
        let missed = ended.missed("grant", now + DOUBTED_FOR);
        assert_eq!((missed.count, missed.awaited), (1, None));
    }

    #[test]
    fn a_stream_that_ended_for_good_is_not_missed_and_one_that_is_open_is_known() {
        let now = Instant::now();
        for reason in [
            CloseReason::Revoked,
            CloseReason::SessionEnded,
            CloseReason::Deadline,
        ] {
            assert_eq!(
                ended(&[A, B], reason, now).missed("grant", now),
                Missed::default()
            );
        }
        let mut open = Ended::default();
        open.begins(&"grant".into());
        assert_eq!(open.missed("grant", now).open, 1);
    }

    #[test]
    fn what_is_remembered_of_a_grant_is_bounded() {
        let now = Instant::now();
        let mut ended = Ended::default();
        for number in 0..=255 {
            ended.begins(&"grant".into());
            ended.note(
                SessionKey([number; 16]),
                &"grant".into(),
                CloseReason::Client,
                now,
            );
        }
        assert_eq!(ended.by_session.len(), PER_GRANT);
        assert_eq!(ended.missed("grant", now).count, PER_GRANT);
    }
}
