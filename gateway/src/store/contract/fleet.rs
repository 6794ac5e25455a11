//! The behaviours of the fleet row and of the denied grants, one function each.

use std::collections::BTreeSet;

use super::behaviours::{items, race};
use super::{Bench, START};
use crate::id::TaskId;
use crate::model::fleet::TaskEntry;
use crate::store::keys::Table;

fn entry(beat: u64) -> TaskEntry {
    TaskEntry {
        address: "10.0.12.34:3001".into(),
        started: START,
        seen: START,
        beat,
    }
}

pub(super) async fn a_fleet_that_nobody_wrote_is_empty_and_the_first_write_makes_it(bench: &Bench) {
    let store = &bench.store;
    let empty = store.fleet().await.unwrap();
    assert_eq!((empty.catalogue, empty.revocation, empty.tasks.len()), (0, 0, 0));
    assert!(store.denied_grants().await.unwrap().is_empty());
    assert!(
        items(store, Table::Sessions).await.is_empty(),
        "a read makes no row"
    );

    store.bump_catalogue().await.unwrap();
    assert_eq!(store.fleet().await.unwrap().catalogue, 1);
    let (me, other) = (TaskId::random(), TaskId::random());
    store.beat(me, &entry(1), &[]).await.unwrap();
    let row = store.beat(other, &entry(7), &[]).await.unwrap();
    assert_eq!(row, store.fleet().await.unwrap(), "a heartbeat reads as well");
    assert_eq!(row.tasks.get(&me), Some(&entry(1)));
    assert_eq!(row.tasks.get(&other), Some(&entry(7)));
    assert_eq!(row.catalogue, 1);
}

pub(super) async fn a_heartbeat_forgets_who_is_gone_and_a_task_that_leaves_is_gone(bench: &Bench) {
    let store = &bench.store;
    let [me, other, dead] = [(); 3].map(|()| TaskId::random());
    for task in [me, other, dead] {
        store.beat(task, &entry(1), &[]).await.unwrap();
    }
    let row = store
        .beat(me, &entry(2), &[dead, TaskId::random()])
        .await
        .unwrap();
    assert_eq!(
        row.tasks.keys().copied().collect::<BTreeSet<_>>(),
        BTreeSet::from([me, other])
    );
    store.leave_fleet(other).await.unwrap();
    store.leave_fleet(other).await.unwrap();
    let row = store.fleet().await.unwrap();
    assert_eq!(row.tasks.into_iter().collect::<Vec<_>>(), [(me, entry(2))]);
}

pub(super) async fn counters_and_heartbeats_of_50_racers_undo_nothing(bench: &Bench) {
    let store = &bench.store;
    let results = race(store, |store, racer| async move {
        match racer % 3 {
            0 => {
                let beat = store.beat(TaskId::random(), &entry(racer as u64), &[]).await;
                beat.map(drop)
            }
            1 => store.bump_catalogue().await,
            _ => store.deny_grant(&format!("family-{racer}"), START + 60).await,
        }
    })
    .await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let row = store.fleet().await.unwrap();
    assert_eq!((row.catalogue, row.revocation), (17, 16));
    let beats: BTreeSet<u64> = row.tasks.values().map(|entry| entry.beat).collect();
    assert_eq!(beats, (0..50).step_by(3).collect());
    assert_eq!(store.denied_grants().await.unwrap().len(), 16);
}

pub(super) async fn a_denied_grant_counts_until_its_end_and_then_makes_room(bench: &Bench) {
    let store = &bench.store;
    store.deny_grant("short", START + 60).await.unwrap();
    store.deny_grant("long", START + 3_600).await.unwrap();
    store.deny_grant("long", START + 3_600).await.unwrap();
    let mut denied = store.denied_grants().await.unwrap();
    denied.sort();
    assert_eq!(denied, ["long", "short"]);
    assert_eq!(store.fleet().await.unwrap().revocation, 3);

    bench.pass(60);
    assert_eq!(store.denied_grants().await.unwrap(), ["long"]);
    store.deny_grant("next", START + 7_200).await.unwrap();
    let rows = items(store, Table::Tokens).await;
    let row = &rows[0];
    assert!(
        !row.contains_key("grant:short"),
        "expired grants are removed: {row:?}"
    );
    assert!(row.contains_key("grant:long") && row.contains_key("grant:next"));
}
