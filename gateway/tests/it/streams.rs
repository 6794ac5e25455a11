//! Idle streams: comments in time, a clean end, nothing left behind.

use std::time::{Duration, Instant};

use crate::support::raw::Raw;
use crate::support::{Setup, start};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_stream_starts_at_once_with_the_right_headers_and_a_comment() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    let head = stream
        .read_until(": keep-alive\n\n", SECOND)
        .await
        .to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn every_interval_a_comment_follows() {
    let app = Setup::default()
        .env("SSE_KEEPALIVE_INTERVAL", "1000")
        .start()
        .await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(": keep-alive\n\n", SECOND).await;
    for _ in 0..3 {
        stream.received.clear();
        let began = Instant::now();
        stream.read_until(": keep-alive\n\n", 2 * SECOND).await;
        assert!(began.elapsed() < 1_200 * SECOND / 1_000, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn the_second_request_of_a_connection_can_become_a_stream() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut raw = Raw::connect(&app).await;
    let host = app.url.strip_prefix("http://").unwrap().to_owned();
    // Both at once: the answer of the first must not get lost when hyper gives the socket up.
    raw.send(&format!(
        "GET /health HTTP/1.1\r\nhost: {host}\r\n\r\nGET /mcp HTTP/1.1\r\nhost: {host}\r\n\
         authorization: Bearer {token}\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n"
    ))
    .await;
    let text = raw.read_until(": keep-alive\n\n", SECOND).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

#[tokio::test]
async fn a_closed_stream_is_noticed_and_forgotten() {
    let app = Setup::default()
        .env("SSE_KEEPALIVE_INTERVAL", "1500")
        .start()
        .await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
        stream.read_until(": keep-alive\n\n", SECOND).await;
        streams.push(stream);
    }
    assert_eq!(app.app.mcp.wheel.stats().streams, 50);
    drop(streams);
    let began = Instant::now();
    while app.app.mcp.wheel.stats().streams > 0 {
        assert!(began.elapsed() < SECOND, "a close is noticed within a tick");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_listen_is_acknowledged_tagged_and_filtered() {
    let app = start().await;
    let token = app.token("1001");
    let mut raw = Raw::connect(&app).await;
    let body = json!({"jsonrpc": "2.0", "id": "l-1", "method": "subscriptions/listen", "params": {
        "_meta": crate::support::modern_meta(),
        "notifications": {"toolsListChanged": true, "promptsListChanged": true}}})
    .to_string();
    let host = app.url.strip_prefix("http://").unwrap().to_owned();
    raw.send(&format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: subscriptions/listen\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let text = raw.read_until("\n\n\r\n", SECOND).await.to_owned();
    let data = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .expect("an event");
    let message: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(message["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        message["params"]["notifications"],
        json!({"toolsListChanged": true})
    );
    assert_eq!(
        message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        "l-1"
    );

    app.app.mcp.wheel.drain();
    let text = raw.read_to_end(SECOND).await;
    assert!(
        text.contains(r#""id":"l-1","result":{"resultType":"complete""#),
        "{text}"
    );
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_drain_ends_streams_with_a_retry_and_refuses_new_ones() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(": keep-alive\n\n", SECOND).await;
    assert_eq!(app.app.mcp.wheel.drain(), 1);
    let text = stream.read_to_end(SECOND).await;
    assert!(text.contains("retry: ") && text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn the_deprecated_transport_answers_on_its_stream() {
    let app = start().await;
    for path in ["/mcp", "/mcp/sse"] {
        let token = app.token_for("1001", path);
        let mut stream = Raw::open_stream(&app, &token, None, path).await;
        let text = stream.read_until("\n\n\r\n", SECOND).await.to_owned();
        assert!(
            text.contains("event: endpoint\ndata: /mcp/messages?sessionId="),
            "{text}"
        );
        let endpoint = text
            .lines()
            .find_map(|line| line.strip_prefix("data: "))
            .unwrap()
            .to_owned();
        let post = |message: serde_json::Value| {
            app.request(reqwest::Method::POST, &endpoint, &token)
                .json(&message)
                .send()
        };
        let answer = post(crate::support::initialize("2024-11-05")).await.unwrap();
        assert_eq!(answer.status(), 202);
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        assert_eq!(post(list).await.unwrap().status(), 202);
        let text = stream.read_until(r#""id":2,"result":{"tools":["#, SECOND).await;
        assert!(text.contains(r#""protocolVersion":"2024-11-05""#), "{text}");
        let other = app
            .request(reqwest::Method::POST, &endpoint, &app.token_for("1002", path))
            .json(&json!({}));
        assert_eq!(
            other.send().await.unwrap().status(),
            404,
            "somebody else's stream"
        );
    }
}

#[tokio::test]
async fn methods_that_the_modern_era_lost_are_405() {
    let app = start().await;
    let token = app.token("1001");
    for method in [
        reqwest::Method::GET,
        reqwest::Method::DELETE,
        reqwest::Method::PUT,
    ] {
        let request = app
            .request(method, "/mcp", &token)
            .header("mcp-protocol-version", "2026-07-28");
        assert_eq!(request.send().await.unwrap().status(), 405);
    }
    let session = app.initialize(&token).await;
    let resume = app
        .request(reqwest::Method::GET, "/mcp", &token)
        .header("mcp-session-id", session)
        .header("last-event-id", "something");
    assert_eq!(resume.send().await.unwrap().status(), 405);
}
