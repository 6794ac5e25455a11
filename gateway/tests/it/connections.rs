//! Connections and streams as sockets: what keeps them alive, what frees them, how many there may be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::dice::Dice;
use crate::support::raw::{self, Raw};
use crate::support::{Setup, TestApp, modern_meta, start};

const SECOND: Duration = Duration::from_secs(1);
const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// A connection that asks for `/health` again and again.
struct Health(Raw);

impl Health {
    async fn connect(app: &TestApp) -> Self {
        Self(Raw::connect(app).await)
    }

    async fn body(&mut self) -> Value {
        self.0.received.clear();
        self.0.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let text = self.0.read_until("}}", SECOND).await;
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    /// Waits until so many connections are open, this one included.
    async fn settles_at(&mut self, connections: usize) {
        let began = Instant::now();
        loop {
            let active = self.body().await["activeConnections"].clone();
            if active == connections {
                return;
            }
            assert!(
                began.elapsed() < 2 * SECOND,
                "{active} connections instead of {connections}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Closes a connection the rude way, with a reset.
fn reset(raw: &Raw) {
    let socket = socket2::SockRef::from(&raw.socket);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// What is inside of the chunks of a chunked body, whose head is left out.
fn unchunked(pieces: &[(Duration, String)]) -> String {
    let wire: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
    let mut rest = wire.split_once("\r\n\r\n").unwrap().1;
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let (chunk, after) = after.split_at_checked(size).expect("a whole chunk");
        body.push_str(chunk);
        rest = after.strip_prefix("\r\n").expect("the end of a chunk");
    }
    body
}

/// T5, T19 (`SSE_KEEPALIVE_INTERVAL`): on the stream of a session, of the deprecated transport and of a listen.
#[tokio::test]
async fn no_stream_is_silent_for_longer_than_its_interval_and_a_second() {
    let watch = async |interval: u64| {
        let setup = Setup::default().env("SSE_KEEPALIVE_INTERVAL", &interval.to_string());
        let app = setup.start().await;
        let token = app.token("1001");
        let session = app.initialize(&token).await;
        let listen = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
            "params": {"_meta": modern_meta(), "notifications": {}}});
        let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";
        let mut listening = Raw::connect(&app).await;
        listening
            .send(&raw::post(&app, "/mcp", &token, headers, &listen))
            .await;
        let streams = [
            Raw::open_stream(&app, &token, Some(&session), "/mcp").await,
            Raw::open_stream(&app, &token, None, "/mcp").await,
            listening,
        ];
        let reading = streams.map(|mut stream| async move { stream.read_for(5 * SECOND).await });
        for pieces in futures_util::future::join_all(reading).await {
            let ends = pieces.iter().skip(1).map(|(at, _)| *at).chain([5 * SECOND]);
            let longest = pieces
                .iter()
                .zip(ends)
                .map(|((at, _), next)| next.saturating_sub(*at))
                .max();
            let allowed = Duration::from_millis(interval) + SECOND;
            assert!(longest.unwrap() <= allowed, "{interval}: {pieces:?}");
            let body = unchunked(&pieces);
            let comments = body.matches(KEEP_ALIVE).count();
            let expected = usize::try_from(5_000 / interval).unwrap();
            assert!(comments.abs_diff(expected + 1) <= 1, "{interval}: {pieces:?}");
            let events = body.replace(KEEP_ALIVE, "");
            assert!(
                events.is_empty()
                    || ["event: ", "id: ", "retry: "]
                        .iter()
                        .any(|field| events.starts_with(field))
                        && events.ends_with("\n\n"),
                "only comments and whole events: {body}"
            );
        }
    };
    tokio::join!(watch(1_000), watch(2_000));
}

/// T7.
#[tokio::test]
async fn both_paths_send_the_head_of_a_stream_at_once() {
    let app = start().await;
    for path in ["/mcp", "/mcp/sse"] {
        let token = app.token_for("1001", path);
        let session = app.initialize_at(path, &token).await;
        for session in [Some(session.as_str()), None] {
            let mut stream = Raw::open_stream(&app, &token, session, path).await;
            let text = stream.read_until(KEEP_ALIVE, SECOND).await.to_ascii_lowercase();
            let head = text.split("\r\n\r\n").next().unwrap();
            assert!(head.starts_with("http/1.1 200 ok\r\n"), "{path}: {head}");
            for line in [
                "content-type: text/event-stream",
                "cache-control: no-cache, no-transform",
                "x-accel-buffering: no",
            ] {
                assert!(
                    head.lines().any(|found| found == line),
                    "{path}: {line} in {head}"
                );
            }
            assert!(!head.contains("content-length"), "{path}: {head}");
        }
    }
}

/// T6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_hundred_streams_that_broke_off_nothing_is_left() {
    let setup = Setup::default().env("SSE_KEEPALIVE_INTERVAL", "1000");
    let app = setup.start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut health = Health::connect(&app).await;
    let before = health.body().await["activeConnections"].as_u64().unwrap();
    for round in 0..500 {
        let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
        match round % 5 {
            0 => reset(&stream),
            // Gone before the head is written.
            1 => {}
            2 => {
                stream.read_until(KEEP_ALIVE, SECOND).await;
                reset(&stream);
            }
            3 => {
                stream.read_until("200 OK", SECOND).await;
                stream.send("GET /health HTTP/1.1\r\n").await;
            }
            _ => {
                stream.read_until(KEEP_ALIVE, SECOND).await;
            }
        }
    }
    health.settles_at(usize::try_from(before).unwrap()).await;
    assert_eq!(app.app.mcp.wheel.stats().streams, 0);
    assert_eq!(health.body().await["connections"]["oldestConnection"], 0);
}

/// O8: idle connections, half requests and streams are opened and closed in a random order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_counts_exactly_the_sockets_that_are_open() {
    let setup = Setup::default().env("SSE_KEEPALIVE_INTERVAL", "1000");
    let app = setup.start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut health = Health::connect(&app).await;
    let others = usize::try_from(health.body().await["activeConnections"].as_u64().unwrap()).unwrap();
    let (mut dice, mut open) = (Dice(42), Vec::new());
    for step in 1..=200 {
        if !open.is_empty() && dice.below(2) == 0 {
            drop(open.swap_remove(dice.below(open.len())));
        } else {
            open.push(match dice.below(4) {
                0 => Raw::connect(&app).await,
                1 => {
                    let mut half = Raw::connect(&app).await;
                    half.send("POST /mcp HTTP/1.1\r\nhost:").await;
                    half
                }
                2 => {
                    let mut used = Raw::connect(&app).await;
                    used.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
                    used.read_until("200 OK", SECOND).await;
                    used
                }
                _ => Raw::open_stream(&app, &token, Some(&session), "/mcp").await,
            });
        }
        if step % 20 == 0 {
            health.settles_at(others + open.len()).await;
        }
    }
    open.clear();
    health.settles_at(others).await;
}

/// A full house says so, and has a place again as soon as one guest leaves.
#[tokio::test]
async fn one_connection_too_many_gets_503_and_retry_after() {
    let app = Setup::default().env("MAX_CONNECTIONS", "5").start().await;
    let mut guests = Vec::new();
    for _ in 0..5 {
        guests.push(Health::connect(&app).await);
        guests.last_mut().unwrap().body().await;
    }
    for _ in 0..20 {
        let mut refused = Raw::connect(&app).await;
        // A client that has sent its request must be able to read the answer.
        refused.send("GET /status HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let text = refused.read_to_end(2 * SECOND).await.to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 503 "), "{text:?}");
        assert!(text.contains("\r\nretry-after: "), "{text}");
    }
    assert_eq!(
        guests[0].body().await["activeConnections"],
        5,
        "those inside notice nothing"
    );
    drop(guests.pop());
    let began = Instant::now();
    loop {
        let mut next = Raw::connect(&app).await;
        next.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        if next.stays_open(Duration::from_millis(100)).await {
            assert!(next.received.starts_with("HTTP/1.1 200 OK"), "{}", next.received);
            return;
        }
        assert!(
            began.elapsed() < SECOND,
            "the free place is not given: {}",
            next.received
        );
    }
}

/// A load balancer would replace a task that does not answer, and cut everybody whom it serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_is_healthy_and_ready_however_many_knock() {
    let app = Setup::default().env("MAX_CONNECTIONS", "2").start().await;
    let _guests = [Raw::connect(&app).await, Raw::connect(&app).await];
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Raw::connect(&app).await);
    }
    for request in ["GET /health", "HEAD /health", "GET /ready", "GET /health"] {
        let mut asking = Raw::connect(&app).await;
        // In pieces, as a head may come.
        let (start, end) = request.split_at(6);
        asking.send(start).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        asking
            .send(&format!("{end} HTTP/1.1\r\nhost: 10.0.0.1\r\n\r\n"))
            .await;
        let text = asking.read_to_end(SECOND).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{request}: {text}");
        assert_eq!(
            text.contains(r#""activeConnections":2"#),
            request == "GET /health",
            "{text}"
        );
    }
    for request in ["GET /healthy", "GET /", "POST /mcp", "GET /health/x"] {
        let mut asking = Raw::connect(&app).await;
        asking
            .send(&format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        let text = asking.read_to_end(2 * SECOND).await;
        assert!(text.starts_with("HTTP/1.1 503 "), "{request}: {text}");
    }
    // Whoever holds one of the spare places without a word is gone soon.
    for mut silent in silent {
        assert_eq!(silent.read_to_end(2 * SECOND).await, "");
    }
}

/// T11: as the kernel tells it, in `/proc/net/tcp`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_probes_a_silent_connection_after_ten_seconds() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let idle = Raw::connect(&app).await;
    let mut stream = Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream.read_until(KEEP_ALIVE, SECOND).await;
    for raw in [&idle, &stream] {
        let (here, there) = (raw.socket.peer_addr().unwrap(), raw.socket.local_addr().unwrap());
        let began = Instant::now();
        let (kind, hundredths) = loop {
            match timer(here, there) {
                // The answer is not acknowledged yet, or the connection is not accepted yet.
                (kind, _) if kind != 2 && began.elapsed() < 2 * SECOND => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                timer => break timer,
            }
        };
        assert_eq!(kind, 2, "a keep-alive timer runs");
        assert!((1..=1_000).contains(&hundredths), "within 10 s: {hundredths}");
    }
}

/// The active timer of a connection, by its kind, and the hundredths of a second until it fires.
#[cfg(target_os = "linux")]
fn timer(here: SocketAddr, there: SocketAddr) -> (u8, u64) {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let row = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let row = row
        .skip(1)
        .find(|row| port(row[1]) == here.port() && port(row[2]) == there.port())
        .expect("the connection is in the table");
    let (kind, when) = row[5].split_once(':').unwrap();
    (kind.parse().unwrap(), u64::from_str_radix(when, 16).unwrap())
}
