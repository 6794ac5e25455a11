//! What the ledger says should run, state by state, and what is said where something else does.

use serde_json::{Value, json};

use super::{declared, healthy, ids, report, said};
use crate::release::ledger::{Entry, Ledger, Status};
use crate::verify::facts::Facts;
use crate::verify::report::Report;
use crate::verify::row::{Depth, View};
use crate::verify::rows::GROUPS;

const FAMILY: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging";
const FIX_BY_HAND: &str = "ecs update-service";
const FIX_RESUME: &str = "deploy --env staging --resume";
const FIX_DEPLOY: &str = "deploy --env staging --token-file";

fn digest(letter: char) -> String {
    format!("sha256:{}", String::from(letter).repeat(64))
}

/// `3 pending b`, perhaps `of 1` behind it: a release of the image `b` whose revision has its number.
fn entry(line: &str) -> Entry {
    let words: Vec<&str> = line.split(' ').collect();
    let number: u64 = words[0].parse().unwrap();
    let letter = words[2].chars().next().unwrap();
    Entry {
        release: number,
        status: serde_json::from_value(json!(words[1])).unwrap(),
        hold: words.contains(&"held"),
        sha: String::from(letter).repeat(40),
        version: "0.1.0".to_owned(),
        digest: digest(letter),
        image: format!("repository@{}", digest(letter)),
        fingerprint: String::from(letter),
        revision: (!words.contains(&"unregistered")).then(|| format!("{FAMILY}:{number}")),
        deployment: None,
        copy_of: words.contains(&"copy").then_some(1),
        undoes: None,
        reason: String::new(),
        who: "ana@desk".to_owned(),
        run: None,
        at: "2026-11-20T10:00:00Z".to_owned(),
        ended: None,
    }
}

fn parameters(ledger: &[Entry]) -> Value {
    let parameters: Vec<Value> = ledger
        .iter()
        .map(|entry| {
            let name = crate::release::ledger::name(&declared(), entry.release);
            json!({ "Name": name, "Value": serde_json::to_string(entry).unwrap() })
        })
        .collect();
    json!({ "Parameters": parameters })
}

/// The healthy account with other releases, of which the service runs the one with the revision `runs`, tagged as a
/// release does it.
fn account(lines: &[&str], runs: u64) -> Facts {
    let entries: Vec<Entry> = lines.iter().map(|line| entry(line)).collect();
    let revision = format!("{FAMILY}:{runs}");
    let mut facts = healthy();
    *facts.value_mut("ledger").unwrap() = parameters(&entries);
    let mut change = |fact: &str, pointer: &str, value: Value| {
        *facts.value_mut(fact).unwrap().pointer_mut(pointer).unwrap() = value;
    };
    change("service", "/services/0/taskDefinition", json!(revision));
    change(
        "task definition",
        "/taskDefinition/taskDefinitionArn",
        json!(revision),
    );
    let tags = entries.iter().find(|entry| entry.release == runs).map(|entry| {
        json!([
            { "key": "release", "value": entry.release.to_string() },
            { "key": "digest", "value": entry.digest },
            { "key": "sha", "value": entry.sha },
        ])
    });
    change("task definition", "/tags", tags.unwrap_or_else(|| json!([])));
    facts
}

fn look(facts: &Facts, digest: Option<&str>) -> Report {
    let view = View {
        declared: &declared(),
        facts,
        digest,
        now: super::NOW,
    };
    Report::make(GROUPS, Depth::Full, &[], &view)
}

/// The ledger, the image that is asked for, what runs, and the fix of B3 when it does not hold.
type State = (&'static [&'static str], Option<char>, u64, Option<&'static str>);

const STATES: &[State] = &[
    // Never released by us: what CloudFormation started.
    (&[], None, 9, None),
    (&[], Some('a'), 9, None),
    // One release after the other.
    (&["1 verified a", "2 verified b"], None, 2, None),
    (&["1 verified a", "2 verified b"], Some('b'), 2, None),
    (&["1 verified a", "2 verified b"], None, 1, Some(FIX_BY_HAND)),
    (&["1 verified a", "2 verified b"], None, 9, Some(FIX_BY_HAND)),
    // On its way: the gate asks with its image, an operator without.
    (&["1 verified a", "2 pending b"], Some('b'), 2, None),
    (&["1 verified a", "2 pending b"], Some('b'), 1, Some(FIX_RESUME)),
    (&["1 verified a", "2 pending b"], None, 1, None),
    (&["1 verified a", "2 pending b"], None, 2, Some(FIX_RESUME)),
    (
        &["1 verified a", "2 pending b unregistered"],
        Some('b'),
        1,
        Some(FIX_RESUME),
    ),
    (&["1 verified a", "2 pending b unregistered"], None, 1, None),
    // The same image in another shape, or tasks that are replaced.
    (&["1 verified a", "2 pending a"], Some('a'), 2, None),
    (&["1 verified a", "2 pending a"], None, 2, Some(FIX_RESUME)),
    // The first of all.
    (&["1 pending a"], Some('a'), 1, None),
    (&["1 pending a"], None, 9, None),
    (&["1 pending a"], None, 1, Some(FIX_RESUME)),
    (&["1 failed a held"], None, 1, Some(FIX_RESUME)),
    (&["1 rolled-back a held"], None, 9, None),
    (&["1 rolled-back a held"], None, 1, Some(FIX_DEPLOY)),
    // Not good, and still there.
    (&["1 verified a", "2 failed b held"], None, 2, Some(FIX_RESUME)),
    (&["1 verified a", "2 failed b held"], None, 1, None),
    // ECS went back by itself, or the service never moved.
    (&["1 verified a", "2 rolled-back b held"], Some('a'), 1, None),
    (&["1 verified a", "2 rolled-back a held"], Some('a'), 1, None),
    (
        &["1 verified a", "2 rolled-back b held"],
        None,
        2,
        Some(FIX_BY_HAND),
    ),
    (&["1 verified a", "2 superseded b"], None, 1, None),
    (&["1 verified a", "2 superseded b"], Some('a'), 1, None),
    // A rollback is a release of its own.
    (
        &["1 verified a", "2 verified b held", "3 pending a copy"],
        Some('a'),
        3,
        None,
    ),
    (
        &["1 verified a", "2 failed b held", "3 pending a copy"],
        Some('a'),
        3,
        None,
    ),
    (
        &["1 verified a", "2 failed b held", "3 pending a copy"],
        None,
        3,
        Some(FIX_RESUME),
    ),
    (
        &["1 verified a", "2 rolled-back b held", "3 verified a copy"],
        None,
        3,
        None,
    ),
    (
        &["1 verified a", "2 rolled-back b held", "3 verified a copy"],
        None,
        1,
        Some(FIX_BY_HAND),
    ),
    // A rollback that is not good either is nobody's to go on with.
    (
        &["1 verified a", "2 failed b held", "3 failed a copy"],
        None,
        3,
        Some(FIX_BY_HAND),
    ),
];

#[test]
fn what_should_run_follows_from_the_ledger_in_every_state() {
    for (ledger, letter, runs, fix) in STATES {
        let digest = letter.map(digest);
        let report = look(&account(ledger, *runs), digest.as_deref());
        let is_failed = ids(&report, "fail").contains(&"B3");
        let (actual, advised) = said(&report, "B3");
        let shown = format!("{ledger:?} {letter:?} {runs}: {actual}: {advised}");
        assert!(!ids(&report, "unknown").contains(&"B3"), "{shown}");
        assert_eq!(is_failed, fix.is_some(), "{shown}");
        if let Some(fix) = fix {
            assert!(advised.contains(fix), "{shown}");
        }
        assert!(actual.contains(&format!("{FAMILY}:{runs}")), "{shown}");
        if fix.is_none() {
            assert!(!ids(&report, "fail").contains(&"E9"), "{shown}");
        }
    }
}

#[test]
fn tags_of_another_release_are_not_overwritten() {
    let report = look(&account(&["1 verified a", "2 verified b"], 1), None);
    assert!(ids(&report, "fail").contains(&"E9"));
    let (actual, advised) = said(&report, "E9");
    assert!(actual.starts_with("release 1, digest sha256:aaaa"), "{actual}");
    assert!(advised.contains("see B3"), "{advised}");
}

#[test]
fn the_newest_revision_is_not_taken_away_where_it_is_the_one_that_should_run() {
    let report = report(&account(&["6 verified a", "7 verified b"], 6));
    assert!(ids(&report, "fail").contains(&"E1"));
    let (_, advised) = said(&report, "E1");
    assert!(advised.contains("see B3"), "{advised}");
}

#[test]
fn only_what_could_be_gone_back_to_must_be_there() {
    let lost = [
        "1 verified a",
        "2 rolled-back b held",
        "3 failed c",
        "4 superseded d",
    ];
    let kept = ["5 verified e", "6 verified f", "7 verified f"];
    // Too long ago, and never good: nobody goes back there.
    let more = ["1 verified a", "2 verified b", "3 verified c"];
    let rows: [(Vec<&str>, &str, &str); 4] = [
        ([&lost[..], &kept].concat(), "not ACTIVE: release 1", "gone: 1 ("),
        ([&lost[1..], &kept].concat(), "ACTIVE: 7 (", "ACTIVE: 5 ("),
        (kept[2..].to_vec(), "ACTIVE: 7 (", "there is none"),
        ([&more[..], &kept].concat(), "not ACTIVE: release 3", "gone: 3 ("),
    ];
    for (ledger, revisions, images) in rows {
        let mut facts = account(&ledger, 7);
        let there: Vec<Value> = ['e', 'f']
            .iter()
            .map(|letter| json!({ "imageDigest": digest(*letter), "imageStatus": "ACTIVE" }))
            .collect();
        *facts.value_mut("images").unwrap() = json!({ "imageDetails": there });
        let report = report(&facts);
        for (id, expected) in [("E10", revisions), ("F2", images)] {
            let (actual, advised) = said(&report, id);
            assert!(actual.starts_with(expected), "{id} {ledger:?}: {actual}");
            let is_failed = ids(&report, "fail").contains(&id);
            assert_eq!(
                is_failed,
                !expected.starts_with("ACTIVE") && expected != "there is none",
                "{id}"
            );
            assert!(!is_failed || !advised.contains("000007"), "{advised}");
        }
    }
}

#[test]
fn a_release_that_runs_and_is_lost_stays_in_the_ledger() {
    let mut facts = account(&["6 verified a", "7 verified b"], 7);
    *facts.value_mut("revisions").unwrap() = json!({ "taskDefinitionArns": [format!("{FAMILY}:6")] });
    let (_, advised) = said(&report(&facts), "E10");
    assert!(advised.contains("rollback --env staging --to 7"), "{advised}");
    assert!(!advised.contains("delete-parameters"), "{advised}");
}

#[test]
fn a_list_that_was_cut_short_says_nothing_about_what_is_not_in_it() {
    let mut facts = account(&["1 verified a", "7 verified b"], 7);
    facts.value_mut("revisions").unwrap()["NextToken"] = json!("more");
    assert!(ids(&report(&facts), "unknown").contains(&"E10"));
}

#[test]
fn what_is_no_ledger_is_unknown_and_says_which_parameter() {
    let mut facts = healthy();
    *facts
        .value_mut("ledger")
        .unwrap()
        .pointer_mut("/Parameters/1/Value")
        .unwrap() = json!("{}");
    let report = report(&facts);
    for id in ["B3", "E9", "E10", "F2"] {
        assert!(ids(&report, "unknown").contains(&id), "{id}");
        let (reason, hint) = said(&report, id);
        assert!(reason.contains("releases/000006"), "{reason}");
        assert!(hint.contains("get-parameter-history"), "{hint}");
    }
}

#[test]
fn a_release_that_is_on_its_way_is_only_meant_by_its_image() {
    let ledger = Ledger {
        entries: vec![entry("1 verified a"), entry("2 pending b")],
    };
    let meant = |letter: Option<char>| {
        ledger
            .meant(letter.map(digest).as_deref())
            .map(|entry| entry.release)
    };
    assert_eq!(meant(None), Some(1));
    assert_eq!(meant(Some('a')), Some(1));
    assert_eq!(meant(Some('b')), Some(2));
    assert_eq!(ledger.head().map(|head| head.status), Some(Status::Pending));
}

/// Whoever runs a revision of his own by hand gets back to that of the release, which has the declared shape.
#[test]
fn the_way_out_of_a_revision_that_is_no_release_is_the_one_that_is() {
    for (runs, fix) in [(9, "ecs update-service"), (2, "file://shape.json")] {
        let mut facts = account(&["1 verified a", "2 verified b"], runs);
        let container = "/taskDefinition/containerDefinitions/0/stopTimeout";
        let definition = facts.value_mut("task definition").unwrap();
        *definition.pointer_mut(container).unwrap() = json!(30);
        let (_, advised) = said(&look(&facts, None), "E3");
        assert!(advised.contains(fix), "{advised}");
        let is_taken_away = advised.ends_with(&format!(
            "deregister-task-definition --task-definition {FAMILY}:9"
        ));
        assert_eq!(is_taken_away, runs == 9, "{advised}");
    }
}
