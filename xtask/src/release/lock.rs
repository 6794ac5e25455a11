//! Who may change an environment: a parameter that only one can create.
//!
//! A lock is a generation: whoever takes it creates the parameter of the next number, which the parameter store does
//! for one of them only. Nothing is deleted to take over a lock that was left behind, so two that see the same dead
//! lock cannot both get it.

use std::cell::Cell;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::time;
use super::who::{self, Who};
use crate::problem::Problem;

/// How long a lock holds by itself; a release renews it while it works.
pub(crate) const TTL: Duration = Duration::from_mins(15);
/// How long before its end a lock is renewed.
const MARGIN: u64 = 600;

/// What is in the parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The person or the pipeline.
    pub(crate) who: String,
    /// Where the process runs.
    pub(crate) host: String,
    /// Its id there; 0 for a lock that no process holds.
    pub(crate) process: u32,
    /// Page of the pipeline's run.
    pub(crate) run: Option<String>,
    /// What for.
    pub(crate) message: String,
    /// Seconds since 1970.
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// Whether it was given back.
    pub(crate) released: bool,
}

impl Held {
    /// `ana@host, deploy of 1a2b3c, for 3 min, until ...`.
    pub(crate) fn shown(&self, now: u64) -> String {
        let run = self
            .run
            .as_ref()
            .map(|run| format!(", {run}"))
            .unwrap_or_default();
        format!(
            "{}, {}{run}, since {} ({} ago), for {} more",
            self.who,
            self.message,
            time::shown(self.since),
            time::span(now.saturating_sub(self.since)),
            time::span(self.until.saturating_sub(now)),
        )
    }

    /// Whether nobody stands behind it any more, and why.
    fn is_free(&self, now: u64, who: &Who) -> Option<&'static str> {
        if self.released {
            return Some("released");
        }
        if self.until <= now {
            return Some("expired");
        }
        let is_me = self.host == who.host && self.process == who.process;
        if self.run.is_some() && self.run == who.run && !is_me {
            return Some("of an earlier attempt of this run");
        }
        let is_here = self.run.is_none() && self.host == who.host && self.process != 0;
        (is_here && !who::is_alive(self.process)).then_some("of a process that is gone")
    }
}

/// The newest generation, if there is one.
pub(crate) fn read(account: &Account<'_>) -> anyhow::Result<Option<(u64, Held)>> {
    Ok(generations(account)?.pop())
}

/// The lock that somebody holds now.
pub(crate) fn holder(account: &Account<'_>, who: &Who, now: u64) -> anyhow::Result<Option<(u64, Held)>> {
    Ok(read(account)?.filter(|(_, held)| held.is_free(now, who).is_none()))
}

fn generations(account: &Account<'_>) -> anyhow::Result<Vec<(u64, Held)>> {
    let mut generations: Vec<(u64, Held)> = account
        .parameters(&path(account))?
        .into_iter()
        .filter_map(|(name, value)| {
            let number = name.rsplit('/').next()?.parse().ok()?;
            Some((number, serde_json::from_str(&value).ok()?))
        })
        .collect();
    generations.sort_by_key(|(number, _)| *number);
    Ok(generations)
}

/// A lock that this process holds. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    account: &'a Account<'a>,
    number: u64,
    held: Held,
    until: Cell<u64>,
    is_kept: bool,
}

impl<'a> Lock<'a> {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(
        account: &'a Account<'a>,
        who: &Who,
        message: &str,
        now: u64,
    ) -> anyhow::Result<Result<Self, Held>> {
        let all = generations(account)?;
        let number = match all.last() {
            None => 1,
            Some((number, held)) => match held.is_free(now, who) {
                None => return Ok(Err(held.clone())),
                Some(why) => {
                    if why != "released" {
                        crate::ui::say(format_args!("taking over a lock {why}: {}", held.shown(now)));
                    }
                    number + 1
                }
            },
        };
        let held = Held {
            who: who.name.clone(),
            host: who.host.clone(),
            process: who.process,
            run: who.run.clone(),
            message: message.to_owned(),
            since: now,
            until: now + TTL.as_secs(),
            released: false,
        };
        let is_created = account.create_parameter(&name(account, number), &serde_json::to_string(&held)?)?;
        // Somebody who saw an older state may create a number that was used and removed.
        let newest = read(account)?;
        match newest {
            Some((newest, _)) if is_created && newest == number => {}
            Some((_, other)) => {
                if is_created {
                    account.delete_parameter(&name(account, number))?;
                }
                return Ok(Err(other));
            }
            None => return Err(lost(number, "it is gone").into()),
        }
        for (old, _) in all {
            account.delete_parameter(&name(account, old))?;
        }
        let until = Cell::new(held.until);
        Ok(Ok(Self {
            account,
            number,
            held,
            until,
            is_kept: false,
        }))
    }

    /// It is an error when somebody else took over, for example because this machine slept for an hour.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match read(self.account)? {
            Some((number, held)) if number == self.number && !held.released => Ok(()),
            Some((_, other)) if other.released => Err(lost(self.number, "it was released by hand").into()),
            Some((_, other)) => {
                let by = format!("{} has it: {}", other.who, other.message);
                Err(lost(self.number, &by).into())
            }
            None => Err(lost(self.number, "it is gone").into()),
        }
    }

    /// Holds it for longer, when its end is near.
    pub(crate) fn renew(&self, now: u64) -> anyhow::Result<()> {
        if self.until.get() > now + MARGIN {
            return Ok(());
        }
        self.check()?;
        let until = now + TTL.as_secs();
        let held = Held {
            until,
            ..self.held.clone()
        };
        self.account
            .put_parameter(&name(self.account, self.number), &serde_json::to_string(&held)?)?;
        self.until.set(until);
        Ok(())
    }

    /// Leaves it with nobody's process behind it until `until`: a person keeps others away.
    pub(crate) fn keep(mut self, until: u64) -> anyhow::Result<Held> {
        let held = Held {
            process: 0,
            until,
            ..self.held.clone()
        };
        self.account
            .put_parameter(&name(self.account, self.number), &serde_json::to_string(&held)?)?;
        self.is_kept = true;
        Ok(held)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if self.is_kept || self.check().is_err() {
            return;
        }
        if let Err(error) = release(self.account, self.number, &self.held) {
            crate::ui::error(&error);
        }
    }
}

/// Gives a generation back.
pub(crate) fn release(account: &Account<'_>, number: u64, held: &Held) -> anyhow::Result<()> {
    let held = Held {
        released: true,
        ..held.clone()
    };
    account.put_parameter(&name(account, number), &serde_json::to_string(&held)?)
}

/// The answer to somebody who wants a lock that another has.
pub(crate) fn refusal(environment: &str, held: &Held, now: u64) -> Problem {
    let what = format!("`{environment}` is locked by {}", held.shown(now));
    let hint = format!(
        "wait for it; when nobody is at work any more: `cargo xtask lock release --env {environment}`"
    );
    Problem::new(what, hint)
}

fn lost(number: u64, why: &str) -> Problem {
    let hint = "nothing more was changed; look at `cargo xtask status`, then run it again";
    Problem::new(format!("the lock (generation `{number}`) is lost: {why}"), hint)
}

fn path(account: &Account<'_>) -> String {
    format!("{}/lock", account.declared.parameters.prefix)
}

fn name(account: &Account<'_>, number: u64) -> String {
    format!("{}/{number}", path(account))
}
