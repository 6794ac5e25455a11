//! The way over Google: the whole flow, and every return that must not become a code.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;
use crate::oauth::consent::GOOGLE_SCOPES;

/// Approves, signs in at Google, and comes back; the bench's knobs decide how that goes.
async fn log_in(bench: &Bench, client: &str) -> Reply {
    let (url, cookies) = bench.approve(client, &[]).await;
    let query = bench.google.sign_in(&url);
    bench.get(&format!("/auth/callback?{query}"), &cookies).await
}

#[tokio::test]
async fn a_login_ends_in_tokens_for_the_pasted_url() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let resource = "https://mcp.example.com/mcp/sse";
    let (url, cookies) = bench
        .approve(
            &client,
            &[("resource", resource), ("scope", "mcp offline_access")],
        )
        .await;
    let query = bench.google.sign_in(&url);
    let back = bench.get(&format!("/auth/callback?{query}"), &cookies).await;
    let parameters = back.redirected(REDIRECT);
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
    assert_eq!(
        (parameters["state"].as_str(), parameters["iss"].as_str()),
        ("xyz", ORIGIN)
    );

    let reply = bench
        .redeem(&client, &parameters["code"], &[("resource", resource)])
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let tokens = reply.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "mcp");
    let claims = bench.claims(&tokens["access_token"], resource);
    assert_eq!(
        (claims.sub.as_str(), claims.email.as_str()),
        ("1001", "ana@example.com")
    );
    assert_eq!((claims.client_id, claims.scope), (client, "mcp".to_owned()));
    assert_eq!((claims.iat, claims.exp), (START, START + 3600));

    let user = bench.store.user(&UserId::new("1001")).await.unwrap().unwrap();
    assert_eq!(
        (user.email.as_str(), user.domain.as_str()),
        ("ana@example.com", "example.com")
    );
    let grant = bench.store.google_grant(&user.id).await.unwrap().unwrap();
    assert_eq!(grant.access_token.expose_secret(), "google-access");
    assert_eq!(grant.refresh_token.expose_secret(), "1//google-refresh");
    assert_eq!(
        (grant.scope.as_str(), grant.expires_at),
        (GOOGLE_SCOPES, START + 3599)
    );
}

#[tokio::test]
async fn google_is_asked_for_offline_access_within_the_domain() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let page = bench.authorize(&client, &[], &[]).await;
    let reply = bench.decide(&page, &page.cookies(), "approve").await;
    let parameters = reply.redirected(&format!("{}authorize", bench.google.issuer));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", fake::CLIENT_ID),
        ("redirect_uri", "https://mcp.example.com/auth/callback"),
        ("scope", GOOGLE_SCOPES),
        ("code_challenge_method", "S256"),
        ("hd", "example.com"),
        ("access_type", "offline"),
        ("prompt", "consent"),
    ] {
        assert_eq!(parameters[name], value, "{name}");
    }
    assert_eq!(GOOGLE_SCOPES.split(' ').count(), 8);
    assert!(parameters["state"].len() > 40 && parameters["nonce"].len() == 43);
    // The cookie of the login appears with the approval, not before.
    let names = |reply: &Reply| {
        reply
            .cookies()
            .iter()
            .map(|c| c.split('=').next().unwrap().len())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["__Host-mcp-browser".len()]);
    assert_eq!(names(&reply), ["__Host-mcp-login-".len() + 12]);
    assert!(
        reply
            .header("set-cookie")
            .ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure")
    );
}

#[tokio::test]
async fn a_return_counts_only_in_the_browser_that_approved() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let (url, cookies) = bench.approve(&client, &[]).await;
    let (_, victim) = bench.approve(&client, &[]).await;
    let path = format!("/auth/callback?{}", bench.google.sign_in(&url));
    let consent_only = [cookies[0].clone()];
    let ticket_name = cookies[1].split_once('=').unwrap().0;
    let forged = [format!("{ticket_name}={}", id::random_token())];
    for (name, jar) in [
        ("a clean browser", &[] as &[String]),
        ("the victim's browser", &victim),
        ("without the login's cookie", &consent_only),
        ("with a made-up cookie", &forged),
    ] {
        let reply = bench.get(&path, jar).await;
        assert_eq!(reply.status, 400, "{name}");
        assert!(reply.headers.get("location").is_none(), "{name}");
    }
    assert_eq!(bench.google.count("/token"), 0, "nobody else gets the code spent");
    let reply = bench.get(&path, &cookies).await;
    assert!(reply.redirected(REDIRECT).contains_key("code"));
    assert!(
        reply.header("set-cookie").contains("Max-Age=0"),
        "the cookie goes with the login"
    );
    assert_eq!(bench.get(&path, &cookies).await.status, 400, "a state works once");
}

#[tokio::test]
async fn a_tampered_or_foreign_state_is_no_login() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let (url, cookies) = bench.approve(&client, &[]).await;
    let query = bench.google.sign_in(&url);
    for path in [
        format!("/auth/callback?{query}x"),
        "/auth/callback?code=c&state=".to_owned(),
        "/auth/callback?code=c".to_owned(),
        "/auth/callback".to_owned(),
        format!("/auth/callback?{query}&{query}"),
    ] {
        assert_eq!(bench.get(&path, &cookies).await.status, 400, "{path}");
    }
    // The name of a consent page is no state, although both are logins in progress.
    let page = bench.authorize(&client, &[], &[]).await;
    let path = format!("/auth/callback?code=c&state={}", page.field("login"));
    assert_eq!(bench.get(&path, &page.cookies()).await.status, 400);
    bench.clock.advance(Duration::from_mins(10));
    assert_eq!(
        bench
            .get(&format!("/auth/callback?{query}"), &cookies)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn accounts_outside_the_domain_see_a_refusal() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (claims, text) in [
        (json!({"hd": null}), "personal Google account"),
        (
            json!({"hd": "example.org", "email": "eve@example.org"}),
            "eve@example.org does not belong",
        ),
        (json!({"email_verified": false}), "not verified"),
        (
            json!({"hd": null, "email": "<b>@example.com"}),
            "&lt;b&gt;@example.com",
        ),
    ] {
        bench.google.knobs().claims = claims.clone();
        let reply = log_in(&bench, &client).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{claims}");
        assert!(reply.body.contains(text), "{claims}: {}", reply.body);
        // The page's button tells the client.
        let back = reply
            .body
            .split("<a class=\"button primary\" href=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(
            back.starts_with(&format!("{REDIRECT}?error=access_denied&amp;")),
            "{back}"
        );
        assert!(back.contains("state=xyz") && back.contains("iss=https"), "{back}");
    }
    assert_eq!(bench.store.user(&UserId::new("1001")).await.unwrap(), None);
    assert!(
        bench
            .store
            .google_grant(&UserId::new("1001"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_id_token_with_a_wrong_claim_is_no_login() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for claims in [
        json!({"nonce": "another"}),
        json!({"aud": "another"}),
        json!({"iss": "https://accounts.example.org"}),
        json!({"exp": START - 60}),
    ] {
        bench.google.knobs().claims = claims.clone();
        let parameters = log_in(&bench, &client).await.redirected(REDIRECT);
        assert_eq!(parameters["error"], "server_error", "{claims}");
        assert_eq!(parameters["iss"], ORIGIN);
        assert!(!parameters.contains_key("code"));
    }
}

#[tokio::test]
async fn an_error_of_google_is_told_to_the_client() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (theirs, ours) in [
        ("access_denied", "access_denied"),
        ("admin_policy_enforced", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
    ] {
        let (url, cookies) = bench.approve(&client, &[]).await;
        let state = bench
            .google
            .sign_in(&url)
            .split_once("&state=")
            .unwrap()
            .1
            .to_owned();
        let path = format!("/auth/callback?error={theirs}&state={state}");
        let parameters = bench.get(&path, &cookies).await.redirected(REDIRECT);
        assert_eq!(parameters["error"], ours);
        assert_eq!(
            (parameters["state"].as_str(), parameters["iss"].as_str()),
            ("xyz", ORIGIN)
        );
        assert_eq!(bench.get(&path, &cookies).await.status, 400);
    }
}

#[tokio::test]
async fn a_login_survives_an_outage_of_google() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let fault = |path: &'static str| {
        bench.google.knobs().faults.insert(path, (503, Value::Null));
    };
    let repair = || bench.google.knobs().faults.clear();

    // Before the browser leaves: the same page again, which still works.
    fault("/.well-known/openid-configuration");
    let page = bench.authorize(&client, &[], &[]).await;
    let mut cookies = page.cookies();
    let away = bench.decide(&page, &cookies, "approve").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(away.body.contains("Google does not answer") && away.headers.contains_key("retry-after"));
    repair();
    let approved = bench.decide(&away, &cookies, "approve").await;
    cookies.extend(approved.cookies());

    // After the return: the keys or the exchange fail, and loading the page again goes on.
    let path = format!(
        "/auth/callback?{}",
        bench.google.sign_in(approved.header("location"))
    );
    for endpoint in ["/jwks", "/token"] {
        fault(endpoint);
        let away = bench.get(&path, &cookies).await;
        assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{endpoint}");
        assert!(
            away.body
                .contains(&format!("href=\"{}\"", path.replace('&', "&amp;"))),
            "{}",
            away.body
        );
        repair();
    }
    assert!(
        bench
            .get(&path, &cookies)
            .await
            .redirected(REDIRECT)
            .contains_key("code")
    );
}

#[tokio::test]
async fn without_a_refresh_token_the_stored_one_serves_on_if_it_lives() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let user = UserId::new("1001");
    bench.google.knobs().refresh_token = None;
    let parameters = log_in(&bench, &client).await.redirected(REDIRECT);
    assert_eq!(parameters["error"], "server_error", "there is none at all");

    bench.google.knobs().refresh_token = Some("1//google-refresh".to_owned());
    assert!(
        log_in(&bench, &client)
            .await
            .redirected(REDIRECT)
            .contains_key("code")
    );
    bench.google.knobs().refresh_token = None;
    assert!(
        log_in(&bench, &client)
            .await
            .redirected(REDIRECT)
            .contains_key("code")
    );
    let mut grant = bench.store.google_grant(&user).await.unwrap().unwrap();
    assert_eq!(grant.refresh_token.expose_secret(), "1//google-refresh");

    grant.reauth_required = true;
    bench.store.put_google_grant(&user, &grant).await.unwrap();
    assert_eq!(
        log_in(&bench, &client).await.redirected(REDIRECT)["error"],
        "server_error"
    );
}

#[tokio::test]
async fn racing_returns_make_one_code() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for reusable_codes in [false, true] {
        bench.google.knobs().reusable_codes = reusable_codes;
        let (url, cookies) = bench.approve(&client, &[]).await;
        let path = format!("/auth/callback?{}", bench.google.sign_in(&url));
        let replies = futures_util::future::join_all((0..20).map(|_| bench.get(&path, &cookies))).await;
        let is_code = |reply: &&Reply| {
            let location = reply.headers.get("location");
            location.is_some_and(|url| url.to_str().unwrap().contains("?code="))
        };
        assert_eq!(
            replies.iter().filter(is_code).count(),
            1,
            "reusable: {reusable_codes}"
        );
    }
}
