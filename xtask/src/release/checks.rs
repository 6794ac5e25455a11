//! What must hold before a release changes anything, each with a way out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::Account;
use super::answers::{Brief, Stack};
use super::ledger::{Ledger, Status};
use super::shape;
use super::stacks;
use super::work::{Report, Work};
use crate::ui::{self, Mark};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Holds,
    /// Worth knowing.
    Note,
    /// Nothing is done before this is repaired.
    Broken,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What it is about.
    pub(crate) what: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) said: String,
    /// What to do; may be empty.
    pub(crate) hint: String,
}

impl Check {
    fn holds(what: &'static str, said: impl Into<String>) -> Self {
        Self::new(what, Verdict::Holds, said, "")
    }

    fn note(what: &'static str, said: impl Into<String>) -> Self {
        Self::new(what, Verdict::Note, said, "")
    }

    fn broken(what: &'static str, said: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(what, Verdict::Broken, said, hint)
    }

    fn new(what: &'static str, verdict: Verdict, said: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what,
            verdict,
            said: said.into(),
            hint: hint.into(),
        }
    }

    /// Says it.
    pub(crate) fn tell(&self) {
        let mark = match self.verdict {
            Verdict::Holds => Mark::Ok,
            Verdict::Note => Mark::Run,
            Verdict::Broken => Mark::Fail,
        };
        ui::step(mark, format_args!("{}: {}", self.what, self.said));
        if !self.hint.is_empty() {
            ui::detail(&self.hint);
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Holds => "holds",
            Verdict::Note => "note",
            Verdict::Broken => "broken",
        };
        json!({ "what": self.what, "verdict": verdict, "said": self.said, "hint": self.hint })
    }
}

/// Account, region and stacks: what is needed before anything is built.
pub(crate) fn of_account(account: &Account<'_>) -> anyhow::Result<Vec<Check>> {
    let declared = account.declared;
    let live = account.id()?;
    let identity = match &declared.account.id {
        Some(wanted) if *wanted != live => Check::broken(
            "account",
            format!("the credentials are of {live}, the environment is in {wanted}"),
            "log in to the other account, or name its profile by `--profile`",
        ),
        _ => Check::holds("account", format!("{live} in {}", declared.account.region)),
    };
    let mut checks = vec![identity];
    checks.extend(of_stacks(account, &account.stacks()?));
    Ok(checks)
}

/// Each stack can be deployed to, is not there yet, or can be waited for.
pub(crate) fn of_stacks(account: &Account<'_>, all: &BTreeMap<String, Stack>) -> Vec<Check> {
    let mut checks = Vec::new();
    for stack in &account.declared.account.stacks {
        let Some(live) = all.get(&stack.name).filter(|live| !live.is_absent()) else {
            checks.push(Check::note("stack", format!("{} is not there yet", stack.name)));
            continue;
        };
        if live.is_whole() {
            checks.push(Check::holds("stack", format!("{} {}", stack.name, live.status)));
        } else if live.is_busy() {
            checks.push(Check::note("stack", format!("{} is {}", stack.name, live.status)));
        } else {
            let reason = if live.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", live.reason)
            };
            checks.push(Check::broken(
                "stack",
                format!("{} is {}{reason}", stack.name, live.status),
                stacks::way_out(account, stack, live),
            ));
        }
    }
    checks
}

/// Secrets that tasks start with: there, with a value, and readable by the role that starts them. No value is read.
pub(crate) fn of_secrets(account: &Account<'_>, execution_role: Option<&str>) -> anyhow::Result<Vec<Check>> {
    const WHAT: &str = "secrets";
    let mut checks = Vec::new();
    let mut arns = Vec::new();
    for name in &account.declared.secrets.names {
        let put = format!("secretsmanager put-secret-value --secret-id {name} --secret-string file://FILE");
        match account.secret(name)? {
            None => checks.push(Check::broken(
                WHAT,
                format!("{name} is not there"),
                format!(
                    "the data stack makes it, in `infra`: `npx cdk deploy {}/data`",
                    account.declared.environment
                ),
            )),
            Some(secret) if secret.is_deleted => {
                let restore = format!("secretsmanager restore-secret --secret-id {name}");
                checks.push(Check::broken(
                    WHAT,
                    format!("{name} is scheduled for deletion"),
                    account.typed(&restore),
                ));
            }
            Some(secret) if !secret.has_value => {
                checks.push(Check::broken(
                    WHAT,
                    format!("{name} has no value"),
                    account.typed(&put),
                ));
            }
            Some(secret) => arns.push(secret.arn),
        }
    }
    if !checks.is_empty() {
        return Ok(checks);
    }
    let Some(role) = execution_role.filter(|role| !role.is_empty()) else {
        return Ok(vec![Check::holds(WHAT, "each has a value")]);
    };
    let denied = account.denied_secrets(role, &arns);
    Ok(vec![match denied {
        Some(denied) if denied.is_empty() => {
            Check::holds(WHAT, "each has a value, and the execution role may read it")
        }
        Some(denied) => Check::broken(
            WHAT,
            format!("the execution role may not read {}", denied.join(", ")),
            "`npx cdk deploy` of the service stack puts the policy of the role back",
        ),
        None => Check::note(
            WHAT,
            "each has a value; whether the execution role may read it could not be asked",
        ),
    }])
}

/// No deployment is under way that is not the one to go on with.
pub(crate) fn of_open_deployment(account: &Account<'_>, ledger: &Ledger) -> anyhow::Result<Check> {
    const WHAT: &str = "open deployment";
    let ours = ledger
        .head()
        .filter(|head| matches!(head.status, Status::Pending | Status::Failed))
        .and_then(|head| head.revision.clone());
    let open = account.deployments()?.into_iter().find(Brief::is_open);
    let Some(open) = open else {
        return Ok(Check::holds(WHAT, "none"));
    };
    let revision = account.task_definition_of(&open.target)?;
    if ours.as_ref() == Some(&revision) {
        return Ok(Check::note(WHAT, "that of an unfinished release"));
    }
    let stop = format!(
        "ecs stop-service-deployment --stop-type ROLLBACK --service-deployment-arn {}",
        open.arn
    );
    Ok(Check::broken(
        WHAT,
        format!("{} to {revision}, which is not in the ledger", open.status),
        format!(
            "somebody moved the service by hand; wait for it (`cargo xtask wait --env {}`), or stop it: `{}`",
            account.declared.environment,
            account.typed(&stop)
        ),
    ))
}

/// I1: what CloudFormation would start is what is released. I2: its images are pinned.
pub(crate) fn of_newest_revision(account: &Account<'_>, ledger: &Ledger) -> anyhow::Result<Vec<Check>> {
    const WHAT: &str = "newest revision";
    let Some(newest) = account.newest_revision()? else {
        return Ok(vec![Check::note(WHAT, "none yet")]);
    };
    let Some(revision) = account.revision(&newest)? else {
        return Ok(vec![Check::note(WHAT, "none yet")]);
    };
    let mut checks = Vec::new();
    let loose: Vec<String> = revision
        .images()
        .into_iter()
        .filter(|image| shape::digest_of(image).is_err())
        .collect();
    let deregister = account.typed(&format!(
        "ecs deregister-task-definition --task-definition {newest}"
    ));
    if !loose.is_empty() {
        checks.push(Check::broken(
            "pinned images",
            format!("{newest} names {}", loose.join(", ")),
            format!("whoever registered it did not pin its image by digest: `{deregister}`"),
        ));
    }
    let service = account.service()?;
    let runs = service.is_some_and(|service| service.revision == newest);
    let is_known = ledger
        .entries
        .iter()
        .any(|entry| entry.revision.as_deref() == Some(&*newest));
    // An interrupted run registered it and did not come to write it down.
    let is_begun = ledger.head().is_some_and(|head| {
        head.status == Status::Pending && revision.tags.get("fingerprint") == Some(&head.fingerprint)
    });
    let released = account.parameter(&account.declared.parameters.image_digest)?;
    let is_of_stack = released.is_some_and(|digest| {
        revision
            .images()
            .iter()
            .any(|image| image.ends_with(&format!("@{digest}")))
    });
    checks.push(if runs {
        Check::holds(WHAT, "is the one that runs")
    } else if is_known || is_begun {
        Check::note(WHAT, format!("{newest} is of an unfinished release"))
    } else if is_of_stack {
        Check::holds(WHAT, "CloudFormation's, with the released image")
    } else {
        Check::broken(
            WHAT,
            format!("{newest} is neither released nor made by CloudFormation"),
            format!(
                "the next change of the stack could start it; if nobody is at work on it: `{deregister}`"
            ),
        )
    });
    Ok(checks)
}

/// I4: there is a way back. Only the nearest is a must: without it a failed release could not be taken away.
pub(crate) fn of_way_back(work: &Work<'_>, ledger: &Ledger) -> anyhow::Result<Check> {
    const WHAT: &str = "way back";
    let mut usable = 0;
    let mut lost = Vec::new();
    for (place, entry) in ledger.deployable().enumerate() {
        match work.unusable(entry)? {
            None => usable += 1,
            Some(why) if place == 0 => {
                return Ok(Check::broken(
                    WHAT,
                    format!(
                        "release {}, which runs, could not be started again: {why}",
                        entry.name()
                    ),
                    "tasks that stop now are not replaced; push the image again, or restore the secret, first",
                ));
            }
            Some(why) => lost.push(format!("{} ({why})", entry.name())),
        }
    }
    Ok(match (usable, lost.is_empty()) {
        (0, _) => Check::note(WHAT, "none: this is the first release"),
        (_, true) => Check::holds(WHAT, format!("{usable} verified releases could run again")),
        (_, false) => Check::note(
            WHAT,
            format!(
                "{usable} verified releases could run again, but not {}",
                lost.join(", ")
            ),
        ),
    })
}

/// What must hold for the service, before anything moves.
pub(crate) fn preflight(work: &Work<'_>) -> anyhow::Result<Option<Report>> {
    let account = work.account;
    let ledger = Ledger::read(account)?;
    let mut checks = vec![of_open_deployment(account, &ledger)?];
    checks.extend(of_newest_revision(account, &ledger)?);
    checks.push(of_way_back(work, &ledger)?);
    checks.extend(of_secrets(account, None)?);
    checks.iter().for_each(Check::tell);
    Ok(broken(&checks))
}

/// The answer when a check does not hold.
pub(crate) fn broken(checks: &[Check]) -> Option<Report> {
    let broken: Vec<&Check> = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Broken)
        .collect();
    let first = broken.first()?;
    let what = broken
        .iter()
        .map(|check| format!("{}: {}", check.what, check.said))
        .collect::<Vec<_>>()
        .join("; ");
    ui::step(Mark::Fail, "nothing was changed");
    Some(Report::refused(what, first.hint.clone(), None))
}
