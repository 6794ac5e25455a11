//! The behaviours, one function each. Every bench has tables of its own.

use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;

use super::rows::{self, END, ana, ben};
use super::{Bench, START};
use crate::id;
use crate::model::grant::CodeRow;
use crate::model::session::SessionRow;
use crate::store::item::{Item, number};
use crate::store::keys::{self, Table};
use crate::store::{Store, StoreError};

pub(super) const RACERS: usize = 50;

/// What each of 50 tasks gets that do the same at once.
pub(super) async fn race<F, T>(store: &Store, run: impl Fn(Store, usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "the racers have to be on several threads"
    )]
    let racers = (0..RACERS).map(|racer| tokio::spawn(run(store.clone(), racer)));
    join_all(racers.collect::<Vec<_>>())
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

pub(super) fn conflicts<T>(results: &[Result<T, StoreError>]) -> usize {
    let conflict = |result: &&Result<T, StoreError>| matches!(result, Err(StoreError::Conflict));
    results.iter().filter(conflict).count()
}

pub(super) async fn a_row_of_each_type_comes_back_as_it_was(bench: &Bench) {
    let store = &bench.store;
    store.put_client(&rows::client()).await.unwrap();
    store
        .put_authorization("a", &rows::authorization())
        .await
        .unwrap();
    store.put_code("c", &rows::code()).await.unwrap();
    store.put_user(&rows::user()).await.unwrap();
    store.insert_session("s", &rows::session()).await.unwrap();
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();

    let client = store.client(&rows::client().id).await.unwrap();
    assert_eq!(client, Some(rows::client()));
    let authorization = store.authorization("a").await.unwrap();
    assert_eq!(authorization, Some(rows::authorization()));
    let code = CodeRow {
        grant: rows::code(),
        redeemed_by: None,
    };
    assert_eq!(store.code("c").await.unwrap(), Some(code));
    assert_eq!(store.user(&ana()).await.unwrap(), Some(rows::user()));
    assert_eq!(store.session("s").await.unwrap(), Some(rows::session()));
    let grant = store.google_grant(&ana()).await.unwrap().unwrap();
    assert_eq!(grant.access_token.expose_secret(), rows::ACCESS);
    assert_eq!(grant.refresh_token.expose_secret(), rows::REFRESH);
    assert_eq!(grant.scope, "openid email");
    assert_eq!(grant.expires_at, START + 1);
    assert!(!grant.reauth_required);
}

pub(super) async fn a_row_that_was_never_stored_is_a_miss(bench: &Bench) {
    let store = &bench.store;
    assert_eq!(store.client(&rows::client().id).await.unwrap(), None);
    assert_eq!(store.authorization("a").await.unwrap(), None);
    assert_eq!(store.take_authorization_once("a").await.unwrap(), None);
    assert_eq!(store.code("c").await.unwrap(), None);
    assert_eq!(store.refresh_family("f").await.unwrap(), None);
    assert!(store.google_grant(&ana()).await.unwrap().is_none());
    assert_eq!(store.user(&ana()).await.unwrap(), None);
    assert_eq!(store.session("s").await.unwrap(), None);
    store.revoke_family("f").await.unwrap();
    store.extend_client(&rows::client().id, END).await.unwrap();
    store.release_refresh_lease(&ana(), "nobody").await.unwrap();
    assert_eq!(items(store, Table::Tokens).await, [], "none of these makes a row");
    let rotated = store.rotate_refresh("f", 0, START, END).await;
    assert!(matches!(rotated, Err(StoreError::Conflict)));
}

pub(super) async fn expiry_hides_a_row_before_the_engine_deletes_it(bench: &Bench) {
    let store = &bench.store;
    store.put_client(&rows::client()).await.unwrap();
    store
        .put_authorization("a", &rows::authorization())
        .await
        .unwrap();
    store.put_code("c", &rows::code()).await.unwrap();
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    store.insert_session("s", &rows::session()).await.unwrap();
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();

    bench.pass(299);
    assert!(store.client(&rows::client().id).await.unwrap().is_some());
    assert!(store.authorization("a").await.unwrap().is_some());
    assert!(store.code("c").await.unwrap().is_some());
    assert!(store.refresh_family("f").await.unwrap().is_some());
    assert!(store.session("s").await.unwrap().is_some());

    bench.pass(1);
    assert_eq!(store.client(&rows::client().id).await.unwrap(), None);
    assert_eq!(store.authorization("a").await.unwrap(), None);
    assert_eq!(store.take_authorization_once("a").await.unwrap(), None);
    assert_eq!(store.code("c").await.unwrap(), None);
    assert_eq!(store.refresh_family("f").await.unwrap(), None);
    assert_eq!(store.session("s").await.unwrap(), None);
    let rotated = store.rotate_refresh("f", 0, END, END + 600).await;
    assert!(matches!(rotated, Err(StoreError::Conflict)), "{rotated:?}");
    store.extend_client(&rows::client().id, END + 600).await.unwrap();
    assert_eq!(store.client(&rows::client().id).await.unwrap(), None);
    assert!(store.google_grant(&ana()).await.unwrap().is_some());
}

pub(super) async fn a_code_is_redeemed_once_under_50_racing_takers(bench: &Bench) {
    let store = &bench.store;
    store.put_code("c", &rows::code()).await.unwrap();
    let results = race(store, |store, racer| async move {
        store
            .redeem_code_once("c", &format!("f{racer}"), &rows::family())
            .await
    })
    .await;
    assert_eq!(conflicts(&results), RACERS - 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();

    let row = store.code("c").await.unwrap().unwrap();
    assert_eq!(row.redeemed_by, Some(format!("f{winner}")));
    for racer in 0..RACERS {
        let family = store.refresh_family(&format!("f{racer}")).await.unwrap();
        assert_eq!(family, (racer == winner).then(rows::family), "family {racer}");
    }
}

pub(super) async fn a_code_that_has_expired_or_never_was_is_not_redeemed(bench: &Bench) {
    let store = &bench.store;
    store.put_code("c", &rows::code()).await.unwrap();
    bench.pass(300);
    for code in ["c", "never"] {
        let redeemed = store.redeem_code_once(code, "f", &rows::family()).await;
        assert!(matches!(redeemed, Err(StoreError::Conflict)), "{redeemed:?}");
    }
    assert_eq!(
        items(store, Table::Tokens).await.len(),
        1,
        "only the code is there"
    );
}

pub(super) async fn a_code_is_not_redeemed_for_a_family_that_exists(bench: &Bench) {
    let store = &bench.store;
    store.put_code("c", &rows::code()).await.unwrap();
    store.put_code("d", &rows::code()).await.unwrap();
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    store.revoke_family("f").await.unwrap();
    let redeemed = store.redeem_code_once("d", "f", &rows::family()).await;
    assert!(matches!(redeemed, Err(StoreError::Conflict)), "{redeemed:?}");
    assert!(store.refresh_family("f").await.unwrap().unwrap().revoked);
    assert_eq!(store.code("d").await.unwrap().unwrap().redeemed_by, None);
}

pub(super) async fn an_authorization_is_taken_once_under_50_racing_takers(bench: &Bench) {
    let store = &bench.store;
    store
        .put_authorization("a", &rows::authorization())
        .await
        .unwrap();
    let results = race(store, |store, _| async move {
        store.take_authorization_once("a").await.unwrap()
    })
    .await;
    let taken: Vec<_> = results.into_iter().flatten().collect();
    assert_eq!(taken, [rows::authorization()]);
    assert_eq!(store.authorization("a").await.unwrap(), None);
}

pub(super) async fn an_authorization_that_was_taken_does_not_come_back(bench: &Bench) {
    let store = &bench.store;
    let login = rows::authorization();
    store.put_authorization("a", &login).await.unwrap();
    store.put_authorization("a", &login).await.unwrap();
    assert_eq!(
        store.take_authorization_once("a").await.unwrap(),
        Some(login.clone())
    );
    let put = store.put_authorization("a", &login).await;
    assert!(matches!(put, Err(StoreError::Conflict)), "{put:?}");
    assert_eq!(store.take_authorization_once("a").await.unwrap(), None);
}

pub(super) async fn a_family_is_rotated_once_under_50_racers(bench: &Bench) {
    let store = &bench.store;
    store.put_code("c", &rows::code()).await.unwrap();
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    for generation in 0..2 {
        let results = race(store, move |store, _| async move {
            store.rotate_refresh("f", generation, START + 30, END + 30).await
        })
        .await;
        assert_eq!(conflicts(&results), RACERS - 1, "{results:?}");
        let family = store.refresh_family("f").await.unwrap().unwrap();
        assert_eq!(family.generation, generation + 1);
        assert_eq!((family.rotated_at, family.expires_at), (START + 30, END + 30));
    }
}

pub(super) async fn a_family_that_was_revoked_is_not_rotated(bench: &Bench) {
    let store = &bench.store;
    store.put_code("c", &rows::code()).await.unwrap();
    store.redeem_code_once("c", "f", &rows::family()).await.unwrap();
    store.revoke_family("f").await.unwrap();
    store.revoke_family("f").await.unwrap();
    let rotated = store.rotate_refresh("f", 0, START, END).await;
    assert!(matches!(rotated, Err(StoreError::Conflict)), "{rotated:?}");
    let family = store.refresh_family("f").await.unwrap().unwrap();
    assert!(family.revoked);
    assert_eq!(family.generation, 0);
}

pub(super) async fn a_lease_excludes_others_until_it_is_released_or_runs_out(bench: &Bench) {
    let store = &bench.store;
    let acquire = |user, owner| {
        let ttl = Duration::from_secs(10);
        async move { store.acquire_refresh_lease(&user, owner, ttl).await.unwrap() }
    };
    assert!(acquire(ana(), "one").await);
    assert!(!acquire(ana(), "two").await);
    assert!(
        !acquire(ana(), "one").await,
        "a second request of the same owner is another request"
    );
    assert!(acquire(ben(), "two").await, "a lease is one person's");

    store.release_refresh_lease(&ana(), "two").await.unwrap();
    assert!(!acquire(ana(), "two").await, "only the owner gives it back");
    store.release_refresh_lease(&ana(), "one").await.unwrap();
    assert!(acquire(ana(), "two").await);

    bench.pass(9);
    assert!(!acquire(ana(), "three").await);
    bench.pass(1);
    assert!(acquire(ana(), "three").await);
    store.release_refresh_lease(&ana(), "two").await.unwrap();
    assert!(
        !acquire(ana(), "four").await,
        "a late release leaves the next holder alone"
    );
}

pub(super) async fn one_of_50_racers_gets_the_lease(bench: &Bench) {
    let results = race(&bench.store, |store, racer| async move {
        let ttl = Duration::from_secs(10);
        let owner = format!("request-{racer}");
        store.acquire_refresh_lease(&ana(), &owner, ttl).await.unwrap()
    })
    .await;
    assert_eq!(results.iter().filter(|won| **won).count(), 1);
}

pub(super) async fn a_session_that_was_ended_stays_ended_under_racing_writes(bench: &Bench) {
    let store = &bench.store;
    let ended = race(store, |store, racer| async move {
        if racer == RACERS / 2 {
            store.end_session("s", &ana(), END).await.unwrap();
            return;
        }
        let put = store.insert_session("s", &rows::session()).await;
        assert!(matches!(put, Ok(()) | Err(StoreError::Conflict)), "{put:?}");
    });
    ended.await;
    let put = store.insert_session("s", &rows::session()).await;
    assert!(matches!(put, Err(StoreError::Conflict)), "{put:?}");
    let row = store.session("s").await.unwrap().unwrap();
    assert!(row.ended);
    assert_eq!(row.user, ana());
}

pub(super) async fn a_tombstone_counts_until_its_expiry(bench: &Bench) {
    let store = &bench.store;
    store.end_session("s", &ana(), END).await.unwrap();
    bench.pass(299);
    assert!(store.insert_session("s", &rows::session()).await.is_err());
    bench.pass(1);
    let row = SessionRow {
        expires_at: END + 600,
        ..rows::session()
    };
    store.insert_session("s", &row).await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), Some(row));
}

pub(super) async fn writes_about_a_session_touch_their_own_facts_only(bench: &Bench) {
    let store = &bench.store;
    let level = store.set_session_level("s", "debug", END + 1).await;
    assert!(matches!(level, Err(StoreError::Conflict)), "{level:?}");
    store.extend_session("s", END + 1).await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), None);

    store.insert_session("s", &rows::session()).await.unwrap();
    let again = store.insert_session("s", &rows::session()).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    store.set_session_level("s", "debug", END + 1).await.unwrap();
    store.extend_session("s", END + 2).await.unwrap();
    store.extend_session("s", END).await.unwrap();
    let row = SessionRow {
        log_level: Some("debug".into()),
        expires_at: END + 2,
        ..rows::session()
    };
    assert_eq!(store.session("s").await.unwrap(), Some(row));

    store.end_session("s", &ana(), END).await.unwrap();
    assert!(store.set_session_level("s", "debug", END + 3).await.is_err());
    store.extend_session("s", END + 3).await.unwrap();
    let row = store.session("s").await.unwrap().unwrap();
    assert!(row.ended && row.expires_at == END);
}

pub(super) async fn using_a_client_never_shortens_its_life(bench: &Bench) {
    let store = &bench.store;
    let client = rows::client();
    store.put_client(&client).await.unwrap();
    for (asked, then) in [
        (END + 100, END + 100),
        (END + 50, END + 100),
        (END + 101, END + 101),
    ] {
        store.extend_client(&client.id, asked).await.unwrap();
        let now = store.client(&client.id).await.unwrap().unwrap();
        assert_eq!(now.expires_at, then);
        assert_eq!(now.redirect_uris, client.redirect_uris);
    }
}

pub(super) async fn no_secret_is_stored_in_clear(bench: &Bench) {
    let store = &bench.store;
    let code = id::random_token();
    let refresh = id::random_token();
    let mut client = rows::client();
    client.secret_hash = Some(id::hashed("the-client-secret"));
    store.put_client(&client).await.unwrap();
    store.put_code(&id::hashed(&code), &rows::code()).await.unwrap();
    store
        .redeem_code_once(&id::hashed(&code), &id::hashed(&refresh), &rows::family())
        .await
        .unwrap();
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();
    store.insert_session("s", &rows::session()).await.unwrap();

    let mut bytes = Vec::new();
    for table in [Table::Tokens, Table::Sessions] {
        for item in items(store, table).await {
            flatten(&AttributeValue::M(item), &mut bytes);
        }
    }
    let stored = |needle: &str| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    assert!(
        stored("ana@example.com") && stored("cursor"),
        "the dump shows what is stored"
    );
    for secret in [
        rows::ACCESS,
        rows::REFRESH,
        "ya29",
        "the-client-secret",
        &code,
        &refresh,
    ] {
        assert!(!stored(secret), "`{secret}` is stored in clear");
    }
}

pub(super) async fn a_row_that_does_not_parse_is_corrupt(bench: &Bench) {
    let store = &bench.store;
    let torn = Item::from([("client_name".to_owned(), number(7))]);
    for key in [
        keys::client(&rows::client().id),
        keys::authorization("x"),
        keys::code("x"),
        keys::family("x"),
        keys::google_grant(&ana()),
        keys::user(&ana()),
        keys::session("x"),
    ] {
        store.0.db.put(&key, torn.clone()).await.unwrap();
    }
    assert!(corrupt(&store.client(&rows::client().id).await));
    assert!(corrupt(&store.authorization("x").await));
    assert!(corrupt(&store.code("x").await));
    assert!(corrupt(&store.refresh_family("x").await));
    assert!(corrupt(&store.google_grant(&ana()).await));
    assert!(corrupt(&store.user(&ana()).await));
    assert!(corrupt(&store.session("x").await));
}

fn corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

/// Everything in a table.
pub(super) async fn items(store: &Store, table: Table) -> Vec<Item> {
    let client = store.0.db.client().await.unwrap();
    let scan = client.scan().table_name(store.0.db.name(table)).send();
    scan.await.unwrap().items.unwrap_or_default()
}

fn flatten(value: &AttributeValue, into: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => into.extend(text.as_bytes()),
        AttributeValue::B(blob) => into.extend(blob.as_ref()),
        AttributeValue::L(values) => values.iter().for_each(|value| flatten(value, into)),
        AttributeValue::M(fields) => fields.values().for_each(|value| flatten(value, into)),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
        other => panic!("no row has a {other:?}"),
    }
    into.push(b'\n');
}
