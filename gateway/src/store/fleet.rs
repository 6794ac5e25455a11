//! The fleet row: version counters, and the heartbeats of all tasks. And the grants that are denied.
//!
//! A task needs all of the fleet row all the time, so it is one row with an attribute per task: one read tells
//! everything, and every change names its own attributes only, so that tasks never undo each other's.

use aws_sdk_dynamodb::types::AttributeValue;

use super::change::{Change, MAX_REMOVED};
use super::item::{self, Item, number};
use super::{Result, Store, keys};
use crate::id::TaskId;
use crate::model::fleet::{Fleet, TaskEntry};

/// Counts changes of the tool list.
const CATALOGUE: &str = "catalogue";
/// Counts changes of the denied grants.
const REVOCATION: &str = "revocation";
/// Begins the name of a task's attribute.
const TASK: &str = "task:";
/// Begins the name of a denied grant's attribute.
const GRANT: &str = "grant:";
/// Denied grants that are remembered. Each needs a login of its own within an hour, so honest deployments have a
/// handful; a full row has 110 KB, of the 400 KB that a row may have.
const MAX_DENIED: usize = 2_000;

impl Store {
    /// What all tasks told; a row that nobody wrote yet is an empty one.
    pub async fn fleet(&self) -> Result<Fleet> {
        let key = keys::fleet();
        let item = self.0.db.get(&key).await?.unwrap_or_default();
        to_fleet(key.kind, &item)
    }

    /// Writes the heartbeat of `task`, forgets the tasks `gone`, and returns the row as it is then.
    ///
    /// A task that was forgotten by mistake is back with its next heartbeat.
    pub async fn beat(&self, task: TaskId, entry: &TaskEntry, gone: &[TaskId]) -> Result<Fleet> {
        let key = keys::fleet();
        let fields = AttributeValue::M(item::encode(key.kind, entry)?);
        let change = gone
            .iter()
            .take(MAX_REMOVED)
            .fold(Change::default().set(&attribute(task), fields), |change, gone| {
                change.remove(&attribute(*gone))
            });
        to_fleet(key.kind, &self.change(&key, change).await?)
    }

    /// Takes `task` out, because it stops.
    pub async fn leave_fleet(&self, task: TaskId) -> Result<()> {
        let change = Change::default().remove(&attribute(task));
        self.change(&keys::fleet(), change).await.map(drop)
    }

    /// Tells every task that the tool list changed.
    pub async fn bump_catalogue(&self) -> Result<()> {
        self.bump(CATALOGUE).await
    }

    /// Denies the access tokens of a grant until `until` (seconds since the Unix epoch), and tells every task.
    ///
    /// Safe to repeat, and to be repeated until it succeeds: nothing is told before it is written.
    pub async fn deny_grant(&self, grant: &str, until: i64) -> Result<()> {
        let key = keys::denied_grants();
        let row = self.0.db.get(&key).await?.unwrap_or_default();
        let mut denied = to_denied(&row);
        denied.sort_by_key(|(_, until)| *until);
        let full = (denied.len() + 1).saturating_sub(MAX_DENIED);
        if denied.iter().take(full).any(|(_, until)| *until > self.now()) {
            tracing::warn!("too many grants are denied at once; the one that ends first is forgotten");
        }
        let change = denied
            .iter()
            .enumerate()
            .filter(|(position, (other, until))| other != grant && (*position < full || *until <= self.now()))
            .take(MAX_REMOVED)
            .fold(
                Change::default().set(&format!("{GRANT}{grant}"), number(until)),
                |change, (_, (gone, _))| change.remove(&format!("{GRANT}{gone}")),
            );
        self.change(&key, change).await?;
        self.bump(REVOCATION).await
    }

    /// The grants whose access tokens are refused now.
    pub async fn denied_grants(&self) -> Result<Vec<String>> {
        let row = self.0.db.get(&keys::denied_grants()).await?.unwrap_or_default();
        let live = to_denied(&row)
            .into_iter()
            .filter(|(_, until)| *until > self.now());
        Ok(live.map(|(grant, _)| grant).collect())
    }

    async fn bump(&self, counter: &str) -> Result<()> {
        self.change(&keys::fleet(), Change::default().count(counter))
            .await?;
        self.0.bumped.send_modify(|bumps| *bumps += 1);
        Ok(())
    }
}

fn attribute(task: TaskId) -> String {
    format!("{TASK}{task}")
}

/// Attributes of versions that are not ours, or that somebody wrote by hand, are passed over.
fn to_fleet(kind: &str, row: &Item) -> Result<Fleet> {
    let entry = |(name, value): (&String, &AttributeValue)| {
        let task = TaskId::parse(name.strip_prefix(TASK)?)?;
        let entry: TaskEntry = item::decode(kind, value.as_m().ok()?).ok()?;
        Some((task, entry))
    };
    Ok(Fleet {
        catalogue: counter(kind, row, CATALOGUE)?,
        revocation: counter(kind, row, REVOCATION)?,
        tasks: row.iter().filter_map(entry).collect(),
    })
}

fn counter(kind: &str, row: &Item, name: &str) -> Result<u64> {
    let Some(value) = row.get(name) else {
        return Ok(0);
    };
    let digits = value.as_n().ok().and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| item::unreadable(kind))
}

/// Denied grants, and until when.
fn to_denied(row: &Item) -> Vec<(String, i64)> {
    let grant = |(name, value): (&String, &AttributeValue)| {
        let until = value.as_n().ok()?.parse().ok()?;
        Some((name.strip_prefix(GRANT)?.to_owned(), until))
    };
    row.iter().filter_map(grant).collect()
}
