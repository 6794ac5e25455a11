//! A bare socket, for what an HTTP client library hides.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::TestApp;

/// A POST of `message` to `path` as bytes of HTTP/1.1, with further header lines (each with its line end).
pub fn post(app: &TestApp, path: &str, token: &str, further: &str, message: &Value) -> String {
    let (host, body) = (app.url.strip_prefix("http://").unwrap(), message.to_string());
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         {further}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One connection.
pub struct Raw {
    pub socket: TcpStream,
    pub received: String,
}

impl Raw {
    pub async fn connect(app: &TestApp) -> Self {
        let address = app.url.strip_prefix("http://").unwrap();
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            received: String::new(),
        }
    }

    /// Sends a `subscriptions/listen` with the id `l-1`.
    pub async fn listen(app: &TestApp, token: &str, notifications: &Value) -> Self {
        let mut raw = Self::connect(app).await;
        let message = json!({"jsonrpc": "2.0", "id": "l-1", "method": "subscriptions/listen", "params": {
            "_meta": super::modern_meta(), "notifications": notifications}});
        let further = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";
        raw.send(&post(app, "/mcp", token, further, &message)).await;
        raw
    }

    /// Sends a GET for an event stream.
    pub async fn open_stream(app: &TestApp, token: &str, session: Option<&str>, path: &str) -> Self {
        let session = session.map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
        Self::get(app, token, path, &session).await
    }

    /// Opens the stream of a session as a client does that had one until the event `last`.
    pub async fn resume_stream(app: &TestApp, token: &str, session: &str, last: &str) -> Self {
        let headers = format!("mcp-session-id: {session}\r\nlast-event-id: {last}\r\n");
        Self::get(app, token, "/mcp", &headers).await
    }

    /// Opens a stream of HTTP+SSE as a client does that had one before.
    pub async fn come_back(app: &TestApp, token: &str) -> Self {
        Self::get(app, token, "/mcp", "mcp-protocol-version: 2025-11-25\r\n").await
    }

    async fn get(app: &TestApp, token: &str, path: &str, further: &str) -> Self {
        let mut raw = Self::connect(app).await;
        let host = app.url.strip_prefix("http://").unwrap();
        raw.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             accept: text/event-stream\r\n{further}\r\n"
        ))
        .await;
        raw
    }

    /// The URL that a stream of HTTP+SSE names for its POSTs.
    pub async fn endpoint(&mut self) -> String {
        let text = self.read_until("\n\n\r\n", Duration::from_secs(1)).await;
        let mut data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let url = data.find(|data| data.starts_with('/'));
        url.expect("an endpoint").to_owned()
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads for `time`; when each piece came, counted from the start.
    pub async fn read_for(&mut self, time: Duration) -> Vec<(Duration, String)> {
        let began = Instant::now();
        let mut pieces = Vec::new();
        let read = async {
            loop {
                self.received.clear();
                if !self.read_some().await {
                    break;
                }
                pieces.push((began.elapsed(), self.received.clone()));
            }
        };
        let _ = tokio::time::timeout(time, read).await;
        pieces
    }

    /// Reads until `wanted` has arrived; fails when it does not within `limit`.
    pub async fn read_until(&mut self, wanted: &str, limit: Duration) -> &str {
        let read = async {
            while !self.received.contains(wanted) {
                if !self.read_some().await {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(limit, read).await;
        assert!(
            self.received.contains(wanted),
            "no `{wanted}` within {limit:?} in: {}",
            self.received
        );
        &self.received
    }

    /// Reads until the other side closes; fails when it does not within `limit`.
    pub async fn read_to_end(&mut self, limit: Duration) -> &str {
        let read = async { while self.read_some().await {} };
        tokio::time::timeout(limit, read)
            .await
            .expect("the connection stays open");
        &self.received
    }

    /// Whether the other side leaves the connection open for `time`.
    pub async fn stays_open(&mut self, time: Duration) -> bool {
        let read = async { while self.read_some().await {} };
        tokio::time::timeout(time, read).await.is_err()
    }

    async fn read_some(&mut self) -> bool {
        let mut buffer = vec![0; 16 << 10];
        match self.socket.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.received.push_str(&String::from_utf8_lossy(&buffer[..n]));
                true
            }
        }
    }
}
