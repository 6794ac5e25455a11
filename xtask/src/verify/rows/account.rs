//! A: the account is the right one, and its stacks are whole.

use crate::release::answers;
use crate::verify::declared::Stack;
use crate::verify::facts::{Unknown, list_at, stack_fact, synthesised_fact, template_fact, text};
use crate::verify::row::{Depth, Finding, Row, View};

pub(crate) const ROWS: &[Row] = &[
    Row::new("A1", "account and region", account),
    Row::new("A2", "stacks are whole", status),
    Row::new("A3", "stacks are protected", protection),
    Row::new("A4", "the parameter has the digest of the live image", digest),
    Row::new("A5", "stacks are as their templates say", drift).from(Depth::Full),
    Row::new("A6", "templates are those of this checkout", templates),
];

fn account(view: &View<'_>) -> Result<Finding, Unknown> {
    let live = view.text("identity", "/Account")?;
    let expected = view.declared.account.id.clone().unwrap_or_else(|| live.clone());
    Ok(
        Finding::same(expected, live)
            .or_do("log in to the other account, or name its profile by `--profile`"),
    )
}

/// `shown` of each stack, as one line; the names of the stacks are known.
fn each_stack(view: &View<'_>, shown: impl Fn(&Stack) -> Result<String, Unknown>) -> Result<String, Unknown> {
    let stacks = view.declared.account.stacks.iter();
    let lines: Result<Vec<_>, _> = stacks
        .map(|stack| Ok(format!("{} {}", stack.kind, shown(stack)?)))
        .collect();
    Ok(lines?.join(", "))
}

fn live(view: &View<'_>, stack: &Stack, pointer: &str) -> Result<String, Unknown> {
    let answer = view.fact(&stack_fact(&stack.kind))?;
    let found = text(answer, pointer);
    Ok(if found.is_empty() {
        "absent".to_owned()
    } else {
        found
    })
}

fn status(view: &View<'_>) -> Result<Finding, Unknown> {
    const STATUS: &str = "/Stacks/0/StackStatus";
    let is_whole = |status: &str| matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE");
    let actual = each_stack(view, |stack| live(view, stack, STATUS))?;
    let mut broken = Vec::new();
    for stack in &view.declared.account.stacks {
        if !is_whole(&live(view, stack, STATUS)?) {
            broken.push(stack);
        }
    }
    let finding = Finding::said(
        broken.is_empty(),
        "each CREATE_COMPLETE or UPDATE_COMPLETE",
        actual,
    );
    let Some(stack) = broken.first() else {
        return Ok(finding);
    };
    Ok(match &*live(view, stack, STATUS)? {
        "absent" => finding.or_do(format!("`npx cdk deploy {}` in `infra`", stack.name)),
        "UPDATE_ROLLBACK_FAILED" => finding.aws(format!(
            "cloudformation continue-update-rollback --stack-name {}",
            stack.name
        )),
        status if status.ends_with("_IN_PROGRESS") => finding.aws(format!(
            "cloudformation wait stack-update-complete --stack-name {}",
            stack.name
        )),
        _ => finding.aws(format!(
            "cloudformation describe-stack-events --max-items 20 --stack-name {}",
            stack.name
        )),
    })
}

fn protection(view: &View<'_>) -> Result<Finding, Unknown> {
    let actual = each_stack(view, |stack| {
        live(view, stack, "/Stacks/0/EnableTerminationProtection")
    })?;
    let expected = each_stack(view, |stack| Ok(stack.termination_protection.to_string()))?;
    let mut finding = Finding::same(expected, actual);
    for stack in &view.declared.account.stacks {
        let wanted = stack.termination_protection.to_string();
        if live(view, stack, "/Stacks/0/EnableTerminationProtection")? != wanted {
            let option = if stack.termination_protection {
                "enable"
            } else {
                "no-enable"
            };
            finding = finding.aws(format!(
                "cloudformation update-termination-protection --{option}-termination-protection --stack-name {}",
                stack.name
            ));
        }
    }
    Ok(finding)
}

fn digest(view: &View<'_>) -> Result<Finding, Unknown> {
    let name = &view.declared.parameters.image_digest;
    let image = view.text("task definition", "/taskDefinition/containerDefinitions/0/image")?;
    let running = image.split_once('@').map_or(image.as_str(), |(_, digest)| digest);
    let parameter = view.text("released", "/Parameter/Value")?;
    Ok(Finding::same(running, parameter).aws(format!(
        "ssm put-parameter --overwrite --type String --name {name} --value {running}"
    )))
}

fn templates(view: &View<'_>) -> Result<Finding, Unknown> {
    let mut off = Vec::new();
    for stack in &view.declared.account.stacks {
        let wanted = view.fact(&synthesised_fact(&stack.kind))?;
        match answers::template(view.fact(&template_fact(&stack.kind))?) {
            Some(live) if live == *wanted => {}
            Some(_) => off.push(format!("{} differs", stack.kind)),
            None => off.push(format!("{} absent", stack.kind)),
        }
    }
    let environment = &view.declared.environment;
    let actual = if off.is_empty() {
        "each the same".to_owned()
    } else {
        off.join(", ")
    };
    Ok(
        Finding::said(off.is_empty(), "each the same", actual).or_do(format!(
            "from a checkout of what should be there: `cargo xtask deploy --env {environment} --infra-only \
         --token-file FILE`; what it would change: `cargo xtask diff --env {environment}`"
        )),
    )
}

fn drift(view: &View<'_>) -> Result<Finding, Unknown> {
    let mut changed = Vec::new();
    let mut not_seen = Vec::new();
    for stack in &view.declared.account.stacks {
        let answer = view.fact(&format!("drift/{}", stack.kind))?;
        let why = text(answer, "/NotSeen");
        if !why.is_empty() {
            not_seen.push(format!("{}: {why}", stack.name));
        }
        for resource in list_at(answer, "/StackResourceDrifts") {
            let paths: Vec<_> = list_at(resource, "/PropertyDifferences")
                .map(|difference| text(difference, "/PropertyPath"))
                .collect();
            // Which revision runs and how many of it are not CloudFormation's to say.
            let is_of_release = text(resource, "/ResourceType") == "AWS::ECS::Service"
                && paths
                    .iter()
                    .all(|path| matches!(&**path, "/TaskDefinition" | "/DesiredCount"));
            let name = format!("{}/{}", stack.name, text(resource, "/LogicalResourceId"));
            match &*text(resource, "/StackResourceDriftStatus") {
                "DELETED" => changed.push(format!("{name} deleted")),
                "MODIFIED" if !is_of_release => changed.push(format!("{name} {}", paths.join(" "))),
                _ => {}
            }
        }
    }
    if changed.is_empty() && !not_seen.is_empty() {
        return Err(Unknown {
            reason: not_seen.join("; "),
            hint: "let the role read what it names: `infra/lib/construct/read-actions.ts`".to_owned(),
        });
    }
    Ok(Finding::said(
        changed.is_empty(),
        "nothing changed by hand",
        changed.join(", "),
    ))
}
