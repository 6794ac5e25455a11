//! For tests: an HTTP server that plays Google's part, misbehaviour included, and a gateway side in front of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request as HttpRequest, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::client::{Call, Client, Limits};
use super::credentials::Credentials;
use super::tools::Registry;
use crate::clock::Clock;
use crate::config::store::Backend;
use crate::config::{GoogleConfig, StoreConfig};
use crate::id::{ClientId, UserId};
use crate::lifecycle::Lifecycle;
use crate::model::call::{CallContext, CallEvent};
use crate::model::google::GoogleGrant;
use crate::model::principal::Principal;
use crate::oidc::Provider;
use crate::store::Store;

/// The time at which every test starts, in seconds since the Unix epoch.
pub(super) const START: i64 = 1_800_000_000;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: String,
    pub(super) body: String,
}

impl Hit {
    /// The first value of a query parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Json(u16, Value),
    Headers(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection ends without an answer.
    Reset,
    /// The body ends before its announced length.
    Truncated,
    /// No answer, ever.
    Hang,
    /// A body without an end.
    Endless,
}

type Handler = dyn Fn(&Hit) -> Reply + Send + Sync;
type Body = BoxBody<Bytes, std::io::Error>;

/// The server. Stops when dropped.
pub(super) struct FakeGoogle {
    pub(super) url: Url,
    hits: Arc<Mutex<Vec<Hit>>>,
    _tasks: JoinSet<()>,
}

impl FakeGoogle {
    /// Serves the provider's documents itself and everything else through `handler`.
    pub(super) async fn start(handler: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let hits = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, url.clone(), handler, hits.clone()));
        Self {
            url,
            hits,
            _tasks: tasks,
        }
    }

    /// The requests so far whose path is `path`.
    pub(super) fn hits(&self, path: &str) -> Vec<Hit> {
        let hits = self.hits.lock().unwrap();
        hits.iter().filter(|hit| hit.path == path).cloned().collect()
    }
}

async fn serve(listener: TcpListener, url: Url, handler: Arc<Handler>, hits: Arc<Mutex<Vec<Hit>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (url, handler, hits) = (url.clone(), handler.clone(), hits.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (url, handler, hits) = (url.clone(), handler.clone(), hits.clone());
                async move { respond(request, &url, handler.as_ref(), &hits).await }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn respond(
    request: HttpRequest<Incoming>,
    url: &Url,
    handler: &Handler,
    hits: &Mutex<Vec<Hit>>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let query = parts.uri.query().unwrap_or_default();
    let header = parts
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let hit = Hit {
        path: parts.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: header.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    hits.lock().unwrap().push(hit.clone());
    let reply = match hit.path.as_str() {
        "/.well-known/openid-configuration" => Reply::Json(200, discovery(url)),
        _ => handler(&hit),
    };
    let whole = |bytes: Vec<u8>| {
        Full::new(Bytes::from(bytes))
            .map_err(|never: Infallible| match never {})
            .boxed()
    };
    let response = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
    Ok(match reply {
        Reply::Json(status, value) => response(status)
            .header("content-type", "application/json")
            .body(whole(value.to_string().into_bytes()))
            .unwrap(),
        Reply::Headers(status, headers, body) => {
            let headers = headers.into_iter();
            let response = headers.fold(response(status), |response, (name, value)| {
                response.header(name, value)
            });
            response.body(whole(body)).unwrap()
        }
        Reply::Reset => return Err(std::io::Error::other("reset")),
        Reply::Hang => std::future::pending().await,
        Reply::Truncated => {
            let frames = [
                Ok(Frame::data(Bytes::from("{\"id\":"))),
                Err(std::io::Error::other("cut")),
            ];
            let body = StreamBody::new(stream::iter(frames));
            response(200)
                .header("content-length", "100")
                .body(BodyExt::boxed(body))
                .unwrap()
        }
        Reply::Endless => {
            let frames = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b' '; 65_536]))));
            response(200)
                .body(BodyExt::boxed(StreamBody::new(frames)))
                .unwrap()
        }
    })
}

fn discovery(url: &Url) -> Value {
    let at = |path: &str| url.join(path).unwrap().to_string();
    json!({
        "issuer": url.as_str().trim_end_matches('/'),
        "authorization_endpoint": at("/auth"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/certs"),
    })
}

/// A successful answer of the token endpoint.
pub(super) fn token_answer(access_token: &str) -> Reply {
    Reply::Json(
        200,
        json!({ "access_token": access_token, "expires_in": 3600, "token_type": "Bearer", "scope": "openid email" }),
    )
}

/// The Google side of one gateway task, its store, and a server in front.
pub(super) struct World {
    pub(super) google: FakeGoogle,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) client: Client,
}

/// Bounds that make tests fast: every pause is real time.
pub(super) const SHORT: Limits = Limits {
    attempt: Duration::from_millis(300),
    call: Duration::from_secs(5),
    backoff: Duration::from_millis(2),
    body_bytes: 1024 * 1024,
};

impl World {
    /// A gateway whose Google is `handler`, with an empty store.
    pub(super) async fn new(limits: Limits, handler: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> Self {
        let google = FakeGoogle::start(handler).await;
        let clock = Clock::manual(Timestamp::from_second(START).unwrap());
        let config = StoreConfig {
            backend: Backend::Memory,
            sessions_table: "sessions".to_owned(),
            tokens_table: "tokens".to_owned(),
        };
        let store = Store::open(&config, clock.clone()).unwrap();
        store.prepare().await.unwrap();
        let client = task(&google, &store, &clock, limits);
        Self {
            google,
            store,
            clock,
            client,
        }
    }

    /// Another gateway task with the same store.
    pub(super) fn another_task(&self) -> Client {
        task(&self.google, &self.store, &self.clock, SHORT)
    }

    /// Stores what a login of `user` brings: the tokens `<user>-access` and `<user>-refresh`.
    pub(super) async fn login(&self, user: &str, expires_in: i64) {
        let grant = GoogleGrant {
            access_token: format!("{user}-access").into(),
            refresh_token: format!("{user}-refresh").into(),
            scope: "openid email https://www.googleapis.com/auth/gmail.readonly".to_owned(),
            expires_at: self.clock.unix_seconds() + expires_in,
            reauth_required: false,
        };
        self.store
            .put_google_grant(&UserId::new(user), &grant)
            .await
            .unwrap();
    }

    /// Calls a tool as `user`; gives its structured content and whether it is an error.
    pub(super) async fn call(&self, user: &str, tool: &str, arguments: Value) -> (Value, bool) {
        let (context, _events) = context(user);
        self.call_in(&context, tool, arguments).await
    }

    /// Calls a tool in a context of its own.
    pub(super) async fn call_in(&self, context: &CallContext, tool: &str, arguments: Value) -> (Value, bool) {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let call = Call::new(&self.client, context);
        let result = Registry::core()
            .call(&call, tool, arguments)
            .await
            .expect("a known tool");
        (result.structured_content.unwrap(), result.is_error.unwrap())
    }
}

fn task(google: &FakeGoogle, store: &Store, clock: &Clock, limits: Limits) -> Client {
    let config = GoogleConfig {
        client_id: "client".to_owned(),
        client_secret: "secret".into(),
        allowed_domain: "example.com".to_owned(),
        issuer: google.url.clone(),
        api_base_url: Some(google.url.clone()),
    };
    let http = reqwest::Client::builder().build().unwrap();
    let provider = Provider::new(&config, http.clone(), clock.clone());
    let credentials = Credentials::new(store.clone(), provider.clone(), clock.clone(), Lifecycle::new());
    Client::new(
        http,
        config.api_base_url,
        credentials,
        provider,
        clock.clone(),
        limits,
    )
}

/// A call of `user` with a deadline of a minute, and what it reports.
pub(super) fn context(user: &str) -> (CallContext, mpsc::Receiver<CallEvent>) {
    let principal = Principal {
        grant: "grant".into(),
        user: UserId::new(user),
        email: format!("{user}@example.com").into(),
        client: ClientId::new("client-1"),
        scope: "mcp".into(),
        audience: "https://mcp.example.com/mcp".into(),
        token_id: "jti".into(),
        expires_at: START + 3600,
    };
    let (events, received) = mpsc::channel(16);
    let deadline = Instant::now() + Duration::from_mins(1);
    let context = CallContext::new(Arc::new(principal), CancellationToken::new(), deadline, events);
    (context, received)
}
