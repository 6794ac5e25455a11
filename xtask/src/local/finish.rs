//! What the emulator's CloudFormation takes no notice of, done by API as soon as the stacks are there.
//!
//! `infra/emulate/gaps.ts` has the exact list of what it loses; the tests of the infrastructure keep it exact.

use serde_json::{Value, json};

use crate::aws::{Aws, Failure};
use crate::problem::Problem;
use crate::verify::declared::Declared;
use crate::verify::facts::{list_at, text};

/// Does it. `output` knows the outputs of the stacks by their logical names.
pub(crate) fn finish(
    aws: &Aws,
    declared: &Declared,
    output: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let call = |command: &str| -> anyhow::Result<Value> {
        let words: Vec<&str> = command.split(' ').collect();
        aws.json(&words).map_err(|failure| problem(&failure))
    };
    let balancer_group = output("load_balancer_security_group_id")?;
    let task_group = output("task_security_group_id")?;
    let groups = call(&format!("ec2 describe-security-groups --group-ids {task_group}"))?;
    // The emulator takes the same rule twice.
    if list_at(&groups, "/SecurityGroups/0/IpPermissions")
        .next()
        .is_none()
    {
        let rule =
            format!("ec2 authorize-security-group-ingress --group-id {task_group} --protocol tcp --port");
        let network = &declared.network;
        call(&format!(
            "{rule} {} --source-group {balancer_group}",
            network.task_port
        ))?;
        call(&format!(
            "{rule} {} --source-group {task_group}",
            network.peer_port
        ))?;
    }
    if let Some(name) = &declared.load_balancer.firewall {
        let lists = call("wafv2 list-web-acls --scope REGIONAL")?;
        let list = list_at(&lists, "/WebACLs").find(|list| text(list, "/Name") == *name);
        let arn = list.map(|list| text(list, "/ARN")).unwrap_or_default();
        let balancer = output("load_balancer_arn")?;
        call(&format!(
            "wafv2 associate-web-acl --resource-arn {balancer} --web-acl-arn {arn}"
        ))?;
    }
    let slow_start = declared.target_group.slow_start_seconds;
    call(&format!(
        "elbv2 modify-target-group-attributes --target-group-arn {} --attributes Key=slow_start.duration_seconds,Value={slow_start}",
        output("target_group_arn")?
    ))?;
    let data = &declared.data;
    let key = output("key_arn")?;
    for table in &data.tables {
        let expiry = &data.time_to_live_attribute;
        call(&format!(
            "dynamodb update-time-to-live --table-name {table} --time-to-live-specification Enabled=true,AttributeName={expiry}"
        ))?;
        let days = data.point_in_time_recovery_days;
        call(&format!(
            "dynamodb update-continuous-backups --table-name {table} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true,RecoveryPeriodInDays={days}"
        ))?;
        call(&format!(
            "dynamodb update-table --table-name {table} --sse-specification Enabled=true,SSEType=KMS,KMSMasterKeyId={key}"
        ))?;
    }
    finish_service(call, declared)
}

/// What the service is configured with, and how far it scales.
fn finish_service(call: impl Fn(&str) -> anyhow::Result<Value>, declared: &Declared) -> anyhow::Result<()> {
    let service = &declared.service;
    let names = format!("--cluster {} --service {}", service.cluster, service.name);
    let live = call(&format!(
        "ecs describe-services --cluster {} --services {}",
        service.cluster, service.name
    ))?;
    // An update takes the configuration as a whole.
    let mut configuration = live
        .pointer("/services/0/deploymentConfiguration")
        .cloned()
        .unwrap_or_default();
    let breaker = &service.circuit_breaker;
    if let Some(fields) = configuration
        .pointer_mut("/deploymentCircuitBreaker")
        .and_then(Value::as_object_mut)
    {
        let threshold = json!({ "type": breaker.threshold_type, "value": breaker.threshold_value });
        fields.insert("thresholdConfiguration".to_owned(), threshold);
        fields.insert(
            "resetOnHealthyTask".to_owned(),
            breaker.reset_on_healthy_task.into(),
        );
    }
    let scaling = &declared.scaling;
    call(&format!(
        "application-autoscaling register-scalable-target --service-namespace ecs \
         --scalable-dimension ecs:service:DesiredCount --resource-id service/{}/{} --min-capacity {} --max-capacity {}",
        service.cluster, service.name, scaling.min_tasks, scaling.max_tasks
    ))?;
    // Nobody acts upon that here, so the number of tasks is said as well.
    call(&format!(
        "ecs update-service {names} --desired-count {} --health-check-grace-period-seconds {} \
         --availability-zone-rebalancing {} --deployment-configuration {configuration}",
        service.min_tasks, service.health_check_grace_period_seconds, service.availability_zone_rebalancing
    ))?;
    Ok(())
}

fn problem(failure: &Failure) -> anyhow::Error {
    Problem::new(failure.to_string(), failure.hint()).into()
}
