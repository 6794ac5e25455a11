//! `cargo xtask logs`: what the tasks of an environment write.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::release::account::Account;
use crate::release::answers::StoppedTask;
use crate::release::follow::{self, Patience};
use crate::release::place::Place;
use crate::release::time;
use crate::ui;
use crate::verify::facts::text;
use crate::workspace::Workspace;

const POLL: Duration = Duration::from_secs(2);
/// `CloudWatch` may show a line this much later than one that was written after it.
const OVERLAP_SECONDS: u64 = 10;

/// Print what the tasks write: of all, of one, or the last words of those that stopped.
///
/// With `--json` each line of stdout is one object.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 done, 2 the tool broke.")]
pub(crate) struct Logs {
    #[command(flatten)]
    place: Place,
    /// From so many minutes ago
    #[arg(long, default_value_t = 10, value_name = "MINUTES")]
    since: u64,
    /// Only this task, by its id or the beginning of it
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
        let watch = Watch {
            interrupt,
            poll: POLL,
            now: &time::now,
        };
        let remark = self.print(&account, &watch, &mut |line| ui::data(line))?;
        if !remark.is_empty() {
            ui::say(remark);
        }
        Ok(Outcome::Done)
    }

    /// Tells every line; what is left to say is why there was none.
    pub(in crate::release) fn print(
        &self,
        account: &Account<'_>,
        watch: &Watch<'_>,
        tell: &mut dyn FnMut(String),
    ) -> anyhow::Result<String> {
        if self.previous {
            return self.previous(account, tell);
        }
        let prefix = self.task.as_ref().map(|task| account.log_stream(task));
        let prefix = prefix.unwrap_or_default();
        let mut from = (watch.now)().saturating_sub(self.since.saturating_mul(60));
        let mut patience = Patience::default();
        let mut seen = BTreeSet::new();
        let mut is_silent = true;
        loop {
            let until = (watch.now)() + 1;
            let answer = account.log_events(&prefix, from * 1000, until * 1000);
            let answer = if self.follow {
                patience.take(answer, watch.interrupt)?
            } else {
                Some(answer?)
            };
            if let Some(events) = answer {
                let events = events.ok_or_else(|| no_group(account))?;
                let mut now_seen = BTreeSet::new();
                for event in &events {
                    let id = text(event, "/eventId");
                    if !seen.contains(&id) {
                        tell(self.line(event));
                        is_silent = false;
                    }
                    now_seen.insert(id);
                }
                // The next answer begins within this one, so what was before cannot come again.
                seen = now_seen;
                from = from.max(until.saturating_sub(OVERLAP_SECONDS));
            }
            if !self.follow || watch.interrupt.is_raised() {
                break;
            }
            watch.interrupt.pause(watch.poll);
            if watch.interrupt.is_raised() {
                break;
            }
        }
        Ok(if is_silent && !self.follow {
            self.silence()
        } else {
            String::new()
        })
    }

    /// Why there is no line.
    fn silence(&self) -> String {
        let since = self.since;
        match &self.task {
            Some(task) => format!(
                "no task whose id begins with `{task}` wrote a line in the last {since} minutes; \
                 `--since MINUTES` looks further back, `cargo xtask status` has the tasks that run"
            ),
            None => format!(
                "no task wrote a line in the last {since} minutes; `--since MINUTES` looks further back"
            ),
        }
    }

    fn line(&self, event: &Value) -> String {
        if self.place.json {
            return event.to_string();
        }
        let stream = text(event, "/logStreamName");
        let task = stream.rsplit('/').next().unwrap_or_default();
        let task: String = task.chars().take(8).collect();
        format!("{task} {}", text(event, "/message").trim_end())
    }

    fn previous(&self, account: &Account<'_>, tell: &mut dyn FnMut(String)) -> anyhow::Result<String> {
        let tasks = account.tasks("STOPPED")?;
        for task in &tasks {
            let (why, details) = follow::last_words(account, &StoppedTask::read(task));
            if self.place.json {
                tell(json!({ "task": task, "said": why, "details": details }).to_string());
            } else {
                tell(why);
                for line in details {
                    tell(format!("  | {line}"));
                }
            }
        }
        Ok(if tasks.is_empty() {
            "no task has stopped lately; ECS remembers those of about an hour".to_owned()
        } else {
            String::new()
        })
    }
}

/// How a log is followed.
pub(in crate::release) struct Watch<'a> {
    pub(in crate::release) interrupt: &'a Interrupt,
    /// Between two looks.
    pub(in crate::release) poll: Duration,
    /// Seconds since 1970.
    pub(in crate::release) now: &'a dyn Fn() -> u64,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

fn no_group(account: &Account<'_>) -> Problem {
    let what = format!(
        "there is no log group `{}`",
        account.declared.task_definition.log_group
    );
    let environment = &account.declared.environment;
    Problem::new(
        what,
        format!("the service stack makes it: `cargo xtask deploy --env {environment}`"),
    )
}
