//! `cargo xtask status`: what runs, and whether anything is under way.

use serde_json::{Value, json};

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::answers::{Brief, Service};
use crate::release::ledger::{Ledger, Status};
use crate::release::lock;
use crate::release::place::Place;
use crate::release::time;
use crate::release::verb::Answer;
use crate::release::who::Who;
use crate::verify::facts::{list_at, text};
use crate::workspace::Workspace;

/// How many events of the service are shown.
const EVENTS: usize = 10;

/// Show what runs: release, tasks, targets, alarms, open deployment, lock.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the current release runs and nothing is under way, \
    1 something else runs, is under way or rings, 2 the tool broke."
)]
pub(crate) struct StatusVerb {
    #[command(flatten)]
    place: Place,
}

impl StatusVerb {
    /// Prints it.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let declared = self.place.declaration(workspace, interrupt)?;
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        let seen = Seen::look(&account, &Who::am_i(), time::now())?;
        Ok(seen.answer().tell(self.place.json))
    }
}

/// What there is to see.
#[derive(Debug)]
pub(in crate::release) struct Seen {
    environment: String,
    ledger: Ledger,
    service: Option<Service>,
    tasks: Vec<Value>,
    open: Vec<Brief>,
    targets: Option<(usize, usize)>,
    ringing: Vec<String>,
    lock: Option<String>,
}

impl Seen {
    /// Asks.
    pub(in crate::release) fn look(account: &Account<'_>, who: &Who, now: u64) -> anyhow::Result<Self> {
        let service = account.service()?;
        let tasks = match &service {
            Some(_) => account.tasks("RUNNING")?,
            None => Vec::new(),
        };
        let held = lock::holder(account, who, now)?;
        Ok(Self {
            environment: account.declared.environment.clone(),
            ledger: Ledger::read(account)?,
            service,
            tasks,
            open: account
                .deployments()?
                .into_iter()
                .filter(Brief::is_open)
                .collect(),
            targets: account.targets()?,
            ringing: account.ringing()?.into_iter().map(|(name, _)| name).collect(),
            lock: held.map(|(_, held)| held.shown(now)),
        })
    }

    pub(in crate::release) fn answer(&self) -> Answer {
        Answer {
            lines: self.lines(),
            json: self.json(),
            remark: String::new(),
            outcome: if self.is_quiet() {
                Outcome::Done
            } else {
                Outcome::Refused
            },
        }
    }

    /// Whether the released revision runs and nothing is going on.
    fn is_quiet(&self) -> bool {
        let current = self.ledger.current().and_then(|entry| entry.revision.as_deref());
        let runs = self.service.as_ref().is_some_and(|service| {
            current == Some(&*service.revision) && service.running == service.desired && service.running > 0
        });
        let is_settled = self
            .ledger
            .head()
            .is_some_and(|head| !matches!(head.status, Status::Pending | Status::Failed));
        runs && is_settled && self.open.is_empty() && self.ringing.is_empty()
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut row = |name: &str, value: String| lines.push(format!("{name:<12} {value}"));
        row("environment", self.environment.clone());
        row(
            "release",
            self.ledger
                .current()
                .map_or_else(|| "none is verified".to_owned(), super::releases::line),
        );
        if let Some(head) = self.ledger.head().filter(|head| head.status != Status::Verified) {
            row("last", super::releases::line(head));
        }
        match &self.service {
            None => row("service", "there is none".to_owned()),
            Some(service) => {
                row(
                    "service",
                    format!(
                        "{}: {} of {} tasks run, {} pending",
                        service.revision.rsplit('/').next().unwrap_or_default(),
                        service.running,
                        service.desired,
                        service.pending
                    ),
                );
            }
        }
        for task in &self.tasks {
            row("task", task_line(task));
        }
        row(
            "targets",
            match self.targets {
                Some((healthy, all)) => format!("{healthy} of {all} are healthy"),
                None => "there is no target group".to_owned(),
            },
        );
        for deployment in &self.open {
            row("deployment", format!("{} {}", deployment.status, deployment.arn));
        }
        row(
            "alarms",
            if self.ringing.is_empty() {
                "none".to_owned()
            } else {
                self.ringing.join(", ")
            },
        );
        row(
            "lock",
            self.lock.clone().unwrap_or_else(|| "nobody has it".to_owned()),
        );
        let events = self.service.iter().flat_map(|service| &service.events);
        for event in events.take(EVENTS) {
            row("event", event.message.clone());
        }
        lines
    }

    fn json(&self) -> Value {
        let service = self.service.as_ref().map(|service| {
            let events: Vec<&str> = service
                .events
                .iter()
                .take(EVENTS)
                .map(|event| &*event.message)
                .collect();
            json!({ "revision": service.revision, "desired": service.desired, "running": service.running,
                "pending": service.pending, "events": events })
        });
        let open: Vec<Value> = self
            .open
            .iter()
            .map(|one| json!({ "arn": one.arn, "status": one.status }))
            .collect();
        json!({
            "environment": self.environment,
            "quiet": self.is_quiet(),
            "current": self.ledger.current(),
            "last": self.ledger.head(),
            "service": service,
            "tasks": self.tasks,
            "targets": self.targets.map(|(healthy, all)| json!({ "healthy": healthy, "all": all })),
            "deployments": open,
            "alarms": self.ringing,
            "lock": self.lock,
        })
    }
}

fn task_line(task: &Value) -> String {
    let digest = list_at(task, "/containers")
        .map(|container| text(container, "/imageDigest"))
        .next();
    let digest = digest.unwrap_or_default();
    let digest: String = digest.trim_start_matches("sha256:").chars().take(12).collect();
    format!(
        "{} {} {} {} {digest}",
        text(task, "/taskArn").rsplit('/').next().unwrap_or_default(),
        text(task, "/lastStatus"),
        text(task, "/healthStatus"),
        text(task, "/availabilityZone"),
    )
}
