//! Clients whose streams end as soon as they begin are asked to wait longer each time.
//!
//! A client with a broken network in between, or one that cannot stand what it is sent, would otherwise come back every
//! two seconds for as long as it runs. Three short lives in a row are bad luck; from then on each stream begins with a
//! `retry:` that grows. The SDKs keep the last one for good, so a stream that lives takes it back.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::StreamKind;
use crate::mcp::sse;
use crate::session::directory::SessionKey;

/// Reconnects that nobody is asked to wait for.
const FREE: u32 = 3;
/// The first wait; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A stream that ends before so many comments were due is short-lived: one minute by default.
const SHORT_LIFE: u32 = 4;
/// After so many intervals without a further short life nothing is held against a client. Longer than
/// [`LONGEST_WAIT`] by default, or a client that waits would be taken for a calm one.
const MEMORY: u32 = 8;

/// What a client is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Who([u8; 16]);

impl Who {
    /// The session; on HTTP+SSE, where every stream is a new session, the person.
    fn of(session: SessionKey, kind: &StreamKind) -> Self {
        match kind {
            StreamKind::HttpSse { owner } => Self(*owner),
            StreamKind::Standalone | StreamKind::Listen { .. } => Self(session.0),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Strikes {
    count: u32,
    last: Instant,
}

/// Short lives of the streams of late, by client. Bounded by what can end within [`MEMORY`].
#[derive(Debug, Default)]
pub(super) struct Flapping {
    strikes: HashMap<Who, Strikes>,
    interval: Duration,
}

impl Flapping {
    /// Nobody flaps yet. `interval` is that of comments.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            strikes: HashMap::new(),
            interval,
        }
    }

    /// A stream begins: the `retry:` for a client that came back too often, or nothing.
    pub(super) fn begins(&self, session: SessionKey, kind: &StreamKind) -> Bytes {
        let wait = self.wait(Who::of(session, kind), Instant::now());
        wait.map(|wait| sse::retry(wait.max(kind.retry())))
            .unwrap_or_default()
    }

    /// A stream ended after `age`, and not by our doing.
    pub(super) fn ended(&mut self, session: SessionKey, kind: &StreamKind, age: Duration) {
        self.note(Who::of(session, kind), age, Instant::now());
    }

    fn note(&mut self, who: Who, age: Duration, now: Instant) {
        if self.lives(age) {
            self.strikes.remove(&who);
            return;
        }
        let memory = self.interval * MEMORY;
        let strikes = self.strikes.entry(who).or_insert(Strikes { count: 0, last: now });
        if now.duration_since(strikes.last) > memory {
            strikes.count = 0;
        }
        *strikes = Strikes {
            count: strikes.count.saturating_add(1),
            last: now,
        };
    }

    /// How long a client that opens a stream now is to wait before the next one, if it came back too often.
    fn wait(&self, who: Who, now: Instant) -> Option<Duration> {
        let strikes = self.strikes.get(&who)?;
        let recent = now.duration_since(strikes.last) <= self.interval * MEMORY;
        let over = strikes.count.checked_sub(FREE + 1).filter(|_| recent)?;
        Some(FIRST_WAIT.saturating_mul(1 << over.min(16)).min(LONGEST_WAIT))
    }

    /// Whether a stream of this age has shown that it lives.
    pub(super) fn lives(&self, age: Duration) -> bool {
        age >= self.interval * SHORT_LIFE
    }

    /// Forgets what is too long ago to count.
    pub(super) fn forget(&mut self, now: Instant) {
        let memory = self.interval * MEMORY;
        self.strikes
            .retain(|_, strikes| now.duration_since(strikes.last) <= memory);
    }
}

/// For a stream that lives: the client is to wait no longer than others.
pub(super) fn relief(kind: &StreamKind) -> Bytes {
    sse::retry(kind.retry())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);
    const WHO: Who = Who([7; 16]);

    /// The waits of a client that comes back after each wait, and lives for `age` each time.
    fn waits(flapping: &mut Flapping, age: Duration, times: usize) -> Vec<u64> {
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..times {
            now += age;
            flapping.note(WHO, age, now);
            let wait = flapping.wait(WHO, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            flapping.forget(now);
        }
        waits
    }

    #[test]
    fn from_the_fourth_short_life_on_each_wait_is_twice_the_one_before_up_to_half_a_minute() {
        let mut flapping = Flapping::new(INTERVAL);
        let expected = [0, 0, 0, 2, 4, 8, 16, 30, 30, 30];
        assert_eq!(waits(&mut flapping, Duration::from_secs(1), 10), expected);
    }

    #[test]
    fn a_client_whose_streams_live_waits_for_nothing() {
        let mut flapping = Flapping::new(INTERVAL);
        assert_eq!(waits(&mut flapping, Duration::from_mins(1), 20), [0; 20]);
        assert!(flapping.strikes.is_empty());
    }

    #[test]
    fn one_long_life_makes_good_for_all_short_ones() {
        let mut flapping = Flapping::new(INTERVAL);
        waits(&mut flapping, Duration::from_secs(1), 8);
        waits(&mut flapping, Duration::from_mins(2), 1);
        assert_eq!(waits(&mut flapping, Duration::from_secs(1), 4), [0, 0, 0, 2]);
    }

    #[test]
    fn what_is_two_minutes_ago_does_not_count_and_is_forgotten() {
        let mut flapping = Flapping::new(INTERVAL);
        let mut now = Instant::now();
        for _ in 0..10 {
            flapping.note(WHO, Duration::ZERO, now);
            now += Duration::from_secs(121);
            assert_eq!(flapping.wait(WHO, now), None);
        }
        flapping.forget(now);
        assert!(flapping.strikes.is_empty());
    }

    #[test]
    fn nobody_is_asked_to_wait_for_less_than_everybody_else() {
        let (mut flapping, session) = (Flapping::new(INTERVAL), SessionKey([7; 16]));
        let kinds = [StreamKind::Standalone, StreamKind::HttpSse { owner: [7; 16] }];
        for _ in 0..4 {
            flapping.ended(session, &kinds[0], Duration::ZERO);
        }
        let asked = kinds.map(|kind| flapping.begins(session, &kind));
        assert_eq!(asked, ["retry: 2000\n\n", "retry: 4000\n\n"]);
    }

    #[test]
    fn a_person_is_one_client_on_http_sse_and_each_session_elsewhere() {
        let owner = [1; 16];
        let of = |session, kind| Who::of(SessionKey([session; 16]), kind);
        let sse = StreamKind::HttpSse { owner };
        assert_eq!(of(2, &sse), of(3, &sse));
        assert_ne!(of(2, &StreamKind::Standalone), of(3, &StreamKind::Standalone));
    }
}
