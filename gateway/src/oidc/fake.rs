//! An OpenID provider for tests, on a socket of its own: what the Google emulator cannot be asked to do wrong.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::{Url, form_urlencoded};

use crate::clock::Clock;
use crate::config::GoogleConfig;
use crate::id;

pub(crate) const CLIENT_ID: &str = "gateway-at-google";
pub(crate) const CLIENT_SECRET: &str = "secret-at-google";

/// Making an RSA key takes a noticeable part of a second, so all tests share one.
static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// The provider. It stops when the test's runtime does.
#[derive(Clone, Debug)]
pub(crate) struct FakeProvider {
    pub(crate) issuer: Url,
    clock: Clock,
    knobs: Arc<Mutex<Knobs>>,
}

/// What a test may look at and change.
#[derive(Debug)]
pub(crate) struct Knobs {
    /// Claims that replace those of a good ID token; `null` removes one.
    pub(crate) claims: Value,
    /// The refresh token of a token response.
    pub(crate) refresh_token: Option<String>,
    /// A code can be exchanged any number of times.
    pub(crate) reusable_codes: bool,
    /// The `kid` of the one key.
    pub(crate) kid: String,
    /// An answer instead of the right one, by path.
    pub(crate) faults: HashMap<&'static str, (u16, Value)>,
    /// Method and path of every request.
    pub(crate) journal: Vec<String>,
    /// Codes not yet redeemed, with what they were asked for with.
    codes: HashMap<String, HashMap<String, String>>,
}

impl FakeProvider {
    /// Listens on a free port.
    pub(crate) async fn start(clock: Clock) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Self {
            issuer: format!("http://{address}").parse().unwrap(),
            clock,
            knobs: Arc::new(Mutex::new(Knobs {
                claims: json!({}),
                refresh_token: Some("1//google-refresh".to_owned()),
                reusable_codes: false,
                kid: "key-1".to_owned(),
                faults: HashMap::new(),
                journal: Vec::new(),
                codes: HashMap::new(),
            })),
        };
        spawn(provider.clone().serve(listener));
        provider
    }

    /// Settings that lead here.
    pub(crate) fn config(&self) -> GoogleConfig {
        config(self.issuer.clone())
    }

    pub(crate) fn knobs(&self) -> MutexGuard<'_, Knobs> {
        self.knobs.lock().unwrap()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.knobs()
            .journal
            .iter()
            .filter(|line| line.ends_with(path))
            .count()
    }

    /// The person signs in at the URL that the gateway sent the browser to; the result is the query that
    /// the browser brings back.
    pub(crate) fn sign_in(&self, authorization_url: &str) -> String {
        let url = Url::parse(authorization_url).unwrap();
        assert_eq!(url.path(), "/authorize");
        let request: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let state = request["state"].clone();
        let code = id::random_token();
        self.knobs().codes.insert(code.clone(), request);
        form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &state)
            .finish()
    }

    /// A signed ID token with the knobs' changes.
    pub(crate) fn id_token(&self, nonce: &str) -> String {
        let mut claims = json!({
            "iss": self.issuer.as_str().trim_end_matches('/'), "aud": CLIENT_ID, "azp": CLIENT_ID,
            "sub": "1001", "email": "ana@example.com", "email_verified": true, "hd": "example.com",
            "name": "Ana", "nonce": nonce, "exp": self.clock.unix_seconds() + 3600,
        });
        let knobs = self.knobs();
        for (name, value) in knobs.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        sign(&json!({"alg": "RS256", "typ": "JWT", "kid": knobs.kid}), &claims)
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let provider = self.clone();
            let service = service_fn(move |request| {
                let provider = provider.clone();
                async move { Ok::<_, Infallible>(provider.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            spawn(async move {
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let fault = {
            let mut knobs = self.knobs();
            knobs.journal.push(format!("{} {path}", parts.method));
            knobs.faults.get(path.as_str()).cloned()
        };
        let (status, body) = fault.unwrap_or_else(|| match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.metadata()),
            "/jwks" => (200, self.jwks()),
            "/token" => self.token(&form_urlencoded::parse(&body).into_owned().collect()),
            _ => (404, json!({})),
        });
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    fn metadata(&self) -> Value {
        let issuer = self.issuer.as_str().trim_end_matches('/');
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
        })
    }

    fn jwks(&self) -> Value {
        // An RSAPublicKey (RFC 8017 appendix A.1.1) of 2048 bits: 9 bytes, modulus, 5 bytes of exponent 65537.
        let modulus = &KEY.public_key().as_ref()[9..265];
        let kid = &self.knobs().kid;
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "other", "x": "", "y": ""},
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": id::base64url(modulus), "e": "AQAB"},
        ]})
    }

    fn token(&self, form: &HashMap<String, String>) -> (u16, Value) {
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if (get("client_id"), get("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
            return (401, json!({"error": "invalid_client"}));
        }
        let mut answer = json!({"access_token": "google-access", "expires_in": 3599, "token_type": "Bearer"});
        match get("grant_type") {
            "refresh_token" if get("refresh_token") == "1//google-refresh" => return (200, answer),
            "authorization_code" => {}
            _ => return (400, json!({"error": "invalid_grant"})),
        }
        let request = {
            let mut knobs = self.knobs();
            let request = knobs.codes.remove(get("code"));
            if let (true, Some(request)) = (knobs.reusable_codes, &request) {
                knobs.codes.insert(get("code").to_owned(), request.clone());
            }
            request
        };
        let challenge = id::base64url(&id::sha256(get("code_verifier").as_bytes()));
        let right = |request: &HashMap<String, String>| {
            request["code_challenge"] == challenge && request["redirect_uri"] == get("redirect_uri")
        };
        let Some(request) = request.filter(right) else {
            return (400, json!({"error": "invalid_grant"}));
        };
        answer["id_token"] = self.id_token(&request["nonce"]).into();
        answer["scope"] = request["scope"].clone().into();
        if let Some(token) = &self.knobs().refresh_token {
            answer["refresh_token"] = token.clone().into();
        }
        (200, answer)
    }
}

/// Settings that lead to `issuer`.
pub(crate) fn config(issuer: Url) -> GoogleConfig {
    GoogleConfig {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned().into(),
        allowed_domain: "example.com".to_owned(),
        issuer,
        api_base_url: None,
    }
}

/// A JWT signed by the provider's key, whatever the header says.
pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| id::base64url(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{message}.{}", id::base64url(&signature))
}

/// A client as the composition root builds it, less the timeouts.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no lifecycle; the runtime ends the task"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
