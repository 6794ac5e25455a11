//! A client of HTTP+SSE that is back with a new stream: which one was its last?

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::id::TaskId;
use crate::mcp::deliver::ASK_WORKER;
use crate::mcp::dispatch::Mcp;
use crate::session::directory::SessionKey;
use crate::session::peers::PeerError;
use crate::session::peers::message::{PeerMessage, Successor};

/// How long a client waits for its new stream at most, until the other tasks and the store have said what became of the
/// last one. They do within milliseconds.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How long a task may be silent that is dead: its heartbeats count for less.
const SILENT_FOR: Duration = Duration::from_secs(30);

impl Mcp {
    /// A client of HTTP+SSE is back, with a new stream that is about to begin: tells the task where its last one ended, if
    /// there is no doubt which one that was; or else the client, that what it asked there is lost. Returns the events for
    /// the client that come before it learns where to POST, when it can have asked nothing new by the same ids.
    pub async fn welcome_back(self: &Arc<Self>, grant: &str, session: SessionKey) -> Bytes {
        let looked = timeout(AT_ONCE, async {
            match self.last_stream(grant, session).await {
                Last::Doubted => self.lost(grant, session).await,
                _ => None,
            }
        });
        if let Ok(Some(lost)) = looked.await {
            return lost;
        }
        let mcp = Arc::clone(self);
        let grant = grant.to_owned();
        self.lifecycle
            .spawn(async move { mcp.follow(&grant, session).await });
        Bytes::new()
    }

    /// The same in the background, for a stream that has begun: whoever came back at the same time is seen now.
    async fn follow(self: &Arc<Self>, grant: &str, session: SessionKey) {
        if !self.wheel.has_begun(session).await {
            return;
        }
        let until = Instant::now() + SILENT_FOR;
        let mut pause = ASK_WORKER;
        let (task, ended) = loop {
            match self.last_stream(grant, session).await {
                Last::Ended(task, session) => break (task, session),
                Last::Doubted => {
                    let lost = self.lost(grant, session).await.unwrap_or_default();
                    if !lost.is_empty() {
                        self.wheel.send(session, &lost);
                    }
                    return;
                }
                Last::Untold if Instant::now() < until && self.wheel.carries(session) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Last::Untold | Last::Unknown => return,
            }
        };
        if !self.wheel.carries(session) {
            return;
        }
        let by = Successor {
            session,
            task: self.me,
        };
        let noted = if task == self.me {
            self.wheel.succeed(ended, grant, by)
        } else {
            let message = PeerMessage::Succeeded {
                session: ended,
                grant: grant.to_owned(),
                by,
            };
            self.peers
                .send(task, &message)
                .await
                .is_ok_and(|reply| reply.found)
        };
        tracing::debug!(ended = %ended.text(), session = %session.text(), noted, "a client is back on a new stream");
    }

    /// The last stream of the only client of a grant that is missed anywhere. A client that comes back says only under
    /// which grant it acts. So there is a doubt when others of the grant are missed, or may be because a task does not
    /// say; and when one whose stream broke off may not know, because another of its streams seems open.
    async fn last_stream(&self, grant: &str, new: SessionKey) -> Last {
        let question = PeerMessage::Returned {
            grant: grant.to_owned(),
        };
        let mut told = vec![(self.me, self.wheel.missed(grant))];
        let mut died = false;
        for (task, answer) in self.peers.ask_all(&question).await {
            match answer.map(|reply| reply.missed) {
                Ok(Some(missed)) => told.push((task, missed)),
                Err(PeerError::Refused | PeerError::Unknown) => died = true,
                Err(PeerError::Silent) => return Last::Untold,
                Ok(None) | Err(PeerError::Rejected) => return Last::Unknown,
            }
        }
        // Before its first look a task knows no others.
        if self.peers.versions().borrow().is_none() {
            return Last::Untold;
        }
        let missed: usize = told.iter().map(|(_, missed)| missed.count).sum();
        let open: usize = told.iter().map(|(_, missed)| missed.open).sum();
        let is_only = open <= usize::from(self.wheel.carries(new));
        let mut awaited = told
            .iter()
            .filter_map(|(task, missed)| Some((*task, missed.awaited?, missed.drained)));
        match awaited.next() {
            Some((task, ended, drained)) if missed == 1 && !died && (drained || is_only) => {
                Last::Ended(task, ended)
            }
            _ => Last::Doubted,
        }
    }
}

/// What is known of the last stream of a client that is back.
enum Last {
    /// It ended at this task.
    Ended(TaskId, SessionKey),
    /// It went down with its task, or may be one of several: it will never be known.
    Doubted,
    /// A task does not answer, which may be dead; or this one does not know yet which there are.
    Untold,
    /// A task does not say what it knows.
    Unknown,
}
