//! Authorization requests and consent forms that must not go through.

use super::*;
use crate::secret::hmac_sha256;

#[tokio::test]
async fn an_unknown_client_or_redirect_uri_is_never_redirected() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for changes in [
        [("client_id", "nobody")],
        [("client_id", "")],
        [("client_id", &"x".repeat(5_000))],
        [("redirect_uri", "")],
        [("redirect_uri", "https://evil.example/cb")],
        [("redirect_uri", "http://localhost:53124/callback/")],
        [("redirect_uri", "http://localhost:53124@evil.example/callback")],
        [("redirect_uri", "javascript:alert(1)")],
    ] {
        let reply = bench.authorize(&client, &changes, &[]).await;
        assert_eq!(reply.status, 400, "{changes:?}");
        assert!(reply.headers.get("location").is_none(), "{changes:?}");
        assert!(reply.body.contains("<h1>"), "{changes:?}");
        assert!(reply.cookies().is_empty(), "{changes:?}");
        assert!(!reply.body.contains("evil.example"), "{changes:?}");
    }
    let query = format!("client_id={client}&client_id={client}&redirect_uri=x");
    assert_eq!(
        bench.get(&format!("/oauth/authorize?{query}"), &[]).await.status,
        400
    );
}

#[tokio::test]
async fn any_other_error_is_told_to_a_client_on_this_computer_with_state_and_issuer() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (changes, code) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("code_challenge", "")], "invalid_request"),
        ([("scope", "everything")], "invalid_scope"),
        ([("resource", "https://evil.example/mcp")], "invalid_target"),
        ([("state", &*"s".repeat(5_000))], "invalid_request"),
    ] {
        let reply = bench.authorize(&client, &changes, &[]).await;
        let parameters = reply.redirected(REDIRECT);
        assert_eq!(parameters["error"], code, "{changes:?}");
        assert_eq!(parameters["iss"], ORIGIN);
        assert!(
            parameters["state"] == "xyz" || changes[0].0 == "state",
            "{changes:?}"
        );
        assert!(!parameters.contains_key("code"));
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_web_site_gets_its_error_only_when_the_person_goes_there() {
    let bench = Bench::new().await;
    let uri = "https://app.example.org/callback";
    let registered = bench.register(json!({"redirect_uris": [uri]})).await;
    let client = registered.json()["client_id"].as_str().unwrap().to_owned();
    let changes = [("redirect_uri", uri), ("scope", "everything")];
    let reply = bench.authorize(&client, &changes, &[]).await;
    assert_eq!(reply.status, 400);
    assert!(reply.headers.get("location").is_none());
    let link = format!("href=\"{uri}?error=invalid_scope&amp;");
    assert!(
        reply.body.contains(&link) && reply.body.contains("iss="),
        "{}",
        reply.body
    );
    let good = bench.authorize(&client, &[("redirect_uri", uri)], &[]).await;
    let denied = bench.decide(&good, &good.cookies(), "deny").await;
    assert_eq!(denied.redirected(uri)["error"], "access_denied");
}

#[tokio::test]
async fn a_loopback_redirect_may_use_another_port() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let uri = "http://localhost:61999/callback";
    let page = bench.authorize(&client, &[("redirect_uri", uri)], &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let reply = bench.decide(&page, &page.cookies(), "deny").await;
    assert_eq!(reply.redirected(uri)["error"], "access_denied");
}

#[tokio::test]
async fn the_consent_page_keeps_to_itself() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let page = bench.authorize(&client, &[], &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(policy.contains("style-src 'sha256-"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-mcp-browser="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure"),
        "{cookie}"
    );
    assert!(page.body.contains("<bdi>Test</bdi>") && page.body.contains("localhost:53124"));
    assert!(!page.body.contains("<script"));
}

#[tokio::test]
async fn a_second_client_is_asked_about_in_the_same_browser() {
    let bench = Bench::new().await;
    let (first, second) = (bench.client().await, bench.client().await);
    let page = bench.authorize(&first, &[], &[]).await;
    let cookies = page.cookies();
    bench
        .decide(&page, &cookies, "approve")
        .await
        .redirected(bench.google.issuer.as_str());
    for client in [&first, &second] {
        let again = bench.authorize(client, &[], &cookies).await;
        assert_eq!(again.status, StatusCode::OK);
        assert!(again.body.contains("/oauth/consent"));
        assert_eq!(
            again.cookies(),
            cookies,
            "one cookie serves all pages of a browser"
        );
    }
}

#[tokio::test]
async fn a_consent_form_counts_only_from_the_page_and_the_browser_it_was_made_for() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let page = bench.authorize(&client, &[], &[]).await;
    let cookies = page.cookies();
    let other_page = bench.authorize(&client, &[], &cookies).await;
    let other_browser = bench.authorize(&client, &[], &[]).await.cookies();
    let (login, csrf) = (page.field("login"), page.field("csrf"));
    // A token that fits the other browser: the login itself is still bound to this one.
    let value = other_browser[0].split_once('=').unwrap().1;
    let key = keyring().current("consent form").bytes;
    let fitting = id::base64url(&hmac_sha256(&key, format!("{login} {value}").as_bytes()));
    let form = |login: &str, csrf: &str, decision: &str| {
        encode(&[("login", login), ("csrf", csrf), ("decision", decision)])
    };
    for (name, cookies, body) in [
        ("no cookie", &Vec::new(), form(&login, &csrf, "approve")),
        ("another browser", &other_browser, form(&login, &csrf, "approve")),
        (
            "another browser's token",
            &other_browser,
            form(&login, &fitting, "approve"),
        ),
        ("no token", &cookies, form(&login, "", "approve")),
        (
            "a made-up token",
            &cookies,
            form(&login, &id::random_token(), "approve"),
        ),
        (
            "another page's token",
            &cookies,
            form(&login, &other_page.field("csrf"), "approve"),
        ),
        ("an unknown login", &cookies, form("nobody", &csrf, "approve")),
        ("no decision", &cookies, form(&login, &csrf, "")),
        ("another decision", &cookies, form(&login, &csrf, "perhaps")),
        (
            "denied from elsewhere",
            &other_browser,
            form(&login, &csrf, "deny"),
        ),
        ("nothing", &cookies, String::new()),
        ("too much", &cookies, "x".repeat(70_000)),
    ] {
        let reply = bench
            .post(
                "/oauth/consent",
                "application/x-www-form-urlencoded",
                cookies,
                body,
            )
            .await;
        assert_eq!(reply.status, 400, "{name}");
        assert!(reply.headers.get("location").is_none(), "{name}");
        assert!(reply.cookies().is_empty(), "{name}");
    }
    // None of them spent the login; the right form does, once.
    let reply = bench.decide(&page, &cookies, "approve").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(bench.decide(&page, &cookies, "approve").await.status, 400);
}

#[tokio::test]
async fn a_denied_login_goes_back_to_the_client_and_ends() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let page = bench.authorize(&client, &[], &[]).await;
    let reply = bench.decide(&page, &page.cookies(), "deny").await;
    let parameters = reply.redirected(REDIRECT);
    assert_eq!(parameters["error"], "access_denied");
    assert_eq!(
        (parameters["state"].as_str(), parameters["iss"].as_str()),
        ("xyz", ORIGIN)
    );
    assert_eq!(bench.decide(&page, &page.cookies(), "approve").await.status, 400);
}

#[tokio::test]
async fn a_consent_page_works_for_ten_minutes() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let page = bench.authorize(&client, &[], &[]).await;
    bench.clock.advance(std::time::Duration::from_mins(10));
    assert_eq!(bench.decide(&page, &page.cookies(), "approve").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let bench = Bench::new().await;
    for (path, status) in [
        ("/oauth/token", StatusCode::REQUEST_TIMEOUT),
        ("/oauth/register", StatusCode::REQUEST_TIMEOUT),
        ("/oauth/consent", StatusCode::BAD_REQUEST),
    ] {
        let never = futures_util::stream::pending::<Result<&str, std::io::Error>>();
        let request = Request::post(path).body(Body::from_stream(never)).unwrap();
        let reply = tokio::time::timeout(std::time::Duration::from_secs(15), bench.send(request)).await;
        assert_eq!(reply.expect(path).status, status, "{path}");
    }
}
