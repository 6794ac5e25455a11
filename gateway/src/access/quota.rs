//! How many calls of one person may be at work at once, so that nobody takes the whole task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::UserId;

/// Counts the calls at work, by person. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Quota {
    calls: Arc<Mutex<HashMap<UserId, usize>>>,
    limit: usize,
}

/// One call at work; over when dropped.
#[derive(Debug)]
pub struct AtWork {
    quota: Quota,
    user: UserId,
}

impl Quota {
    /// At most `limit` calls for each person.
    pub fn new(limit: usize) -> Self {
        Self {
            calls: Arc::default(),
            limit,
        }
    }

    /// How many calls a person may have at work.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Notes one more call. `None`: the person has as many as there may be.
    pub fn begin(&self, user: &UserId) -> Option<AtWork> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let at_work = calls.entry(user.clone()).or_default();
        if *at_work >= self.limit {
            return None;
        }
        *at_work += 1;
        Some(AtWork {
            quota: self.clone(),
            user: user.clone(),
        })
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut calls = self.quota.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_work) = calls.get_mut(&self.user) {
            *at_work -= 1;
            if *at_work == 0 {
                calls.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_at_the_limit_waits_for_a_call_to_end_and_others_do_not() {
        let quota = Quota::new(2);
        let (ana, ben) = (UserId::new("ana"), UserId::new("ben"));
        let (first, second) = (quota.begin(&ana), quota.begin(&ana));
        assert!(first.is_some() && second.is_some());
        assert!(quota.begin(&ana).is_none());
        let other = quota.begin(&ben);
        assert!(other.is_some());
        drop(first);
        let third = quota.begin(&ana);
        assert!(third.is_some());
        assert!(quota.begin(&ana).is_none());
        drop((second, third, other));
        assert!(quota.calls.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
