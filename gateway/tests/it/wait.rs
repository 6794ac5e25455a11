//! `gateway_wait`, the long call of `cargo xtask verify`. A second takes ten milliseconds here.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestApp, start};

async fn quick() -> TestApp {
    Setup::default().env("TIME_SCALE", "0.01").start().await
}

fn wait(seconds: impl Into<Value>) -> Value {
    json!({"name": "gateway_wait", "arguments": {"seconds": seconds.into()}, "_meta": {"progressToken": "p"}})
}

/// How far the call said it was, each time.
fn reports(answer: &Answer) -> Vec<f64> {
    let events = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let messages = events.map(|rest| serde_json::from_str::<Value>(&format!("{{{rest}")).unwrap());
    messages
        .filter(|message| message["method"] == "notifications/progress")
        .map(|message| {
            let params = &message["params"];
            assert_eq!(params["progressToken"], "p");
            params["progress"].as_f64().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn a_long_call_says_how_far_it_is_every_ten_seconds_and_ends_with_its_result_in_both_eras() {
    let app = quick().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let began = Instant::now();
    let legacy = app.call(&token, &session, "tools/call", wait(120)).await;
    assert!(
        began.elapsed() >= Duration::from_millis(1_200),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(legacy.header("content-type"), "text/event-stream");
    let wanted: Vec<f64> = (1..12).map(|step| f64::from(step) * 10.0).collect();
    assert_eq!(reports(&legacy), wanted);
    assert_eq!(legacy.json()["result"]["content"][0]["text"], "waited 120 s");

    // A short one as often as a long one.
    let modern = app.modern(&token, "tools/call", wait(20)).await;
    let wanted: Vec<f64> = (1..10).map(|step| f64::from(step) * 2.0).collect();
    assert_eq!(reports(&modern), wanted);
    assert_eq!(modern.json()["result"]["content"][0]["text"], "waited 20 s");
}

#[tokio::test]
async fn nobody_is_offered_it() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let legacy = app.call(&token, &session, "tools/list", json!({})).await;
    let modern = app.modern(&token, "tools/list", json!({})).await;
    for listed in [legacy, modern] {
        assert!(!listed.text.contains("gateway_wait"), "{listed:?}");
    }
}

#[tokio::test]
async fn seconds_that_no_call_may_take_are_refused_at_once_with_those_that_it_may() {
    let app = Setup::default().env("REQUEST_TIMEOUT", "60000").start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    for seconds in [json!(60), json!(0), json!("5"), Value::Null] {
        let answer = app
            .call(&token, &session, "tools/call", wait(seconds))
            .await
            .json();
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        assert_eq!(result["structuredContent"]["error"]["code"], "invalid_argument");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("a whole number from 1 to 59"), "{text}");
    }
}

#[tokio::test]
async fn it_counts_as_a_call_of_its_person_and_ends_when_it_is_cancelled() {
    let app = Setup::default().env("MAX_CALLS_PER_USER", "1").start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let began = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let refused = app.modern(&token, "tools/call", wait(1)).await.json();
        assert_eq!(
            refused["result"]["structuredContent"]["error"]["code"], "rate_limited",
            "{refused}"
        );
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
        assert_eq!(app.post(&token, Some(&session), &cancel).await.status, 202);
    };
    let (answer, ()) = tokio::join!(app.call(&token, &session, "tools/call", wait(20)), later);
    assert_eq!(
        answer.json()["result"]["structuredContent"]["error"]["code"],
        "cancelled",
        "{answer:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}
