//! What is done with a running cluster when somebody asks for it: the steps of `plan`, carried out in the caller's
//! thread.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::haproxy;
use super::partition::Wire;
use super::plan::{self, Part, Step, Verb};
use super::task::Health;
use crate::problem::Problem;

/// How often a wait looks around.
const POLL: Duration = Duration::from_millis(20);

impl Fleet {
    /// Does what is asked, and returns what came of it.
    pub(crate) fn perform(&self, verb: Verb) -> anyhow::Result<Value> {
        match verb {
            Verb::Kill(task) => self.leave(task, &plan::kill(task), false),
            Verb::Stop(task) => self.leave(task, &plan::stop(task), false),
            Verb::Drain(task) => self.leave(task, &plan::drain(task), true),
            Verb::Add => {
                self.state().wanted += 1;
                let task = self.reserve(1).first().copied().unwrap_or_default();
                self.follow(&plan::add(task))?;
                Ok(json!({ "task": task, "address": self.0.recipe.address(task).to_string() }))
            }
            Verb::Roll => self.roll(),
            Verb::Cut(part) => {
                let wire = self.wire(part)?;
                self.state().partition.cut(part, wire, &self.0.interrupt)?;
                self.happened("cut", part);
                Ok(json!({ "cut": part.to_string() }))
            }
            Verb::Heal(part) => {
                self.state().partition.heal(part)?;
                self.happened("healed", part);
                Ok(json!({ "healed": part.to_string() }))
            }
        }
    }

    fn happened(&self, event: &str, part: Part) {
        self.0.events.add(match part {
            Part::Task(task) => json!({ "event": event, "task": task }),
            service => json!({ "event": event, "service": service.to_string() }),
        });
    }

    fn wire(&self, part: Part) -> anyhow::Result<Wire> {
        match part {
            Part::Task(task) => {
                self.member(task, |_| ())?;
                Ok(self.0.recipe.wire(task))
            }
            service => {
                let wire = self.0.services.get(&service.to_string());
                wire.cloned().context("there is no such service")
            }
        }
    }

    /// The end of one task. `fewer`: the service wants one task less from now on.
    fn leave(&self, task: u32, steps: &[Step], fewer: bool) -> anyhow::Result<Value> {
        self.member(task, |member| member.leaving |= fewer)?;
        if fewer {
            let mut state = self.state();
            state.wanted = state.wanted.saturating_sub(1);
        }
        self.follow(steps)?;
        Ok(self.exit_of(task))
    }

    fn roll(&self) -> anyhow::Result<Value> {
        let old: Vec<u32> = {
            let state = self.state();
            let staying = state
                .members
                .iter()
                .filter(|(_, member)| !member.leaving && member.end.is_none());
            staying.map(|(number, _)| *number).collect()
        };
        let new = self.reserve(u32::try_from(old.len())?);
        let Some(first) = new.first() else {
            bail!(Problem::new("there is no task to replace", "`add` one"));
        };
        self.0
            .events
            .add(json!({ "event": "roll_started", "old": old, "new": new }));
        let followed = self.follow(&plan::roll(&old, *first));
        let exits: Vec<_> = old.iter().map(|task| self.exit_of(*task)).collect();
        self.0
            .events
            .add(json!({ "event": "roll_ended", "done": followed.is_ok(), "exits": exits }));
        followed.map(|()| json!({ "new": new, "exits": exits }))
    }

    fn exit_of(&self, task: u32) -> Value {
        let state = self.state();
        let ended = state.ended.get(&task).copied();
        let exit = ended.or_else(|| {
            state
                .members
                .get(&task)
                .and_then(|member| member.end)
                .map(|(_, exit)| exit)
        });
        exit.map_or_else(|| json!({ "task": task }), |exit| exit.json(task))
    }

    fn follow(&self, steps: &[Step]) -> anyhow::Result<()> {
        steps.iter().try_for_each(|step| self.step(*step))
    }

    fn step(&self, step: Step) -> anyhow::Result<()> {
        let service = &self.0.attributes.service;
        match step {
            Step::Start(task) => self.start(task, true),
            Step::Healthy(task) => self.await_healthy(task),
            Step::Spare(task) => self.expect_spare(task),
            Step::Deregister(task) => self.deregister(task),
            Step::Delay(task) => self
                .await_end(task, self.0.attributes.deregistration_delay)
                .map(drop),
            Step::Close(task) => {
                let slot = self.member(task, |member| member.slot);
                slot.map_or(Ok(()), |slot| {
                    self.0.load_balancer.say(&haproxy::close_connections(slot))
                })
            }
            Step::Terminate(task) => {
                let asked = self.member(task, |member| {
                    member.leaving = true;
                    member.process.ask_to_stop();
                });
                if asked.is_ok() {
                    self.0.events.add(json!({ "event": "stopping", "task": task }));
                }
                Ok(())
            }
            Step::Lag(task) => self.await_end(task, service.stop_lag).map(drop),
            Step::Exit(task) => {
                if !self.await_end(task, service.stop_timeout)? {
                    self.0
                        .events
                        .add(json!({ "event": "killed", "task": task, "why": "it did not stop in time" }));
                    self.step(Step::Kill(task))?;
                }
                Ok(())
            }
            Step::Kill(task) => {
                self.member(task, |member| member.process.kill())?;
                self.await_end(task, service.stop_timeout).map(drop)
            }
        }
    }

    /// It is an error when nobody but `task` gets requests.
    fn expect_spare(&self, task: u32) -> anyhow::Result<()> {
        let state = self.state();
        let mut others = state.members.iter().filter(|(number, _)| **number != task);
        if others.any(|(_, member)| member.health == Health::Healthy && member.end.is_none()) {
            return Ok(());
        }
        let hint = "the deployment ends here; `status` shows what is left";
        Err(Problem::new(format!("without task {task} no target would be healthy"), hint).into())
    }

    fn await_healthy(&self, task: u32) -> anyhow::Result<()> {
        let limit = self.0.attributes.service.health_limit;
        let start = Instant::now();
        while start.elapsed() < limit {
            match self.member(task, |member| (member.health, member.end.is_some()))? {
                (Health::Healthy, _) => return Ok(()),
                (_, true) => break,
                _ => self.pause()?,
            }
        }
        let log = self.0.recipe.log(task);
        // As the deployment's circuit breaker: what does not work goes, what works stays.
        let _ = self.member(task, |member| {
            member.leaving = true;
            member.process.kill();
        });
        let hint = format!(
            "its log is `{}`; the tasks before it are left as they are",
            log.display()
        );
        Err(Problem::new(format!("task {task} did not become healthy"), hint)
            .with_detail(crate::process::tail(&log))
            .into())
    }

    /// Whether the process ended within `limit`.
    fn await_end(&self, task: u32, limit: Duration) -> anyhow::Result<bool> {
        let start = Instant::now();
        loop {
            let running = self
                .state()
                .members
                .get(&task)
                .is_some_and(|member| member.end.is_none());
            if !running || start.elapsed() >= limit {
                return Ok(!running);
            }
            self.pause()?;
        }
    }

    fn pause(&self) -> anyhow::Result<()> {
        self.0.interrupt.check()?;
        std::thread::sleep(POLL);
        Ok(())
    }
}
