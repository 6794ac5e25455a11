//! What to ask an account, in rounds: a later round needs names from the answers of an earlier one.

use std::collections::BTreeSet;

use super::declared::Declared;
use super::facts::{Facts, list_at, stack_fact, template_fact, text};
use crate::release::ledger;

/// How many rounds there are.
pub(crate) const ROUNDS: usize = 3;

/// A read-only call of `aws`, and the name of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The name of the answer among the facts.
    pub(crate) fact: String,
    /// What follows `aws`.
    pub(crate) arguments: Vec<String>,
}

impl Question {
    /// Whether only assertions look at it that say nothing about a release that is on its way.
    pub(crate) fn is_beside_a_release(&self) -> bool {
        self.fact == "images" || self.fact.starts_with("template/")
    }
}

/// The questions of a round, with what is known by then.
pub(crate) fn round(number: usize, declared: &Declared, facts: &Facts) -> Vec<Question> {
    match number {
        0 => [
            first_account(declared),
            first_services(declared),
            first_data(declared),
        ]
        .concat(),
        1 => [second(declared, facts), second_network(declared, facts)].concat(),
        _ => third(declared, facts),
    }
}

/// `command` is split at spaces; `values` follow, whatever is in them.
fn ask(fact: impl Into<String>, command: &str, values: &[&str]) -> Question {
    let words = command.split_whitespace().chain(values.iter().copied());
    Question {
        fact: fact.into(),
        arguments: words.map(str::to_owned).collect(),
    }
}

fn first_account(declared: &Declared) -> Vec<Question> {
    let mut questions = vec![ask("identity", "sts get-caller-identity", &[])];
    for stack in &declared.account.stacks {
        questions.push(ask(
            stack_fact(&stack.kind),
            "cloudformation describe-stacks --stack-name",
            &[&stack.name],
        ));
        questions.push(ask(
            template_fact(&stack.kind),
            "cloudformation get-template --stack-name",
            &[&stack.name],
        ));
    }
    questions.push(ask(
        "ledger",
        "ssm get-parameters-by-path --path",
        &[&ledger::path(declared)],
    ));
    let digest = &declared.parameters.image_digest;
    questions.push(ask("released", "ssm get-parameter --name", &[digest]));
    for name in &declared.secrets.names {
        questions.push(ask(
            format!("secret/{name}"),
            "secretsmanager describe-secret --secret-id",
            &[name],
        ));
    }
    if let Some(role) = &declared.secrets.deploy_role {
        questions.push(ask("deploy role", "iam get-role --role-name", &[role]));
    }
    questions
}

fn first_services(declared: &Declared) -> Vec<Question> {
    let (cluster, service) = (&*declared.service.cluster, &*declared.service.name);
    let here = ["--cluster", cluster];
    let of_service = ["--cluster", cluster, "--service", service];
    let family = &declared.task_definition.family;
    let alarms = declared
        .signals
        .alarms
        .iter()
        .chain(&declared.service.deployment_alarms);
    let alarms: Vec<&str> = alarms.map(String::as_str).collect();
    let resource = format!("service/{cluster}/{service}");
    vec![
        ask(
            "service",
            "ecs describe-services",
            &["--cluster", cluster, "--services", service],
        ),
        ask(
            "deployments",
            "ecs list-service-deployments --max-results 10",
            &of_service,
        ),
        ask(
            "task names",
            "ecs list-tasks",
            &[&here[..], &["--service-name", service]].concat(),
        ),
        ask(
            "stopped task names",
            "ecs list-tasks --desired-status STOPPED",
            &[&here[..], &["--service-name", service]].concat(),
        ),
        ask(
            "revisions",
            "ecs list-task-definitions --status ACTIVE --sort DESC --max-items 100 --family-prefix",
            &[family],
        ),
        ask(
            "repository",
            "ecr describe-repositories --repository-names",
            &[&declared.registry.repository],
        ),
        ask(
            "lifecycle",
            "ecr get-lifecycle-policy --repository-name",
            &[&declared.registry.repository],
        ),
        ask(
            "load balancer",
            "elbv2 describe-load-balancers --names",
            &[&declared.load_balancer.name],
        ),
        ask(
            "scaling",
            "application-autoscaling describe-scalable-targets --service-namespace ecs --resource-ids",
            &[&resource],
        ),
        ask("alarms", "cloudwatch describe-alarms --alarm-names", &alarms),
        ask(
            "log group",
            "logs describe-log-groups --log-group-name-prefix",
            &[&declared.task_definition.log_group],
        ),
    ]
}

fn first_data(declared: &Declared) -> Vec<Question> {
    let mut questions = vec![ask(
        "key",
        "kms describe-key --key-id",
        &[&declared.data.key_alias],
    )];
    for table in &declared.data.tables {
        for (fact, command) in [
            ("table", "dynamodb describe-table --table-name"),
            ("expiry", "dynamodb describe-time-to-live --table-name"),
            ("backups", "dynamodb describe-continuous-backups --table-name"),
        ] {
            questions.push(ask(format!("{fact}/{table}"), command, &[table]));
        }
    }
    questions
}

fn second(declared: &Declared, facts: &Facts) -> Vec<Question> {
    let mut questions = Vec::new();
    let cluster = &*declared.service.cluster;
    if let Some(revision) = facts.text("service", "/services/0/taskDefinition") {
        questions.push(ask(
            "task definition",
            "ecs describe-task-definition --include TAGS --task-definition",
            &[&revision],
        ));
    }
    if let Some(deployment) = facts.text("deployments", "/serviceDeployments/0/serviceDeploymentArn") {
        questions.push(ask(
            "deployment",
            "ecs describe-service-deployments --service-deployment-arns",
            &[&deployment],
        ));
    }
    for (names, fact) in [("task names", "tasks"), ("stopped task names", "stopped tasks")] {
        let Ok(answer) = facts.get(names) else { continue };
        let arns: Vec<String> = list_at(answer, "/taskArns").map(|arn| text(arn, "")).collect();
        // The call takes a hundred; more of them say nothing new.
        let arns: Vec<&str> = arns.iter().take(100).map(String::as_str).collect();
        if !arns.is_empty() {
            let arguments = [&["--cluster", cluster, "--tasks"][..], &arns].concat();
            questions.push(ask(fact, "ecs describe-tasks", &arguments));
            if fact == "tasks" {
                questions.push(ask("protection", "ecs get-task-protection", &arguments));
            }
        }
    }
    let repository = &*declared.registry.repository;
    if let Some(digest) = facts.text("released", "/Parameter/Value") {
        let image = format!("imageDigest={digest}");
        let of_image = ["--repository-name", repository, "--image-ids", &image];
        questions.push(ask("image", "ecr describe-images", &of_image));
        let of_scan = ["--repository-name", repository, "--image-id", &image];
        questions.push(ask("scan", "ecr describe-image-scan-findings", &of_scan));
        if declared.secrets.deploy_role.is_some() {
            let subject = ["--repository-name", repository, "--subject-id", &image];
            questions.push(ask("referrers", "ecr list-image-referrers", &subject));
        }
    }
    if let Ok(ledger) = facts.ledger() {
        let images: BTreeSet<String> = ledger
            .rollback_set()
            .map(|entry| format!("imageDigest={}", entry.digest))
            .collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        if !images.is_empty() {
            let arguments = [&["--repository-name", repository, "--image-ids"][..], &images].concat();
            questions.push(ask("images", "ecr describe-images", &arguments));
        }
    }
    if let Some(key) = facts.text("key", "/KeyMetadata/KeyId") {
        questions.push(ask(
            "key rotation",
            "kms get-key-rotation-status --key-id",
            &[&key],
        ));
    }
    questions
}

fn second_network(declared: &Declared, facts: &Facts) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Some(arn) = facts.text("load balancer", "/LoadBalancers/0/LoadBalancerArn") {
        for (fact, command) in [
            (
                "load balancer attributes",
                "elbv2 describe-load-balancer-attributes --load-balancer-arn",
            ),
            ("listeners", "elbv2 describe-listeners --load-balancer-arn"),
            ("firewall", "wafv2 get-web-acl-for-resource --resource-arn"),
        ] {
            questions.push(ask(fact, command, &[&arn]));
        }
    }
    if let Some(arn) = facts.output(declared, "target_group_arn") {
        for (fact, command) in [
            ("target group", "elbv2 describe-target-groups --target-group-arns"),
            (
                "target group attributes",
                "elbv2 describe-target-group-attributes --target-group-arn",
            ),
            ("target health", "elbv2 describe-target-health --target-group-arn"),
        ] {
            questions.push(ask(fact, command, &[&arn]));
        }
    }
    if let Some(arn) = facts.output(declared, "certificate_arn") {
        questions.push(ask(
            "certificate",
            "acm describe-certificate --certificate-arn",
            &[&arn],
        ));
    }
    for (output, fact) in [
        ("load_balancer_security_group_id", "load balancer security group"),
        ("task_security_group_id", "task security group"),
    ] {
        if let Some(id) = facts.output(declared, output) {
            questions.push(ask(fact, "ec2 describe-security-groups --group-ids", &[&id]));
        }
    }
    questions
}

fn third(declared: &Declared, facts: &Facts) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Ok(answer) = facts.get("listeners") {
        let https = list_at(answer, "/Listeners").find(|listener| text(listener, "/Protocol") == "HTTPS");
        if let Some(arn) = https.map(|listener| text(listener, "/ListenerArn")) {
            questions.push(ask("rules", "elbv2 describe-rules --listener-arn", &[&arn]));
        }
    }
    if let Some(revision) = facts.text("deployment", "/serviceDeployments/0/targetServiceRevision/arn") {
        questions.push(ask(
            "service revision",
            "ecs describe-service-revisions --service-revision-arns",
            &[&revision],
        ));
    }
    for (role, fact, actions) in [
        (
            "/taskDefinition/executionRoleArn",
            "execution role may",
            &["secretsmanager:GetSecretValue"][..],
        ),
        (
            "/taskDefinition/taskRoleArn",
            "task role may",
            &["ecs:UpdateService", "iam:PassRole"][..],
        ),
    ] {
        let Some(role) = facts.text("task definition", role) else {
            continue;
        };
        let mut arguments = [&["--policy-source-arn", &*role, "--action-names"][..], actions].concat();
        let secrets: Vec<String> = declared
            .secrets
            .names
            .iter()
            .filter_map(|name| facts.text(&format!("secret/{name}"), "/ARN"))
            .collect();
        if fact == "execution role may" {
            arguments.push("--resource-arns");
            arguments.extend(secrets.iter().map(String::as_str));
        }
        questions.push(ask(fact, "iam simulate-principal-policy", &arguments));
    }
    questions
}
