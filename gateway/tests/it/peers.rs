//! Two tasks of one deployment: how they find each other, and what their private ports let in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway::id::TaskId;
use gateway::secret::Keyring;
use gateway::session::peers::PeerError;
use gateway::session::peers::auth::{MAC, PATH, PeerKeys, Stamp};
use gateway::session::peers::message::PeerMessage;

use crate::support::{SECRET, Setup, TestApp};

const QUESTION: &[u8] = br#"{"running":{"call":"none"}}"#;

async fn two_tasks() -> (TestApp, TestApp) {
    let one = Setup::default().peers().start().await;
    let two = Setup::default().start_beside(&one).await;
    (one, two)
}

/// Where `seen` finds the private port of `task`.
fn private_port(seen: &TestApp, task: &TestApp) -> SocketAddr {
    let tasks = seen.app.peers.tasks();
    let task = tasks.iter().find(|(id, _)| *id == task.app.peers.me());
    task.expect("the task is known").1
}

/// A stamp as a task of a deployment with `secret` would make it.
fn stamp(secret: &str, task: &TestApp, seconds_ahead: i64) -> Stamp {
    let keys = PeerKeys::derive(&Keyring::new(secret.to_owned().into(), Vec::new()));
    let time = task.clock.unix_seconds() + seconds_ahead;
    keys.stamp(TaskId::random(), task.app.peers.me(), time, QUESTION)
}

async fn post(app: &TestApp, address: SocketAddr, stamp: &Stamp, body: &[u8]) -> u16 {
    let request = app.http.post(format!("http://{address}{PATH}"));
    let request = stamp
        .headers()
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.body(body.to_vec()).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn tasks_find_each_other_and_answer() {
    let (one, two) = two_tasks().await;
    let question = PeerMessage::Running {
        call: "none".to_owned(),
    };
    for (from, to) in [(&one, &two), (&two, &one)] {
        let reply = from.app.peers.send(to.app.peers.me(), &question).await.unwrap();
        assert!(!reply.found);
    }
    let stranger = one.app.peers.send(TaskId::random(), &question).await;
    assert_eq!(stranger, Err(PeerError::Unknown));
    assert!(!one.app.peers.broadcast(&question).await);
}

#[tokio::test]
async fn a_task_that_leaves_is_unknown_at_once_and_one_that_is_killed_is_refused() {
    let (one, two) = two_tasks().await;
    let question = PeerMessage::Running {
        call: "none".to_owned(),
    };
    let (me, peers) = (two.app.peers.me(), two.app.peers.clone());
    drop(two);
    let began = Instant::now();
    let mut answer = one.app.peers.send(me, &question).await;
    // Its listener is closed by a task of the runtime.
    while answer.is_ok() && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = one.app.peers.send(me, &question).await;
    }
    assert_eq!(answer, Err(PeerError::Refused));
    peers.leave().await;
    while !one.app.peers.tasks().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(8), "seen at the next look");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(one.app.peers.send(me, &question).await, Err(PeerError::Unknown));
}

#[tokio::test]
async fn a_forged_stale_replayed_misdirected_or_endless_message_is_refused() {
    let (one, two) = two_tasks().await;
    let address = private_port(&one, &two);
    let send = async |stamp: Stamp| post(&one, address, &stamp, QUESTION).await;

    let good = stamp(SECRET, &two, 0);
    assert_eq!(send(good.clone()).await, 200);
    assert_eq!(send(good.clone()).await, 409, "replayed");
    assert_eq!(
        send(stamp("another deployment's secret", &two, 0)).await,
        401,
        "spoofed"
    );
    assert_eq!(send(stamp(SECRET, &two, -31)).await, 401, "stale");
    assert_eq!(send(stamp(SECRET, &two, 31)).await, 401, "from the future");
    assert_eq!(send(stamp(SECRET, &two, -29)).await, 200, "clocks differ");
    assert_eq!(send(stamp(SECRET, &one, 0)).await, 421, "for the other task");
    let altered = br#"{"running":{"call":"some"}}"#;
    assert_eq!(post(&one, address, &stamp(SECRET, &two, 0), altered).await, 401);
    let unstamped = one.http.post(format!("http://{address}{PATH}")).body(QUESTION);
    assert_eq!(unstamped.send().await.unwrap().status(), 400);
    let cut = one
        .http
        .post(format!("http://{address}{PATH}"))
        .header(MAC, "short")
        .body(QUESTION);
    assert_eq!(cut.send().await.unwrap().status(), 400);
    let endless = vec![b' '; (16 << 20) + 1];
    assert_eq!(post(&one, address, &stamp(SECRET, &two, 0), &endless).await, 413);
}

#[tokio::test]
async fn the_private_port_serves_messages_only_and_the_public_port_none() {
    let (one, two) = two_tasks().await;
    let private = private_port(&one, &two);
    for path in [
        "/",
        "/health",
        "/mcp",
        "/mcp/sse",
        "/oauth/token",
        "/.well-known/jwks.json",
    ] {
        let get = one
            .http
            .get(format!("http://{private}{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(get.status(), 404, "{path}");
        let post = one
            .http
            .post(format!("http://{private}{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(post.status(), 404, "{path}");
    }
    let get = one
        .http
        .get(format!("http://{private}{PATH}"))
        .send()
        .await
        .unwrap();
    assert_eq!(get.status(), 405);

    let public: SocketAddr = two.url.strip_prefix("http://").unwrap().parse().unwrap();
    let good = stamp(SECRET, &two, 0);
    assert_eq!(post(&one, public, &good, QUESTION).await, 404);
    assert_eq!(post(&one, private, &good, QUESTION).await, 200, "it was good");
}
