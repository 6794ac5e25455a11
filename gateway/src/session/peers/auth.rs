//! Who speaks on the private port: every message carries an HMAC under a key that only tasks of this deployment
//! have, and is good for one receiver, once, for half a minute.
//!
//! The network in front of the port is closed to everybody else already. This is for the day when it is not.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;

use crate::clock::Clock;
use crate::id::{self, TaskId};
use crate::secret::Keyring;

/// The path that messages go to.
pub const PATH: &str = "/peer";
/// The sender's task id.
pub const FROM: &str = "x-peer-from";
/// The receiver's task id.
pub const TO: &str = "x-peer-to";
/// When the message was sent, in seconds since the Unix epoch.
pub const TIME: &str = "x-peer-time";
/// Makes the message unique.
pub const NONCE: &str = "x-peer-nonce";
/// HMAC-SHA256 over all of the above and the body.
pub const MAC: &str = "x-peer-mac";

/// How far the clocks of two tasks may be apart, in seconds, and how long a message is good.
const MAX_SKEW: i64 = 30;
/// Messages that are remembered, so that none counts twice. A thousand a second fit; more are turned away, because
/// forgetting one that is still good would let it in again.
const MAX_REMEMBERED: usize = 65_536;

/// Makes and checks the HMAC. The first key signs, all of them verify, so that a rotation of the secret cuts nobody off.
#[derive(Clone)]
pub struct PeerKeys(Arc<[hmac::Key]>);

impl std::fmt::Debug for PeerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PeerKeys").field(&self.0.len()).finish()
    }
}

/// What a message says about itself, besides its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The sender.
    pub from: TaskId,
    /// The receiver.
    pub to: TaskId,
    /// Seconds since the Unix epoch.
    pub time: i64,
    /// base64url of 16 random bytes.
    pub nonce: String,
    /// base64url of the HMAC.
    pub mac: String,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header is missing or is no id, number or nonce.
    #[error("the message has no readable stamp")]
    Malformed,
    /// For a task that is not this one: the address is used again.
    #[error("the message is for another task")]
    Misdirected,
    /// From another time.
    #[error("the message is {MAX_SKEW} s or more from this task's time")]
    Stale,
    /// Not made with our key, or changed on the way.
    #[error("the message's HMAC is wrong")]
    Forged,
    /// It was taken before.
    #[error("the message was taken before")]
    Replayed,
    /// More messages than can be told apart.
    #[error("too many messages at once")]
    Flooded,
}

impl Refusal {
    /// The word in logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Misdirected => "misdirected",
            Self::Stale => "stale",
            Self::Forged => "spoofed",
            Self::Replayed => "replayed",
            Self::Flooded => "flooded",
        }
    }
}

impl PeerKeys {
    /// The keys of every generation of the secret.
    pub fn derive(keyring: &Keyring) -> Self {
        let keys = keyring.all("messages between tasks");
        let keys = keys
            .iter()
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key.bytes));
        Self(keys.collect())
    }

    /// The stamp of a message that is sent now.
    pub fn stamp(&self, from: TaskId, to: TaskId, time: i64, body: &[u8]) -> Stamp {
        let mut stamp = Stamp {
            from,
            to,
            time,
            nonce: id::base64url(&id::random::<16>()),
            mac: String::new(),
        };
        if let Some(key) = self.0.first() {
            stamp.mac = id::base64url(hmac::sign(key, &signed(&stamp, body)).as_ref());
        }
        stamp
    }

    /// Whether one of the keys made the stamp for this body. In constant time for each key.
    fn verify(&self, stamp: &Stamp, body: &[u8]) -> bool {
        let Some(mac) = id::from_base64url(&stamp.mac) else {
            return false;
        };
        let message = signed(stamp, body);
        self.0.iter().any(|key| hmac::verify(key, &message, &mac).is_ok())
    }
}

/// What the HMAC covers. No part before the body holds a line break, so no two messages look the same.
fn signed(stamp: &Stamp, body: &[u8]) -> Vec<u8> {
    let Stamp {
        from,
        to,
        time,
        nonce,
        ..
    } = stamp;
    let head = format!("POST\n{PATH}\n{from}\n{to}\n{time}\n{nonce}\n");
    [head.as_bytes(), body].concat()
}

impl Stamp {
    /// Reads the headers through `header`.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Refusal> {
        let task = |name| header(name).and_then(TaskId::parse).ok_or(Refusal::Malformed);
        let time = header(TIME).and_then(|time| time.parse().ok());
        let nonce = header(NONCE).filter(|nonce| id::from_base64url(nonce).is_some_and(|n| n.len() == 16));
        Ok(Self {
            from: task(FROM)?,
            to: task(TO)?,
            time: time.ok_or(Refusal::Malformed)?,
            nonce: nonce.ok_or(Refusal::Malformed)?.to_owned(),
            mac: header(MAC).ok_or(Refusal::Malformed)?.to_owned(),
        })
    }

    /// The headers to send.
    pub fn headers(&self) -> [(&'static str, String); 5] {
        [
            (FROM, self.from.to_string()),
            (TO, self.to.to_string()),
            (TIME, self.time.to_string()),
            (NONCE, self.nonce.clone()),
            (MAC, self.mac.clone()),
        ]
    }
}

/// Decides which messages a task takes.
#[derive(Debug)]
pub struct Guard {
    me: TaskId,
    keys: PeerKeys,
    clock: Clock,
    taken: Mutex<Taken>,
}

/// Nonces of messages that would still be good, with the second until which they are.
#[derive(Debug, Default)]
struct Taken {
    nonces: HashSet<String>,
    order: VecDeque<(i64, String)>,
}

impl Guard {
    /// The guard of task `me`.
    pub fn new(me: TaskId, keys: PeerKeys, clock: Clock) -> Self {
        Self {
            me,
            keys,
            clock,
            taken: Mutex::default(),
        }
    }

    /// What can be told before the body is read.
    pub fn admit_stamp(&self, stamp: &Stamp) -> Result<(), Refusal> {
        if stamp.to != self.me {
            return Err(Refusal::Misdirected);
        }
        if stamp.time.abs_diff(self.clock.unix_seconds()) > MAX_SKEW.unsigned_abs() {
            return Err(Refusal::Stale);
        }
        Ok(())
    }

    /// Takes a message, once.
    pub fn admit(&self, stamp: &Stamp, body: &[u8]) -> Result<(), Refusal> {
        self.admit_stamp(stamp)?;
        if !self.keys.verify(stamp, body) {
            return Err(Refusal::Forged);
        }
        // Only now, so that a stranger fills no memory.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remember(stamp, self.clock.unix_seconds())
    }
}

impl Taken {
    fn remember(&mut self, stamp: &Stamp, now: i64) -> Result<(), Refusal> {
        // Messages come about in the order of their time, so what is over is in front.
        while self.order.front().is_some_and(|(until, _)| *until < now) {
            if let Some((_, nonce)) = self.order.pop_front() {
                self.nonces.remove(&nonce);
            }
        }
        if self.nonces.contains(&stamp.nonce) {
            return Err(Refusal::Replayed);
        }
        if self.nonces.len() >= MAX_REMEMBERED {
            return Err(Refusal::Flooded);
        }
        self.nonces.insert(stamp.nonce.clone());
        // From now on, not from its own time: one from a clock that is ahead stays good for longer.
        self.order.push_back((now + 2 * MAX_SKEW, stamp.nonce.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"running":{"call":"c"}}"#;

    fn keys(current: &str, previous: &[&str]) -> PeerKeys {
        let previous = previous.iter().map(|secret| (*secret).to_owned().into());
        PeerKeys::derive(&Keyring::new(current.to_owned().into(), previous.collect()))
    }

    fn guard(keys: PeerKeys) -> (Guard, TaskId, Clock) {
        let (me, clock) = (
            TaskId::random(),
            Clock::manual(Timestamp::from_second(NOW).unwrap()),
        );
        (Guard::new(me, keys, clock.clone()), me, clock)
    }

    #[test]
    fn a_message_is_taken_once() {
        let keys = keys("a secret for tests only", &[]);
        let (guard, me, clock) = guard(keys.clone());
        let stamp = keys.stamp(TaskId::random(), me, NOW, BODY);
        let headers = stamp.headers();
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(Stamp::read(header).as_ref(), Ok(&stamp));
        assert_eq!(guard.admit(&stamp, BODY), Ok(()));
        assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Replayed));
        clock.advance(Duration::from_secs(30));
        assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Replayed));
        clock.advance(Duration::from_secs(1));
        assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Stale));
    }

    #[test]
    fn a_replay_is_refused_for_as_long_as_its_time_is_good_even_from_a_clock_that_is_ahead() {
        let keys = keys("a secret for tests only", &[]);
        let (guard, me, clock) = guard(keys.clone());
        let stamp = keys.stamp(TaskId::random(), me, NOW + 30, BODY);
        assert_eq!(guard.admit(&stamp, BODY), Ok(()));
        clock.advance(Duration::from_mins(1));
        assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Replayed));
        clock.advance(Duration::from_secs(1));
        assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Stale));
        let other = keys.stamp(TaskId::random(), me, NOW + 61, BODY);
        assert_eq!(guard.admit(&other, BODY), Ok(()));
        assert_eq!(
            guard.taken.lock().unwrap().nonces.len(),
            1,
            "what is over is forgotten"
        );
    }

    #[test]
    fn a_change_of_any_part_is_noticed() {
        let keys = keys("a secret for tests only", &[]);
        let (guard, me, _) = guard(keys.clone());
        let good = keys.stamp(TaskId::random(), me, NOW, BODY);
        let changed: [fn(&mut Stamp); 4] = [
            |stamp| stamp.from = TaskId::random(),
            |stamp| stamp.time += 1,
            |stamp| stamp.nonce = id::base64url(&[0; 16]),
            |stamp| stamp.mac = id::base64url(&[0; 32]),
        ];
        for change in changed {
            let mut stamp = good.clone();
            change(&mut stamp);
            assert_eq!(guard.admit(&stamp, BODY), Err(Refusal::Forged), "{stamp:?}");
        }
        let body = br#"{"running":{"call":"d"}}"#;
        assert_eq!(guard.admit(&good, body), Err(Refusal::Forged));
        let elsewhere = keys.stamp(TaskId::random(), TaskId::random(), NOW, BODY);
        assert_eq!(guard.admit(&elsewhere, BODY), Err(Refusal::Misdirected));
        assert_eq!(guard.admit(&good, BODY), Ok(()), "a forgery burns no nonce");
    }

    #[test]
    fn the_previous_secret_still_speaks_and_a_foreign_one_does_not() {
        let (guard, me, _) = guard(keys(
            "the new secret of the tests",
            &["the old secret of the tests"],
        ));
        let admit = |keys: PeerKeys| guard.admit(&keys.stamp(TaskId::random(), me, NOW, BODY), BODY);
        assert_eq!(admit(keys("the old secret of the tests", &[])), Ok(()));
        assert_eq!(admit(keys("the new secret of the tests", &[])), Ok(()));
        assert_eq!(
            admit(keys("some other secret of tests", &[])),
            Err(Refusal::Forged)
        );
    }

    #[test]
    fn more_messages_than_can_be_remembered_are_turned_away() {
        let mut taken = Taken::default();
        let keys = keys("a secret for tests only", &[]);
        let stamp = || keys.stamp(TaskId::random(), TaskId::random(), NOW, BODY);
        for _ in 0..MAX_REMEMBERED {
            taken.remember(&stamp(), NOW).unwrap();
        }
        assert_eq!(taken.remember(&stamp(), NOW), Err(Refusal::Flooded));
        assert_eq!(taken.remember(&stamp(), NOW + 61), Ok(()));
    }

    #[test]
    fn a_stamp_that_is_missing_or_odd_is_malformed() {
        let stamp = keys("a secret for tests only", &[]).stamp(TaskId::random(), TaskId::random(), NOW, BODY);
        for (name, value) in [
            (FROM, None),
            (TO, Some("short")),
            (TIME, Some("soon")),
            (NONCE, Some("AAAA")),
            (MAC, None),
        ] {
            let headers = stamp.headers();
            let read = Stamp::read(|asked| {
                let found = headers.iter().find(|(known, _)| *known == asked);
                found
                    .map(|(_, value)| value.as_str())
                    .filter(|_| asked != name)
                    .or(value.filter(|_| asked == name))
            });
            assert_eq!(read, Err(Refusal::Malformed), "{name}");
        }
    }
}
