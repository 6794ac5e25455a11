//! The life of the process: every task is tracked, and a stop happens in steps.
//!
//! The soft token says "this process is about to stop": it is not ready any more, streams end and new ones are
//! refused, while requests are still served, because a load balancer goes on sending them for a while. The closing
//! token says "take no new work, finish what you have"; the hard token says "end your work now, and say so to
//! whoever waits for it". Loops without an end of their own go on until all work is over.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is left of a stop's time when patience is over: enough to write the answers of the calls that end there.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Spawns tasks and ends them in order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    work: TaskTracker,
    loops: TaskTracker,
    soft: CancellationToken,
    closing: CancellationToken,
    hard: CancellationToken,
    over: CancellationToken,
}

/// How much time a stop has, counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Requests are served for this long as if nothing had happened.
    pub grace: Duration,
    /// What is left by then is cut. Not before the grace is over.
    pub deadline: Duration,
}

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All work finished by itself.
    Clean,
    /// The deadline came, and the work that was left ended when it was told to: whoever waited for it got an answer.
    Hurried,
    /// Work was left that did not end in time, and was cut.
    Cut,
    /// A second signal came, and whatever was left was cut.
    Aborted,
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
        self.work.spawn(future)
    }

    /// Runs `future` as a task that ends when all work is over. For loops without an end of their own.
    pub fn spawn_loop<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let over = self.over.clone();
        self.loops.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// For what serves until the process exits, such as answers to other tasks: a stop neither ends its tasks nor
    /// waits for them, until all work is over.
    #[must_use]
    pub fn until_exit(&self) -> Self {
        Self {
            work: TaskTracker::new(),
            loops: TaskTracker::new(),
            soft: self.over.child_token(),
            closing: self.over.child_token(),
            hard: self.over.child_token(),
            over: self.over.child_token(),
        }
    }

    /// Whether a stop has begun.
    pub fn is_draining(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Fires when a stop begins: no new streams.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Fires when the grace is over: no new requests.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Fires when patience is over.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Begins a stop, and leaves it at that. Calling it again changes nothing.
    pub fn begin_drain(&self) {
        self.soft.cancel();
    }

    /// Fires every token, and waits for nothing.
    pub fn end(&self) {
        for token in [&self.soft, &self.closing, &self.hard, &self.over] {
            token.cancel();
        }
    }

    /// Stops: begins the drain, takes no new work from the end of the grace on, and waits for all work. Fires the
    /// hard token shortly before the deadline. Returns at the deadline at the latest, or at once when `abort` completes.
    pub async fn drain(&self, patience: Patience, abort: impl Future<Output = ()>) -> Stopped {
        let stopped = tokio::select! {
            biased;
            () = abort => Stopped::Aborted,
            stopped = self.finish(patience) => stopped,
        };
        self.end();
        if stopped != Stopped::Aborted {
            self.loops.close();
            let _ = tokio::time::timeout(LAST_WORDS, self.loops.wait()).await;
        }
        stopped
    }

    async fn finish(&self, Patience { grace, deadline }: Patience) -> Stopped {
        let began = Instant::now();
        self.begin_drain();
        tokio::time::sleep(grace.min(deadline)).await;
        self.closing.cancel();
        self.work.close();
        let enough = began + deadline.saturating_sub(LAST_WORDS);
        if tokio::time::timeout_at(enough, self.work.wait()).await.is_ok() {
            return Stopped::Clean;
        }
        self.hard.cancel();
        match tokio::time::timeout(LAST_WORDS, self.work.wait()).await {
            Ok(()) => Stopped::Hurried,
            Err(_) => Stopped::Cut,
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

    /// The next one.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

/// Who asks for a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM: an orchestrator.
    Terminate,
    /// SIGINT: a person at a terminal.
    Interrupt,
}

impl StopSignal {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience {
        grace: Duration::from_secs(20),
        deadline: Duration::from_secs(110),
    };

    #[tokio::test(start_paused = true)]
    async fn a_stop_without_work_ends_with_the_grace() {
        let (life, began) = (Lifecycle::new(), Instant::now());
        life.spawn_loop(pending());
        assert_eq!(life.drain(PATIENCE, pending()).await, Stopped::Clean);
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_the_grace_is_waited_for_and_loops_outlive_it() {
        let life = Lifecycle::new();
        let (inside, began) = (life.clone(), Instant::now());
        let (looping, mut alive) = tokio::sync::oneshot::channel::<()>();
        life.spawn_loop(async move {
            let _alive = looping;
            pending::<()>().await;
        });
        life.spawn(async move {
            inside.soft().cancelled().await;
            assert!(inside.is_draining() && !inside.closing().is_cancelled());
            tokio::time::sleep(10 * SECOND).await;
            let late = inside.clone();
            inside.spawn(async move {
                late.closing().cancelled().await;
                tokio::time::sleep(30 * SECOND).await;
                assert!(
                    alive
                        .try_recv()
                        .is_err_and(|end| end == tokio::sync::oneshot::error::TryRecvError::Empty)
                );
            });
        });
        assert_eq!(life.drain(PATIENCE, pending()).await, Stopped::Clean);
        assert_eq!(began.elapsed().as_secs(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_left_at_the_deadline_is_told_and_what_does_not_listen_is_cut() {
        for (listens, expected) in [(true, Stopped::Hurried), (false, Stopped::Cut)] {
            let life = Lifecycle::new();
            let (hard, began) = (life.hard().clone(), Instant::now());
            life.spawn(async move {
                hard.cancelled().await;
                if !listens {
                    pending::<()>().await;
                }
            });
            assert_eq!(life.drain(PATIENCE, pending()).await, expected);
            assert!(began.elapsed() <= PATIENCE.deadline, "{:?}", began.elapsed());
            assert!(began.elapsed() + SECOND >= PATIENCE.deadline);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_abort_ends_the_stop_at_once_at_any_point() {
        for after in [0, 5, 60] {
            let (life, began) = (Lifecycle::new(), Instant::now());
            life.spawn(pending::<()>());
            let abort = tokio::time::sleep(after * SECOND);
            assert_eq!(life.drain(PATIENCE, abort).await, Stopped::Aborted);
            assert_eq!(began.elapsed().as_secs(), u64::from(after));
        }
    }
}
