//! Two at once, and locks that were left behind.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::model::{Instead, Model};
use super::{Looks, NOW, ana, deploy, run_while, verb, with};
use crate::Outcome;
use crate::release::account::Account;
use crate::release::lock::{self, Held, Lock, TTL};
use crate::release::verb::Answer;
use crate::release::verb::lock::LockVerb;
use crate::release::verb::status::Seen;
use crate::release::who::Who;

/// Somebody else, in a pipeline.
pub(super) fn ben() -> Who {
    Who {
        name: "ben".to_owned(),
        host: "runner".to_owned(),
        process: 7,
        run: Some("https://github.com/example/mcp-gateway/actions/runs/1".to_owned()),
    }
}

#[test]
fn one_of_two_wins_and_the_other_learns_who() {
    with(&Model::new(), |account| {
        let lock = Lock::take(account, &ben(), "deploy of 1a2b", NOW)
            .unwrap()
            .unwrap();
        let held = Lock::take(account, &ana(), "deploy", NOW + 60)
            .unwrap()
            .unwrap_err();
        let refusal = lock::refusal("staging", &held, NOW + 60).to_string();
        for part in ["`staging`", "ben", "deploy of 1a2b", "runs/1", "60 s ago"] {
            assert!(refusal.contains(part), "{refusal}");
        }
        drop(lock);
        assert!(Lock::take(account, &ana(), "deploy", NOW).unwrap().is_ok());
    });
}

#[test]
fn a_lock_is_free_when_nobody_stands_behind_it_any_more() {
    let gone = Who {
        process: 4_000_000,
        ..ana()
    };
    let second_attempt = Who { process: 8, ..ben() };
    let rows = [
        ("expired", ben(), ana(), TTL.as_secs(), true),
        ("still held", ben(), ana(), TTL.as_secs() - 1, false),
        ("its process is gone", gone, ana(), 0, true),
        (
            "its process is somewhere else",
            ben(),
            Who { run: None, ..ana() },
            0,
            false,
        ),
        ("an attempt of the same run", ben(), second_attempt, 0, true),
    ];
    for (what, first, second, later, is_free) in rows {
        with(&Model::new(), |account| {
            std::mem::forget(Lock::take(account, &first, "first", NOW).unwrap().unwrap());
            let taken = Lock::take(account, &second, "second", NOW + later).unwrap();
            assert_eq!(taken.is_ok(), is_free, "{what}");
        });
    }
}

#[test]
fn whoever_lost_a_lock_notices_before_changing_anything() {
    with(&Model::new(), |account| {
        let lost = Lock::take(account, &ben(), "first", NOW).unwrap().unwrap();
        lost.check().unwrap();
        let won = Lock::take(account, &ana(), "second", NOW + TTL.as_secs())
            .unwrap()
            .unwrap();
        let error = lost.check().unwrap_err().to_string();
        assert!(error.contains("ana@desk") && error.contains("second"), "{error}");
        drop(lost);
        won.check().unwrap();
    });
}

#[test]
fn a_lock_is_renewed_when_its_end_is_near() {
    with(&Model::new(), |account| {
        let lock = Lock::take(account, &ben(), "first", NOW).unwrap().unwrap();
        let until = |account: &Account<'_>| lock::read(account).unwrap().unwrap().1.until;
        lock.renew(NOW + 60).unwrap();
        assert_eq!(until(account), NOW + TTL.as_secs());
        lock.renew(NOW + TTL.as_secs() - 60).unwrap();
        assert_eq!(until(account), NOW + 2 * TTL.as_secs() - 60);
    });
}

#[test]
fn a_lock_is_held_while_something_else_takes_long() {
    let model = Model::new();
    let now = Cell::new(NOW);
    run_while(&model, &Looks::pass(), &model.interrupt, &|| now.get(), |work| {
        let mut hold = work.hold();
        let until = || lock::read(work.account).unwrap().unwrap().1.until;
        let mut least = u64::MAX;
        while now.get() < NOW + 4 * TTL.as_secs() {
            // The first two times that it is due, nobody answers.
            if [NOW + 300, NOW + 360].contains(&now.get()) {
                model.happens(Instead::Throttled, 0..1);
            }
            hold();
            least = least.min(until().saturating_sub(now.get()));
            now.set(now.get() + 5);
        }
        assert!(least > TTL.as_secs() / 2, "{least}");
        // Lost for good: it goes on, and the next change does not.
        let (number, held) = lock::read(work.account)?.unwrap();
        lock::release(work.account, number, &held)?;
        now.set(now.get() + TTL.as_secs());
        hold();
        assert!(work.expect_lock().is_err());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_lock_is_held_while_an_image_is_built() {
    let model = Model::new();
    let now = AtomicU64::new(NOW);
    let looked = AtomicU64::new(0);
    let clock = || {
        looked.fetch_add(1, Ordering::SeqCst);
        now.load(Ordering::SeqCst)
    };
    run_while(&model, &Looks::pass(), &model.interrupt, &clock, |work| {
        let built = work.hold_while(|| {
            while now.load(Ordering::SeqCst) < NOW + 4 * TTL.as_secs() {
                // The first look may have begun before the time was changed.
                let before = looked.load(Ordering::SeqCst);
                now.fetch_add(120, Ordering::SeqCst);
                for _ in 0..1_000 {
                    if looked.load(Ordering::SeqCst) >= before + 2 {
                        break;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
            "built"
        });
        assert_eq!(built, "built");
        work.expect_lock()?;
        let held = Lock::take(work.account, &ben(), "second", now.load(Ordering::SeqCst))?;
        assert_eq!(held.unwrap_err().who, ana().name);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_number_that_comes_late_does_not_win() {
    // Somebody saw generation 1 released, and slept while others took 2 and 3 and removed what was before.
    let model = Model::new();
    with(&model, |account| {
        drop(Lock::take(account, &ben(), "first", NOW).unwrap().unwrap());
        drop(Lock::take(account, &ben(), "second", NOW).unwrap().unwrap());
        let third = Lock::take(account, &ben(), "third", NOW).unwrap().unwrap();
        let late = Held {
            message: "late".to_owned(),
            ..lock::read(account).unwrap().unwrap().1
        };
        let name = "/mcp-gateway/staging/lock/2";
        assert!(
            account
                .create_parameter(name, &serde_json::to_string(&late).unwrap())
                .unwrap()
        );
        third.check().unwrap();
        let (number, newest) = lock::read(account).unwrap().unwrap();
        assert_eq!((number, &*newest.message), (3, "third"));
    });
}

fn lock(model: &Model, who: &Who, words: &[&str], now: u64) -> Answer {
    let lock: LockVerb = verb(words);
    with(model, |account| lock.on(account, who, now).unwrap())
}

#[test]
fn a_lock_is_taken_shown_and_given_back() {
    let model = Model::new();
    let free = lock(&model, &ana(), &["status"], NOW);
    assert_eq!((&*free.lines[0], free.outcome), ("nobody has it", Outcome::Done));
    assert_eq!(free.json, json!({ "said": "nobody has it", "lock": null }));
    let words = ["acquire", "--message", "looking at 502s", "--minutes", "90"];
    let taken = lock(&model, &ana(), &words, NOW);
    assert_eq!(
        (taken.outcome, &taken.json["lock"]["until"]),
        (Outcome::Done, &json!(NOW + 5400))
    );
    for (words, outcome) in [(&["status"][..], Outcome::Refused), (&words, Outcome::Refused)] {
        let answer = lock(&model, &ben(), words, NOW + 5399);
        assert_eq!(answer.outcome, outcome);
        assert!(
            answer.lines[0].contains("ana@desk, looking at 502s"),
            "{answer:?}"
        );
        assert_eq!(answer.json["lock"]["who"], "ana@desk");
    }
    // A deployment does not get by.
    let refused = deploy(&model, &Looks::pass(), 'a').unwrap_err();
    assert!(refused.to_string().contains("ana@desk"), "{refused:#}");
    let seen = with(&model, |account| Seen::look(account, &ana(), NOW + 60).unwrap());
    let rows = seen.answer().lines;
    assert!(rows.iter().any(|row| row.contains("looking at 502s")), "{rows:?}");
    let given = lock(&model, &ben(), &["release"], NOW);
    assert!(given.lines[0].starts_with("taken from ana@desk"), "{given:?}");
    assert_eq!(lock(&model, &ben(), &["release"], NOW).lines, ["nobody had it"]);
    assert_eq!(lock(&model, &ben(), &["status"], NOW).outcome, Outcome::Done);
}

#[test]
fn a_lock_is_free_by_itself_when_its_time_is_over() {
    let model = Model::new();
    lock(
        &model,
        &ana(),
        &["acquire", "--message", "lunch", "--minutes", "60"],
        NOW,
    );
    assert_eq!(
        lock(&model, &ben(), &["status"], NOW + 3600).outcome,
        Outcome::Done
    );
    let words = [
        "acquire",
        "--message",
        "mine",
        "--minutes",
        "18446744073709551615",
    ];
    assert_eq!(lock(&model, &ben(), &words, NOW + 3600).outcome, Outcome::Done);
}
