//! What the tasks of a deployment tell each other through the store: who runs, and what changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::TaskId;

/// The row that every task reads every two seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Moves on with every change of the tool list.
    pub catalogue: u64,
    /// Moves on with every grant that is denied.
    pub revocation: u64,
    /// The tasks that run, and those that stopped without a word and are not forgotten yet.
    pub tasks: BTreeMap<TaskId, TaskEntry>,
}

/// What a task says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// `IP:PORT` of its private port.
    pub address: String,
    /// When it started, in seconds since the Unix epoch of its own clock.
    pub started: i64,
    /// Its last heartbeat, in seconds since the Unix epoch of its own clock.
    pub seen: i64,
    /// Counts its heartbeats: a number that moves is alive, whatever the clocks say.
    pub beat: u64,
}
