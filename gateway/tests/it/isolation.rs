//! Many people at once: everybody gets what is theirs, and nothing of anybody else's.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::dice::Dice;
use crate::support::google::{Account, fresh_account, journal};
use crate::support::{Answer, Setup, TestApp, start};

const NAMES: [&str; 13] = [
    "calendar_get_event",
    "calendar_list_events",
    "docs_get_content",
    "drive_get_content",
    "drive_list",
    "drive_search",
    "gmail_get",
    "gmail_list",
    "gmail_search",
    "sheets_get_metadata",
    "sheets_get_values",
    "test_auth",
    "whoami",
];

struct Person {
    account: Account,
    access: String,
    sessions: Vec<String>,
}

async fn people(app: &TestApp, count: usize) -> Vec<Person> {
    join_all((0..count).map(|_| async {
        let account = fresh_account();
        let access = app.login(&account.email).await.access;
        let sessions = vec![app.initialize(&access).await, app.initialize(&access).await];
        Person {
            account,
            access,
            sessions,
        }
    }))
    .await
}

async fn tool(app: &TestApp, access: &str, session: &str, name: &str) -> Answer {
    let params = json!({"name": name, "arguments": {}});
    app.call(access, session, "tools/call", params).await
}

/// T4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_people_who_reconnect_a_hundred_times_always_see_the_same_thirteen_tools() {
    let app = start().await;
    let connect = async |user: usize| {
        let token = app.token(&format!("10{user}"));
        for cycle in 0..100 {
            let session = app.initialize(&token).await;
            let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
            // Every list over a connection of its own.
            let request = app
                .request(Method::POST, "/mcp", &token)
                .header("connection", "close")
                .header("mcp-session-id", &session)
                .json(&message);
            let list = Answer::read(request.send().await.unwrap()).await;
            let mut names = list.tool_names();
            names.sort();
            assert_eq!(names, NAMES, "user {user}, cycle {cycle}");
            if cycle % 10 == 0 {
                for (method, field) in [("prompts/list", "prompts"), ("resources/list", "resources")] {
                    let answer = app.call(&token, &session, method, json!({})).await;
                    assert!(answer.json()["result"][field].is_array(), "{answer:?}");
                }
                let end = app
                    .request(Method::DELETE, "/mcp", &token)
                    .header("mcp-session-id", &session);
                assert_eq!(end.send().await.unwrap().status(), 204);
            }
        }
    };
    join_all((0..10).map(connect)).await;
}

/// T25: everybody uses the same ids, and answers come at random times, some as JSON and some as streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_with_the_same_ids_each_get_their_own_answers() {
    let setup = || Setup::default().env("TEST_TOOLS", "1").env("SLOW_AFTER", "100");
    let first = setup().peers().start().await;
    let second = setup().start_beside(&first).await;
    let tasks = [&first, &second];
    let clients = (0..200).map(async |client: u32| {
        let token = first.token(&format!("{}", 1_001 + client % 20));
        let session = tasks[client as usize % 2].initialize(&token).await;
        for turn in 0..5 {
            let key = format!("of {client} in turn {turn}");
            let ms = (client * 31 + turn * 57) % 200;
            let write = json!({"name": "test_write", "arguments": {"key": key, "ms": ms}});
            let task = tasks[(client + turn) as usize % 2];
            let call = task.legacy_call(&token, &session, turn, &write);
            let answer = Answer::read(call.send().await.unwrap()).await.json();
            assert_eq!(answer["id"], turn, "{answer}");
            let text = &answer["result"]["content"][0]["text"];
            assert_eq!(text, &format!("wrote {key}"), "{answer}");
        }
    });
    join_all(clients).await;
}

/// S8, A1, G4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_people_at_once_never_see_a_byte_of_each_other() {
    let app = Setup::default().google().start().await;
    let people = people(&app, 20).await;
    let act = async |me: usize| {
        let person = &people[me];
        let mut dice = Dice(1_000 + me as u64);
        let mut wire = String::new();
        for _ in 0..25 {
            let own = &person.sessions[dice.below(2)];
            let other = &people[(me + 1 + dice.below(19)) % 20];
            let foreign = &other.sessions[dice.below(2)];
            let (answer, status) = match dice.below(8) {
                0 => (tool(&app, &person.access, own, "whoami").await, 200),
                1 => (tool(&app, &person.access, own, "calendar_list_events").await, 200),
                2 => (app.call(&person.access, own, "tools/list", json!({})).await, 200),
                3 => (
                    app.modern(
                        &person.access,
                        "tools/call",
                        json!({"name": "drive_list", "arguments": {}}),
                    )
                    .await,
                    200,
                ),
                4 => (tool(&app, &person.access, foreign, "gmail_list").await, 404),
                5 => (tool(&app, &person.access, foreign, "whoami").await, 404),
                n => {
                    let method = if n == 6 { Method::GET } else { Method::DELETE };
                    let request = app
                        .request(method, "/mcp", &person.access)
                        .header("mcp-session-id", foreign);
                    (Answer::read(request.send().await.unwrap()).await, 404)
                }
            };
            assert_eq!(answer.status, status, "{answer:?}");
            if status == 404 {
                assert_eq!(answer.error(), (404, -32001));
            } else {
                assert_ne!(answer.json()["result"]["isError"], true, "{answer:?}");
            }
            wire.push_str(&answer.text);
        }
        wire
    };
    let wires = join_all((0..20).map(act)).await;
    for (wire, me) in wires.iter().zip(&people) {
        assert!(
            wire.contains(&me.account.email) && wire.contains(&me.account.canary),
            "{} got nothing",
            me.account.email
        );
        for other in people
            .iter()
            .filter(|other| other.account.email != me.account.email)
        {
            for theirs in [&other.account.email, &other.account.canary] {
                assert!(
                    !wire.contains(theirs.as_str()),
                    "{} saw {theirs}",
                    me.account.email
                );
            }
        }
    }
}

/// G4: Google sees a token of its own for every person, and every request with the right one.
#[tokio::test]
async fn google_is_asked_in_the_name_of_the_one_who_asks() {
    let app = Setup::default().google().start().await;
    let people = people(&app, 2).await;
    let calls = people.iter().flat_map(|person| {
        let call = |name| tool(&app, &person.access, &person.sessions[0], name);
        [
            call("gmail_list"),
            call("drive_list"),
            call("calendar_list_events"),
            call("whoami"),
        ]
    });
    for answer in join_all(calls).await {
        assert_ne!(answer.json()["result"]["isError"], true, "{answer:?}");
    }
    let mut tokens = Vec::new();
    for person in &people {
        let requests = journal(&person.account.email).await;
        let used: HashSet<String> = requests
            .iter()
            .filter_map(|entry| entry["token"].as_str())
            .map(str::to_owned)
            .collect();
        assert_eq!(used.len(), 1, "{requests:?}");
        tokens.extend(used);
    }
    assert_ne!(tokens[0], tokens[1]);
}

/// S8: a stream of the deprecated transport takes messages from its owner alone.
#[tokio::test]
async fn nobody_can_post_into_anothers_event_stream() {
    let app = start().await;
    let (ana, ben) = (app.token("1001"), app.token("1002"));
    let second = std::time::Duration::from_secs(1);
    let mut stream = crate::support::raw::Raw::open_stream(&app, &ana, None, "/mcp").await;
    let text = stream.read_until("\n\n\r\n", second).await.to_owned();
    let endpoint = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let post = async |token: &str, path: &str, id: u32| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
        let request = app.request(Method::POST, path, token).json(&message);
        Answer::read(request.send().await.unwrap()).await
    };
    assert_eq!(post(&ben, endpoint, 666).await.error(), (404, -32001));
    assert_eq!(
        post(&ana, "/mcp/messages?sessionId=junk", 667).await.error(),
        (404, -32001)
    );
    assert_eq!(post(&ana, "/mcp/messages", 668).await.error(), (404, -32001));
    assert_eq!(post("junk", endpoint, 669).await.status, 401);
    assert_eq!(post(&ana, endpoint, 1).await.status, 202);
    let text = stream.read_until(r#""id":1,"#, second).await;
    assert!(!text.contains(r#""id":66"#), "{text}");
}

/// S9: the end of a session ends its streams, is known to every task that shares the store, and is the
/// owner's to decide.
#[tokio::test]
async fn an_ended_session_takes_its_streams_with_it() {
    let app = start().await;
    let (ana, ben) = (app.token("1001"), app.token("1002"));
    let (ending, staying) = (app.initialize(&ana).await, app.initialize(&ana).await);
    let open = async |session: &str| {
        let second = std::time::Duration::from_secs(1);
        let mut raw = crate::support::raw::Raw::open_stream(&app, &ana, Some(session), "/mcp").await;
        raw.read_until(": keep-alive\n\n", second).await;
        raw
    };
    let (mut ended, mut other) = (open(&ending).await, open(&staying).await);
    let delete = async |token: &str, session: &str| {
        let request = app
            .request(Method::DELETE, "/mcp", token)
            .header("mcp-session-id", session);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(delete(&ben, &ending).await, 404);
    assert_eq!(delete(&ana, &ending).await, 204);
    assert_eq!(delete(&ana, &ending).await, 404);
    let text = ended.read_to_end(std::time::Duration::from_secs(1)).await;
    assert!(text.ends_with("0\r\n\r\n"), "a whole body: {text}");
    assert!(other.stays_open(std::time::Duration::from_millis(200)).await);
    for method in ["tools/list", "ping", "tools/call"] {
        assert_eq!(
            app.call(&ana, &ending, method, json!({"name": "whoami"}))
                .await
                .error(),
            (404, -32001)
        );
    }
    let answer: Value = app.call(&ana, &staying, "tools/list", json!({})).await.json();
    assert!(answer["result"].is_object(), "{answer}");
    let key = gateway::session::directory::SessionKey::of(&ending).text();
    assert!(
        app.app
            .store
            .session(&key)
            .await
            .unwrap()
            .is_some_and(|row| row.ended)
    );
}
