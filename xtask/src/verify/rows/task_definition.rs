//! E: the revision that the service runs has the declared shape.

use serde_json::Value;

use super::release;
use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Finding, Row, View};

const CONTAINER: &str = "/taskDefinition/containerDefinitions/0";

pub(crate) const ROWS: &[Row] = &[
    Row::new("E1", "the newest active revision is the one that runs", newest),
    Row::new("E2", "images are pinned by digest", pinned),
    Row::new("E3", "stop timeout", |view| {
        container(
            view,
            view.declared.task_definition.stop_timeout_seconds,
            "/stopTimeout",
        )
    }),
    Row::new("E4", "the container is confined", confinement),
    Row::new("E5", "where the log goes", |view| {
        let wanted = &view.declared.task_definition;
        let expected = format!("{}, {}", wanted.log_group, wanted.log_mode);
        let options = |name: &str| Ok(text(live(view)?, &format!("/logConfiguration/options/{name}")));
        let actual = format!("{}, {}", options("awslogs-group")?, options("mode")?);
        Ok(shaped(view, Finding::same(expected, actual)))
    }),
    Row::new("E6", "secrets come by reference", secrets),
    Row::new("E7", "processor", |view| {
        let actual = view.text(
            "task definition",
            "/taskDefinition/runtimePlatform/cpuArchitecture",
        )?;
        Ok(shaped(
            view,
            Finding::same(&view.declared.task_definition.cpu_architecture, actual),
        ))
    }),
    Row::new("E8", "roles", |view| {
        let wanted = &view.declared.task_definition;
        let expected = format!("task {}, execution {}", wanted.task_role, wanted.execution_role);
        let role = |name: &str| -> Result<String, Unknown> {
            let arn = view.text("task definition", &format!("/taskDefinition/{name}"))?;
            Ok(arn.rsplit('/').next().unwrap_or_default().to_owned())
        };
        let actual = format!(
            "task {}, execution {}",
            role("taskRoleArn")?,
            role("executionRoleArn")?
        );
        Ok(shaped(view, Finding::same(expected, actual)))
    }),
    Row::new("E9", "tags say which release it is", release::tags),
    Row::new("E10", "the last releases could run again", release::revisions),
    Row::new("E11", "processor time and memory", |view| {
        let wanted = &view.declared.task_definition;
        let at = |name: &str| view.text("task definition", &format!("/taskDefinition/{name}"));
        let actual = format!("{} units, {} MiB", at("cpu")?, at("memory")?);
        Ok(shaped(
            view,
            Finding::same(format!("{} units, {} MiB", wanted.cpu, wanted.memory), actual),
        ))
    }),
    Row::new("E12", "health check inside of the container", health_check),
    Row::new("E13", "what the container runs", |view| {
        let wanted = &view.declared.task_definition;
        let expected = [&wanted.entry_point[..], &wanted.command].concat().join(" ");
        let container = live(view)?;
        let words = list_at(container, "/entryPoint").chain(list_at(container, "/command"));
        let actual = words.map(|word| text(word, "")).collect::<Vec<_>>().join(" ");
        Ok(shaped(view, Finding::same(expected, actual)))
    }),
    Row::new("E14", "open files", |view| {
        let limits = list_at(live(view)?, "/ulimits").find(|limit| text(limit, "/name") == "nofile");
        let actual = limits.map(|limit| text(limit, "/softLimit")).unwrap_or_default();
        Ok(shaped(
            view,
            Finding::same(view.declared.task_definition.open_files, actual),
        ))
    }),
    Row::new("E15", "plain settings", settings),
];

fn live<'a>(view: &View<'a>) -> Result<&'a Value, Unknown> {
    let answer = view.fact("task definition")?;
    Ok(answer.pointer(CONTAINER).unwrap_or(&Value::Null))
}

fn container(view: &View<'_>, expected: impl ToString, pointer: &str) -> Result<Finding, Unknown> {
    let actual = text(live(view)?, pointer);
    Ok(shaped(view, Finding::same(expected, actual)))
}

/// A revision cannot be changed. Where it is not the one that should run, the way out is that one; else another one of the
/// declared shape, with the image that runs.
fn shaped(view: &View<'_>, finding: Finding) -> Finding {
    let finding = match release::way_back(view, finding) {
        Ok(finding) => return finding,
        Err(finding) => finding,
    };
    let Some(output) = view.declared.outputs.get("task_definition_shape") else {
        return finding;
    };
    let image = view
        .text("task definition", &format!("{CONTAINER}/image"))
        .unwrap_or_default();
    let pinned = image.split_once('@').map(|(_, digest)| digest.to_owned());
    let digest = pinned
        .or_else(|| view.text("released", "/Parameter/Value").ok())
        .unwrap_or_default();
    let service = &view.declared.service;
    finding.aws(format!(
        "cloudformation describe-stacks --stack-name {} --output text \
         --query \"Stacks[0].Outputs[?OutputKey=='{}'].OutputValue\" \
         | sed -E 's/@sha256:[0-9a-f]{{64}}/@{digest}/g' > shape.json\n\
         ecs register-task-definition --cli-input-json file://shape.json\n\
         ecs update-service --cluster {} --service {} --task-definition {}",
        output.stack, output.key, service.cluster, service.name, view.declared.task_definition.family
    ))
}

fn newest(view: &View<'_>) -> Result<Finding, Unknown> {
    let runs = view.text("service", "/services/0/taskDefinition")?;
    let newest = view.text("revisions", "/taskDefinitionArns/0")?;
    let status = view.text("task definition", "/taskDefinition/status")?;
    // CloudFormation registers one of its own when it first updates the stack after a release, with the released image.
    // Nobody runs it until an update changes the service.
    let of_stack = view.output("task_definition_arn").ok();
    let expected = if of_stack.as_ref() == Some(&newest) {
        &newest
    } else {
        &runs
    };
    let finding = Finding::same(format!("{expected} ACTIVE"), format!("{newest} {status}"));
    let meant = view.facts.ledger().ok();
    let meant = meant.as_ref().and_then(|ledger| ledger.meant(view.digest));
    let is_meant = meant.is_some_and(|meant| meant.revision.as_ref() == Some(&newest));
    Ok(if newest == runs {
        shaped(view, finding)
    } else if is_meant {
        finding.or_do("see B3: the newest is the one that should run")
    } else {
        finding.aws(format!(
            "ecs deregister-task-definition --task-definition {newest}"
        ))
    })
}

fn pinned(view: &View<'_>) -> Result<Finding, Unknown> {
    let containers = list_at(
        view.fact("task definition")?,
        "/taskDefinition/containerDefinitions",
    );
    let images: Vec<_> = containers.map(|container| text(container, "/image")).collect();
    let is_pinned = |image: &String| {
        image.split_once("@sha256:").is_some_and(|(_, digest)| {
            digest.len() == 64
                && digest
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let all = !images.is_empty() && images.iter().all(is_pinned);
    Ok(shaped(
        view,
        Finding::said(all, "each `repository@sha256:...`", images.join(", ")),
    ))
}

fn confinement(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.task_definition;
    let container = live(view)?;
    let dropped = list_at(container, "/linuxParameters/capabilities/drop").map(|name| text(name, ""));
    // What is not said is not so.
    let switch = |name: &str| match &*text(container, name) {
        "" => "false".to_owned(),
        said => said.to_owned(),
    };
    let said = |read_only: String, user: &str, privileged: String, dropped: Vec<String>| {
        format!(
            "read-only root {read_only}, user {user}, privileged {privileged}, without {}",
            dropped.join(" ")
        )
    };
    let expected = said(
        wanted.readonly_root_filesystem.to_string(),
        &wanted.user,
        wanted.privileged.to_string(),
        wanted.dropped_capabilities.clone(),
    );
    let actual = said(
        switch("/readonlyRootFilesystem"),
        &text(container, "/user"),
        switch("/privileged"),
        dropped.collect(),
    );
    Ok(shaped(view, Finding::same(expected, actual)))
}

fn secrets(view: &View<'_>) -> Result<Finding, Unknown> {
    let mut expected = Vec::new();
    for reference in &view.declared.task_definition.secrets {
        let arn = view.text(&format!("secret/{}", reference.secret), "/ARN")?;
        expected.push(format!("{} from {arn}", reference.setting));
    }
    let container = live(view)?;
    let mut actual: Vec<_> = list_at(container, "/secrets")
        .map(|secret| format!("{} from {}", text(secret, "/name"), text(secret, "/valueFrom")))
        .collect();
    // A reference may go on behind the ARN: `:json-key:stage:version`, all of which may be empty.
    for reference in &mut actual {
        if let Some(bare) = expected
            .iter()
            .find(|bare| reference.starts_with(&format!("{bare}:")))
        {
            reference.clone_from(bare);
        }
    }
    for setting in list_at(container, "/environment") {
        let name = text(setting, "/name");
        if ["SECRET", "PASSWORD", "TOKEN_KEY"]
            .iter()
            .any(|word| name.ends_with(word))
        {
            actual.push(format!("{name} in plain text"));
        }
    }
    Ok(shaped(view, Finding::same_set(expected, actual)))
}

fn health_check(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.task_definition.health_check;
    let said = |command: String, numbers: [String; 4]| {
        let [interval, timeout, retries, start] = numbers;
        format!("{command} every {interval} s, timeout {timeout} s, {retries} times, after {start} s")
    };
    let expected = said(
        wanted.command.join(" "),
        [
            wanted.interval_seconds,
            wanted.timeout_seconds,
            wanted.retries,
            wanted.start_period_seconds,
        ]
        .map(|number| number.to_string()),
    );
    let container = live(view)?;
    let words: Vec<_> = list_at(container, "/healthCheck/command")
        .map(|word| text(word, ""))
        .collect();
    let actual = said(
        words.join(" "),
        ["interval", "timeout", "retries", "startPeriod"]
            .map(|name| text(container, &format!("/healthCheck/{name}"))),
    );
    Ok(shaped(view, Finding::same(expected, actual)))
}

/// Only what differs is said: the whole environment is long.
fn settings(view: &View<'_>) -> Result<Finding, Unknown> {
    let container = live(view)?;
    let find = |name: &str| list_at(container, "/environment").find(|setting| text(setting, "/name") == name);
    let mut expected = Vec::new();
    let mut actual = Vec::new();
    for (name, value) in &view.declared.task_definition.environment {
        // What `declared.json` cannot know is an output.
        let value = match value {
            Some(value) => value.clone(),
            None => view.output("key_arn")?,
        };
        let found = find(name).map(|setting| text(setting, "/value"));
        if found.as_ref() != Some(&value) {
            expected.push(format!("{name}={value}"));
            actual.push(found.map_or_else(|| format!("no {name}"), |found| format!("{name}={found}")));
        }
    }
    for setting in list_at(container, "/environment") {
        let name = text(setting, "/name");
        // An emulator's tasks need to be told where it is, and have no role.
        if !view.declared.task_definition.environment.contains_key(&name) && !name.starts_with("AWS_") {
            actual.push(format!("{name} too"));
        }
    }
    let finding = if actual.is_empty() {
        Finding::said(true, "as declared", "as declared")
    } else {
        Finding::said(false, expected.join(", "), actual.join(", "))
    };
    Ok(shaped(view, finding))
}
