//! `cargo xtask releases`: what was released, when, by whom, and how it ended.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::ledger::{Entry, Ledger, Status};
use crate::release::place::Place;
use crate::release::verb::Answer;
use crate::workspace::Workspace;

/// List the releases of an environment, the newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 done, 2 the tool broke.")]
pub(crate) struct Releases {
    #[command(flatten)]
    place: Place,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Releases {
    /// Prints them.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let declared = self.place.declaration(workspace, interrupt)?;
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        Ok(self.on(&account)?.tell(self.place.json))
    }

    pub(in crate::release) fn on(&self, account: &Account<'_>) -> anyhow::Result<Answer> {
        let ledger = Ledger::read(account)?;
        let entries: Vec<&Entry> = ledger.entries.iter().rev().take(self.limit).collect();
        let remark = if ledger.entries.is_empty() {
            format!(
                "nothing is released in `{0}` yet; `cargo xtask deploy --env {0}` does",
                account.declared.environment
            )
        } else {
            String::new()
        };
        Ok(Answer {
            lines: entries.iter().map(|entry| line(entry)).collect(),
            json: json!({ "releases": entries }),
            remark,
            outcome: Outcome::Done,
        })
    }
}

/// One release in one line.
pub(super) fn line(entry: &Entry) -> String {
    let mut line = format!(
        "{:<24} {:<11} revision {:<4} {} {} {}",
        entry.name(),
        entry.status.word(),
        entry.revision_number(),
        entry.short_digest(),
        entry.at,
        entry.who
    );
    if entry.hold {
        line.push_str(", held");
    }
    if !entry.reason.is_empty() && entry.status != Status::Verified {
        line.extend([": ", &entry.reason]);
    }
    line
}
