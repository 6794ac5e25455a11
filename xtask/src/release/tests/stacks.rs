//! Stacks that an earlier run left at work, or that ended badly; and that the runbook says the same.

use std::cell::Cell;

use super::locks::ben;
use super::model::{Instead, Model, image};
use super::{Looks, NOW, deploy, expect_consistent, resume, run, run_while, said, with, with_a_verified};
use crate::problem::Problem;
use crate::release::checks;
use crate::release::lock::{Lock, TTL};
use crate::release::stacks::{self, Assembly};
use crate::release::work::{Report, Work};

/// For people who meet such a stack.
const RUNBOOK: &str = include_str!("../../../../docs/runbooks/stuck-stack.md");

/// Statuses that nobody deploys to, with the commands that help.
const BAD: [(&str, &[&str]); 6] = [
    (
        "UPDATE_ROLLBACK_FAILED",
        &["npx cdk rollback", "aws cloudformation continue-update-rollback"],
    ),
    ("UPDATE_FAILED", &["npx cdk rollback"]),
    ("ROLLBACK_COMPLETE", REMOVAL),
    ("ROLLBACK_FAILED", REMOVAL),
    ("CREATE_FAILED", REMOVAL),
    ("DELETE_FAILED", &["describe-stack-events"]),
];

const REMOVAL: &[&str] = &[
    "aws cloudformation update-termination-protection --no-enable-termination-protection",
    "aws cloudformation delete-stack",
];

/// The stack has nothing more to become.
fn is_at_its_end(model: &Model, kind: &str) -> bool {
    model.state.borrow().stacks[&format!("mcp-gateway-staging-{kind}")].len() == 1
}

#[test]
fn killed_while_cloudformation_worked_the_next_run_waits_and_goes_on() {
    let rows: [(&str, &[&'static str]); 7] = [
        (
            "service",
            &["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"],
        ),
        (
            "service",
            &[
                "UPDATE_IN_PROGRESS",
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
                "UPDATE_COMPLETE",
            ],
        ),
        // The update failed, and CloudFormation put everything back.
        (
            "service",
            &[
                "UPDATE_IN_PROGRESS",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
                "UPDATE_ROLLBACK_COMPLETE",
            ],
        ),
        (
            "observability",
            &["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"],
        ),
        ("observability", &["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]),
        (
            "pipeline",
            &["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
        ),
        // Killed between the change set and its execution: there is no stack, and nothing to wait for.
        ("pipeline", &["REVIEW_IN_PROGRESS"]),
    ];
    for (kind, statuses) in rows {
        let model = with_a_verified();
        model.stack(kind, statuses);
        let report = deploy(&model, &Looks::pass(), 'b').unwrap();
        assert!(report.is_done, "{kind} {statuses:?}: {report:?}");
        assert!(is_at_its_end(&model, kind), "{kind} {statuses:?}");
        expect_consistent(&model, 'b');
    }
}

#[test]
fn several_stacks_at_work_are_all_waited_for() {
    let model = with_a_verified();
    for kind in ["data", "service", "observability"] {
        model.stack(kind, &["UPDATE_IN_PROGRESS"; 5]);
        let name = format!("mcp-gateway-staging-{kind}");
        let mut state = model.state.borrow_mut();
        state.stacks.get_mut(&name).unwrap().push_back("UPDATE_COMPLETE");
    }
    assert!(deploy(&model, &Looks::pass(), 'b').unwrap().is_done);
    for kind in ["data", "service", "observability"] {
        assert!(is_at_its_end(&model, kind), "{kind}");
    }
}

#[test]
fn a_release_that_was_begun_before_is_resumed_once_cloudformation_is_done() {
    let model = with_a_verified();
    // Registered and moved, and nobody saw the end.
    let blind = Looks::are(&[super::Verdict::Unknown("no token".to_owned())]);
    deploy(&model, &blind, 'b').unwrap_err();
    model.stack("service", &["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]);
    assert!(resume(&model, &Looks::pass()).unwrap().is_done);
    assert!(is_at_its_end(&model, "service"));
    expect_consistent(&model, 'b');
}

fn expect_way_out(report: &Report, status: &str, commands: &[&str]) {
    assert!(!report.is_done && report.what.contains(status), "{report:?}");
    for command in commands {
        assert!(report.hint.contains(command), "{status}: {report:?}");
    }
}

#[test]
fn what_ends_badly_while_it_is_waited_for_stops_the_run_and_says_what_to_do() {
    for (status, commands) in BAD {
        for resumes in [false, true] {
            let model = with_a_verified();
            let calls = if resumes {
                let blind = Looks::are(&[super::Verdict::Unknown("no token".to_owned())]);
                deploy(&model, &blind, 'b').unwrap_err();
                2
            } else {
                1
            };
            model.stack("service", &["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", status]);
            let before = said(&model);
            let report = if resumes {
                resume(&model, &Looks::pass())
            } else {
                deploy(&model, &Looks::pass(), 'b')
            };
            expect_way_out(&report.unwrap(), status, commands);
            assert_eq!((said(&model), model.state.borrow().moves.len()), (before, calls));
        }
    }
}

#[test]
fn what_has_ended_badly_stops_the_run_before_it_takes_the_lock() {
    for (status, commands) in BAD {
        let model = Model::new();
        model.stack("service", &[status]);
        let checks = with(&model, |account| checks::of_account(account).unwrap());
        expect_way_out(&checks::broken(&checks).unwrap(), status, commands);
    }
}

#[test]
fn the_commands_are_about_the_stack_that_is_stuck() {
    let model = Model::new();
    model.stack("data", &["UPDATE_ROLLBACK_FAILED"]);
    let checks = with(&model, |account| checks::of_account(account).unwrap());
    let report = checks::broken(&checks).unwrap();
    for part in [
        "npx cdk rollback staging/data",
        "--stack-name mcp-gateway-staging-data",
    ] {
        assert!(report.hint.contains(part), "{report:?}");
    }
}

#[test]
fn protection_is_only_taken_away_where_there_is_some() {
    let model = Model::new();
    model.stack("service", &["ROLLBACK_COMPLETE"]);
    let mut declared = super::declared();
    for stack in &mut declared.account.stacks {
        stack.termination_protection = false;
    }
    let account = crate::release::account::Account {
        cloud: &model,
        declared: &declared,
    };
    let report = checks::broken(&checks::of_account(&account).unwrap()).unwrap();
    assert!(
        report.hint.contains("delete-stack") && !report.hint.contains("protection"),
        "{report:?}"
    );
}

#[test]
fn the_runbook_has_a_row_for_each_status_with_the_same_commands() {
    for (status, commands) in BAD {
        let row = RUNBOOK.lines().find(|line| {
            let mut cells = line.split('|');
            cells
                .nth(1)
                .is_some_and(|cell| cell.contains(&format!("`{status}`")))
        });
        let row = row.unwrap_or_else(|| panic!("no row for `{status}`"));
        for command in commands.iter().filter(|command| !command.starts_with("describe")) {
            assert!(row.contains(command), "{status}: {row}");
        }
    }
    // What CloudFormation has put back is deployed to as ever, and the runbook says so.
    assert!(RUNBOOK.contains("| `UPDATE_ROLLBACK_COMPLETE` | It is whole"));
    assert!(RUNBOOK.contains("`deploy` waits for it by itself, up to an hour."));
}

#[test]
fn a_rollback_needs_no_stack() {
    for (status, _) in BAD {
        let model = with_a_verified();
        deploy(&model, &Looks::pass(), 'b').unwrap();
        model.stack("service", &[status]);
        assert!(
            super::roll_back(&model, &Looks::pass(), None).unwrap().is_done,
            "{status}"
        );
        expect_consistent(&model, 'a');
    }
}

/// Waits for the stacks and does nothing else.
fn settle(work: &Work<'_>) -> anyhow::Result<Option<Report>> {
    stacks::settle(work)
}

#[test]
fn ctrl_c_while_waiting_says_that_nothing_was_changed() {
    let model = with_a_verified();
    model.stack("service", &["UPDATE_IN_PROGRESS"]);
    // After the lock and the first two looks at the stack.
    model.happens(Instead::CtrlC, 8..9);
    let error = deploy(&model, &Looks::pass(), 'b').unwrap_err();
    let problem = error.downcast_ref::<Problem>().unwrap();
    assert!(
        problem.to_string().contains("is still `UPDATE_IN_PROGRESS`"),
        "{problem:?}"
    );
    assert!(problem.hint().contains("nothing was changed"), "{problem:?}");
    assert_eq!(
        (said(&model), model.runs_image()),
        ("1 verified".to_owned(), image('a'))
    );
}

#[test]
fn a_question_that_fails_while_waiting_is_asked_again() {
    let model = with_a_verified();
    model.stack(
        "service",
        &["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"],
    );
    let waited = run(&model, &Looks::pass(), &model.interrupt, |work| {
        model.happens(Instead::Throttled, 1..9);
        settle(work)
    });
    assert!(waited.unwrap().is_none());
    model.stack("service", &["UPDATE_IN_PROGRESS"]);
    let error = run(&model, &Looks::pass(), &model.interrupt, |work| {
        model.happens(Instead::Throttled, 1..100);
        settle(work)
    });
    assert!(error.unwrap_err().to_string().contains("rate exceeded"));
}

#[test]
fn an_hour_is_enough_and_the_lock_is_held_all_the_while() {
    let model = with_a_verified();
    model.stack("service", &["UPDATE_IN_PROGRESS"]);
    let now = Cell::new(NOW);
    let minute = || {
        now.set(now.get() + 30);
        now.get()
    };
    let error = run_while(&model, &Looks::pass(), &model.interrupt, &minute, |work| {
        let error = settle(work).unwrap_err();
        // Somebody else comes, an hour later.
        let held = Lock::take(work.account, &ben(), "deploy", now.get())?.unwrap_err();
        assert!(
            now.get() > NOW + 3 * TTL.as_secs() && held.until > now.get(),
            "{held:?}"
        );
        Err::<(), _>(error)
    })
    .unwrap_err();
    let problem = error.downcast_ref::<Problem>().unwrap();
    assert!(problem.to_string().contains("for an hour"), "{problem:?}");
    assert!(
        problem
            .hint()
            .contains("describe-stack-events --max-items 20 --stack-name mcp-gateway-staging-service"),
        "{problem:?}"
    );
}

#[test]
fn only_stacks_that_are_not_as_declared_are_deployed() {
    let directory = tempfile::tempdir().unwrap();
    let declared = super::declared();
    let mut artifacts = serde_json::Map::new();
    let model = Model::new();
    for stack in &declared.account.stacks {
        let file = format!("{}.template.json", stack.kind);
        let template = serde_json::json!({ "Resources": { "Kind": stack.kind } });
        std::fs::write(directory.path().join(&file), template.to_string()).unwrap();
        let properties = serde_json::json!({ "stackName": stack.name, "templateFile": file });
        artifacts.insert(
            stack.kind.clone(),
            serde_json::json!({ "properties": properties }),
        );
        let mut state = model.state.borrow_mut();
        state.templates.insert(stack.name.clone(), template);
    }
    let manifest = serde_json::json!({ "artifacts": artifacts });
    std::fs::write(directory.path().join("manifest.json"), manifest.to_string()).unwrap();
    let assembly = Assembly {
        directory: directory.path().to_owned(),
        declared,
    };
    let changed = || with(&model, |account| assembly.changed(account).unwrap());
    assert!(changed().is_empty());
    let mut state = model.state.borrow_mut();
    // One is gone, one was deployed as text by hand, in other words, and one is another.
    state.templates.remove("mcp-gateway-staging-pipeline");
    let name = "mcp-gateway-staging-registry".to_owned();
    let text = serde_json::json!("{ \"Resources\": { \"Kind\": \"registry\" } }");
    state.templates.insert(name, text);
    let name = "mcp-gateway-staging-service".to_owned();
    state
        .templates
        .insert(name, serde_json::json!({ "Resources": {} }));
    drop(state);
    assert_eq!(changed(), ["service", "pipeline"]);
}
