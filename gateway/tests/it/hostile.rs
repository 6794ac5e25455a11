//! Peers that stall, flood or leave at the worst moment, and stops in the middle of it.

use std::time::Duration;

use crate::support::raw::Raw;
use crate::support::{Setup, TestApp, start};

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
        let answer = app.http.get(format!("{}/health", app.url)).send().await.unwrap();
        assert_eq!(answer.status(), 503);
    }
}
