//! Drives a release to its end: register, move, follow, verify, and either promote it or take it away again.
//!
//! Each step first writes down what it is about to do, and looks whether it has been done already. So a run that was
//! killed anywhere is continued by the next one.

use std::fmt;
use std::panic;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::answers::Service;
use super::follow::{self, Ending, Follow, Pace};
use super::ledger::{self, Entry, Ledger, Status};
use super::lock::Lock;
use super::shape::Candidate;
use super::time;
use super::who::Who;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::ui::{self, Mark};

/// How thoroughly to look at what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// After a deployment.
    Gate,
    /// What has been verified before: after a rollback, or when nothing changed.
    Quick,
    /// After ECS went back by itself: its last deployment did not go well, and that is known.
    AfterReturn,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Pass,
    /// Something is certainly not.
    Fail(String),
    /// Something could not be looked at, which says nothing about what runs.
    Unknown(String),
}

/// Looks at what runs, and decides nothing.
pub(crate) trait Gate {
    /// Expects the image `digest`.
    fn check(&self, digest: &str, care: Care) -> anyhow::Result<Verdict>;
}

/// How it ended, when nothing broke.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Whether what was wanted is so.
    pub(crate) is_done: bool,
    /// One sentence.
    pub(crate) what: String,
    /// What to do next; may be empty.
    pub(crate) hint: String,
    /// The release that it is about.
    pub(crate) entry: Option<Entry>,
}

impl Report {
    fn done(what: String, entry: Entry) -> Self {
        Self {
            is_done: true,
            what,
            hint: String::new(),
            entry: Some(entry),
        }
    }

    pub(super) fn refused(what: String, hint: impl Into<String>, entry: Option<Entry>) -> Self {
        Self {
            is_done: false,
            what,
            hint: hint.into(),
            entry,
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "done": self.is_done, "what": self.what, "hint": self.hint, "release": self.entry })
    }
}

/// What may be asked of a deployment besides its candidate.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Wishes {
    /// Deploy what is held because it was taken back
    #[arg(long)]
    pub(crate) despite_hold: bool,
    /// Replace the tasks even if nothing changed, for example after a secret was rotated
    #[arg(long)]
    pub(crate) restart: bool,
}

/// Everything that a release needs.
pub(crate) struct Work<'a> {
    pub(crate) account: &'a Account<'a>,
    pub(crate) lock: Option<&'a Lock<'a>>,
    pub(crate) gate: &'a dyn Gate,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) pace: Pace,
    pub(crate) who: &'a Who,
    /// Seconds since 1970.
    pub(crate) now: &'a dyn Fn() -> u64,
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Work<'_> {
    /// Ships `candidate`, after whatever an earlier run left unfinished.
    pub(crate) fn ship(&self, candidate: &Candidate, wishes: Wishes) -> anyhow::Result<Report> {
        let is_candidate = |entry: &Entry| entry.fingerprint == candidate.fingerprint;
        if let Some(report) = self.settle(is_candidate, Some(&candidate.input))? {
            return Ok(report);
        }
        let ledger = Ledger::read(self.account)?;
        if let Some(held) = ledger.held(&candidate.fingerprint) {
            if !wishes.despite_hold {
                return Ok(Self::held(held));
            }
            self.unhold(&ledger, &candidate.fingerprint)?;
        }
        let service = self.service()?;
        let is_current = |entry: &&Entry| {
            entry.fingerprint == candidate.fingerprint
                && entry.revision.as_deref() == Some(&*service.revision)
        };
        if let Some(current) = ledger.current().filter(is_current).filter(|_| !wishes.restart) {
            ui::step(Mark::Ok, format_args!("release {} runs already", current.name()));
            return self.look_again(current);
        }
        let entry = self.begin(&ledger, candidate)?;
        self.drive(entry, Some(&candidate.input))
    }

    /// Finishes what an earlier run began, unless it is what is wanted. `Some` when that is all that can be done now.
    ///
    /// Without `input` a release that is wanted is left alone: its stacks may still be on the way.
    pub(crate) fn settle(
        &self,
        is_wanted: impl Fn(&Entry) -> bool,
        input: Option<&Value>,
    ) -> anyhow::Result<Option<Report>> {
        let ledger = Ledger::read(self.account)?;
        let Some(head) = ledger.head() else {
            return Ok(None);
        };
        let is_wanted = is_wanted(head);
        match head.status {
            Status::Verified | Status::RolledBack | Status::Superseded => Ok(None),
            Status::Failed if head.copy_of.is_some() => Ok(None),
            Status::Failed => {
                ui::step(
                    Mark::Run,
                    format_args!("release {} failed and is not taken back yet", head.name()),
                );
                let report = self.recover(head.clone())?;
                let goes_on = !is_wanted && (self.is_settled()? || ledger.current().is_none());
                Ok((!goes_on).then_some(report))
            }
            Status::Pending if head.copy_of.is_some() => {
                ui::step(Mark::Run, format_args!("finishing the rollback {}", head.name()));
                let report = self.drive(head.clone(), None)?;
                Ok((!report.is_done).then_some(report))
            }
            Status::Pending if is_wanted => {
                if input.is_none() {
                    return Ok(None);
                }
                ui::step(Mark::Run, format_args!("going on with release {}", head.name()));
                Ok(Some(self.drive(head.clone(), input)?))
            }
            Status::Pending if self.is_live(head)? => Ok(Some(self.busy_with(head))),
            Status::Pending => {
                self.supersede(head.clone())?;
                Ok(None)
            }
        }
    }

    /// Whether the last release needs nothing more.
    fn is_settled(&self) -> anyhow::Result<bool> {
        let ledger = Ledger::read(self.account)?;
        Ok(ledger
            .head()
            .is_none_or(|head| !matches!(head.status, Status::Pending | Status::Failed)))
    }

    /// From wherever it is to its end.
    pub(crate) fn drive(&self, mut entry: Entry, input: Option<&Value>) -> anyhow::Result<Report> {
        let was_placed = entry.revision.is_some();
        let revision = self.place(&mut entry, input)?;
        let before = self.move_to(&entry, &revision, was_placed)?;
        let ending = self.follow(&revision, &before)?;
        if let (None, Some(deployment)) = (&entry.deployment, follow::find(self.account, &revision)?) {
            entry.deployment = Some(deployment);
            ledger::put(self.account, &entry)?;
        }
        match ending {
            Ending::Successful => self.judge(entry, &revision),
            Ending::SentBack(reason) if entry.copy_of.is_none() => {
                self.fail(&mut entry, &reason)?;
                self.sent_back(entry)
            }
            Ending::SentBack(reason) | Ending::Stuck(reason) => {
                self.fail(&mut entry, &reason)?;
                Ok(self.stuck(entry))
            }
            Ending::Stopped(reason) => {
                self.fail(&mut entry, &reason)?;
                if entry.copy_of.is_some() {
                    return Ok(self.stuck(entry));
                }
                self.recover(entry)
            }
            Ending::Detached => Err(self.unfinished(&entry, "is not looked at any more").into()),
            Ending::Late => Err(self.unfinished(&entry, "takes longer than we wait").into()),
        }
    }

    /// The service is moved to another revision, unless it has been already; how the service was before.
    ///
    /// Only a revision that was known before this run can have been deployed, and sent back, without a trace in the
    /// service.
    fn move_to(&self, entry: &Entry, revision: &str, was_placed: bool) -> anyhow::Result<Service> {
        let service = self.service()?;
        let is_moved = service.has(revision)
            || entry.deployment.is_some()
            || (was_placed && follow::find(self.account, revision)?.is_some());
        if !is_moved {
            self.expect_lock()?;
            self.account.move_service(revision)?;
            ui::step(
                Mark::Ok,
                format_args!("the service moves to revision {}", entry.revision_number()),
            );
        }
        Ok(service)
    }

    /// The entry has a registered revision; which.
    fn place(&self, entry: &mut Entry, input: Option<&Value>) -> anyhow::Result<String> {
        if let Some(revision) = &entry.revision {
            return Ok(revision.clone());
        }
        let revision = match self.placed(entry)? {
            Some(revision) => revision,
            None => self.register(entry, input)?,
        };
        entry.revision = Some(revision.clone());
        ledger::put(self.account, entry)?;
        ui::step(
            Mark::Ok,
            format_args!(
                "revision {} has the image {}",
                entry.revision_number(),
                entry.digest
            ),
        );
        Ok(revision)
    }

    /// What a killed run registered for this entry, and did not write down.
    pub(super) fn placed(&self, entry: &Entry) -> anyhow::Result<Option<String>> {
        let Some(newest) = self.account.newest_revision()? else {
            return Ok(None);
        };
        let revision = self.account.revision(&newest)?;
        let is_ours = revision.is_some_and(|revision| {
            let tag = |name: &str| revision.tags.get(name).map(String::as_str);
            tag("release") == Some(&*entry.release.to_string())
                && tag("fingerprint") == Some(&*entry.fingerprint)
        });
        Ok(is_ours.then_some(newest))
    }

    fn register(&self, entry: &Entry, input: Option<&Value>) -> anyhow::Result<String> {
        let input = input.map_or_else(|| self.copied(entry), |input| Ok(input.clone()))?;
        self.expect_lock()?;
        let mut tags = vec![
            ("release", entry.release.to_string()),
            ("fingerprint", entry.fingerprint.clone()),
            ("digest", entry.digest.clone()),
        ];
        if !entry.sha.is_empty() {
            tags.push(("sha", entry.sha.clone()));
        }
        if let Some(original) = entry.copy_of {
            tags.push(("copy-of", original.to_string()));
        }
        if let Some(run) = &entry.run {
            tags.push(("run", run.clone()));
        }
        self.account.register(&input, &tags)
    }

    /// What registers the release again that `entry` repeats.
    fn copied(&self, entry: &Entry) -> anyhow::Result<Value> {
        let ledger = Ledger::read(self.account)?;
        let original = entry.copy_of.and_then(|original| ledger.find(original));
        let arn = original.and_then(|original| original.revision.clone());
        let revision = arn.as_deref().map(|arn| self.account.revision(arn)).transpose()?;
        revision.flatten().map(|revision| revision.input).ok_or_else(|| {
            let what = format!(
                "nobody knows any more what release `{}` was registered with",
                entry.name()
            );
            Problem::new(what, "choose another one: `cargo xtask rollback --list`").into()
        })
    }

    fn follow(&self, revision: &str, before: &Service) -> anyhow::Result<Ending> {
        Follow::new(self.account, revision, before).until_it_ends(self.pace, self.interrupt, || {
            self.lock.map_or(Ok(()), |lock| lock.renew((self.now)()))
        })
    }

    /// It runs; whether it is good.
    fn judge(&self, mut entry: Entry, revision: &str) -> anyhow::Result<Report> {
        ui::step(
            Mark::Ok,
            format_args!("ECS says that release {} is deployed", entry.name()),
        );
        let baked = self.bake(revision, entry.began());
        if self.interrupt.is_raised() {
            return Err(self.unfinished(&entry, "is not looked at any more").into());
        }
        let baked = baked?;
        let care = if entry.copy_of.is_some() {
            Care::Quick
        } else {
            Care::Gate
        };
        let verdict = match baked {
            Some(reason) => Verdict::Fail(reason),
            None => self.gate.check(&entry.digest, care)?,
        };
        match verdict {
            Verdict::Pass => self.promote(entry),
            Verdict::Unknown(why) => Err(self
                .unfinished(&entry, &format!("cannot be verified: {why}"))
                .into()),
            Verdict::Fail(why) => {
                self.fail(&mut entry, &why)?;
                if entry.copy_of.is_some() {
                    return Ok(self.stuck(entry));
                }
                self.recover(entry)
            }
        }
    }

    fn promote(&self, mut entry: Entry) -> anyhow::Result<Report> {
        self.expect_lock()?;
        self.account
            .put_parameter(&self.account.declared.parameters.image_digest, &entry.digest)?;
        let ledger = Ledger::read(self.account)?;
        if let Some(undone) = entry.undoes.and_then(|undone| ledger.find(undone)) {
            let mut undone = undone.clone();
            undone.status = Status::RolledBack;
            undone.ended.get_or_insert_with(|| time::shown((self.now)()));
            ledger::put(self.account, &undone)?;
        }
        let tag = format!("release-{}-{}", self.account.declared.environment, entry.release);
        if let Err(error) = self.account.tag_image(&entry.digest, &tag) {
            ui::step(Mark::Run, format_args!("the image has no tag `{tag}`: {error:#}"));
        }
        entry.status = Status::Verified;
        entry.ended = Some(time::shown((self.now)()));
        ledger::put(self.account, &entry)?;
        ledger::prune(self.account, &ledger)?;
        Ok(Report::done(
            format!("release {} is deployed and verified", entry.name()),
            entry,
        ))
    }

    /// Nothing is to be changed; whether what runs is good.
    fn look_again(&self, current: &Entry) -> anyhow::Result<Report> {
        Ok(match self.gate.check(&current.digest, Care::Quick)? {
            Verdict::Pass => Report::done(
                format!("release {} runs, and is verified again", current.name()),
                current.clone(),
            ),
            Verdict::Fail(why) => Report::refused(
                format!(
                    "release {} runs and was verified before, but now: {why}",
                    current.name()
                ),
                "nothing was changed; `cargo xtask verify` says what repairs it",
                Some(current.clone()),
            ),
            Verdict::Unknown(why) => {
                let what = format!("release `{}` runs, but cannot be verified: {why}", current.name());
                return Err(Problem::new(what, "nothing was changed; `cargo xtask verify` says more").into());
            }
        })
    }

    pub(super) fn service(&self) -> anyhow::Result<Service> {
        self.account.service()?.ok_or_else(|| {
            let what = format!("there is no service `{}`", self.account.declared.service.name);
            Problem::new(what, "create it: `cargo xtask deploy` without `--skip-stacks`").into()
        })
    }

    /// Keeps the lock while something else takes long. One that cannot be renewed is tried again, and noticed before the
    /// next change.
    pub(super) fn hold(&self) -> impl FnMut() {
        const EACH: u64 = 60;
        let mut next = 0;
        move || {
            let now = (self.now)();
            if now < next {
                return;
            }
            next = now + EACH;
            if let Some(Err(error)) = self.lock.map(|lock| lock.renew(now)) {
                ui::step(Mark::Run, format_args!("the lock is not renewed: {error:#}"));
            }
        }
    }

    /// Does something that takes long, on a thread of its own, and holds the lock meanwhile.
    pub(super) fn hold_while<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        const EACH: Duration = Duration::from_millis(20);
        let mut hold = self.hold();
        thread::scope(|scope| {
            let doing = scope.spawn(what);
            while !doing.is_finished() {
                hold();
                thread::sleep(EACH);
            }
            doing.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }

    /// Before anything that another one's work would be harmed by.
    pub(super) fn expect_lock(&self) -> anyhow::Result<()> {
        self.lock.map_or(Ok(()), Lock::check)
    }
}
