//! Which tasks are alive, judged by one task from its looks at the fleet row.
//!
//! A heartbeat that moves is alive, whatever the clocks of two machines say. A task that could not look for a while
//! judges nobody by the time that it missed: when the store comes back, everybody's heartbeat is old.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::TaskId;
use crate::model::fleet::Fleet;

/// What a task knows of all tasks, itself included.
#[derive(Debug, Default)]
pub(super) struct View {
    known: BTreeMap<TaskId, Known>,
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    address: SocketAddr,
    beat: u64,
    /// When the heartbeat was last seen to move.
    moved: Instant,
    alive: bool,
}

impl View {
    /// Takes in the row as it is `now`, which is `unix` in seconds since the Unix epoch. A heartbeat counts for `ttl`.
    pub(super) fn look(&mut self, row: &Fleet, now: Instant, unix: i64, ttl: Duration) {
        let was_blind = self.looked.is_some_and(|at| now.duration_since(at) > ttl / 2);
        self.looked = Some(now);
        let before = std::mem::take(&mut self.known);
        for (task, entry) in &row.tasks {
            let Ok(address) = entry.address.parse() else {
                continue;
            };
            let moved = match before.get(task) {
                _ if was_blind => now,
                Some(known) if known.beat == entry.beat => known.moved,
                Some(_) => now,
                // Never seen before: its clock is all there is to go by.
                None => {
                    let age = u64::try_from(unix.saturating_sub(entry.seen)).unwrap_or(0);
                    // Whole seconds: it may be nearly one less.
                    let age = age.saturating_sub(1);
                    now.checked_sub(Duration::from_secs(age)).unwrap_or(now)
                }
            };
            let known = Known {
                address,
                beat: entry.beat,
                moved,
                alive: now.duration_since(moved) <= ttl,
            };
            self.known.insert(*task, known);
        }
    }

    /// The tasks that are alive.
    pub(super) fn alive(&self) -> impl Iterator<Item = (TaskId, SocketAddr)> + '_ {
        let alive = self.known.iter().filter(|(_, known)| known.alive);
        alive.map(|(task, known)| (*task, known.address))
    }

    /// The tasks whose heartbeat stopped.
    pub(super) fn gone(&self) -> Vec<TaskId> {
        let gone = self.known.iter().filter(|(_, known)| !known.alive);
        gone.map(|(task, _)| *task).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fleet::TaskEntry;

    const TTL: Duration = Duration::from_secs(20);
    const NOW: i64 = 1_800_000_000;

    fn row(tasks: &[(TaskId, i64, u64)]) -> Fleet {
        let entry = |(task, seen, beat): &(TaskId, i64, u64)| {
            let entry = TaskEntry {
                address: "10.0.0.1:3001".into(),
                started: NOW,
                seen: *seen,
                beat: *beat,
            };
            (*task, entry)
        };
        Fleet {
            tasks: tasks.iter().map(entry).collect(),
            ..Fleet::default()
        }
    }

    fn alive(view: &View) -> Vec<TaskId> {
        view.alive().map(|(task, _)| task).collect()
    }

    /// Looks every two seconds for `seconds`, at a row of which only the beats of `beating` move.
    fn watch(view: &mut View, from: Instant, seconds: u64, tasks: &[(TaskId, i64, u64)], beating: &[TaskId]) {
        for second in (0..=seconds).step_by(2) {
            let moved: Vec<_> = tasks
                .iter()
                .map(|(task, seen, beat)| {
                    let moves = u64::from(beating.contains(task)) * second;
                    (*task, *seen, beat + moves)
                })
                .collect();
            view.look(&row(&moved), from + Duration::from_secs(second), NOW, TTL);
        }
    }

    #[test]
    fn a_task_whose_beat_stops_is_gone_after_20_s_and_others_stay() {
        let [one, two] = [(); 2].map(|()| TaskId::random());
        let (mut view, start) = (View::default(), Instant::now());
        let tasks = [(one, NOW, 1), (two, NOW, 1)];
        watch(&mut view, start, 20, &tasks, &[two]);
        assert_eq!(alive(&view).len(), 2);
        watch(&mut view, start + Duration::from_secs(22), 0, &tasks, &[two]);
        assert_eq!((alive(&view), view.gone()), (vec![two], vec![one]));
    }

    #[test]
    fn clocks_that_disagree_kill_nobody_that_beats() {
        let [behind, ahead] = [(); 2].map(|()| TaskId::random());
        let (mut view, start) = (View::default(), Instant::now());
        let tasks = [(behind, NOW - 3_600, 1), (ahead, NOW + 3_600, 1)];
        watch(&mut view, start, 0, &tasks, &[]);
        assert_eq!(alive(&view), [ahead], "at first sight there is only the clock");
        watch(&mut view, start, 60, &tasks, &[behind, ahead]);
        assert_eq!(alive(&view).len(), 2);
    }

    #[test]
    fn nobody_is_judged_by_an_outage_of_the_store() {
        let task = TaskId::random();
        let (mut view, start) = (View::default(), Instant::now());
        let tasks = [(task, NOW, 1)];
        watch(&mut view, start, 2, &tasks, &[]);
        let back = start + Duration::from_mins(5);
        watch(&mut view, back, 20, &tasks, &[]);
        assert_eq!(alive(&view), [task], "it has 20 s to beat again");
        watch(&mut view, back + Duration::from_secs(22), 0, &tasks, &[]);
        assert!(alive(&view).is_empty());
    }

    #[test]
    fn a_corpse_that_was_left_in_the_row_is_known_at_first_sight() {
        let task = TaskId::random();
        let mut view = View::default();
        view.look(&row(&[(task, NOW - 22, 9)]), Instant::now(), NOW, TTL);
        assert!(alive(&view).is_empty());
        assert_eq!(view.gone(), [task]);
    }
}
