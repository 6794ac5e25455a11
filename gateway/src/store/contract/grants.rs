//! The behaviours of Google's grants: who may change one, and where it opens.

use secrecy::ExposeSecret as _;

use super::Bench;
use super::behaviours::{RACERS, conflicts, race};
use super::rows::{self, ana, ben};
use crate::model::google::GoogleGrant;
use crate::store::envelope::{KeyProvider, LocalKey};
use crate::store::{Store, StoreError, keys};

pub(super) async fn a_google_grant_is_replaced_once_under_50_racers_of_two_tasks(bench: &Bench) {
    let (one, two) = (&bench.store, bench.store.beside());
    one.put_google_grant(&ana(), &rows::google_grant()).await.unwrap();
    let before = one.stored_google_grant(&ana()).await.unwrap().unwrap();
    let results = race(one, |store, racer| {
        let store = if racer % 2 == 0 { store } else { two.clone() };
        let before = before.clone();
        async move {
            let next = refreshed(&format!("refreshed-{racer}"));
            store.replace_google_grant(&ana(), &before, next).await
        }
    })
    .await;
    assert_eq!(conflicts(&results), RACERS - 1);
    let winner = results.iter().position(Result::is_ok).unwrap();
    for store in [one, &two] {
        let grant = store.google_grant(&ana()).await.unwrap().unwrap();
        let token = grant.access_token.expose_secret();
        assert_eq!(token, format!("refreshed-{winner}"));
    }
    let stored = results.into_iter().find_map(Result::ok).unwrap();
    let next = refreshed("the next one");
    let replaced = two.replace_google_grant(&ana(), &stored, next).await;
    replaced.unwrap();
}

pub(super) async fn a_new_login_is_not_undone_by_a_refresh_that_began_before_it(bench: &Bench) {
    let store = &bench.store;
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();
    let before = store.stored_google_grant(&ana()).await.unwrap().unwrap();
    store
        .put_google_grant(&ana(), &refreshed("from the login"))
        .await
        .unwrap();
    let late = store
        .replace_google_grant(&ana(), &before, refreshed("late"))
        .await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    let grant = store.google_grant(&ana()).await.unwrap().unwrap();
    assert_eq!(grant.access_token.expose_secret(), "from the login");
    let never = store.replace_google_grant(&ben(), &before, refreshed("x")).await;
    assert!(never.is_err(), "a grant that is not there cannot be replaced");
}

fn refreshed(access_token: &str) -> GoogleGrant {
    GoogleGrant {
        access_token: access_token.to_owned().into(),
        ..rows::google_grant()
    }
}

pub(super) async fn a_google_grant_moved_to_another_persons_row_is_corrupt(bench: &Bench) {
    let store = &bench.store;
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();
    let moved = store
        .0
        .db
        .get(&keys::google_grant(&ana()))
        .await
        .unwrap()
        .unwrap();
    store.0.db.put(&keys::google_grant(&ben()), moved).await.unwrap();
    let grant = store.google_grant(&ben()).await;
    assert!(matches!(grant, Err(StoreError::Corrupt { .. })), "{grant:?}");
    assert!(store.google_grant(&ana()).await.unwrap().is_some());
}

pub(super) async fn a_google_grant_under_another_master_key_is_corrupt(bench: &Bench) {
    let store = &bench.store;
    store
        .put_google_grant(&ana(), &rows::google_grant())
        .await
        .unwrap();
    let provider = KeyProvider::Local(LocalKey::random().unwrap());
    let other = Store::new(store.0.db.clone(), provider, bench.clock.clone());
    let grant = other.google_grant(&ana()).await;
    let Err(StoreError::Corrupt { detail }) = grant else {
        panic!("{grant:?}");
    };
    assert!(detail.contains("it needs master key `"), "{detail}");
}
