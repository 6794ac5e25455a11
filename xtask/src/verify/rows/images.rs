//! F and G: what the next start of a task needs: the image, the secrets, and roles that may read them.

use serde_json::Value;

use super::release;
use crate::release::answers::decisions;
use crate::verify::facts::{Unknown, list_at, seconds, text};
use crate::verify::row::{Depth, Finding, Row, View};

/// What `release.yml` attaches to an image: attestations as Sigstore bundles, which are signed, one to the artifact.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.";
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const ATTESTED: [(&str, &str); 2] = [
    ("provenance", "https://slsa.dev/provenance/v1"),
    ("SBOM", "https://cyclonedx.org/bom"),
];

pub(crate) const ROWS: &[Row] = &[
    Row::new("F1", "the released image is there", |view| {
        let digest = view.text("released", "/Parameter/Value")?;
        let image = view.fact("image")?;
        let found = text(image, "/imageDetails/0/imageDigest");
        let status = match &*text(image, "/imageDetails/0/imageStatus") {
            "" => "ACTIVE".to_owned(),
            other => other.to_owned(),
        };
        let finding = Finding::same(format!("{digest} ACTIVE"), format!("{found} {status}").trim());
        Ok(if found.is_empty() {
            finding.or_do(
                "build the released commit again and push it: tasks that are lost now do not come back",
            )
        } else {
            finding.aws(restore(view, &digest))
        })
    }),
    Row::new("F2", "the images of the last releases are there", release::images),
    Row::new("F3", "tags never move", |view| {
        let registry = &view.declared.registry;
        let actual = view.text("repository", "/repositories/0/imageTagMutability")?;
        Ok(Finding::same(&registry.tag_mutability, actual).aws(format!(
            "ecr put-image-tag-mutability --repository-name {} --image-tag-mutability {}",
            registry.repository, registry.tag_mutability
        )))
    }),
    Row::new("F4", "images are scanned", |view| {
        let registry = &view.declared.registry;
        let pointer = "/repositories/0/imageScanningConfiguration/scanOnPush";
        Ok(Finding::same(registry.scan_on_push, view.text("repository", pointer)?).aws(format!(
            "ecr put-image-scanning-configuration --repository-name {} --image-scanning-configuration scanOnPush={}",
            registry.repository, registry.scan_on_push
        )))
    }),
    Row::new("F5", "the scan found nothing critical", scan),
    Row::new("F6", "no image with a tag expires", lifecycle),
    // A release from a terminal is attested by nobody and may be urgent: it is found at night, and not by its own gate.
    Row::new(
        "F7",
        "the released image has signed provenance and SBOM",
        attested,
    )
    .from(Depth::Full),
];

pub(crate) const SECRETS: &[Row] = &[
    Row::new("G1", "every secret has a value and stays", values),
    Row::new("G2", "the execution role may read the secrets", |view| {
        may(view, "execution role may", "allowed", "executionRoleArn")
    }),
    Row::new("G3", "tasks have the newest values", newest_values),
    Row::new("G4", "who may become the deploy role", trust),
    Row::new("G5", "the task role may not deploy", |view| {
        may(view, "task role may", "implicitDeny", "taskRoleArn")
    }),
];

/// The command that makes an archived image one that tasks can pull.
pub(crate) fn restore(view: &View<'_>, digest: &str) -> String {
    let repository = &view.declared.registry.repository;
    format!(
        "ecr update-image-storage-class --repository-name {repository} --image-id imageDigest={digest} \
         --target-storage-class STANDARD"
    )
}

fn lifecycle(view: &View<'_>) -> Result<Finding, Unknown> {
    let registry = &view.declared.registry;
    let policy = view.text("lifecycle", "/lifecyclePolicyText")?;
    let policy: Value = serde_json::from_str(&policy).unwrap_or_default();
    let rules = list_at(&policy, "/rules").map(|rule| {
        let at = |name: &str| text(rule, &format!("/selection/{name}"));
        format!("{} after {} days", at("tagStatus"), at("countNumber"))
    });
    let days = registry.untagged_expiry_days;
    let rule = format!(
        r#"{{"rules":[{{"rulePriority":1,"selection":{{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":{days}}},"action":{{"type":"expire"}}}}]}}"#
    );
    Ok(
        Finding::same_set([format!("untagged after {days} days")], rules).aws(format!(
            "ecr put-lifecycle-policy --repository-name {} --lifecycle-policy-text '{rule}'",
            registry.repository
        )),
    )
}

/// An image on the empty base has no packages of an operating system, and ECR says of it that it cannot be scanned: what
/// is in the binary, `nightly.yml` looks at.
fn scan(view: &View<'_>) -> Result<Finding, Unknown> {
    const EXPECTED: &str = "0 critical, scanned";
    if list_at(view.fact("image")?, "/imageDetails").next().is_none() {
        return Ok(Finding::said(true, EXPECTED, "no image, see F1"));
    }
    let scan = view.fact("scan")?;
    let (status, why) = (
        text(scan, "/imageScanStatus/status"),
        text(scan, "/imageScanStatus/description"),
    );
    let critical = text(scan, "/imageScanFindings/findingSeverityCounts/CRITICAL");
    let critical = if critical.is_empty() { "0" } else { &critical };
    let has_nothing_to_scan = status == "UNSUPPORTED_IMAGE" || why.starts_with("UnsupportedImageError");
    let is_done = has_nothing_to_scan || matches!(&*status, "COMPLETE" | "ACTIVE");
    let actual = match &*status {
        "" => "not scanned".to_owned(),
        _ if has_nothing_to_scan => "no packages that ECR can scan".to_owned(),
        _ if is_done || why.is_empty() => format!("{critical} critical{}, scan {status}", names(scan)),
        _ => format!("scan {status}: {why}"),
    };
    let finding = Finding::said(is_done && critical == "0", EXPECTED, actual);
    let repository = &view.declared.registry.repository;
    let image = view.text("released", "/Parameter/Value")?;
    let of_image = format!("--repository-name {repository} --image-id imageDigest={image}");
    Ok(match &*status {
        _ if is_done => {
            finding.or_do("raise what has it, in the base of the image or in the binary, and release again")
        }
        "IN_PROGRESS" | "PENDING" => finding.aws(format!("ecr wait image-scan-complete {of_image}")),
        _ => finding.aws(format!("ecr start-image-scan {of_image}")),
    })
}

/// What is critical, by the names of basic and of enhanced scanning.
fn names(scan: &Value) -> String {
    let findings = ["findings", "enhancedFindings"]
        .into_iter()
        .flat_map(|kind| list_at(scan, &format!("/imageScanFindings/{kind}")))
        .filter(|finding| text(finding, "/severity") == "CRITICAL");
    let names: Vec<_> = findings
        .map(|finding| {
            ["/name", "/packageVulnerabilityDetails/vulnerabilityId"]
                .map(|pointer| text(finding, pointer))
                .concat()
        })
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" ({})", names.join(", "))
}

/// Who signed is verified before a deploy, by `release.yml`; this is about what others can still verify.
fn attested(view: &View<'_>) -> Result<Finding, Unknown> {
    let expected = "signed provenance, signed SBOM";
    if view.declared.secrets.deploy_role.is_none() {
        let nobody = "no pipeline that attests";
        return Ok(Finding::said(true, nobody, nobody));
    }
    let referrers: Vec<_> = list_at(view.fact("referrers")?, "/referrers").collect();
    let is_attached = |predicate: &str| {
        referrers.iter().any(|referrer| {
            let annotations = referrer.get("annotations");
            text(referrer, "/artifactType").starts_with(BUNDLE)
                && annotations.and_then(|all| all.get(PREDICATE)?.as_str()) == Some(predicate)
        })
    };
    let missing: Vec<_> = ATTESTED
        .iter()
        .filter(|(_, predicate)| !is_attached(predicate))
        .map(|(name, _)| format!("no {name}"))
        .collect();
    let actual = if missing.is_empty() {
        expected.to_owned()
    } else {
        format!("{} among {} referrers", missing.join(", "), referrers.len())
    };
    Ok(Finding::said(missing.is_empty(), expected, actual).or_do(
        "release a commit of main by the pipeline, which attests what it builds: `gh workflow run deploy.yml`",
    ))
}

fn values(view: &View<'_>) -> Result<Finding, Unknown> {
    let mut offences = Vec::new();
    let mut fix = String::new();
    for name in &view.declared.secrets.names {
        let secret = view.fact(&format!("secret/{name}"))?;
        let stages = secret.pointer("/VersionIdsToStages").and_then(Value::as_object);
        let is_current = stages.is_some_and(|versions| {
            versions
                .values()
                .any(|stages| list_at(stages, "").any(|stage| stage == "AWSCURRENT"))
        });
        if !text(secret, "/DeletedDate").is_empty() {
            offences.push(format!("{name} is to be deleted"));
            fix = format!("secretsmanager restore-secret --secret-id {name}");
        } else if !is_current {
            offences.push(format!("{name} has no value"));
            fix = format!(
                "secretsmanager put-secret-value --secret-id {name} --secret-string file:///dev/stdin"
            );
        }
    }
    let actual = if offences.is_empty() {
        "a value each".to_owned()
    } else {
        offences.join(", ")
    };
    Ok(Finding::said(offences.is_empty(), "a value each", actual).aws(fix))
}

fn may(view: &View<'_>, fact: &str, wanted: &str, role: &str) -> Result<Finding, Unknown> {
    // Both kinds of denial deny.
    let said = |decision: String| {
        if decision == "explicitDeny" {
            "implicitDeny".to_owned()
        } else {
            decision
        }
    };
    let results: Vec<_> = list_at(view.fact(fact)?, "/EvaluationResults").collect();
    let off: Vec<_> = results
        .iter()
        .flat_map(|result| {
            let action = text(result, "/EvalActionName");
            decisions(result)
                .into_iter()
                .map(move |(_, decision)| (action.clone(), decision))
        })
        .filter(|(_, decision)| said(decision.clone()) != wanted)
        .map(|(action, decision)| format!("{action} {decision}"))
        .collect();
    let role = view.text("task definition", &format!("/taskDefinition/{role}"))?;
    let name = role.rsplit('/').next().unwrap_or_default().to_owned();
    let holds = off.is_empty() && !results.is_empty();
    let actual = if off.is_empty() && holds {
        wanted.to_owned()
    } else {
        off.join(", ")
    };
    Ok(Finding::said(holds, wanted, actual).aws(format!("iam list-role-policies --role-name {name}")))
}

fn newest_values(view: &View<'_>) -> Result<Finding, Unknown> {
    let started =
        list_at(view.fact("tasks")?, "/tasks").filter_map(|task| seconds(task.pointer("/startedAt")?));
    let oldest = started.fold(f64::INFINITY, f64::min);
    let mut newer = Vec::new();
    for name in &view.declared.secrets.names {
        let changed = view
            .fact(&format!("secret/{name}"))?
            .pointer("/LastChangedDate")
            .and_then(seconds);
        if changed.is_some_and(|changed| changed > oldest) {
            newer.push(format!("{name} was changed since"));
        }
    }
    let service = &view.declared.service;
    let expected = "no secret changed since the oldest task started";
    let actual = if newer.is_empty() {
        expected.to_owned()
    } else {
        newer.join(", ")
    };
    Ok(Finding::said(newer.is_empty(), expected, actual).aws(format!(
        "ecs update-service --cluster {} --service {} --force-new-deployment",
        service.cluster, service.name
    )))
}

/// Each statement must bind the audience and the repository, and no value may be a bare star.
fn trust(view: &View<'_>) -> Result<Finding, Unknown> {
    let expected = "the pipeline of one repository and environment";
    let Some(role) = &view.declared.secrets.deploy_role else {
        return Ok(Finding::said(true, "no such role", "no such role"));
    };
    let answer = view.fact("deploy role")?;
    let mut loose = Vec::new();
    let statements: Vec<_> = list_at(answer, "/Role/AssumeRolePolicyDocument/Statement").collect();
    for statement in &statements {
        let conditions = text(statement, "/Condition");
        if text(statement, "/Principal/Federated").is_empty() {
            loose.push(format!("it trusts {}", text(statement, "/Principal")));
            continue;
        }
        for claim in [":aud\"", ":sub\""] {
            if !conditions.contains(claim) {
                loose.push(format!("nothing binds `{}`", claim.trim_matches([':', '"'])));
            }
        }
        if conditions.contains("\"*\"") {
            loose.push("a claim may be anything".to_owned());
        }
    }
    let holds = loose.is_empty() && !statements.is_empty();
    let actual = if holds {
        expected.to_owned()
    } else {
        loose.join(", ")
    };
    let pipeline = view
        .declared
        .account
        .stacks
        .iter()
        .find(|stack| stack.kind == "pipeline");
    let stack = pipeline.map_or("--all", |stack| &*stack.name);
    Ok(Finding::said(holds, expected, actual).or_do(format!(
        "`npx cdk deploy {stack}` in `infra`; who used it since: `aws iam get-role --role-name {role}`"
    )))
}
