//! Looks sessions up: the seal decides, the store adds what does not fit into the seal.
//!
//! The owner of a validly sealed id is always served, even when the row is gone. The only reasons for a
//! 404 are an id that is not ours, an id of somebody else, and an explicit DELETE.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::id::{self, UserId};
use crate::model::session::SessionRow;
use crate::session::seal::{LEGACY_VERSIONS, Sealed, Sealer, Transport, owner_tag};
use crate::store::{Store, StoreError};

/// How long a task trusts what it knows of a session before it asks the store again: a DELETE that went
/// to another task is seen after this time.
const CACHE_TTL: Duration = Duration::from_mins(1);
/// How long a request waits for the row of its session. A store that is slower than this is as good as away: the
/// seal alone serves.
const ROW_TIMEOUT: Duration = Duration::from_secs(1);
/// Sessions remembered per task. Forgetting one costs a single read.
const CACHE_CAPACITY: u64 = 50_000;
/// Rows of new sessions that are written at one time. One more is not written: a store that is slower than clients come
/// must not fill the memory with what waits for it, and a session works without its row.
const ROWS_AT_ONCE: usize = 256;
/// How long the mark of an ended session is kept. No client holds on to an id for longer.
const TOMBSTONE_TTL: Duration = Duration::from_hours(30 * 24);

/// A session of the caller, ready for use.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the id says.
    pub sealed: Sealed,
    /// The key of the row, of streams and of in-flight calls: the hash of the id.
    pub key: SessionKey,
    /// Level of `logging/setLevel`, if the client set one.
    pub log_level: Option<Arc<str>>,
}

/// Names a session among the tasks without holding its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 16]);

impl SessionKey {
    /// The key of a session id.
    pub fn of(session_id: &str) -> Self {
        let digest = id::sha256(session_id.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(digest.split_at(16).0);
        Self(key)
    }

    /// Reads the text form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        id::from_base64url(text)?.try_into().ok().map(Self)
    }

    /// As text, for the store and for logs.
    pub fn text(self) -> String {
        id::base64url(&self.0)
    }
}

impl Serialize for SessionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a session key"))
    }
}

/// Why a session id is answered 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The id was not made here, or is damaged.
    #[error("the session id is not one of this gateway's; initialize without `Mcp-Session-Id`")]
    NotOurs,
    /// The id belongs to another user. Outside it looks like [`SessionError::NotOurs`].
    #[error("the session id is not one of this gateway's; initialize without `Mcp-Session-Id`")]
    Foreign,
    /// The client ended the session with DELETE.
    #[error("the session was ended by DELETE; initialize a new one")]
    Ended,
}

#[derive(Clone, Debug, Default)]
struct Known {
    ended: bool,
    log_level: Option<Arc<str>>,
}

/// Opens, starts and ends sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    sealer: Arc<Sealer>,
    store: Store,
    known: Cache<SessionKey, Known>,
    clock: Clock,
    idle_ttl: Duration,
    rows: Arc<Semaphore>,
}

impl Sessions {
    /// Sessions whose rows live for `idle_ttl` after their last use.
    pub fn new(sealer: Sealer, store: Store, clock: Clock, idle_ttl: Duration) -> Self {
        let known = Cache::builder()
            .max_capacity(CACHE_CAPACITY)
            .time_to_live(CACHE_TTL)
            .build();
        Self {
            sealer: Arc::new(sealer),
            store,
            known,
            clock,
            idle_ttl,
            rows: Arc::new(Semaphore::new(ROWS_AT_ONCE)),
        }
    }

    /// A new session of `user`. No I/O: the id is all that the client needs to be served.
    pub fn start(
        &self,
        user: &UserId,
        version: &str,
        transport: Transport,
        capabilities: u8,
    ) -> (String, Session) {
        let position = LEGACY_VERSIONS
            .iter()
            .position(|known| *known == version)
            .unwrap_or(0);
        let sealed = Sealed {
            owner: owner_tag(user),
            version: u8::try_from(position).unwrap_or(0),
            transport,
            capabilities,
            issued_at: u32::try_from(self.clock.unix_seconds()).unwrap_or(0),
            random: id::random(),
        };
        let session_id = self.sealer.seal(sealed);
        let key = SessionKey::of(&session_id);
        self.known.insert(key, Known::default());
        (
            session_id,
            Session {
                sealed,
                key,
                log_level: None,
            },
        )
    }

    /// The caller's session. Asks the store at most once a minute per session, and serves the session
    /// when the store does not answer.
    pub async fn open(&self, session_id: &str, user: &UserId) -> Result<Session, SessionError> {
        let sealed = self.sealer.open(session_id).ok_or(SessionError::NotOurs)?;
        if sealed.owner != owner_tag(user) {
            return Err(SessionError::Foreign);
        }
        let key = SessionKey::of(session_id);
        let known = match self.known.get(&key) {
            Some(known) => known,
            None => self.look_up(key).await,
        };
        if known.ended {
            return Err(SessionError::Ended);
        }
        Ok(Session {
            sealed,
            key,
            log_level: known.log_level,
        })
    }

    /// Stores what `initialize` said about the client. Best effort: the session works without.
    pub async fn remember(&self, session: &Session, user: &UserId, name: &str, version: &str) {
        let Ok(_turn) = self.rows.try_acquire() else {
            tracing::debug!(
                "session row was not stored: too many are on their way; the session works without it"
            );
            return;
        };
        let row = SessionRow {
            client_name: name.chars().take(100).collect(),
            client_version: version.chars().take(50).collect(),
            ..self.row(user)
        };
        match self.store.insert_session(&session.key.text(), &row).await {
            // The client was faster with its next request, which made the row.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => {
                tracing::warn!(%error, "session row was not stored; the session works without it");
            }
        }
    }

    /// Sets the level of `notifications/message`.
    pub async fn set_log_level(
        &self,
        session: &Session,
        user: &UserId,
        level: &str,
    ) -> Result<(), StoreError> {
        let key = session.key.text();
        let row = SessionRow {
            log_level: Some(level.to_owned()),
            ..self.row(user)
        };
        // `initialize` stores its row in the background, so there may be none yet, and one a moment later.
        let set = || self.store.set_session_level(&key, level, row.expires_at);
        let mut stored = set().await;
        if matches!(stored, Err(StoreError::Conflict)) {
            stored = self.store.insert_session(&key, &row).await;
        }
        if matches!(stored, Err(StoreError::Conflict)) {
            stored = set().await;
        }
        stored?;
        self.known.insert(
            session.key,
            Known {
                ended: false,
                log_level: Some(level.into()),
            },
        );
        Ok(())
    }

    /// Ends a session for good, on this task at once.
    pub async fn end(&self, session: &Session, user: &UserId) -> Result<(), StoreError> {
        let until = self.clock.unix_seconds() + seconds(TOMBSTONE_TTL);
        self.store.end_session(&session.key.text(), user, until).await?;
        self.note_end(session.key);
        Ok(())
    }

    /// Remembers that a session is over, which its row says.
    pub fn note_end(&self, session: SessionKey) {
        self.known.insert(
            session,
            Known {
                ended: true,
                log_level: None,
            },
        );
    }

    async fn look_up(&self, key: SessionKey) -> Known {
        let text = key.text();
        let row = match in_time(Box::pin(self.store.session(&text))).await {
            Ok(row) => row,
            Err(error) => {
                // Refusing every session because the store blinks would be the greater harm.
                // Remembered like an answer, so that a slow store is not asked by every request.
                tracing::warn!(%error, "session row was not read; serving the session by its seal");
                return self.note(key, Known::default());
            }
        };
        let known = row.as_ref().map_or_else(Known::default, |row| Known {
            ended: row.ended,
            log_level: row.log_level.as_deref().map(Arc::from),
        });
        let known = self.note(key, known);
        if let Some(row) = row.filter(|row| !row.ended) {
            self.keep_alive(key, &row).await;
        }
        known
    }

    /// Remembers what was read, unless a request that ran meanwhile knows better: it may have ended the session.
    fn note(&self, key: SessionKey, read: Known) -> Known {
        self.known.entry(key).or_insert(read).into_value()
    }

    /// Moves the expiry of a used session's row on, once half of its time is over.
    async fn keep_alive(&self, key: SessionKey, row: &SessionRow) {
        let left = row.expires_at - self.clock.unix_seconds();
        if left > seconds(self.idle_ttl) / 2 {
            return;
        }
        let (key, expires_at) = (key.text(), self.row_expiry());
        if let Err(error) = in_time(Box::pin(self.store.extend_session(&key, expires_at))).await {
            tracing::debug!(%error, "session row was not extended");
        }
    }

    /// The row of a session that nothing is known of yet.
    fn row(&self, user: &UserId) -> SessionRow {
        SessionRow {
            user: user.clone(),
            client_name: String::new(),
            client_version: String::new(),
            log_level: None,
            ended: false,
            expires_at: self.row_expiry(),
        }
    }

    fn row_expiry(&self) -> i64 {
        self.clock.unix_seconds() + seconds(self.idle_ttl)
    }
}

/// What the store does on the path of a request, within [`ROW_TIMEOUT`]. Pass it boxed: it is large and rarely needed.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(ROW_TIMEOUT, work).await.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", ROW_TIMEOUT.as_secs());
        Err(StoreError::Unavailable { detail })
    })
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(feature = "embedded")]
#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::*;
    use crate::lifecycle::Lifecycle;
    use crate::secret::Keyring;
    use crate::store::faults::{self, Fault, Faults};

    async fn sessions() -> (Sessions, Faults, UserId) {
        let (store, engine) = faults::store().await;
        let keyring = Keyring::new("a secret for tests only".to_owned().into(), Vec::new());
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let sessions = Sessions::new(Sealer::new(&keyring), store, clock, Duration::from_mins(30));
        (sessions, engine, UserId::new("1001"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_costs_one_request_a_second_and_the_next_ones_nothing() {
        let (sessions, engine, user) = sessions().await;
        let (id, _) = sessions.start(&user, "2025-11-25", Transport::Streamable, 0);
        sessions.known.invalidate_all();
        engine.always(Fault::Hang);
        let start = Instant::now();
        for _ in 0..10 {
            sessions.open(&id, &user).await.unwrap();
        }
        assert!(start.elapsed() <= ROW_TIMEOUT, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_come_faster_than_the_store_takes_their_rows_do_not_pile_up() {
        let (sessions, engine, user) = sessions().await;
        engine.always(Fault::Hang);
        let (asked, lifecycle) = (engine.requests(), Lifecycle::new());
        let mut ids = Vec::new();
        for _ in 0..2 * ROWS_AT_ONCE {
            let (id, session) = sessions.start(&user, "2025-11-25", Transport::Streamable, 0);
            ids.push(id);
            let (sessions, user) = (sessions.clone(), user.clone());
            lifecycle.spawn(async move { sessions.remember(&session, &user, "client", "1").await });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(engine.requests() - asked, ROWS_AT_ONCE);
        for id in ids {
            sessions.open(&id, &user).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_ends_during_a_look_at_its_row_stays_ended() {
        let (sessions, engine, user) = sessions().await;
        let (id, session) = sessions.start(&user, "2025-11-25", Transport::Streamable, 0);
        sessions.known.invalidate_all();
        engine.next([Fault::Hang]);
        let (opened, ended) = tokio::join!(sessions.open(&id, &user), sessions.end(&session, &user));
        ended.unwrap();
        assert_eq!(opened.unwrap_err(), SessionError::Ended);
        assert_eq!(sessions.open(&id, &user).await.unwrap_err(), SessionError::Ended);
    }

    #[tokio::test]
    async fn what_initialize_stores_late_does_not_undo_a_log_level() {
        let (sessions, _, user) = sessions().await;
        let (id, session) = sessions.start(&user, "2025-11-25", Transport::Streamable, 0);
        sessions.set_log_level(&session, &user, "warning").await.unwrap();
        sessions.remember(&session, &user, "client", "1").await;
        sessions.set_log_level(&session, &user, "error").await.unwrap();
        sessions.known.invalidate_all();
        let level = sessions.open(&id, &user).await.unwrap().log_level;
        assert_eq!(level.as_deref(), Some("error"));

        let (id, session) = sessions.start(&user, "2025-11-25", Transport::Streamable, 0);
        sessions.remember(&session, &user, "client", "1").await;
        sessions.set_log_level(&session, &user, "warning").await.unwrap();
        let row = sessions
            .store
            .session(&session.key.text())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (row.client_name.as_str(), row.log_level.as_deref()),
            ("client", Some("warning"))
        );
        sessions.end(&session, &user).await.unwrap();
        assert!(sessions.set_log_level(&session, &user, "debug").await.is_err());
        assert_eq!(sessions.open(&id, &user).await.unwrap_err(), SessionError::Ended);
    }
}
