//! Plays client and person: registers, opens the browser, consents, picks a Google account, redeems the code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Response, StatusCode, Url};
use serde_json::{Value, json};

use super::{Answer, TestApp};

/// Where the test client wants its code.
pub const REDIRECT: &str = "http://127.0.0.1:33418/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What a login ends with.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub client_id: String,
    pub access: String,
    pub refresh: String,
}

/// A browser with its own cookies. Follows no redirect by itself.
pub struct Browser(reqwest::Client);

impl Browser {
    pub fn new() -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .build()
            .unwrap();
        Self(client)
    }

    pub async fn get(&self, url: &str) -> Answer {
        Answer::read(self.0.get(url).send().await.unwrap()).await
    }

    pub async fn submit(&self, url: &str, fields: &[(String, String)]) -> Response {
        self.0.post(url).form(fields).send().await.unwrap()
    }

    /// From the authorization URL over our consent page to Google's sign-in page: its URL.
    pub async fn consent(&self, app: &TestApp, authorize: &str, decision: &str) -> String {
        let page = self.get(authorize).await;
        assert_eq!(page.status, 200, "{page:?}");
        let mut fields = hidden_fields(&page.text);
        fields.push(("decision".to_owned(), decision.to_owned()));
        let answer = self.submit(&format!("{}/oauth/consent", app.url), &fields).await;
        location(&answer)
    }

    /// Picks an account on Google's page and returns the URL that Google sends the browser to.
    pub async fn pick_account(&self, google: &str, email: &str) -> String {
        let page = self.get(google).await;
        assert_eq!(page.status, 200, "{page:?}");
        let form = page
            .text
            .split("<form")
            .find(|form| {
                hidden_fields(form)
                    .iter()
                    .any(|(name, value)| name == "email" && value == email)
            })
            .unwrap_or_else(|| panic!("no account {email}: {page:?}"));
        let callback = Url::parse(google)
            .unwrap()
            .join("/o/oauth2/v2/auth/callback")
            .unwrap();
        location(&self.submit(callback.as_str(), &hidden_fields(form)).await)
    }
}

fn location(response: &Response) -> String {
    let status = response.status();
    assert!(status.is_redirection(), "no redirect but {status}");
    response.headers()["location"].to_str().unwrap().to_owned()
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let start = tag.find(&format!("{name}=\""))? + name.len() + 2;
        let value = tag.get(start..)?.split('"').next()?;
        Some(
            value
                .replace("&quot;", "\"")
                .replace("&#x27;", "'")
                .replace("&#39;", "'")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
    };
    let tags = html
        .split("<input")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default());
    let hidden = tags.filter(|tag| tag.contains("type=\"hidden\""));
    hidden
        .filter_map(|tag| {
            Some((
                attribute(tag, "name")?,
                attribute(tag, "value").unwrap_or_default(),
            ))
        })
        .collect()
}

/// A parameter of a URL's query.
pub fn query(url: &str, name: &str) -> Option<String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

impl TestApp {
    /// Registers a public client (RFC 7591).
    pub async fn register(&self, name: &str) -> String {
        let body =
            json!({"client_name": name, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"});
        let answer = self
            .http
            .post(format!("{}/oauth/register", self.url))
            .json(&body)
            .send()
            .await
            .unwrap();
        let answer = Answer::read(answer).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// The URL that a client opens in the browser.
    pub fn authorize_url(&self, client_id: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(gateway::id::sha256(VERIFIER.as_bytes()));
        let resource = format!("{}/mcp", self.url);
        let mut url = Url::parse(&format!("{}/oauth/authorize", self.url)).unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("state", "client-state")
            .append_pair("scope", "mcp")
            .append_pair("resource", &resource)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// Posts a form to the token endpoint.
    pub async fn token_request(&self, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}/oauth/token", self.url)).form(fields);
        Answer::read(request.send().await.unwrap()).await
    }

    /// Redeems a code.
    pub async fn redeem(&self, client_id: &str, code: &str) -> Answer {
        let resource = format!("{}/mcp", self.url);
        self.token_request(&[
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ])
        .await
    }

    /// The whole way: a new client, consent, Google, code, tokens.
    pub async fn login(&self, email: &str) -> Tokens {
        let client_id = self.register("integration test").await;
        let browser = Browser::new();
        let google = browser
            .consent(self, &self.authorize_url(&client_id), "approve")
            .await;
        let callback = browser.pick_account(&google, email).await;
        let done = browser.get(&callback).await;
        assert!(
            StatusCode::from_u16(done.status).unwrap().is_redirection(),
            "{done:?}"
        );
        let code = query(done.header("location"), "code").unwrap_or_else(|| panic!("no code: {done:?}"));
        let answer = self.redeem(&client_id, &code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Tokens::from(client_id, &answer.json())
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, tokens: &Tokens) -> Answer {
        self.token_request(&[
            ("grant_type", "refresh_token"),
            ("client_id", &tokens.client_id),
            ("refresh_token", &tokens.refresh),
        ])
        .await
    }

    /// Calls a tool in a new legacy session; the result object.
    pub async fn tool(&self, access: &str, name: &str, arguments: Value) -> Value {
        let session = self.initialize(access).await;
        let params = json!({"name": name, "arguments": arguments});
        let answer = self.call(access, &session, "tools/call", params).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    }
}

impl Tokens {
    pub fn from(client_id: String, body: &Value) -> Self {
        let field = |name: &str| {
            body[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name}: {body}"))
                .to_owned()
        };
        Self {
            client_id,
            access: field("access_token"),
            refresh: field("refresh_token"),
        }
    }
}
