//! What would be done: `diff`, `deploy --dry-run` and `rollback --list`.

use serde_json::{Value, json};

use super::locks::ben;
use super::model::{Model, digest, image, shape};
use super::{Looks, ana, deploy, empty, keys, roll_back, run, verb, with, with_a_verified};
use crate::Outcome;
use crate::release::checks;
use crate::release::lock::Lock;
use crate::release::time;
use crate::release::verb::deploy::Deploy;
use crate::release::verb::diff::Diff;
use crate::release::verb::{Answer, rollback};

fn diff(model: &Model, words: &[&str], changed: &[String]) -> anyhow::Result<Answer> {
    let diff: Diff = verb(words);
    with(model, |account| diff.on(account, changed))
}

#[test]
fn after_a_release_there_is_no_difference() {
    let answer = diff(&with_a_verified(), &[], &[]).unwrap();
    assert_eq!((answer.outcome, answer.lines.len()), (Outcome::Done, 0));
    assert_eq!(answer.json, json!({ "stacks": [], "task_definition": [] }));
    assert!(answer.remark.contains("change nothing"), "{answer:?}");
}

#[test]
fn what_a_deployment_would_change_is_listed() {
    let model = with_a_verified();
    let changed = ["service".to_owned()];
    let answer = diff(&model, &["--image", &image('b')], &changed).unwrap();
    let (old, new) = (image('a'), image('b'));
    let expected = format!("/containerDefinitions/gateway/image: \"{old}\" -> \"{new}\"");
    assert_eq!(answer.lines, ["stack service changes", &*expected]);
    assert_eq!(
        answer.json,
        json!({ "stacks": ["service"], "task_definition": [expected] })
    );
    assert_eq!((answer.outcome, &*answer.remark), (Outcome::Refused, ""));
    // Only stacks change.
    assert_eq!(diff(&model, &[], &changed).unwrap().outcome, Outcome::Refused);
}

#[test]
fn what_runs_is_compared_by_its_gateway_and_not_by_what_stands_beside_it() {
    let model = with_a_verified();
    let mut state = model.state.borrow_mut();
    let (input, ..) = state.revisions.get_mut(&2).unwrap();
    input["cpu"] = json!("256");
    let beside = json!({ "name": "proxy", "image": image('c') });
    input["containerDefinitions"]
        .as_array_mut()
        .unwrap()
        .insert(0, beside);
    drop(state);
    let answer = diff(&model, &[], &[]).unwrap();
    assert!(
        answer.lines.iter().any(|line| line == "/cpu: \"256\" -> \"512\""),
        "{answer:?}"
    );
    let wanted = answer.lines[0].split(" -> ").nth(1).unwrap();
    assert!(
        wanted.contains(&digest('a')) && !wanted.contains(&digest('c')),
        "{wanted}"
    );
}

#[test]
fn where_there_is_nothing_to_compare_it_is_said() {
    let without_service = with_a_verified();
    without_service.state.borrow_mut().service = None;
    let gone = with_a_verified();
    gone.state.borrow_mut().revisions.remove(&2);
    let loose = with_a_verified();
    let by_hand = shape().replace(&image('0'), "registry.example.com/gateway:latest");
    let input = serde_json::from_str(&by_hand).unwrap();
    loose
        .state
        .borrow_mut()
        .revisions
        .insert(2, (input, json!([]), "ACTIVE"));
    let rows = [
        (empty(), "no stack publishes one yet"),
        (without_service, "no service runs one yet"),
        (gone, "mcp-gateway-staging:2, which runs, is gone"),
        (
            loose,
            "runs `registry.example.com/gateway:latest`, which is not pinned",
        ),
    ];
    for (model, says) in rows {
        let answer = diff(&model, &[], &[]).unwrap();
        assert!(
            answer.lines.len() == 1 && answer.lines[0].contains(says),
            "{answer:?}"
        );
        assert_eq!(answer.outcome, Outcome::Refused);
    }
    let error = diff(
        &with_a_verified(),
        &["--image", "registry.example.com/gateway:1"],
        &[],
    )
    .unwrap_err();
    assert!(error.to_string().contains("not pinned"), "{error:#}");
}

fn list(model: &Model) -> Answer {
    run(model, &Looks::pass(), &model.interrupt, |work| {
        rollback::list(work)
    })
    .unwrap()
}

#[test]
fn the_ways_back_are_listed_with_the_default_and_with_why_not() {
    let answer = list(&Model::new());
    assert!(
        answer.lines.is_empty() && answer.remark.contains("nowhere to go"),
        "{answer:?}"
    );
    let model = with_a_verified();
    for letter in ['b', 'c'] {
        deploy(&model, &Looks::pass(), letter).unwrap();
    }
    model.state.borrow_mut().images.insert(digest('a'), "ARCHIVED");
    let answer = list(&model);
    for (line, (name, note)) in answer.lines.iter().zip([
        ("3 (cccccccccc)", "runs"),
        ("2 (bbbbbbbbbb)", "default"),
        ("1 (aaaaaaaaaa)", "is ARCHIVED"),
    ]) {
        assert!(line.starts_with(name) && line.ends_with(note), "{line}");
    }
    let rows = answer.json["releases"].as_array().unwrap();
    let possible: Vec<&Value> = rows.iter().map(|row| &row["possible"]).collect();
    assert_eq!(possible, [&json!(true), &json!(true), &json!(false)]);
    assert_eq!(keys(&rows[0]), ["note", "possible", "release"]);
    // What it says is where a rollback goes.
    assert!(roll_back(&model, &Looks::pass(), None).unwrap().is_done);
    assert_eq!(model.runs_image(), image('b'));
}

fn plan(model: &Model) -> Answer {
    let deploy: Deploy = verb(&["--skip-stacks", "--image", &image('b'), "--dry-run"]);
    with(model, |account| {
        let checks = checks::of_account(account).unwrap();
        deploy.plan(account, None, &ana(), checks).unwrap()
    })
}

#[test]
fn a_plan_changes_nothing_and_says_whether_it_could_begin() {
    let model = with_a_verified();
    let before = (model.state.borrow().parameters.clone(), model.newest());
    let answer = plan(&model);
    assert_eq!(answer.outcome, Outcome::Done, "{answer:?}");
    assert_eq!(keys(&answer.json), ["checks", "ready", "stacks", "steps"]);
    assert_eq!(
        answer.lines[1],
        "release 2: register a revision, move the service"
    );
    assert_eq!((model.state.borrow().parameters.clone(), model.newest()), before);
    with(&model, |account| {
        let lock = Lock::take(account, &ben(), "an incident", time::now());
        std::mem::forget(lock.unwrap().unwrap());
    });
    assert!(plan(&model).lines[0].starts_with("wait: it is locked by ben, an incident"));
    for kind in ["empty", "deleted"] {
        let name = "mcp-gateway-staging/session-secret".to_owned();
        model.state.borrow_mut().secrets.insert(name, kind);
        let answer = plan(&model);
        assert_eq!(
            (answer.outcome, &answer.json["ready"]),
            (Outcome::Refused, &json!(false))
        );
    }
}
