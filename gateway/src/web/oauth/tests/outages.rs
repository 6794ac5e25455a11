//! The store is out of reach: everybody is told to come back, and nobody loses a login over it.

use super::*;
use crate::oauth::refresh_token::{self, FamilyId};

#[tokio::test]
async fn programs_are_told_to_come_back_and_the_token_endpoint_never_fails_with_a_5xx() {
    let bench = Bench::without_tables().await;
    let token = refresh_token::encode(&keyring(), &FamilyId::random(), 0);
    for reply in [
        bench.redeem("client", "code", &[]).await,
        bench.refresh("client", &token, &[]).await,
    ] {
        assert_eq!(error(&reply), (400, "temporarily_unavailable".to_owned()));
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(
            !reply.body.contains("table"),
            "the cause is for the log: {}",
            reply.body
        );
    }
    let reply = bench.register(json!({"redirect_uris": [REDIRECT]})).await;
    assert_eq!(error(&reply), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn people_see_a_page_that_can_be_loaded_again() {
    let bench = Bench::without_tables().await;
    let page = bench.authorize("client", &[], &[]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.headers.contains_key("retry-after"));
    assert!(
        page.body
            .contains("href=\"/oauth/authorize?client_id=client&amp;"),
        "{}",
        page.body
    );
    let back = bench.get("/auth/callback?code=c&state=s", &[]).await;
    assert_eq!(back.status, StatusCode::SERVICE_UNAVAILABLE);
    let form = [("login", "l"), ("csrf", "c"), ("decision", "approve")];
    let answer = bench
        .post_form("/oauth/consent", &["__Host-mcp-browser=b".to_owned()], &form)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        !answer.body.contains("<a "),
        "a form cannot be sent again by a link"
    );
}
