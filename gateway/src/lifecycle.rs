//! The life of the process: every task is tracked, and a stop happens in two steps.
//!
//! The soft token says "take no new work, finish what you have"; the hard token says "end your work now, and
//! say so to whoever waits for it".

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is left of a stop's time when patience is over: enough to write the answers of the calls that end there.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Spawns tasks and ends them in order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
}

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All tasks finished by themselves.
    Clean,
    /// The deadline passed or a second signal came; the rest was cut off.
    Forced,
}

impl Lifecycle {
    /// A process that has just started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as a task that a stop waits for.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(future)
    }

    /// Runs `future` as a task that ends when a stop begins. For loops without an end of their own.
    pub fn spawn_loop<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let soft = self.soft.clone();
        self.spawn(async move {
            tokio::select! {
                () = soft.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// For what serves until the process exits, such as answers to other tasks: a stop neither ends its tasks nor
    /// waits for them, until patience is over.
    #[must_use]
    pub fn until_exit(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            soft: self.hard.child_token(),
            hard: self.hard.child_token(),
        }
    }

    /// Whether a stop has begun.
    pub fn is_draining(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Fires when a stop begins.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Fires when patience is over.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Stops: fires the soft token and waits for every task. Fires the hard token shortly before `deadline`, and
    /// returns at `deadline`, or at once when `abort` completes.
    pub async fn drain(&self, deadline: Duration, abort: impl Future<Output = ()>) -> Stopped {
        self.soft.cancel();
        self.tracker.close();
        let patience = async {
            tokio::time::sleep(deadline.saturating_sub(LAST_WORDS)).await;
            self.hard.cancel();
            let _ = tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await;
        };
        tokio::select! {
            biased;
            () = abort => Stopped::Forced,
            () = patience => Stopped::Forced,
            () = self.tracker.wait() => Stopped::Clean,
        }
    }
}

/// The signals that ask for a stop: SIGTERM from an orchestrator, SIGINT from a terminal.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Starts listening.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
