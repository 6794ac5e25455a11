//! The token endpoint: nothing is spent by a wrong request, and replays end what they came from.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;

use super::*;

const WRONG_VERIFIER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

/// The refresh token of a successful response.
fn refresh_token(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_wrong_request_leaves_the_code_to_the_right_one() {
    let bench = Bench::new().await;
    let (client, other) = (bench.client().await, bench.client().await);
    let code = bench.code(&client).await;
    for (changes, status, expected) in [
        ([("code_verifier", "")], 400, "invalid_request"),
        ([("code_verifier", WRONG_VERIFIER)], 400, "invalid_grant"),
        (
            [("code_verifier", &*pkce::challenge(VERIFIER))],
            400,
            "invalid_grant",
        ),
        (
            [("redirect_uri", "http://localhost:1/callback")],
            400,
            "invalid_grant",
        ),
        ([("resource", "https://evil.example/mcp")], 400, "invalid_target"),
        (
            [("resource", "https://mcp.example.com/mcp/sse")],
            400,
            "invalid_target",
        ),
        ([("client_id", &*other)], 400, "invalid_grant"),
        ([("client_id", "nobody")], 401, "invalid_client"),
        ([("client_id", "")], 400, "invalid_request"),
        ([("client_secret", "made up")], 401, "invalid_client"),
        ([("code", "made up")], 400, "invalid_grant"),
        ([("code", "")], 400, "invalid_request"),
        ([("grant_type", "")], 400, "invalid_request"),
        ([("grant_type", "password")], 400, "unsupported_grant_type"),
    ] {
        let reply = bench.redeem(&client, &code, &changes).await;
        assert_eq!(error(&reply), (status, expected.to_owned()), "{changes:?}");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("pragma"), "no-cache");
    }
    let reply = bench.redeem(&client, &code, &[("resource", MCP)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_redirect_uri_may_be_left_out_but_the_verifier_may_not() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let without = [("redirect_uri", ""), ("code_verifier", WRONG_VERIFIER)];
    let reply = bench.redeem(&client, &code, &without).await;
    assert_eq!(error(&reply), (400, "invalid_grant".to_owned()));
    let reply = bench.redeem(&client, &code, &[("redirect_uri", "")]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

#[tokio::test]
async fn a_replayed_code_revokes_the_tokens_of_the_first_time() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let token = refresh_token(&bench.redeem(&client, &code, &[]).await);
    // Whoever cannot prove to be the owner cannot log the owner out.
    let stranger = bench
        .redeem(&client, &code, &[("code_verifier", WRONG_VERIFIER)])
        .await;
    assert_eq!(error(&stranger), invalid_grant());
    let token = refresh_token(&bench.refresh(&client, &token, &[]).await);
    assert_eq!(error(&bench.redeem(&client, &code, &[]).await), invalid_grant());
    assert_eq!(error(&bench.refresh(&client, &token, &[]).await), invalid_grant());
}

#[tokio::test]
async fn of_fifty_parallel_redemptions_one_at_most_succeeds() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let replies = join_all((0..50).map(|_| bench.redeem(&client, &code, &[]))).await;
    let won = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK)
        .count();
    assert_eq!(won, 1);
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == StatusCode::OK || reply.status == 400)
    );
}

#[tokio::test]
async fn a_code_lives_for_a_minute() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(error(&bench.redeem(&client, &code, &[]).await), invalid_grant());
}

#[tokio::test]
async fn fifty_parallel_refreshes_see_one_successor() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let first = refresh_token(&bench.redeem(&client, &code, &[]).await);
    let replies = join_all((0..50).map(|_| bench.refresh(&client, &first, &[]))).await;
    let successors: Vec<_> = replies.iter().map(refresh_token).collect();
    assert!(
        successors
            .iter()
            .all(|token| *token == successors[0] && *token != first)
    );
    assert!(
        bench
            .refresh(&client, &successors[0], &[])
            .await
            .status
            .is_success()
    );
}

#[tokio::test]
async fn the_previous_token_works_for_thirty_seconds_and_then_ends_the_family() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let first = refresh_token(&bench.redeem(&client, &code, &[]).await);
    let second = refresh_token(&bench.refresh(&client, &first, &[]).await);
    bench.clock.advance(Duration::from_secs(30));
    assert_eq!(refresh_token(&bench.refresh(&client, &first, &[]).await), second);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(error(&bench.refresh(&client, &first, &[]).await), invalid_grant());
    assert_eq!(
        error(&bench.refresh(&client, &second, &[]).await),
        invalid_grant(),
        "the family is revoked"
    );
}

#[tokio::test]
async fn a_grandparent_token_ends_the_family_at_once() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let first = refresh_token(&bench.redeem(&client, &code, &[]).await);
    let second = refresh_token(&bench.refresh(&client, &first, &[]).await);
    let third = refresh_token(&bench.refresh(&client, &second, &[]).await);
    assert_eq!(error(&bench.refresh(&client, &first, &[]).await), invalid_grant());
    assert_eq!(error(&bench.refresh(&client, &third, &[]).await), invalid_grant());
}

#[tokio::test]
async fn a_wrong_refresh_request_leaves_the_token_in_use() {
    let bench = Bench::new().await;
    let (client, other) = (bench.client().await, bench.client().await);
    let code = bench.code(&client).await;
    let token = refresh_token(&bench.redeem(&client, &code, &[]).await);
    let wrong_resource = [("resource", "https://mcp.example.com/mcp/sse")];
    let reply = bench.refresh(&client, &token, &wrong_resource).await;
    assert_eq!(error(&reply), (400, "invalid_target".to_owned()));
    let reply = bench.refresh(&client, &token, &[("scope", "admin")]).await;
    assert_eq!(error(&reply), (400, "invalid_scope".to_owned()));
    assert_eq!(error(&bench.refresh(&other, &token, &[]).await), invalid_grant());
    let mut mangled = token.clone();
    mangled.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
    assert_eq!(
        error(&bench.refresh(&client, &mangled, &[]).await),
        invalid_grant()
    );
    let reply = bench
        .refresh(
            &client,
            &token,
            &[("resource", MCP), ("scope", "mcp offline_access")],
        )
        .await;
    let claims = bench.claims(&reply.json()["access_token"], MCP);
    assert_eq!(claims.sub, "1001");
    assert_ne!(refresh_token(&reply), token);
}

#[tokio::test]
async fn a_family_lives_thirty_days_from_its_last_use() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    let mut token = refresh_token(&bench.redeem(&client, &code, &[]).await);
    // Five months: the registration, too, lives on with its use.
    for _ in 0..5 {
        bench.clock.advance(Duration::from_hours(24 * 30 - 1));
        token = refresh_token(&bench.refresh(&client, &token, &[]).await);
    }
    bench.clock.advance(Duration::from_hours(24 * 30));
    assert_eq!(error(&bench.refresh(&client, &token, &[]).await), invalid_grant());
}

#[tokio::test]
async fn a_confidential_client_needs_its_secret_in_the_header_or_in_the_body() {
    let bench = Bench::new().await;
    let body = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic"});
    let registration = bench.register(body).await.json();
    let (client, secret) = (
        registration["client_id"].as_str().unwrap(),
        registration["client_secret"].as_str().unwrap(),
    );
    let code = bench.code(client).await;
    let by_header = async |secret: &str, client_id: &str, client_secret: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("client_id", client_id),
            ("client_secret", client_secret),
        ];
        let credentials = STANDARD.encode(format!("{client}:{secret}"));
        let request = Request::post("/oauth/token")
            .header(header::AUTHORIZATION, format!("Basic {credentials}"))
            .body(Body::from(encode(&form)));
        bench.send(request.unwrap()).await
    };
    let invalid_client = (401, "invalid_client".to_owned());
    let unknown = bench.redeem("nobody", &code, &[]).await;
    let missing = bench.redeem(client, &code, &[]).await;
    let wrong = bench.redeem(client, &code, &[("client_secret", "wrong")]).await;
    for reply in [&unknown, &missing, &wrong] {
        assert_eq!(error(reply), invalid_client);
        assert_eq!(reply.body, unknown.body, "which of them it was is not told");
        assert!(reply.headers.get("www-authenticate").is_none());
    }
    let wrong = by_header("wrong", "", "").await;
    assert_eq!(error(&wrong), invalid_client);
    assert!(wrong.header("www-authenticate").starts_with("Basic "));
    assert_eq!(
        error(&by_header(secret, "", secret).await),
        (400, "invalid_request".to_owned())
    );
    assert_eq!(
        error(&by_header(secret, "other", "").await),
        (400, "invalid_request".to_owned())
    );
    let token = refresh_token(&by_header(secret, client, "").await);
    let reply = bench.refresh(client, &token, &[("client_secret", secret)]).await;
    assert_eq!(reply.status, StatusCode::OK, "the body does as well");
}

#[tokio::test]
async fn junk_is_answered_400_and_json_is_understood() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let code = bench.code(&client).await;
    for (content_type, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json; charset=utf-8", "null"),
        ("multipart/form-data; boundary=x", "--x"),
        ("\u{7f}", "\u{0}"),
        (
            "",
            "grant_type=authorization_code&grant_type=refresh_token&client_id=x&client_id=x",
        ),
    ] {
        let request = Request::post("/oauth/token")
            .header(
                header::CONTENT_TYPE,
                http::HeaderValue::from_bytes(content_type.as_bytes())
                    .unwrap_or(http::HeaderValue::from_static("?")),
            )
            .body(Body::from(body));
        let reply = bench.send(request.unwrap()).await;
        assert_eq!(
            error(&reply),
            (400, "invalid_request".to_owned()),
            "{content_type} {body}"
        );
    }
    let long = "x".repeat(70_000);
    let reply = bench
        .post("/oauth/token", "application/x-www-form-urlencoded", &[], long)
        .await;
    assert_eq!(error(&reply), (413, "invalid_request".to_owned()));
    let body = json!({
        "grant_type": "authorization_code", "client_id": client, "code": code,
        "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
    });
    let reply = bench
        .post("/oauth/token", "application/json", &[], body.to_string())
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}
