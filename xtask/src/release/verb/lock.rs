//! `cargo xtask lock`: who may change an environment.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::lock::{self, Held, Lock};
use crate::release::place::Place;
use crate::release::time;
use crate::release::verb::Answer;
use crate::release::who::Who;
use crate::workspace::Workspace;

/// Show, take or give back the lock of an environment.
///
/// A deployment takes it by itself. Take it by hand to keep others away, for example while you look at an incident.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done (for `status`: nobody has it), 1 somebody has it, 2 the tool broke."
)]
pub(crate) struct LockVerb {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say who has it
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Take it
    Acquire {
        #[command(flatten)]
        place: Place,
        /// What for: others see it
        #[arg(long)]
        message: String,
        /// How long; then it is free by itself
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Give it back, also when another one has it
    Release {
        #[command(flatten)]
        place: Place,
    },
}

impl LockVerb {
    /// Does it.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let (Action::Status { place } | Action::Acquire { place, .. } | Action::Release { place }) =
            &self.action;
        let declared = place.declaration(workspace, interrupt)?;
        let aws = place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        Ok(self.on(&account, &Who::am_i(), time::now())?.tell(place.json))
    }

    pub(in crate::release) fn on(
        &self,
        account: &Account<'_>,
        who: &Who,
        now: u64,
    ) -> anyhow::Result<Answer> {
        Ok(match &self.action {
            Action::Status { .. } => match lock::holder(account, who, now)? {
                None => answer(Outcome::Done, "nobody has it".to_owned(), None),
                Some((_, held)) => answer(Outcome::Refused, held.shown(now), Some(&held)),
            },
            Action::Acquire { message, minutes, .. } => match Lock::take(account, who, message, now)? {
                Ok(lock) => {
                    let held = lock.keep(now.saturating_add(minutes.saturating_mul(60)))?;
                    answer(Outcome::Done, held.shown(now), Some(&held))
                }
                Err(held) => answer(Outcome::Refused, held.shown(now), Some(&held)),
            },
            Action::Release { .. } => match lock::read(account)?.filter(|(_, held)| !held.released) {
                None => answer(Outcome::Done, "nobody had it".to_owned(), None),
                Some((number, held)) => {
                    lock::release(account, number, &held)?;
                    let said = format!("taken from {}", held.shown(now));
                    answer(Outcome::Done, said, Some(&held))
                }
            },
        })
    }
}

fn answer(outcome: Outcome, said: String, held: Option<&Held>) -> Answer {
    Answer {
        json: json!({ "said": said, "lock": held }),
        lines: vec![said],
        remark: String::new(),
        outcome,
    }
}
