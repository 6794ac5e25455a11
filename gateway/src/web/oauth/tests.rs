//! The login over HTTP: the routes as a service, the real store in memory, a clock that stands still, and a
//! provider on a socket.

mod discovery;
mod login;
mod outages;
mod refusals;
mod token;

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use crate::clock::Clock;
use crate::config::store::Backend;
use crate::config::{Config, StoreConfig};
use crate::id::{self, ClientId, UserId};
use crate::jwt::{Claims, SigningKeys};
use crate::model::grant::CodeGrant;
use crate::oauth::{OAuth, pkce};
use crate::oidc::Provider;
use crate::oidc::fake::{self, FakeProvider};
use crate::secret::Keyring;
use crate::store::Store;

const ORIGIN: &str = "https://mcp.example.com";
const MCP: &str = "https://mcp.example.com/mcp";
const REDIRECT: &str = "http://localhost:53124/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
const START: i64 = 1_800_000_000;

/// The gateway's login, and everything a test may look at.
struct Bench {
    router: Router,
    store: Store,
    keys: SigningKeys,
    clock: Clock,
    google: FakeProvider,
}

/// A response with its body read.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no `{name}`: {self:?}"))
            .to_str()
            .unwrap()
    }

    /// The parameters of the URL that a redirect leads to, which must start with `base`.
    fn redirected(&self, base: &str) -> BTreeMap<String, String> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{self:?}");
        let location = self.header("location");
        assert!(location.starts_with(base), "{location}");
        let pairs: Vec<(String, String)> = Url::parse(location).unwrap().query_pairs().into_owned().collect();
        let count = pairs.len();
        let parameters: BTreeMap<_, _> = pairs.into_iter().collect();
        assert_eq!(parameters.len(), count, "a parameter comes twice: {location}");
        parameters
    }

    /// `name=value` of every cookie that is set.
    fn cookies(&self) -> Vec<String> {
        let set = self.headers.get_all(header::SET_COOKIE).iter();
        set.map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned())
            .collect()
    }

    /// The value of a hidden field of the page's form.
    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self
            .body
            .split_once(&start)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .1;
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Bench {
    async fn new() -> Self {
        let bench = Self::without_tables().await;
        bench.store.prepare().await.unwrap();
        bench
    }

    /// The store refuses everything until `prepare` makes its tables.
    async fn without_tables() -> Self {
        let clock = Clock::manual(Timestamp::from_second(START).unwrap());
        let google = FakeProvider::start(clock.clone()).await;
        let env = [
            ("PUBLIC_URL", ORIGIN),
            ("ALLOWED_DOMAIN", "example.com"),
            ("GOOGLE_CLIENT_ID", fake::CLIENT_ID),
            ("GOOGLE_CLIENT_SECRET", fake::CLIENT_SECRET),
            ("SESSION_SECRET", SECRET),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config = Config::load(&BTreeMap::from(env), None).unwrap();
        config.google = google.config();
        config.store = StoreConfig {
            backend: Backend::Memory,
            sessions_table: "sessions".to_owned(),
            tokens_table: "tokens".to_owned(),
        };
        let store = Store::open(&config.store, clock.clone()).unwrap();
        let keyring = keyring();
        let keys = SigningKeys::derive(&keyring).unwrap();
        let provider = Provider::new(&config.google, fake::http(), clock.clone());
        let oauth = OAuth::new(
            &config,
            keyring,
            keys.clone(),
            store.clone(),
            provider,
            clock.clone(),
        );
        let router = super::routes::<OAuth>().with_state(oauth);
        Self {
            router,
            store,
            keys,
            clock,
            google,
        }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str, cookies: &[String]) -> Reply {
        let request = Request::get(path).header(header::COOKIE, cookies.join("; "));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, content_type: &str, cookies: &[String], body: String) -> Reply {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::COOKIE, cookies.join("; "));
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn post_form(&self, path: &str, cookies: &[String], form: &[(&str, &str)]) -> Reply {
        self.post(path, "application/x-www-form-urlencoded", cookies, encode(form))
            .await
    }

    async fn register(&self, body: Value) -> Reply {
        self.post("/oauth/register", "application/json", &[], body.to_string())
            .await
    }

    /// A public client with [`REDIRECT`].
    async fn client(&self) -> String {
        let reply = self
            .register(json!({"client_name": "Test", "redirect_uris": [REDIRECT]}))
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// The consent page for a good request with some parameters replaced (an empty value leaves one out).
    async fn authorize(&self, client: &str, changes: &[(&str, &str)], cookies: &[String]) -> Reply {
        let challenge = pkce::challenge(VERIFIER);
        let mut parameters = BTreeMap::from([
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
            ("state", "xyz"),
        ]);
        parameters.extend(changes.iter().copied());
        let query = encode(parameters.into_iter().collect::<Vec<_>>().as_slice());
        self.get(&format!("/oauth/authorize?{query}"), cookies).await
    }

    /// The answer to a consent page by the browser with these cookies.
    async fn decide(&self, page: &Reply, cookies: &[String], decision: &str) -> Reply {
        let (login, csrf) = (page.field("login"), page.field("csrf"));
        let form = [("login", login.as_str()), ("csrf", &csrf), ("decision", decision)];
        self.post_form("/oauth/consent", cookies, &form).await
    }

    /// From the consent page to the sign-in at Google: the URL there, and the browser's cookies.
    async fn approve(&self, client: &str, changes: &[(&str, &str)]) -> (String, Vec<String>) {
        let page = self.authorize(client, changes, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let mut cookies = page.cookies();
        let reply = self.decide(&page, &cookies, "approve").await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        cookies.extend(reply.cookies());
        (reply.header("location").to_owned(), cookies)
    }

    /// A code as a finished login leaves it.
    async fn code(&self, client: &str) -> String {
        let code = id::random_token();
        let grant = CodeGrant {
            user: UserId::new("1001"),
            email: "ana@example.com".to_owned(),
            client_id: ClientId::new(client),
            redirect_uri: REDIRECT.to_owned(),
            code_challenge: pkce::challenge(VERIFIER),
            scope: "mcp".to_owned(),
            resource: MCP.to_owned(),
            expires_at: self.clock.unix_seconds() + 60,
        };
        self.store.put_code(&id::hashed(&code), &grant).await.unwrap();
        code
    }

    /// A token request of a public client for a code, with some parameters replaced.
    async fn redeem(&self, client: &str, code: &str, changes: &[(&str, &str)]) -> Reply {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        let form: Vec<_> = form.into_iter().collect();
        self.post_form("/oauth/token", &[], &form).await
    }

    async fn refresh(&self, client: &str, token: &str, changes: &[(&str, &str)]) -> Reply {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token),
        ];
        form.extend(changes);
        self.post_form("/oauth/token", &[], &form).await
    }

    /// The claims of an access token for `audience`.
    fn claims(&self, token: &Value, audience: &str) -> Claims {
        let token = token.as_str().unwrap();
        self.keys
            .verify(token, ORIGIN, &[audience], self.clock.unix_seconds())
            .unwrap()
    }
}

/// The keys of the gateway under test.
fn keyring() -> Keyring {
    Keyring::new(SECRET.to_owned().into(), Vec::new())
}

/// A form or a query; parameters with an empty value are left out.
fn encode(parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .finish()
}

/// The `error` of a token or registration response.
fn error(reply: &Reply) -> (u16, String) {
    (
        reply.status.as_u16(),
        reply.json()["error"].as_str().unwrap().to_owned(),
    )
}
