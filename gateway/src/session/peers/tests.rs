//! Messages to tasks that are dead, slow or odd, and the fleet row through an outage of the store.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::secret::Keyring;
use crate::store::faults;

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn question() -> PeerMessage {
    PeerMessage::Running { call: "c".to_owned() }
}

fn link(address: SocketAddr) -> Link {
    let http = reqwest::Client::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Link { address, http }
}

/// A task over `store` whose private port is said to be at `address`.
fn task(store: &Store, address: SocketAddr) -> Peers {
    let clock = Clock::manual(jiff::Timestamp::from_second(1_800_000_000).unwrap());
    let keyring = Keyring::new("a secret for tests only".to_owned().into(), Vec::new());
    Peers::new(
        TaskId::random(),
        store.beside(),
        clock,
        PeerKeys::derive(&keyring),
        Some(link(address)),
    )
}

/// What a task gets from a peer whose private port does `act` with each connection.
async fn answer_of<F>(act: impl Fn(TcpStream) -> F + Send + 'static) -> Result<PeerReply, PeerError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (store, _) = faults::store().await;
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let peer = task(&store, listener.local_addr().unwrap());
    let lifecycle = Lifecycle::new();
    let serving = lifecycle.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            act(socket).await;
        }
    });
    peer.beat().await.unwrap();
    let answer = task(&store, ANYWHERE).send(peer.me(), &question()).await;
    serving.abort();
    answer
}

async fn say(mut socket: TcpStream, answer: &'static str) {
    let mut request = Vec::new();
    // Closing with unread bytes resets the connection.
    while !request.ends_with(b"}") {
        if socket.read_buf(&mut request).await.is_ok_and(|read| read == 0) {
            return;
        }
    }
    let _ = socket.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn a_peer_that_answers_is_heard() {
    let answer = answer_of(|socket| {
        say(
            socket,
            "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"found\":true}",
        )
    });
    assert_eq!(answer.await, Ok(PeerReply::found(true)));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_dead_task() {
    let (store, _) = faults::store().await;
    let free = TcpListener::bind(ANYWHERE).await.unwrap().local_addr().unwrap();
    let peer = task(&store, free);
    peer.beat().await.unwrap();
    let answer = task(&store, ANYWHERE).send(peer.me(), &question()).await;
    assert_eq!(answer, Err(PeerError::Refused));
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_is_a_dead_task() {
    let closed = answer_of(|socket| say(socket, "")).await;
    assert_eq!(closed, Err(PeerError::Refused));
    let reset = answer_of(|socket| async move {
        let _ = socket.readable().await;
        socket2::SockRef::from(&socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    assert_eq!(reset.await, Err(PeerError::Refused));
    let another_process = answer_of(|socket| {
        say(
            socket,
            "HTTP/1.1 421 Misdirected Request\r\ncontent-length: 0\r\n\r\n",
        )
    });
    assert_eq!(another_process.await, Err(PeerError::Refused));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_undecidable_after_a_second() {
    let began = std::time::Instant::now();
    let answer = answer_of(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    });
    assert_eq!(answer.await, Err(PeerError::Silent));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_rejection() {
    for answer in [
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
    ] {
        let answer = answer_of(move |socket| say(socket, answer)).await;
        assert_eq!(answer, Err(PeerError::Rejected));
    }
}

/// A client may give up on a call at another task than that which has just begun it.
#[tokio::test]
async fn a_message_for_all_reaches_a_task_that_started_after_the_last_look() {
    let (store, _) = faults::store().await;
    let asking = task(&store, ANYWHERE);
    asking.look().await.unwrap();
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let newer = task(&store, listener.local_addr().unwrap());
    let lifecycle = Lifecycle::new();
    let serving = lifecycle.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        say(
            socket,
            "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"found\":true}",
        )
        .await;
    });
    newer.beat().await.unwrap();
    assert!(asking.broadcast(&question()).await);
    serving.abort();
}

#[tokio::test]
async fn a_single_task_knows_nobody() {
    let (store, _) = faults::store().await;
    let clock = Clock::system();
    let keyring = Keyring::new("a secret for tests only".to_owned().into(), Vec::new());
    let alone = Peers::new(TaskId::random(), store, clock, PeerKeys::derive(&keyring), None);
    assert_eq!(
        alone.send(TaskId::random(), &question()).await,
        Err(PeerError::Unknown)
    );
    assert!(!alone.broadcast(&question()).await);
    assert!(alone.tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_asks_the_store_less_than_once_a_second() {
    let (store, engine) = faults::store().await;
    let (peers, lifecycle) = (task(&store, ANYWHERE), Lifecycle::new());
    peers.start(&lifecycle);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = engine.requests();
    tokio::time::sleep(Duration::from_mins(10)).await;
    let asked = engine.requests() - before;
    // 300 looks and 120 heartbeats.
    assert!((400..=440).contains(&asked), "{asked} requests in 600 s");
    lifecycle.hard().cancel();
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_taken_for_dead_is_back_with_its_next_look() {
    let (store, _) = faults::store().await;
    let (peers, lifecycle) = (task(&store, ANYWHERE), Lifecycle::new());
    peers.start(&lifecycle);
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.leave_fleet(peers.me()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.fleet().await.unwrap().tasks.contains_key(&peers.me()));
    peers.leave().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tasks = store.fleet().await.unwrap().tasks;
    assert!(
        tasks.is_empty(),
        "no heartbeat comes after the good-bye: {tasks:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_stopped_beating_is_taken_out_of_the_row() {
    let (store, _) = faults::store().await;
    let dead = task(&store, ANYWHERE);
    dead.beat().await.unwrap();
    let (peers, lifecycle) = (task(&store, ANYWHERE), Lifecycle::new());
    peers.start(&lifecycle);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(peers.tasks().len(), 1);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(peers.tasks(), []);
    assert_eq!(store.fleet().await.unwrap().tasks.len(), 1);
}
