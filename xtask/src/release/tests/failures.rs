//! The failure table of the release model, a test for each row.

use super::model::{Fate, Model, digest, image, revision, shape};
use super::{
    Looks, NOW, Verdict, candidate, deploy, expect_consistent, ledger, roll_back, run, said, with,
    with_a_verified,
};
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::checks::{self, Verdict as Checked};
use crate::release::ledger::Status;
use crate::release::lock;
use crate::release::verb::deploy::missing;
use crate::release::work::Wishes;

fn fated(letter: char, fate: Fate) -> Model {
    let model = with_a_verified();
    model.state.borrow_mut().fates.insert(image(letter), fate);
    model
}

#[test]
fn killed_before_anything_is_registered_leaves_only_an_image() {
    // The rest of this row is in `kills`, after every call.
    let model = with_a_verified();
    let before = model.newest();
    model.left.set(Some(0));
    deploy(&model, &Looks::pass(), 'b').unwrap_err();
    model.left.set(None);
    assert_eq!((model.newest(), said(&model)), (before, "1 verified".to_owned()));
}

#[test]
fn a_newest_revision_that_nobody_released_is_refused() {
    let model = with_a_verified();
    let by_hand = shape().replace(&image('0'), &image('e'));
    let input = serde_json::from_str(&by_hand).unwrap();
    model
        .state
        .borrow_mut()
        .revisions
        .insert(3, (input, serde_json::json!([]), "ACTIVE"));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(report.what.contains("neither released"), "{report:?}");
    assert!(report.hint.contains(&format!(
        "deregister-task-definition --task-definition {}",
        revision(3)
    )));
    assert_eq!(model.runs_image(), image('a'));
}

#[test]
fn a_revision_that_cloudformation_made_with_the_released_image_is_fine() {
    let model = with_a_verified();
    let by_stack = shape().replace(&image('0'), &image('a')).replace("512", "1024");
    let input = serde_json::from_str(&by_stack).unwrap();
    model
        .state
        .borrow_mut()
        .revisions
        .insert(3, (input, serde_json::json!([]), "ACTIVE"));
    assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    expect_consistent(&model, 'b');
}

#[test]
fn an_image_that_is_not_pinned_is_refused() {
    let model = with_a_verified();
    let loose = shape().replace(&image('0'), "registry.example.com/gateway:latest");
    let input = serde_json::from_str(&loose).unwrap();
    model
        .state
        .borrow_mut()
        .revisions
        .insert(3, (input, serde_json::json!([]), "ACTIVE"));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(report.what.contains("gateway:latest"), "{report:?}");
}

#[test]
fn ctrl_c_stops_looking_and_the_next_run_goes_on() {
    let model = fated('b', Fate::NeverEnds);
    let interrupt = Interrupt::default();
    let error = run(&model, &Looks::pass(), &interrupt, |work| {
        interrupt.raise();
        work.ship(&candidate('b'), Wishes::default())
    })
    .unwrap_err();
    let problem = error.downcast_ref::<crate::problem::Problem>().unwrap();
    assert!(
        problem
            .hint()
            .contains("cargo xtask deploy --env staging --resume"),
        "{problem:?}"
    );
    assert_eq!(
        (model.runs_image(), said(&model)),
        (image('b'), "1 verified, 2 pending".to_owned())
    );
}

#[test]
fn a_deployment_that_takes_too_long_is_left_to_ecs() {
    let model = fated('b', Fate::NeverEnds);
    let error = deploy(&model, &Looks::pass(), 'b').unwrap_err();
    assert!(error.to_string().contains("takes longer"), "{error:#}");
    assert_eq!(said(&model), "1 verified, 2 pending");
    // Now it is not wanted any more: ECS sends it back, because its deployment is still open.
    let report = roll_back(&model, &Looks::pass(), None).unwrap();
    assert!(report.is_done, "{report:?}");
    assert_eq!(model.state.borrow().moves.len(), 2, "nothing was rolled forward");
    expect_consistent(&model, 'a');
}

#[test]
fn an_image_that_crashes_is_sent_back_by_ecs_and_held() {
    let model = fated('b', Fate::BreakerOpens);
    model
        .state
        .borrow_mut()
        .dead
        .push((3, "EssentialContainerExited", 64));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(
        !report.is_done && report.what.contains("circuit breaker"),
        "{report:?}"
    );
    assert!(
        report.what.contains("release 1 (aaaaaaaaaa) runs again"),
        "{report:?}"
    );
    assert_eq!(said(&model), "1 verified, 2 rolled-back held");
    assert_eq!(
        model.state.borrow().revisions[&3].2,
        "INACTIVE",
        "nothing starts it by mistake"
    );
    expect_consistent(&model, 'a');
}

#[test]
fn what_ecs_went_back_to_is_looked_at_when_all_its_tasks_run() {
    let model = fated('b', Fate::BreakerOpens);
    model.state.borrow().starting.set(20);
    assert!(!deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    assert_eq!(said(&model), "1 verified, 2 rolled-back held");
}

#[test]
fn what_dies_after_it_was_healthy_is_taken_back() {
    let model = with_a_verified();
    model
        .state
        .borrow_mut()
        .dead
        .push((3, "EssentialContainerExited", 137));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(
        !report.is_done && report.what.contains("tasks died"),
        "{report:?}"
    );
    expect_consistent(&model, 'a');
    assert_eq!(said(&model), "1 verified, 2 rolled-back held, 3 verified");
}

#[test]
fn an_alarm_after_the_deployment_takes_it_back() {
    let model = with_a_verified();
    // It goes off in the very second in which both the release and the copy are made, so going back is not called good
    // either.
    model.state.borrow_mut().ringing.push(("server-errors", NOW));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(
        report.what.contains("server-errors") && report.what.contains("going back did not work"),
        "{report:?}"
    );
    assert_eq!(model.runs_image(), image('a'));
}

#[test]
fn an_alarm_that_went_off_before_is_not_held_against_what_may_well_end_it() {
    let model = with_a_verified();
    model.state.borrow_mut().ringing.push(("server-errors", NOW - 60));
    assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    assert!(roll_back(&model, &Looks::pass(), None).unwrap().is_done);
    assert_eq!(said(&model), "1 verified, 2 rolled-back held, 3 verified");
}

#[test]
fn what_the_gate_refuses_is_taken_back() {
    let model = with_a_verified();
    let report = deploy(&model, &Looks::fail_then_pass(), 'b').unwrap();
    assert!(!report.is_done && report.what.contains("L9 tools"), "{report:?}");
    expect_consistent(&model, 'a');
    let ledger = ledger(&model);
    assert_eq!(
        (ledger.entries[2].copy_of, ledger.entries[2].undoes),
        (Some(1), Some(2))
    );
}

#[test]
fn the_first_release_has_nowhere_to_go_back_to_and_the_next_may_repair_it() {
    let model = Model::new();
    let report = deploy(&model, &Looks::fail_then_pass(), 'a').unwrap();
    assert!(report.what.contains("no verified release exists"), "{report:?}");
    assert_eq!(said(&model), "1 failed held");
    assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    assert_eq!(model.runs_image(), image('b'));
}

#[test]
fn a_first_release_that_ecs_ends_is_said_and_the_next_may_repair_it() {
    let rows = [
        (
            Fate::BreakerOpens,
            "the service has what it had before",
            "1 rolled-back held",
        ),
        // There is no completed deployment to return to.
        (Fate::RollbackFails, "going back did not work", "1 failed held"),
    ];
    for (fate, says, ends) in rows {
        let model = Model::new();
        model.state.borrow_mut().fates.insert(image('a'), fate);
        let report = deploy(&model, &Looks::pass(), 'a').unwrap();
        assert!(!report.is_done && report.what.contains(says), "{report:?}");
        assert_eq!(said(&model), ends);
        assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done, "{fate:?}");
        assert_eq!(model.runs_image(), image('b'));
    }
}

#[test]
fn what_the_first_image_needs_is_made_before_it_is_pushed() {
    let model = Model::new();
    let kinds = ["registry", "data", "service", "observability", "pipeline"].map(str::to_owned);
    let split = || {
        let mut changed = kinds.to_vec();
        let first = with(&model, |account| missing(account, &mut changed).unwrap());
        (first, changed)
    };
    assert_eq!(split(), (Vec::new(), kinds.to_vec()));
    model.stack("data", &["REVIEW_IN_PROGRESS"]);
    assert_eq!(split().0, ["data"]);
    model.state.borrow_mut().stacks.clear();
    let (first, rest) = split();
    assert_eq!((&first[..], &rest[..]), (&kinds[..2], &kinds[2..]));
}

#[test]
fn a_target_whose_image_is_gone_or_archived_is_refused_before_anything_moves() {
    for status in [None, Some("ARCHIVED")] {
        let model = with_a_verified();
        deploy(&model, &Looks::pass(), 'b').unwrap();
        deploy(&model, &Looks::pass(), 'c').unwrap();
        let moves = model.state.borrow().moves.len();
        let mut state = model.state.borrow_mut();
        match status {
            None => drop(state.images.remove(&digest('b'))),
            Some(status) => drop(state.images.insert(digest('b'), status)),
        }
        drop(state);
        let report = roll_back(&model, &Looks::pass(), None).unwrap();
        assert!(
            !report.is_done && report.what.contains(&digest('b')),
            "{report:?}"
        );
        assert!(report.hint.contains("1 (aaaaaaaaaa)"), "{report:?}");
        assert_eq!(model.state.borrow().moves.len(), moves);
        assert_eq!(said(&model), "1 verified, 2 verified, 3 verified");
    }
}

#[test]
fn nothing_is_deployed_while_what_runs_could_not_be_started_again() {
    let model = with_a_verified();
    model.state.borrow_mut().images.remove(&digest('a'));
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(report.what.contains("way back"), "{report:?}");
    assert_eq!(model.runs_image(), image('a'));
}

#[test]
fn a_target_that_is_inactive_is_registered_again() {
    let model = with_a_verified();
    deploy(&model, &Looks::pass(), 'b').unwrap();
    let first = ledger(&model).entries[0].revision.clone().unwrap();
    let number: u32 = first.rsplit(':').next().unwrap().parse().unwrap();
    model.state.borrow_mut().revisions.get_mut(&number).unwrap().2 = "INACTIVE";
    assert!(roll_back(&model, &Looks::pass(), None).unwrap().is_done);
    expect_consistent(&model, 'a');
}

#[test]
fn a_secret_that_tasks_could_not_read_is_found_before_anything_moves() {
    let name = "mcp-gateway-staging/session-secret";
    let rows = [
        (Some("empty"), "has no value", "put-secret-value"),
        (Some("deleted"), "scheduled for deletion", "restore-secret"),
        (None, "is not there", "npx cdk deploy staging/data"),
    ];
    for (state, says, hint) in rows {
        let model = Model::new();
        let mut inner = model.state.borrow_mut();
        match state {
            Some(state) => drop(inner.secrets.insert(name.to_owned(), state)),
            None => drop(inner.secrets.remove(name)),
        }
        drop(inner);
        let report = deploy(&model, &Looks::pass(), 'a').unwrap();
        assert!(
            report.what.contains(says) && report.hint.contains(hint),
            "{report:?}"
        );
        assert!(model.state.borrow().moves.is_empty());
    }
}

#[test]
fn an_execution_role_that_may_not_read_a_secret_is_found() {
    let model = Model::new();
    model.state.borrow_mut().denied = true;
    let declared = super::declared();
    let account = Account {
        cloud: &model,
        declared: &declared,
    };
    let report = deploy(&model, &Looks::pass(), 'a').unwrap();
    assert!(report.what.contains("may not read"), "{report:?}");
    assert_eq!((model.newest(), said(&model)), (1, String::new()));
    let role = candidate('a').execution_role();
    let checks = checks::of_secrets(&account, Some(&role)).unwrap();
    assert_eq!(checks[0].verdict, Checked::Broken);
    assert!(
        checks[0].said.contains("execution role may not read"),
        "{checks:?}"
    );
}

#[test]
fn a_release_whose_secret_is_gone_is_no_way_back() {
    let model = with_a_verified();
    deploy(&model, &Looks::pass(), 'b').unwrap();
    let name = "mcp-gateway-staging/session-secret".to_owned();
    model.state.borrow_mut().secrets.insert(name, "deleted");
    let report = roll_back(&model, &Looks::pass(), None).unwrap();
    assert!(
        !report.is_done && report.what.contains("scheduled for deletion"),
        "{report:?}"
    );
}

#[test]
fn a_release_whose_role_is_gone_is_no_way_back() {
    let model = with_a_verified();
    // The infrastructure got a role of another name since.
    let old = r#""executionRoleArn":"arn:aws:iam::123456789012:role/mcp-gateway-staging-execution""#;
    let mut state = model.state.borrow_mut();
    let (input, ..) = state.revisions.get_mut(&2).unwrap();
    let before = input
        .to_string()
        .replace(old, &old.replace("-execution", "-before"));
    *input = serde_json::from_str(&before).unwrap();
    drop(state);
    deploy(&model, &Looks::pass(), 'b').unwrap();
    model.state.borrow_mut().gone_roles = Some(vec!["mcp-gateway-staging-before"]);
    let moves = model.state.borrow().moves.len();
    let report = roll_back(&model, &Looks::pass(), None).unwrap();
    let says = "its role `arn:aws:iam::123456789012:role/mcp-gateway-staging-before` is gone";
    assert!(!report.is_done && report.what.contains(says), "{report:?}");
    assert_eq!(model.state.borrow().moves.len(), moves);
    // Whoever may not ask goes on: it may well be there.
    model.state.borrow_mut().gone_roles = None;
    assert!(roll_back(&model, &Looks::pass(), None).unwrap().is_done);
}

#[test]
fn a_deployment_that_somebody_else_began_is_in_the_way() {
    let model = with_a_verified();
    let mut state = model.state.borrow_mut();
    state.fates.insert(image('0'), Fate::NeverEnds);
    state.moved_by_hand(&revision(1));
    drop(state);
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(report.what.contains("not in the ledger"), "{report:?}");
    assert!(report.hint.contains("stop-service-deployment"), "{report:?}");
}

#[test]
fn whoever_loses_the_lock_on_the_way_moves_nothing() {
    let model = with_a_verified();
    let error = run(&model, &Looks::pass(), &model.interrupt, |work| {
        let (number, held) = lock::read(work.account)?.unwrap();
        lock::release(work.account, number, &held)?;
        work.ship(&candidate('b'), Wishes::default())
    })
    .unwrap_err();
    assert!(error.to_string().contains("released by hand"), "{error:#}");
    assert_eq!((model.newest(), said(&model)), (2, "1 verified".to_owned()));
}

#[test]
fn when_ecs_cannot_go_back_it_is_said_and_nothing_more_is_tried() {
    let model = fated('b', Fate::RollbackFails);
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(
        !report.is_done && report.hint.contains("rollback --env staging --list"),
        "{report:?}"
    );
    assert_eq!(said(&model), "1 verified, 2 failed held");
    // A person chooses, and that is done.
    assert!(roll_back(&model, &Looks::pass(), Some(1)).unwrap().is_done);
    expect_consistent(&model, 'a');
}

#[test]
fn a_deployment_that_is_stopped_by_hand_is_taken_back() {
    let model = fated('b', Fate::StoppedByHand);
    let report = deploy(&model, &Looks::pass(), 'b').unwrap();
    assert!(!report.is_done, "{report:?}");
    expect_consistent(&model, 'a');
}

#[test]
fn a_rollback_that_is_not_good_either_is_said_and_tried_no_further() {
    let model = with_a_verified();
    let bad = Looks::are(&[Verdict::Fail("verify: L9 tools".to_owned())]);
    let report = deploy(&model, &bad, 'b').unwrap();
    assert!(report.what.contains("going back did not work"), "{report:?}");
    let ledger = ledger(&model);
    assert_eq!(ledger.entries.len(), 3);
    assert_eq!(ledger.head().unwrap().status, Status::Failed);
    assert_eq!(model.runs_image(), image('a'));
}

#[test]
fn a_gate_that_breaks_takes_nothing_back() {
    let model = with_a_verified();
    let blind = Looks::are(&[Verdict::Unknown("the endpoint does not answer".to_owned())]);
    let error = deploy(&model, &blind, 'b').unwrap_err();
    assert!(
        error.to_string().contains("the endpoint does not answer"),
        "{error:#}"
    );
    assert_eq!(model.runs_image(), image('b'));
    let other = deploy(&model, &Looks::pass(), 'c').unwrap();
    assert!(
        other.what.contains("not verified") && other.hint.contains("--resume"),
        "{other:?}"
    );
}
