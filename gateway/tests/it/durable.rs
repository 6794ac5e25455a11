//! Slow calls of the legacy era: what they say is in a log, so a client that lost its connection gets the rest from
//! any task.

use std::time::{Duration, Instant};

use gateway::id::{TaskId, UserId};
use gateway::model::call_log::CallRow;
use gateway::session::directory::SessionKey;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::raw::{self, Raw};
use crate::support::{Answer, Setup, TestApp};

const SECOND: Duration = Duration::from_secs(1);

/// A client with a session, between two tasks of one deployment.
struct Client {
    first: TestApp,
    second: TestApp,
    token: String,
    session: String,
}

fn setup() -> Setup {
    Setup::default().env("TEST_TOOLS", "1").env("SLOW_AFTER", "100")
}

async fn client() -> Client {
    client_of("2025-11-25").await
}

async fn client_of(version: &str) -> Client {
    let first = setup().peers().start().await;
    let second = setup().start_beside(&first).await;
    let token = first.token("1001");
    let mut hello = crate::support::initialize(version);
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let session = first.post(&token, None, &hello).await.session.unwrap();
    Client {
        first,
        second,
        token,
        session,
    }
}

impl Client {
    async fn call(&self, task: &TestApp, tool: &str, arguments: Value) -> Response {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": "p"}});
        let call = task.legacy_call(&self.token, &self.session, 7, &params);
        call.send().await.unwrap()
    }

    async fn resume(&self, task: &TestApp, last: &str) -> Response {
        let get = task.request(Method::GET, "/mcp", &self.token);
        let get = get
            .header("mcp-session-id", &self.session)
            .header("last-event-id", last);
        get.send().await.unwrap()
    }
}

/// T48.
#[tokio::test]
async fn a_client_of_the_modern_era_that_comes_back_to_a_stream_is_told_at_once_by_any_task() {
    let client = client().await;
    let params = json!({"name": "test_slow", "arguments": {"key": "k", "ms": 60_000, "steps": 600},
        "_meta": {"progressToken": "p"}});
    let call = client.first.modern_request(&client.token, "tools/call", params);
    let mut stream = call.send().await.unwrap();
    let place = read_until(&mut stream, "id: ").await;
    drop(stream);
    for task in [&client.first, &client.second] {
        let back = || {
            let get = task.request(Method::GET, "/mcp", &client.token);
            get.header("mcp-protocol-version", "2026-07-28")
        };
        let response = back().header("last-event-id", &place).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let messages = messages(&response.text().await.unwrap());
        let [answer] = &messages[..] else {
            panic!("{messages:?}")
        };
        assert_eq!(answer["id"], 1, "{answer}");
        let error = &answer["result"]["structuredContent"]["error"];
        assert_eq!(error["code"], "outcome_unknown", "{answer}");
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        let plain = back().send().await.unwrap();
        assert_eq!(plain.status(), 405, "there is no other way back");
    }
}

/// Reads a stream until its newest complete event has an id and satisfies `wanted`; returns that id.
async fn read_until(response: &mut Response, wanted: &str) -> String {
    let mut text = String::new();
    loop {
        let end = text.rfind("\n\n").map_or(0, |end| end + 2);
        let complete = text.split_at(end).0;
        if let Some(event) = complete.split("\n\n").find(|event| event.contains(wanted)) {
            return ids(event).pop().unwrap_or_else(|| panic!("no id in {text}"));
        }
        let chunk = response.chunk().await.unwrap();
        let chunk = chunk.unwrap_or_else(|| panic!("the stream ended without `{wanted}`: {text}"));
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

fn ids(stream: &str) -> Vec<String> {
    let ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(str::to_owned).collect()
}

fn messages(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|json| !json.is_empty());
    data.map(|json| serde_json::from_str(json).unwrap()).collect()
}

fn steps(messages: &[Value]) -> Vec<u64> {
    let steps = messages
        .iter()
        .filter_map(|message| message["params"]["progress"].as_f64());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small counts"
    )]
    steps.map(|step| step as u64).collect()
}

fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{message}"))
}

#[tokio::test]
async fn a_connection_that_breaks_loses_nothing_and_the_rest_comes_from_another_task() {
    let client = client().await;
    let arguments = json!({"ms": 1_200, "steps": 5});
    let mut broken = client.call(&client.first, "test_slow", arguments).await;
    let last = read_until(&mut broken, "step 2 of 5").await;
    drop(broken);

    let rest = Answer::read(client.resume(&client.second, &last).await).await;
    assert_eq!(rest.status, 200);
    assert_eq!(ids(&rest.text)[0], last, "the place comes first: {rest:?}");
    let messages = messages(&rest.text);
    assert_eq!(steps(&messages), [3, 4, 5], "{rest:?}");
    let response = messages.last().unwrap();
    assert_eq!(response["id"], 7);
    assert!(text(response).starts_with("done after 1200 ms"), "{response}");

    // From the beginning, to the task that ran it: the same again. After the end: nothing.
    let call = last.split_once('.').unwrap().0;
    let again = Answer::read(client.resume(&client.first, &format!("{call}.0")).await).await;
    assert_eq!(steps(&self::messages(&again.text)), [1, 2, 3, 4, 5]);
    for task in [&client.first, &client.second] {
        let end = ids(&again.text).pop().unwrap();
        assert_eq!(client.resume(task, &end).await.status(), 405);
    }
}

#[tokio::test]
async fn the_head_of_a_slow_call_goes_out_with_the_place_to_come_back_to() {
    let client = client().await;
    let slow = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "test_slow", "arguments": {"ms": 3_000}}});
    let session = format!("mcp-session-id: {}\r\n", client.session);
    let mut raw = Raw::connect(&client.first).await;
    // A client that has the head alone when the task dies would wait for ever.
    let faults = client.first.app.store.faults().unwrap();
    faults.delay(SECOND);
    raw.send(&raw::post(&client.first, "/mcp", &client.token, &session, &slow))
        .await;
    let pieces = raw.read_for(2 * SECOND).await;
    let first = |wanted: &str| {
        let piece = pieces.iter().find(|(_, text)| text.contains(wanted));
        piece.unwrap_or_else(|| panic!("no {wanted}: {pieces:?}")).0
    };
    assert!(
        first("HTTP/1.1 200") >= SECOND,
        "the log takes a second: {pieces:?}"
    );
    let alone = first("id: ").saturating_sub(first("HTTP/1.1 200"));
    assert!(alone < SECOND / 10, "{pieces:?}");
}

#[tokio::test]
async fn a_client_that_was_away_when_its_call_ended_finds_the_result() {
    let client = client().await;
    let mut broken = client.call(&client.first, "test_slow", json!({"ms": 400})).await;
    let last = read_until(&mut broken, "retry:").await;
    drop(broken);
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    let rest = Answer::read(client.resume(&client.second, &last).await).await;
    assert!(began.elapsed() < SECOND / 2, "it does not wait");
    assert!(text(&rest.json()).starts_with("done"), "{rest:?}");
}

#[tokio::test]
async fn a_result_larger_than_a_row_of_the_store_comes_whole() {
    let client = client().await;
    let arguments = json!({"ms": 300, "bytes": 1_000_000});
    let mut broken = client.call(&client.first, "test_slow", arguments).await;
    let last = read_until(&mut broken, "retry:").await;
    drop(broken);
    let rest = Answer::read(client.resume(&client.second, &last).await).await;
    assert_eq!(text(&rest.json()).len(), "done after 300 ms ".len() + 1_000_000);
}

/// A task that was too busy for its heartbeats is not dead.
#[tokio::test]
async fn a_call_goes_on_whose_task_is_missing_among_the_living_for_a_moment() {
    let client = client().await;
    let store = &client.first.app.store;
    let owner = client.first.app.peers.me();
    let mut broken = client
        .call(&client.first, "test_slow", json!({"ms": 6_000}))
        .await;
    let last = read_until(&mut broken, "retry:").await;
    drop(broken);
    let mut entry = store.fleet().await.unwrap().tasks[&owner].clone();
    let missing = async |time: Duration| {
        let began = Instant::now();
        while began.elapsed() < time {
            store.leave_fleet(owner).await.unwrap();
            tokio::time::sleep(SECOND / 50).await;
        }
    };
    missing(2 * SECOND).await;
    let mut rest = client.resume(&client.second, &last).await;
    missing(SECOND / 2).await;
    entry.beat += 1_000;
    store.beat(owner, &entry, &[]).await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = rest.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.contains("done after 6000 ms"), "{text}");
}

#[tokio::test]
async fn a_call_of_a_task_that_is_gone_ends_with_an_unknown_outcome_within_3_seconds() {
    let client = client().await;
    let row = CallRow {
        user: UserId::new("1001"),
        session: Some(SessionKey::of(&client.session).text()),
        request_id: "7".to_owned(),
        owner: TaskId::random(),
        last_seq: 0,
        ended: false,
        expires_at: client.first.clock.unix_seconds() + 600,
    };
    let call = "AAAAAAAAAAAAAAAAAAAAAA";
    client.first.app.store.begin_call(call, &row).await.unwrap();
    let began = Instant::now();
    let (one, two) = tokio::join!(
        client.resume(&client.first, "AAAAAAAAAAAAAAAAAAAAAA.0"),
        client.resume(&client.second, "AAAAAAAAAAAAAAAAAAAAAA.0"),
    );
    let answers = [Answer::read(one).await, Answer::read(two).await];
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    for answer in answers {
        let [result] = messages(&answer.text)
            .try_into()
            .expect("one end, whoever wrote it");
        assert_eq!(
            (&result["id"], &result["result"]["isError"]),
            (&json!(7), &json!(true))
        );
        let code = &result["result"]["structuredContent"]["error"]["code"];
        assert_eq!(code, "outcome_unknown");
    }
}

#[tokio::test]
async fn a_task_that_is_cut_short_parks_an_honest_end() {
    let client = client().await;
    let mut broken = client
        .call(&client.first, "test_slow", json!({"ms": 60_000}))
        .await;
    let last = read_until(&mut broken, "retry:").await;
    let Client {
        first,
        second,
        token,
        session,
    } = client;
    drop(first);
    let rest = second.request(Method::GET, "/mcp", &token);
    let rest = rest
        .header("mcp-session-id", session)
        .header("last-event-id", last);
    let rest = Answer::read(rest.send().await.unwrap()).await;
    assert_eq!(
        rest.json()["result"]["structuredContent"]["error"]["code"],
        "shutting_down",
        "{rest:?}"
    );
}

/// T26.
#[tokio::test]
async fn the_place_of_a_call_is_worth_nothing_to_others() {
    let client = client().await;
    let mut stream = client.call(&client.first, "test_slow", json!({"ms": 300})).await;
    let last = read_until(&mut stream, "retry:").await;
    let ben = client.first.token("1002");
    let bens = client.first.initialize(&ben).await;
    let anas_other = client.first.initialize(&client.token).await;
    for (token, session) in [
        (&ben, Some(&bens)),
        (&ben, None),
        (&client.token, Some(&anas_other)),
    ] {
        for task in [&client.first, &client.second] {
            let mut get = task
                .request(Method::GET, "/mcp", token)
                .header("last-event-id", &last);
            if let Some(session) = session {
                get = get.header("mcp-session-id", session);
            }
            assert_eq!(get.send().await.unwrap().status(), 405);
        }
    }
    for junk in [
        "AAAAAAAAAAAAAAAAAAAAAA.0",
        "AAAAAAAAAAAAAAAAAAAAAA.9999999999999",
        "x",
        "7.7",
    ] {
        assert_eq!(client.resume(&client.second, junk).await.status(), 405, "{junk}");
    }
}

#[tokio::test]
async fn an_older_client_gets_no_event_without_a_message_but_can_come_back_after_the_first() {
    let client = client_of("2025-06-18").await;
    let arguments = json!({"ms": 900, "steps": 2});
    let mut broken = client.call(&client.first, "test_slow", arguments).await;
    let last = read_until(&mut broken, "step 1 of 2").await;
    drop(broken);
    let rest = Answer::read(client.resume(&client.second, &last).await).await;
    assert_eq!(steps(&messages(&rest.text)), [2]);
}

/// S4.
#[tokio::test]
async fn a_stream_that_is_opened_again_says_what_was_missed_on_any_task() {
    let client = client().await;
    let open = async |task: &TestApp, last: Option<&str>| {
        let mut get = task.request(Method::GET, "/mcp", &client.token);
        get = get.header("mcp-session-id", &client.session);
        if let Some(last) = last {
            get = get.header("last-event-id", last);
        }
        get.send().await.unwrap()
    };
    let place = read_until(&mut open(&client.first, None).await, "retry:").await;
    let again = read_until(&mut open(&client.second, Some(&place)).await, "retry:").await;
    assert_eq!(again, place, "nothing changed");

    let changed = client.call(&client.first, "test_notify", json!({})).await;
    assert!(changed.status().is_success());
    let began = Instant::now();
    for task in [&client.first, &client.second] {
        loop {
            let mut stream = open(task, Some(&place)).await;
            let now = read_until(&mut stream, "id: s.").await;
            if now != place {
                break;
            }
            assert!(began.elapsed() < 5 * SECOND, "the version is polled every 2 s");
            tokio::time::sleep(SECOND / 5).await;
        }
        let mut stream = open(task, Some(&place)).await;
        read_until(&mut stream, "notifications/tools/list_changed").await;
    }
}

#[tokio::test]
async fn a_tool_asks_the_person_and_goes_on_with_the_answer() {
    let client = client().await;
    let mut stream = client
        .call(&client.first, "test_elicit", json!({"message": "which?"}))
        .await;
    let mut asked = String::new();
    while !asked.contains("elicitation/create") {
        asked.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let question = messages(&asked).pop().unwrap();
    assert_eq!(question["params"]["message"], "which?");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});

    let ben = client.first.token("1002");
    let bens = client.first.initialize(&ben).await;
    assert_eq!(
        client.first.post(&ben, Some(&bens), &answer).await.status,
        202,
        "and nothing happens"
    );
    let posted = client
        .first
        .post(&client.token, Some(&client.session), &answer)
        .await;
    assert_eq!(posted.status, 202);
    let rest = Answer::read(stream).await;
    let result: Value = serde_json::from_str(text(&rest.json())).unwrap();
    assert_eq!(result["answer"]["action"], "accept", "{result}");
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not_asked() {
    let client = client().await;
    let plain = client.first.initialize(&client.token).await;
    let params = json!({"name": "test_elicit", "arguments": {"message": "which?"}});
    let legacy = client.first.legacy_call(&client.token, &plain, 1, &params);
    let modern = client
        .first
        .modern_request(&client.token, "tools/call", params.clone());
    for request in [legacy, modern] {
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert!(text(&answer.json()).contains("cannot be asked"), "{answer:?}");
    }
}
