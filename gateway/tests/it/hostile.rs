//! Peers that stall, flood or leave at the worst moment, and stops in the middle of it.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router};

use gateway::id::UserId;
use gateway::lifecycle::Stopped;
use gateway::model::google::GoogleGrant;
use gateway::session::directory::SessionKey;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::raw::Raw;
use crate::support::{Answer, Setup, TestApp, start};

const SECOND: Duration = Duration::from_secs(1);

async fn kept_alive(app: &TestApp) -> Raw {
    let mut raw = Raw::connect(app).await;
    let host = app.url.strip_prefix("http://").unwrap();
    raw.send(&format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n"))
        .await;
    raw.read_until("200 OK", SECOND).await;
    raw
}

#[tokio::test]
async fn slow_headers_are_cut_on_a_kept_alive_connection_too() {
    let app = Setup::default().env("HEADER_TIMEOUT", "1000").start().await;
    let mut raw = kept_alive(&app).await;
    raw.send("GET /health HTTP/1.1\r\nhost:").await;
    raw.read_to_end(3 * SECOND).await;
}

#[tokio::test]
async fn headers_beyond_64_kib_are_431() {
    let app = start().await;
    let mut raw = Raw::connect(&app).await;
    let host = app.url.strip_prefix("http://").unwrap();
    let filler = "x".repeat(80 << 10);
    raw.send(&format!(
        "GET /health HTTP/1.1\r\nhost: {host}\r\nfiller: {filler}\r\n\r\n"
    ))
    .await;
    let text = raw.read_until("\r\n\r\n", SECOND).await;
    assert!(text.starts_with("HTTP/1.1 431"), "{text:.100}");
}

#[tokio::test]
async fn a_connection_beyond_the_cap_is_told_so() {
    let app = Setup::default().env("MAX_CONNECTIONS", "1").start().await;
    let _first = kept_alive(&app).await;
    for _ in 0..20 {
        let answer = app.http.get(format!("{}/status", app.url)).send().await.unwrap();
        assert_eq!(answer.status(), 503);
    }
}

#[tokio::test]
async fn a_reader_that_stalls_does_not_hold_up_a_stop() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(": keep-alive\n\n", SECOND).await;
    let megabyte = vec![b':'; 1 << 20];
    let key = SessionKey::of(&session);
    let mut sent = 0;
    while app.app.mcp.wheel.send(key, &megabyte) {
        sent += 1;
        assert!(sent < 100, "nobody reads, and the outbox has a bound");
    }
    assert_eq!(app.drain(Duration::ZERO, 5 * SECOND).await, Stopped::Clean);
}

#[tokio::test]
async fn a_call_whose_stream_is_gone_is_refused_instead_of_left_without_an_answer() {
    let app = start().await;
    let token = app.token("1001");
    let mut stream = Raw::open_stream(&app, &token, None, "/mcp").await;
    let text = stream.read_until("\n\n\r\n", SECOND).await;
    let endpoint = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap()
        .to_owned();
    drop(stream);
    while app.app.mcp.wheel.stats().streams > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "whoami"}});
    let answer = app.request(Method::POST, &endpoint, &token).json(&call);
    let answer = Answer::read(answer.send().await.unwrap()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

#[tokio::test]
async fn a_stream_that_a_stop_overtakes_is_refused_in_words() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    // As if the handler had looked just before.
    app.app.mcp.wheel.drain();
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    let text = stream.read_to_end(SECOND).await;
    assert!(
        text.starts_with("HTTP/1.1 503") && text.contains("retry-after"),
        "{text}"
    );
}

/// A gateway whose Google is behind a listener, where nobody answers yet, and a person with a login that is good
/// for `expires_in` seconds.
async fn silent_google(expires_in: i64) -> (TestApp, TcpListener) {
    let google = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", google.local_addr().unwrap());
    let setup = Setup::default()
        .env("GOOGLE_ISSUER", &url)
        .env("GOOGLE_API_BASE_URL", &url);
    let app = setup.start().await;
    let grant = GoogleGrant {
        access_token: "access".into(),
        refresh_token: "refresh".into(),
        scope: "openid".to_owned(),
        expires_at: app.clock.unix_seconds() + expires_in,
        reauth_required: false,
    };
    let store = &app.app.store;
    store
        .put_google_grant(&UserId::new("1001"), &grant)
        .await
        .unwrap();
    (app, google)
}

#[tokio::test]
async fn a_call_that_outlasts_a_stop_is_told_so_before_the_process_ends() {
    use std::io::Read as _;
    let (app, google) = silent_google(3_600).await;
    let host = app.url.strip_prefix("http://").unwrap();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "gmail_list"}});
    let call = call.to_string();
    let mut raw = Raw::connect(&app).await;
    raw.send(&format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{call}",
        app.token("1001"),
        call.len()
    ))
    .await;
    google.accept().await.unwrap();
    assert_eq!(app.drain(Duration::ZERO, SECOND).await, Stopped::Hurried);
    // What is not on the way by now never will be.
    let mut answer = String::new();
    let mut socket = raw.socket.into_std().unwrap();
    let read = socket.read_to_string(&mut answer);
    assert!(answer.contains("shutting_down"), "{read:?} {answer}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_its_token_is_refreshed_does_not_lock_its_person_out() {
    let (app, google) = silent_google(0).await;
    let url = format!("http://{}", google.local_addr().unwrap());
    let at = |path: &str| format!("{url}{path}");
    let discovery = json!({"issuer": url, "authorization_endpoint": at("/a"), "token_endpoint": at("/token"),
                           "userinfo_endpoint": at("/u"), "jwks_uri": at("/k")});
    let asked = Arc::new(Notify::new());
    let token_endpoint = {
        let asked = Arc::clone(&asked);
        post(move || async move {
            asked.notify_one();
            tokio::time::sleep(SECOND / 4).await;
            Json(json!({"access_token": "new", "expires_in": 3600, "token_type": "Bearer"}))
        })
    };
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(|| async { Json(discovery) }),
        )
        .route("/token", token_endpoint)
        .route("/gmail/v1/users/me/messages", get(|| async { Json(json!({})) }));
    let serving = app.app.lifecycle.spawn(axum::serve(google, router).into_future());

    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let list = json!({"name": "gmail_list", "arguments": {}});
    let cancel = async {
        asked.notified().await;
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
        app.post(&token, Some(&session), &cancelled).await
    };
    let (first, _) = tokio::join!(app.call(&token, &session, "tools/call", list.clone()), cancel);
    let code = &first.json()["result"]["structuredContent"]["error"]["code"];
    assert_eq!(code, "cancelled", "{first:?}");
    let second = app.call(&token, &session, "tools/call", list).await;
    assert_ne!(second.json()["result"]["isError"], true, "{second:?}");
    serving.abort();
}
