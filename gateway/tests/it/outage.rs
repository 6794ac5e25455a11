//! Google is silent, the store is not ready: the gateway starts, serves what it can, and recovers by itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gateway::id::UserId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::google::Emulator;
use crate::support::{Answer, Setup, TestApp};

/// Takes over the Google login of everybody who logged in at `from`, as a shared store would.
async fn inherit(to: &TestApp, from: &TestApp, user: &UserId) {
    let grant = from.app.store.google_grant(user).await.unwrap().expect("a grant");
    to.app.store.put_google_grant(user, &grant).await.unwrap();
}

/// D2, R7.
#[tokio::test]
async fn with_google_in_a_black_hole_it_starts_says_so_and_recovers_by_itself() {
    let google = Emulator::start(1);
    let before = Setup::default().google_at(&google).start().await;
    let email = &google
        .users
        .iter()
        .find(|user| user.email.starts_with('t'))
        .unwrap()
        .email;
    let user = before.bearer_subject(&before.login(email).await.access);
    let blackhole = json!({"match": {"pathPrefix": "/"}, "fault": {"kind": "blackhole"}});
    let fault = google.ask(Method::POST, "/faults", &blackhole).await["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let began = Instant::now();
    let setup = Setup::default()
        .env("REQUEST_TIMEOUT", "1500")
        .env("SLOW_AFTER", "1000");
    let app = setup.google_at(&google).start().await;
    inherit(&app, &before, &user).await;
    let health = Answer::read(app.http.get(format!("{}/health", app.url)).send().await.unwrap()).await;
    assert_eq!((health.status, &health.json()["ok"]), (200, &json!(true)));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "a start asks Google nothing"
    );

    let token = app.token(user.as_str());
    let session = app.initialize(&token).await;
    assert_eq!(
        app.call(&token, &session, "tools/list", json!({}))
            .await
            .tool_names()
            .len(),
        13
    );
    for name in ["gmail_list", "whoami"] {
        let began = Instant::now();
        let answer = app
            .call(&token, &session, "tools/call", json!({"name": name}))
            .await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{result}");
        let code = result["structuredContent"]["error"]["code"].as_str().unwrap();
        assert!(["timeout", "upstream_unavailable"].contains(&code), "{result}");
        let ready = json!({"status": "degraded", "google": "unreachable"});
        assert_eq!(app.get_json("/ready").await, ready, "after {name}");
    }
    let health = app.get_json("/health").await;
    assert_eq!((&health["ok"], &health["status"]), (&json!(true), &json!("ok")));

    google
        .ask(Method::DELETE, &format!("/faults/{fault}"), &Value::Null)
        .await;
    for name in ["gmail_list", "whoami"] {
        let answer = app
            .call(&token, &session, "tools/call", json!({"name": name}))
            .await;
        assert_ne!(answer.json()["result"]["isError"], true, "{answer:?}");
    }
    assert_eq!(
        app.get_json("/ready").await,
        json!({"status": "ready", "google": "reachable"})
    );
}

/// G3: 503 with `Retry-After` or a success, never an empty list and never another error.
#[tokio::test]
async fn who_comes_during_the_start_gets_thirteen_tools() {
    for _ in 0..10 {
        let app = Setup::default().booting().start().await;
        let first = async |user: usize| {
            let token = app.token(&format!("10{user}"));
            let session = app.initialize(&token).await;
            let legacy = app.call(&token, &session, "tools/list", json!({})).await;
            assert_eq!(legacy.tool_names().len(), 13);
            let modern = app.modern(&token, "tools/list", json!({})).await;
            assert_eq!(modern.tool_names().len(), 13);
            // Needs the store, and has no Google login: an error for people, not of HTTP.
            let call = app
                .call(&token, &session, "tools/call", json!({"name": "whoami"}))
                .await;
            assert_eq!(call.json()["result"]["isError"], true, "{call:?}");
        };
        join_all((0..5).map(first)).await;
    }
}
