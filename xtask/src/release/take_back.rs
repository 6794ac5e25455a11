//! Takes a release away again, by itself or because somebody asks.

use super::follow::{self, Ending, Follow};
use super::ledger::{self, DEPLOYABLE, Entry, Ledger, Status};
use super::shape::Candidate;
use super::time;
use super::work::{Report, Work};
use crate::problem::Problem;
use crate::ui::{self, Mark};

impl Work<'_> {
    /// Back to `to`, or to the last verified release that is another one than what runs.
    pub(crate) fn roll_back(&self, to: Option<u64>, reason: &str) -> anyhow::Result<Report> {
        let ledger = Ledger::read(self.account)?;
        let Some(head) = ledger.head().cloned() else {
            return Ok(nothing_released());
        };
        let is_copy = head.copy_of.is_some();
        match (head.status, to) {
            (Status::Pending, _) if !is_copy => return self.abandon(head, to, reason),
            // A rollback that was interrupted is what is wanted now, too.
            (Status::Pending, None) => return self.drive(head, None),
            (Status::Failed, None) if !is_copy => return self.recover(head).map(Report::wanted),
            _ => {}
        }
        let bad = bad(&ledger).cloned();
        let Some(target) = target(&ledger, to, bad.as_ref()).cloned() else {
            return Ok(no_way_back(&ledger, to));
        };
        if let Some(why) = self.unusable(&target)? {
            return self.unusable_target(&ledger, &target, &why);
        }
        if let Some(bad) = &bad {
            let mut bad = bad.clone();
            // The release that is gone to must stay deployable, and it may have the same content.
            bad.hold = bad.fingerprint != target.fingerprint;
            reason.clone_into(&mut bad.reason);
            if bad.status == Status::Pending {
                bad.status = Status::Failed;
            }
            self.expect_lock()?;
            ledger::put(self.account, &bad)?;
        }
        let undoes = bad.map(|bad| bad.release);
        Ok(self.roll_forward(&target, undoes, reason)?.wanted())
    }

    /// Where a rollback would go, and whether it could; changes nothing.
    pub(crate) fn way_back(&self, ledger: &Ledger, to: Option<u64>) -> anyhow::Result<Report> {
        let Some(head) = ledger.head() else {
            return Ok(nothing_released());
        };
        let is_unfinished = matches!(head.status, Status::Pending | Status::Failed);
        let target = if is_unfinished && to.is_none() {
            ledger.current()
        } else {
            target(ledger, to, bad(ledger))
        };
        let Some(target) = target else {
            return Ok(no_way_back(ledger, to));
        };
        if let Some(why) = self.unusable(target)? {
            return self.unusable_target(ledger, target, &why);
        }
        let what = if is_unfinished {
            format!(
                "release {} would be taken back, and {} run again",
                head.name(),
                target.name()
            )
        } else {
            format!("a copy of release {} would be deployed", target.name())
        };
        Ok(Report {
            is_done: true,
            what,
            hint: String::new(),
            entry: Some(target.clone()),
        })
    }

    /// A release that is not verified yet is not wanted any more.
    fn abandon(&self, mut head: Entry, to: Option<u64>, reason: &str) -> anyhow::Result<Report> {
        if self.is_live(&head)? {
            self.fail(&mut head, reason)?;
            if to.is_none() {
                return self.recover(head).map(Report::wanted);
            }
            // A deployment that is open is replaced by the next one.
            return self.roll_back(to, reason);
        }
        self.supersede(head)?;
        if to.is_some() {
            return self.roll_back(to, reason);
        }
        let what = "the release that was begun is given up; the service was never moved to it";
        Ok(Report {
            is_done: true,
            what: what.to_owned(),
            hint: "to go back further, run it again".to_owned(),
            entry: None,
        })
    }

    /// A failed release is replaced by the last verified one, by ECS where its deployment is still open.
    pub(super) fn recover(&self, entry: Entry) -> anyhow::Result<Report> {
        let Some(revision) = entry.revision.clone() else {
            return self.sent_back(entry);
        };
        let service = self.account.service()?;
        let is_there = service.as_ref().is_some_and(|service| service.has(&revision));
        let open = self.open_deployment(&revision)?;
        if let (Some(open), Some(before)) = (open, service.filter(|_| is_there)) {
            self.expect_lock()?;
            ui::step(Mark::Run, "asking ECS to send the open deployment back");
            self.account.send_back(&open)?;
            let follow = Follow::new(self.account, &revision, &before);
            return match follow.until_it_ends(self.pace, self.interrupt, || Ok(()))? {
                Ending::SentBack(_) => self.sent_back(entry),
                Ending::Detached | Ending::Late => {
                    Err(self.unfinished(&entry, "is being sent back by ECS").into())
                }
                Ending::Successful | Ending::Stopped(_) => self.replace(entry),
                Ending::Stuck(_) => Ok(self.stuck(entry)),
            };
        }
        if is_there {
            return self.replace(entry);
        }
        self.sent_back(entry)
    }

    /// The failed release runs: a copy of the last verified one replaces it.
    fn replace(&self, entry: Entry) -> anyhow::Result<Report> {
        let ledger = Ledger::read(self.account)?;
        let Some(target) = ledger.current().cloned() else {
            let what = format!(
                "release {} is not good ({}), and no verified release exists to go back to",
                entry.name(),
                entry.reason
            );
            let hint = "it still runs; deploy one that is good";
            return Ok(Report::refused(what, hint, Some(entry)));
        };
        if let Some(why) = self.unusable(&target)? {
            return self.unusable_target(&ledger, &target, &why);
        }
        ui::step(
            Mark::Fail,
            format_args!("release {} is not good: {}", entry.name(), entry.reason),
        );
        let back = self.roll_forward(&target, Some(entry.release), &entry.reason)?;
        if !back.is_done {
            return Ok(back);
        }
        let what = format!(
            "release {} is not good ({}); release {} runs again",
            entry.name(),
            entry.reason,
            target.name()
        );
        let entry = Entry {
            status: Status::RolledBack,
            ..entry
        };
        Ok(Report::refused(what, self.held_hint(), Some(entry)))
    }

    /// A copy of `target` becomes a new release: its revision is the newest again, so nothing moves the service on.
    fn roll_forward(&self, target: &Entry, undoes: Option<u64>, reason: &str) -> anyhow::Result<Report> {
        let ledger = Ledger::read(self.account)?;
        ui::step(
            Mark::Run,
            format_args!("rolling back to release {}", target.name()),
        );
        let entry = Entry {
            release: ledger.next(),
            status: Status::Pending,
            hold: false,
            revision: None,
            deployment: None,
            // A copy of a copy is one of the original, whose revision says where it comes from.
            copy_of: Some(target.release),
            undoes,
            reason: reason.to_owned(),
            who: self.who.name.clone(),
            run: self.who.run.clone(),
            at: time::shown((self.now)()),
            ended: None,
            ..target.clone()
        };
        self.expect_lock()?;
        ledger::create(self.account, &entry)?;
        self.drive(entry, None)
    }

    /// Neither forward nor back by itself.
    pub(super) fn stuck(&self, entry: Entry) -> Report {
        let what = format!(
            "release {} is not good ({}), and going back did not work",
            entry.name(),
            entry.reason
        );
        let hint = format!(
            "choose a release that is known to work: `cargo xtask rollback --env {0} --list`, then `--to N`; \
             what tasks say: `cargo xtask logs --env {0} --previous`",
            self.account.declared.environment
        );
        Report::refused(what, hint, Some(entry))
    }

    /// Says in the ledger that a release is not good, before anything is done about it.
    pub(super) fn fail(&self, entry: &mut Entry, why: &str) -> anyhow::Result<()> {
        entry.status = Status::Failed;
        entry.hold = entry.copy_of.is_none();
        why.clone_into(&mut entry.reason);
        ledger::put(self.account, entry)
    }

    /// A release that never reached the service makes room for another one.
    pub(super) fn supersede(&self, mut entry: Entry) -> anyhow::Result<()> {
        ui::step(
            Mark::Run,
            format_args!("release {} was begun and never ran: it is given up", entry.name()),
        );
        let revision = match &entry.revision {
            Some(revision) => Some(revision.clone()),
            None => self.placed(&entry)?,
        };
        if let Some(revision) = &revision {
            self.expect_lock()?;
            self.account.deregister(revision)?;
        }
        entry.revision = revision;
        entry.status = Status::Superseded;
        entry.ended = Some(time::shown((self.now)()));
        ledger::put(self.account, &entry)
    }

    /// Begins the release of a candidate.
    pub(super) fn begin(&self, ledger: &Ledger, candidate: &Candidate) -> anyhow::Result<Entry> {
        let entry = Entry {
            release: ledger.next(),
            status: Status::Pending,
            hold: false,
            sha: candidate.sha.clone(),
            version: candidate.version.clone(),
            digest: candidate.digest.clone(),
            image: candidate.image.clone(),
            fingerprint: candidate.fingerprint.clone(),
            revision: None,
            deployment: None,
            copy_of: None,
            undoes: None,
            reason: String::new(),
            who: self.who.name.clone(),
            run: self.who.run.clone(),
            at: time::shown((self.now)()),
            ended: None,
        };
        self.expect_lock()?;
        ledger::create(self.account, &entry)?;
        ui::step(Mark::Run, format_args!("release {}", entry.name()));
        Ok(entry)
    }

    /// Whether the service was moved to it and not away again.
    pub(super) fn is_live(&self, entry: &Entry) -> anyhow::Result<bool> {
        let Some(revision) = &entry.revision else {
            return Ok(false);
        };
        let service = self.account.service()?;
        let has_it = service.is_some_and(|service| service.has(revision));
        Ok(has_it || self.open_deployment(revision)?.is_some())
    }

    /// A deployment to `revision` that has not ended.
    fn open_deployment(&self, revision: &str) -> anyhow::Result<Option<String>> {
        let Some(arn) = follow::find(self.account, revision)? else {
            return Ok(None);
        };
        let deployments = self.account.deployments()?;
        let is_open = deployments.iter().any(|one| one.arn == arn && one.is_open());
        Ok(is_open.then_some(arn))
    }

    /// Why no service can be moved to a release, if so.
    pub(crate) fn unusable(&self, entry: &Entry) -> anyhow::Result<Option<String>> {
        let Some(arn) = &entry.revision else {
            return Ok(Some("it was never registered".to_owned()));
        };
        let Some(revision) = self.account.revision(arn)? else {
            return Ok(Some(format!("its revision `{arn}` is gone")));
        };
        match self.account.image(&entry.digest)? {
            None => return Ok(Some(format!("its image `{}` is gone", entry.digest))),
            Some(image) if !image.is_available() => {
                return Ok(Some(format!("its image `{}` is {}", entry.digest, image.status)));
            }
            Some(_) => {}
        }
        let mut roles = revision.roles().into_iter();
        if let Some(role) = roles.find(|role| self.account.is_role_gone(role)) {
            return Ok(Some(format!("its role `{role}` is gone")));
        }
        for name in revision.secrets() {
            match self.account.secret(&name)? {
                None => return Ok(Some(format!("its secret `{name}` is gone"))),
                Some(secret) if secret.is_deleted => {
                    return Ok(Some(format!("its secret `{name}` is scheduled for deletion")));
                }
                Some(secret) if !secret.has_value => {
                    return Ok(Some(format!("its secret `{name}` has no value")));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    fn unusable_target(&self, ledger: &Ledger, target: &Entry, why: &str) -> anyhow::Result<Report> {
        let mut others = Vec::new();
        for entry in ledger
            .verified()
            .filter(|entry| entry.release != target.release)
            .take(DEPLOYABLE)
        {
            if self.unusable(entry)?.is_none() {
                others.push(entry.name());
            }
        }
        let what = format!("release {} cannot run: {why}", target.name());
        let hint = if others.is_empty() {
            "no other verified release can run either: push the image again, or restore the secret".to_owned()
        } else {
            format!("these can (`--to N`): {}", others.join(", "))
        };
        Ok(Report::refused(what, hint, Some(target.clone())))
    }

    /// The answer to a candidate that is known to be bad.
    pub(super) fn held(held: &Entry) -> Report {
        let what = format!(
            "this image in this shape is held: release {} was taken back ({})",
            held.name(),
            held.reason
        );
        let hint = "deploy another one; if it was not to blame: `--despite-hold`";
        Report::refused(what, hint, Some(held.clone()))
    }

    pub(super) fn unhold(&self, ledger: &Ledger, fingerprint: &str) -> anyhow::Result<()> {
        for entry in &ledger.entries {
            if entry.hold && entry.fingerprint == fingerprint {
                let entry = Entry {
                    hold: false,
                    ..entry.clone()
                };
                ledger::put(self.account, &entry)?;
            }
        }
        Ok(())
    }

    pub(super) fn held_hint(&self) -> String {
        format!(
            "it is held, so that nobody ships it again; what its tasks said: `cargo xtask logs --env {} --previous`",
            self.account.declared.environment
        )
    }

    /// The answer to another candidate while one is on the service.
    pub(super) fn busy_with(&self, head: &Entry) -> Report {
        let environment = &self.account.declared.environment;
        let what = format!("release {} is on the service and not verified", head.name());
        let hint = format!(
            "finish it: `cargo xtask deploy --env {environment} --resume`; or take it back: \
             `cargo xtask rollback --env {environment}`"
        );
        Report::refused(what, hint, Some(head.clone()))
    }

    pub(super) fn unfinished(&self, entry: &Entry, what: &str) -> Problem {
        let environment = &self.account.declared.environment;
        Problem::new(
            format!("release `{}` {what}", entry.name()),
            format!(
                "nothing was taken back, and ECS goes on by itself; go on looking: \
                 `cargo xtask deploy --env {environment} --resume`"
            ),
        )
    }
}

/// What somebody who rolls back wants to get away from.
fn bad(ledger: &Ledger) -> Option<&Entry> {
    let head = ledger.head()?;
    match head.status {
        Status::Pending | Status::Failed => Some(head),
        _ => ledger.current(),
    }
}

/// The release that is asked for, or the default.
fn target<'a>(ledger: &'a Ledger, to: Option<u64>, bad: Option<&Entry>) -> Option<&'a Entry> {
    match to {
        Some(number) => ledger.find(number).filter(|entry| entry.revision.is_some()),
        None => ledger.way_back(bad),
    }
}

fn nothing_released() -> Report {
    let hint =
        "a service that `cargo xtask deploy` never released is moved by hand: `aws ecs update-service`";
    Report::refused("there is no release in the ledger".to_owned(), hint, None)
}

fn no_way_back(ledger: &Ledger, to: Option<u64>) -> Report {
    let what = match to {
        Some(number) => format!("release {number} is not in the ledger, or was never registered"),
        None => "there is no other verified release to go back to".to_owned(),
    };
    let all: Vec<String> = ledger.verified().take(10).map(Entry::name).collect();
    Report::refused(what, format!("verified releases: {}", all.join(", ")), None)
}

impl Report {
    /// For somebody who wanted to go back: that the release is taken away is what was wanted.
    fn wanted(self) -> Self {
        let is_back = self
            .entry
            .as_ref()
            .is_some_and(|entry| matches!(entry.status, Status::RolledBack | Status::Verified));
        Self {
            is_done: self.is_done || is_back,
            ..self
        }
    }
}
