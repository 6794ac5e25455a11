//! How Google answered the last request, whichever part of the gateway sent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Reachability;

/// Set by everything that asks Google, read by `/ready`. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastAnswer(Arc<AtomicU8>);

impl LastAnswer {
    /// Notes that Google answered, or that it did not.
    pub(crate) fn note(&self, reachable: bool) {
        self.0.store(if reachable { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// What was noted last.
    pub(crate) fn reachability(&self) -> Reachability {
        match self.0.load(Ordering::Relaxed) {
            1 => Reachability::Reachable,
            2 => Reachability::Unreachable,
            _ => Reachability::Unknown,
        }
    }
}
