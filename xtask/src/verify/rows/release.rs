//! What the ledger of releases says about the service, and whether its releases could run again.

use std::collections::BTreeSet;

use super::service::{existing, update};
use crate::release::ledger::{self, Entry, Ledger, Status};
use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Finding, View};

/// B3.
pub(crate) fn revision(view: &View<'_>) -> Result<Finding, Unknown> {
    let runs = text(existing(view)?, "/services/0/taskDefinition");
    let ledger = view.facts.ledger()?;
    let known = ledger.of_revision(&runs);
    let actual = match known {
        None => format!("{runs}, which is no release"),
        Some(entry) if entry.status == Status::Verified => shown(entry),
        Some(entry) => format!("{}, {}", shown(entry), entry.status.word()),
    };
    let Some(meant) = ledger.meant(view.digest) else {
        // What CloudFormation started is as good as anything before the first release.
        let finding = Finding::said(known.is_none(), "no release, as none is verified", actual);
        return Ok(finding.or_do(if is_unfinished(&ledger, known) {
            resume(view)
        } else {
            let environment = &view.declared.environment;
            format!("deploy one that is good: `cargo xtask deploy --env {environment} --token-file FILE`")
        }));
    };
    let holds = meant.revision.as_deref() == Some(&*runs);
    let actual = if holds { shown(meant) } else { actual };
    let finding = Finding::said(holds, shown(meant), actual);
    Ok(back_to(view, &ledger, meant, &runs, finding))
}

/// With the way back to the revision that should run. `Err`: it runs, or nobody knows of one.
pub(crate) fn way_back(view: &View<'_>, finding: Finding) -> Result<Finding, Finding> {
    let (Ok(service), Ok(ledger)) = (existing(view), view.facts.ledger()) else {
        return Err(finding);
    };
    let runs = text(service, "/services/0/taskDefinition");
    match ledger.meant(view.digest) {
        Some(meant) if meant.revision.as_ref() != Some(&runs) => {
            Ok(back_to(view, &ledger, meant, &runs, finding))
        }
        _ => Err(finding),
    }
}

/// The revision `runs` is there, and that of `meant` should be.
fn back_to(view: &View<'_>, ledger: &Ledger, meant: &Entry, runs: &str, finding: Finding) -> Finding {
    let known = ledger.of_revision(runs);
    let revision = meant
        .revision
        .as_ref()
        .filter(|_| meant.status == Status::Verified && !is_unfinished(ledger, known));
    let Some(revision) = revision else {
        return finding.or_do(resume(view));
    };
    let back = update(view, &format!("--task-definition {revision}"));
    let is_of_stack = view
        .output("task_definition_arn")
        .is_ok_and(|of_stack| of_stack == runs);
    finding.aws(match known {
        Some(_) => back,
        None if is_of_stack => back,
        None => format!("{back}\necs deregister-task-definition --task-definition {runs}"),
    })
}

/// E9.
pub(crate) fn tags(view: &View<'_>) -> Result<Finding, Unknown> {
    let answer = view.fact("task definition")?;
    let ledger = view.facts.ledger()?;
    let Some(meant) = ledger.meant(view.digest) else {
        let none = "those of no release, as none is verified";
        return Ok(Finding::said(true, none, none));
    };
    let mut wanted = vec![
        ("release", meant.release.to_string()),
        ("digest", meant.digest.clone()),
    ];
    if !meant.sha.is_empty() {
        wanted.push(("sha", meant.sha.clone()));
    }
    let live = |key: &str| {
        let tag = list_at(answer, "/tags").find(|tag| text(tag, "/key") == key);
        tag.map_or_else(|| "nothing".to_owned(), |tag| text(tag, "/value"))
    };
    let said = |value: &dyn Fn(&str, &str) -> String| {
        let pairs = wanted
            .iter()
            .map(|(key, wanted)| format!("{key} {}", value(key, wanted)));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let finding = Finding::same(said(&|_, wanted| wanted.to_owned()), said(&|key, _| live(key)));
    let runs = text(answer, "/taskDefinition/taskDefinitionArn");
    if meant.revision.as_deref() != Some(&*runs) {
        return Ok(finding.or_do("see B3: it is the revision of another release"));
    }
    let tags: Vec<String> = wanted
        .iter()
        .map(|(key, value)| format!("key={key},value={value}"))
        .collect();
    Ok(finding.aws(format!(
        "ecs tag-resource --resource-arn {runs} --tags {}",
        tags.join(" ")
    )))
}

/// E10.
pub(crate) fn revisions(view: &View<'_>) -> Result<Finding, Unknown> {
    let answer = view.fact("revisions")?;
    let ledger = view.facts.ledger()?;
    let active: BTreeSet<String> = list_at(answer, "/taskDefinitionArns")
        .map(|arn| text(arn, ""))
        .collect();
    let lost: Vec<&Entry> = ledger
        .deployable()
        .filter(|entry| {
            let revision = entry.revision.as_ref();
            revision.is_none_or(|revision| !active.contains(revision))
        })
        .collect();
    if !lost.is_empty() && !text(answer, "/NextToken").is_empty() {
        return Err(Unknown {
            reason: format!("{} active revisions hide those before them", active.len()),
            hint: "deregister those that no release has: `aws ecs deregister-task-definition`".to_owned(),
        });
    }
    let expected = each_active(ledger.deployable());
    let actual = if lost.is_empty() {
        expected.clone()
    } else {
        let lost: Vec<String> = lost.iter().map(|entry| shown(entry)).collect();
        format!("not ACTIVE: {}", lost.join("; "))
    };
    Ok(Finding::said(lost.is_empty(), expected, actual).or_do(out_of_reach(view, &ledger, &lost)))
}

/// F2.
pub(crate) fn images(view: &View<'_>) -> Result<Finding, Unknown> {
    let ledger = view.facts.ledger()?;
    let expected = each_active(ledger.rollback_set());
    if ledger.rollback_set().next().is_none() {
        return Ok(Finding::said(true, expected.clone(), expected));
    }
    let answer = view.fact("images")?;
    let names = |entries: &[&Entry]| {
        entries
            .iter()
            .map(|entry| entry.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if answer.is_null() {
        // The registry answers for all of them or, where one is gone, for none.
        let all: Vec<&Entry> = ledger.rollback_set().collect();
        let actual = format!("gone: at least one of {}", names(&all));
        return Ok(Finding::said(false, expected, actual).or_do(out_of_reach(view, &ledger, &all)));
    }
    let status = |entry: &&Entry| {
        let image =
            list_at(answer, "/imageDetails").find(|image| text(image, "/imageDigest") == entry.digest);
        image.map(|image| text(image, "/imageStatus"))
    };
    let (gone, kept): (Vec<&Entry>, Vec<&Entry>) =
        ledger.rollback_set().partition(|entry| status(entry).is_none());
    let is_available = |status: &str| matches!(status, "" | "ACTIVE");
    let archived: Vec<&Entry> = kept
        .into_iter()
        .filter(|entry| status(entry).is_some_and(|status| !is_available(&status)))
        .collect();
    let mut off = Vec::new();
    for (what, entries) in [("gone", &gone), ("not ACTIVE", &archived)] {
        if !entries.is_empty() {
            off.push(format!("{what}: {}", names(entries)));
        }
    }
    let actual = if off.is_empty() {
        expected.clone()
    } else {
        off.join("; ")
    };
    let finding = Finding::said(off.is_empty(), expected, actual);
    if archived.is_empty() {
        return Ok(finding.or_do(out_of_reach(view, &ledger, &gone)));
    }
    let digests: BTreeSet<&str> = archived.iter().map(|entry| &*entry.digest).collect();
    let restore: Vec<String> = digests
        .iter()
        .map(|digest| super::images::restore(view, digest))
        .collect();
    Ok(finding.aws(restore.join("\n")))
}

fn shown(entry: &Entry) -> String {
    let revision = entry.revision.as_deref().unwrap_or("not registered yet");
    format!("release {}, {revision}", entry.name())
}

fn each_active<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let names: Vec<String> = entries.map(Entry::name).collect();
    if names.is_empty() {
        "there is none".to_owned()
    } else {
        format!("ACTIVE: {}", names.join(", "))
    }
}

/// Whether it is a release that the next run goes on with. A rollback that failed is nobody's to go on with.
fn is_unfinished(ledger: &Ledger, entry: Option<&Entry>) -> bool {
    let head = ledger.head().filter(|head| match head.status {
        Status::Pending => true,
        Status::Failed => head.copy_of.is_none(),
        Status::Verified | Status::RolledBack | Status::Superseded => false,
    });
    head.zip(entry)
        .is_some_and(|(head, entry)| head.release == entry.release)
}

fn resume(view: &View<'_>) -> String {
    let environment = &view.declared.environment;
    format!(
        "`cargo xtask deploy --env {environment} --resume --token-file FILE`, which finishes it or takes it back"
    )
}

/// What is lost does not come back under its number. The release that runs must stay in the ledger.
fn out_of_reach(view: &View<'_>, ledger: &Ledger, lost: &[&Entry]) -> String {
    let environment = &view.declared.environment;
    let current = ledger.current().map(|current| current.release);
    if let Some(current) = current.filter(|current| lost.iter().any(|entry| entry.release == *current)) {
        return format!(
            "`cargo xtask rollback --env {environment} --to {current} --token-file FILE`, which registers it again"
        );
    }
    let names: Vec<String> = lost
        .iter()
        .map(|entry| ledger::name(view.declared, entry.release))
        .collect();
    format!(
        "which of them can still be gone back to: `cargo xtask rollback --env {environment} --list`; \
         that nobody counts on the others: `aws ssm delete-parameters --names {}`",
        names.join(" ")
    )
}
