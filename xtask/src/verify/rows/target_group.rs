//! J: the target group and the targets in it.

use std::collections::BTreeSet;

use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Finding, Row, View};

pub(crate) const ROWS: &[Row] = &[
    Row::new("J1", "protocol and port", |view| {
        let wanted = &view.declared.target_group;
        let at = |name: &str| view.text("target group", &format!("/TargetGroups/0/{name}"));
        let expected = format!(
            "{} {} {} {}",
            wanted.target_type, wanted.protocol, wanted.protocol_version, wanted.port
        );
        let actual = format!(
            "{} {} {} {}",
            at("TargetType")?,
            at("Protocol")?,
            at("ProtocolVersion")?,
            at("Port")?
        );
        Ok(Finding::same(expected, actual))
    }),
    Row::new("J2", "health check", health_check),
    Row::new("J3", "stickiness", |view| {
        let wanted = &view.declared.target_group;
        let values = [
            ("stickiness.enabled", wanted.stickiness.to_string()),
            ("stickiness.type", wanted.stickiness_type.clone()),
            (
                "stickiness.lb_cookie.duration_seconds",
                wanted.stickiness_seconds.to_string(),
            ),
        ];
        attributes(view, &values)
    }),
    Row::new("J4", "deregistration delay", |view| {
        let seconds = view.declared.target_group.deregistration_delay_seconds;
        attributes(
            view,
            &[("deregistration_delay.timeout_seconds", seconds.to_string())],
        )
    }),
    Row::new("J5", "how targets are chosen", |view| {
        let wanted = &view.declared.target_group;
        let values = [
            (
                "slow_start.duration_seconds",
                wanted.slow_start_seconds.to_string(),
            ),
            ("load_balancing.algorithm.type", wanted.algorithm.clone()),
        ];
        attributes(view, &values)
    }),
    Row::new("J6", "every task is a healthy target", health),
    Row::new("J7", "targets are the tasks", targets),
];

fn health_check(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.target_group;
    let said = |path: &str, matcher: &str, numbers: [String; 4]| {
        let [interval, timeout, healthy, unhealthy] = numbers;
        format!("{path} {matcher} every {interval} s, timeout {timeout} s, {healthy} up, {unhealthy} down")
    };
    let numbers = [
        wanted.health_interval_seconds,
        wanted.health_timeout_seconds,
        wanted.healthy_threshold,
        wanted.unhealthy_threshold,
    ];
    let expected = said(
        &wanted.health_path,
        &wanted.health_matcher,
        numbers.map(|number| number.to_string()),
    );
    let group = view.fact("target group")?;
    let at = |name: &str| text(group, &format!("/TargetGroups/0/{name}"));
    let actual = said(
        &at("HealthCheckPath"),
        &at("Matcher/HttpCode"),
        [
            at("HealthCheckIntervalSeconds"),
            at("HealthCheckTimeoutSeconds"),
            at("HealthyThresholdCount"),
            at("UnhealthyThresholdCount"),
        ],
    );
    let arn = view.output("target_group_arn")?;
    Ok(Finding::same(expected, actual).aws(format!(
        "elbv2 modify-target-group --target-group-arn {arn} --health-check-path {} \
         --health-check-interval-seconds {} --health-check-timeout-seconds {} --healthy-threshold-count {} \
         --unhealthy-threshold-count {} --matcher HttpCode={}",
        wanted.health_path,
        wanted.health_interval_seconds,
        wanted.health_timeout_seconds,
        wanted.healthy_threshold,
        wanted.unhealthy_threshold,
        wanted.health_matcher
    )))
}

fn attributes(view: &View<'_>, wanted: &[(&str, String)]) -> Result<Finding, Unknown> {
    let live = view.fact("target group attributes")?;
    let find = |key: &str| {
        let found = list_at(live, "/Attributes").find(|entry| text(entry, "/Key") == key);
        found.map(|entry| text(entry, "/Value")).unwrap_or_default()
    };
    let expected: Vec<_> = wanted.iter().map(|(_, value)| value.clone()).collect();
    let actual: Vec<_> = wanted.iter().map(|(key, _)| find(key)).collect();
    let settings: Vec<_> = wanted
        .iter()
        .map(|(key, value)| format!("Key={key},Value={value}"))
        .collect();
    let arn = view.output("target_group_arn")?;
    Ok(Finding::same(expected.join(" "), actual.join(" ")).aws(format!(
        "elbv2 modify-target-group-attributes --target-group-arn {arn} --attributes {}",
        settings.join(" ")
    )))
}

fn health(view: &View<'_>) -> Result<Finding, Unknown> {
    let running = view.text("service", "/services/0/runningCount")?;
    let mut healthy = 0_u64;
    let mut others = Vec::new();
    for target in list_at(view.fact("target health")?, "/TargetHealthDescriptions") {
        match &*text(target, "/TargetHealth/State") {
            "healthy" => healthy += 1,
            "draining" => {}
            state => others.push(format!(
                "{} {state} {}",
                text(target, "/Target/Id"),
                text(target, "/TargetHealth/Reason")
            )),
        }
    }
    let actual = [vec![format!("{healthy} healthy")], others].concat().join(", ");
    let arn = view.output("target_group_arn")?;
    Ok(Finding::same(format!("{running} healthy"), actual)
        .aws(format!("elbv2 describe-target-health --target-group-arn {arn}")))
}

fn targets(view: &View<'_>) -> Result<Finding, Unknown> {
    let tasks = list_at(view.fact("tasks")?, "/tasks")
        .filter(|task| text(task, "/lastStatus") == "RUNNING")
        .flat_map(|task| list_at(task, "/containers"))
        .flat_map(|container| list_at(container, "/networkInterfaces"))
        .map(|interface| text(interface, "/privateIpv4Address"))
        // All containers of a task have its address.
        .collect::<BTreeSet<_>>();
    let targets = list_at(view.fact("target health")?, "/TargetHealthDescriptions")
        .filter(|target| text(target, "/TargetHealth/State") != "draining")
        .map(|target| text(target, "/Target/Id"));
    let service = &view.declared.service;
    Ok(Finding::same_set(tasks, targets).aws(format!(
        "ecs update-service --cluster {} --service {} --force-new-deployment",
        service.cluster, service.name
    )))
}
