//! Asks an account and a live place, several questions at a time.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::declared::Declared;
use super::facts::{Facts, Unknown, text};
use super::questions::{self, Question};
use super::row::Depth;
use crate::aws::{Aws, Failure};
use crate::interrupt::Interrupt;
use crate::process;
use crate::ui;

/// How many calls of `aws` run at the same time.
const AT_ONCE: usize = 8;
/// How long CloudFormation may look for drift, and how often to ask whether it has.
const DRIFT_LIMIT: u32 = 300;
const DRIFT_POLL: Duration = Duration::from_secs(2);
/// How long a stream is watched after a deploy.
const GATE_STREAM_SECONDS: u64 = 90;
/// How much shorter than the longest call the one is that is made: its answer takes its time, too.
const CALL_MARGIN_SECONDS: u64 = 20;

/// Asks everything that the rows of group A to K and M look at; `digest` stands for what the account says is released.
/// Of another account than the declared one it soon asks nothing more.
pub(crate) fn account(
    aws: &Aws,
    declared: &Declared,
    digest: Option<&str>,
    interrupt: &Interrupt,
) -> anyhow::Result<Facts> {
    let mut facts = Facts::default();
    for number in 0..questions::ROUNDS {
        let mut questions = questions::round(number, declared, &facts);
        questions.retain(|question| digest.is_none() || !question.is_beside_a_release());
        for (fact, answer) in ask_all(aws, questions, interrupt) {
            facts.insert(fact, answer);
        }
        if let Some(digest) = digest {
            facts.insert("released", Ok(json!({ "Parameter": { "Value": digest } })));
        }
        interrupt.check()?;
        if facts.are_of_another_account(declared) {
            break;
        }
    }
    Ok(facts)
}

/// Asks only what the rows of group L look at: the addresses of what is deployed.
pub(crate) fn outputs(aws: &Aws, declared: &Declared, interrupt: &Interrupt) -> Facts {
    let mut facts = Facts::default();
    let mut questions = questions::round(0, declared, &facts);
    questions.retain(|question| question.fact.starts_with("stack/"));
    for (fact, answer) in ask_all(aws, questions, interrupt) {
        facts.insert(fact, answer);
    }
    facts
}

/// Lets CloudFormation look for drift in every stack, and adds what it found.
pub(crate) fn drift(
    aws: &Aws,
    declared: &Declared,
    facts: &mut Facts,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    for stack in &declared.account.stacks {
        let answer = drift_of(aws, &stack.name, interrupt)?;
        facts.insert(format!("drift/{}", stack.kind), answer);
    }
    Ok(())
}

fn drift_of(aws: &Aws, stack: &str, interrupt: &Interrupt) -> anyhow::Result<Result<Value, Unknown>> {
    let started = aws.json(&["cloudformation", "detect-stack-drift", "--stack-name", stack]);
    let id = match started {
        Ok(answer) => text(&answer, "/StackDriftDetectionId"),
        Err(failure) => return Ok(Err(unknown(&failure))),
    };
    for _ in 0..DRIFT_LIMIT {
        interrupt.check()?;
        let question = [
            "describe-stack-drift-detection-status",
            "--stack-drift-detection-id",
            &id,
        ];
        match aws.json(&[&["cloudformation"][..], &question].concat()) {
            Err(failure) => return Ok(Err(unknown(&failure))),
            Ok(answer) => match &*text(&answer, "/DetectionStatus") {
                "DETECTION_IN_PROGRESS" => std::thread::sleep(DRIFT_POLL),
                // Of a stack in which it could not look at everything, it knows about the rest.
                status @ ("DETECTION_COMPLETE" | "DETECTION_FAILED") => {
                    let question = [
                        "cloudformation",
                        "describe-stack-resource-drifts",
                        "--stack-resource-drift-status-filters",
                        "MODIFIED",
                        "DELETED",
                        "--stack-name",
                        stack,
                    ];
                    let mut drifts = aws.json(&question).map_err(|failure| unknown(&failure));
                    if let (Ok(drifts), "DETECTION_FAILED") = (&mut drifts, status) {
                        drifts["NotSeen"] =
                            format!("{status} {}", text(&answer, "/DetectionStatusReason")).into();
                    }
                    return Ok(drifts);
                }
                _ => break,
            },
        }
    }
    Ok(Err(Unknown {
        reason: format!("CloudFormation did not finish looking for drift in `{stack}`"),
        hint: "run it again; a resource that does not support it is named by `describe-stack-drift-detection-status`"
            .to_owned(),
    }))
}

/// What to look at from outside.
#[derive(Debug)]
pub(crate) struct Outside<'a> {
    /// The program `probe.mjs`.
    pub(crate) program: &'a Path,
    /// Instead of what DNS says.
    pub(crate) address: Option<&'a str>,
    /// A further authority that clients trust.
    pub(crate) authority: Option<&'a Path>,
    /// A bearer token; without one, what needs one is unknown.
    pub(crate) token: Option<&'a str>,
    /// How long the probe may take.
    pub(crate) depth: Depth,
    /// Whether the command is printed.
    pub(crate) verbose: bool,
}

/// The probes that need a token.
const AUTHORIZED: [&str; 7] = [
    "modern tools",
    "discover",
    "legacy tools",
    "session ids",
    "stream",
    "stream 2",
    "call",
];

/// Asks everything that the rows of group L look at.
pub(crate) fn live(outside: &Outside<'_>, declared: &Declared, facts: &mut Facts) {
    let live = &declared.live;
    let (stream, idle) = match outside.depth {
        Depth::Quick => (0, Vec::new()),
        // The shortest pause shows the usual mistakes, and is over before the stream is.
        Depth::Gate => (
            GATE_STREAM_SECONDS,
            live.connection_idle_seconds.iter().take(2).copied().collect(),
        ),
        Depth::Full => (live.stream_open_seconds_min, live.connection_idle_seconds.clone()),
    };
    let call = match outside.depth {
        Depth::Full => live.call_seconds_max.saturating_sub(CALL_MARGIN_SECONDS).max(1),
        Depth::Quick | Depth::Gate => 0,
    };
    let wanted = json!({
        "url": live.url,
        "path": live.mcp_paths.first(),
        "health": live.health_path,
        "httpPort": declared.listener.http_port,
        "address": outside.address,
        "ca": outside.authority,
        "balancer": facts.output(declared, "load_balancer_dns_name"),
        "streamSeconds": stream,
        "callSeconds": call,
        "idleSeconds": idle,
    });
    match probe(outside, &wanted) {
        Ok(seen) => {
            for (name, fact) in seen.as_object().into_iter().flatten() {
                facts.insert(format!("live/{name}"), learnt(name, fact));
            }
        }
        Err(unknown) => {
            let names = [
                "address",
                "tls",
                "redirect",
                "headers",
                "commits",
                "challenge",
                "metadata",
                "origin",
                "preflight",
                "idle",
            ];
            for name in names.iter().chain(&AUTHORIZED) {
                facts.insert(format!("live/{name}"), Err(unknown.clone()));
            }
        }
    }
    if outside.token.is_none() {
        for name in AUTHORIZED {
            facts.insert(
                format!("live/{name}"),
                Err(Unknown {
                    reason: "there is no access token to ask with".to_owned(),
                    hint:
                        "name a file that has one by `--token-file`: that of any MCP client that is logged in"
                            .to_owned(),
                }),
            );
        }
    }
}

fn probe(outside: &Outside<'_>, wanted: &Value) -> Result<Value, Unknown> {
    let mut command = Command::new("node");
    command
        .arg(outside.program)
        .arg(wanted.to_string())
        .stdin(Stdio::null());
    if outside.verbose {
        ui::say(format_args!("$ {}", process::shown(&command)));
    }
    // Not an argument: those are for all users of the machine to see.
    command
        .env_remove("VERIFY_TOKEN")
        .envs(outside.token.map(|token| ("VERIFY_TOKEN", token)));
    let broke = |reason: String| Unknown {
        reason,
        hint: "install Node 20 or newer; `-v` shows the command".to_owned(),
    };
    let output = command
        .output()
        .map_err(|error| broke(format!("`node` does not start: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(broke(format!(
            "the probe broke: {}",
            said.lines().last().unwrap_or_default()
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| broke(format!("the probe's answer is not JSON: {error}")))
}

/// A port that nobody answers at is what L2 and L3 are about; for all others it says nothing. What was answered
/// wrongly is an answer.
fn learnt(name: &str, fact: &Value) -> Result<Value, Unknown> {
    let error = text(fact, "/error");
    if error.is_empty() {
        return Ok(fact.get("value").cloned().unwrap_or_default());
    }
    match name {
        "tls" => Ok(json!({ "trusted": error })),
        "redirect" => Ok(json!({ "status": error })),
        _ if fact.get("code").is_none() => Ok(json!({ "error": error })),
        _ => Err(Unknown {
            reason: error,
            hint: "see L2".to_owned(),
        }),
    }
}

type Answer = (String, Result<Value, Unknown>);

fn ask_all(aws: &Aws, questions: Vec<Question>, interrupt: &Interrupt) -> Vec<Answer> {
    let waiting = Mutex::new(VecDeque::from(questions));
    let answers = Mutex::new(Vec::new());
    let next = || waiting.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(question) = next().filter(|_| !interrupt.is_raised()) {
                    let answer = answer(aws, &question);
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((question.fact, answer));
                    }
                }
            });
        }
    });
    answers.into_inner().unwrap_or_default()
}

fn answer(aws: &Aws, question: &Question) -> Result<Value, Unknown> {
    match aws.json(&question.arguments) {
        Ok(answer) => Ok(answer),
        Err(failure) if failure.is_absence() => Ok(Value::Null),
        Err(failure) => Err(unknown(&failure)),
    }
}

fn unknown(failure: &Failure) -> Unknown {
    Unknown {
        reason: failure.to_string(),
        hint: failure.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_fails_where_it_is_asked_for_and_is_unknown_elsewhere() {
        let refused = json!({ "error": "ECONNREFUSED: refused", "code": "ECONNREFUSED" });
        assert_eq!(
            learnt("tls", &refused).unwrap()["trusted"],
            "ECONNREFUSED: refused"
        );
        assert_eq!(
            learnt("redirect", &refused).unwrap()["status"],
            "ECONNREFUSED: refused"
        );
        assert_eq!(learnt("challenge", &refused).unwrap_err().hint, "see L2");
        let wrong = json!({ "error": "status 500: oh" });
        assert_eq!(learnt("legacy tools", &wrong).unwrap()["error"], "status 500: oh");
        assert_eq!(learnt("discover", &json!({ "value": 1 })).unwrap(), 1);
        assert_eq!(learnt("address", &json!({})).unwrap(), Value::Null);
    }
}
