//! Calls that take their time: an answer that turns into a stream, cancellation in both eras, the budget.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::google::{Account, fault, fault_once, fresh_account, journal};
use crate::support::login::Tokens;
use crate::support::raw::Raw;
use crate::support::{Answer, Setup, TestApp};

const SECOND: Duration = Duration::from_secs(1);
const MESSAGES: &str = "/gmail/v1/users/me/messages";
const KEEP_ALIVE: &str = ": keep-alive\n\n";

struct Person {
    app: TestApp,
    account: Account,
    tokens: Tokens,
    session: String,
}

/// A gateway with these settings, and a person who is logged in and has a session.
async fn person(setup: Setup) -> Person {
    let app = setup.google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let session = app.initialize(&tokens.access).await;
    Person {
        app,
        account,
        tokens,
        session,
    }
}

impl Person {
    fn legacy(&self, id: u32, params: &Value) -> reqwest::RequestBuilder {
        self.app
            .legacy_call(&self.tokens.access, &self.session, id, params)
    }

    /// Google takes `ms` for the next request for mail.
    async fn delay_mail(&self, ms: u64) {
        fault_once(&self.account.email, MESSAGES, json!({"kind": "delay", "ms": ms})).await;
    }

    /// The requests for mail, once the first of them is over.
    async fn mail_requests(&self) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let mut entries = journal(&self.account.email).await;
            entries.retain(|entry| entry["path"].as_str().unwrap().starts_with(MESSAGES));
            if entries.first().is_some_and(|entry| !entry["ms"].is_null()) {
                return entries;
            }
            assert!(
                began.elapsed() < 5 * SECOND,
                "the request is still open: {entries:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn list_mail() -> Value {
    json!({"name": "gmail_list", "arguments": {"maxResults": 2}})
}

fn content_type(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

/// Reads a stream to its end: when each piece came.
async fn pieces(mut response: Response, began: Instant) -> Vec<(Duration, String)> {
    let mut pieces = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        pieces.push((began.elapsed(), String::from_utf8(chunk.to_vec()).unwrap()));
    }
    pieces
}

fn messages(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|json| !json.is_empty());
    data.map(|json| serde_json::from_str(json).unwrap()).collect()
}

/// T5, T7.
#[tokio::test]
async fn a_slow_answer_turns_into_a_stream_with_comments_until_the_result() {
    let setup = Setup::default()
        .env("SLOW_AFTER", "200")
        .env("SSE_KEEPALIVE_INTERVAL", "1000");
    let person = person(setup).await;
    person.delay_mail(2_500).await;
    let began = Instant::now();
    let response = person.legacy(1, &list_mail()).send().await.unwrap();
    let head = began.elapsed();
    assert!(head >= Duration::from_millis(200) && head < SECOND, "{head:?}");
    assert_eq!(
        (response.status().as_u16(), content_type(&response)),
        (200, "text/event-stream")
    );
    let headers = response.headers();
    assert_eq!(headers["cache-control"], "no-cache, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert!(headers.get("content-length").is_none(), "{headers:?}");

    let pieces = pieces(response, began).await;
    let mut last = began.elapsed().min(head);
    for (at, text) in &pieces {
        assert!(
            at.saturating_sub(last) <= 2 * SECOND,
            "a gap before {text:?} at {at:?} in {pieces:?}"
        );
        last = *at;
    }
    assert_eq!(pieces[0].1, KEEP_ALIVE, "the first comment comes at once");
    assert!(pieces[0].0 < SECOND, "{pieces:?}");
    let comments = pieces.iter().filter(|(_, text)| text == KEEP_ALIVE).count();
    assert!(
        (3..=4).contains(&comments),
        "one at once, then one a second: {pieces:?}"
    );
    let messages = messages(&pieces.last().unwrap().1);
    assert_eq!(messages.len(), 1, "{pieces:?}");
    assert!(
        messages[0]["result"]["isError"] != true && messages[0]["id"] == 1,
        "{messages:?}"
    );
}

#[tokio::test]
async fn a_fast_answer_is_plain_json_in_both_eras() {
    let person = person(Setup::default()).await;
    let legacy = person.legacy(1, &list_mail());
    let modern = person
        .app
        .modern_request(&person.tokens.access, "tools/call", list_mail());
    for request in [legacy, modern] {
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), content_type(&response)),
            (200, "application/json")
        );
        assert_ne!(Answer::read(response).await.json()["result"]["isError"], true);
    }
}

#[tokio::test]
async fn a_legacy_client_that_disconnects_does_not_stop_its_call() {
    let person = person(Setup::default().env("SLOW_AFTER", "200")).await;
    person.delay_mail(1_000).await;
    let response = person.legacy(1, &list_mail()).send().await.unwrap();
    drop(response);
    let requests = person.mail_requests().await;
    assert_eq!(
        requests[0]["status"], 200,
        "Google's answer was waited for: {requests:?}"
    );
    let began = Instant::now();
    while person.mail_requests().await.len() < 3 {
        assert!(
            began.elapsed() < 3 * SECOND,
            "the two mails of the list are read as well"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Before and after the answer has turned into a stream.
#[tokio::test]
async fn a_modern_client_that_disconnects_cancels_its_call_within_a_second() {
    for slow_after in ["200", "2000"] {
        let person = person(Setup::default().env("SLOW_AFTER", slow_after)).await;
        person.delay_mail(1_400).await;
        let request = person
            .app
            .modern_request(&person.tokens.access, "tools/call", list_mail());
        let waiting = tokio::time::timeout(Duration::from_millis(400), async {
            let mut response = request.send().await.unwrap();
            while response.chunk().await.unwrap().is_some() {}
        });
        assert!(waiting.await.is_err(), "the call was to be slow");
        // The client is gone 0.4 s after the start, and Google would answer 1 s later.
        let requests = person.mail_requests().await;
        assert_eq!(requests.len(), 1, "nothing more is asked: {requests:?}");
        assert!(
            requests[0]["status"].is_null(),
            "Google's answer found nobody: {requests:?}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_notification_ends_the_call_of_its_session_and_of_no_other() {
    let person = person(Setup::default().env("SLOW_AFTER", "200")).await;
    person.delay_mail(4_000).await;
    let began = Instant::now();
    let response = person.legacy(7, &list_mail()).send().await.unwrap();
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7, "reason": "enough"}});
    // The same id means another call in another session, and with another type.
    let other = person.app.initialize(&person.tokens.access).await;
    let stranger = person.app.token("4711");
    let strangers = person.app.initialize(&stranger).await;
    let text_id =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "7"}});
    let post = |token: String, session: String, message: Value| {
        let app = &person.app;
        async move { app.post(&token, Some(&session), &message).await.status }
    };
    assert_eq!(
        post(person.tokens.access.clone(), other, cancel.clone()).await,
        202
    );
    assert_eq!(post(stranger.clone(), strangers, cancel.clone()).await, 202);
    assert_eq!(post(stranger, person.session.clone(), cancel.clone()).await, 404);
    assert_eq!(
        post(person.tokens.access.clone(), person.session.clone(), text_id).await,
        202
    );
    let mut response = response;
    let quiet = tokio::time::timeout(Duration::from_millis(700), async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            let text = std::str::from_utf8(&chunk).unwrap();
            assert!(messages(text).is_empty(), "the call is still at work: {text}");
        }
    });
    assert!(quiet.await.is_err(), "nobody else can end the call");

    let cancelled = Instant::now();
    assert_eq!(
        post(person.tokens.access.clone(), person.session.clone(), cancel).await,
        202
    );
    let rest = pieces(response, began).await;
    assert!(cancelled.elapsed() < SECOND, "{:?}", cancelled.elapsed());
    let text: String = rest.into_iter().map(|(_, text)| text).collect();
    let messages = messages(&text);
    // Clients take an error for no answer at all on a stream, so the end is a result here as well.
    let [end] = messages.try_into().expect("one message");
    assert_eq!(end["result"]["isError"], true, "{end}");
    assert_eq!(
        end["result"]["structuredContent"]["error"]["code"], "cancelled",
        "{end}"
    );
    let requests = person.mail_requests().await;
    assert!(
        requests.len() == 1 && requests[0]["status"].is_null(),
        "{requests:?}"
    );
}

/// T13, T19 (`REQUEST_TIMEOUT`).
#[tokio::test]
async fn the_request_budget_ends_a_stuck_call_and_leaves_streams_alone() {
    let setup = Setup::default()
        .env("SLOW_AFTER", "200")
        .env("REQUEST_TIMEOUT", "1000")
        .env("SSE_KEEPALIVE_INTERVAL", "1000");
    let person = person(setup).await;
    let access = &person.tokens.access;
    let mut stream = Raw::open_stream(&person.app, access, Some(&person.session), "/mcp").await;
    stream.read_until(KEEP_ALIVE, SECOND).await;
    fault(&person.account.email, MESSAGES, json!({"kind": "blackhole"})).await;
    let legacy = person.legacy(1, &list_mail());
    let modern = person.app.modern_request(access, "tools/call", list_mail());
    for request in [legacy, modern] {
        let began = Instant::now();
        let answer = Answer::read(request.send().await.unwrap()).await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(1_500), "{took:?}");
        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{answer:?}");
        assert_eq!(
            result["structuredContent"]["error"]["code"], "timeout",
            "{answer:?}"
        );
    }
    assert!(stream.stays_open(SECOND).await, "a stream has no budget");
}

#[tokio::test]
async fn a_pause_that_google_asks_for_is_told_as_progress_before_the_result() {
    let person = person(
        Setup::default()
            .env("SLOW_AFTER", "30000")
            .env("REQUEST_TIMEOUT", "60000"),
    )
    .await;
    let mut params = list_mail();
    params["_meta"] = json!({"progressToken": "p-1"});
    let busy = json!({"kind": "too_many_requests", "retryAfter": 1});
    let legacy = person.legacy(1, &params);
    let modern = person
        .app
        .modern_request(&person.tokens.access, "tools/call", params.clone());
    for request in [legacy, modern] {
        fault_once(&person.account.email, MESSAGES, busy.clone()).await;
        let began = Instant::now();
        let response = request.send().await.unwrap();
        assert!(
            began.elapsed() < SECOND,
            "the notification does not wait for the result"
        );
        assert_eq!(content_type(&response), "text/event-stream");
        let text: String = pieces(response, began)
            .await
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert!(began.elapsed() >= SECOND, "Google's pause is kept");
        let [progress, result] = messages(&text).try_into().expect("a notification and the result");
        assert_eq!(progress["method"], "notifications/progress");
        assert_eq!(progress["params"]["progressToken"], "p-1");
        assert!(
            progress["params"]["progress"].as_f64().unwrap() > 0.0,
            "{progress}"
        );
        assert!(
            result["result"]["isError"] != true && result["id"] == 1,
            "{result}"
        );
    }
}

#[tokio::test]
async fn a_client_that_asked_for_no_notification_gets_none() {
    let person = person(Setup::default()).await;
    let busy = json!({"kind": "too_many_requests", "retryAfter": 1});
    fault_once(&person.account.email, MESSAGES, busy.clone()).await;
    let response = person.legacy(1, &list_mail()).send().await.unwrap();
    assert_eq!(content_type(&response), "application/json", "1 s is not slow");
    assert_ne!(Answer::read(response).await.json()["result"]["isError"], true);

    let level = json!({"level": "warning"});
    let set = person
        .app
        .call(&person.tokens.access, &person.session, "logging/setLevel", level);
    assert!(set.await.is_success());
    fault_once(&person.account.email, MESSAGES, busy).await;
    let answer = Answer::read(person.legacy(2, &list_mail()).send().await.unwrap()).await;
    let [warning, result] = messages(&answer.text)
        .try_into()
        .expect("a warning and the result");
    assert_eq!(
        (&warning["method"], &warning["params"]["level"]),
        (&json!("notifications/message"), &json!("warning"))
    );
    assert_eq!(result["id"], 2);
}
