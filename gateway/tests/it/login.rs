//! Login and what follows from it, against the Google emulator.

use std::time::Duration;

use serde_json::json;

use crate::support::Setup;
use crate::support::google::{control, emulator, end_fault, fault, fresh_account, journal};
use crate::support::login::{Browser, REDIRECT, Tokens, query};

#[tokio::test]
async fn a_person_of_the_domain_logs_in_and_is_who_they_are() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let result = app.tool(&tokens.access, "whoami", json!({})).await;
    assert_eq!(
        result["structuredContent"]["email"],
        account.email.as_str(),
        "{result}"
    );
}

#[tokio::test]
async fn a_person_of_another_domain_is_refused_with_a_page() {
    let app = Setup::default().google().start().await;
    let stranger = emulator()
        .users
        .iter()
        .find(|user| !user.email.ends_with("@example.com"))
        .unwrap();
    let client_id = app.register("client").await;
    let browser = Browser::new();
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let callback = browser.pick_account(&google, &stranger.email).await;
    let done = browser.get(&callback).await;
    let to_client = done.header("location");
    assert!(
        to_client.is_empty() || query(to_client, "code").is_none(),
        "{done:?}"
    );
    if to_client.is_empty() {
        assert!(
            done.status == 403 && done.text.contains("example.com"),
            "{done:?}"
        );
    } else {
        assert_eq!(query(to_client, "error").as_deref(), Some("access_denied"));
    }
}

#[tokio::test]
async fn a_refusal_on_the_consent_page_goes_back_to_the_client_with_our_issuer() {
    let app = Setup::default().google().start().await;
    let client_id = app.register("client").await;
    let to_client = Browser::new()
        .consent(&app, &app.authorize_url(&client_id), "deny")
        .await;
    assert!(to_client.starts_with(REDIRECT), "{to_client}");
    assert_eq!(query(&to_client, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&to_client, "state").as_deref(), Some("client-state"));
    assert_eq!(query(&to_client, "iss").as_deref(), Some(app.url.as_str()));
}

#[tokio::test]
async fn a_captured_google_url_is_worth_nothing_in_another_browser() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let client_id = app.register("client").await;
    let attacker = Browser::new();
    let google = attacker
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let victim = Browser::new();
    let callback = victim.pick_account(&google, &account.email).await;
    let done = victim.get(&callback).await;
    assert_eq!((done.status, done.header("location")), (400, ""), "{done:?}");
}

#[tokio::test]
async fn a_second_client_of_the_same_browser_sees_consent_again() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let browser = Browser::new();
    for name in ["first", "second"] {
        let client_id = app.register(name).await;
        let page = browser.get(&app.authorize_url(&client_id)).await;
        assert!(page.status == 200 && page.text.contains(name), "{page:?}");
        let google = browser
            .consent(&app, &app.authorize_url(&client_id), "approve")
            .await;
        let callback = browser.pick_account(&google, &account.email).await;
        let done = browser.get(&callback).await;
        assert!(query(done.header("location"), "code").is_some(), "{done:?}");
    }
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_its_replay_ends_what_came_of_it() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let client_id = app.register("client").await;
    let browser = Browser::new();
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let callback = browser.pick_account(&google, &account.email).await;
    let code = query(browser.get(&callback).await.header("location"), "code").unwrap();
    let first = app.redeem(&client_id, &code).await;
    let tokens = Tokens::from(client_id.clone(), &first.json());
    let replay = app.redeem(&client_id, &code).await;
    assert_eq!(
        (replay.status, replay.json()["error"].as_str()),
        (400, Some("invalid_grant"))
    );
    let after = app.refresh(&tokens).await;
    assert_eq!(
        (after.status, after.json()["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

#[tokio::test]
async fn an_expired_hour_is_bridged_by_both_refreshes() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    assert_ne!(
        app.tool(&tokens.access, "whoami", json!({})).await["isError"],
        true
    );
    app.clock.advance(Duration::from_mins(62));
    let session = app.call(&tokens.access, "any", "tools/list", json!({})).await;
    assert_eq!(session.status, 401, "our token is over");
    let tokens = Tokens::from(tokens.client_id.clone(), &app.refresh(&tokens).await.json());
    control("/tokens/expire", &json!({"email": account.email})).await;
    let result = app.tool(&tokens.access, "whoami", json!({})).await;
    assert_eq!(
        result["structuredContent"]["email"],
        account.email.as_str(),
        "{result}"
    );
    let refreshes = journal(&account.email)
        .await
        .into_iter()
        .filter(|entry| entry["path"] == "/oauth2/token");
    assert_eq!(refreshes.count(), 2, "the code and one refresh");
}

#[tokio::test]
async fn twenty_calls_at_once_refresh_googles_token_once() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    control("/tokens/expire", &json!({"email": account.email})).await;
    app.clock.advance(Duration::from_mins(58));
    let calls = (0..20).map(|_| app.tool(&tokens.access, "gmail_list", json!({"maxResults": 1})));
    for result in futures_util::future::join_all(calls).await {
        assert_ne!(result["isError"], true, "{result}");
    }
    let refreshes = journal(&account.email)
        .await
        .into_iter()
        .filter(|entry| entry["path"] == "/oauth2/token");
    assert_eq!(refreshes.count(), 2, "the code and one refresh");
}

#[tokio::test]
async fn a_dead_google_grant_says_log_in_again_and_asks_google_no_more() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    control("/tokens/revoke", &json!({"email": account.email})).await;
    control("/tokens/expire", &json!({"email": account.email})).await;
    app.clock.advance(Duration::from_mins(58));
    for _ in 0..3 {
        let result = app.tool(&tokens.access, "gmail_list", json!({})).await;
        assert_eq!(
            result["structuredContent"]["error"]["code"], "reauth_required",
            "{result}"
        );
    }
    let refreshes = journal(&account.email)
        .await
        .into_iter()
        .filter(|entry| entry["path"] == "/oauth2/token");
    assert_eq!(refreshes.count(), 2, "the code and one refused refresh");
}

#[tokio::test]
async fn googles_failures_are_results_and_the_session_goes_on() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let session = app.initialize(&tokens.access).await;
    let rows = [
        (json!({"kind": "insufficient_scope"}), "insufficient_scope"),
        (json!({"kind": "service_disabled"}), "api_not_enabled"),
        (
            json!({"kind": "status", "status": 404, "reason": "notFound"}),
            "not_found",
        ),
        (
            json!({"kind": "status", "status": 429, "reason": "rateLimitExceeded", "retryAfter": 120}),
            "rate_limited",
        ),
        (
            json!({"kind": "status", "status": 500, "reason": "backendError"}),
            "upstream_unavailable",
        ),
    ];
    for (kind, code) in rows {
        let id = fault(&account.email, "/drive/v3/files", kind.clone()).await;
        let params = json!({"name": "drive_list", "arguments": {}});
        let answer = app.call(&tokens.access, &session, "tools/call", params).await;
        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{kind} {result}");
        assert_eq!(
            result["structuredContent"]["error"]["code"], code,
            "{kind} {result}"
        );
        end_fault(&id).await;
        assert_eq!(
            app.call(&tokens.access, &session, "tools/list", json!({}))
                .await
                .tool_names()
                .len(),
            13
        );
    }
}

#[tokio::test]
async fn google_in_a_black_hole_never_stops_a_start_and_is_found_again() {
    // Nobody listens on the port that this gateway takes for Google's.
    let app = Setup::default().start().await;
    let health = app.http.get(format!("{}/health", app.url)).send().await.unwrap();
    assert_eq!(health.status(), 200);
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    assert_eq!(
        app.call(&token, &session, "tools/list", json!({}))
            .await
            .tool_names()
            .len(),
        13
    );
}
