//! `cargo xtask logs`: what the tasks of an environment write.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::answers::StoppedTask;
use crate::release::place::Place;
use crate::release::{follow, time};
use crate::ui;
use crate::verify::facts::text;
use crate::workspace::Workspace;

const POLL: Duration = Duration::from_secs(2);
/// `CloudWatch` may show a line this much later than one that was written after it.
const OVERLAP_SECONDS: u64 = 10;

/// Print what the tasks write: of all, of one, or the last words of those that stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 done, 2 the tool broke.")]
pub(crate) struct Logs {
    #[command(flatten)]
    place: Place,
    /// From so many minutes ago
    #[arg(long, default_value_t = 10, value_name = "MINUTES")]
    since: u64,
    /// Only this task, by its id
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Go on until Ctrl-C
    #[arg(short, long, conflicts_with = "previous")]
    follow: bool,
    /// The tasks that stopped lately: why, and the end of what they wrote
    #[arg(long, conflicts_with = "task")]
    previous: bool,
}

impl Logs {
    /// Prints them.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let declared = self.place.declaration(workspace, interrupt)?;
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        if self.previous {
            return self.previous(&account);
        }
        let streams: Vec<String> = self.task.iter().map(|task| account.log_stream(task)).collect();
        let mut seen = BTreeSet::new();
        let mut from = time::now().saturating_sub(self.since * 60);
        loop {
            let until = time::now() + 1;
            for event in account.log_events(&streams, from * 1000, until * 1000)? {
                if seen.insert(text(&event, "/eventId")) {
                    self.tell(&event);
                }
            }
            if !self.follow || interrupt.is_raised() {
                return Ok(Outcome::Done);
            }
            from = from.max(until.saturating_sub(OVERLAP_SECONDS));
            thread::sleep(POLL);
        }
    }

    fn tell(&self, event: &Value) {
        if self.place.json {
            ui::data(event);
            return;
        }
        let stream = text(event, "/logStreamName");
        let task: String = stream
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .chars()
            .take(8)
            .collect();
        ui::data(format_args!("{task} {}", text(event, "/message").trim_end()));
    }

    fn previous(&self, account: &Account<'_>) -> anyhow::Result<Outcome> {
        for task in account.tasks("STOPPED")? {
            if self.place.json {
                ui::data(&task);
            } else {
                follow::tell_task(account, &StoppedTask::read(&task));
            }
        }
        Ok(Outcome::Done)
    }
}
