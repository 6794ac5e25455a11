//! HTTP/1.1 at its edges, on bare sockets: what no honest client sends gets an answer or a closed connection,
//! soon, and never an error of ours.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::dice::Dice;
use crate::support::raw::{self, Raw};
use crate::support::{Setup, TestApp, initialize, start};

const SECOND: Duration = Duration::from_secs(1);

struct Client {
    app: TestApp,
    token: String,
    session: String,
}

async fn client(setup: Setup) -> Client {
    let app = setup.start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    Client { app, token, session }
}

impl Client {
    fn host(&self) -> &str {
        self.app.url.strip_prefix("http://").unwrap()
    }

    fn ping(&self, id: &str, further: &str) -> String {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
        raw::post(&self.app, "/mcp", &self.token, further, &message)
    }

    /// The head of a POST that announces its body in its own way.
    fn head(&self, framing: &str) -> String {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{framing}\r\n\r\n",
            self.host(),
            self.token
        )
    }

    /// A GET for the stream of the session.
    fn stream(&self) -> String {
        format!(
            "GET /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\
             mcp-session-id: {}\r\n\r\n",
            self.host(),
            self.token,
            self.session
        )
    }

    async fn connect(&self) -> Raw {
        Raw::connect(&self.app).await
    }

    /// Sends `bytes` and reads until the gateway closes or is silent for a moment.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut raw = self.connect().await;
        // The gateway may refuse before it has read everything.
        let _ = raw.socket.write_all(bytes).await;
        raw.stays_open(Duration::from_millis(300)).await;
        raw.received
    }

    async fn still_serves(&self) {
        let answer = self
            .app
            .call(&self.token, &self.session, "tools/list", json!({}))
            .await;
        assert_eq!(answer.tool_names().len(), 13);
    }
}

/// The status lines in what was received.
fn statuses(text: &str) -> Vec<u16> {
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines
        .map(|line| line.get(..3).unwrap().parse().unwrap())
        .collect()
}

fn bodies(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line.split("HTTP/1.1").next()?).ok())
        .filter(Value::is_object)
        .collect()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let client = client(Setup::default()).await;
    let mut raw = client.connect().await;
    let many: String = (0..10).map(|n| client.ping(&format!("p-{n}"), "")).collect();
    raw.send(&many).await;
    let text = raw.read_until("p-9", SECOND).await;
    assert_eq!(statuses(text), [200; 10], "{text}");
    let ids: Vec<Value> = bodies(text).into_iter().map(|body| body["id"].clone()).collect();
    assert_eq!(ids, (0..10).map(|n| json!(format!("p-{n}"))).collect::<Vec<_>>());
}

/// The order in which real clients use one connection.
#[tokio::test]
async fn a_connection_that_served_posts_becomes_a_stream() {
    let client = client(Setup::default()).await;
    let mut raw = client.connect().await;
    for id in ["one", "two"] {
        raw.send(&client.ping(id, "")).await;
        raw.read_until(id, SECOND).await;
    }
    raw.send(&client.stream()).await;
    let text = raw.read_until(": keep-alive\n\n", SECOND).await;
    assert_eq!(statuses(text), [200; 3], "{text}");
    // Whatever follows on a connection that is a stream now is not served, and harms nobody.
    raw.send(&client.ping("three", "")).await;
    assert!(raw.stays_open(Duration::from_millis(200)).await);
    assert!(!raw.received.contains("three"), "{}", raw.received);
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the stream.
#[tokio::test]
async fn a_stream_over_http_1_0_has_no_chunks() {
    let client = client(Setup::default()).await;
    let mut raw = client.connect().await;
    let stream = client.stream().replace("HTTP/1.1", "HTTP/1.0");
    raw.send(&stream).await;
    let text = raw.read_until(": keep-alive\n\n", SECOND).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(statuses(head), [200], "{text}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    // A line with the size of a chunk has no colon, one of an event stream has.
    let is_plain = body.lines().all(|line| line.is_empty() || line.contains(':'));
    assert!(is_plain, "{body}");
    assert!(raw.stays_open(Duration::from_millis(200)).await);
}

/// RFC 6797: what was reached by https is only reached by https from then on. A plain origin must not say so.
#[tokio::test]
async fn an_https_origin_asks_for_https_on_every_answer_and_stream() {
    for (origin, says) in [("https://mcp.example.com", true), ("", false)] {
        let setup = Setup::default();
        let setup = match origin {
            "" => setup,
            origin => setup.env("PUBLIC_URL", origin),
        };
        let app = setup.start().await;
        let host = app.origin.split_once("://").unwrap().1.to_owned();
        let token = app.token("1001");
        let session = raw_session(&app, &host, &token).await;
        let get = |path: &str, further: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{further}\r\n")
        };
        let stream = format!("accept: text/event-stream\r\nmcp-session-id: {session}\r\n");
        for request in [
            get("/health", ""),
            get("/nowhere", ""),
            get("/", ""),
            get("/mcp", &stream),
        ] {
            let mut raw = Raw::connect(&app).await;
            raw.send(&request).await;
            let text = raw.read_until("\r\n\r\n", SECOND).await;
            let found = text.contains("strict-transport-security: max-age=31536000\r\n");
            assert_eq!(found, says, "{request}{text}");
        }
    }
}

/// A session of a client that reaches the gateway under the name `host`.
async fn raw_session(app: &TestApp, host: &str, token: &str) -> String {
    let message = initialize("2025-11-25");
    let request = raw::post(app, "/mcp", token, "", &message);
    let own = app.url.strip_prefix("http://").unwrap();
    let mut raw = Raw::connect(app).await;
    raw.send(&request.replacen(&format!("host: {own}"), &format!("host: {host}"), 1))
        .await;
    let text = raw.read_until("serverInfo", SECOND).await;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.unwrap_or_else(|| panic!("no session in: {text}")).to_owned()
}

#[tokio::test]
async fn head_has_no_body_and_leaves_the_connection_usable() {
    let client = client(Setup::default()).await;
    let mut raw = client.connect().await;
    let (host, token) = (client.host(), &client.token);
    raw.send(&format!(
        "HEAD /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"
    ))
    .await;
    raw.read_until("\r\n\r\n", SECOND).await;
    raw.send(&client.ping("after", "")).await;
    let text = raw.read_until("after", SECOND).await;
    assert_eq!(statuses(text), [405, 200], "{text}");
    assert_eq!(bodies(text).len(), 1, "{text}");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let client = client(Setup::default()).await;
    let mut raw = client.connect().await;
    let request = client.ping("waited", "expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    raw.send(&format!("{head}\r\n\r\n")).await;
    raw.read_until("HTTP/1.1 100 Continue\r\n\r\n", SECOND).await;
    raw.send(body).await;
    let text = raw.read_until("waited", SECOND).await;
    assert_eq!(statuses(text), [100, 200], "{text}");
    // Without a token there is nothing to wait for.
    let stranger = request.replace(&client.token, "junk");
    let mut raw = client.connect().await;
    raw.send(
        stranger
            .split_once("\r\n\r\n")
            .map(|(head, _)| format!("{head}\r\n\r\n"))
            .as_deref()
            .unwrap(),
    )
    .await;
    let text = raw.read_until("HTTP/1.1 401", SECOND).await;
    assert_eq!(statuses(text), [401], "{text}");
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let client = client(Setup::default()).await;
    let message = r#"{"jsonrpc":"2.0","id":"chunked","method":"ping"}"#;
    let head = client.head("transfer-encoding: chunked");
    let mut raw = client.connect().await;
    raw.send(&head).await;
    for piece in message.as_bytes().chunks(7) {
        raw.send(&format!("{:x};ext=1\r\n", piece.len())).await;
        raw.send_bytes(piece).await;
        raw.send("\r\n").await;
    }
    raw.send("0\r\n\r\n").await;
    let text = raw.read_until("chunked", SECOND).await;
    assert_eq!(statuses(text), [200], "{text}");
    for broken in ["zz\r\n", "ffffffffffffffffff\r\n", "-1\r\n", "5\r\nabcdefgh\r\n"] {
        let text = client.exchange(format!("{head}{broken}").as_bytes()).await;
        assert_eq!(statuses(&text), [400], "{broken:?}: {text}");
    }
    client.still_serves().await;
}

#[tokio::test]
async fn a_content_length_that_lies_is_found_out() {
    let client = client(Setup::default()).await;
    let message = r#"{"jsonrpc":"2.0","id":"lie","method":"ping"}"#;
    // Too short: a broken message, and what is left over is no request.
    let text = client
        .exchange(format!("{}{message}", client.head("content-length: 9")).as_bytes())
        .await;
    assert_eq!(statuses(&text), [400, 400], "{text}");
    // Too long, and then the client stops sending.
    let mut raw = client.connect().await;
    raw.send(&format!("{}{message}", client.head("content-length: 4000")))
        .await;
    raw.socket.shutdown().await.unwrap();
    let text = raw.read_to_end(2 * SECOND).await;
    assert!(statuses(text).iter().all(|status| *status == 400), "{text}");
    for framing in [
        "content-length: -5",
        "content-length: 5, 6",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 99999999999999999999",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip",
    ] {
        let text = client
            .exchange(format!("{}{message}", client.head(framing)).as_bytes())
            .await;
        let first = statuses(&text).first().copied();
        assert!(
            first.is_none_or(|status| (400..500).contains(&status)),
            "{framing}: {text}"
        );
    }
    client.still_serves().await;
}

/// Every path that takes a body: a body that never comes must not hold its connection.
#[tokio::test]
async fn a_body_that_never_comes_is_waited_for_ten_seconds() {
    let client = client(Setup::default()).await;
    let messages = format!("/mcp/messages?sessionId={}", client.session);
    let paths = [
        "/mcp",
        &messages,
        "/oauth/register",
        "/oauth/token",
        "/oauth/consent",
    ];
    let connections = paths.map(async |path| {
        let mut raw = client.connect().await;
        let head = client
            .head("content-length: 400")
            .replace("POST /mcp ", &format!("POST {path} "));
        raw.send(&format!("{head}{{")).await;
        let began = Instant::now();
        let text = raw.read_to_end(12 * SECOND).await;
        // The consent form is answered with a page, and its page for every unusable form is a 400.
        let expected = if path == "/oauth/consent" { 400 } else { 408 };
        assert_eq!(statuses(text), [expected], "{path}: {text}");
        assert!(began.elapsed() > 9 * SECOND, "{path}: {:?}", began.elapsed());
    });
    futures_util::future::join_all(connections).await;
    client.still_serves().await;
}

#[tokio::test]
async fn heads_beyond_all_measure_are_refused() {
    let client = client(Setup::default()).await;
    let host = client.host();
    let large = "x".repeat(70 << 10);
    let many = "x: y\r\n".repeat(200);
    let requests = [
        format!("GET /health HTTP/1.1\r\nhost: {host}\r\nx-large: {large}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: {host}\r\n{many}\r\n"),
        format!("GET /health?{large} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET /{large}"),
    ];
    for request in requests {
        let text = client.exchange(request.as_bytes()).await;
        let statuses = statuses(&text);
        assert!(
            matches!(statuses[..], [400 | 414 | 431]),
            "{request:.60}: {statuses:?}"
        );
    }
    client.still_serves().await;
}

#[tokio::test]
async fn requests_that_are_almost_right_are_4xx() {
    let client = client(Setup::default()).await;
    let (host, token) = (client.host(), &client.token);
    let auth = format!("authorization: Bearer {token}\r\naccept: text/event-stream\r\n");
    let rows = [
        (format!("GET /mcp HTTP/1.1\r\n{auth}\r\n"), 403),
        (
            format!("GET /mcp HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n{auth}\r\n"),
            403,
        ),
        (
            format!("GET http://evil.example/mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"),
            403,
        ),
        (
            format!("GET /mcp/../mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"),
            404,
        ),
        (format!("GET /MCP HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"), 404),
        (format!("GET //mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"), 404),
        (format!("PATCH /mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"), 405),
        (format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n"), 404),
        (format!("TRACE /mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"), 405),
        (format!("OPTIONS * HTTP/1.1\r\nhost: {host}\r\n\r\n"), 404),
        (format!("DELETE /mcp HTTP/1.1\r\nhost: {host}\r\n{auth}\r\n"), 400),
        (
            format!("POST /health HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"),
            405,
        ),
        (
            format!("GET /mcp HTTP/1.1\r\nhost: {host}\r\n{auth}mcp-session-id: \x01\r\n\r\n"),
            400,
        ),
    ];
    for (request, expected) in rows {
        let text = client.exchange(request.as_bytes()).await;
        assert_eq!(statuses(&text), [expected], "{request}: {text}");
    }
    client.still_serves().await;
}

#[tokio::test]
async fn garbage_is_refused_or_cut_and_harms_nobody() {
    let client = client(Setup::default().env("HEADER_TIMEOUT", "1000")).await;
    let mut dice = Dice(7);
    let mut garbage: Vec<Vec<u8>> = (0..20)
        .map(|_| {
            let length = 1 + dice.below(3_000);
            dice.bytes(length)
        })
        .collect();
    garbage.extend([
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\r\n\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\0".repeat(100),
    ]);
    // A good request whose bytes are changed here and there.
    let good = client.ping("mutant", "").into_bytes();
    garbage.extend((0..40).map(|_| {
        let mut bytes = good.clone();
        for _ in 0..3 {
            let at = dice.below(bytes.len());
            bytes[at] = dice.bytes(1)[0];
        }
        bytes
    }));
    let exchanges = garbage.iter().map(async |bytes| {
        let mut raw = client.connect().await;
        let _ = raw.socket.write_all(bytes).await;
        let _ = raw.socket.shutdown().await;
        let text = raw.read_to_end(12 * SECOND).await;
        let statuses = statuses(text);
        let shown = String::from_utf8_lossy(bytes);
        assert!(statuses.iter().all(|status| *status < 500), "{shown}: {text}");
    });
    futures_util::future::join_all(exchanges).await;
    client.still_serves().await;
}

/// A client that stops sending in the middle of a head, and does not close either.
#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let client = client(Setup::default().env("HEADER_TIMEOUT", "1000")).await;
    let drips = ["G", "GET /mcp HTTP/1.1\r\nhost: x\r\nx-a: b\r\n"].map(async |start| {
        let mut raw = client.connect().await;
        raw.send(start).await;
        let began = Instant::now();
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                if raw.socket.write_all(b"x").await.is_err() {
                    break;
                }
            }
        };
        let cut = tokio::time::timeout(4 * SECOND, trickle).await;
        assert!(cut.is_ok(), "one byte now and then must not keep a head alive");
        assert!(began.elapsed() >= SECOND);
    });
    futures_util::future::join_all(drips).await;
    let app = start().await;
    assert_eq!(app.get_json("/health").await["ok"], true);
}
