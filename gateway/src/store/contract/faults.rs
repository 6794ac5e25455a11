//! What the store makes of an engine that misbehaves. Time is paused, so a deadline costs a test nothing.

use std::iter::repeat_n;
use std::time::Duration;

use tokio::time::Instant;

use super::START;
use super::rows::{self, END, ana};
use crate::store::StoreError;
use crate::store::aws::{ATTEMPTS, OPERATION_DEADLINE};
use crate::store::faults::{Fault, store};

/// More than an operation has attempts.
const MANY: usize = 2 * ATTEMPTS as usize;

#[tokio::test(start_paused = true)]
async fn a_request_that_is_throttled_twice_succeeds_at_the_third_attempt() {
    let (store, engine) = store().await;
    engine.next([Fault::THROTTLE, Fault::BREAK]);
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
        engine.next([Fault::Refuse(400, code, None); MANY]);
        let read = store.user(&ana()).await;
        let Err(StoreError::Throttled { retry_after }) = read else {
            panic!("{code}: {read:?}");
        };
        assert!(retry_after >= Duration::from_secs(1));
        assert_eq!(engine.left(), MANY - ATTEMPTS as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_cancelled_says_why() {
    let (store, engine) = store().await;
    let canceled = |reason| [Fault::Refuse(400, "TransactionCanceledException", Some(reason)); MANY];
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
async fn a_transaction_that_was_throttled_is_repeated_and_happens_once() {
    let (store, engine) = store().await;
    store.put_code("c", &rows::code()).await.unwrap();
    let throttled = Fault::Refuse(400, "TransactionCanceledException", Some("ThrottlingError"));
    engine.next([throttled; 3]);
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    let tokens = engine.tokens();
    assert_eq!(tokens.len(), 4);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let again = store.redeem_code_once("c", "g", &rows::family()).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn three_requests_of_ten_throttled_cost_less_than_one_operation_in_a_thousand() {
    let (store, engine) = store().await;
    engine.throttle(30);
    let before = engine.requests();
    let mut failed = 0;
    for _ in 0..5_000 {
        failed += usize::from(store.put_user(&rows::user()).await.is_err());
    }
    let requests = engine.requests() - before;
    assert!(failed < 5, "{failed} of 5000 failed");
    assert!(requests > 6_500, "{requests} requests: some were repeated");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_two_seconds_for_everything_serves() {
    let (store, engine) = store().await;
    engine.delay(Duration::from_secs(2));
    store.put_code("c", &rows::code()).await.unwrap();
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    store.rotate_refresh("f", 0, START, END).await.unwrap();
    assert!(store.refresh_family("f").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_grant_whose_answer_got_lost_is_no_conflict() {
    let (store, engine) = store().await;
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();
    let before = store.stored_google_grant(&ana()).await.unwrap().unwrap();
    engine.next([Fault::LoseAnswer]);
    let next = rows::google_grant();
    store.replace_google_grant(&ana(), &before, next).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_or_is_refused_is_unavailable() {
    let (store, engine) = store().await;
    for fault in [Fault::BREAK, Fault::Refuse(400, "AccessDeniedException", None)] {
        engine.next([fault; MANY]);
        let read = store.user(&ana()).await;
        assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_unavailable_within_the_deadline() {
    let (store, engine) = store().await;
    engine.next([Fault::Hang; MANY]);
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
async fn a_log_that_begins_whose_answer_got_lost_is_no_conflict() {
    let (store, engine) = store().await;
    let row = rows::call();
    engine.next([Fault::LoseAnswer]);
    store.begin_call("c", &row).await.unwrap();
    assert_eq!(engine.left(), 0, "the fault was met");
    assert_eq!(store.call("c").await.unwrap(), Some(row.clone()));
    let another = store.begin_call("c", &row).await;
    assert!(matches!(another, Err(StoreError::Conflict)), "{another:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_burns_no_code_and_no_refresh_token() {
    let (store, engine) = store().await;
    store.put_code("c", &rows::code()).await.unwrap();
    for fault in [Fault::THROTTLE, Fault::BREAK, Fault::Hang] {
        engine.next([fault; MANY]);
        assert!(store.redeem_code_once("c", "f", &rows::family()).await.is_err());
    }
    engine.next([]);
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    for fault in [Fault::THROTTLE, Fault::BREAK, Fault::Hang] {
        engine.next([fault; MANY]);
        assert!(store.rotate_refresh("f", 0, START, END).await.is_err());
    }
    engine.next([]);
    store.rotate_refresh("f", 0, START, END).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_breaks_off_anywhere_is_told_after_it_is_repeated() {
    for done in 0..3 {
        let (store, engine) = store().await;
        let works = repeat_n(Fault::Pass, done);
        engine.next(works.chain([Fault::THROTTLE; ATTEMPTS as usize]));
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
    engine.next([Fault::BREAK, Fault::Hang]);
    for _ in 0..2 {
        let redeemed = store.redeem_code_once("never", "f", &rows::family()).await;
        assert!(matches!(redeemed, Err(StoreError::Conflict)), "{redeemed:?}");
    }
    let tokens = engine.tokens();
    assert_eq!(tokens.len(), 4);
    assert!(tokens[0] == tokens[1] && tokens[1] == tokens[2], "{tokens:?}");
    assert_ne!(tokens[2], tokens[3]);
}
