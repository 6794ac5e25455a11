//! The account as a release sees it: each question and each change is one call of the `aws` command line.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answers::{
    self, Brief, Deployment, Image, Revision, Secret, Service, Stack, StoppedTask, decisions,
};
use crate::aws::{Aws, Failure};
use crate::image::Login;
use crate::problem::Problem;
use crate::verify::declared::Declared;
use crate::verify::facts::{list_at, rings_since, text};

/// Something that answers like the `aws` command line.
pub(crate) trait Cloud {
    /// Runs `aws` with `arguments`; nothing at all is `null`.
    fn json(&self, arguments: &[&str]) -> Result<Value, Failure>;

    /// `command` as an operator would type it for this account.
    fn typed(&self, command: &str) -> String;
}

impl Cloud for Aws {
    fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        Self::json(self, arguments)
    }

    fn typed(&self, command: &str) -> String {
        Self::typed(self, command)
    }
}

/// Names of what belongs to one environment, and the way to ask about it.
pub(crate) struct Account<'a> {
    /// Who answers.
    pub(crate) cloud: &'a dyn Cloud,
    /// What is declared.
    pub(crate) declared: &'a Declared,
}

impl fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("environment", &self.declared.environment)
            .finish_non_exhaustive()
    }
}

impl Account<'_> {
    fn ask(&self, words: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let command: Vec<&str> = words.split(' ').chain(arguments.iter().copied()).collect();
        self.cloud
            .json(&command)
            .map_err(|failure| problem(words, &failure).into())
    }

    /// As `ask`, but that there is no such thing is `None`.
    fn ask_about(&self, words: &str, arguments: &[&str]) -> anyhow::Result<Option<Value>> {
        let command: Vec<&str> = words.split(' ').chain(arguments.iter().copied()).collect();
        match self.cloud.json(&command) {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(problem(words, &failure).into()),
        }
    }

    /// `command` as an operator would type it for this account.
    pub(crate) fn typed(&self, command: &str) -> String {
        self.cloud.typed(command)
    }

    /// The account that the credentials belong to.
    pub(crate) fn id(&self) -> anyhow::Result<String> {
        Ok(text(&self.ask("sts get-caller-identity", &[])?, "/Account"))
    }

    /// The value of a parameter, when there is one.
    pub(crate) fn parameter(&self, name: &str) -> anyhow::Result<Option<String>> {
        let answer = self.ask_about("ssm get-parameter", &["--name", name])?;
        Ok(answer.map(|answer| text(&answer, "/Parameter/Value")))
    }

    /// Names and values of the parameters below `path`.
    pub(crate) fn parameters(&self, path: &str) -> anyhow::Result<Vec<(String, String)>> {
        let answer = self.ask("ssm get-parameters-by-path", &["--path", path])?;
        Ok(answers::parameters(&answer).unwrap_or_default())
    }

    /// Creates a parameter; `false` when somebody else already has.
    pub(crate) fn create_parameter(&self, name: &str, value: &str) -> anyhow::Result<bool> {
        let arguments = [
            "ssm",
            "put-parameter",
            "--type",
            "String",
            "--name",
            name,
            "--value",
            value,
        ];
        match self.cloud.json(&arguments) {
            Ok(_) => Ok(true),
            Err(failure) if failure.code.as_deref() == Some("ParameterAlreadyExists") => Ok(false),
            Err(failure) => Err(problem("ssm put-parameter", &failure).into()),
        }
    }

    /// Creates or changes a parameter.
    pub(crate) fn put_parameter(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let arguments = [
            "--overwrite",
            "--type",
            "String",
            "--name",
            name,
            "--value",
            value,
        ];
        self.ask("ssm put-parameter", &arguments).map(drop)
    }

    /// Removes a parameter, if it is there.
    pub(crate) fn delete_parameter(&self, name: &str) -> anyhow::Result<()> {
        self.ask_about("ssm delete-parameter", &["--name", name])
            .map(drop)
    }

    /// Every stack of the region, by name: one question instead of one for each.
    pub(crate) fn stacks(&self) -> anyhow::Result<BTreeMap<String, Stack>> {
        let answer = self.ask("cloudformation describe-stacks", &[])?;
        Ok(list_at(&answer, "/Stacks")
            .map(|stack| (text(stack, "/StackName"), Stack::read(stack)))
            .collect())
    }

    /// A stack, when there is one.
    pub(crate) fn stack(&self, name: &str) -> anyhow::Result<Option<Stack>> {
        let answer = self.ask_about("cloudformation describe-stacks", &["--stack-name", name])?;
        Ok(answer.and_then(|answer| answer.pointer("/Stacks/0").map(Stack::read)))
    }

    /// The template that a stack was last deployed with.
    pub(crate) fn template(&self, name: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.ask_about("cloudformation get-template", &["--stack-name", name])?;
        Ok(answer.as_ref().and_then(answers::template))
    }

    /// The value of an output of a stack, by its logical name in `declared.json`.
    pub(crate) fn output(&self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(output) = self.declared.outputs.get(name) else {
            return Ok(None);
        };
        let stack = self.stack(&output.stack)?;
        Ok(stack.and_then(|stack| stack.outputs.get(&output.key).cloned()))
    }

    /// The service, when there is an active one.
    pub(crate) fn service(&self) -> anyhow::Result<Option<Service>> {
        let (cluster, service) = self.names();
        let arguments = ["--cluster", cluster, "--services", service];
        let answer = self.ask_about("ecs describe-services", &arguments)?;
        Ok(answer.and_then(|answer| Service::read(&answer)))
    }

    /// The last deployments, the newest first.
    pub(crate) fn deployments(&self) -> anyhow::Result<Vec<Brief>> {
        let (cluster, service) = self.names();
        let arguments = ["--max-results", "20", "--cluster", cluster, "--service", service];
        let answer = self.ask_about("ecs list-service-deployments", &arguments)?;
        Ok(answer.map(|answer| Brief::read_all(&answer)).unwrap_or_default())
    }

    /// One deployment.
    pub(crate) fn deployment(&self, arn: &str) -> anyhow::Result<Option<Deployment>> {
        let answer = self.ask(
            "ecs describe-service-deployments",
            &["--service-deployment-arns", arn],
        )?;
        Ok(Deployment::read(&answer))
    }

    /// The task definition that a revision of the service has.
    pub(crate) fn task_definition_of(&self, service_revision: &str) -> anyhow::Result<String> {
        let mut found = self.task_definitions_of(&[service_revision])?;
        Ok(found.remove(service_revision).unwrap_or_default())
    }

    /// The task definitions that revisions of the service have; at most twenty.
    pub(crate) fn task_definitions_of(
        &self,
        service_revisions: &[&str],
    ) -> anyhow::Result<BTreeMap<String, String>> {
        if service_revisions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let arguments = [&["--service-revision-arns"][..], service_revisions].concat();
        let answer = self.ask("ecs describe-service-revisions", &arguments)?;
        Ok(list_at(&answer, "/serviceRevisions")
            .map(|revision| {
                (
                    text(revision, "/serviceRevisionArn"),
                    text(revision, "/taskDefinition"),
                )
            })
            .collect())
    }

    /// The newest active revision of the family.
    pub(crate) fn newest_revision(&self) -> anyhow::Result<Option<String>> {
        let family = &*self.declared.task_definition.family;
        let arguments = [
            "--status",
            "ACTIVE",
            "--sort",
            "DESC",
            "--max-items",
            "1",
            "--family-prefix",
            family,
        ];
        let answer = self.ask("ecs list-task-definitions", &arguments)?;
        Ok(list_at(&answer, "/taskDefinitionArns")
            .map(|arn| text(arn, ""))
            .next())
    }

    /// A revision with its tags, also an inactive one.
    pub(crate) fn revision(&self, arn: &str) -> anyhow::Result<Option<Revision>> {
        let arguments = ["--include", "TAGS", "--task-definition", arn];
        let answer = self.ask_about("ecs describe-task-definition", &arguments)?;
        Ok(answer.map(|answer| Revision::read(&answer)))
    }

    /// Registers `input` with `tags`, and returns the revision.
    pub(crate) fn register(&self, input: &Value, tags: &[(&str, String)]) -> anyhow::Result<String> {
        let mut input = input.clone();
        let tags: Vec<Value> = tags
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        if let Some(fields) = input.as_object_mut() {
            fields.insert("tags".to_owned(), Value::from(tags));
        }
        let answer = self.ask(
            "ecs register-task-definition",
            &["--cli-input-json", &input.to_string()],
        )?;
        Ok(text(&answer, "/taskDefinition/taskDefinitionArn"))
    }

    /// Takes a revision out of the active ones: what runs goes on, nothing new is started from it.
    pub(crate) fn deregister(&self, arn: &str) -> anyhow::Result<()> {
        let arguments = ["--task-definition", arn];
        self.ask_about("ecs deregister-task-definition", &arguments)
            .map(drop)
    }

    /// Moves the service to exactly `revision`.
    pub(crate) fn move_service(&self, revision: &str) -> anyhow::Result<()> {
        let (cluster, service) = self.names();
        let arguments = [
            "--cluster",
            cluster,
            "--service",
            service,
            "--task-definition",
            revision,
        ];
        self.ask("ecs update-service", &arguments).map(drop)
    }

    /// Sends an open deployment back to where it came from; one that has just ended is no error.
    pub(crate) fn send_back(&self, deployment: &str) -> anyhow::Result<()> {
        let arguments = [
            "ecs",
            "stop-service-deployment",
            "--stop-type",
            "ROLLBACK",
            "--service-deployment-arn",
            deployment,
        ];
        match self.cloud.json(&arguments) {
            Ok(_) => Ok(()),
            Err(failure) if failure.code.as_deref() == Some("ConflictException") => Ok(()),
            Err(failure) => Err(problem("ecs stop-service-deployment", &failure).into()),
        }
    }

    /// An image of the repository, when it is there.
    pub(crate) fn image(&self, digest: &str) -> anyhow::Result<Option<Image>> {
        let id = format!("imageDigest={digest}");
        let repository = &*self.declared.registry.repository;
        let answer = self.ask_about(
            "ecr describe-images",
            &["--repository-name", repository, "--image-ids", &id],
        )?;
        Ok(answer.and_then(|answer| Image::read(&answer)))
    }

    /// Gives an image one more tag, under which no lifecycle rule removes it.
    pub(crate) fn tag_image(&self, digest: &str, tag: &str) -> anyhow::Result<()> {
        let repository = &*self.declared.registry.repository;
        let id = format!("imageDigest={digest}");
        let wanted = ["--repository-name", repository, "--image-ids", &id];
        let answer = self.ask("ecr batch-get-image", &wanted)?;
        let manifest = text(&answer, "/images/0/imageManifest");
        if manifest.is_empty() {
            let hint = "push it again: `cargo xtask image --push`";
            return Err(Problem::new(format!("the registry does not return `{digest}`"), hint).into());
        }
        let media = text(&answer, "/images/0/imageManifestMediaType");
        let mut arguments = vec!["ecr", "put-image", "--repository-name", repository];
        if !media.is_empty() {
            arguments.extend(["--image-manifest-media-type", &media]);
        }
        arguments.extend(["--image-manifest", &manifest, "--image-tag", tag]);
        match self.cloud.json(&arguments) {
            Ok(_) => Ok(()),
            Err(failure) if is_there_already(&failure) => Ok(()),
            Err(failure) => Err(problem("ecr put-image", &failure).into()),
        }
    }

    /// Who may push to the registry for the next hours.
    pub(crate) fn registry_login(&self) -> anyhow::Result<Login> {
        let answer = self.ask("ecr get-authorization-token", &[])?;
        let token = text(&answer, "/authorizationData/0/authorizationToken");
        let decoded = STANDARD.decode(&token).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let login = decoded.as_deref().and_then(|login| login.split_once(':'));
        let (user, password) = login.ok_or_else(|| {
            let hint = "run it by hand: `aws ecr get-login-password`";
            Problem::new("the registry answers with a token that nobody can read", hint)
        })?;
        Ok(Login {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// What is known about a secret; never its value.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<Option<Secret>> {
        let answer = self.ask_about("secretsmanager describe-secret", &["--secret-id", name])?;
        Ok(answer.map(|answer| Secret::read(&answer)))
    }

    /// What `role` may not do with `secrets`, by IAM's own simulation; `None` when nobody could be asked.
    pub(crate) fn denied_secrets(&self, role: &str, secrets: &[String]) -> Option<Vec<String>> {
        let command = "iam simulate-principal-policy --action-names secretsmanager:GetSecretValue";
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.extend(["--policy-source-arn", role, "--resource-arns"]);
        arguments.extend(secrets.iter().map(String::as_str));
        let answer = self.cloud.json(&arguments).ok()?;
        let denied = list_at(&answer, "/EvaluationResults")
            .flat_map(decisions)
            .filter(|(_, decision)| decision != "allowed")
            .map(|(secret, _)| secret);
        Some(denied.collect())
    }

    /// Whether a role is certainly gone; whoever may not ask does not know.
    pub(crate) fn is_role_gone(&self, arn: &str) -> bool {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let answer = self.cloud.json(&["iam", "get-role", "--role-name", name]);
        answer.is_err_and(|failure| failure.is_absence())
    }

    /// Alarms among those that guard a deployment that are in alarm, with the second since 1970 since when each is, as
    /// far as that is known.
    pub(crate) fn ringing(&self) -> anyhow::Result<Vec<(String, Option<f64>)>> {
        let names = &self.declared.service.deployment_alarms;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let arguments = [&["--state-value", "ALARM", "--alarm-names"][..], &names].concat();
        let answer = self.ask("cloudwatch describe-alarms", &arguments)?;
        Ok(list_at(&answer, "/MetricAlarms")
            .map(|alarm| (text(alarm, "/AlarmName"), rings_since(alarm)))
            .collect())
    }

    /// Tasks of `revision` that stopped lately, with reasons.
    pub(crate) fn stopped_tasks(&self, revision: &str) -> anyhow::Result<Vec<StoppedTask>> {
        let tasks = self.tasks("STOPPED")?;
        Ok(tasks
            .iter()
            .filter(|task| text(task, "/taskDefinitionArn") == revision)
            .map(StoppedTask::read)
            .collect())
    }

    /// Tasks of the service, as ECS describes them: `RUNNING` (wanted to run) or `STOPPED`; none without a service.
    pub(crate) fn tasks(&self, desired: &str) -> anyhow::Result<Vec<Value>> {
        let (cluster, service) = self.names();
        let arguments = [
            "--desired-status",
            desired,
            "--cluster",
            cluster,
            "--service-name",
            service,
        ];
        let answer = self.ask_about("ecs list-tasks", &arguments)?.unwrap_or_default();
        let arns: Vec<String> = list_at(&answer, "/taskArns").map(|arn| text(arn, "")).collect();
        // The call takes a hundred.
        let arns: Vec<&str> = arns.iter().take(100).map(String::as_str).collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = [&["--cluster", cluster, "--tasks"][..], &arns].concat();
        let answer = self.ask("ecs describe-tasks", &arguments)?;
        Ok(list_at(&answer, "/tasks").cloned().collect())
    }

    /// The last lines that the container of a task wrote.
    pub(crate) fn last_lines(&self, task: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let stream = self.log_stream(task);
        let count = count.to_string();
        let group = &*self.declared.task_definition.log_group;
        let arguments = [
            "--limit",
            &count,
            "--log-group-name",
            group,
            "--log-stream-name",
            &stream,
        ];
        let answer = self
            .ask_about("logs get-log-events", &arguments)?
            .unwrap_or_default();
        Ok(list_at(&answer, "/events")
            .map(|event| text(event, "/message"))
            .collect())
    }

    /// Where the container of a task writes.
    pub(crate) fn log_stream(&self, task: &str) -> String {
        let container = &self.declared.service.container_name;
        let id = task.rsplit('/').next().unwrap_or_default();
        format!("{container}/{container}/{id}")
    }

    /// Lines of the log group between two times in milliseconds, of the streams whose names begin with `prefix`; `None`
    /// when there is no such group.
    pub(crate) fn log_events(
        &self,
        prefix: &str,
        from: u64,
        until: u64,
    ) -> anyhow::Result<Option<Vec<Value>>> {
        let (from, until) = (from.to_string(), until.to_string());
        let group = &*self.declared.task_definition.log_group;
        let mut arguments = vec!["--start-time", &from, "--end-time", &until];
        arguments.extend(["--log-group-name", group]);
        if !prefix.is_empty() {
            arguments.extend(["--log-stream-name-prefix", prefix]);
        }
        let answer = self.ask_about("logs filter-log-events", &arguments)?;
        // An emulator may not know of prefixes.
        let is_wanted = |event: &&Value| text(event, "/logStreamName").starts_with(prefix);
        Ok(answer.map(|answer| list_at(&answer, "/events").filter(is_wanted).cloned().collect()))
    }

    /// Healthy and all targets of the load balancer, when it has a target group.
    pub(crate) fn targets(&self) -> anyhow::Result<Option<(usize, usize)>> {
        let Some(group) = self.output("target_group_arn")? else {
            return Ok(None);
        };
        let wanted = ["--target-group-arn", &*group];
        let Some(answer) = self.ask_about("elbv2 describe-target-health", &wanted)? else {
            return Ok(None);
        };
        let all: Vec<&Value> = list_at(&answer, "/TargetHealthDescriptions").collect();
        let is_healthy = |target: &&&Value| text(target, "/TargetHealth/State") == "healthy";
        Ok(Some((all.iter().filter(is_healthy).count(), all.len())))
    }

    fn names(&self) -> (&str, &str) {
        (&self.declared.service.cluster, &self.declared.service.name)
    }
}

/// A call that should not have failed, with what helps.
fn problem(words: &str, failure: &Failure) -> Problem {
    Problem::new(format!("`aws {words}` failed: {failure}"), failure.hint())
}

fn is_there_already(failure: &Failure) -> bool {
    matches!(
        failure.code.as_deref(),
        Some("ImageAlreadyExistsException" | "ImageTagAlreadyExistsException")
    )
}
