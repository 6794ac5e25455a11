//! The tasks of a running cluster and what is done with them. Cheap to clone; every verb runs in its caller's thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::json;

use super::attributes::Attributes;
use super::events::Events;
use super::haproxy::{self, Runtime, SLOTS, Statistics};
use super::partition::{Partition, Wire};
use super::task::{Exit, Health, Member, Recipe};
use crate::interrupt::Interrupt;
use crate::problem::Problem;

/// How long the first tasks may take to answer.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long tasks may take for their last calls when the cluster ends.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How often it is looked whether they did.
const STOP_LOOK: Duration = Duration::from_millis(20);

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Fleet(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) attributes: Attributes,
    pub(super) recipe: Recipe,
    pub(super) services: BTreeMap<String, Wire>,
    pub(super) load_balancer: Runtime,
    pub(super) events: Events,
    pub(super) interrupt: Interrupt,
    replace: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// The number of the next task.
    next: u32,
    /// How many tasks the service wants.
    pub(super) wanted: usize,
    /// Since when there are fewer.
    short_since: Option<Instant>,
    pub(super) members: BTreeMap<u32, Member>,
    pub(super) ended: BTreeMap<u32, Exit>,
    pub(super) partition: Partition,
    pub(super) statistics: Statistics,
}

/// What a fleet is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) attributes: Attributes,
    pub(crate) recipe: Recipe,
    /// How the traffic of each service is recognised, by its name as a [`Part`].
    pub(crate) services: BTreeMap<String, Wire>,
    pub(crate) load_balancer: Runtime,
    pub(crate) partition: Partition,
    pub(crate) interrupt: Interrupt,
    /// Whether tasks that end are replaced.
    pub(crate) replace: bool,
}

impl Fleet {
    /// No task yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            attributes,
            recipe,
            services,
            load_balancer,
            partition,
            interrupt,
            replace,
        } = parts;
        let state = State {
            next: 1,
            wanted: 0,
            short_since: None,
            members: BTreeMap::new(),
            ended: BTreeMap::new(),
            partition,
            statistics: Statistics::default(),
        };
        Self(Arc::new(Shared {
            attributes,
            recipe,
            services,
            load_balancer,
            events: Events::new(),
            interrupt,
            replace,
            state: Mutex::new(state),
        }))
    }

    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    /// Ends the cluster as Ctrl-C does.
    pub(crate) fn shut_down(&self) {
        self.0.interrupt.raise();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the first `count` tasks. They are in the rotation as soon as they answer, without waiting for checks.
    pub(crate) fn begin(&self, count: u32) -> anyhow::Result<()> {
        self.0.load_balancer.say(&haproxy::begin(&self.0.attributes))?;
        let numbers = self.reserve(count);
        for number in &numbers {
            self.start(*number, false)?;
        }
        for number in numbers {
            let address = self.0.recipe.address(number);
            let path = &self.0.attributes.health.path;
            self.member(number, |member| {
                member.process.wait_ready(START_LIMIT, &self.0.interrupt, || {
                    Ok(crate::http::status_at(address, path)
                        .is_ok_and(|status| status == 200)
                        .then_some(()))
                })
            })??;
            self.register(number, true)?;
        }
        self.state().wanted = count as usize;
        Ok(())
    }

    /// Plugs everything in and stops every task: at once, because no load balancer has to notice first.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.partition.end();
        for member in state.members.values() {
            member.process.interrupt();
        }
        let begun = Instant::now();
        while !state.members.is_empty() {
            let late = begun.elapsed() > STOP_LIMIT;
            state.members.retain(|number, member| {
                if late {
                    member.process.stop();
                }
                let Ok(Some(status)) = member.process.ended() else {
                    return !late;
                };
                let Exit { code, signal } = Exit::from(status);
                let event =
                    json!({"event": "exited", "task": number, "code": code, "signal": signal, "asked": true});
                self.0.events.add(event);
                false
            });
            std::thread::sleep(STOP_LOOK);
        }
    }

    /// Numbers for `count` new tasks.
    pub(super) fn reserve(&self, count: u32) -> Vec<u32> {
        let mut state = self.state();
        let first = state.next;
        state.next += count;
        (first..state.next).collect()
    }

    /// Starts a process; with `register` it is a target at once, which gets requests when its checks pass.
    pub(super) fn start(&self, number: u32, register: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        let taken: Vec<usize> = state.members.values().map(|member| member.slot).collect();
        let Some(slot) = (1..=SLOTS).find(|slot| !taken.contains(slot)) else {
            bail!(Problem::new(
                format!("there are `{SLOTS}` tasks already"),
                "`drain` some"
            ));
        };
        let process = self.0.recipe.start(number)?;
        self.0.events.add(json!({
            "event": "started", "task": number, "pid": process.id(),
            "address": self.0.recipe.address(number).to_string(),
        }));
        let member = Member {
            process,
            slot,
            health: Health::Unused,
            open: 0,
            leaving: false,
            end: None,
        };
        state.members.insert(number, member);
        drop(state);
        if register {
            self.register(number, false)
        } else {
            Ok(())
        }
    }

    fn register(&self, number: u32, healthy: bool) -> anyhow::Result<()> {
        let address = self.0.recipe.address(number);
        self.member(number, |member| {
            member.health = if healthy { Health::Healthy } else { Health::Initial };
            self.0
                .events
                .add(json!({ "event": member.health.word(), "task": number }));
            self.0
                .load_balancer
                .say(&haproxy::register(member.slot, address, healthy))
        })?
    }

    /// Takes a task out of the rotation. One that is out, or gone, is fine.
    pub(super) fn deregister(&self, number: u32) -> anyhow::Result<()> {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&number) else {
            return Ok(());
        };
        if matches!(member.health, Health::Unused | Health::Draining) {
            return Ok(());
        }
        member.health = Health::Draining;
        member.leaving = true;
        self.0.load_balancer.say(&haproxy::deregister(member.slot))?;
        self.0.events.add(json!({ "event": "draining", "task": number }));
        Ok(())
    }

    pub(super) fn member<T>(&self, number: u32, look: impl FnOnce(&mut Member) -> T) -> anyhow::Result<T> {
        let mut state = self.state();
        let numbers: Vec<_> = state.members.keys().map(u32::to_string).collect();
        match state.members.get_mut(&number) {
            Some(member) => Ok(look(member)),
            None => Err(Problem::new(
                format!("there is no task `{number}`"),
                format!("these run: {}", numbers.join(", ")),
            )
            .into()),
        }
    }

    /// Looks at processes and targets once: what changed becomes an event. Called again and again.
    pub(crate) fn look(&self) -> anyhow::Result<()> {
        let statistics = self.0.load_balancer.statistics()?;
        let mut state = self.state();
        let service = &self.0.attributes.service;
        let mut gone = Vec::new();
        for (number, member) in &mut state.members {
            if member.end.is_none()
                && let Some(status) = member.process.ended()?
            {
                let exit = Exit::from(status);
                member.end = Some((Instant::now(), exit));
                let Exit { code, signal } = exit;
                let asked = member.leaving;
                let event = json!({"event": "exited", "task": number, "code": code, "signal": signal, "asked": asked});
                self.0.events.add(event);
            }
            let target = statistics.targets.get(&member.slot).copied().unwrap_or_default();
            member.open = target.open;
            let health = member.health.seen(target.up);
            if health != member.health {
                member.health = health;
                self.0
                    .events
                    .add(json!({ "event": health.word(), "task": number }));
            }
            if let Some((when, exit)) = member.end
                && (member.health == Health::Draining || when.elapsed() >= service.notice)
            {
                self.0.load_balancer.say(&haproxy::deregister(member.slot))?;
                gone.push((*number, exit));
            }
        }
        for (number, exit) in gone {
            state.members.remove(&number);
            state.ended.insert(number, exit);
            self.0
                .events
                .add(json!({ "event": "deregistered", "task": number }));
        }
        state.statistics = statistics;
        drop(state);
        self.replace()
    }

    /// Starts what is missing, as the service's scheduler does.
    fn replace(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        let staying = state
            .members
            .values()
            .filter(|member| !member.leaving && member.end.is_none())
            .count();
        if !self.0.replace || staying >= state.wanted {
            state.short_since = None;
            return Ok(());
        }
        let since = *state.short_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.0.attributes.service.replacement {
            return Ok(());
        }
        state.short_since = None;
        drop(state);
        let number = self.reserve(1).first().copied().unwrap_or_default();
        self.0.events.add(json!({ "event": "replacing", "task": number }));
        self.start(number, true)
    }
}
