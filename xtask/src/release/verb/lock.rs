//! `cargo xtask lock`: who may change an environment.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::lock::{self, Lock};
use crate::release::place::Place;
use crate::release::time;
use crate::release::who::Who;
use crate::ui;
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
        let (who, now) = (Who::am_i(), time::now());
        let tell = |said: String, held: Option<&lock::Held>| {
            if place.json {
                ui::data(json!({ "said": said, "lock": held }));
            } else {
                ui::data(said);
            }
        };
        match &self.action {
            Action::Status { .. } => match lock::holder(&account, &who, now)? {
                None => tell("nobody has it".to_owned(), None),
                Some((_, held)) => {
                    tell(held.shown(now), Some(&held));
                    return Ok(Outcome::Refused);
                }
            },
            Action::Acquire { message, minutes, .. } => match Lock::take(&account, &who, message, now)? {
                Ok(lock) => {
                    let held = lock.keep(now + minutes * 60)?;
                    tell(held.shown(now), Some(&held));
                }
                Err(held) => {
                    tell(held.shown(now), Some(&held));
                    return Ok(Outcome::Refused);
                }
            },
            Action::Release { .. } => match lock::read(&account)?.filter(|(_, held)| !held.released) {
                None => tell("nobody had it".to_owned(), None),
                Some((number, held)) => {
                    lock::release(&account, number, &held)?;
                    tell(format!("taken from {}", held.shown(now)), Some(&held));
                }
            },
        }
        Ok(Outcome::Done)
    }
}
