//! `wait`, `status` and `releases`: what they say, to people and to programs, and how they exit.

use serde_json::{Value, json};

use super::model::{Fate, Instead, Model, image, revision};
use super::{Looks, NOW, PACE, Verdict, ana, deploy, empty, keys, verb, with, with_a_verified};
use crate::Outcome;
use crate::problem::Problem;
use crate::release::place::Place;
use crate::release::verb::releases::Releases;
use crate::release::verb::status::Seen;
use crate::release::verb::{Answer, wait};

/// Somebody moved the service to what CloudFormation made first, and it ends so.
fn moved(fate: Fate) -> Model {
    let model = with_a_verified();
    let mut state = model.state.borrow_mut();
    state.fates.insert(image('0'), fate);
    state.moved_by_hand(&revision(1));
    drop(state);
    model
}

fn waited(model: &Model) -> anyhow::Result<Answer> {
    with(model, |account| {
        wait::until_it_ends(account, PACE, &model.interrupt)
    })
}

#[test]
fn a_wait_ends_as_the_deployment_ends() {
    let rows = [
        (Fate::Successful, true, "is deployed"),
        (
            Fate::BreakerOpens,
            false,
            "was sent back: Service deployment rolled back because of circuit breaker",
        ),
        (Fate::RollbackFails, false, "failed, and so did going back"),
        (Fate::StoppedByHand, false, "was stopped: ECS says STOPPED"),
    ];
    for (fate, is_good, says) in rows {
        let model = moved(fate);
        let moves = model.state.borrow().moves.len();
        let answer = waited(&model).unwrap();
        let said = answer.json["said"].as_str().unwrap();
        assert!(said.contains(says) && said.contains(&revision(1)), "{said}");
        assert_eq!(
            (answer.outcome == Outcome::Done, &answer.json["successful"]),
            (is_good, &json!(is_good))
        );
        if is_good {
            assert_eq!((&*answer.lines[0], &*answer.remark), (said, ""));
        } else {
            assert!(
                answer.lines.is_empty() && answer.remark.starts_with(said),
                "{answer:?}"
            );
            assert!(
                answer
                    .remark
                    .contains("cargo xtask logs --env staging --previous"),
                "{answer:?}"
            );
        }
        assert_eq!(model.state.borrow().moves.len(), moves, "it changes nothing");
    }
}

#[test]
fn a_wait_for_nothing_says_what_is_deployed() {
    // After a release, and where ECS knows of no deployment, or of none any more.
    for (model, number) in [(with_a_verified(), 2), (Model::new(), 1)] {
        let answer = waited(&model).unwrap();
        assert_eq!(answer.lines, [format!("{} is deployed", revision(number))]);
        assert_eq!(answer.outcome, Outcome::Done);
    }
}

#[test]
fn a_wait_without_a_service_is_an_error() {
    let error = waited(&empty()).unwrap_err();
    let problem = error.downcast_ref::<Problem>().unwrap();
    assert_eq!(problem.to_string(), "there is no service `mcp-gateway-staging`");
    assert!(
        problem.hint().contains("cargo xtask deploy --env staging"),
        "{problem:?}"
    );
}

#[test]
fn a_wait_that_is_given_up_says_that_ecs_goes_on() {
    let late = moved(Fate::NeverEnds);
    let cut = moved(Fate::NeverEnds);
    cut.happens(Instead::CtrlC, 6..7);
    for model in [late, cut] {
        let error = waited(&model).unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert!(problem.to_string().contains("has not ended"), "{problem:?}");
        assert!(
            problem.hint().contains("cargo xtask wait --env staging"),
            "{problem:?}"
        );
    }
}

#[test]
fn a_wait_asks_again_when_questions_fail_but_not_for_ever() {
    let model = moved(Fate::Successful);
    model.happens(Instead::Throttled, 5..10);
    assert_eq!(waited(&model).unwrap().outcome, Outcome::Done);
    let model = moved(Fate::Successful);
    model.happens(Instead::Throttled, 5..100);
    let error = waited(&model).unwrap_err();
    assert!(error.to_string().contains("rate exceeded"), "{error:#}");
}

#[test]
fn no_time_is_too_long_to_wait() {
    let place: Place = verb(&[]);
    assert_eq!(place.pace(20, Some(0)).looks, 240);
    assert_eq!(place.pace(u32::MAX, Some(0)).looks, u32::MAX.div_ceil(5));
}

fn status(model: &Model) -> Answer {
    with(model, |account| {
        Seen::look(account, &ana(), NOW + 60).unwrap().answer()
    })
}

#[test]
fn the_status_of_nothing_says_so_in_each_row() {
    let answer = status(&empty());
    assert_eq!(
        answer.lines,
        [
            "environment  staging",
            "release      none is verified",
            "service      there is none",
            "targets      there is no target group",
            "alarms       none",
            "lock         nobody has it",
        ]
    );
    assert_eq!(answer.outcome, Outcome::Refused);
    let expected = json!({ "environment": "staging", "quiet": false, "current": null, "last": null,
        "service": null, "tasks": [], "targets": null, "deployments": [], "alarms": [], "lock": null });
    assert_eq!(answer.json, expected);
}

#[test]
fn the_status_after_a_release_is_quiet_and_has_everything() {
    let model = with_a_verified();
    let mut state = model.state.borrow_mut();
    state.events = (0..12).map(|at| format!("event {at}")).collect();
    state.targets = Some(vec!["healthy", "draining"]);
    drop(state);
    let answer = status(&model);
    assert_eq!(answer.outcome, Outcome::Done, "{answer:?}");
    let wanted = [
        "service      mcp-gateway-staging:2: 2 of 2 tasks run, 0 pending",
        "task         00000000000000000000000000000001 RUNNING HEALTHY us-east-1a aaaaaaaaaaaa",
        "task         00000000000000000000000000000002 RUNNING HEALTHY us-east-1b aaaaaaaaaaaa",
        "targets      1 of 2 are healthy",
        "event        event 9",
    ];
    for line in wanted {
        assert!(answer.lines.iter().any(|row| row == line), "{line}: {answer:?}");
    }
    assert!(
        answer.lines[1].starts_with("release      1 (aaaaaaaaaa)"),
        "{answer:?}"
    );
    assert!(
        !answer
            .lines
            .iter()
            .any(|row| row.contains("event 10") || row.starts_with("last"))
    );
    let service = &answer.json["service"];
    assert_eq!(
        keys(service),
        ["desired", "events", "pending", "revision", "running"]
    );
    assert_eq!(
        (&answer.json["quiet"], &answer.json["tasks"][1]["lastStatus"]),
        (&json!(true), &json!("RUNNING"))
    );
    assert_eq!(answer.json["targets"], json!({ "healthy": 1, "all": 2 }));
    assert_eq!(
        (
            &answer.json["current"]["release"],
            &answer.json["last"]["release"]
        ),
        (&json!(1), &json!(1))
    );
}

/// Something that happens to an account.
type Happening<'a> = &'a dyn Fn(&Model);

#[test]
fn whatever_is_not_as_released_is_not_quiet() {
    let failing = || Looks::are(&[Verdict::Fail("verify: L9 tools".to_owned())]);
    let blind = || Looks::are(&[Verdict::Unknown("no token".to_owned())]);
    let rows: [(&str, Happening<'_>, &str); 7] = [
        (
            "an alarm",
            &|model| model.state.borrow_mut().ringing.push(("errors", NOW)),
            "alarms       errors",
        ),
        (
            "a task is missing",
            &|model| model.state.borrow_mut().running = 1,
            "1 of 2 tasks run",
        ),
        (
            "nothing is wanted",
            &|model| {
                let mut state = model.state.borrow_mut();
                (state.desired, state.running) = (0, 0);
            },
            "0 of 0 tasks run",
        ),
        (
            "moved by hand",
            &|model| model.state.borrow_mut().moved_by_hand(&revision(1)),
            "deployment   PENDING service-deployment/2",
        ),
        (
            "not verified",
            &|model| drop(deploy(model, &blind(), 'b')),
            "last         2 (bbbbbbbbbb)",
        ),
        (
            "going back failed",
            &|model| drop(deploy(model, &failing(), 'b')),
            "failed",
        ),
        (
            "the service is gone",
            &|model| model.state.borrow_mut().service = None,
            "service      there is none",
        ),
    ];
    for (what, happens, row) in rows {
        let model = with_a_verified();
        assert_eq!(status(&model).outcome, Outcome::Done);
        happens(&model);
        let answer = status(&model);
        assert_eq!(
            (answer.outcome, &answer.json["quiet"]),
            (Outcome::Refused, &json!(false)),
            "{what}"
        );
        assert!(
            answer.lines.iter().any(|line| line.contains(row)),
            "{what}: {answer:?}"
        );
    }
}

#[test]
fn a_target_group_that_was_removed_by_hand_does_not_hide_the_rest() {
    let model = with_a_verified();
    model.state.borrow_mut().targets = None;
    let answer = status(&model);
    assert!(
        answer
            .lines
            .iter()
            .any(|row| row.ends_with("there is no target group")),
        "{answer:?}"
    );
    assert_eq!(answer.json["targets"], Value::Null);
}

fn releases(model: &Model, words: &[&str]) -> Answer {
    let releases: Releases = verb(words);
    with(model, |account| releases.on(account).unwrap())
}

#[test]
fn releases_are_listed_the_newest_first_with_how_they_ended() {
    let model = with_a_verified();
    deploy(&model, &Looks::fail_then_pass(), 'b').unwrap();
    let answer = releases(&model, &[]);
    assert_eq!(answer.lines.len(), 3);
    for (line, parts) in answer.lines.iter().zip([
        &[
            "3 (copy of 1)",
            "verified",
            "revision 4",
            "aaaaaaaaaaaa",
            "ana@desk",
        ][..],
        &[
            "2 (bbbbbbbbbb)",
            "rolled-back",
            "revision 3",
            ", held: verify: L9 tools",
        ],
        &["1 (aaaaaaaaaa)", "verified", "revision 2"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    assert_eq!((answer.outcome, &*answer.remark), (Outcome::Done, ""));
    let newest = releases(&model, &["--limit", "1"]);
    assert_eq!(newest.lines, answer.lines[..1]);
    let entries = answer.json["releases"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(
        (&entries[1]["status"], &entries[1]["hold"]),
        (&json!("rolled-back"), &json!(true))
    );
}

#[test]
fn no_release_is_said_and_is_no_error() {
    let answer = releases(&Model::new(), &[]);
    assert_eq!(
        (&answer.json, answer.outcome),
        (&json!({ "releases": [] }), Outcome::Done)
    );
    assert!(
        answer.remark.contains("cargo xtask deploy --env staging"),
        "{answer:?}"
    );
}
