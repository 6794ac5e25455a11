//! Who refreshes, how often, and what happens to a grant when the token endpoint fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::google::Reachability;
use crate::google::testing::{Hit, Reply, SHORT, START, World, token_answer};
use crate::store::faults::Fault;

fn ana() -> UserId {
    UserId::new("ana")
}

async fn world(token_endpoint: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> World {
    World::new(SHORT, token_endpoint).await
}

fn refused(error: &str) -> Reply {
    Reply::Json(
        400,
        json!({ "error": error, "error_description": "Token has been expired or revoked." }),
    )
}

async fn stored(world: &World) -> GoogleGrant {
    world.store.google_grant(&ana()).await.unwrap().unwrap()
}

fn text(bearer: &Bearer) -> &str {
    bearer.token.expose_secret()
}

#[tokio::test]
async fn a_token_with_more_than_five_minutes_left_is_used_as_it_is() {
    let world = world(|_| Reply::Reset).await;
    world.login("ana", REFRESH_BEFORE_SECONDS + 1).await;
    let bearer = world.client.credentials.bearer(&ana()).await.unwrap();
    assert_eq!(text(&bearer), "ana-access");
    assert!(bearer.refreshable);
    assert!(world.google.hits("/token").is_empty());
}

#[tokio::test]
async fn twenty_parallel_calls_of_two_tasks_refresh_once() {
    let world = world(|_| token_answer("new")).await;
    world.login("ana", REFRESH_BEFORE_SECONDS).await;
    let other = world.another_task();
    let user = ana();
    let calls = (0..20).map(|n| {
        let client = if n % 2 == 0 { &world.client } else { &other };
        client.credentials.bearer(&user)
    });
    for bearer in futures_util::future::join_all(calls).await {
        assert_eq!(text(&bearer.unwrap()), "new");
    }
    let refreshes = world.google.hits("/token");
    assert_eq!(refreshes.len(), 1);
    assert!(refreshes[0].body.contains("refresh_token=ana-refresh"));
    let grant = stored(&world).await;
    assert_eq!(grant.access_token.expose_secret(), "new");
    assert_eq!(grant.refresh_token.expose_secret(), "ana-refresh");
    assert_eq!(grant.expires_at, START + 3600);
}

#[tokio::test]
async fn a_token_is_renewed_an_hour_later_without_anybody_noticing() {
    let served = AtomicUsize::new(0);
    let world = world(move |_| token_answer(&format!("new-{}", served.fetch_add(1, Ordering::SeqCst)))).await;
    world.login("ana", 3600).await;
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "ana-access"
    );
    world.clock.advance(Duration::from_secs(3590));
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "new-0"
    );
    world.clock.advance(Duration::from_secs(3590));
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "new-1"
    );
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept() {
    let rotated = json!({ "access_token": "new", "refresh_token": "rotated", "expires_in": 3600, "token_type": "Bearer" });
    let world = world(move |_| Reply::Json(200, rotated.clone())).await;
    world.login("ana", 0).await;
    world.client.credentials.bearer(&ana()).await.unwrap();
    let grant = stored(&world).await;
    assert_eq!(grant.refresh_token.expose_secret(), "rotated");
    assert!(
        grant.scope.contains("gmail.readonly"),
        "an answer without scope leaves it as it was"
    );
}

#[tokio::test]
async fn a_withdrawn_login_is_marked_and_google_is_not_asked_again() {
    let world = world(|_| refused("invalid_grant")).await;
    world.login("ana", 60).await;
    for _ in 0..3 {
        let error = world.client.credentials.bearer(&ana()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ReauthRequired);
        assert!(error.to_json()["hint"].as_str().unwrap().contains("log in"));
    }
    assert_eq!(world.google.hits("/token").len(), 1);
    assert!(stored(&world).await.reauth_required);

    world.login("ana", 3600).await;
    let bearer = world.client.credentials.bearer(&ana()).await.unwrap();
    assert_eq!(text(&bearer), "ana-access", "a new login works at once");
}

#[tokio::test]
async fn an_outage_of_the_token_endpoint_leaves_the_grant_as_it_was() {
    for failure in [
        Reply::Json(503, json!({})),
        Reply::Reset,
        refused("invalid_client"),
        refused("unauthorized_client"),
    ] {
        let reply = failure.clone();
        let world = world(move |_| reply.clone()).await;
        world.login("ana", 60).await;
        let bearer = world.client.credentials.bearer(&ana()).await;
        match failure {
            Reply::Json(400, ref body) if body["error"] == "unauthorized_client" => {
                assert_eq!(bearer.unwrap_err().code, ErrorCode::ReauthRequired);
            }
            _ => assert_eq!(
                text(&bearer.unwrap()),
                "ana-access",
                "the old token is still good"
            ),
        }
        world.clock.advance(Duration::from_secs(61));
        world.client.credentials.forget(&ana()).await;
        assert!(world.client.credentials.bearer(&ana()).await.is_err());
        let grant = stored(&world).await;
        assert!(!grant.reauth_required, "{failure:?}");
        assert_eq!(grant.refresh_token.expose_secret(), "ana-refresh");
    }
}

#[tokio::test]
async fn the_token_endpoint_being_down_is_not_the_end_of_the_login() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = down.clone();
    let world = world(move |_| {
        if switch.load(Ordering::SeqCst) {
            Reply::Json(500, json!({}))
        } else {
            token_answer("new")
        }
    })
    .await;
    world.login("ana", -10).await;
    let error = world.client.credentials.bearer(&ana()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UpstreamUnavailable);
    down.store(false, Ordering::SeqCst);
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "new"
    );
}

#[tokio::test]
async fn somebody_who_never_logged_in_is_sent_to_log_in() {
    let world = world(|_| Reply::Reset).await;
    let error = world.client.credentials.bearer(&ana()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ReauthRequired);
}

#[tokio::test]
async fn the_loser_of_the_lease_waits_for_the_winners_token() {
    let world = world(|_| Reply::Reset).await;
    world.login("ana", 0).await;
    assert!(
        world
            .store
            .acquire_refresh_lease(&ana(), "another task", LEASE)
            .await
            .unwrap()
    );
    let user = ana();
    let (bearer, ()) = tokio::join!(world.client.credentials.bearer(&user), world.login("ana", 3600));
    assert_eq!(text(&bearer.unwrap()), "ana-access");
    assert!(world.google.hits("/token").is_empty());
}

#[tokio::test]
async fn a_lease_that_nobody_gives_back_costs_a_second_not_the_login() {
    let world = world(|_| token_answer("new")).await;
    world.login("ana", 0).await;
    assert!(
        world
            .store
            .acquire_refresh_lease(&ana(), "a task that died", LEASE)
            .await
            .unwrap()
    );
    let error = world.client.credentials.bearer(&ana()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UpstreamUnavailable);
    assert!(error.retry_after.is_some());
    world.clock.advance(LEASE);
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "new"
    );
}

/// A person logs in again while Google answers a refresh with `reply`; what is used and stored then.
async fn login_during_a_refresh(reply: Reply) {
    let store: std::sync::Arc<std::sync::OnceLock<Store>> = std::sync::Arc::default();
    let late = store.clone();
    let world = world(move |_| {
        let store = late.get().unwrap().clone();
        let fresh = GoogleGrant {
            access_token: "from-login".into(),
            refresh_token: "from-login-refresh".into(),
            scope: "openid".to_owned(),
            expires_at: START + 3600,
            reauth_required: false,
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(store.put_google_grant(&ana(), &fresh)).unwrap();
        })
        .join()
        .unwrap();
        reply.clone()
    })
    .await;
    assert!(store.set(world.store.clone()).is_ok());
    world.login("ana", 0).await;
    assert_eq!(
        text(&world.client.credentials.bearer(&ana()).await.unwrap()),
        "from-login"
    );
    let grant = stored(&world).await;
    assert!(!grant.reauth_required);
    assert_eq!(grant.refresh_token.expose_secret(), "from-login-refresh");
}

#[tokio::test]
async fn a_login_during_a_refused_refresh_survives() {
    login_during_a_refresh(refused("invalid_grant")).await;
}

#[tokio::test]
async fn a_login_during_a_refresh_is_not_undone_by_it() {
    login_during_a_refresh(token_answer("late")).await;
}

#[tokio::test]
async fn no_debug_output_shows_a_token() {
    let world = world(|_| Reply::Reset).await;
    world.login("ana", 3600).await;
    let bearer = world.client.credentials.bearer(&ana()).await.unwrap();
    for text in [format!("{bearer:?}"), format!("{:?}", world.client)] {
        assert!(
            !text.contains("ana-access") && !text.contains("ana-refresh"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_token_endpoint_out_of_order_is_google_out_of_reach() {
    let broken = AtomicUsize::new(1);
    let world = world(move |_| match broken.swap(0, Ordering::SeqCst) {
        1 => Reply::Json(503, json!({ "error": "internal_failure" })),
        _ => token_answer("new"),
    })
    .await;
    world.login("ana", 0).await;
    let error = world.client.credentials.bearer(&ana()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UpstreamUnavailable);
    assert_eq!(world.client.reachability(), Reachability::Unreachable);
    world.client.credentials.bearer(&ana()).await.unwrap();
    assert_eq!(world.client.reachability(), Reachability::Reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_comes_to_its_end_although_the_call_that_began_it_is_gone() {
    let rotated = json!({ "access_token": "new", "refresh_token": "rotated", "expires_in": 3600, "token_type": "Bearer" });
    let world = world(move |_| {
        std::thread::sleep(Duration::from_millis(150));
        Reply::Json(200, rotated.clone())
    })
    .await;
    world.login("ana", 0).await;
    let user = ana();
    let call = world.client.credentials.bearer(&user);
    assert!(
        tokio::time::timeout(Duration::from_millis(75), call)
            .await
            .is_err()
    );
    let bearer = world.client.credentials.bearer(&user).await.unwrap();
    assert_eq!(text(&bearer), "new");
    assert_eq!(world.google.hits("/token").len(), 1);
    assert_eq!(stored(&world).await.refresh_token.expose_secret(), "rotated");
}

#[tokio::test]
async fn a_refresh_during_an_outage_is_stored_before_the_refresh_token_that_it_replaced_is_used_again() {
    let rotated = json!({ "access_token": "new", "refresh_token": "rotated", "expires_in": 3600, "token_type": "Bearer" });
    let world = world(move |hit| {
        if hit.body.contains("refresh_token=ana-refresh") {
            Reply::Json(200, rotated.clone())
        } else {
            refused("invalid_grant")
        }
    })
    .await;
    world.login("ana", 3600).await;
    let credentials = &world.client.credentials;
    credentials.bearer(&ana()).await.unwrap();
    let faults = world.store.faults().unwrap();
    faults.always(Fault::Gone);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(text(&credentials.bearer(&ana()).await.unwrap()), "new");
    assert_eq!(world.google.hits("/token").len(), 1);

    faults.end();
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(text(&credentials.bearer(&ana()).await.unwrap()), "new");
    assert_eq!(stored(&world).await.refresh_token.expose_secret(), "rotated");
    assert_eq!(
        world.google.hits("/token").len(),
        1,
        "nothing was refreshed twice"
    );
}

#[tokio::test]
async fn a_login_of_an_outage_outweighs_a_refresh_of_it() {
    let world = world(|_| token_answer("refreshed")).await;
    world.login("ana", 3600).await;
    let credentials = &world.client.credentials;
    credentials.bearer(&ana()).await.unwrap();
    let faults = world.store.faults().unwrap();
    faults.always(Fault::Gone);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(text(&credentials.bearer(&ana()).await.unwrap()), "refreshed");
    faults.end();
    world.login("ana", 3600).await;
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(text(&credentials.bearer(&ana()).await.unwrap()), "ana-access");
}

#[tokio::test]
async fn without_the_store_only_those_are_served_who_are_known() {
    let world = world(|_| Reply::Reset).await;
    world.login("ana", 3600).await;
    world.login("ben", 3600).await;
    let credentials = &world.client.credentials;
    credentials.bearer(&ana()).await.unwrap();
    world.store.faults().unwrap().always(Fault::Gone);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(100));
        assert_eq!(text(&credentials.bearer(&ana()).await.unwrap()), "ana-access");
    }
    let stranger = credentials.bearer(&UserId::new("ben")).await.unwrap_err();
    assert_eq!(stranger.code, ErrorCode::UpstreamUnavailable);
    let requests = world.store.faults().unwrap().requests();
    for _ in 0..10 {
        credentials.bearer(&ana()).await.unwrap();
    }
    let asked = world.store.faults().unwrap().requests() - requests;
    assert_eq!(asked, 0, "a store that is away is left alone for a moment");
}
