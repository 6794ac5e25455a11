//! The other tasks of the deployment: who they are, and how to tell them something.
//!
//! Slow facts travel through the fleet row of the store, which every task reads every two seconds; fast messages
//! go straight to the private port of a task. A single task has neither.

pub mod auth;
pub mod message;
mod view;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::Clock;
use crate::id::TaskId;
use crate::lifecycle::Lifecycle;
use crate::model::fleet::{Fleet, TaskEntry};
use crate::store::{Store, StoreError};
use auth::{Guard, PeerKeys};
use message::{PeerMessage, PeerReply};
use view::View;

/// How often a task says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often a task looks at the fleet row.
const POLL: Duration = Duration::from_secs(2);
/// How long a heartbeat counts: four may get lost.
const HEARTBEAT_TTL: Duration = Duration::from_secs(20);
/// Until a connection to a task stands.
pub const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// For a message and its answer: somebody waits, and a task that is this slow is as good as away.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(1);
/// An idle connection to a task is closed after this time, long before the task would.
pub const POOL_IDLE: Duration = Duration::from_mins(1);
/// How long the good-bye may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);
/// For a look at the fleet row on the way of a message to all.
const LOOK_DEADLINE: Duration = Duration::from_millis(500);
/// Looks for tasks that are not known yet happen at most this often; no task serves anybody as soon as that.
const REFRESH_PAUSE: Duration = Duration::from_millis(500);
/// Most of an answer that is read; an honest one has 15 bytes, or the places of a few grants.
const MAX_REPLY: usize = 4 << 10;

/// Why a message has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No such task lives.
    #[error("there is no such task")]
    Unknown,
    /// Nobody listens there, or the connection was cut: the process is dead.
    #[error("the task is dead")]
    Refused,
    /// No answer in time. It may be dead, slow or cut off, and it may have acted on the message.
    #[error("the task does not answer")]
    Silent,
    /// It answered that it does not take the message.
    #[error("the task refused the message")]
    Rejected,
}

/// What a task said.
pub type Answer = (TaskId, Result<PeerReply, PeerError>);

/// The version counters of the fleet row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Moves when the tool list changed.
    pub catalogue: u64,
    /// Moves when a grant is denied.
    pub revocation: u64,
}

/// How a task reaches the others, and is reached.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where others find the private port.
    pub address: SocketAddr,
    /// The connections to others.
    pub http: reqwest::Client,
}

/// The other tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    me: TaskId,
    started: i64,
    keys: PeerKeys,
    store: Store,
    clock: Clock,
    /// A single task has none.
    link: Option<Link>,
    view: Mutex<View>,
    versions: watch::Sender<Option<Versions>>,
    /// The number of the last heartbeat; `None` once this task has left. Held during the write, so that no
    /// heartbeat comes after the good-bye.
    beat: AsyncMutex<Option<u64>>,
    /// When the row was last looked at for a message.
    refreshed: AsyncMutex<Option<Instant>>,
}

impl Peers {
    /// Task `me`, which has just started; without a link it is the only one.
    pub fn new(me: TaskId, store: Store, clock: Clock, keys: PeerKeys, link: Option<Link>) -> Self {
        Self(Arc::new(Inner {
            me,
            started: clock.unix_seconds(),
            keys,
            store,
            clock,
            link,
            view: Mutex::default(),
            versions: watch::Sender::default(),
            beat: AsyncMutex::new(Some(0)),
            refreshed: AsyncMutex::default(),
        }))
    }

    /// This task.
    pub fn me(&self) -> TaskId {
        self.0.me
    }

    /// The other tasks that live, with the address of their private port.
    pub fn tasks(&self) -> Vec<(TaskId, SocketAddr)> {
        let view = self.view();
        view.alive().filter(|(task, _)| *task != self.0.me).collect()
    }

    /// The version counters, as far as this task knows; `None` before its first look.
    pub fn versions(&self) -> watch::Receiver<Option<Versions>> {
        self.0.versions.subscribe()
    }

    /// What decides on the messages to this task.
    pub fn guard(&self) -> Guard {
        Guard::new(self.0.me, self.0.keys.clone(), self.0.clock.clone())
    }

    /// Asks another task, and waits at most a second for its answer.
    pub async fn send(&self, to: TaskId, message: &PeerMessage) -> Result<PeerReply, PeerError> {
        let exchange = Box::pin(self.exchange(to, message));
        let answer = tokio::time::timeout(MESSAGE_DEADLINE, exchange).await;
        let answer = answer.unwrap_or(Err(PeerError::Silent));
        if let Err(error) = &answer {
            tracing::info!(task = %to, message = message.kind(), %error, "a task was not reached");
        }
        answer
    }

    /// Asks all other tasks at once, those that started a moment ago among them. Whether one of them had what the message
    /// is about.
    pub async fn broadcast(&self, message: &PeerMessage) -> bool {
        let answers = self.ask_all(message).await;
        let mut answers = answers.into_iter();
        answers.any(|(_, answer)| answer.is_ok_and(|reply| reply.found))
    }

    /// Asks all other tasks at once, those that started a moment ago among them, and returns what each said. One that has
    /// just left is not asked for its opinion.
    pub async fn ask_all(&self, message: &PeerMessage) -> Vec<Answer> {
        if self.0.link.is_none() {
            return Vec::new();
        }
        let known = self.tasks();
        let look = async { tokio::time::timeout(LOOK_DEADLINE, self.refresh()).await };
        let (mut answers, looked) = tokio::join!(self.ask(&known, message), look);
        if !matches!(looked, Ok(Ok(()))) {
            return answers;
        }
        let mut newer = self.tasks();
        answers.retain(|(task, answer)| answer.is_ok() || newer.iter().any(|(known, _)| known == task));
        newer.retain(|task| !known.contains(task));
        answers.extend(self.ask(&newer, message).await);
        answers
    }

    async fn ask(&self, tasks: &[(TaskId, SocketAddr)], message: &PeerMessage) -> Vec<Answer> {
        join_all(
            tasks
                .iter()
                .map(async |(task, _)| (*task, self.send(*task, message).await)),
        )
        .await
    }

    /// Starts the heartbeat, if there is anybody to hear it, and the looks at the fleet row.
    ///
    /// A `lifecycle` that lasts until the exit: a task that drains still has calls that others ask for.
    pub fn start(&self, lifecycle: &Lifecycle) {
        let peers = self.clone();
        if self.0.link.is_some() {
            lifecycle.spawn_loop(async move { peers.keep_up().await });
        } else {
            lifecycle.spawn_loop(async move { peers.keep_up_alone().await });
        }
    }

    /// Says good-bye, so that the others know at once.
    pub async fn leave(&self) {
        if self.0.link.is_none() {
            return;
        }
        let leave = async {
            *self.0.beat.lock().await = None;
            self.0.store.leave_fleet(self.0.me).await
        };
        match tokio::time::timeout(LEAVE_DEADLINE, Box::pin(leave)).await {
            Ok(Ok(())) => tracing::info!(task = %self.0.me, "left the fleet"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the fleet was not told of the stop; it notices in 20 s");
            }
            Err(_) => tracing::warn!("the fleet was not told of the stop in time; it notices in 20 s"),
        }
    }

    async fn exchange(&self, to: TaskId, message: &PeerMessage) -> Result<PeerReply, PeerError> {
        let link = self.0.link.as_ref().ok_or(PeerError::Unknown)?;
        let address = self.find(to).await?;
        let body = serde_json::to_vec(message).map_err(|_| PeerError::Rejected)?;
        let stamp = self
            .0
            .keys
            .stamp(self.0.me, to, self.0.clock.unix_seconds(), &body);
        let request = link.http.post(format!("http://{address}{}", auth::PATH));
        let request = stamp
            .headers()
            .into_iter()
            .fold(request.body(body), |request, (name, value)| {
                request.header(name, value)
            });
        let mut response = request.send().await.map_err(|error| why(&error))?;
        match response.status().as_u16() {
            200 => {}
            // Another process has this address now.
            421 => return Err(PeerError::Refused),
            _ => return Err(PeerError::Rejected),
        }
        let mut reply = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| why(&error))? {
            reply.extend_from_slice(&part);
            if reply.len() > MAX_REPLY {
                return Err(PeerError::Rejected);
            }
        }
        serde_json::from_slice(&reply).map_err(|_| PeerError::Rejected)
    }

    /// The address of a task. One that is not known may have started a moment ago, so the row is asked.
    async fn find(&self, task: TaskId) -> Result<SocketAddr, PeerError> {
        if task == self.0.me {
            return Err(PeerError::Unknown);
        }
        let known = || self.view().alive().find(|(known, _)| *known == task);
        if let Some((_, address)) = known() {
            return Ok(address);
        }
        self.refresh().await.map_err(|_| PeerError::Silent)?;
        known().map(|(_, address)| address).ok_or(PeerError::Unknown)
    }

    /// Looks at the row between two regular looks, unless that has just been done.
    async fn refresh(&self) -> Result<(), StoreError> {
        let mut refreshed = self.0.refreshed.lock().await;
        if refreshed.is_none_or(|at| at.elapsed() > REFRESH_PAUSE) {
            self.look().await?;
            *refreshed = Some(Instant::now());
        }
        Ok(())
    }

    async fn keep_up(&self) {
        let start = Instant::now();
        let [beat, poll] = [HEARTBEAT, POLL].map(|designed| self.0.clock.interval(designed));
        let mut beats = tokio::time::interval_at(start, beat);
        let mut polls = tokio::time::interval_at(start + poll, poll);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut bumps = self.0.store.bumps();
        let mut well = true;
        loop {
            let outcome = tokio::select! {
                _ = beats.tick() => self.beat().await,
                _ = polls.tick() => self.look().await,
                Ok(()) = bumps.changed() => self.look().await,
            };
            match &outcome {
                Err(error) if well => {
                    tracing::warn!(%error, "the fleet row is out of reach; going by what is known");
                }
                Ok(()) if !well => tracing::info!("the fleet row is in reach again"),
                Ok(()) | Err(_) => {}
            }
            well = outcome.is_ok();
        }
    }

    /// A single task moves all counters itself: one look at the start, then one for each of its own changes.
    async fn keep_up_alone(&self) {
        let mut bumps = self.0.store.bumps();
        loop {
            while let Err(error) = self.look().await {
                tracing::debug!(%error, "the version counters were not read; trying again");
                tokio::time::sleep(self.0.clock.interval(POLL)).await;
            }
            if bumps.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes the heartbeat, takes out the dead, and takes the answer for a look.
    async fn beat(&self) -> Result<(), StoreError> {
        let Some(link) = &self.0.link else {
            return Ok(());
        };
        let mut beat = self.0.beat.lock().await;
        let Some(number) = beat.as_mut() else {
            return Ok(());
        };
        *number += 1;
        let entry = TaskEntry {
            address: link.address.to_string(),
            started: self.0.started,
            seen: self.0.clock.unix_seconds(),
            beat: *number,
        };
        let mut gone = self.view().gone();
        gone.retain(|task| *task != self.0.me);
        let row = self.0.store.beat(self.0.me, &entry, &gone).await?;
        self.take_in(&row);
        Ok(())
    }

    /// Reads the row. A task that was taken for dead says at once that it is not.
    async fn look(&self) -> Result<(), StoreError> {
        let row = self.0.store.fleet().await?;
        self.take_in(&row);
        if !row.tasks.contains_key(&self.0.me) {
            self.beat().await?;
        }
        Ok(())
    }

    fn take_in(&self, row: &Fleet) {
        let unix = self.0.clock.unix_seconds();
        let ttl = self.0.clock.interval(HEARTBEAT_TTL);
        self.view().look(row, Instant::now(), unix, ttl);
        let now = Versions {
            catalogue: row.catalogue,
            revocation: row.revocation,
        };
        self.0.versions.send_if_modified(|known| {
            let before = known.replace(now);
            before != Some(now)
        });
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a failed request says about the task: only a connection that is refused or cut tells that it is dead.
fn why(error: &reqwest::Error) -> PeerError {
    use std::io::ErrorKind;
    if error.is_timeout() {
        return PeerError::Silent;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let cut = matches!(
            io,
            Some(
                ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            )
        );
        let broken_off = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_incomplete_message);
        if cut || broken_off {
            return PeerError::Refused;
        }
        cause = error.source();
    }
    PeerError::Silent
}

#[cfg(feature = "embedded")]
#[cfg(test)]
mod tests;
