//! The assertions over recorded answers: a healthy environment, in which one fact at a time is changed.

mod asked;
mod ledger;
mod mutations;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::declared::{Account, Declared};
use super::facts::{Facts, Unknown, synthesised_fact};
use super::report::{Report, Verdict};
use super::row::{Depth, View};
use super::rows::{BESIDE_A_RELEASE, GROUPS};
use super::{Resolve, add_templates, letters, questions};
use crate::aws::Aws;
use crate::release::Cloud;
use crate::release::stacks::Assembly;

/// A moment after the tasks of the recording were started and before its certificate ends.
const NOW: f64 = 1_795_600_200.0;

fn declared() -> Declared {
    Declared::parse(include_str!("tests/declared.json")).unwrap()
}

fn healthy() -> Facts {
    let recorded: Value = serde_json::from_str(include_str!("tests/healthy.json")).unwrap();
    let mut facts = Facts::default();
    for (name, answer) in recorded.as_object().unwrap() {
        facts.insert(name.clone(), Ok(answer.clone()));
    }
    facts
}

fn not_asked() -> Unknown {
    Unknown {
        reason: "AccessDenied".to_owned(),
        hint: "ask somebody".to_owned(),
    }
}

fn account() -> Aws {
    Aws {
        region: "us-east-1".to_owned(),
        profile: None,
        endpoint: None,
        program: None,
        verbose: false,
    }
}

fn report(facts: &Facts) -> Report {
    let view = View {
        declared: &declared(),
        facts,
        digest: None,
        now: NOW,
    };
    Report::make(GROUPS, Depth::Full, &[], &view)
}

/// What is said of each of `ids` where `cloud` answers, and nothing else is known than what it has of releases:
/// `B3 pass`.
pub(crate) fn look(
    cloud: &dyn Cloud,
    declared: &Declared,
    digest: Option<&str>,
    ids: &[&str],
) -> Vec<String> {
    const ASKED: [&str; 5] = ["ledger", "service", "task definition", "revisions", "images"];
    let mut facts = Facts::default();
    for number in 0..questions::ROUNDS {
        for question in questions::round(number, declared, &facts) {
            if !ASKED.contains(&&*question.fact) {
                continue;
            }
            let arguments: Vec<&str> = question.arguments.iter().map(String::as_str).collect();
            let answer = match cloud.json(&arguments) {
                Err(failure) if failure.is_absence() => Value::Null,
                answer => answer.unwrap(),
            };
            facts.insert(question.fact, Ok(answer));
        }
    }
    let view = View {
        declared,
        facts: &facts,
        digest,
        now: NOW,
    };
    let report = Report::make(GROUPS, Depth::Full, &[], &view);
    let lines = report.lines().filter(|line| ids.contains(&line.id));
    lines.map(|line| format!("{} {}", line.id, line.word())).collect()
}

/// The ids of the lines that have `word`.
fn ids(report: &Report, word: &str) -> Vec<&'static str> {
    report
        .lines()
        .filter(|line| line.word() == word)
        .map(|line| line.id)
        .collect()
}

#[test]
fn a_healthy_environment_passes_everything() {
    let report = report(&healthy());
    assert_eq!(
        report.count("fail") + report.count("unknown"),
        0,
        "{}",
        report.tree(&account())
    );
}

#[test]
fn ids_are_unique_and_begin_with_the_letter_of_their_group() {
    let mut seen = BTreeSet::new();
    for group in GROUPS {
        for row in group.rows {
            assert!(row.id.starts_with(group.letter), "{}", row.id);
            assert!(seen.insert(row.id), "{}", row.id);
        }
    }
}

#[test]
fn what_is_not_known_fails_nothing() {
    // The names of tasks lead to the tasks, and are looked at by nobody else.
    let names: Vec<String> = healthy()
        .names()
        .filter(|name| *name != "task names")
        .map(str::to_owned)
        .collect();
    for name in names {
        let mut facts = healthy();
        facts.insert(&*name, Err(not_asked()));
        let report = report(&facts);
        assert_eq!(ids(&report, "fail"), [""; 0], "without `{name}`");
        assert!(report.count("unknown") > 0, "nothing looks at `{name}`");
    }
}

#[test]
fn of_another_account_nothing_else_is_asked_or_said() {
    let declared = declared();
    let mut facts = healthy();
    assert!(!facts.are_of_another_account(&declared));
    *facts
        .value_mut("identity")
        .unwrap()
        .pointer_mut("/Account")
        .unwrap() = "999999999999".into();
    assert!(facts.are_of_another_account(&declared));
    let view = View {
        declared: &declared,
        facts: &facts,
        digest: None,
        now: NOW,
    };
    let report = Report::of_account(&view);
    assert_eq!(ids(&report, "fail"), ["A1"]);
    assert_eq!(report.lines().count(), 1);
    let everybody = Declared {
        account: Account {
            id: None,
            ..declared.account.clone()
        },
        ..declared
    };
    assert!(
        !facts.are_of_another_account(&everybody),
        "of whatever account the credentials are"
    );
}

#[test]
fn a_service_that_was_not_deployed_for_so_long_that_ecs_forgot_passes() {
    let declared = declared();
    let recorded = healthy();
    let passed = |since: &str| {
        let mut facts = Facts::default();
        for number in 0..questions::ROUNDS {
            for question in questions::round(number, &declared, &facts) {
                let mut answer = recorded.get(&question.fact).cloned();
                match (&*question.fact, &mut answer) {
                    ("deployments", answer) => *answer = Ok(json!({ "serviceDeployments": [] })),
                    ("service", Ok(answer)) => {
                        answer["services"][0]["deployments"][0]["createdAt"] = since.into();
                    }
                    _ => {}
                }
                facts.insert(question.fact, answer);
            }
        }
        let passed = ids(&report(&facts), "pass").into_iter();
        passed.filter(|id| id.starts_with('C')).collect::<Vec<_>>()
    };
    assert_eq!(passed("2026-01-01T00:00:00Z"), ["C1", "C2", "C3", "C4"]);
    assert_eq!(passed("2026-11-20T00:00:00Z"), ["C4"], "it should be known");
}

#[test]
fn drift_that_could_not_be_looked_at_is_unknown_unless_other_drift_was_found() {
    let mut facts = healthy();
    let drifts = facts.value_mut("drift/service").unwrap();
    drifts["NotSeen"] = "may not sns:GetTopicAttributes".into();
    assert_eq!(ids(&report(&facts), "unknown"), ["A5"]);
    assert!(
        said(&report(&facts), "A5")
            .0
            .contains("may not sns:GetTopicAttributes")
    );
    let drifts = facts.value_mut("drift/service").unwrap();
    *drifts
        .pointer_mut("/StackResourceDrifts/0/StackResourceDriftStatus")
        .unwrap() = "MODIFIED".into();
    assert_eq!(ids(&report(&facts), "fail"), ["A5"]);
}

#[test]
fn a_revision_that_cloudformation_registered_for_itself_may_be_the_newest() {
    let mut facts = healthy();
    let of_stack = facts.output(&declared(), "task_definition_arn").unwrap();
    let known = facts.value_mut("revisions").unwrap();
    known["taskDefinitionArns"]
        .as_array_mut()
        .unwrap()
        .insert(0, of_stack.into());
    assert_eq!(ids(&report(&facts), "fail"), [""; 0]);
}

#[test]
fn an_image_that_has_nothing_to_scan_passes() {
    for status in [
        json!({ "status": "UNSUPPORTED_IMAGE" }),
        json!({ "status": "FAILED", "description": "UnsupportedImageError: The operating system is not supported." }),
    ] {
        let mut facts = healthy();
        facts.insert("scan", Ok(json!({ "imageScanStatus": status })));
        let report = report(&facts);
        assert_eq!(ids(&report, "fail"), [""; 0]);
        assert_eq!(said(&report, "F5").0, "no packages that ECR can scan");
    }
}

#[test]
fn an_account_without_anything_fails_and_never_passes_by_accident() {
    let declared = declared();
    let mut facts = Facts::default();
    for question in questions::round(0, &declared, &facts) {
        facts.insert(question.fact, Ok(Value::Null));
    }
    let report = report(&facts);
    let passed = ids(&report, "pass");
    // Nothing stopped, nothing is under way and nothing rings, which is true of nothing at all.
    assert_eq!(passed, ["C4", "D5", "D6", "K5"]);
    for id in ["A2", "B1", "H1", "G1", "M1"] {
        assert!(ids(&report, "fail").contains(&id), "{id}");
    }
}

#[test]
fn tasks_that_failed_before_their_revision_was_replaced_are_not_held_against_the_next_one() {
    let mut facts = healthy();
    let mut set = |name: &str, value: &str| {
        let tasks = facts.value_mut("stopped tasks").unwrap();
        *tasks.pointer_mut(&format!("/tasks/0/{name}")).unwrap() = value.into();
        ids(&report(&facts), "fail")
    };
    assert_eq!(set("stopCode", "EssentialContainerExited"), ["D5"]);
    let before = "arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:6";
    assert!(set("taskDefinitionArn", before).is_empty());
}

#[test]
fn an_alarm_that_rang_before_a_release_began_is_not_held_against_it() {
    let mut facts = healthy();
    let declared = declared();
    let mut failed = |digest: Option<&str>, since: &str| {
        let alarm = facts
            .value_mut("alarms")
            .unwrap()
            .pointer_mut("/MetricAlarms/0")
            .unwrap();
        alarm["StateValue"] = "ALARM".into();
        alarm["StateTransitionedTimestamp"] = since.into();
        let view = View {
            declared: &declared,
            facts: &facts,
            digest,
            now: NOW,
        };
        ids(&Report::make(GROUPS, Depth::Full, &[], &view), "fail")
    };
    let digest = healthy().text("released", "/Parameter/Value").unwrap();
    let (before, after) = ("2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z");
    assert_eq!(failed(None, before), ["K5"]);
    assert_eq!(failed(Some(&digest), after), ["K5"]);
    assert!(failed(Some(&digest), before).is_empty());
}

#[test]
fn the_report_says_what_is_wrong_and_how_to_repair_it() {
    let mut facts = healthy();
    *facts
        .value_mut("load balancer attributes")
        .unwrap()
        .pointer_mut("/Attributes/0/Value")
        .unwrap() = "60".into();
    facts.insert(
        "rules",
        Err(Unknown {
            reason: "rate <exceeded>".to_owned(),
            hint: "again".to_owned(),
        }),
    );
    let report = report(&facts);
    let tree = report.tree(&account());
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/mcp-gateway-staging/50dc6c495c0c9188";
    let fix = format!(
        "aws --region us-east-1 elbv2 modify-load-balancer-attributes --load-balancer-arn {arn} \
         --attributes Key=idle_timeout.timeout_seconds,Value=300"
    );
    let failure = format!(
        "   fail    H2   idle timeout\n                expected  300\n                actual    60\n                \
         fix       {fix}\n"
    );
    assert!(tree.contains(&failure), "{tree}");
    assert!(
        tree.contains("   unknown I5   which hosts are served\n                reason    rate <exceeded>\n")
    );
    assert!(tree.contains("   pass    H3 "));

    let json = report.json(&account());
    assert_eq!(json["fail"], 1);
    let assertions = json["assertions"].as_array().unwrap();
    let idle = assertions.iter().find(|entry| entry["id"] == "H2").unwrap();
    assert_eq!(
        (&idle["verdict"], &idle["expected"], &idle["actual"]),
        (&"fail".into(), &"300".into(), &"60".into())
    );
    assert_eq!(idle["fix"], fix);

    let xml = report.junit(&account());
    assert!(xml.contains("tests=\"9\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(
        xml.contains("name=\"I5 which hosts are served\"><error>"),
        "{xml}"
    );
    assert!(xml.contains("rate &lt;exceeded&gt;"), "{xml}");
}

#[test]
fn a_quick_run_leaves_out_what_takes_patience_unless_it_is_asked_for() {
    let facts = healthy();
    let view = View {
        declared: &declared(),
        facts: &facts,
        digest: None,
        now: NOW,
    };
    let all = |depth, also: &[&str]| ids(&Report::make(GROUPS, depth, also, &view), "pass").len();
    assert_eq!(all(Depth::Quick, &[]) + 3, all(Depth::Gate, &[]));
    assert_eq!(all(Depth::Gate, &[]) + 3, all(Depth::Full, &[]));
    assert_eq!(all(Depth::Gate, &["A5"]) + 2, all(Depth::Full, &[]));
}

#[test]
fn what_an_emulator_has_not_is_left_out_and_nothing_else() {
    let mut left = report(&healthy());
    let before = left.lines().count();
    for (id, _) in super::emulated::LEFT_OUT {
        assert!(left.leave_out(id), "there is no assertion `{id}`");
        assert!(!left.leave_out(id), "`{id}` is listed twice");
    }
    assert_eq!(left.lines().count(), before - super::emulated::LEFT_OUT.len());
}

#[test]
fn a_declaration_without_its_templates_says_nothing_about_what_is_deployed() {
    let directory = tempfile::tempdir().unwrap();
    let assembly = Assembly {
        directory: directory.path().to_owned(),
        declared: declared(),
    };
    let mut facts = healthy();
    add_templates(&assembly, &mut facts);
    assert_eq!(ids(&report(&facts), "unknown"), ["A6"]);
    assert!(said(&report(&facts), "A6").1.contains("leave `--declared` out"));

    let mut artifacts = serde_json::Map::new();
    for stack in &assembly.declared.account.stacks {
        let file = format!("{}.template.json", stack.kind);
        let template = healthy().get(&synthesised_fact(&stack.kind)).unwrap().to_string();
        fs::write(directory.path().join(&file), template).unwrap();
        let properties = json!({ "stackName": stack.name, "templateFile": file });
        artifacts.insert(stack.name.clone(), json!({ "properties": properties }));
    }
    let manifest = json!({ "artifacts": artifacts }).to_string();
    fs::write(directory.path().join("manifest.json"), manifest).unwrap();
    add_templates(&assembly, &mut facts);
    assert_eq!(ids(&report(&facts), "unknown"), [""; 0]);
    assert!(ids(&report(&facts), "pass").contains(&"A6"));
}

#[test]
fn what_says_nothing_about_a_release_on_its_way_is_neither_asked_nor_held_against_it() {
    let (declared, facts) = (declared(), healthy());
    let mut left = report(&facts);
    for id in BESIDE_A_RELEASE {
        assert!(left.leave_out(id), "there is no assertion `{id}`");
    }
    let mut asked = healthy();
    for number in 0..questions::ROUNDS {
        for question in questions::round(number, &declared, &facts) {
            if question.is_beside_a_release() {
                asked.insert(question.fact, Err(not_asked()));
            }
        }
    }
    let mut unknown = report(&asked);
    assert_eq!(ids(&unknown, "unknown"), ["A6", "F2"]);
    for id in BESIDE_A_RELEASE {
        unknown.leave_out(id);
    }
    assert_eq!(unknown.count("unknown"), 0);
}

#[test]
fn a_declaration_of_another_version_is_refused() {
    let json = include_str!("tests/declared.json").replacen("\"version\": 1", "\"version\": 2", 1);
    let error = Declared::parse(&json).unwrap_err();
    assert!(error.to_string().contains("`2`"), "{error}");
}

#[test]
fn options_say_what_is_wrong_with_them() {
    let resolve: Resolve = "mcp.example.com:443:[2001:db8::7]".parse().unwrap();
    assert_eq!(
        (&*resolve.host, &*resolve.address),
        ("mcp.example.com", "2001:db8::7")
    );
    for wrong in [
        "mcp.example.com",
        "mcp.example.com:443",
        ":443:192.0.2.7",
        "a:b:192.0.2.7",
        "a:443:b",
    ] {
        assert!(wrong.parse::<Resolve>().unwrap_err().contains(wrong));
    }
    assert_eq!(letters("hij").unwrap(), "HIJ");
    assert!(letters("HX").unwrap_err().contains("`X`"));
}

/// The whole of what is said about `id`.
fn said(report: &Report, id: &str) -> (String, String) {
    let line = report.lines().find(|line| line.id == id).unwrap();
    match &line.verdict {
        Verdict::Known(finding) => {
            let fix = match &finding.fix {
                super::row::Fix::Aws(text) | super::row::Fix::Do(text) => text.clone(),
            };
            (finding.actual.clone(), fix)
        }
        Verdict::Unknown(unknown) => (unknown.reason.clone(), unknown.hint.clone()),
    }
}
