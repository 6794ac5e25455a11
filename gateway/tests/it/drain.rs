//! A stop: who is still served, who is told to come back, and when it is over (D5, T20, T50).

use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::routing::get;
use gateway::id::UserId;
use gateway::lifecycle::Stopped;
use gateway::model::google::GoogleGrant;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::support::raw::{self, Raw};
use crate::support::{Answer, Setup, TestApp, modern_meta, start};

const SECOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_millis(1_500);

/// A gateway whose Google takes `delay` to list mails, and whose person 1001 has logged in.
async fn with_slow_google(delay: Duration) -> TestApp {
    let google = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", google.local_addr().unwrap());
    let setup = Setup::default().env("GOOGLE_ISSUER", &url);
    let app = setup.env("GOOGLE_API_BASE_URL", &url).start().await;
    let grant = GoogleGrant {
        access_token: "access".into(),
        refresh_token: "refresh".into(),
        scope: "openid".to_owned(),
        expires_at: app.clock.unix_seconds() + 3_600,
        reauth_required: false,
    };
    let user = UserId::new("1001");
    app.app.store.put_google_grant(&user, &grant).await.unwrap();
    let list = move || async move {
        tokio::time::sleep(delay).await;
        Json(json!({}))
    };
    let router = Router::new().route("/gmail/v1/users/me/messages", get(list));
    app.app
        .lifecycle
        .spawn_loop(async move { axum::serve(google, router).await.unwrap() });
    app
}

fn list_mails(id: u32) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "gmail_list", "arguments": {}}})
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

/// Waits until a stop has begun.
async fn begun(app: &TestApp) {
    app.app.lifecycle.soft().cancelled().await;
    // The streams end right after it.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What a client was told last.
fn retry_of(text: &str) -> u64 {
    let mut lines = text.lines().rev();
    let line = lines.find_map(|line| line.strip_prefix("retry: "));
    line.unwrap_or_else(|| panic!("no `retry:` in {text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn during_the_grace_requests_are_served_and_streams_are_not() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut kept = Raw::connect(&app).await;
    kept.send(&raw::post(&app, "/mcp", &token, "", &ping())).await;
    kept.read_until("\"result\"", SECOND).await;
    assert!(!kept.received.contains("connection: close"), "{}", kept.received);

    let stop = async { (app.drain(GRACE, 10 * SECOND).await, Instant::now()) };
    let watch = async {
        begun(&app).await;
        let ready = app.http.get(format!("{}/ready", app.url)).send().await.unwrap();
        assert_eq!(ready.status(), 503);
        let health = app.http.get(format!("{}/health", app.url)).send().await.unwrap();
        assert_eq!(
            (health.status().as_u16(), &health.headers()["connection"]),
            (200, &"close".parse().unwrap())
        );
        assert_eq!(Answer::read(health).await.json()["status"], "draining");

        // On a connection that was idle when the stop began, which is closed then, and on a new one.
        kept.received.clear();
        kept.send(&raw::post(&app, "/mcp", &token, "", &ping())).await;
        let text = kept.read_to_end(SECOND).await;
        assert!(
            text.starts_with("HTTP/1.1 200") && text.contains("connection: close"),
            "{text}"
        );
        assert!(app.post(&token, Some(&session), &ping()).await.is_success());

        for (session, path) in [(Some(session.as_str()), "/mcp"), (Some(&session), "/mcp/sse")] {
            let token = app.token_for("1001", path);
            let text = Raw::open_stream(&app, &token, session, path)
                .await
                .read_to_end(SECOND)
                .await
                .to_owned();
            assert!(
                text.starts_with("HTTP/1.1 503") && text.contains("retry-after: "),
                "{text}"
            );
        }
        let listen = app
            .modern(&token, "subscriptions/listen", json!({"notifications": {}}))
            .await;
        assert_eq!((listen.status, listen.header("retry-after")), (503, "1"));
        // Any status but 200 would be the end for a client of the old transport.
        let mut old = Raw::open_stream(&app, &token, None, "/mcp").await;
        let text = old.read_to_end(SECOND).await;
        assert!(
            text.starts_with("HTTP/1.1 200") && !text.contains("endpoint"),
            "{text}"
        );
        assert!((500..=1_000).contains(&retry_of(text)), "{text}");
    };
    let began = Instant::now();
    let ((stopped, ended), ()) = tokio::join!(stop, watch);
    assert_eq!(stopped, Stopped::Clean);
    let took = ended - began;
    assert!(took >= GRACE && took < GRACE + SECOND, "{took:?}");
}

#[tokio::test]
async fn after_the_grace_the_listener_and_idle_connections_are_closed() {
    let app = start().await;
    let token = app.token("1001");
    let address = app.url.strip_prefix("http://").unwrap();
    let mut kept = Raw::connect(&app).await;
    kept.send(&raw::post(&app, "/mcp", &token, "", &ping())).await;
    kept.read_until("\"result\"", SECOND).await;
    let mut unused = Raw::connect(&app).await;
    let began = Instant::now();
    let watch = async {
        begun(&app).await;
        TcpStream::connect(address)
            .await
            .expect("the listener is open during the grace");
        kept.read_to_end(GRACE + SECOND).await;
        assert!(
            began.elapsed() >= GRACE,
            "an idle connection stays open during the grace"
        );
        unused.read_to_end(SECOND).await;
    };
    let (stopped, ()) = tokio::join!(app.drain(GRACE, 30 * SECOND), watch);
    assert_eq!(stopped, Stopped::Clean);
    assert!(began.elapsed() < GRACE + SECOND, "{:?}", began.elapsed());
    TcpStream::connect(address)
        .await
        .expect_err("the listener is closed");
}

/// D5: 50 streams and 5 calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_told_when_to_come_back_and_calls_get_their_answers() {
    let app = with_slow_google(2 * SECOND).await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
        stream.read_until(": keep-alive\n\n", SECOND).await;
        streams.push(stream);
    }
    let mut listening = Raw::connect(&app).await;
    let listen = json!({"jsonrpc": "2.0", "id": "l-1", "method": "subscriptions/listen",
        "params": {"_meta": modern_meta(), "notifications": {}}});
    let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";
    listening
        .send(&raw::post(&app, "/mcp", &token, headers, &listen))
        .await;
    listening.read_until("acknowledged", SECOND).await;
    let calls = (0..5).map(async |id| app.post(&token, Some(&session), &list_mails(id)).await);
    let calls = futures_util::future::join_all(calls);
    let watch = async {
        begun(&app).await;
        let mut retries = Vec::new();
        for stream in &mut streams {
            let text = stream.read_to_end(SECOND).await;
            assert!(text.ends_with("0\r\n\r\n"), "{text}");
            retries.push(retry_of(text));
        }
        assert!(
            retries.iter().all(|retry| (2_000..=3_000).contains(retry)),
            "{retries:?}"
        );
        retries.dedup();
        assert!(retries.len() > 40, "not all at once: {retries:?}");
        let text = listening.read_to_end(SECOND).await;
        assert!(
            text.contains(r#""id":"l-1","result":{"resultType":"complete""#),
            "{text}"
        );
    };
    let began = Instant::now();
    let stop = async {
        tokio::time::sleep(SECOND / 2).await;
        app.drain(SECOND / 2, 20 * SECOND).await
    };
    let (stopped, answers, ()) = tokio::join!(stop, calls, watch);
    assert_eq!(stopped, Stopped::Clean);
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
    for answer in answers {
        assert_eq!(
            answer.json()["result"]["isError"],
            Value::Bool(false),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_of_the_old_transport_waits_for_the_answers_of_its_calls() {
    let app = with_slow_google(2 * SECOND).await;
    let token = app.token("1001");
    let mut busy = Raw::open_stream(&app, &token, None, "/mcp").await;
    let url = busy.endpoint().await;
    let mut idle = Raw::open_stream(&app, &token, None, "/mcp").await;
    idle.endpoint().await;
    let post = |message: Value| app.request(Method::POST, &url, &token).json(&message).send();
    assert_eq!(post(list_mails(7)).await.unwrap().status(), 202);
    let began = Instant::now();
    let watch = async {
        begun(&app).await;
        retry_of(idle.read_to_end(SECOND).await);
        assert!(began.elapsed() < SECOND, "nothing keeps this stream open");
        // The session is served until its stream ends.
        assert_eq!(post(ping()).await.unwrap().status(), 202);
        busy.read_until(r#""id":1,"result":{}"#, SECOND).await;
        let text = busy.read_to_end(4 * SECOND).await;
        assert!(text.contains(r#""id":7,"result":"#), "{text}");
        retry_of(text);
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
    };
    let (stopped, ()) = tokio::join!(app.drain(SECOND / 2, 20 * SECOND), watch);
    assert_eq!(stopped, Stopped::Clean);
    // Two seconds of it for the client to come back elsewhere.
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
}

/// A task with an HTTP+SSE stream, the task that works for it, so many milliseconds, and the stream.
async fn work_on_another_task(ms: u64) -> (TestApp, TestApp, Raw) {
    let setup = || Setup::default().env("TEST_TOOLS", "1");
    let one = setup().peers().start().await;
    let two = setup().start_beside(&one).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let url = stream.endpoint().await;
    let slow = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "test_slow", "arguments": {"ms": ms}}});
    let posted = two.request(Method::POST, &url, &token).json(&slow).send();
    assert_eq!(posted.await.unwrap().status(), 202);
    (one, two, stream)
}

#[tokio::test]
async fn a_stream_of_the_old_transport_waits_for_calls_that_run_on_another_task() {
    let (one, _two, mut stream) = work_on_another_task(2_000).await;
    let began = Instant::now();
    let stop = async { (one.drain(Duration::ZERO, 20 * SECOND).await, began.elapsed()) };
    let ((stopped, took), text) = tokio::join!(stop, stream.read_to_end(10 * SECOND));
    assert_eq!(stopped, Stopped::Clean);
    assert!(took > SECOND && took < 5 * SECOND, "{took:?}");
    assert!(text.contains(r#""id":7,"result":"#), "{text}");
    assert!((500..=1_000).contains(&retry_of(text)), "{text}");
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn work_of_another_task_that_outlasts_the_deadline_does_not_keep_the_process() {
    let (one, _two, mut stream) = work_on_another_task(60_000).await;
    let began = Instant::now();
    assert_eq!(one.drain(Duration::ZERO, 2 * SECOND).await, Stopped::Hurried);
    assert!(began.elapsed() <= 2 * SECOND, "{:?}", began.elapsed());
    let text = stream.read_to_end(SECOND).await;
    retry_of(text);
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_call_of_the_old_transport_that_outlasts_the_deadline_gets_a_result_on_its_stream() {
    let app = with_slow_google(60 * SECOND).await;
    let token = app.token("1001");
    let mut stream = Raw::open_stream(&app, &token, None, "/mcp").await;
    let url = stream.endpoint().await;
    let post = app.request(Method::POST, &url, &token).json(&list_mails(7));
    assert_eq!(post.send().await.unwrap().status(), 202);
    assert_eq!(app.drain(Duration::ZERO, 2 * SECOND).await, Stopped::Hurried);
    let text = stream.read_to_end(SECOND).await;
    assert!(
        text.contains("shutting_down") && text.ends_with("0\r\n\r\n"),
        "{text}"
    );
    retry_of(text);
}

#[tokio::test]
async fn a_reader_that_is_behind_gets_the_rest_of_its_stream() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(": keep-alive\n\n", SECOND).await;
    let key = gateway::session::directory::SessionKey::of(&session);
    let event = vec![b':'; 3 << 20];
    assert!(app.app.mcp.wheel.send(key, &event));
    let read = async {
        tokio::time::sleep(SECOND).await;
        stream.read_to_end(10 * SECOND).await.to_owned()
    };
    let (stopped, text) = tokio::join!(app.drain(Duration::ZERO, 20 * SECOND), read);
    assert_eq!(stopped, Stopped::Clean);
    assert!(
        text.len() > event.len() && text.ends_with("0\r\n\r\n"),
        "{} bytes",
        text.len()
    );
}
