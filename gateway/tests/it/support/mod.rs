//! A gateway in this process, and the means to talk to it.

pub mod dice;
pub mod google;
pub mod login;
pub mod raw;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway::app::{Gateway, Sockets};
use gateway::clock::Clock;
use gateway::config::{Config, store::Backend};
use gateway::id::UserId;
use gateway::jwt::{Claims, SigningKeys};
use gateway::lifecycle::{Lifecycle, Patience, Stopped};
use gateway::secret::Keyring;
use gateway::session::peers::message::PeerMessage;
use gateway::web::App;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// The secret that all keys of every gateway under test come from.
pub const SECRET: &str = "5f0c8e21b7d94a63a8e1f4027bc9d35e";

/// How a test wants its gateway.
#[derive(Debug, Default)]
pub struct Setup {
    env: BTreeMap<String, String>,
    booting: bool,
    peers: bool,
}

/// A running gateway. Stops with the test.
pub struct TestApp {
    /// Where this task listens.
    pub url: String,
    /// What clients were given: the `PUBLIC_URL` of all tasks, which one of them may listen on itself.
    pub origin: String,
    pub clock: Clock,
    pub app: App,
    pub http: reqwest::Client,
    peers: bool,
    lifecycle: Lifecycle,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.lifecycle.end();
    }
}

impl Setup {
    /// Sets one variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Points the gateway at the Google emulator.
    pub fn google(self) -> Self {
        self.google_at(google::emulator())
    }

    /// Points the gateway at an emulator of the test's own.
    pub fn google_at(self, google: &google::Emulator) -> Self {
        self.env("GOOGLE_ISSUER", &google.url)
            .env("GOOGLE_API_BASE_URL", &google.url)
            .env("GOOGLE_CLIENT_ID", &google.client_id)
            .env("GOOGLE_CLIENT_SECRET", &google.client_secret)
    }

    /// Does not wait for the store to be ready: clients come while the gateway is still starting.
    pub fn booting(mut self) -> Self {
        self.booting = true;
        self
    }

    /// Starts the gateway on a free port of loopback.
    pub async fn start(self) -> TestApp {
        self.start_with(None).await
    }

    /// Opens the private port: this task and those beside it find each other.
    pub fn peers(mut self) -> Self {
        self.peers = true;
        self
    }

    /// Starts another task of the deployment that `first` belongs to: same tables, clock and `PUBLIC_URL`. They
    /// talk to each other if `first` was set up with [`Setup::peers`].
    pub async fn start_beside(mut self, first: &TestApp) -> TestApp {
        self.peers = first.peers;
        let second = self
            .env("PUBLIC_URL", &first.origin)
            .start_with(Some(first))
            .await;
        if first.peers {
            first.meet(&second).await;
            second.meet(first).await;
        }
        second
    }

    async fn start_with(mut self, first: Option<&TestApp>) -> TestApp {
        let listener = gateway::web::accept::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        if first.is_some() {
            self = self.env("ALLOWED_HOSTS", &address.to_string());
        }
        let defaults = [
            ("PUBLIC_URL", url.as_str()),
            ("SESSION_SECRET", SECRET),
            ("GOOGLE_CLIENT_ID", "test"),
            ("GOOGLE_CLIENT_SECRET", "test"),
            ("ALLOWED_DOMAIN", "example.com"),
            // A port where nobody listens: Google is down unless a test says otherwise.
            ("GOOGLE_ISSUER", "http://127.0.0.1:9"),
            ("GOOGLE_API_BASE_URL", "http://127.0.0.1:9"),
        ];
        for (name, value) in defaults {
            self.env
                .entry(name.to_owned())
                .or_insert_with(|| value.to_owned());
        }
        let mut config = Config::load(&self.env, None).unwrap();
        config.store.backend = Backend::Memory;
        let origin = config.server.origin();
        let clock = first.map_or_else(
            || Clock::manual(Clock::system().now()),
            |first| first.clock.clone(),
        );
        let bind = || gateway::web::accept::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let sockets = Sockets {
            public: listener,
            private: self.peers.then(bind),
        };
        let gateway = match first {
            Some(first) => Gateway::with_store(config, &clock, sockets, first.app.store.beside()),
            None => Gateway::with_sockets(config, &clock, sockets),
        };
        let gateway = gateway.unwrap();
        let (app, lifecycle) = (gateway.app(), gateway.lifecycle());
        // As the gateway itself does: a machine that is busy with other tests may need another try.
        while !self.booting && app.store.prepare().await.is_err() {}
        lifecycle.spawn(gateway.serve());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        TestApp {
            url,
            origin,
            clock,
            app,
            http,
            peers: self.peers,
            lifecycle,
        }
    }
}

/// A gateway without Google.
pub async fn start() -> TestApp {
    Setup::default().start().await
}

impl TestApp {
    /// Stops as a signal would.
    pub async fn drain(&self, grace: Duration, deadline: Duration) -> Stopped {
        let patience = Patience { grace, deadline };
        gateway::app::drain(&self.app, patience, std::future::pending()).await
    }

    /// An access token for `user`, as the gateway itself would sign it.
    pub fn token(&self, user: &str) -> String {
        self.token_for(user, "/mcp")
    }

    /// An access token for another path than `/mcp`.
    pub fn token_for(&self, user: &str, path: &str) -> String {
        let now = self.clock.unix_seconds();
        keys().sign(&self.claims(user, path, now)).unwrap()
    }

    /// The claims of such a token.
    pub fn claims(&self, user: &str, path: &str, now: i64) -> Claims {
        Claims {
            iss: self.origin.clone(),
            sub: user.to_owned(),
            aud: format!("{}{path}", self.origin),
            client_id: "test".to_owned(),
            scope: "mcp".to_owned(),
            email: format!("{user}@example.com"),
            jti: format!("{user}-{now}"),
            sid: "test".to_owned(),
            iat: now,
            exp: now + 3_600,
        }
    }

    /// A request with the headers of an MCP client.
    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
    }

    /// POSTs a message to `/mcp`.
    pub async fn post(&self, token: &str, session: Option<&str>, message: &Value) -> Answer {
        let mut request = self.request(Method::POST, "/mcp", token).json(message);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// A legacy request by method.
    pub async fn call(&self, token: &str, session: &str, method: &str, params: Value) -> Answer {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(token, Some(session), &message).await
    }

    /// Waits until this task knows `other`.
    pub async fn meet(&self, other: &Self) {
        let hello = PeerMessage::Running { call: String::new() };
        let began = Instant::now();
        while let Err(error) = self.app.peers.send(other.app.peers.me(), &hello).await {
            assert!(began.elapsed() < Duration::from_secs(10), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The user of an access token that was made here.
    pub fn bearer_subject(&self, access: &str) -> UserId {
        let header = format!("Bearer {access}");
        let audience = format!("{}/mcp", self.origin);
        let principal = self.app.bearer.verify(Some(header.as_bytes()), &[&audience]);
        principal.unwrap().user.clone()
    }

    /// `GET` of a path that needs no login, as JSON.
    pub async fn get_json(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        Answer::read(answer).await.json()
    }

    /// Starts a legacy session and returns its id.
    pub async fn initialize(&self, token: &str) -> String {
        self.initialize_at("/mcp", token).await
    }

    /// The same on another path.
    pub async fn initialize_at(&self, path: &str, token: &str) -> String {
        let request = self
            .request(Method::POST, path, token)
            .json(&initialize("2025-11-25"));
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.session.expect("a session id")
    }

    /// A modern request: `_meta` and the headers that repeat it.
    pub async fn modern(&self, token: &str, method: &str, params: Value) -> Answer {
        let request = self.modern_request(token, method, params);
        Answer::read(request.send().await.unwrap()).await
    }

    /// A modern request that is not sent yet. What `params` say in `_meta` is kept.
    pub fn modern_request(&self, token: &str, method: &str, mut params: Value) -> RequestBuilder {
        let meta = modern_meta();
        for (key, value) in meta.as_object().unwrap() {
            params["_meta"][key] = value.clone();
        }
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .request(Method::POST, "/mcp", token)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .json(&message);
        let name = params.get("name").or_else(|| params.get("uri"));
        match name.and_then(Value::as_str) {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// A legacy `tools/call` that is not sent yet.
    pub fn legacy_call(&self, token: &str, session: &str, id: u32, params: &Value) -> RequestBuilder {
        self.request(Method::POST, "/mcp", token)
            .header("mcp-session-id", session)
            .json(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
    }
}

/// The user that an access token names, whether or not it is still good.
pub fn subject_of(access: &str) -> UserId {
    let payload = access.split('.').nth(1).expect("a JWT");
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    UserId::new(claims["sub"].as_str().unwrap())
}

/// The `_meta` of a modern request.
pub fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// An `initialize` request.
pub fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "it", "version": "1"}}})
}

/// The keys of every gateway under test.
pub fn keys() -> SigningKeys {
    SigningKeys::derive(&Keyring::new(SECRET.to_owned().into(), Vec::new())).unwrap()
}

/// What came back, read completely.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub session: Option<String>,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let session = headers
            .get("mcp-session-id")
            .map(|id| id.to_str().unwrap().to_owned());
        Self {
            status,
            session,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    /// The body as JSON; of an event stream the last message.
    pub fn json(&self) -> Value {
        let last = self
            .text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data: "));
        let text = last.unwrap_or(&self.text);
        serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and JSON-RPC error code.
    pub fn error(&self) -> (u16, i64) {
        (
            self.status,
            self.json()["error"]["code"]
                .as_i64()
                .unwrap_or_else(|| panic!("no error: {self:?}")),
        )
    }

    /// The names in a `tools/list` result.
    pub fn tool_names(&self) -> Vec<String> {
        let tools = &self.json()["result"]["tools"];
        let tools = tools.as_array().unwrap_or_else(|| panic!("no tools: {self:?}"));
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).unwrap().is_success()
    }
}
