//! The engine in this process: an HTTP connector that answers the SDK without a socket.
//!
//! It is DynamoDB as far as the SDK can tell. One SQLite file, one process per file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{self, BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::aws::deadlines;
use super::error::StoreError;
use super::retry;
use crate::clock::Clock;

/// Calls that may be on threads at once. The engine is one mutex, so more threads would only wait; the calls
/// beyond wait without one, and no longer than the SDK's deadline.
const CALLS_AT_ONCE: usize = 4;
/// Seconds between two sweeps of expired rows.
const SWEEP_INTERVAL: i64 = 600;

/// The engine. Clones are the same one.
#[derive(Clone)]
pub(super) struct Engine(Arc<Inner>);

struct Inner {
    database: Database,
    turns: Arc<Semaphore>,
    /// Whether its clients repeat what failed, so that the token of a transaction is needed.
    is_repeated: bool,
    clock: Clock,
    next_sweep: AtomicI64,
    /// Held as long as the file is open: two processes would not see each other's writes in time.
    _lock: Option<File>,
}

impl Engine {
    /// An engine that forgets everything with the process. Its sweeps go by `clock`, and its clients may repeat
    /// what failed, as those of DynamoDB do.
    pub(super) fn in_memory(clock: Clock) -> Result<Self, StoreError> {
        let database = Database::memory_with_clock(Arc::new(EngineClock(clock.clone())));
        Ok(Self::new(
            database.map_err(|error| cannot_open(&error))?,
            None,
            clock,
        ))
    }

    /// The engine over `store.db` in `directory`, which is made when missing.
    ///
    /// `Unavailable` when another process has it open, or the file cannot be used.
    pub(super) fn in_directory(directory: &Path, clock: Clock) -> Result<Self, StoreError> {
        let shown = directory.display();
        let private = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).mode(0o600);
            options.open(directory.join(name))
        };
        let lock = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .and_then(|()| private("store.lock"))
            .map_err(|error| StoreError::unavailable(format!("cannot write to `{shown}`: {error}")))?;
        lock.try_lock().map_err(|error| {
            StoreError::unavailable(format!(
                "`{shown}` belongs to another gateway process ({error}); give this one a `DATA_DIR` of its own"
            ))
        })?;
        // SQLite would make the file readable for everybody; its journal takes over the mode of the file.
        private("store.db").map_err(|error| cannot_open(&error))?;
        let path = directory.join("store.db");
        let path = path
            .to_str()
            .ok_or_else(|| StoreError::unavailable(format!("`{shown}` is not a path in UTF-8")))?;
        let database = Database::new(path).map_err(|error| cannot_open(&error))?;
        Ok(Self::new(database, Some(lock), clock))
    }

    /// A client of this engine.
    pub(super) fn into_client(self) -> Client {
        // An error of an engine in the same process does not go away by itself.
        client(self, |config| config.retry_config(RetryConfig::disabled()))
    }

    fn new(database: Database, lock: Option<File>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            database,
            turns: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
            is_repeated: lock.is_none(),
            next_sweep: AtomicI64::new(clock.unix_seconds() + SWEEP_INTERVAL),
            clock,
            _lock: lock,
        }))
    }

    /// Removes expired rows now and then. Calls drive it, because an engine without calls does not grow; the
    /// sweep lets waiting calls in between its pages.
    fn sweep_if_due(&self) {
        let now = self.0.clock.unix_seconds();
        let due = self.0.next_sweep.load(Ordering::Relaxed);
        let next = now.saturating_add(SWEEP_INTERVAL);
        let mine = now >= due
            && self
                .0
                .next_sweep
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return;
        }
        let engine = self.clone();
        spawn_blocking(move || match engine.0.database.sweep_ttl() {
            Ok(removed) => tracing::debug!(removed, "expired rows swept"),
            Err(error) => tracing::warn!(%error, "expired rows could not be swept"),
        });
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            engine.sweep_if_due();
            let turn = Arc::clone(&engine.0.turns).acquire_owned().await;
            // A transaction ends with an fsync: never on a thread of the runtime. A caller that gives up
            // leaves the call to itself, which may still commit, as on a network.
            let answer = spawn_blocking(move || {
                let _turn = turn;
                engine.0.answer(&request)
            });
            answer
                .await
                .unwrap_or_else(|error| Err(ConnectorError::other(error.into(), None)))
        })
    }
}

impl Inner {
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let (status, json) = match self.run(operation, body) {
            Ok(json) => (200, json),
            Err(error) => (error.status_code(), error.to_json().into_bytes()),
        };
        let status =
            StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(json)))
    }

    /// The operations that the store uses. The engine has no entry for raw requests.
    fn run(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
        let db = &self.database;
        match operation {
            "GetItem" => call(body, |request| db.get_item(request)),
            "PutItem" => call(body, |request| db.put_item(request)),
            "UpdateItem" => call(body, |request| db.update_item(request)),
            "DeleteItem" => call(body, |request| db.delete_item(request)),
            "TransactWriteItems" => call(
                body,
                |mut request: dynoxide::actions::transact_write_items::TransactWriteItemsRequest| {
                    // The token makes a retry safe. Without retries it only costs time: the engine searches all
                    // tokens of the last ten minutes for it.
                    if !self.is_repeated {
                        request.client_request_token = None;
                    }
                    db.transact_write_items(request)
                },
            ),
            "CreateTable" => call(body, |request| db.create_table(request)),
            "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
            #[cfg(test)]
            "DescribeTable" => call(body, |request| db.describe_table(request)),
            #[cfg(test)]
            "DescribeTimeToLive" => call(body, |request| db.describe_time_to_live(request)),
            #[cfg(test)]
            "Scan" => call(body, |request| db.scan(request)),
            other => Err(DynoxideError::UnsupportedCapability(other.to_owned())),
        }
    }
}

fn call<Q, A>(body: &[u8], run: impl FnOnce(Q) -> Result<A, DynoxideError>) -> Result<Vec<u8>, DynoxideError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_vec(&run(request)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn cannot_open(error: &dyn std::error::Error) -> StoreError {
    StoreError::unavailable(format!("the embedded store cannot be opened: {error}"))
}

/// A client with the retries of production, whose requests go to `connector`.
pub(super) fn client_over(connector: impl HttpConnector + 'static) -> Client {
    client(connector, retry::enable)
}

/// A client whose requests go to `connector`. They do not leave the process, so nobody looks at region, endpoint
/// or signature.
fn client(
    connector: impl HttpConnector + 'static,
    retries: impl FnOnce(config::Builder) -> config::Builder,
) -> Client {
    let connector = SharedHttpConnector::new(connector);
    let config = config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("embedded"))
        .endpoint_url("http://embedded.invalid")
        .allow_no_auth()
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .timeout_config(deadlines())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(retries(config).build())
}

/// Our clock as the engine's. A database in a file always goes by the clock of the machine.
struct EngineClock(Clock);

impl dynoxide::storage_backend::Clock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        self.0.unix_seconds().try_into().unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_duration().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::store::contract::TempDir;
    use crate::store::dynamodb::{DynamoDb, Tables};
    use crate::store::item::{Item, number};
    use crate::store::keys;

    #[tokio::test]
    async fn a_directory_belongs_to_one_process_until_it_is_closed() {
        let dir = TempDir::new();
        let open = || Engine::in_directory(dir.path(), Clock::system());
        let first = open().unwrap();
        let second = open().unwrap_err().to_string();
        assert!(second.contains("another gateway process"), "{second}");
        drop(first);
        open().unwrap();
    }

    #[tokio::test]
    async fn the_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new();
        let data = dir.path().join("data");
        let _engine = Engine::in_directory(&data, Clock::system()).unwrap();
        for file in std::fs::read_dir(&data).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}", file.path());
        }
    }

    #[tokio::test]
    async fn expired_rows_are_swept_now_and_then_and_others_stay() {
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let client = Engine::in_memory(clock.clone()).unwrap().into_client();
        let tables = Tables {
            sessions: "sessions".into(),
            tokens: "tokens".into(),
        };
        let db = DynamoDb::embedded(client, None, tables);
        db.prepare().await.unwrap();
        for (id, lives) in [("gone", 1), ("stays", 10_000)] {
            let item = Item::from([(keys::EXPIRES_AT.to_owned(), number(1_800_000_000 + lives))]);
            db.put(&keys::session(id), item).await.unwrap();
        }
        let gone = keys::session("gone");
        clock.advance(Duration::from_secs(599));
        assert!(db.get(&gone).await.unwrap().is_some(), "no sweep is due");
        clock.advance(Duration::from_secs(1));
        let mut reads = 0;
        while db.get(&gone).await.unwrap().is_some() {
            reads += 1;
            assert!(reads < 10_000, "no sweep came");
        }
        assert!(db.get(&keys::session("stays")).await.unwrap().is_some());
    }
}
