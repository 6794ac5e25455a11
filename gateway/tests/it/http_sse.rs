//! The deprecated HTTP+SSE transport: what is asked on a stream follows its client to the next one, and 202 says that
//! the answer is safe.

use std::time::{Duration, Instant};

use gateway::id::TaskId;
use gateway::lifecycle::Stopped;
use gateway::model::call_log::OpenCall;
use gateway::model::fleet::TaskEntry;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::raw::Raw;
use crate::support::{Setup, TestApp};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(50);

async fn two_tasks() -> (TestApp, TestApp) {
    let setup = || Setup::default().env("TEST_TOOLS", "1").env("SLOW_AFTER", "100");
    let one = setup().peers().start().await;
    let two = setup().start_beside(&one).await;
    (one, two)
}

fn slow(id: u32, ms: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "test_slow", "arguments": {"ms": ms}}})
}

/// The end of the event of a call's result.
fn result(id: u32) -> String {
    format!(r#""id":{id},"result""#)
}

async fn post(app: &TestApp, endpoint: &str, token: &str, message: Value) -> Response {
    let request = app.request(Method::POST, endpoint, token).json(&message);
    // As the SDK for TypeScript does in Node.js: it waits for the answer.
    request.header("user-agent", "node").send().await.unwrap()
}

/// A POST that is accepted at once: of a client that may send one at a time.
async fn begin(app: &TestApp, endpoint: &str, token: &str, message: Value) {
    let request = app.request(Method::POST, endpoint, token).json(&message);
    assert_eq!(request.send().await.unwrap().status(), 202);
}

/// Waits until no stream is left on a task.
async fn empty(app: &TestApp) {
    let began = Instant::now();
    while app.app.mcp.wheel.stats().streams > 0 {
        assert!(began.elapsed() < 3 * SECOND, "the stream does not end");
        tokio::time::sleep(MOMENT).await;
    }
}

#[tokio::test]
async fn a_call_that_meets_a_stream_on_its_way_to_another_task_is_answered_there() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    let stop = one.drain(SECOND, 20 * SECOND);
    let client = async {
        stream.read_to_end(SECOND).await;
        // By way of a task that never had the stream, and of the one that had it.
        let posts = async {
            tokio::join!(
                post(&two, &endpoint, &token, slow(7, 1)),
                post(&one, &endpoint, &token, slow(8, 1))
            )
        };
        let back = async {
            tokio::time::sleep(SECOND / 2).await;
            let mut stream = Raw::come_back(&two, &token).await;
            for id in [7, 8] {
                stream.read_until(&result(id), SECOND).await;
            }
            stream
        };
        let ((at_two, at_one), mut stream) = tokio::join!(posts, back);
        assert_eq!(
            (at_two.status(), at_one.status()),
            (202.try_into().unwrap(), 202.try_into().unwrap())
        );
        for id in [7, 8] {
            assert_eq!(
                stream.received.matches(&result(id)).count(),
                1,
                "{}",
                stream.received
            );
        }
        // A cancel on the new endpoint reaches a call that was sent to the old one.
        begin(&two, &endpoint, &token, slow(9, 60_000)).await;
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
        let now = stream.endpoint().await;
        assert_eq!(post(&two, &now, &token, cancel).await.status(), 202);
        stream.read_until(r#""code":"cancelled""#, SECOND).await;
    };
    let (stopped, ()) = tokio::join!(stop, client);
    assert_eq!(stopped, Stopped::Clean);
}

#[tokio::test]
async fn the_result_of_a_call_follows_its_client_to_the_next_stream() {
    for at_holder in [true, false] {
        let (one, two) = two_tasks().await;
        let token = one.token("1001");
        let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
        let endpoint = stream.endpoint().await;
        let worker = if at_holder { &one } else { &two };
        begin(worker, &endpoint, &token, slow(7, 2_500)).await;
        drop(stream);
        empty(&one).await;
        let mut next = Raw::come_back(&two, &token).await;
        next.read_until("done after 2500 ms", 4 * SECOND).await;
        assert_eq!(next.received.matches(&result(7)).count(), 1, "{}", next.received);
    }
}

/// Before the next look at all streams.
#[tokio::test]
async fn an_answer_that_is_due_when_its_client_has_just_closed_its_stream_follows_it() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&one, &endpoint, &token, slow(7, 100)).await;
    drop(stream);
    tokio::time::sleep(4 * MOMENT).await;
    let mut next = Raw::come_back(&two, &token).await;
    next.read_until("done after 100 ms", 2 * SECOND).await;
}

#[tokio::test]
async fn a_call_can_be_cancelled_on_the_stream_that_its_client_opened_since() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&two, &endpoint, &token, slow(7, 60_000)).await;
    drop(stream);
    empty(&one).await;
    let mut next = Raw::come_back(&two, &token).await;
    let endpoint = next.endpoint().await;
    // The task of the last stream hears of this one a moment later.
    tokio::time::sleep(2 * MOMENT).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(post(&two, &endpoint, &token, cancel).await.status(), 202);
    next.read_until(r#""code":"cancelled""#, SECOND).await;
}

/// Two clients with one grant: only the first stream ends until its client is back.
#[tokio::test]
async fn streams_of_one_grant_end_one_after_the_other() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut first = Raw::open_stream(&one, &token, None, "/mcp").await;
    let first_endpoint = first.endpoint().await;
    let mut second = Raw::open_stream(&one, &token, None, "/mcp").await;
    let second_endpoint = second.endpoint().await;
    let client = async {
        first.read_to_end(SECOND).await;
        assert!(second.stays_open(SECOND).await);
        let mut first = Raw::come_back(&two, &token).await;
        first.endpoint().await;
        second.read_to_end(SECOND).await;
        let mut second = Raw::come_back(&two, &token).await;
        second.endpoint().await;
        for (endpoint, id) in [(&first_endpoint, 7), (&second_endpoint, 8)] {
            assert_eq!(post(&two, endpoint, &token, slow(id, 1)).await.status(), 202);
        }
        first.read_until(&result(7), SECOND).await;
        second.read_until(&result(8), SECOND).await;
        assert!(!first.received.contains(&result(8)) && !second.received.contains(&result(7)));
    };
    let (stopped, ()) = tokio::join!(one.drain(5 * SECOND, 20 * SECOND), client);
    assert_eq!(stopped, Stopped::Clean);
}

/// As a deployment stops all old tasks at once.
#[tokio::test]
async fn streams_of_one_grant_on_two_tasks_that_stop_end_one_after_the_other() {
    let (one, two) = two_tasks().await;
    let three = Setup::default().env("TEST_TOOLS", "1").start_beside(&one).await;
    two.meet(&three).await;
    three.meet(&two).await;
    let token = one.token("1001");
    let client = async |app: &TestApp, id: u32| {
        let mut stream = Raw::open_stream(app, &token, None, "/mcp").await;
        let endpoint = stream.endpoint().await;
        stream.read_to_end(5 * SECOND).await;
        let ended = Instant::now();
        let posted = async { post(&three, &endpoint, &token, slow(id, 1)).await.status() };
        let back = async {
            tokio::time::sleep(SECOND / 2).await;
            let mut stream = Raw::come_back(&three, &token).await;
            stream.read_until(&result(id), SECOND).await;
            (ended, stream)
        };
        let (status, back) = tokio::join!(posted, back);
        assert_eq!(status, 202);
        back
    };
    let stop = async {
        tokio::time::sleep(SECOND / 4).await;
        tokio::join!(
            one.drain(5 * SECOND, 20 * SECOND),
            two.drain(5 * SECOND, 20 * SECOND)
        )
    };
    let (stopped, first, second) = tokio::join!(stop, client(&one, 7), client(&two, 8));
    assert_eq!(stopped, (Stopped::Clean, Stopped::Clean));
    assert!(!first.1.received.contains(&result(8)) && !second.1.received.contains(&result(7)));
    let apart = first.0.max(second.0) - first.0.min(second.0);
    assert!(apart >= SECOND / 2, "{apart:?}");
}

/// Streams of one grant that ended on two tasks: whose the next one is nobody can tell, so nothing is sent there.
#[tokio::test]
async fn a_client_that_may_be_another_one_gets_nothing_that_is_not_its_own() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut endpoints = Vec::new();
    for app in [&one, &two] {
        let mut stream = Raw::open_stream(app, &token, None, "/mcp").await;
        endpoints.push(stream.endpoint().await);
        drop(stream);
        empty(app).await;
    }
    let mut back = Raw::come_back(&two, &token).await;
    back.endpoint().await;
    let posts = endpoints
        .iter()
        .map(|endpoint| post(&two, endpoint, &token, slow(7, 1)));
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer.status(), 503);
    }
    // Nor is one of another grant, or one that was never here before, taken for the client.
    let mut stream = Raw::open_stream(&two, &token, None, "/mcp").await;
    stream.endpoint().await;
    assert!(!stream.received.contains(&result(7)) && !back.received.contains(&result(7)));
}

#[tokio::test]
async fn a_post_is_accepted_when_the_answer_is_on_its_way_and_a_call_whose_stream_died_is_told() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    let began = Instant::now();
    assert_eq!(post(&two, &endpoint, &token, slow(7, 1_000)).await.status(), 202);
    assert!(began.elapsed() >= SECOND, "{:?}", began.elapsed());
    stream.read_until(&result(7), SECOND).await;
    // A client that may send nothing meanwhile is not made to wait.
    let began = Instant::now();
    begin(&two, &endpoint, &token, slow(8, 1_000)).await;
    assert!(began.elapsed() < SECOND / 2, "{:?}", began.elapsed());
    stream.read_until(&result(8), 2 * SECOND).await;

    let kill = async {
        tokio::time::sleep(SECOND / 4).await;
        drop(one);
    };
    // The client is told while the call goes on.
    let call = slow(9, 20_000);
    let began = Instant::now();
    let (answer, ()) = tokio::join!(post(&two, &endpoint, &token, call), kill);
    assert_eq!(answer.status(), 500);
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("the event stream ended before the answer"),
        "{text}"
    );
}

/// Notes a call as a task that is gone left it.
async fn leave_note(app: &TestApp, grant: &str, id: u32) {
    let call = OpenCall {
        request_id: id.to_string(),
        expires_at: app.clock.unix_seconds() + 600,
    };
    let noted = app.app.store.note_open_call(grant, &call.request_id, &call).await;
    noted.unwrap();
}

/// What a client that comes back is told before it learns where to POST.
async fn told_first(back: &mut Raw) -> String {
    back.endpoint().await;
    let (told, _) = back.received.split_once("event: endpoint").unwrap();
    told.to_owned()
}

/// T48. The transport has no place to come back to, and clients of one grant cannot be told apart: each is told of all.
#[tokio::test]
async fn clients_whose_streams_went_down_with_their_task_are_told_of_their_calls_when_they_are_back() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    leave_note(&one, &one.claims("1001", "/mcp", 0).sid, 6).await;
    let mut there = Raw::open_stream(&one, &token, None, "/mcp").await;
    there.endpoint().await;
    let mut back = Vec::new();
    for _ in 0..2 {
        let mut next = Raw::come_back(&two, &token).await;
        let told = told_first(&mut next).await;
        assert!(
            told.contains(&result(6)) && told.contains("outcome_unknown"),
            "{told}"
        );
        back.push(next);
    }
    // Nobody is told while it is not away.
    for (mut stream, told) in [(there, 0), (back.remove(0), 1)] {
        assert!(stream.stays_open(4 * MOMENT).await);
        let received = stream.received;
        assert_eq!(received.matches(&result(6)).count(), told, "{received}");
    }
}

/// Nothing is sent that may be another's, so each is told that its call is lost.
#[tokio::test]
async fn clients_of_one_grant_that_lose_their_streams_at_once_are_told_of_their_calls() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut streams = Vec::new();
    for id in [7, 8] {
        let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
        let endpoint = stream.endpoint().await;
        begin(&two, &endpoint, &token, slow(id, 4_000)).await;
        streams.push(stream);
    }
    tokio::time::sleep(SECOND / 2).await;
    streams.clear();
    empty(&one).await;
    for _ in 0..2 {
        let mut next = Raw::come_back(&two, &token).await;
        let told = told_first(&mut next).await;
        assert!(told.contains(&result(7)) && told.contains(&result(8)), "{told}");
        assert!(next.stays_open(3 * SECOND).await);
        assert!(!next.received.contains("done after"), "{}", next.received);
    }
}

/// A client that is not told at once goes on meanwhile, and counts its calls like the other clients of its grant.
#[tokio::test]
async fn a_client_is_told_later_where_a_dead_task_is_silent_but_not_of_what_it_has_asked_since() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let grant = one.claims("1001", "/mcp", 0).sid;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let entry = TaskEntry {
        address: silent.local_addr().unwrap().to_string(),
        started: one.clock.unix_seconds(),
        seen: one.clock.unix_seconds(),
        beat: 1,
    };
    let known = two.app.store.beat(TaskId::random(), &entry, &[]).await.unwrap();
    while two.app.peers.tasks().len() + 1 < known.tasks.len() {
        tokio::time::sleep(MOMENT).await;
    }
    for id in [5, 6] {
        leave_note(&one, &grant, id).await;
    }
    let mut next = Raw::come_back(&two, &token).await;
    let endpoint = next.endpoint().await;
    begin(&one, &endpoint, &token, slow(6, 6_000)).await;
    assert!(!next.received.contains("outcome_unknown"), "{}", next.received);
    drop(silent);
    next.read_until(&result(5), 5 * SECOND).await;
    next.read_until("done after 6000 ms", 7 * SECOND).await;
    assert_eq!(next.received.matches(&result(6)).count(), 1, "{}", next.received);
}

/// Its POST is answered, so nothing else will tell the client.
#[tokio::test]
async fn a_call_that_has_said_something_is_noted_before_it_is_slow_and_while_it_is_at_work() {
    let app = Setup::default().env("TEST_TOOLS", "1").env("SLOW_AFTER", "30000");
    let app = app.env("TIME_SCALE", "0.05").start().await;
    let token = app.token("1001");
    let grant = app.claims("1001", "/mcp", 0).sid;
    let mut stream = Raw::open_stream(&app, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    let mut call = slow(7, 20_000);
    call["params"]["arguments"]["steps"] = json!(99);
    call["params"]["_meta"] = json!({"progressToken": "p"});
    begin(&app, &endpoint, &token, call).await;
    stream.read_until("notifications/progress", SECOND).await;
    tokio::time::sleep(2 * MOMENT).await;
    assert_eq!(app.app.store.open_calls(&grant).await.unwrap().len(), 1);
    // The note expires, and is written anew.
    app.clock.advance(60 * SECOND);
    let began = Instant::now();
    while app.app.store.open_calls(&grant).await.unwrap().is_empty() {
        assert!(began.elapsed() < 3 * SECOND, "the note is gone");
        tokio::time::sleep(MOMENT).await;
    }
}

#[tokio::test]
async fn a_client_is_told_of_a_call_that_another_task_is_at_work_for_when_that_of_its_stream_died() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&two, &endpoint, &token, slow(7, 60_000)).await;
    tokio::time::sleep(SECOND / 2).await;
    drop(one);
    stream.read_to_end(SECOND).await;
    let mut next = Raw::come_back(&two, &token).await;
    let received = next.read_until(&result(7), 3 * SECOND).await;
    assert!(received.contains("outcome_unknown"), "{received}");
}

#[tokio::test]
async fn a_call_that_is_answered_leaves_no_note() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let grant = one.claims("1001", "/mcp", 0).sid;
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&two, &endpoint, &token, slow(7, 1_000)).await;
    tokio::time::sleep(SECOND / 2).await;
    let open = two.app.store.open_calls(&grant).await.unwrap();
    let [call] = &open[..] else { panic!("{open:?}") };
    assert_eq!(call.request_id, "7");
    stream.read_until(&result(7), 2 * SECOND).await;
    tokio::time::sleep(4 * MOMENT).await;
    assert_eq!(two.app.store.open_calls(&grant).await.unwrap(), []);
}

#[tokio::test]
async fn a_result_finds_its_client_when_the_task_that_knew_the_way_is_gone() {
    let (one, two) = two_tasks().await;
    let three = Setup::default().env("TEST_TOOLS", "1").start_beside(&one).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&two, &endpoint, &token, slow(7, 5_000)).await;
    drop(stream);
    empty(&one).await;
    let mut next = Raw::come_back(&three, &token).await;
    next.endpoint().await;
    tokio::time::sleep(3 * SECOND).await;
    drop(one);
    next.read_until("done after 5000 ms", 4 * SECOND).await;
    assert_eq!(next.received.matches(&result(7)).count(), 1, "{}", next.received);
}

/// The task that alone will know where the client is does not stop before whoever works for it has learned that.
#[tokio::test]
async fn a_task_that_stops_waits_for_a_client_that_another_task_works_for() {
    let (one, two) = two_tasks().await;
    let three = Setup::default().env("TEST_TOOLS", "1").start_beside(&one).await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&two, &endpoint, &token, slow(7, 7_000)).await;
    drop(stream);
    empty(&one).await;
    let client = async {
        // The task at work asks after two seconds, and the client is not back yet.
        tokio::time::sleep(5 * SECOND / 2).await;
        let mut next = Raw::come_back(&three, &token).await;
        next.endpoint().await;
        next
    };
    let (stopped, mut next) = tokio::join!(one.drain(SECOND, 20 * SECOND), client);
    assert_eq!(stopped, Stopped::Clean);
    drop(one);
    next.read_until("done after 7000 ms", 6 * SECOND).await;
}

#[tokio::test]
async fn a_call_of_the_task_that_had_the_stream_moves_to_the_next_one_while_it_is_at_work() {
    let (one, two) = two_tasks().await;
    let token = one.token("1001");
    let mut stream = Raw::open_stream(&one, &token, None, "/mcp").await;
    let endpoint = stream.endpoint().await;
    begin(&one, &endpoint, &token, slow(7, 6_000)).await;
    drop(stream);
    empty(&one).await;
    let mut next = Raw::come_back(&two, &token).await;
    next.endpoint().await;
    tokio::time::sleep(3 * SECOND).await;
    // A drain ends a stream that nothing is at work for.
    let answered = next.read_until("done after 6000 ms", 5 * SECOND);
    let (stopped, _) = tokio::join!(two.drain(SECOND, 20 * SECOND), answered);
    assert_eq!(stopped, Stopped::Clean);
}
