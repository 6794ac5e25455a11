//! Who gets in and what gets out: bearers on every path, tampered logins, no secret where it does not belong.

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::google::{emulator, end_fault, fault, fresh_account};
use crate::support::login::{Browser, REDIRECT, Tokens, query};
use crate::support::{Answer, Setup, TestApp, start};

const MCP_PATHS: [&str; 3] = ["/mcp", "/mcp/sse", "/mcp/messages"];
const SCRIPT: &str = "\"'><script>alert(1)</script>";

async fn send(app: &TestApp, method: Method, path: &str, authorization: Option<&str>) -> Answer {
    let request = app
        .http
        .request(method, format!("{}{path}", app.url))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json");
    let request = authorization
        .into_iter()
        .fold(request, |r, value| r.header("authorization", value));
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    Answer::read(request.body(message).send().await.unwrap()).await
}

/// A1, A7: there is no setting that opens the door, so every way in is tried on the ordinary gateway.
#[tokio::test]
async fn nothing_of_mcp_is_served_without_a_token_of_this_path() {
    let app = start().await;
    let other = start().await;
    let good = app.token("1001");
    let basic = format!("Basic {good}");
    let twice = format!("Bearer {good} {good}");
    let unsigned = {
        let mut parts = good.split('.').map(str::to_owned).collect::<Vec<_>>();
        parts[0] = "eyJhbGciOiJub25lIn0".to_owned();
        parts[2] = String::new();
        format!("Bearer {}", parts.join("."))
    };
    let of_another_gateway = format!("Bearer {}", other.token("1001"));
    let long = format!("Bearer {}", "x".repeat(20_000));
    let wrong = [
        "Bearer",
        "Bearer ",
        &basic,
        &twice,
        &unsigned,
        &of_another_gateway,
        &long,
    ];
    for path in MCP_PATHS {
        for method in [
            Method::POST,
            Method::GET,
            Method::DELETE,
            Method::HEAD,
            Method::PUT,
        ] {
            for authorization in std::iter::once(None).chain(wrong.map(Some)) {
                let answer = send(&app, method.clone(), path, authorization).await;
                let served_only_by_post = path == "/mcp/messages" && method != Method::POST;
                let expected = if served_only_by_post { 405 } else { 401 };
                assert_eq!(answer.status, expected, "{method} {path} {authorization:.40?}");
                if expected == 401 {
                    let challenge = answer.header("www-authenticate");
                    let resource = if path == "/mcp/sse" { path } else { "/mcp" };
                    let wanted = format!("{}/.well-known/oauth-protected-resource{resource}\"", app.url);
                    assert!(challenge.contains(&wanted), "{path}: {challenge}");
                }
            }
        }
    }
    // A token for one path opens that path alone.
    let sse = format!("Bearer {}", app.token_for("1001", "/mcp/sse"));
    assert_eq!(send(&app, Method::POST, "/mcp", Some(&sse)).await.status, 401);
    assert_eq!(send(&app, Method::POST, "/mcp/sse", Some(&sse)).await.status, 200);
    assert_eq!(
        send(&app, Method::POST, "/mcp", Some(&format!("Bearer {good}")))
            .await
            .status,
        200
    );
}

/// A1: what a client without a token follows to find out where to get one.
#[tokio::test]
async fn the_way_from_a_401_to_the_login_is_complete() {
    let app = start().await;
    for path in ["/mcp", "/mcp/sse"] {
        let challenge = send(&app, Method::POST, path, None)
            .await
            .header("www-authenticate")
            .to_owned();
        let resource_metadata = challenge
            .split('"')
            .find(|part| part.starts_with("http"))
            .unwrap();
        let resource = Answer::read(app.http.get(resource_metadata).send().await.unwrap())
            .await
            .json();
        assert_eq!(resource["resource"], format!("{}{path}", app.url));
        assert_eq!(resource["authorization_servers"], json!([app.url]));
        let server = app.get_json("/.well-known/oauth-authorization-server").await;
        assert_eq!(server["issuer"], app.url);
        assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
        ] {
            assert!(
                server[endpoint].as_str().unwrap().starts_with(&app.url),
                "{server}"
            );
        }
    }
}

/// A2: a consumer account has no `hd` at all.
#[tokio::test]
async fn a_personal_google_account_is_refused_with_a_page() {
    let app = Setup::default().google().start().await;
    let browser = Browser::new();
    let client_id = app.register("client").await;
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let done = browser
        .get(&browser.pick_account(&google, "zoe@example.net").await)
        .await;
    assert_eq!((done.status, done.header("location")), (403, ""), "{done:?}");
    assert!(
        done.text.contains("zoe@example.net") && done.text.contains("example.com"),
        "{}",
        done.text
    );
}

/// A2.
#[tokio::test]
async fn a_link_that_was_tampered_with_is_refused() {
    let app = Setup::default().google().start().await;
    let client_id = app.register("client").await;
    let good = app.authorize_url(&client_id);
    let with = |name: &str, value: Option<&str>| {
        let mut url = reqwest::Url::parse(&good).unwrap();
        let kept: Vec<_> = url
            .query_pairs()
            .into_owned()
            .filter(|(key, _)| key != name)
            .collect();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(kept)
            .extend_pairs(value.map(|value| (name, value)));
        url.to_string()
    };
    // What the client is told, because it can be trusted to be the client.
    for (name, value, error) in [
        ("code_challenge", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("resource", Some("https://example.org/mcp"), "invalid_target"),
        ("scope", Some("everything"), "invalid_scope"),
    ] {
        let page = Browser::new().get(&with(name, value)).await;
        let back = page.header("location");
        assert!(back.starts_with(REDIRECT), "{name}={value:?}: {page:?}");
        assert_eq!(query(back, "error").as_deref(), Some(error), "{name}={value:?}");
        assert_eq!(
            query(back, "iss").as_deref(),
            Some(app.url.as_str()),
            "{name}={value:?}"
        );
    }
    // What only the person is told, because nobody knows whom a redirect would reach.
    for (name, value) in [
        ("client_id", Some("nobody")),
        ("redirect_uri", Some("https://example.org/callback")),
        ("redirect_uri", Some("http://127.0.0.1:33418/callback/..")),
        ("redirect_uri", None),
    ] {
        let page = Browser::new().get(&with(name, value)).await;
        assert_eq!(
            (page.status, page.header("location")),
            (400, ""),
            "{name}={value:?}: {page:?}"
        );
    }
}

/// A2.
#[tokio::test]
async fn a_state_or_a_verifier_that_is_not_the_right_one_gives_no_token() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let client_id = app.register("client").await;
    let browser = Browser::new();
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let callback = browser.pick_account(&google, &account.email).await;
    let state = query(&callback, "state").unwrap();
    let tampered = callback.replace(&state, &format!("{state}x"));
    assert_eq!(browser.get(&tampered).await.status, 400);
    let done = browser.get(&callback).await;
    let code = query(done.header("location"), "code").unwrap();
    // A code without the right verifier is worth nothing, and stays good for the one who has it.
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id.as_str()),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        (
            "code_verifier",
            "a-verifier-that-is-long-enough-but-not-the-right-one",
        ),
    ];
    let answer = app.token_request(&form).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    assert_eq!(app.redeem(&client_id, &code).await.status, 200);
    assert_eq!(
        browser.get(&callback).await.status,
        400,
        "Google's answer counts once"
    );
}

/// Everything that a run of the gateway shows to somebody.
#[derive(Default)]
struct Shown(Vec<(String, String)>);

impl Shown {
    fn add(&mut self, what: &str, answer: &Answer) {
        let headers = format!("{:?}", answer.headers);
        self.0
            .push((what.to_owned(), format!("{headers}\n{}", answer.text)));
    }

    fn never_has(&self, secret: &str, except: &[&str]) {
        assert!(secret.len() > 8, "too short to be a secret: {secret}");
        for (what, text) in &self.0 {
            assert!(
                except.contains(&what.as_str()) || !text.contains(secret),
                "{what} shows `{secret:.6}…`"
            );
        }
    }
}

/// A12.
#[tokio::test]
async fn no_page_tool_or_error_shows_a_secret() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let mut shown = Shown::default();
    let client_id = app.register("client").await;
    let browser = Browser::new();
    shown.add("consent page", &browser.get(&app.authorize_url(&client_id)).await);
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let callback = browser.pick_account(&google, &account.email).await;
    let done = browser.get(&callback).await;
    shown.add("callback", &done);
    let code = query(done.header("location"), "code").unwrap();
    let redeemed = app.redeem(&client_id, &code).await;
    let tokens = Tokens::from(client_id.clone(), &redeemed.json());
    shown.add("token", &redeemed);
    shown.add("callback again", &browser.get(&callback).await);
    shown.add("code again", &app.redeem(&client_id, "not a code").await);
    for path in ["/", "/health", "/ready", "/status", "/oauth/jwks", "/nothing"] {
        shown.add(
            path,
            &Answer::read(app.http.get(format!("{}{path}", app.url)).send().await.unwrap()).await,
        );
    }
    let session = app.initialize(&tokens.access).await;
    let names = app.app.mcp.tool_names();
    for kind in [
        json!(null),
        json!({"kind": "expired"}),
        json!({"kind": "insufficient_scope"}),
    ] {
        let broken = if kind.is_null() {
            None
        } else {
            Some(fault(&account.email, "/", kind.clone()).await)
        };
        for name in &names {
            let params = json!({"name": name, "arguments": {}});
            let answer = app.call(&tokens.access, &session, "tools/call", params).await;
            shown.add(&format!("{name} with {kind}"), &answer);
        }
        if let Some(id) = broken {
            end_fault(&id).await;
        }
    }
    let bearer = format!("Bearer {}x", tokens.access);
    shown.add(
        "bad bearer",
        &send(&app, Method::POST, "/mcp", Some(&bearer)).await,
    );
    let subject = app.bearer_subject(&tokens.access);
    let grant = app.app.store.google_grant(&subject).await.unwrap().unwrap();
    shown.never_has(grant.access_token.expose_secret(), &[]);
    shown.never_has(grant.refresh_token.expose_secret(), &[]);
    shown.never_has(&emulator().client_secret, &[]);
    shown.never_has(crate::support::SECRET, &[]);
    shown.never_has(&code, &["callback"]);
    shown.never_has(&tokens.access, &["token"]);
    shown.never_has(&tokens.refresh, &["token"]);
    shown.never_has(&session, &[]);
}

/// A12: whatever a stranger writes into a link or a registration is text on our pages.
#[tokio::test]
async fn markup_from_outside_is_text_on_every_page() {
    let app = Setup::default().google().start().await;
    let client_id = app.register(SCRIPT).await;
    let browser = Browser::new();
    let consent = browser.get(&app.authorize_url(&client_id)).await;
    assert!(
        consent.status == 200 && consent.text.contains("alert(1)"),
        "the name is shown: {consent:?}"
    );
    let query = reqwest::Url::parse_with_params("http://x", [("v", SCRIPT)]).unwrap();
    let encoded = query.query().and_then(|query| query.strip_prefix("v=")).unwrap();
    let good = app.authorize_url(&client_id);
    let pages = [
        good.replace("client-state", encoded),
        good.replace(&client_id, encoded),
        good.replace("127.0.0.1%3A33418", encoded),
        format!("{}/oauth/authorize?{encoded}={encoded}", app.url),
        format!(
            "{}/auth/callback?state={encoded}&error={encoded}&error_description={encoded}",
            app.url
        ),
        format!("{}/auth/callback?code={encoded}", app.url),
        format!("{}/?{encoded}", app.url),
        format!("{}/{encoded}", app.url),
    ];
    let mut shown = vec![consent];
    for page in pages {
        shown.push(browser.get(&page).await);
    }
    let form =
        [("login", SCRIPT), ("csrf", SCRIPT), ("decision", "approve")].map(|(k, v)| (k.into(), v.into()));
    shown.push(Answer::read(browser.submit(&format!("{}/oauth/consent", app.url), &form).await).await);
    for page in &shown {
        assert!(page.status < 500, "{page:?}");
        if page.header("content-type").starts_with("text/html") {
            assert!(!page.text.contains("<script>alert"), "{page:?}");
            let policy = page.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("script-src 'unsafe-inline'"), "{policy}");
        }
    }
    assert!(
        shown
            .iter()
            .filter(|page| page.header("content-type").starts_with("text/html"))
            .count()
            >= 6
    );
}
