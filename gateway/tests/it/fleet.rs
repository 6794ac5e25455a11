//! What a client does at one task and notices at another: a cancel, an end, an answer, a new tool list, a revocation.

use std::time::{Duration, Instant};

use gateway::session::directory::SessionKey;
use gateway::session::peers::message::{Delivery, PeerMessage, Work};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::google::fresh_account;
use crate::support::raw::Raw;
use crate::support::{Setup, TestApp, initialize};

const SECOND: Duration = Duration::from_secs(1);
const KEEP_ALIVE: &str = ": keep-alive\n\n";
const LIST_CHANGED: &str = "notifications/tools/list_changed";

async fn two_tasks(setup: fn() -> Setup) -> (TestApp, TestApp) {
    let one = setup().peers().start().await;
    let two = setup().start_beside(&one).await;
    (one, two)
}

fn test_tools() -> Setup {
    Setup::default().env("TEST_TOOLS", "1").env("SLOW_AFTER", "100")
}

#[tokio::test]
async fn a_cancel_at_another_task_stops_the_work_within_a_second() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let session = one.initialize(&token).await;
    let slow = json!({"name": "test_slow", "arguments": {"ms": 60_000}});
    let request = one.legacy_call(&token, &session, 7, &slow);
    let mut response = request.send().await.unwrap();
    let mut said = String::new();

    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    let other_session = two.initialize(&token).await;
    let ignored = two.post(&token, Some(&other_session), &cancel).await;
    assert_eq!(ignored.status, 202, "another session's call with the same id");
    let quiet = tokio::time::timeout(SECOND, async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            said.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    });
    assert!(quiet.await.is_err(), "the call is still at work: {said}");

    let began = Instant::now();
    assert_eq!(two.post(&token, Some(&session), &cancel).await.status, 202);
    let rest = response.text().await.unwrap();
    println!("a cancel took {:?}", began.elapsed());
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(rest.contains(r#""code":"cancelled""#), "{rest}");
}

#[tokio::test]
async fn an_answer_at_another_task_reaches_who_asked_within_half_a_second() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let session = one.post(&token, None, &hello).await.session.unwrap();
    let ask = json!({"name": "test_elicit", "arguments": {"message": "which?"}});
    let request = one.legacy_call(&token, &session, 7, &ask);
    let mut response = request.send().await.unwrap();
    let mut said = String::new();
    let asked = loop {
        said.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        let question = said.lines().find(|line| line.contains("elicitation/create"));
        if let Some(question) = question.filter(|_| said.ends_with("\n\n")) {
            break question.strip_prefix("data: ").unwrap().to_owned();
        }
    };
    let question: Value = serde_json::from_str(&asked).unwrap();
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});

    let ben = two.token("1002");
    let bens = two.initialize(&ben).await;
    assert_eq!(
        two.post(&ben, Some(&bens), &answer).await.status,
        202,
        "and nothing happens"
    );
    let began = Instant::now();
    assert_eq!(two.post(&token, Some(&session), &answer).await.status, 202);
    let rest = response.text().await.unwrap();
    println!("an answer took {:?}", began.elapsed());
    assert!(began.elapsed() < SECOND / 2, "{:?}", began.elapsed());
    assert!(rest.contains(r#"\"action\":\"accept\""#), "{rest}");
}

#[tokio::test]
async fn a_task_says_whether_a_call_runs_there() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let session = one.initialize(&token).await;
    let slow = json!({"name": "test_slow", "arguments": {"ms": 1_000}});
    let request = one.legacy_call(&token, &session, 7, &slow);
    let mut response = request.send().await.unwrap();
    let mut said = String::new();
    while !said.contains("id: ") || !said.ends_with("\n\n") {
        said.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let id = said.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let call = id.split_once('.').unwrap().0.to_owned();
    let question = PeerMessage::Running { call };
    let runs = || two.app.peers.send(one.app.peers.me(), &question);
    assert!(runs().await.unwrap().found);
    response.text().await.unwrap();
    let began = Instant::now();
    while runs().await.unwrap().found {
        assert!(began.elapsed() < SECOND, "it is over");
    }
}

#[tokio::test]
async fn a_session_that_ends_at_one_task_ends_at_the_other_at_once() {
    let (one, two) = two_tasks(Setup::default).await;
    let token = one.token("1001");
    let session = one.initialize(&token).await;
    let other = one.initialize(&token).await;
    let mut stream = Raw::open_stream(&two, &token, Some(&session), "/mcp").await;
    stream.read_until(KEEP_ALIVE, SECOND).await;
    let mut stays = Raw::open_stream(&two, &token, Some(&other), "/mcp").await;
    stays.read_until(KEEP_ALIVE, SECOND).await;

    let delete = one
        .request(Method::DELETE, "/mcp", &token)
        .header("mcp-session-id", &session);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    let rest = stream.read_to_end(SECOND).await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    // The other task had the session in its cache, for a minute.
    let answer = two.call(&token, &session, "tools/list", json!({})).await;
    assert_eq!(answer.error(), (404, -32001));
    assert!(
        two.call(&token, &other, "tools/list", json!({}))
            .await
            .is_success()
    );
    assert!(stays.stays_open(SECOND / 2).await);
}

#[tokio::test]
async fn a_changed_tool_list_is_told_once_on_every_task_to_whoever_wants_to_know() {
    let (one, two) = two_tasks(Setup::default).await;
    let token = one.token("1001");
    let session = one.initialize(&token).await;
    let mut older = Raw::open_stream(&one, &token, Some(&session), "/mcp").await;
    older.read_until(KEEP_ALIVE, SECOND).await;
    let mut newer = Raw::open_stream(&one, &token, Some(&session), "/mcp").await;
    newer.read_until(KEEP_ALIVE, SECOND).await;
    let mut sse = Raw::open_stream(&two, &token, None, "/mcp").await;
    sse.read_until("event: endpoint", SECOND).await;
    let mut listens = Raw::listen(&two, &token, &json!({"toolsListChanged": true})).await;
    listens.read_until("acknowledged", SECOND).await;
    let mut deaf = Raw::listen(&two, &token, &json!({"toolsListChanged": false})).await;
    deaf.read_until("acknowledged", SECOND).await;

    one.app.store.bump_catalogue().await.unwrap();
    for told in [&mut newer, &mut sse, &mut listens] {
        told.read_until(LIST_CHANGED, 4 * SECOND).await;
    }
    let tagged = listens
        .received
        .lines()
        .find(|line| line.contains(LIST_CHANGED))
        .unwrap();
    let message: Value = serde_json::from_str(tagged.strip_prefix("data: ").unwrap()).unwrap();
    let tag = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(tag, "l-1", "{message}");
    for told in [&mut newer, &mut sse, &mut listens] {
        assert!(told.stays_open(2 * SECOND + SECOND / 2).await);
        assert_eq!(
            told.received.matches(LIST_CHANGED).count(),
            1,
            "{}",
            told.received
        );
    }
    for untold in [&mut older, &mut deaf] {
        untold.stays_open(SECOND / 10).await;
        assert!(!untold.received.contains(LIST_CHANGED), "{}", untold.received);
    }
}

/// A release with other tools: the SDKs ask for the list again only when they are told.
#[tokio::test]
async fn a_client_that_comes_back_to_another_release_is_told_of_its_tools() {
    let one = Setup::default().peers().start().await;
    let two = test_tools().start_beside(&one).await;
    let token = one.token("1001");
    let session = one.initialize(&token).await;
    let mut stream = Raw::open_stream(&one, &token, Some(&session), "/mcp").await;
    let text = stream.read_until("id: s.", SECOND).await;
    let place = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();

    let mut same = Raw::resume_stream(&one, &token, &session, place).await;
    same.read_until("id: s.", SECOND).await;
    assert!(!same.received.contains(LIST_CHANGED), "{}", same.received);
    let mut other = Raw::resume_stream(&two, &token, &session, place).await;
    other.read_until(LIST_CHANGED, SECOND).await;
    // What a client of HTTP+SSE knows it does not say.
    let mut old = Raw::come_back(&two, &token).await;
    old.read_until(LIST_CHANGED, SECOND).await;
    let mut new = Raw::open_stream(&two, &token, None, "/mcp").await;
    new.endpoint().await;
    assert!(!new.received.contains(LIST_CHANGED), "{}", new.received);
}

#[tokio::test]
async fn a_single_task_tells_of_a_changed_tool_list_at_once() {
    let app = Setup::default().start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(KEEP_ALIVE, SECOND).await;
    app.app.store.bump_catalogue().await.unwrap();
    stream.read_until(LIST_CHANGED, SECOND).await;
}

#[tokio::test]
async fn the_deprecated_transport_works_behind_round_robin() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let path = stream.endpoint().await;
    let post = |app: &TestApp, message: &Value| app.request(Method::POST, &path, &token).json(message).send();
    let call = |id: u32, ms: u32| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "test_slow", "arguments": {"ms": ms, "steps": 2}, "_meta": {"progressToken": id}}})
    };
    assert_eq!(post(&two, &initialize("2024-11-05")).await.unwrap().status(), 202);
    stream
        .read_until(r#""protocolVersion":"2024-11-05""#, SECOND)
        .await;
    for (id, app) in [(2, &one), (3, &two), (4, &one), (5, &two)] {
        assert_eq!(post(app, &call(id, 300)).await.unwrap().status(), 202);
        stream
            .read_until(&format!(r#""id":{id},"result""#), 2 * SECOND)
            .await;
        let progress = format!(r#""progressToken":{id}"#);
        assert_eq!(
            stream.received.matches(&progress).count(),
            2,
            "{}",
            stream.received
        );
    }

    assert_eq!(post(&two, &call(9, 60_000)).await.unwrap().status(), 202);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    assert_eq!(post(&one, &cancel).await.unwrap().status(), 202);
    stream.read_until(r#""code":"cancelled""#, SECOND).await;
}

#[tokio::test]
async fn a_call_of_the_deprecated_transport_whose_task_is_gone_ends_within_3_seconds() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&two, &token, None, "/mcp").await;
    let path = stream.endpoint().await;
    let session = path.split_once("sessionId=").unwrap().1;
    let session = SessionKey::of(session.split('&').next().unwrap());
    // What a task says that begins to work, and then is no more.
    let work = Work {
        name: "work".to_owned(),
        request_id: "7".to_owned(),
    };
    let begins = PeerMessage::Deliver(Delivery {
        session,
        events: String::new(),
        work: Some(work),
        last: false,
    });
    let began = Instant::now();
    assert!(
        one.app
            .peers
            .send(two.app.peers.me(), &begins)
            .await
            .unwrap()
            .found
    );
    let text = stream.read_until(r#""id":7,"result""#, 3 * SECOND).await;
    assert!(text.contains(r#""code":"outcome_unknown""#), "{text}");
    assert!(began.elapsed() > SECOND, "it is asked first");

    // One that goes on is left alone.
    let slow = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call",
        "params": {"name": "test_slow", "arguments": {"ms": 5_000}}});
    let posted = one.request(Method::POST, &path, &token).json(&slow).send();
    assert_eq!(posted.await.unwrap().status(), 202);
    let text = stream.read_until(r#""id":8,"result""#, 7 * SECOND).await;
    assert!(text.contains("done after 5000 ms"), "{text}");
}

/// A task that was too busy for its heartbeats is not dead.
#[tokio::test]
async fn a_task_that_is_missing_among_the_living_for_a_moment_finishes_its_call() {
    let (one, two) = two_tasks(test_tools).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&two, &token, None, "/mcp").await;
    let path = stream.endpoint().await;
    let slow = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call",
        "params": {"name": "test_slow", "arguments": {"ms": 7_000}}});
    let posted = one.request(Method::POST, &path, &token).json(&slow).send();
    assert_eq!(posted.await.unwrap().status(), 202);
    let began = Instant::now();
    while began.elapsed() < 3 * SECOND {
        let worker = one.app.peers.me();
        two.app.store.leave_fleet(worker).await.unwrap();
        tokio::time::sleep(SECOND / 50).await;
    }
    let text = stream.read_until(r#""id":8,"result""#, 7 * SECOND).await;
    assert!(text.contains("done after 7000 ms"), "{text}");
}

#[tokio::test]
async fn a_message_whose_stream_is_gone_is_503_before_any_work() {
    let (one, two) = two_tasks(Setup::default).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let path = stream.endpoint().await;
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "whoami", "arguments": {}}});
    let post = || two.request(Method::POST, &path, &token).json(&call).send();
    assert_eq!(post().await.unwrap().status(), 202);
    drop(stream);
    let began = Instant::now();
    while one.app.mcp.wheel.stats().streams > 0 {
        assert!(began.elapsed() < 2 * SECOND, "a close is noticed within a tick");
        tokio::time::sleep(SECOND / 50).await;
    }
    let answer = post().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    drop(one);
    let began = Instant::now();
    assert_eq!(post().await.unwrap().status(), 503, "the task is dead");
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_revoked_grant_is_refused_by_every_task_within_ten_seconds() {
    let (one, two) = two_tasks(|| Setup::default().google()).await;
    let account = fresh_account();
    let first = one.login(&account.email).await;
    let other = one.login(&account.email).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for app in [&one, &two] {
        assert_eq!(
            app.post(&first.access, None, &list).await.status,
            200,
            "in the cache"
        );
    }
    let second = one.refresh(&first).await;
    assert_eq!(second.status, 200, "{second:?}");
    let renewed = second.json()["access_token"].as_str().unwrap().to_owned();
    one.clock.advance(Duration::from_secs(31));
    let replay = one.refresh(&first).await;
    assert_eq!(replay.json()["error"], "invalid_grant");

    let began = Instant::now();
    for app in [&one, &two] {
        for token in [&first.access, &renewed] {
            while app.post(token, None, &list).await.status == 200 {
                assert!(began.elapsed() < 10 * SECOND, "not revoked");
                tokio::time::sleep(SECOND / 20).await;
            }
            let answer = app.post(token, None, &list).await;
            assert_eq!(answer.status, 401);
            let challenge = answer.header("www-authenticate");
            assert!(challenge.contains("was revoked"), "{challenge}");
        }
        assert_eq!(
            app.post(&other.access, None, &list).await.status,
            200,
            "another grant"
        );
    }
    println!("revoked everywhere after {:?}", began.elapsed());

    // A task that starts later knows as well.
    let three = Setup::default().google().start_beside(&one).await;
    let began = Instant::now();
    while three.post(&renewed, None, &list).await.status == 200 {
        assert!(began.elapsed() < 10 * SECOND, "not revoked");
        tokio::time::sleep(SECOND / 20).await;
    }
}

#[tokio::test]
async fn what_is_open_under_a_revoked_grant_ends_on_every_task_and_transport() {
    let (one, two) = two_tasks(|| test_tools().google()).await;
    let account = fresh_account();
    let mine = one.login(&account.email).await;
    let other = one.login(&account.email).await;
    let session = one.initialize(&mine.access).await;
    let others = one.initialize(&other.access).await;
    let wanted = json!({"toolsListChanged": true});
    let mut open = vec![
        Raw::open_stream(&one, &mine.access, Some(&session), "/mcp").await,
        Raw::open_stream(&two, &mine.access, Some(&session), "/mcp").await,
        Raw::open_stream(&two, &mine.access, None, "/mcp").await,
        Raw::listen(&one, &mine.access, &wanted).await,
    ];
    for stream in &mut open {
        stream.read_until(KEEP_ALIVE, SECOND).await;
    }
    let mut stays = Raw::open_stream(&two, &other.access, Some(&others), "/mcp").await;
    stays.read_until(KEEP_ALIVE, SECOND).await;
    let slow = json!({"name": "test_slow", "arguments": {"ms": 60_000}});
    let call = one.legacy_call(&mine.access, &session, 7, &slow).send();
    let mut call = call.await.unwrap();
    let mut said = String::new();
    while !said.contains("id: ") || !said.ends_with("\n\n") {
        said.push_str(std::str::from_utf8(&call.chunk().await.unwrap().unwrap()).unwrap());
    }
    let place = said.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let resumed = two.request(Method::GET, "/mcp", &mine.access);
    let resumed = resumed
        .header("mcp-session-id", &session)
        .header("last-event-id", place);
    let resumed = resumed.send().await.unwrap();
    assert_eq!(resumed.status(), 200);

    one.refresh(&mine).await;
    one.clock.advance(Duration::from_secs(31));
    assert_eq!(one.refresh(&mine).await.json()["error"], "invalid_grant");
    let began = Instant::now();
    for stream in &mut open {
        let text = stream.read_to_end(10 * SECOND).await;
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
    }
    for calls in [call, resumed] {
        tokio::time::timeout(10 * SECOND, calls.text())
            .await
            .unwrap()
            .unwrap();
    }
    println!("everything ended after {:?}", began.elapsed());
    assert!(stays.stays_open(SECOND).await, "another grant of the same person");
}
