//! What AWS answers, as far as a release looks at it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::verify::facts::{list_at, text};

/// Names and values of parameters; `None` when the answer is not about parameters at all.
pub(crate) fn parameters(answer: &Value) -> Option<Vec<(String, String)>> {
    let found = answer.get("Parameters")?.as_array()?.iter();
    let found = found.map(|parameter| (text(parameter, "/Name"), text(parameter, "/Value")));
    Some(found.collect())
}

/// The template that a stack was last deployed with.
pub(crate) fn template(answer: &Value) -> Option<Value> {
    match answer.get("TemplateBody")? {
        Value::String(json) => serde_json::from_str(json).ok(),
        template => Some(template.clone()),
    }
}

/// A stack of CloudFormation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// As CloudFormation names it.
    pub(crate) status: String,
    /// Why, when it says so.
    pub(crate) reason: String,
    /// Values by key.
    pub(crate) outputs: BTreeMap<String, String>,
}

impl Stack {
    pub(super) fn read(stack: &Value) -> Self {
        let outputs = list_at(stack, "/Outputs")
            .map(|output| (text(output, "/OutputKey"), text(output, "/OutputValue")));
        Self {
            status: text(stack, "/StackStatus"),
            reason: text(stack, "/StackStatusReason"),
            outputs: outputs.collect(),
        }
    }

    /// Whether it only has a change set that nobody executed, or is gone.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(&*self.status, "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE")
    }

    /// Whether CloudFormation is at work on it.
    pub(crate) fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && !self.is_absent()
    }

    /// Whether it can be deployed to, and serves.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(
            &*self.status,
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE"
        )
    }
}

/// The ECS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The task definition that it is meant to run.
    pub(crate) revision: String,
    /// Tasks that should run, do run, and are about to.
    pub(crate) desired: u64,
    pub(crate) running: u64,
    pub(crate) pending: u64,
    /// Of each set of its tasks, the newest first.
    pub(crate) revisions: Vec<String>,
    /// The newest first.
    pub(crate) events: Vec<Event>,
}

/// What a service says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) message: String,
}

impl Service {
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let service = answer.pointer("/services/0")?;
        if text(service, "/status") != "ACTIVE" {
            return None;
        }
        let revisions = list_at(service, "/deployments").map(|tasks| text(tasks, "/taskDefinition"));
        let events = list_at(service, "/events").map(|event| Event {
            id: text(event, "/id"),
            message: text(event, "/message"),
        });
        Some(Self {
            revision: text(service, "/taskDefinition"),
            desired: number(service, "/desiredCount"),
            running: number(service, "/runningCount"),
            pending: number(service, "/pendingCount"),
            revisions: revisions.collect(),
            events: events.collect(),
        })
    }

    /// A service that is not there any more.
    pub(crate) fn gone() -> Self {
        Self {
            revision: String::new(),
            desired: 0,
            running: 0,
            pending: 0,
            revisions: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Whether it is meant to run `revision`, or has tasks of it.
    pub(crate) fn has(&self, revision: &str) -> bool {
        self.revision == revision || self.revisions.iter().any(|one| one == revision)
    }
}

/// What a deployment is called that has not ended.
pub(crate) const OPEN: [&str; 5] = [
    "PENDING",
    "IN_PROGRESS",
    "STOP_REQUESTED",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
];

/// A deployment in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) arn: String,
    pub(crate) status: String,
    /// The revision of the service that it leads to.
    pub(crate) target: String,
}

impl Brief {
    pub(super) fn read_all(answer: &Value) -> Vec<Self> {
        list_at(answer, "/serviceDeployments")
            .map(|deployment| Self {
                arn: text(deployment, "/serviceDeploymentArn"),
                status: text(deployment, "/status"),
                target: text(deployment, "/targetServiceRevisionArn"),
            })
            .collect()
    }

    /// Whether it has not ended.
    pub(crate) fn is_open(&self) -> bool {
        OPEN.contains(&&*self.status)
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) status: String,
    /// Everything that it says about why.
    pub(crate) reason: String,
    pub(crate) requested: u64,
    pub(crate) running: u64,
    pub(crate) pending: u64,
    /// Tasks that failed, of how many that end it; empty without a breaker.
    pub(crate) failures: String,
}

impl Deployment {
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let deployment = answer.pointer("/serviceDeployments/0")?;
        let mut reasons = vec![
            text(deployment, "/statusReason"),
            text(deployment, "/rollback/reason"),
        ];
        let alarms: Vec<String> = list_at(deployment, "/alarms/triggeredAlarmNames")
            .map(|name| text(name, ""))
            .collect();
        if !alarms.is_empty() {
            reasons.push(format!("alarm {}", alarms.join(", ")));
        }
        reasons.retain(|reason| !reason.is_empty());
        reasons.dedup();
        let threshold = text(deployment, "/deploymentCircuitBreaker/threshold");
        let failed = number(deployment, "/deploymentCircuitBreaker/failureCount");
        Some(Self {
            status: text(deployment, "/status"),
            reason: reasons.join("; "),
            requested: number(deployment, "/targetServiceRevision/requestedTaskCount"),
            running: number(deployment, "/targetServiceRevision/runningTaskCount"),
            pending: number(deployment, "/targetServiceRevision/pendingTaskCount"),
            failures: if threshold.is_empty() || failed == 0 {
                String::new()
            } else {
                format!("{failed} of {threshold} failures")
            },
        })
    }
}

/// A revision of a task definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) arn: String,
    /// `ACTIVE`, or one that no service can be moved to.
    pub(crate) status: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// What registers the same again.
    pub(crate) input: Value,
}

/// What an answer has in addition to what was registered.
const ANSWERED: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];

impl Revision {
    pub(super) fn read(answer: &Value) -> Self {
        let tags = list_at(answer, "/tags").map(|tag| (text(tag, "/key"), text(tag, "/value")));
        let definition = answer.get("taskDefinition").cloned().unwrap_or_default();
        let (arn, status) = (
            text(&definition, "/taskDefinitionArn"),
            text(&definition, "/status"),
        );
        let mut input = match definition {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        input.retain(|name, value| !ANSWERED.contains(&&**name) && !is_nothing(value));
        Self {
            arn,
            status,
            tags: tags.collect(),
            input: Value::Object(input),
        }
    }

    /// The images of its containers.
    pub(crate) fn images(&self) -> Vec<String> {
        list_at(&self.input, "/containerDefinitions")
            .map(|container| text(container, "/image"))
            .collect()
    }

    /// The roles that its tasks are started with, and run with.
    pub(crate) fn roles(&self) -> Vec<String> {
        let roles = ["/executionRoleArn", "/taskRoleArn"].map(|role| text(&self.input, role));
        roles.into_iter().filter(|role| !role.is_empty()).collect()
    }

    /// The image of one container.
    pub(crate) fn image_of(&self, container: &str) -> Option<String> {
        list_at(&self.input, "/containerDefinitions")
            .find(|definition| text(definition, "/name") == container)
            .map(|definition| text(definition, "/image"))
    }

    /// What its containers get from Secrets Manager: the secrets, without the part of one that is taken.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = list_at(&self.input, "/containerDefinitions")
            .flat_map(|container| list_at(container, "/secrets"))
            .map(|secret| secret_of(&text(secret, "/valueFrom")))
            .collect();
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

/// What IAM's simulation says of an action: for each resource by its name, where it was asked about some.
pub(crate) fn decisions(result: &Value) -> Vec<(String, String)> {
    let of = |entry: &Value, decision: &str| (text(entry, "/EvalResourceName"), text(entry, decision));
    let each: Vec<_> = list_at(result, "/ResourceSpecificResults")
        .map(|resource| of(resource, "/EvalResourceDecision"))
        .collect();
    if each.is_empty() {
        return vec![of(result, "/EvalDecision")];
    }
    each
}

/// `arn:aws:secretsmanager:region:account:secret:name` without the key, stage and version that may follow.
fn secret_of(reference: &str) -> String {
    reference.split(':').take(7).collect::<Vec<_>>().join(":")
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// An image of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Empty where the registry does not archive.
    pub(crate) status: String,
}

impl Image {
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let image = answer.pointer("/imageDetails/0")?;
        Some(Self {
            status: text(image, "/imageStatus"),
        })
    }

    /// Whether a task can pull it.
    pub(crate) fn is_available(&self) -> bool {
        matches!(&*self.status, "" | "ACTIVE")
    }
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) arn: String,
    pub(crate) is_deleted: bool,
    pub(crate) has_value: bool,
}

impl Secret {
    pub(super) fn read(answer: &Value) -> Self {
        let versions = answer.pointer("/VersionIdsToStages").and_then(Value::as_object);
        let has_value = versions.is_some_and(|versions| {
            versions
                .values()
                .any(|stages| list_at(stages, "").any(|stage| stage == "AWSCURRENT"))
        });
        Self {
            arn: text(answer, "/ARN"),
            is_deleted: !text(answer, "/DeletedDate").is_empty(),
            has_value,
        }
    }
}

/// A task that does not run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoppedTask {
    pub(crate) arn: String,
    pub(crate) code: String,
    pub(crate) reason: String,
    /// Container, exit code (empty when it never ran) and reason.
    pub(crate) containers: Vec<(String, String, String)>,
}

impl StoppedTask {
    pub(super) fn read(task: &Value) -> Self {
        let containers = list_at(task, "/containers").map(|container| {
            (
                text(container, "/name"),
                text(container, "/exitCode"),
                text(container, "/reason"),
            )
        });
        Self {
            arn: text(task, "/taskArn"),
            code: text(task, "/stopCode"),
            reason: text(task, "/stoppedReason"),
            containers: containers.collect(),
        }
    }

    /// Whether it was meant to go on.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(&*self.code, "TaskFailedToStart" | "EssentialContainerExited")
    }
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
