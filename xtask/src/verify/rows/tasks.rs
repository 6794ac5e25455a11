//! D: the tasks that run, and how those before them ended.

use std::collections::BTreeSet;

use serde_json::Value;

use super::service::{events, update};
use crate::verify::facts::{Unknown, list_at, seconds, text};
use crate::verify::row::{Finding, Row, View};

/// How far back stopped tasks count, in seconds.
const RECENTLY: f64 = 3600.0;

pub(crate) const ROWS: &[Row] = &[
    Row::new("D1", "every task has the service's revision", |view| {
        let wanted = view.text("service", "/services/0/taskDefinition")?;
        one(view, wanted, |task| text(task, "/taskDefinitionArn"))
    }),
    Row::new("D2", "every task has the released image", |view| {
        let wanted = view.text("released", "/Parameter/Value")?;
        one(view, wanted, |task| gateway(view, task, "imageDigest"))
    }),
    Row::new("D3", "every task runs and none is unhealthy", |view| {
        let bad: Vec<_> = list_at(view.fact("tasks")?, "/tasks")
            .map(|task| {
                (
                    text(task, "/lastStatus"),
                    text(task, "/healthStatus"),
                    short(task),
                )
            })
            .filter(|(status, health, _)| status != "RUNNING" || health == "UNHEALTHY")
            .map(|(status, health, task)| format!("{task} {status} {health}"))
            .collect();
        let actual = if bad.is_empty() {
            "all".to_owned()
        } else {
            bad.join(", ")
        };
        Ok(Finding::said(bad.is_empty(), "all", actual).aws(events(view)))
    }),
    Row::new("D4", "tasks are in several zones", |view| {
        let wanted = view.declared.tasks.distinct_zones_min;
        let zones: BTreeSet<_> = list_at(view.fact("tasks")?, "/tasks")
            .map(|task| text(task, "/availabilityZone"))
            .collect();
        let enough = u64::try_from(zones.len()).is_ok_and(|count| count >= wanted);
        let actual = zones.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Finding::said(enough, format!("{wanted} or more"), actual)
            .aws(update(view, "--force-new-deployment")))
    }),
    // What ran before and failed was replaced for it.
    Row::new("D5", "no task of this revision failed in the last hour", |view| {
        let runs = view.facts.text("service", "/services/0/taskDefinition");
        stopped(view, "none", |task| {
            let code = text(task, "/stopCode");
            let is_ours = runs
                .as_ref()
                .is_none_or(|runs| text(task, "/taskDefinitionArn") == *runs);
            let failed = is_ours && matches!(&*code, "TaskFailedToStart" | "EssentialContainerExited");
            failed.then(|| format!("{} {code}: {}", short(task), text(task, "/stoppedReason")))
        })
    }),
    Row::new("D6", "tasks that were stopped drained in time", |view| {
        stopped(view, "each exit code 0", |task| {
            // A task that failed by itself is D5's.
            let code = gateway(view, task, "exitCode");
            let asked = !matches!(
                &*text(task, "/stopCode"),
                "TaskFailedToStart" | "EssentialContainerExited"
            );
            let overran = if code == "137" {
                " (killed: the drain overran the stop timeout)"
            } else {
                ""
            };
            (asked && !code.is_empty() && code != "0")
                .then(|| format!("{} exit code {code}{overran}", short(task)))
        })
    }),
    Row::new("D7", "no task is kept from being replaced", protection),
];

/// Nothing here protects a task, and one that is protected holds up every deployment.
fn protection(view: &View<'_>) -> Result<Finding, Unknown> {
    let protected: Vec<&Value> = list_at(view.fact("protection")?, "/protectedTasks")
        .filter(|task| text(task, "/protectionEnabled") == "true")
        .collect();
    let said: Vec<String> = protected
        .iter()
        .map(|task| format!("{} until {}", short(task), text(task, "/expirationDate")))
        .collect();
    let names: Vec<String> = protected.iter().map(|task| short(task)).collect();
    let cluster = &view.declared.service.cluster;
    let lift = |tasks: &[String]| {
        format!(
            "ecs update-task-protection --cluster {cluster} --no-protection-enabled --tasks {}",
            tasks.join(" ")
        )
    };
    // The call takes ten.
    let fixes: Vec<String> = names.chunks(10).map(lift).collect();
    let actual = if said.is_empty() {
        "none".to_owned()
    } else {
        said.join(", ")
    };
    Ok(Finding::said(said.is_empty(), "none", actual).aws(fixes.join("\n")))
}

/// An attribute of the container that is ours: AWS may add others, for the security agents of an account.
fn gateway(view: &View<'_>, task: &Value, attribute: &str) -> String {
    let name = &view.declared.service.container_name;
    let ours = list_at(task, "/containers").find(|container| text(container, "/name") == *name);
    ours.map(|ours| text(ours, &format!("/{attribute}")))
        .unwrap_or_default()
}

fn one(view: &View<'_>, wanted: String, live: impl Fn(&Value) -> String) -> Result<Finding, Unknown> {
    let live: BTreeSet<_> = list_at(view.fact("tasks")?, "/tasks").map(live).collect();
    Ok(Finding::same_set([wanted], live).aws(update(view, "--force-new-deployment")))
}

fn stopped(
    view: &View<'_>,
    expected: &str,
    offence: impl Fn(&Value) -> Option<String>,
) -> Result<Finding, Unknown> {
    let names = view.fact("stopped task names")?;
    let bad: Vec<_> = if list_at(names, "/taskArns").next().is_none() {
        Vec::new()
    } else {
        list_at(view.fact("stopped tasks")?, "/tasks")
            .filter(|task| {
                let stopped_at = task.pointer("/stoppedAt").and_then(seconds);
                stopped_at.is_none_or(|stopped_at| view.now - stopped_at < RECENTLY)
            })
            .filter_map(offence)
            .collect()
    };
    let actual = if bad.is_empty() {
        expected.to_owned()
    } else {
        bad.join(", ")
    };
    let group = &view.declared.task_definition.log_group;
    Ok(Finding::said(bad.is_empty(), expected, actual).aws(format!("logs tail {group} --since 1h")))
}

/// The last part of the task's name.
fn short(task: &Value) -> String {
    let arn = text(task, "/taskArn");
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}
