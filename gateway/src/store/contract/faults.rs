//! What the store makes of an engine that misbehaves: a layer in the connector throttles, fails, hangs and
//! loses answers. Time is paused, so a deadline costs a test nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use tokio::time::Instant;

use super::START;
use super::rows::{self, END, ana};
use crate::clock::Clock;
use crate::store::dynamodb::{self, DynamoDb, OPERATION_DEADLINE};
use crate::store::embedded::{Engine, client_over};
use crate::store::envelope::{KeyProvider, LocalKey};
use crate::store::{Store, StoreError};

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The engine refuses with this status, error type and (for a transaction) reason.
    Refuse(u16, &'static str, Option<&'static str>),
    /// No answer, ever.
    Hang,
    /// The engine does its work; the answer gets lost.
    LoseAnswer,
}

const THROTTLED: Fault = Fault::Refuse(400, "ProvisionedThroughputExceededException", None);
const BROKEN: Fault = Fault::Refuse(500, "InternalServerError", None);

/// Passes requests on to the engine, but for those that a fault is waiting for.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    engine: Engine,
    faults: Arc<Mutex<VecDeque<Option<Fault>>>>,
    /// The idempotency token of every transaction that was sent.
    tokens: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicUsize>,
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        if let Some(token) = body["ClientRequestToken"].as_str() {
            self.tokens.lock().unwrap().push(token.to_owned());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.lock().unwrap().pop_front().flatten();
        let engine = self.engine.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                None => engine.call(request).await,
                Some(Fault::Refuse(status, error, reason)) => {
                    let reasons: Vec<_> = reason
                        .iter()
                        .map(|code| serde_json::json!({"Code": code}))
                        .collect();
                    let body = serde_json::json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{error}"),
                                                  "CancellationReasons": reasons});
                    let status = status.try_into().unwrap();
                    Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
                }
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::LoseAnswer) => {
                    engine.call(request).await?;
                    std::future::pending().await
                }
            }
        })
    }
}

/// A store with the retries of production, over an engine in memory with faults.
pub(crate) async fn store() -> (Store, Faulty) {
    let clock = Clock::manual(Timestamp::from_second(START).unwrap());
    let faulty = Faulty {
        engine: Engine::in_memory(clock.clone()).unwrap(),
        faults: Arc::default(),
        tokens: Arc::default(),
        requests: Arc::default(),
    };
    let client = client_over(faulty.clone(), dynamodb::retries());
    let db = DynamoDb::embedded(client, "sessions".into(), "tokens".into());
    let store = Store::new(db, KeyProvider::Local(LocalKey::random().unwrap()), clock);
    store.prepare().await.unwrap();
    (store, faulty)
}

impl Faulty {
    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.next_or_none(faults.into_iter().map(Some));
    }

    /// What happens to the next requests; `None` lets one through.
    fn next_or_none(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        let mut waiting = self.faults.lock().unwrap();
        waiting.clear();
        waiting.extend(faults);
    }

    /// Requests so far, every attempt counted.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_throttled_twice_succeeds_at_the_third_attempt() {
    let (store, engine) = store().await;
    engine.next([THROTTLED, BROKEN]);
    store.put_user(&rows::user()).await.unwrap();
    assert_eq!(store.user(&ana()).await.unwrap(), Some(rows::user()));
}

#[tokio::test(start_paused = true)]
async fn throttling_that_lasts_is_throttled_with_a_time_to_come_back() {
    let (store, engine) = store().await;
    for code in [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    ] {
        engine.next([Fault::Refuse(400, code, None); 9]);
        let read = store.user(&ana()).await;
        let Err(StoreError::Throttled { retry_after }) = read else {
            panic!("{code}: {read:?}");
        };
        assert!(retry_after >= Duration::from_secs(1));
        assert_eq!(engine.left(), 6, "three attempts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_cancelled_says_why() {
    let (store, engine) = store().await;
    let canceled = |reason| [Fault::Refuse(400, "TransactionCanceledException", Some(reason)); 3];
    let family = rows::family();
    let redeem = || store.redeem_code_once("c", "f", &family);
    for reason in ["ThrottlingError", "ProvisionedThroughputExceeded"] {
        engine.next(canceled(reason));
        let result = redeem().await;
        assert!(matches!(result, Err(StoreError::Throttled { .. })), "{result:?}");
    }
    for reason in ["ConditionalCheckFailed", "TransactionConflict"] {
        engine.next(canceled(reason));
        let result = redeem().await;
        assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    }
    engine.next(canceled("ValidationError"));
    let result = redeem().await;
    assert!(
        matches!(result, Err(StoreError::Unavailable { .. })),
        "{result:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_or_is_refused_is_unavailable() {
    let (store, engine) = store().await;
    for fault in [BROKEN, Fault::Refuse(400, "AccessDeniedException", None)] {
        engine.next([fault; 9]);
        let read = store.user(&ana()).await;
        assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_unavailable_within_the_deadline() {
    let (store, engine) = store().await;
    engine.next([Fault::Hang; 9]);
    let start = Instant::now();
    let read = store.user(&ana()).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    assert!(start.elapsed() <= OPERATION_DEADLINE, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_burns_no_login_and_no_lease() {
    let (store, engine) = store().await;
    store
        .put_authorization("a", &rows::authorization())
        .await
        .unwrap();
    engine.next([Fault::LoseAnswer]);
    let taken = store.take_authorization_once("a").await.unwrap();
    assert_eq!(taken, Some(rows::authorization()));
    assert_eq!(store.take_authorization_once("a").await.unwrap(), None);

    engine.next([Fault::LoseAnswer]);
    let ttl = Duration::from_secs(10);
    assert!(store.acquire_refresh_lease(&ana(), "one", ttl).await.unwrap());
    assert!(!store.acquire_refresh_lease(&ana(), "two", ttl).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_burns_no_code_and_no_refresh_token() {
    let (store, engine) = store().await;
    store.put_code("c", &rows::code()).await.unwrap();
    for fault in [THROTTLED, BROKEN, Fault::Hang] {
        engine.next([fault; 3]);
        assert!(store.redeem_code_once("c", "f", &rows::family()).await.is_err());
    }
    engine.next([]);
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    for fault in [THROTTLED, BROKEN, Fault::Hang] {
        engine.next([fault; 3]);
        assert!(store.rotate_refresh("f", 0, START, END).await.is_err());
    }
    engine.next([]);
    store.rotate_refresh("f", 0, START, END).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_breaks_off_anywhere_is_told_after_it_is_repeated() {
    for done in 0..3 {
        let (store, engine) = store().await;
        let works = vec![None; done];
        engine.next_or_none(works.into_iter().chain([Some(THROTTLED); 3]));
        let broken = store.deny_grant("family", END).await;
        assert!(broken.is_err(), "{done} requests went through");
        let told = store.fleet().await.unwrap().revocation;
        assert_eq!(told, 0, "nothing is told before it is written");
        store.deny_grant("family", END).await.unwrap();
        assert_eq!(store.fleet().await.unwrap().revocation, 1);
        assert_eq!(store.denied_grants().await.unwrap(), ["family"]);
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_of_a_transaction_has_the_same_token_and_the_next_transaction_another() {
    let (store, engine) = store().await;
    engine.next([BROKEN, Fault::Hang]);
    for _ in 0..2 {
        let redeemed = store.redeem_code_once("never", "f", &rows::family()).await;
        assert!(matches!(redeemed, Err(StoreError::Conflict)), "{redeemed:?}");
    }
    let tokens = engine.tokens.lock().unwrap();
    assert_eq!(tokens.len(), 4);
    assert!(tokens[0] == tokens[1] && tokens[1] == tokens[2], "{tokens:?}");
    assert_ne!(tokens[2], tokens[3]);
}
