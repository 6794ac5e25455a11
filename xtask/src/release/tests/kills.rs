//! A kill between any two calls, and what the next run makes of it.

use super::model::{Fate, Model, image};
use super::{Looks, Verdict, deploy, expect_consistent, resume, roll_back, said, with_a_verified};

/// Runs `what` on fresh accounts that stop answering after one call, two, three, until it ends by itself; each time
/// somebody runs `again` on the account that was left behind.
fn at_every_call(prepare: &dyn Fn() -> Model, what: &dyn Fn(&Model), again: &dyn Fn(&Model, u32)) -> u32 {
    for calls in 0.. {
        let model = prepare();
        model.left.set(Some(calls));
        what(&model);
        let is_over = model.left.get() != Some(0);
        // The lock of this process is not that of a process that is gone: it is given up by hand.
        model.left.set(None);
        let mut state = model.state.borrow_mut();
        state.parameters.retain(|name, _| !name.contains("/lock/"));
        drop(state);
        again(&model, calls);
        if is_over {
            return calls;
        }
    }
    unreachable!()
}

#[test]
fn a_deployment_that_was_killed_anywhere_is_finished_by_the_next() {
    let calls = at_every_call(
        &with_a_verified,
        &|model| drop(deploy(model, &Looks::pass(), 'b')),
        &|model, calls| {
            let report = deploy(model, &Looks::pass(), 'b').unwrap();
            assert!(report.is_done, "after {calls}: {report:?}");
            expect_consistent(model, 'b');
            assert_eq!(said(model), "1 verified, 2 verified", "after {calls}");
            assert_eq!(model.state.borrow().moves.len(), 2, "after {calls}");
        },
    );
    assert!(calls > 30, "{calls}");
}

#[test]
fn a_deployment_that_was_killed_anywhere_is_resumed_without_its_image() {
    at_every_call(
        &with_a_verified,
        &|model| drop(deploy(model, &Looks::pass(), 'b')),
        &|model, calls| {
            let begun = said(model);
            let report = resume(model, &Looks::pass()).unwrap();
            if begun == "1 verified, 2 pending" {
                assert!(report.is_done, "after {calls}: {report:?}");
            } else {
                // Nothing was begun, or it had ended.
                assert_eq!(report.what, "no release is unfinished", "after {calls}");
                assert_eq!(said(model), begun, "after {calls}");
            }
            let letter = if begun == "1 verified" { 'a' } else { 'b' };
            expect_consistent(model, letter);
        },
    );
}

#[test]
fn a_deployment_that_was_killed_makes_room_for_another_or_says_what_is_in_the_way() {
    at_every_call(
        &with_a_verified,
        &|model| drop(deploy(model, &Looks::pass(), 'b')),
        &|model, calls| {
            let report = deploy(model, &Looks::pass(), 'c').unwrap();
            if report.is_done {
                return expect_consistent(model, 'c');
            }
            assert!(report.hint.contains("--resume"), "after {calls}: {report:?}");
            assert!(
                roll_back(model, &Looks::pass(), None).unwrap().is_done,
                "after {calls}"
            );
            expect_consistent(model, 'a');
            assert!(
                deploy(model, &Looks::pass(), 'c').unwrap().is_done,
                "after {calls}"
            );
            expect_consistent(model, 'c');
        },
    );
}

#[test]
fn taking_back_what_the_gate_refused_is_finished_by_the_next() {
    at_every_call(
        &with_a_verified,
        &|model| drop(deploy(model, &Looks::fail_then_pass(), 'b')),
        &|model, calls| {
            // Whether the gate had spoken before the kill decides whether it is asked again.
            let gate = if said(model).contains("failed") || said(model).contains("rolled") {
                Looks::pass()
            } else {
                Looks::fail_then_pass()
            };
            let report = deploy(model, &gate, 'b').unwrap();
            assert!(!report.is_done, "after {calls}: {report:?}");
            expect_consistent(model, 'a');
            let held = deploy(model, &Looks::pass(), 'b').unwrap();
            assert!(held.what.contains("held"), "after {calls}: {held:?}");
        },
    );
}

#[test]
fn what_the_breaker_sent_back_is_put_in_order_by_the_next() {
    let prepare = || {
        let model = with_a_verified();
        let mut state = model.state.borrow_mut();
        state.fates.insert(image('b'), Fate::BreakerOpens);
        drop(state);
        model
    };
    at_every_call(
        &prepare,
        &|model| drop(deploy(model, &Looks::pass(), 'b')),
        &|model, calls| {
            let report = deploy(model, &Looks::pass(), 'b').unwrap();
            assert!(!report.is_done, "after {calls}: {report:?}");
            expect_consistent(model, 'a');
        },
    );
}

#[test]
fn a_rollback_that_was_killed_anywhere_is_finished_by_the_next() {
    let prepare = || {
        let model = with_a_verified();
        deploy(&model, &Looks::pass(), 'b').unwrap();
        model
    };
    at_every_call(
        &prepare,
        &|model| drop(roll_back(model, &Looks::pass(), None)),
        &|model, calls| {
            // Whoever runs it again after it was done would go further back, and cannot.
            let report = roll_back(model, &Looks::pass(), None).unwrap();
            let was_done = report.what.contains("no other verified release");
            assert!(report.is_done || was_done, "after {calls}: {report:?}");
            expect_consistent(model, 'a');
        },
    );
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_back_and_is_verified_later() {
    let model = with_a_verified();
    let blind = Looks::are(&[Verdict::Unknown("nobody could look at L9 tools".to_owned())]);
    let error = deploy(&model, &blind, 'b').unwrap_err();
    assert!(error.to_string().contains("cannot be verified"), "{error:#}");
    assert_eq!(model.runs_image(), image('b'));
    assert_eq!(said(&model), "1 verified, 2 pending");
    assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    expect_consistent(&model, 'b');
}
