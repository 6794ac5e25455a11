//! An account in memory that answers as AWS does, with the shapes of botocore's API model.
//!
//! No emulator has a breaker that fails to go back, a deployment that is stopped where it is, or an archived image; this
//! has, on request. It can stop answering after any call, which is what a kill between two calls looks like from the
//! account.

mod stores;
mod tasks;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::aws::Failure;
use crate::interrupt::Interrupt;
use crate::release::account::Cloud;
pub(super) use tasks::{Line, task};

/// How deployments end that are not told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Successful,
    BreakerOpens,
    RollbackFails,
    StoppedByHand,
    NeverEnds,
}

/// What a call comes to that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// Somebody presses Ctrl-C, which ends the `aws` that runs as well.
    CtrlC,
    Throttled,
}

#[derive(Clone, Debug)]
struct Deployment {
    arn: String,
    revision: String,
    source: String,
    status: &'static str,
    fate: Fate,
    looks: u32,
}

/// Everything that the account knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) parameters: BTreeMap<String, String>,
    /// Registered input, tags and status by number.
    pub(super) revisions: BTreeMap<u32, (Value, Value, &'static str)>,
    pub(super) service: Option<String>,
    /// Tasks that should run, and do.
    pub(super) desired: usize,
    pub(super) running: usize,
    /// Looks at the service until the last of them runs.
    pub(super) starting: Cell<u32>,
    /// What the service says, the newest first.
    pub(super) events: Vec<String>,
    /// States of the targets, when there is a target group.
    pub(super) targets: Option<Vec<&'static str>>,
    /// Lines of the log group, when there is one.
    pub(super) logs: Option<Vec<Line>>,
    log_looks: u32,
    deployments: Vec<Deployment>,
    /// Status by digest; one that is missing is gone.
    pub(super) images: BTreeMap<String, &'static str>,
    /// `fine`, `empty` or `deleted` by name.
    pub(super) secrets: BTreeMap<String, &'static str>,
    /// What each stack is, and becomes by and by: the next status after each look, the last for good.
    pub(super) stacks: BTreeMap<String, VecDeque<&'static str>>,
    /// Templates by stack.
    pub(super) templates: BTreeMap<String, Value>,
    /// Alarms that ring, and the second since when.
    pub(super) ringing: Vec<(&'static str, u64)>,
    /// Tasks of a revision that died.
    pub(super) dead: Vec<(u32, &'static str, i64)>,
    pub(super) fates: BTreeMap<String, Fate>,
    pub(super) denied: bool,
    /// Roles that are gone; none when nobody may ask.
    pub(super) gone_roles: Option<Vec<&'static str>>,
    pub(super) tags: Vec<String>,
    /// Changes of the service, in order.
    pub(super) moves: Vec<String>,
}

/// The account.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) state: RefCell<State>,
    /// Calls that are still answered, if they are counted.
    pub(super) left: Cell<Option<u32>>,
    pub(super) calls: Cell<u32>,
    /// By the number of the call.
    pub(super) instead: RefCell<BTreeMap<u32, Instead>>,
    /// Raised by a `CtrlC`.
    pub(super) interrupt: Interrupt,
}

const ACCOUNT: &str = "123456789012";
const FAMILY: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging";

/// The ARN of a revision.
pub(super) fn revision(number: u32) -> String {
    format!("{FAMILY}:{number}")
}

/// The digest of an image whose name is a letter.
pub(super) fn digest(letter: char) -> String {
    format!("sha256:{}", String::from(letter).repeat(64))
}

/// The image with that digest.
pub(super) fn image(letter: char) -> String {
    let registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    format!("{registry}/mcp-gateway-staging@{}", digest(letter))
}

/// What the service stack publishes.
pub(super) fn shape() -> String {
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mcp-gateway-staging/session-secret";
    json!({
        "family": "mcp-gateway-staging",
        "cpu": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/mcp-gateway-staging-execution",
        "containerDefinitions": [{ "name": "gateway", "image": image('0'),
            "secrets": [{ "name": "SESSION_SECRET", "valueFrom": secret }] }],
    })
    .to_string()
}

impl Model {
    /// An account in which CloudFormation has made everything, and nothing was released by us yet.
    pub(super) fn new() -> Self {
        let stacks = ["registry", "data", "service", "observability", "pipeline"];
        let stacks = stacks.map(|kind| {
            (
                format!("mcp-gateway-staging-{kind}"),
                VecDeque::from(["CREATE_COMPLETE"]),
            )
        });
        let secrets = ["google-oauth", "session-secret"];
        let made: Value = serde_json::from_str(&shape()).unwrap();
        Self {
            state: RefCell::new(State {
                parameters: BTreeMap::from([("/mcp-gateway/staging/image-digest".to_owned(), digest('0'))]),
                revisions: BTreeMap::from([(1, (made, json!([]), "ACTIVE"))]),
                service: Some(revision(1)),
                desired: 2,
                running: 2,
                starting: Cell::new(0),
                events: Vec::new(),
                targets: Some(vec!["healthy", "healthy"]),
                logs: Some(Vec::new()),
                log_looks: 0,
                deployments: Vec::new(),
                images: "0abcdef"
                    .chars()
                    .map(|letter| (digest(letter), "ACTIVE"))
                    .collect(),
                secrets: secrets
                    .map(|name| (format!("mcp-gateway-staging/{name}"), "fine"))
                    .into(),
                stacks: stacks.into(),
                templates: BTreeMap::new(),
                ringing: Vec::new(),
                dead: Vec::new(),
                fates: BTreeMap::new(),
                denied: false,
                gone_roles: Some(Vec::new()),
                tags: Vec::new(),
                moves: Vec::new(),
            }),
            left: Cell::new(None),
            calls: Cell::new(0),
            instead: RefCell::default(),
            interrupt: Interrupt::default(),
        }
    }

    /// The stack of a kind is, and becomes by and by, what is said.
    pub(super) fn stack(&self, kind: &str, statuses: &[&'static str]) {
        let name = format!("mcp-gateway-staging-{kind}");
        let statuses = statuses.iter().copied().collect();
        self.state.borrow_mut().stacks.insert(name, statuses);
    }

    /// Something happens at each of some calls, counted from now.
    pub(super) fn happens(&self, what: Instead, calls: std::ops::Range<u32>) {
        let now = self.calls.get();
        let calls = calls.map(|call| (now + call, what));
        self.instead.borrow_mut().extend(calls);
    }

    /// Number of the revision that the service is meant to run.
    pub(super) fn runs(&self) -> u32 {
        number(self.state.borrow().service.as_deref().unwrap())
    }

    /// The image that the service is meant to run.
    pub(super) fn runs_image(&self) -> String {
        let state = self.state.borrow();
        let (input, ..) = &state.revisions[&number(state.service.as_deref().unwrap())];
        input["containerDefinitions"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The newest active revision.
    pub(super) fn newest(&self) -> u32 {
        let state = self.state.borrow();
        let mut active = state
            .revisions
            .iter()
            .filter(|(_, (.., status))| *status == "ACTIVE");
        *active.next_back().unwrap().0
    }

    /// What it answers, without counting.
    pub(super) fn answer(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let mut state = self.state.borrow_mut();
        let option = |name: &str| {
            let at = arguments.iter().position(|argument| *argument == name)?;
            arguments.get(at + 1).copied()
        };
        let of = |name: &str| option(name).unwrap_or_else(|| panic!("no `{name}` in {arguments:?}"));
        match (arguments[0], arguments[1]) {
            ("sts", _) => Ok(json!({ "Account": ACCOUNT })),
            ("ssm", _) => state.parameter(arguments, &of),
            ("cloudformation", "describe-stacks") => state.stacks(option("--stack-name")),
            ("cloudformation", "get-template") => match state.templates.get(of("--stack-name")) {
                Some(template) => Ok(json!({ "TemplateBody": template })),
                None => Err(failure("ValidationError", "Stack does not exist")),
            },
            ("ecs", verb) => state.ecs(verb, arguments, &of),
            ("ecr", "describe-images") => {
                let digests = arguments
                    .iter()
                    .filter_map(|argument| argument.strip_prefix("imageDigest="));
                let images = digests.map(|digest| {
                    let status = state.images.get(digest)?;
                    Some(json!({ "imageDigest": digest, "imageStatus": status }))
                });
                let images: Option<Vec<Value>> = images.collect();
                let images = images.ok_or_else(|| failure("ImageNotFoundException", "no such image"))?;
                Ok(json!({ "imageDetails": images }))
            }
            ("ecr", "batch-get-image") => Ok(json!({ "images": [{ "imageManifest": "{}" }] })),
            ("ecr", "put-image") => {
                state.tags.push(of("--image-tag").to_owned());
                Ok(json!({}))
            }
            ("secretsmanager", "describe-secret") => state.secret(of("--secret-id")),
            ("iam", "get-role") => state.role(of("--role-name")),
            ("iam", "simulate-principal-policy") => {
                let decision = if state.denied { "implicitDeny" } else { "allowed" };
                let result = json!({ "EvalDecision": decision, "EvalResourceName": "the secret" });
                Ok(json!({ "EvaluationResults": [result] }))
            }
            ("cloudwatch", "describe-alarms") => {
                let alarms: Vec<Value> = state
                    .ringing
                    .iter()
                    .map(|(name, since)| json!({ "AlarmName": name, "StateTransitionedTimestamp": since }))
                    .collect();
                Ok(json!({ "MetricAlarms": alarms }))
            }
            ("elbv2", "describe-target-health") => state.target_health(),
            ("logs", "get-log-events") => state.log_stream(of("--log-stream-name"), of("--limit")),
            ("logs", "filter-log-events") => {
                let prefix = option("--log-stream-name-prefix").unwrap_or_default();
                state.log_group(prefix, of("--start-time"), of("--end-time"))
            }
            _ => panic!("the model does not know {arguments:?}"),
        }
    }
}

impl Cloud for Model {
    fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        match self.instead.borrow().get(&call) {
            Some(Instead::CtrlC) => {
                self.interrupt.raise();
                return Err(Failure {
                    code: None,
                    ..failure("", "no word about it")
                });
            }
            Some(Instead::Throttled) => return Err(failure("ThrottlingException", "rate exceeded")),
            None => {}
        }
        if let Some(left) = self.left.get() {
            if left == 0 {
                return Err(failure("Killed", "nobody is there to ask any more"));
            }
            self.left.set(Some(left - 1));
        }
        self.answer(arguments)
    }

    fn typed(&self, command: &str) -> String {
        format!("aws {command}")
    }
}

impl State {
    fn ecs<'a>(
        &mut self,
        verb: &str,
        arguments: &[&str],
        of: &dyn Fn(&str) -> &'a str,
    ) -> Result<Value, Failure> {
        match verb {
            "describe-services" => Ok(self.services()),
            "list-service-deployments" | "list-tasks" if self.service.is_none() => {
                Err(failure("ServiceNotFoundException", "Service not found."))
            }
            "list-service-deployments" => {
                let brief = |one: &Deployment| {
                    json!({ "serviceDeploymentArn": one.arn, "status": one.status,
                        "targetServiceRevisionArn": format!("service-revision-of/{}", one.revision) })
                };
                let all: Vec<Value> = self.deployments.iter().rev().map(brief).collect();
                Ok(json!({ "serviceDeployments": all }))
            }
            "describe-service-revisions" => {
                let arns = arguments
                    .iter()
                    .filter(|argument| argument.starts_with("service-revision-of/"));
                let found = arns.map(|arn| {
                    json!({ "serviceRevisionArn": arn,
                        "taskDefinition": arn.trim_start_matches("service-revision-of/") })
                });
                Ok(json!({ "serviceRevisions": found.collect::<Vec<_>>() }))
            }
            "describe-service-deployments" => Ok(self.look(of("--service-deployment-arns"))),
            "stop-service-deployment" => {
                let arn = of("--service-deployment-arn");
                let open = self
                    .deployments
                    .iter_mut()
                    .find(|one| one.arn == arn && is_open(one.status));
                let Some(open) = open else {
                    return Err(failure("ConflictException", "it has ended"));
                };
                open.status = "ROLLBACK_REQUESTED";
                open.fate = Fate::BreakerOpens;
                open.looks = 0;
                Ok(json!({ "serviceDeploymentArn": arn }))
            }
            "update-service" => Ok(self.move_service(of("--task-definition"))),
            _ => self.ecs_tasks(verb, arguments, of),
        }
    }

    fn ecs_tasks<'a>(
        &mut self,
        verb: &str,
        arguments: &[&str],
        of: &dyn Fn(&str) -> &'a str,
    ) -> Result<Value, Failure> {
        match verb {
            "register-task-definition" => {
                let mut input: Value = serde_json::from_str(of("--cli-input-json")).unwrap();
                let tags = input.as_object_mut().unwrap().remove("tags").unwrap();
                let next = self.revisions.keys().next_back().unwrap() + 1;
                self.revisions.insert(next, (input, tags, "ACTIVE"));
                Ok(json!({ "taskDefinition": { "taskDefinitionArn": revision(next) } }))
            }
            "deregister-task-definition" => {
                let known = self.revisions.get_mut(&number(of("--task-definition"))).unwrap();
                known.2 = "INACTIVE";
                Ok(json!({}))
            }
            "list-task-definitions" => {
                let newest_first = self.revisions.iter().rev();
                let active = newest_first.filter(|(_, (.., status))| *status == "ACTIVE");
                let active: Vec<String> = active.map(|(number, _)| revision(*number)).collect();
                Ok(json!({ "taskDefinitionArns": active }))
            }
            "describe-task-definition" => {
                let number = number(of("--task-definition"));
                let Some((input, tags, status)) = self.revisions.get(&number) else {
                    return Err(failure("ClientException", "Unable to describe task definition."));
                };
                let mut answer = input.clone();
                answer["taskDefinitionArn"] = json!(revision(number));
                answer["status"] = json!(status);
                answer["revision"] = json!(number);
                Ok(json!({ "taskDefinition": answer, "tags": tags }))
            }
            "list-tasks" => Ok(self.list_tasks(of("--desired-status"))),
            "describe-tasks" => Ok(self.describe_tasks(arguments)),
            other => panic!("ecs {other}"),
        }
    }

    fn move_service(&mut self, to: &str) -> Value {
        let status = self.revisions[&number(to)].2;
        assert_eq!(status, "ACTIVE", "no service can be moved to {to}");
        let from = self.service.clone().unwrap();
        if from != to {
            for open in self.deployments.iter_mut().filter(|one| is_open(one.status)) {
                open.status = "STOPPED";
            }
            let image = self.revisions[&number(to)].0["containerDefinitions"][0]["image"].clone();
            let fate = self
                .fates
                .get(image.as_str().unwrap())
                .copied()
                .unwrap_or(Fate::Successful);
            let arn = format!("service-deployment/{}", self.deployments.len() + 1);
            let revision = to.to_owned();
            let status = "PENDING";
            self.deployments.push(Deployment {
                arn,
                revision,
                source: from,
                status,
                fate,
                looks: 0,
            });
            self.service = Some(to.to_owned());
            self.moves.push(to.to_owned());
        }
        json!({ "service": self.services()["services"][0] })
    }

    /// Time passes by being looked at.
    fn look(&mut self, arn: &str) -> Value {
        let service = &mut self.service;
        let one = self.deployments.iter_mut().find(|one| one.arn == arn).unwrap();
        one.looks += 1;
        if is_open(one.status) {
            let is_late = one.looks > 2;
            (one.status, *service) = match one.fate {
                Fate::NeverEnds => ("IN_PROGRESS", service.clone()),
                _ if !is_late => ("IN_PROGRESS", service.clone()),
                Fate::Successful => ("SUCCESSFUL", service.clone()),
                Fate::BreakerOpens => ("ROLLBACK_SUCCESSFUL", Some(one.source.clone())),
                Fate::RollbackFails => ("ROLLBACK_FAILED", service.clone()),
                Fate::StoppedByHand => ("STOPPED", service.clone()),
            };
        }
        let reason = match one.status {
            "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED" => {
                "Service deployment rolled back because of circuit breaker"
            }
            _ => "",
        };
        json!({ "serviceDeployments": [{ "serviceDeploymentArn": one.arn, "status": one.status,
            "statusReason": reason, "deploymentCircuitBreaker": { "threshold": 3, "failureCount": 0 },
            "targetServiceRevision": { "requestedTaskCount": 2, "runningTaskCount": 1 } }] })
    }

    fn services(&self) -> Value {
        let Some(revision) = &self.service else {
            return json!({ "services": [] });
        };
        let starting = self.starting.get();
        self.starting.set(starting.saturating_sub(1));
        let running = self.running - usize::from(starting > 0);
        let events = self
            .events
            .iter()
            .map(|message| json!({ "id": message, "message": message }));
        json!({ "services": [{ "status": "ACTIVE", "taskDefinition": revision, "desiredCount": self.desired,
            "runningCount": running, "pendingCount": 0, "deployments": [{ "taskDefinition": revision }],
            "events": events.collect::<Vec<_>>() }] })
    }

    /// Somebody moves the service without us.
    pub(super) fn moved_by_hand(&mut self, to: &str) {
        self.move_service(to);
    }
}

fn is_open(status: &str) -> bool {
    matches!(
        status,
        "PENDING" | "IN_PROGRESS" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS"
    )
}

fn number(arn: &str) -> u32 {
    arn.rsplit(':').next().unwrap().parse().unwrap()
}

fn failure(code: &str, message: &str) -> Failure {
    Failure {
        command: "aws ...".to_owned(),
        code: Some(code.to_owned()),
        message: message.to_owned(),
    }
}
