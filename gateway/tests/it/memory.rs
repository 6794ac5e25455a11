//! "Memory stays flat under bad input", measured at the process itself: whatever strangers and broken clients send,
//! a further wave of it leaves no more behind than those before.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gateway::jwt::Claims;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::dice::Dice;
use crate::support::{SECRET, initialize, keys, modern_meta};

/// How often each kind of bad input is sent in a wave. The waves of one run differ in every value that could be kept.
const TIMES: usize = 60;
/// Of those that are megabytes.
const TIMES_LARGE: usize = 6;
/// What a wave of some 3,000 bad inputs may add: less than one KiB for each. An allocator moves by as much.
const ALLOWED_KIB: u64 = 2 << 10;
const FIRST_WAVES: usize = 3;
const FURTHER_WAVES: usize = 5;

/// The binary, with a store of its own.
struct Process {
    child: Child,
    address: SocketAddr,
    data: std::path::PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl Process {
    async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let data = std::env::temp_dir().join(format!("gateway-memory-{}", address.port()));
        let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .arg("serve")
            .env_clear()
            .env("PORT", address.port().to_string())
            .env("PUBLIC_URL", format!("http://{address}"))
            .env("DATA_DIR", &data)
            .env("SESSION_SECRET", SECRET)
            .env("GOOGLE_CLIENT_ID", "test")
            .env("GOOGLE_CLIENT_SECRET", "test")
            .env("GOOGLE_ISSUER", "http://127.0.0.1:9")
            .env("GOOGLE_API_BASE_URL", "http://127.0.0.1:9")
            .env("ALLOWED_DOMAIN", "example.com")
            .env("LOG_LEVEL", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, address, data };
        let began = Instant::now();
        // It serves before its store is ready. From then on it knows that it does not know this client.
        let probe = Request::to("GET /oauth/authorize?client_id=nobody");
        let probe = probe.with("host", address.to_string()).bytes(&process);
        while TcpStream::connect(address).await.is_err()
            || !process.send(&probe).await.starts_with("HTTP/1.1 400")
        {
            assert!(began.elapsed() < Duration::from_secs(20), "it is not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    /// What the process wrote into memory. Pages of its binary come and go as the kernel likes, and are left out.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn token(&self, path: &str, expires: i64) -> String {
        let origin = format!("http://{}", self.address);
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let claims = Claims {
            aud: format!("{origin}{path}"),
            iss: origin,
            sub: "1001".to_owned(),
            client_id: "test".to_owned(),
            scope: "mcp".to_owned(),
            email: "ana@example.com".to_owned(),
            jti: "test".to_owned(),
            sid: "test".to_owned(),
            iat: now - 7_200,
            exp: now + expires,
        };
        keys().sign(&claims).unwrap()
    }

    /// Sends bytes on a connection of their own, and reads until the other side closes or has nothing to say.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // Who is refused early may find the connection closed.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The text of a request; the connection ends with its answer.
struct Request {
    line: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    fn to(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn bytes(&self, process: &Process) -> Vec<u8> {
        let mut lines = vec![self.line.clone() + " HTTP/1.1", "connection: close".to_owned()];
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            lines.push(format!("host: {}", process.address));
        }
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        lines.push(format!("content-length: {}\r\n\r\n", self.body.len()));
        let text = lines.join("\r\n");
        [text.into_bytes(), self.body.clone()].concat()
    }
}

/// A wave of everything that the documents call bad input.
struct Wave<'a> {
    process: &'a Process,
    token: String,
    session: String,
    dice: Dice,
}

impl Wave<'_> {
    fn word(&mut self) -> String {
        (0..24)
            .map(|_| char::from(b'a' + u8::try_from(self.dice.below(26)).unwrap()))
            .collect()
    }

    fn post(&self) -> Request {
        Request::to("POST /mcp")
            .with("authorization", format!("Bearer {}", self.token))
            .with("content-type", "application/json")
            .with("accept", "application/json, text/event-stream")
    }

    fn message(&self, message: &Value) -> Request {
        self.post()
            .with("mcp-session-id", &self.session)
            .body(message.to_string())
    }

    fn modern(&self, method: &str, params: &Value) -> Request {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .post()
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", method);
        request.body(message.to_string())
    }

    /// Who asks, and for what host.
    fn strangers(&mut self) -> Vec<Request> {
        let word = self.word();
        let damaged = format!("{}{word}", self.token);
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let bearer = |token: &str| {
            self.message(&ping)
                .with("authorization", format!("Bearer {token}"))
        };
        vec![
            self.message(&ping).with("host", format!("{word}.example")),
            self.message(&ping)
                .with("origin", format!("https://{word}.example")),
            self.message(&ping).with("origin", "null"),
            self.message(&ping).with("authorization", ""),
            bearer(&word),
            bearer(&damaged),
            bearer(&self.process.token("/mcp", -60)),
            bearer(&self.process.token("/mcp/sse", 3_600)),
            Request::to(&format!("POST /mcp?access_token={word}")),
            Request::to(&format!("GET /{word}")),
            Request::to(&format!("GET /oauth/authorize?client_id={word}&state={word}")),
            Request::to(&format!("GET /auth/callback?state={word}&code={word}")),
            Request::to("POST /oauth/register")
                .with("content-type", "application/json")
                .body(format!(r#"{{"{word}""#)),
            Request::to("POST /oauth/token")
                .with("content-type", "application/x-www-form-urlencoded")
                .body(format!(
                    "grant_type=authorization_code&client_id={word}&code={word}&code_verifier={word}"
                )),
            Request::to("POST /oauth/token")
                .with("content-type", "application/x-www-form-urlencoded")
                .body(format!(
                    "grant_type=refresh_token&client_id={word}&refresh_token={word}"
                )),
        ]
    }

    /// Bodies and headers that are no message.
    fn malformed(&mut self) -> Vec<Request> {
        let word = self.word();
        let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        vec![
            self.post().body("{"),
            self.post().body(""),
            self.post().body([0xff, 0xfe, 0x80]),
            self.post().body(format!(r#"[{{"{word}":1}}]"#)),
            self.post().body(format!(r#"{{"{word}":1}}"#)),
            self.post()
                .body(format!(r#"{{"jsonrpc":"2.0","id":null,"method":"{word}"}}"#)),
            self.post().body(format!(
                r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
                word.repeat(30)
            )),
            self.post()
                .body(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":3}"#),
            self.post().body(format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{nested}}}}}"#
            )),
            self.message(&ping).with("accept", "text/html"),
            self.message(&ping).with("content-type", "text/plain"),
            self.message(&ping).with("mcp-protocol-version", &word),
            Request::to("PATCH /mcp").with("authorization", format!("Bearer {}", self.token)),
            self.post().with("filler", word.repeat(3_000)),
        ]
    }

    /// Messages that ask for what is not there.
    fn mistaken(&mut self) -> Vec<Request> {
        let word = self.word();
        let call = |method: &str, params: Value| {
            self.message(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        };
        let tool =
            |arguments: Value| call("tools/call", json!({"name": "gmail_get", "arguments": arguments}));
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let mut flipped = self.session.clone().into_bytes();
        let at = self.session.len() / 2;
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        let truncated = self.session.get(..at).unwrap().to_owned();
        vec![
            call(&word, json!({})),
            call("tools/call", json!({"name": &word})),
            call("tools/call", json!({"name": "whoami", "arguments": []})),
            call("tools/list", json!({"cursor": &word})),
            call("resources/read", json!({"uri": format!("x://{word}")})),
            tool(json!({&word: 1})),
            tool(json!({"messageId": &word})),
            self.message(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": &word}})),
            self.message(&json!({"jsonrpc": "2.0", "id": &word, "result": {}})),
            self.message(&ping).with("mcp-session-id", String::from_utf8(flipped).unwrap()),
            self.message(&ping).with("mcp-session-id", truncated),
            self.message(&ping).with("mcp-session-id", &word),
            self.message(&ping).with("mcp-method", &word),
            self.modern(&word, &json!({"_meta": modern_meta()})),
            self.modern("tools/list", &json!({})),
            self.modern("tools/list", &json!({"_meta": modern_meta()})).with("mcp-method", &word),
            self.message(&ping).with("accept", "").with("last-event-id", &word),
            Request::to("GET /mcp")
                .with("authorization", format!("Bearer {}", self.token))
                .with("accept", "text/event-stream")
                .with("mcp-session-id", &self.session)
                .with("last-event-id", &word),
            Request::to("DELETE /mcp").with("authorization", format!("Bearer {}", self.token)),
            Request::to(&format!("POST /mcp/messages?sessionId={word}"))
                .with("authorization", format!("Bearer {}", self.token)),
        ]
    }

    /// What is no HTTP, or none that ends.
    fn wire(&mut self) -> Vec<Vec<u8>> {
        let word = self.word();
        let head = self.post().bytes(self.process);
        let half = head.get(..head.len() / 2).unwrap().to_vec();
        let rest = head.strip_suffix(b"content-length: 0\r\n\r\n").unwrap();
        let broken = [rest, b"content-length: 900\r\n\r\n{\"jsonrpc\":"].concat();
        let chunks = [rest, b"transfer-encoding: chunked\r\n\r\nzz\r\n"].concat();
        vec![
            word.into_bytes(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            self.dice.bytes(400),
            half,
            broken,
            chunks,
        ]
    }

    /// Sends it all; how many inputs that was.
    async fn roll(&mut self) -> usize {
        let mut sent = 0;
        for _ in 0..TIMES {
            let mut requests = self.strangers();
            requests.extend(self.malformed());
            requests.extend(self.mistaken());
            let inputs = requests.iter().map(|request| request.bytes(self.process));
            let inputs: Vec<Vec<u8>> = inputs.collect();
            sent += inputs.len();
            let answers = inputs.iter().map(|bytes| self.process.send(bytes));
            for (answer, bytes) in futures_util::future::join_all(answers).await.iter().zip(&inputs) {
                let shown = String::from_utf8_lossy(bytes);
                assert!(answer.starts_with("HTTP/1.1 "), "{answer:.200} to {shown:.500}");
                assert!(!answer.starts_with("HTTP/1.1 5"), "{answer:.200} to {shown:.500}");
            }
            // What gets no answer: the connection ends before it is a request.
            for bytes in self.wire() {
                let mut socket = TcpStream::connect(self.process.address).await.unwrap();
                let _ = socket.write_all(&bytes).await;
                sent += 1;
            }
        }
        for _ in 0..TIMES_LARGE {
            let large = self.post().body(vec![b' '; 5 << 20]).bytes(self.process);
            let answer = self.process.send(&large).await;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
                "{answer:.200}"
            );
            let deep = self.post().body(vec![b'['; 3 << 20]).bytes(self.process);
            assert!(self.process.send(&deep).await.starts_with("HTTP/1.1 400"));
            sent += 2;
        }
        sent
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_wave_of_bad_input_leaves_no_more_behind_than_those_before() {
    let process = Process::start().await;
    let token = process.token("/mcp", 3_600);
    let mut wave = Wave {
        process: &process,
        token,
        session: String::new(),
        dice: Dice(7),
    };
    let started = wave
        .post()
        .body(initialize("2025-11-25").to_string())
        .bytes(&process);
    let answer = process.send(&started).await;
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    wave.session = session.unwrap().to_owned();
    let mut resident = Vec::new();
    // The first ones fill what has a bound: caches, pools, the allocator's own. An allocator moves up and down; what leaks
    // is in every wave that follows.
    let grown = loop {
        let sent = wave.roll().await;
        assert!(sent > 3_000, "{sent} inputs");
        tokio::time::sleep(Duration::from_millis(500)).await;
        resident.push(process.resident_kib());
        let Some((first, further)) = resident.split_at_checked(FIRST_WAVES) else {
            continue;
        };
        let least = further.iter().min().unwrap_or(&u64::MAX);
        let grown = least.saturating_sub(*first.iter().max().unwrap());
        if grown <= ALLOWED_KIB || further.len() == FURTHER_WAVES {
            break grown;
        }
    };
    println!("after each wave of bad input: {resident:?} KiB");
    assert!(grown <= ALLOWED_KIB, "{grown} KiB: {resident:?} KiB");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let answer = process.send(&wave.message(&ping).bytes(&process)).await;
    assert!(answer.contains(r#""result":{}"#), "{answer}");
}
