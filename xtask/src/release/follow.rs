//! Follows a deployment to its end, and says on the way what the service and its tasks say.

use std::collections::BTreeSet;
use std::time::Duration;

use super::account::Account;
use super::answers::{Service, StoppedTask};
use super::work::Work;
use crate::interrupt::Interrupt;
use crate::ui::{self, Mark};

/// How many lines of a stopped task are shown.
const LAST_LINES: usize = 50;
/// How many questions in a row may fail: what is looked at goes on without us.
const FAILURES: u32 = 12;

/// What keeps a look that takes minutes from ending with one question that fails.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// The answer; none where it is asked again, or nobody wants to know any more.
    pub(super) fn take<T>(
        &mut self,
        answer: anyhow::Result<T>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Option<T>> {
        match answer {
            Ok(answer) => {
                self.failures = 0;
                Ok(Some(answer))
            }
            // Ctrl-C reaches the `aws` that is running, too.
            Err(_) if interrupt.is_raised() => Ok(None),
            Err(error) if self.failures == FAILURES => Err(error),
            Err(error) => {
                self.failures += 1;
                ui::step(Mark::Run, format_args!("asking again: {error:#}"));
                Ok(None)
            }
        }
    }
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two looks.
    pub(crate) poll: Duration,
    /// How many looks a deployment gets.
    pub(crate) looks: u32,
    /// How many looks it is watched after it succeeded.
    pub(crate) bake: u32,
}

/// How a deployment ended, or why we stopped looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// ECS says that it is successful, which is more than that the service is stable.
    Successful,
    /// ECS took the service back to what ran before.
    SentBack(String),
    /// ECS tried to, and could not.
    Stuck(String),
    /// Somebody stopped it where it was.
    Stopped(String),
    /// Somebody wants us to stop looking.
    Detached,
    /// It takes too long.
    Late,
}

/// A deployment that is looked at.
#[derive(Debug)]
pub(crate) struct Follow<'a> {
    account: &'a Account<'a>,
    revision: &'a str,
    deployment: Option<String>,
    events: BTreeSet<String>,
    tasks: BTreeSet<String>,
    progress: String,
}

impl<'a> Follow<'a> {
    /// Prepares to follow the move of the service to `revision`; what it said before `service` is not repeated.
    pub(crate) fn new(account: &'a Account<'a>, revision: &'a str, service: &Service) -> Self {
        Self {
            account,
            revision,
            deployment: None,
            events: service.events.iter().map(|event| event.id.clone()).collect(),
            tasks: BTreeSet::new(),
            progress: String::new(),
        }
    }

    /// Looks until it ends. A question that fails is asked again.
    pub(crate) fn until_it_ends(
        mut self,
        pace: Pace,
        interrupt: &Interrupt,
        mut between: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Ending> {
        let mut patience = Patience::default();
        for _ in 0..pace.looks {
            if interrupt.is_raised() {
                return Ok(Ending::Detached);
            }
            between()?;
            if let Some(ending) = patience.take(self.look(), interrupt)?.flatten() {
                return Ok(ending);
            }
            interrupt.pause(pace.poll);
        }
        Ok(if interrupt.is_raised() {
            Ending::Detached
        } else {
            Ending::Late
        })
    }

    fn look(&mut self) -> anyhow::Result<Option<Ending>> {
        let service = self.account.service()?.unwrap_or_else(Service::gone);
        self.tell_events(&service);
        let ending = self.state()?;
        self.tell_tasks()?;
        Ok(ending)
    }

    fn state(&mut self) -> anyhow::Result<Option<Ending>> {
        if self.deployment.is_none() {
            self.deployment = find(self.account, self.revision)?;
        }
        let Some(arn) = &self.deployment else {
            return Ok(None);
        };
        let Some(deployment) = self.account.deployment(arn)? else {
            return Ok(None);
        };
        let mut progress = format!(
            "{}: {} of {} tasks run",
            deployment.status, deployment.running, deployment.requested
        );
        for part in [&deployment.failures, &deployment.reason] {
            if !part.is_empty() {
                progress.extend([", ", part]);
            }
        }
        self.tell_progress(progress);
        let reason = if deployment.reason.is_empty() {
            format!("ECS says {} and not why", deployment.status)
        } else {
            deployment.reason
        };
        Ok(match &*deployment.status {
            "SUCCESSFUL" => Some(Ending::Successful),
            "ROLLBACK_SUCCESSFUL" => Some(Ending::SentBack(reason)),
            "ROLLBACK_FAILED" => Some(Ending::Stuck(reason)),
            "STOPPED" => Some(Ending::Stopped(reason)),
            _ => None,
        })
    }

    fn tell_progress(&mut self, progress: String) {
        if progress != self.progress {
            ui::step(Mark::Run, &progress);
            self.progress = progress;
        }
    }

    fn tell_events(&mut self, service: &Service) {
        for event in service.events.iter().rev() {
            if self.events.insert(event.id.clone()) {
                ui::detail(&event.message);
            }
        }
    }

    fn tell_tasks(&mut self) -> anyhow::Result<()> {
        for task in self.account.stopped_tasks(self.revision)? {
            if self.tasks.insert(task.arn.clone()) && task.is_failure() {
                tell_task(self.account, &task);
            }
        }
        Ok(())
    }
}

/// Says why a task stopped, with the last lines that it wrote.
fn tell_task(account: &Account<'_>, task: &StoppedTask) {
    let (why, details) = last_words(account, task);
    ui::step(Mark::Fail, why);
    for line in details {
        ui::detail(&line);
    }
}

/// Why a task stopped; then what its containers came to, and the last lines that it wrote.
pub(super) fn last_words(account: &Account<'_>, task: &StoppedTask) -> (String, Vec<String>) {
    let id = task.arn.rsplit('/').next().unwrap_or_default();
    let mut details = Vec::new();
    for (name, code, reason) in &task.containers {
        let code = if code.is_empty() {
            "it never ran".to_owned()
        } else {
            format!("exit code {code}{}", meaning(code))
        };
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        details.push(format!("container {name}: {code}{reason}"));
    }
    match account.last_lines(&task.arn, LAST_LINES) {
        Ok(lines) if lines.is_empty() => details.push("it wrote no line".to_owned()),
        Ok(lines) => details.extend(lines),
        Err(error) => details.push(format!("its last lines cannot be read: {error:#}")),
    }
    (format!("task {id} stopped: {}", task.reason), details)
}

/// What the gateway and the kernel mean by an exit code.
fn meaning(code: &str) -> &'static str {
    match code {
        "64" => ", its configuration is wrong",
        "75" => ", work was cut at the end of its drain",
        "137" => ", killed: out of memory, or its stop took too long",
        _ => "",
    }
}

/// The last deployment that led to `revision`.
pub(crate) fn find(account: &Account<'_>, revision: &str) -> anyhow::Result<Option<String>> {
    let deployments = account.deployments()?;
    let recent = deployments.get(..LOOK_BACK).unwrap_or(&deployments);
    let targets: Vec<&str> = recent.iter().map(|deployment| &*deployment.target).collect();
    let definitions = account.task_definitions_of(&targets)?;
    let found = recent.iter().find(|deployment| {
        definitions
            .get(&deployment.target)
            .is_some_and(|found| found == revision)
    });
    Ok(found.map(|deployment| deployment.arn.clone()))
}

/// How many deployments back one is looked for.
const LOOK_BACK: usize = 8;

impl Work<'_> {
    /// Watches what ECS has called successful for a while: alarms that went off since it `began`, in seconds since
    /// 1970, and tasks of `revision` that die. Returns what is wrong.
    pub(super) fn bake(&self, revision: &str, began: f64) -> anyhow::Result<Option<String>> {
        let Self {
            account,
            pace,
            interrupt,
            ..
        } = *self;
        if pace.bake > 0 {
            let length = pace.poll.as_secs() * u64::from(pace.bake);
            ui::step(
                Mark::Run,
                format_args!("watching alarms and tasks for {length} s"),
            );
        }
        let mut told = BTreeSet::new();
        for _ in 0..pace.bake {
            interrupt.check()?;
            if let Some(lock) = self.lock {
                lock.renew((self.now)())?;
            }
            let mut rang = Vec::new();
            for (alarm, since) in account.ringing()? {
                if since.is_none_or(|since| since >= began) {
                    rang.push(alarm);
                } else if told.insert(alarm.clone()) {
                    let why = "went off before this release, and is not held against it";
                    ui::step(Mark::Run, format_args!("alarm {alarm} {why}"));
                }
            }
            if !rang.is_empty() {
                return Ok(Some(format!("alarm {}", rang.join(", "))));
            }
            let died: Vec<StoppedTask> = account
                .stopped_tasks(revision)?
                .into_iter()
                .filter(StoppedTask::is_failure)
                .collect();
            if let Some(task) = died.first() {
                tell_task(account, task);
                return Ok(Some(format!("{} tasks died: {}", died.len(), task.reason)));
            }
            interrupt.pause(pace.poll);
        }
        Ok(None)
    }
}
