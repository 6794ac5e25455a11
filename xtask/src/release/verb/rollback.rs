//! `cargo xtask rollback`: back to a release that is known to be good.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::gate::{GateOptions, VerifyGate};
use crate::release::ledger::Ledger;
use crate::release::lock::{self, Lock};
use crate::release::place::Place;
use crate::release::time;
use crate::release::verb::{self, Answer};
use crate::release::who::Who;
use crate::release::work::{Report, Work};
use crate::workspace::Workspace;

/// Go back to the last verified release, or to a chosen one.
///
/// An open deployment is sent back by ECS; otherwise a copy of the target becomes a new release, so that the newest
/// revision is again the one that is meant. Image, revision, roles and secrets are looked at before anything moves. What
/// is taken away is held: nobody ships it again by accident.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask rollback --env production --token-file token\n  \
    cargo xtask rollback --env production --list\n\
    Exit codes: 0 what is wanted runs and is verified, 1 refused or not good, 2 unknown: the tool broke, or was told to stop.")]
pub(crate) struct Rollback {
    #[command(flatten)]
    place: Place,
    /// Go to this release, by its number
    #[arg(long, value_name = "RELEASE")]
    to: Option<u64>,
    /// Show where one can go, and do nothing
    #[arg(long)]
    list: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Why, for the ledger
    #[arg(long, default_value = "rolled back by hand", value_name = "TEXT")]
    reason: String,
    /// How long to follow the deployment
    #[arg(long, default_value_t = 20, value_name = "N")]
    wait_minutes: u32,
    #[command(flatten)]
    gate: GateOptions,
}

impl Rollback {
    /// Goes back.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let declared = self.place.declaration(workspace, interrupt)?;
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        let who = Who::am_i();
        self.place.stage(workspace, interrupt)?;
        let gate = VerifyGate {
            place: &self.place,
            options: &self.gate,
            workspace,
        };
        let mut work = Work {
            account: &account,
            lock: None,
            gate: &gate,
            interrupt,
            pace: self.place.pace(self.wait_minutes, Some(0)),
            who: &who,
            now: &time::now,
        };
        if self.list {
            return Ok(list(&work)?.tell(self.place.json));
        }
        if self.dry_run {
            return self.plan(&work);
        }
        let purpose = match self.to {
            Some(release) => format!("rollback to {release}"),
            None => "rollback".to_owned(),
        };
        let lock = match Lock::take(&account, &who, &purpose, time::now())? {
            Ok(lock) => lock,
            Err(held) => {
                let refusal = lock::refusal(&declared.environment, &held, time::now());
                let report = Report::refused(refusal.to_string(), refusal.hint(), None);
                return Ok(verb::conclude(&report, self.place.json));
            }
        };
        work.lock = Some(&lock);
        let report = work.roll_back(self.to, &self.reason)?;
        Ok(verb::conclude(&report, self.place.json))
    }

    fn plan(&self, work: &Work<'_>) -> anyhow::Result<Outcome> {
        let ledger = Ledger::read(work.account)?;
        let report = work.way_back(&ledger, self.to)?;
        Ok(verb::conclude(&report, self.place.json))
    }
}

/// Where one can go, and where not.
pub(in crate::release) fn list(work: &Work<'_>) -> anyhow::Result<Answer> {
    let ledger = Ledger::read(work.account)?;
    let current = ledger.current();
    let default = ledger.way_back(current).map(|entry| entry.release);
    let (mut lines, mut rows) = (Vec::new(), Vec::new());
    for entry in ledger.verified() {
        let why_not = work.unusable(entry)?;
        let is_current = current.is_some_and(|current| current.release == entry.release);
        let note = match &why_not {
            _ if is_current => "runs".to_owned(),
            Some(why) => format!("not possible: {why}"),
            None if default == Some(entry.release) => "default".to_owned(),
            None => String::new(),
        };
        rows.push(json!({ "release": entry, "possible": why_not.is_none(), "note": note }));
        let line = format!("{:<24} {} {:<16} {note}", entry.name(), entry.at, entry.who);
        lines.push(line.trim_end().to_owned());
    }
    let remark = if lines.is_empty() {
        "no release is verified yet, so there is nowhere to go"
    } else {
        ""
    };
    Ok(Answer {
        lines,
        json: json!({ "releases": rows }),
        remark: remark.to_owned(),
        outcome: Outcome::Done,
    })
}
