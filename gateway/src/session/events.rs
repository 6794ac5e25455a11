//! The log of slow calls: written before the wire, so that any task can give a client what it missed.
//!
//! The data of an event is a person's mail or file, so it is encrypted before it goes to the store, with a key
//! that all tasks derive from `SESSION_SECRET`, and bound to its call and number.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::id::{self, TaskId, UserId};
use crate::model::call_log::{CallRow, OpenCall};
use crate::secret::Keyring;
use crate::session::directory::SessionKey;
use crate::store::{Store, StoreError};

/// How long a result waits for its client after the call's own time is over.
const PARKED_FOR: Duration = Duration::from_mins(15);
/// How long the note of a call over HTTP+SSE is good, unless it is written anew: a client that lost its stream is back
/// before.
const NOTED_FOR: Duration = Duration::from_secs(45);
/// Bytes of a key's id in front of an encrypted event.
const KEY_ID: usize = 4;

/// One slow call, unguessable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId([u8; 16]);

impl CallId {
    /// As text, for the store and in event ids: 22 characters.
    pub fn text(self) -> String {
        id::base64url(&self.0)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        id::from_base64url(text)?.try_into().ok().map(Self)
    }
}

/// A place in a call's log: the `id` field of its server-sent events, which comes back as `Last-Event-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The call.
    pub call: CallId,
    /// The number of the event that the client has; 0 is before the first.
    pub seq: u32,
}

impl EventId {
    /// Reads `<call id>.<number>`; `None` for anything else, such as the id of a stream of another kind.
    pub fn parse(text: &str) -> Option<Self> {
        let (call, seq) = text.split_once('.')?;
        let canonical = seq.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            call: CallId::parse(call)?,
            seq: seq.parse().ok().filter(|_| canonical)?,
        })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call.text(), self.seq)
    }
}

/// Reads and writes logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallLog {
    store: Store,
    keys: Arc<Keys>,
    clock: Clock,
    call_budget: Duration,
    me: TaskId,
    /// The logs that this task writes, with the number of the newest event of each.
    running: Arc<Mutex<HashMap<CallId, watch::Receiver<u32>>>>,
}

/// Writes the log of one call; as long as it lives, the call runs on this task.
#[derive(Debug)]
pub struct CallWriter {
    log: CallLog,
    call: CallId,
    expires_at: i64,
    newest: watch::Sender<u32>,
}

impl CallLog {
    /// The logs of calls that may take `call_budget`.
    pub fn new(keyring: &Keyring, store: Store, clock: Clock, call_budget: Duration, me: TaskId) -> Self {
        Self {
            store,
            keys: Arc::new(Keys::new(keyring)),
            clock,
            call_budget,
            me,
            running: Arc::default(),
        }
    }

    /// Begins a log.
    pub async fn begin(
        &self,
        user: &UserId,
        session: Option<SessionKey>,
        request_id: &str,
    ) -> Result<CallWriter, StoreError> {
        let call = CallId(id::random());
        let row = CallRow {
            user: user.clone(),
            session: session.map(SessionKey::text),
            request_id: request_id.to_owned(),
            owner: self.me,
            last_seq: 0,
            ended: false,
            expires_at: self.in_future(self.call_budget + PARKED_FOR),
        };
        let (newest, seen) = watch::channel(0);
        // Before the row: who finds the row may ask at once whether the call runs here.
        self.running().insert(call, seen);
        let writer = CallWriter {
            log: self.clone(),
            call,
            expires_at: row.expires_at,
            newest,
        };
        self.store.begin_call(&call.text(), &row).await?;
        Ok(writer)
    }

    /// Notes for a while that a slow call over HTTP+SSE is at work under the grant of its client, which has no place in a log
    /// to come back to. `name` is for this call alone.
    pub async fn note_open(&self, grant: &str, name: &str, request_id: &str) -> Result<(), StoreError> {
        let call = OpenCall {
            request_id: request_id.to_owned(),
            expires_at: self.in_future(NOTED_FOR),
        };
        self.store.note_open_call(grant, name, &call).await
    }

    /// Such a call is over.
    pub async fn forget_open(&self, grant: &str, name: &str) -> Result<(), StoreError> {
        let expires_at = self.in_future(NOTED_FOR);
        self.store.forget_open_call(grant, name, expires_at).await
    }

    /// Such calls of a grant: those that are at work, and those whose client has no answer.
    pub async fn open(&self, grant: &str) -> Result<Vec<OpenCall>, StoreError> {
        self.store.open_calls(grant).await
    }

    /// What the time is after that, in seconds since the Unix epoch.
    fn in_future(&self, time: Duration) -> i64 {
        let time = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.clock.unix_seconds().saturating_add(time)
    }

    /// The head of a call's log, if it is there.
    pub async fn row(&self, call: CallId) -> Result<Option<CallRow>, StoreError> {
        self.store.call(&call.text()).await
    }

    /// The message of one event.
    pub async fn event(&self, at: EventId) -> Result<Vec<u8>, StoreError> {
        let sealed = self.store.event(&at.call.text(), at.seq).await?;
        self.keys.open(at, sealed).ok_or_else(|| StoreError::Corrupt {
            detail: "an `event` does not decrypt: another secret, or it was changed or moved".to_owned(),
        })
    }

    /// Ends the log of a call whose task is gone with `response`. `Conflict`: somebody else wrote to it meanwhile.
    pub async fn end_orphan(&self, call: CallId, row: &CallRow, response: &[u8]) -> Result<(), StoreError> {
        let at = EventId {
            call,
            seq: row.last_seq + 1,
        };
        self.append(at, response, true, row.expires_at).await
    }

    /// Whether this task runs the call.
    pub fn runs(&self, call: CallId) -> bool {
        self.running().contains_key(&call)
    }

    /// Tells of new events of a call that this task runs.
    pub fn watch(&self, call: CallId) -> Option<watch::Receiver<u32>> {
        self.running().get(&call).cloned()
    }

    async fn append(
        &self,
        at: EventId,
        message: &[u8],
        last: bool,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        let sealed = self.keys.seal(at, message)?;
        let event = (at.seq, sealed.as_slice());
        self.store
            .append_event(&at.call.text(), event, last, expires_at)
            .await
    }

    fn running(&self) -> MutexGuard<'_, HashMap<CallId, watch::Receiver<u32>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallWriter {
    /// Where the log stands: the place after the newest event.
    pub fn position(&self) -> EventId {
        EventId {
            call: self.call,
            seq: *self.newest.borrow(),
        }
    }

    /// Adds a message, the response when `last`, and returns its place.
    pub async fn append(&self, message: &[u8], last: bool) -> Result<EventId, StoreError> {
        let at = EventId {
            call: self.call,
            seq: self.position().seq + 1,
        };
        self.log.append(at, message, last, self.expires_at).await?;
        self.newest.send_replace(at.seq);
        Ok(at)
    }

    /// Looks up where the log stands after an attempt whose outcome is unknown. `true`: it has its response.
    pub async fn catch_up(&self) -> Result<bool, StoreError> {
        let row = self.log.row(self.call).await?;
        let (last_seq, ended) = row.map_or((0, true), |row| (row.last_seq, row.ended));
        self.newest.send_replace(last_seq);
        Ok(ended)
    }
}

impl Drop for CallWriter {
    fn drop(&mut self) {
        self.log.running().remove(&self.call);
    }
}

/// Encrypts with the current key, decrypts with the keys of all generations.
struct Keys(Vec<([u8; KEY_ID], RandomizedNonceKey)>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl Keys {
    fn new(keyring: &Keyring) -> Self {
        let keys = keyring.all("call event").into_iter();
        let keys = keys.filter_map(|key| {
            let mut id = [0; KEY_ID];
            id.copy_from_slice(id::sha256(key.id.as_bytes()).split_at(KEY_ID).0);
            Some((id, RandomizedNonceKey::new(&AES_256_GCM, &key.bytes).ok()?))
        });
        Self(keys.collect())
    }

    /// Key id, nonce, ciphertext, tag.
    fn seal(&self, at: EventId, message: &[u8]) -> Result<Vec<u8>, StoreError> {
        let refused = || StoreError::Corrupt {
            detail: "an `event` cannot be encrypted".to_owned(),
        };
        let (key_id, key) = self.0.first().ok_or_else(refused)?;
        let mut body = message.to_vec();
        let aad = Aad::from(at.to_string());
        let nonce = key
            .seal_in_place_append_tag(aad, &mut body)
            .map_err(|_| refused())?;
        Ok([key_id.as_slice(), nonce.as_ref(), &body].concat())
    }

    fn open(&self, at: EventId, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        if sealed.len() < KEY_ID + NONCE_LEN {
            return None;
        }
        let mut body = sealed.split_off(KEY_ID + NONCE_LEN);
        let (key_id, nonce) = sealed.split_at(KEY_ID);
        let (_, key) = self.0.iter().find(|(id, _)| id == key_id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key
            .open_in_place(nonce, Aad::from(at.to_string()), &mut body)
            .ok()?
            .len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: &[&str]) -> Keys {
        let previous = previous
            .iter()
            .map(|secret| (*secret).to_owned().into())
            .collect();
        Keys::new(&Keyring::new(current.to_owned().into(), previous))
    }

    const PLACE: EventId = EventId {
        call: CallId([7; 16]),
        seq: 3,
    };

    #[test]
    fn an_event_id_comes_back_as_it_was_sent() {
        let text = PLACE.to_string();
        assert_eq!(EventId::parse(&text), Some(PLACE));
        let call = PLACE.call.text();
        for junk in [
            "",
            ".",
            "3",
            &call,
            &format!("{call}."),
            &format!("{call}.+3"),
            &format!("{call}.-1"),
            "s.3",
        ] {
            assert_eq!(EventId::parse(junk), None, "{junk}");
        }
    }

    #[test]
    fn an_event_opens_at_its_place_and_nowhere_else() {
        let keys = keys("one", &[]);
        let sealed = keys.seal(PLACE, b"message").unwrap();
        assert_eq!(keys.open(PLACE, sealed.clone()).unwrap(), b"message");
        let next = EventId { seq: 4, ..PLACE };
        let other = EventId {
            call: CallId([8; 16]),
            ..PLACE
        };
        for elsewhere in [next, other] {
            assert_eq!(keys.open(elsewhere, sealed.clone()), None);
        }
        assert_eq!(keys.open(PLACE, sealed[..10].to_vec()), None);
    }

    #[test]
    fn an_event_from_before_a_rotation_opens_after_it() {
        let sealed = keys("one", &[]).seal(PLACE, b"message").unwrap();
        assert!(keys("two", &["one"]).open(PLACE, sealed.clone()).is_some());
        assert!(keys("two", &[]).open(PLACE, sealed).is_none());
    }
}
