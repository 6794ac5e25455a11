//! What happens in the cluster, in order, for whoever wants to wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Events that are kept for those who come late.
const KEPT: usize = 10_000;

/// The list of events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    start: Instant,
    shared: Arc<(Mutex<List>, Condvar)>,
}

#[derive(Debug, Default)]
struct List {
    /// How many there were before the first one kept.
    forgotten: u64,
    lines: VecDeque<String>,
}

impl Events {
    /// No event yet; times count from now.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            shared: Arc::default(),
        }
    }

    /// Adds an event, which is an object with at least the field `event`.
    pub(crate) fn add(&self, mut event: Value) {
        let mut list = self.list();
        let number = list.forgotten + list.lines.len() as u64 + 1;
        if let Some(object) = event.as_object_mut() {
            object.insert("seq".to_owned(), json!(number));
            object.insert("ms".to_owned(), json!(millis(self.start.elapsed())));
        }
        list.lines.push_back(event.to_string());
        if list.lines.len() > KEPT {
            list.lines.pop_front();
            list.forgotten += 1;
        }
        drop(list);
        self.shared.1.notify_all();
    }

    /// The events after number `since`, as lines of JSON, and the number of the last one. Waits for one, at most
    /// `limit`.
    pub(crate) fn after(&self, since: u64, limit: Duration) -> (Vec<String>, u64) {
        let none_new = |list: &mut List| list.forgotten + list.lines.len() as u64 <= since;
        let (list, _) = self
            .shared
            .1
            .wait_timeout_while(self.list(), limit, none_new)
            .unwrap_or_else(PoisonError::into_inner);
        let seen = usize::try_from(since.saturating_sub(list.forgotten)).unwrap_or(usize::MAX);
        let lines: Vec<String> = list.lines.iter().skip(seen).cloned().collect();
        (lines, list.forgotten + list.lines.len() as u64)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `duration` as numbers of JSON have it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn events_are_numbered_and_kept_for_those_who_come_late() {
        let events = Events::new();
        events.add(json!({"event": "started", "task": 1}));
        events.add(json!({"event": "healthy", "task": 1}));
        let (lines, last) = events.after(0, NOW);
        assert_eq!((lines.len(), last), (2, 2));
        let second: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&second["event"], &second["seq"]), (&json!("healthy"), &json!(2)));
        assert_eq!(events.after(1, NOW).0, lines[1..]);
        assert_eq!(events.after(2, NOW), (Vec::new(), 2));
    }

    #[test]
    fn whoever_waits_gets_the_next_one() {
        let events = Events::new();
        let waiting = events.clone();
        let waiter = std::thread::spawn(move || waiting.after(0, Duration::from_secs(30)));
        events.add(json!({"event": "cut", "task": 2}));
        let (lines, last) = waiter.join().unwrap();
        assert_eq!((lines.len(), last), (1, 1));
    }

    #[test]
    fn the_list_is_bounded() {
        let events = Events::new();
        for _ in 0..KEPT + 5 {
            events.add(json!({"event": "started"}));
        }
        let (lines, last) = events.after(0, NOW);
        assert_eq!((lines.len(), last), (KEPT, KEPT as u64 + 5));
        assert_eq!(events.after(last - 1, NOW).0.len(), 1);
    }
}
