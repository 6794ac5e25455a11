//! What `logs` prints, and what it says when there is nothing.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::{Value, json};

use super::model::{Instead, Line, Model, State, task};
use super::{NOW, verb, with};
use crate::problem::Problem;
use crate::release::verb::logs::{Logs, Watch};

fn line(at: u64, number: usize, message: &'static str) -> Line {
    Line {
        at,
        task: task(number),
        message,
        late: 0,
    }
}

fn with_lines(lines: &[Line]) -> Model {
    let model = Model::new();
    model.state.borrow_mut().logs = Some(lines.to_vec());
    model
}

/// What is printed, and what is said when that is all.
fn print(model: &Model, words: &[&str]) -> anyhow::Result<(Vec<String>, String)> {
    follow(model, words, &Cell::new(NOW), 0)
}

/// The same while time passes: so many seconds with each look.
fn follow(
    model: &Model,
    words: &[&str],
    now: &Cell<u64>,
    step: u64,
) -> anyhow::Result<(Vec<String>, String)> {
    let logs: Logs = verb(words);
    let lines = RefCell::new(Vec::new());
    let passes = || {
        now.set(now.get() + step);
        now.get()
    };
    let watch = Watch {
        interrupt: &model.interrupt,
        poll: Duration::ZERO,
        now: &passes,
    };
    let remark = with(model, |account| {
        logs.print(account, &watch, &mut |line| lines.borrow_mut().push(line))
    })?;
    Ok((lines.into_inner(), remark))
}

#[test]
fn lines_of_all_tasks_of_the_last_minutes_are_printed() {
    let model = with_lines(&[
        line(NOW - 601, 1, "too old"),
        line(NOW - 600, 1, "one"),
        line(NOW - 5, 2, "two"),
        line(NOW, 1, "three"),
    ]);
    let (lines, remark) = print(&model, &[]).unwrap();
    assert_eq!(lines, ["00000000 one", "00000000 two", "00000000 three"]);
    assert_eq!(remark, "");
    let (lines, _) = print(&model, &["--since", "11"]).unwrap();
    assert_eq!(lines[0], "00000000 too old");
    let (lines, _) = print(&model, &["--since", "18446744073709551615"]).unwrap();
    assert_eq!(lines.len(), 4, "as far back as there is");
}

#[test]
fn one_task_is_named_by_its_id_its_arn_or_the_beginning() {
    let id = format!("{}{}", "ab12".repeat(4), "0".repeat(16));
    let other = format!("{}{}", "ab13".repeat(4), "0".repeat(16));
    let of = |task: &str, message| Line {
        task: task.to_owned(),
        ..line(NOW, 0, message)
    };
    let model = with_lines(&[of(&id, "mine"), of(&other, "not mine")]);
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/mcp-gateway-staging/{id}");
    // Eight characters are what a printed line begins with.
    for name in [&*id, &*arn, "ab12ab12"] {
        let (lines, _) = print(&model, &["--task", name]).unwrap();
        assert_eq!(lines, ["ab12ab12 mine"], "{name}");
    }
}

#[test]
fn for_programs_each_line_is_what_cloudwatch_says() {
    let model = with_lines(&[line(NOW, 1, "one")]);
    let (lines, _) = print(&model, &["--json"]).unwrap();
    let event: Value = serde_json::from_str(&lines[0]).unwrap();
    let stream = format!("gateway/gateway/{}", task(1));
    assert_eq!(
        event,
        json!({ "eventId": "0", "logStreamName": stream, "message": "one\n", "timestamp": NOW * 1000 })
    );
}

#[test]
fn silence_is_explained() {
    let rows: [(&[&str], &str); 3] = [
        (&[], "no task wrote a line in the last 10 minutes"),
        (
            &["--task", "feed", "--since", "3"],
            "begins with `feed` wrote a line in the last 3 minutes",
        ),
        (&["--previous"], "no task has stopped lately"),
    ];
    for (words, says) in rows {
        let (lines, remark) = print(&Model::new(), words).unwrap();
        assert!(lines.is_empty() && remark.contains(says), "{words:?}: {remark}");
    }
}

#[test]
fn without_a_log_group_it_is_said_what_makes_one() {
    for words in [&["--since", "5"][..], &["--follow"]] {
        let model = Model::new();
        model.state.borrow_mut().logs = None;
        let error = print(&model, words).unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert_eq!(
            problem.to_string(),
            "there is no log group `/mcp-gateway/staging`"
        );
        assert!(
            problem.hint().contains("cargo xtask deploy --env staging"),
            "{problem:?}"
        );
    }
}

#[test]
fn a_follow_prints_each_line_once_also_one_that_comes_late_and_ends_well_by_ctrl_c() {
    let late = Line {
        late: 3,
        ..line(NOW + 2, 2, "late")
    };
    let model = with_lines(&[
        line(NOW - 9, 1, "before"),
        line(NOW + 1, 1, "soon"),
        late,
        line(NOW + 9, 1, "later"),
        line(NOW + 4000, 1, "never"),
    ]);
    // Ctrl-C reaches the `aws` that asks, which is no failure of ours.
    model.happens(Instead::CtrlC, 12..13);
    let (lines, remark) = follow(&model, &["--follow", "--since", "1"], &Cell::new(NOW - 1), 1).unwrap();
    assert_eq!(
        lines,
        [
            "00000000 before",
            "00000000 soon",
            "00000000 late",
            "00000000 later"
        ]
    );
    assert_eq!((remark, model.calls.get()), (String::new(), 13));
}

#[test]
fn a_follow_that_saw_nothing_ends_well_too() {
    let model = Model::new();
    model.happens(Instead::CtrlC, 3..4);
    let (lines, remark) = follow(&model, &["--follow"], &Cell::new(NOW), 2).unwrap();
    assert_eq!((lines, remark), (Vec::new(), String::new()));
}

#[test]
fn a_follow_asks_again_when_a_question_fails_and_loses_no_line() {
    let model = with_lines(&[line(NOW + 3, 1, "while nobody could ask")]);
    model.happens(Instead::Throttled, 1..12);
    model.happens(Instead::CtrlC, 14..15);
    // Each failure takes half a minute, so that the line is much older than what is asked for twice.
    let (lines, _) = follow(&model, &["--follow", "--since", "1"], &Cell::new(NOW - 30), 30).unwrap();
    assert_eq!(lines, ["00000000 while nobody could ask"]);
    let model = Model::new();
    model.happens(Instead::Throttled, 0..100);
    let error = follow(&model, &["--follow"], &Cell::new(NOW), 1).unwrap_err();
    assert!(error.to_string().contains("rate exceeded"), "{error:#}");
}

#[test]
fn one_question_that_fails_is_an_error_where_nobody_follows() {
    let model = Model::new();
    model.happens(Instead::Throttled, 0..1);
    assert!(
        print(&model, &[])
            .unwrap_err()
            .to_string()
            .contains("rate exceeded")
    );
}

fn with_a_dead_task() -> Model {
    let model = with_lines(&[Line {
        task: State::first_dead(),
        ..line(NOW, 0, "thread 'main' panicked")
    }]);
    let mut state = model.state.borrow_mut();
    state.dead.push((1, "EssentialContainerExited", 64));
    state.dead.push((1, "EssentialContainerExited", 137));
    drop(state);
    model
}

#[test]
fn the_last_words_of_stopped_tasks_are_data() {
    let (lines, remark) = print(&with_a_dead_task(), &["--previous"]).unwrap();
    let (first, second) = (State::first_dead(), &lines[3]);
    assert_eq!(
        lines[..3],
        [
            format!("task {first} stopped: Essential container in task exited"),
            "  | container gateway: exit code 64, its configuration is wrong".to_owned(),
            "  | thread 'main' panicked".to_owned(),
        ]
    );
    assert!(
        second.starts_with("task ") && lines[4].contains("137, killed"),
        "{lines:?}"
    );
    assert_eq!((&*lines[5], &*remark), ("  | it wrote no line", ""));
}

#[test]
fn the_last_words_are_objects_for_programs() {
    let (lines, _) = print(&with_a_dead_task(), &["--previous", "--json"]).unwrap();
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(first["task"]["containers"][0]["exitCode"], 64);
    assert_eq!(first["details"][1], "thread 'main' panicked");
    assert_eq!(lines.len(), 2);
}

#[test]
fn without_a_service_no_task_has_stopped() {
    let model = with_a_dead_task();
    model.state.borrow_mut().service = None;
    let (lines, remark) = print(&model, &["--previous"]).unwrap();
    assert!(
        lines.is_empty() && remark.contains("no task has stopped"),
        "{remark}"
    );
}
