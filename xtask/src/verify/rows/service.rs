//! B and C: the service is as declared, and its last deployment went well.

use serde_json::Value;

use super::release;
use crate::verify::facts::{Unknown, list_at, seconds, text};
use crate::verify::row::{Finding, Row, View};

const DEPLOYMENT_CONFIGURATION: &str = "/services/0/deploymentConfiguration";

pub(crate) const ROWS: &[Row] = &[
    Row::new("B1", "the service is active", activity),
    Row::new("B2", "the rollout is completed", rollout),
    Row::new("B3", "the service runs what the ledger says", release::revision),
    Row::new("B4", "as many tasks run as wanted", count),
    Row::new("B5", "healthy tasks during a deployment", |view| {
        let service = &view.declared.service;
        let expected = format!(
            "{}-{} %",
            service.minimum_healthy_percent, service.maximum_percent
        );
        let answer = view.fact("service")?;
        let at = |name: &str| text(answer, &format!("{DEPLOYMENT_CONFIGURATION}/{name}"));
        let actual = format!("{}-{} %", at("minimumHealthyPercent"), at("maximumPercent"));
        let configuration = format!(
            "minimumHealthyPercent={},maximumPercent={}",
            service.minimum_healthy_percent, service.maximum_percent
        );
        let option = format!("--deployment-configuration '{configuration}'");
        Ok(Finding::same(expected, actual).aws(update(view, &option)))
    }),
    Row::new("B6", "circuit breaker", circuit_breaker),
    Row::new("B7", "alarms that end a deployment", alarms),
    Row::new("B8", "deployment strategy", |view| {
        let answer = existing(view)?;
        let configuration = answer.pointer(DEPLOYMENT_CONFIGURATION).unwrap_or(answer);
        let strategy = match &*text(configuration, "/strategy") {
            "" => "ROLLING".to_owned(),
            other => other.to_owned(),
        };
        let early = text(configuration, "/earlySuccessCriteria/healthyPercent");
        let actual = if early.is_empty() {
            strategy
        } else {
            format!("{strategy}, done at {early} %")
        };
        Ok(Finding::same(&view.declared.service.strategy, actual)
            .aws(update(view, "--deployment-configuration 'strategy=ROLLING'")))
    }),
    Row::new("B9", "health check grace period", |view| {
        let seconds = view.declared.service.health_check_grace_period_seconds;
        let option = format!("--health-check-grace-period-seconds {seconds}");
        Ok(same(view, seconds, "/services/0/healthCheckGracePeriodSeconds")?.aws(update(view, &option)))
    }),
    Row::new("B10", "rebalancing over zones", |view| {
        let wanted = &view.declared.service.availability_zone_rebalancing;
        let option = format!("--availability-zone-rebalancing {wanted}");
        Ok(same(view, wanted, "/services/0/availabilityZoneRebalancing")?.aws(update(view, &option)))
    }),
    Row::new("B11", "commands inside of tasks", |view| {
        let wanted = view.declared.service.enable_execute_command;
        let option = if wanted {
            "--enable-execute-command"
        } else {
            "--disable-execute-command"
        };
        Ok(same(view, wanted, "/services/0/enableExecuteCommand")?.aws(update(view, option)))
    }),
    Row::new("B12", "where tasks are in the network", placement),
    Row::new("B13", "container behind the load balancer", |view| {
        let service = &view.declared.service;
        let group = view.output("target_group_arn")?;
        let expected = format!("{}:{} in {group}", service.container_name, service.container_port);
        let answer = view.fact("service")?;
        let at = |name: &str| text(answer, &format!("/services/0/loadBalancers/0/{name}"));
        let actual = format!(
            "{}:{} in {}",
            at("containerName"),
            at("containerPort"),
            at("targetGroupArn")
        );
        let option = format!(
            "--load-balancers 'targetGroupArn={group},containerName={},containerPort={}'",
            service.container_name, service.container_port
        );
        Ok(Finding::same(expected, actual).aws(update(view, &option)))
    }),
    Row::new("B14", "who deploys", |view| {
        let actual = match &*text(existing(view)?, "/services/0/deploymentController/type") {
            "" => "ECS".to_owned(),
            other => other.to_owned(),
        };
        let wanted = &view.declared.service.deployment_controller;
        let option = format!("--deployment-controller type={wanted}");
        Ok(Finding::same(wanted, actual).aws(update(view, &option)))
    }),
];

pub(crate) const DEPLOYMENT: &[Row] = &[
    Row::new("C1", "the last deployment was successful", |view| {
        if let Some(finding) = forgotten(view)? {
            return Ok(finding);
        }
        let actual = view.text("deployments", "/serviceDeployments/0/status")?;
        let why = view.text("deployments", "/serviceDeployments/0/statusReason")?;
        let said = if why.is_empty() {
            actual.clone()
        } else {
            format!("{actual}: {why}")
        };
        let is_open = OPEN.contains(&&*actual);
        Ok(Finding::said(is_open || actual == "SUCCESSFUL", "SUCCESSFUL", said).aws(events(view)))
    }),
    Row::new("C2", "no rollback, and no breaker that opened", |view| {
        if let Some(finding) = forgotten(view)? {
            return Ok(finding);
        }
        let deployment = view.fact("deployment")?;
        let rollback = text(deployment, "/serviceDeployments/0/rollback/reason");
        let breaker = text(
            deployment,
            "/serviceDeployments/0/deploymentCircuitBreaker/status",
        );
        let happened = rollback.is_empty() && breaker != "TRIGGERED";
        let actual = format!(
            "breaker {breaker}{}{rollback}",
            if rollback.is_empty() { "" } else { ", " }
        );
        Ok(Finding::said(happened, "breaker not TRIGGERED", actual).aws(events(view)))
    }),
    Row::new("C3", "the deployed revision has the released image", |view| {
        if let Some(finding) = forgotten(view)? {
            return Ok(finding);
        }
        let released = view.text("released", "/Parameter/Value")?;
        let revision = view.fact("service revision")?;
        let name = &view.declared.service.container_name;
        let images = list_at(revision, "/serviceRevisions/0/containerImages")
            .filter(|image| text(image, "/containerName") == *name);
        Ok(Finding::same_set([released], images.map(|image| text(image, "/imageDigest"))).aws(events(view)))
    }),
    Row::new("C4", "no deployment is under way", |view| {
        let deployments = view.fact("deployments")?;
        let open: Vec<_> = list_at(deployments, "/serviceDeployments")
            .filter(|deployment| OPEN.contains(&&*text(deployment, "/status")))
            .map(|deployment| text(deployment, "/serviceDeploymentArn"))
            .collect();
        let arn = open.first().cloned().unwrap_or_default();
        Ok(Finding::said(
            open.is_empty(),
            "none",
            if open.is_empty() {
                "none".to_owned()
            } else {
                open.join(", ")
            },
        )
        .aws(format!(
            "ecs describe-service-deployments --service-deployment-arns {arn}"
        )))
    }),
];

/// How long ECS remembers a deployment, in seconds, and a day less.
const REMEMBERED: f64 = 89.0 * 86_400.0;

/// Of the last deployment, where it is so old that ECS has forgotten it. What became of it, the tasks show.
fn forgotten(view: &View<'_>) -> Result<Option<Finding>, Unknown> {
    let deployments = view.fact("deployments")?;
    let is_known = list_at(deployments, "/serviceDeployments").next().is_some();
    let tasks =
        list_at(existing(view)?, "/services/0/deployments").find(|one| text(one, "/status") == "PRIMARY");
    let since = tasks.and_then(|tasks| seconds(tasks.get("createdAt")?));
    let is_old = since.is_some_and(|since| view.now - since > REMEMBERED);
    let said = "none within the 90 days that ECS remembers";
    Ok((!is_known && is_old).then(|| Finding::said(true, said, said)))
}

/// What a deployment is called that has not ended.
const OPEN: [&str; 5] = [
    "PENDING",
    "IN_PROGRESS",
    "STOP_REQUESTED",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
];

/// The command that changes the service by `option`.
pub(crate) fn update(view: &View<'_>, option: &str) -> String {
    let service = &view.declared.service;
    format!(
        "ecs update-service --cluster {} --service {} {option}",
        service.cluster, service.name
    )
}

/// The command that shows what the service did.
pub(crate) fn events(view: &View<'_>) -> String {
    let service = &view.declared.service;
    format!(
        "ecs describe-services --cluster {} --services {} --query 'services[0].events[:20].message'",
        service.cluster, service.name
    )
}

/// The service, for rows in which silence means the default.
pub(crate) fn existing<'a>(view: &View<'a>) -> Result<&'a Value, Unknown> {
    let answer = view.fact("service")?;
    if answer.pointer("/services/0").is_some() {
        return Ok(answer);
    }
    Err(Unknown {
        reason: "there is no such service".to_owned(),
        hint: "see B1".to_owned(),
    })
}

fn same(view: &View<'_>, expected: impl ToString, pointer: &str) -> Result<Finding, Unknown> {
    Ok(Finding::same(expected, view.text("service", pointer)?))
}

/// What a service that was deleted is made again from; `describe-services` shows it for about an hour longer.
const MADE_OF: [&str; 12] = [
    "serviceName",
    "taskDefinition",
    "loadBalancers",
    "launchType",
    "platformVersion",
    "networkConfiguration",
    "deploymentConfiguration",
    "healthCheckGracePeriodSeconds",
    "availabilityZoneRebalancing",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
];

/// CloudFormation keeps to what it once made, so no deploy of an unchanged template brings a deleted service back; one
/// that is made under the same name has the same ARN, and is the stack's again.
fn activity(view: &View<'_>) -> Result<Finding, Unknown> {
    let service = &view.declared.service;
    let (cluster, name) = (&service.cluster, &service.name);
    let finding = same(view, "ACTIVE", "/services/0/status")?;
    Ok(match &*finding.actual {
        "DRAINING" => finding.aws(format!(
            "ecs wait services-inactive --cluster {cluster} --services {name}"
        )),
        "INACTIVE" => {
            let fields = MADE_OF.map(|field| format!("{field}:{field}")).join(",");
            // AWS sets tags of its own, which nobody else may.
            let tags = r#"tags:tags[?!starts_with(key,`"aws:"`)]"#;
            finding.aws(format!(
                "ecs create-service --cluster {cluster} --desired-count {} --cli-input-json \"$(aws ecs describe-services \
                 --include TAGS --cluster {cluster} --services {name} --output json \
                 --query 'services[0].{{{fields},{tags}}}')\"",
                service.min_tasks
            ))
        }
        _ => finding.or_do(
            "CloudFormation counts on a service that is gone: take it out of the template of its stack and deploy, \
             put it back and deploy again",
        ),
    })
}

fn rollout(view: &View<'_>) -> Result<Finding, Unknown> {
    let service = view.fact("service")?;
    let primary = list_at(service, "/services/0/deployments").find(|one| text(one, "/status") == "PRIMARY");
    let state = primary.map(|one| text(one, "/rolloutState")).unwrap_or_default();
    let failed = primary.map(|one| text(one, "/failedTasks")).unwrap_or_default();
    let failed = if failed.is_empty() { "0" } else { &failed };
    Ok(Finding::same(
        "COMPLETED, 0 failed tasks",
        format!("{state}, {failed} failed tasks"),
    )
    .aws(events(view)))
}

fn count(view: &View<'_>) -> Result<Finding, Unknown> {
    let service = view.fact("service")?;
    let at = |name: &str| {
        text(service, &format!("/services/0/{name}"))
            .parse::<u64>()
            .unwrap_or(0)
    };
    let (running, desired, pending) = (at("runningCount"), at("desiredCount"), at("pendingCount"));
    let least = view.declared.service.min_tasks;
    let finding = Finding::said(
        running == desired && pending == 0 && running >= least,
        format!("at least {least}, as many as desired, none pending"),
        format!("{running} running of {desired} desired, {pending} pending"),
    );
    let is_active = text(service, "/services/0/status") == "ACTIVE";
    Ok(if is_active && desired < least {
        finding.aws(update(view, &format!("--desired-count {least}")))
    } else {
        finding.aws(events(view))
    })
}

fn circuit_breaker(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.service.circuit_breaker;
    let expected = format!(
        "enable {}, rollback {}, {} {}, reset {}",
        wanted.enable,
        wanted.rollback,
        wanted.threshold_type,
        wanted.threshold_value,
        wanted.reset_on_healthy_task
    );
    let service = view.fact("service")?;
    let at = |name: &str| {
        text(
            service,
            &format!("{DEPLOYMENT_CONFIGURATION}/deploymentCircuitBreaker/{name}"),
        )
    };
    let actual = format!(
        "enable {}, rollback {}, {} {}, reset {}",
        at("enable"),
        at("rollback"),
        at("thresholdConfiguration/type"),
        at("thresholdConfiguration/value"),
        at("resetOnHealthyTask")
    );
    let option = format!(
        "--deployment-configuration 'deploymentCircuitBreaker={{enable={},rollback={},resetOnHealthyTask={},\
         thresholdConfiguration={{type={},value={}}}}}'",
        wanted.enable,
        wanted.rollback,
        wanted.reset_on_healthy_task,
        wanted.threshold_type,
        wanted.threshold_value
    );
    Ok(Finding::same(expected, actual).aws(update(view, &option)))
}

fn alarms(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.service.deployment_alarms;
    let service = view.fact("service")?;
    let at = |name: &str| format!("{DEPLOYMENT_CONFIGURATION}/alarms/{name}");
    let names = list_at(service, &at("alarmNames")).map(|name| text(name, ""));
    let switches = ["enable", "rollback"].map(|switch| format!("{switch} {}", text(service, &at(switch))));
    let expected = wanted
        .iter()
        .cloned()
        .chain(["enable true".to_owned(), "rollback true".to_owned()]);
    let option = format!(
        "--deployment-configuration 'alarms={{alarmNames=[{}],enable=true,rollback=true}}'",
        wanted.join(",")
    );
    Ok(Finding::same_set(expected, names.chain(switches)).aws(update(view, &option)))
}

fn placement(view: &View<'_>) -> Result<Finding, Unknown> {
    let subnets = view.output("task_subnet_ids")?;
    let group = view.output("task_security_group_id")?;
    let public = &view.declared.service.assign_public_ip;
    let service = view.fact("service")?;
    let at = |name: &str| format!("/services/0/networkConfiguration/awsvpcConfiguration/{name}");
    let expected = subnets
        .split(',')
        .map(str::to_owned)
        .chain([group.clone(), format!("public address {public}")]);
    let actual = list_at(service, &at("subnets"))
        .chain(list_at(service, &at("securityGroups")))
        .map(|name| text(name, ""))
        .chain([format!("public address {}", text(service, &at("assignPublicIp")))]);
    let option = format!(
        "--network-configuration \
         'awsvpcConfiguration={{subnets=[{subnets}],securityGroups=[{group}],assignPublicIp={public}}}'"
    );
    Ok(Finding::same_set(expected, actual).aws(update(view, &option)))
}
