//! The behaviours of the log of slow calls, one function each.

use super::behaviours::{RACERS, conflicts, items, race};
use super::rows::{self, END};
use super::{Bench, START};
use crate::model::call_log::{CallRow, OpenCall};
use crate::store::keys::Table;
use crate::store::{EVENT_BYTES_MAX, StoreError};

pub(super) async fn a_log_keeps_its_events_in_order_and_ends_once(bench: &Bench) {
    let (store, row) = (&bench.store, rows::call());
    store.begin_call("c", &row).await.unwrap();
    assert!(matches!(
        store.begin_call("c", &row).await,
        Err(StoreError::Conflict)
    ));
    assert_eq!(store.call("c").await.unwrap(), Some(row.clone()));

    // One part, several parts, as many as a transaction holds.
    let events = [b"one".to_vec(), vec![2; 1_000_000], vec![3; EVENT_BYTES_MAX]];
    for (seq, event) in (1..).zip(&events) {
        let last = seq == 3;
        store.append_event("c", (seq, event), last, END).await.unwrap();
    }
    for (seq, event) in (1..).zip(&events) {
        assert!(store.event("c", seq).await.unwrap() == *event, "event {seq}");
    }
    let ended = CallRow {
        last_seq: 3,
        ended: true,
        ..row
    };
    assert_eq!(store.call("c").await.unwrap(), Some(ended));
    let late = store.append_event("c", (4, b"late"), true, END).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    let missing = store.event("c", 4).await;
    assert!(matches!(missing, Err(StoreError::Corrupt { .. })), "{missing:?}");
}

pub(super) async fn an_event_is_written_by_one_of_50_racers(bench: &Bench) {
    let store = &bench.store;
    store.begin_call("c", &rows::call()).await.unwrap();
    let results = race(store, |store, racer| async move {
        let event = format!("of {racer}");
        store.append_event("c", (1, event.as_bytes()), true, END).await
    })
    .await;
    assert_eq!(conflicts(&results), RACERS - 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    let event = store.event("c", 1).await.unwrap();
    assert_eq!(event, format!("of {winner}").into_bytes());
}

pub(super) async fn a_log_that_has_expired_or_skips_a_number_takes_nothing(bench: &Bench) {
    let store = &bench.store;
    store.begin_call("c", &rows::call()).await.unwrap();
    let gap = store.append_event("c", (2, b"two"), false, END).await;
    assert!(matches!(gap, Err(StoreError::Conflict)), "{gap:?}");
    let large = vec![0; EVENT_BYTES_MAX + 1];
    let large = store.append_event("c", (1, &large), false, END).await;
    assert!(matches!(large, Err(StoreError::Corrupt { .. })), "{large:?}");
    bench.pass(u64::try_from(END - START).unwrap());
    assert_eq!(store.call("c").await.unwrap(), None);
}

pub(super) async fn open_calls_of_50_racers_undo_nothing_and_what_was_left_goes_in_the_end(bench: &Bench) {
    let store = &bench.store;
    let call = |number: usize, expires_at: i64| OpenCall {
        request_id: number.to_string(),
        expires_at,
    };
    assert_eq!(store.open_calls("g").await.unwrap(), []);
    let noted = race(store, move |store, racer| async move {
        let name = format!("c{racer}");
        store.note_open_call("g", &name, &call(racer, START + 60)).await
    });
    assert!(noted.await.iter().all(Result::is_ok));
    let over = race(store, move |store, racer| async move {
        if racer < 2 {
            return Ok(());
        }
        let name = format!("c{racer}");
        store.forget_open_call("g", &name, START + 60).await
    });
    assert!(over.await.iter().all(Result::is_ok));
    let open = store.open_calls("g").await.unwrap();
    assert_eq!(open.len(), 2);
    assert!(
        open.contains(&call(0, START + 60)) && open.contains(&call(1, START + 60)),
        "{open:?}"
    );
    assert_eq!(store.open_calls("another").await.unwrap(), []);

    bench.pass(60);
    assert_eq!(store.open_calls("g").await.unwrap(), []);
    let last = call(7, START + 120);
    store.note_open_call("g", "last", &last).await.unwrap();
    store.forget_open_call("g", "none", START + 120).await.unwrap();
    let [row] = &items(store, Table::Sessions).await[..] else {
        panic!("one row per grant");
    };
    let calls = row.keys().filter(|name| name.starts_with("call:"));
    assert_eq!(calls.collect::<Vec<_>>(), ["call:last"]);
    assert_eq!(store.open_calls("g").await.unwrap(), [last]);
}
