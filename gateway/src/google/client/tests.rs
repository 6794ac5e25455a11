//! The client against a server that misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::google::request::Product;
use crate::google::testing::{Hit, Reply, SHORT, World, context};

const PATH: &str = "/drive/v3/files/f1";

fn request() -> Request {
    Request::new(Product::Drive, &["files", "f1"]).with("fields", "id")
}

fn found() -> Reply {
    Reply::Json(200, json!({ "id": "f1" }))
}

fn refused(status: u16, headers: Vec<(&'static str, String)>) -> Reply {
    Reply::Headers(status, headers, Vec::new())
}

/// A logged-in world that answers the n-th API request with the n-th reply, and the last one from then on.
async fn world(limits: Limits, replies: Vec<Reply>) -> World {
    let asked = AtomicUsize::new(0);
    let answer = move |_: &Hit| {
        let index = asked.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        replies[index].clone()
    };
    let world = World::new(limits, answer).await;
    world.login("ana", 3600).await;
    world
}

async fn ask(world: &World) -> Result<Value, ToolError> {
    let (context, _events) = context("ana");
    Call::new(&world.client, &context).json(&request()).await
}

#[tokio::test]
async fn an_answer_comes_with_the_persons_token_and_makes_google_reachable() {
    let world = world(SHORT, vec![found()]).await;
    assert_eq!(world.client.reachability(), Reachability::Unknown);
    assert_eq!(ask(&world).await.unwrap(), json!({ "id": "f1" }));
    assert_eq!(world.client.reachability(), Reachability::Reachable);
    let hits = world.google.hits(PATH);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].authorization, "Bearer ana-access");
    assert_eq!(hits[0].param("fields"), Some("id"));
}

#[tokio::test]
async fn what_may_pass_is_asked_three_times() {
    let burst = json!({ "error": { "errors": [{ "reason": "userRateLimitExceeded" }] } });
    for failure in [
        refused(429, vec![]),
        refused(500, vec![]),
        refused(502, vec![]),
        refused(503, vec![("retry-after", "0".to_owned())]),
        refused(504, vec![]),
        Reply::Json(403, burst),
        Reply::Reset,
        Reply::Truncated,
        Reply::Hang,
    ] {
        let recovering = world(SHORT, vec![failure.clone(), failure.clone(), found()]).await;
        assert_eq!(
            ask(&recovering).await.unwrap(),
            json!({ "id": "f1" }),
            "{failure:?}"
        );
        assert_eq!(recovering.google.hits(PATH).len(), 3, "{failure:?}");
        let broken = world(SHORT, vec![failure.clone()]).await;
        assert!(ask(&broken).await.is_err(), "{failure:?}");
        assert_eq!(broken.google.hits(PATH).len(), 3, "{failure:?}");
    }
}

#[tokio::test]
async fn what_will_not_pass_is_asked_once() {
    for (failure, code) in [
        (refused(400, vec![]), ErrorCode::InvalidArgument),
        (refused(403, vec![]), ErrorCode::PermissionDenied),
        (refused(404, vec![]), ErrorCode::NotFound),
        (
            Reply::Headers(200, vec![], b"<html>".to_vec()),
            ErrorCode::UpstreamUnavailable,
        ),
        (Reply::Endless, ErrorCode::TooLarge),
        (
            Reply::Headers(200, vec![], vec![b' '; 1024 * 1024 + 1]),
            ErrorCode::TooLarge,
        ),
    ] {
        let world = world(SHORT, vec![failure.clone()]).await;
        assert_eq!(ask(&world).await.unwrap_err().code, code);
        assert_eq!(world.google.hits(PATH).len(), 1);
    }
}

#[tokio::test]
async fn failures_have_their_codes_and_make_google_unreachable() {
    for (failure, code) in [
        (refused(503, vec![]), ErrorCode::UpstreamUnavailable),
        (Reply::Reset, ErrorCode::UpstreamUnavailable),
        (Reply::Hang, ErrorCode::Timeout),
    ] {
        let world = world(SHORT, vec![failure]).await;
        assert_eq!(ask(&world).await.unwrap_err().code, code);
        assert_eq!(world.client.reachability(), Reachability::Unreachable);
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_passed_on_at_once() {
    let world = world(SHORT, vec![refused(429, vec![("retry-after", "30".to_owned())])]).await;
    let started = Instant::now();
    let error = ask(&world).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(world.google.hits(PATH).len(), 1);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_retry_after_within_the_deadline_is_waited_for_and_reported() {
    let soon = refused(429, vec![("retry-after", "1".to_owned())]);
    let world = world(SHORT, vec![soon, found()]).await;
    let (context, mut events) = context("ana");
    let started = Instant::now();
    let answer: Value = Call::new(&world.client, &context).json(&request()).await.unwrap();
    assert_eq!(answer, json!({ "id": "f1" }));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let CallEvent::Warning { message } = events.try_recv().unwrap() else {
        panic!("a warning comes first");
    };
    assert!(message.contains("Google Drive answered 429"), "{message}");
    assert!(
        message.contains("trying again in 1.0 s (try 2 of 3)"),
        "{message}"
    );
    let CallEvent::Progress { done, total, .. } = events.try_recv().unwrap() else {
        panic!("then progress");
    };
    assert_eq!((done, total), (1.0, None));
}

#[tokio::test]
async fn no_answer_ends_with_the_deadline_of_the_call_or_of_its_context() {
    let limits = Limits {
        attempt: Duration::from_secs(20),
        call: Duration::from_millis(300),
        ..SHORT
    };
    let hung = world(limits, vec![Reply::Hang]).await;
    assert_eq!(ask(&hung).await.unwrap_err().code, ErrorCode::Timeout);

    let hung = world(
        Limits {
            attempt: limits.attempt,
            ..SHORT
        },
        vec![Reply::Hang],
    )
    .await;
    let (mut context, _events) = context("ana");
    context.deadline = Instant::now() + Duration::from_millis(300);
    let outcome: Result<Value, _> = Call::new(&hung.client, &context).json(&request()).await;
    assert_eq!(outcome.unwrap_err().code, ErrorCode::Timeout);
}

#[tokio::test]
async fn a_silent_token_endpoint_ends_with_the_deadline_too() {
    let limits = Limits {
        call: Duration::from_millis(300),
        ..SHORT
    };
    let world = World::new(limits, |_| Reply::Hang).await;
    world.login("ana", 0).await;
    let error = ask(&world).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("token endpoint"), "{error}");
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_while_google_is_silent() {
    let world = world(
        Limits {
            attempt: Duration::from_secs(20),
            ..SHORT
        },
        vec![Reply::Hang],
    )
    .await;
    let (context, _events) = context("ana");
    let cancel: CancellationToken = context.cancel.clone();
    let started = Instant::now();
    let call = Call::new(&world.client, &context);
    let request = request();
    let (outcome, ()) = tokio::join!(call.json::<Value>(&request), async {
        while world.google.hits(PATH).is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert_eq!(outcome.unwrap_err().code, ErrorCode::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_a_login_that_is_over_is_not_asked_again() {
    let world = World::new(SHORT, |hit| {
        match (hit.path.as_str(), hit.authorization.as_str()) {
            ("/token", _) => crate::google::testing::token_answer("new"),
            (_, "Bearer new") => found(),
            _ => refused(401, vec![]),
        }
    })
    .await;
    world.login("ana", 3600).await;
    assert_eq!(ask(&world).await.unwrap(), json!({ "id": "f1" }));
    assert_eq!(world.google.hits("/token").len(), 1);

    let never = World::new(SHORT, |hit| match hit.path.as_str() {
        "/token" => crate::google::testing::token_answer("new"),
        _ => refused(401, vec![]),
    })
    .await;
    never.login("ana", 3600).await;
    assert_eq!(ask(&never).await.unwrap_err().code, ErrorCode::ReauthRequired);
    assert_eq!(never.google.hits("/token").len(), 1);
    assert_eq!(never.google.hits(PATH).len(), 2);
}

#[tokio::test]
async fn a_missing_scope_makes_the_next_call_look_for_a_new_login() {
    let body = json!({ "error": { "details": [{ "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT" }] } });
    let world = World::new(SHORT, move |hit| match hit.authorization.as_str() {
        "Bearer ana-access" => Reply::Json(403, body.clone()),
        _ => found(),
    })
    .await;
    world.login("ana", 3600).await;
    assert_eq!(ask(&world).await.unwrap_err().code, ErrorCode::InsufficientScope);
    let user = crate::id::UserId::new("ana");
    let mut grant = world.store.google_grant(&user).await.unwrap().unwrap();
    grant.access_token = "wider".into();
    world.store.put_google_grant(&user, &grant).await.unwrap();
    assert_eq!(ask(&world).await.unwrap(), json!({ "id": "f1" }));
}

#[test]
fn the_client_is_shared_between_tasks() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Client>>();
}

#[tokio::test]
async fn a_call_whose_budget_ends_before_googles_silence_does_still_notices_the_silence() {
    let world = World::new(SHORT, |_| Reply::Hang).await;
    world.login("ana", 3600).await;
    let (mut context, _events) = context("ana");
    context.deadline = Instant::now() + Duration::from_millis(150);
    let began = Instant::now();
    let (content, failed) = world.call_in(&context, "gmail_list", json!({})).await;
    assert!(
        began.elapsed() < Duration::from_millis(150),
        "before the dispatcher's own cut"
    );
    assert!(failed && content["error"]["code"] == "timeout", "{content}");
    assert_eq!(world.client.reachability(), Reachability::Unreachable);
}
