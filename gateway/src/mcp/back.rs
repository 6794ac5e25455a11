//! A client of HTTP+SSE that is back with a new stream: which one was its last?

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::id::TaskId;
use crate::mcp::deliver::{ASK_WORKER, DELIVERIES};
use crate::mcp::dispatch::Mcp;
use crate::session::directory::SessionKey;
use crate::session::peers::PeerError;
use crate::session::peers::message::{PeerMessage, Successor};

/// How long a client waits for its new stream at most, until the other tasks and the store have said what became of the
/// last one. They do within milliseconds.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How long a task may be silent that is dead: its heartbeats count for less.
const SILENT_FOR: Duration = Duration::from_secs(30);

impl Mcp {
    /// A client of HTTP+SSE is back, with a new stream that is about to begin: tells the task where its last one ended, if
    /// there is no doubt which one that was; or else the client, that what it asked there is lost. Returns the events for
    /// the client that come before it learns where to POST, when it can have asked nothing new by the same ids.
    pub async fn welcome_back(self: &Arc<Self>, grant: &str, session: SessionKey) -> Bytes {
        let looked = timeout(AT_ONCE, async {
            match self.last_stream(grant, session).await {
                Last::Doubted => Err(self.lost(grant, session).await),
                last => Ok(last),
            }
        });
        let last = match looked.await {
            Ok(Err(Some(lost))) => return lost,
            Ok(Ok(last)) => Some(last),
            Ok(Err(None)) | Err(_) => None,
        };
        let mcp = Arc::clone(self);
        let grant = grant.to_owned();
        self.lifecycle.spawn(async move {
            if !mcp.wheel.has_begun(session).await || mcp.follows(&grant, session, last).await {
                return;
            }
            let lost = mcp.lost(&grant, session).await.unwrap_or_default();
            if !lost.is_empty() {
                mcp.wheel.send(session, &lost);
            }
        });
        Bytes::new()
    }

    /// Tells the task where the last stream of a client ended which one it has now. `false`: that is not known, and will
    /// not be. `last`: what was found before the new one began.
    async fn follows(&self, grant: &str, session: SessionKey, last: Option<Last>) -> bool {
        let until = Instant::now() + SILENT_FOR;
        let mut pause = ASK_WORKER;
        let ended = match last {
            Some(Last::Ended(ended)) if ended.drained => ended,
            // Whoever else came back at the same time is seen now.
            _ => loop {
                match self.last_stream(grant, session).await {
                    Last::Ended(ended) => break ended,
                    Last::Untold if Instant::now() < until && self.wheel.carries(session) => {
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    Last::Doubted | Last::Untold | Last::Unknown => return false,
                }
            },
        };
        if !self.wheel.carries(session) {
            return true;
        }
        let by = Successor {
            session,
            task: self.me,
        };
        let noted = self.succeed(&ended, grant, by).await;
        tracing::debug!(ended = %ended.session.text(), session = %session.text(), noted, "a client is back on a new stream");
        noted
    }

    /// `false`: the task where the stream ended does not wait for its client.
    async fn succeed(&self, ended: &EndedAt, grant: &str, by: Successor) -> bool {
        if ended.task == self.me {
            return self.wheel.succeed(ended.session, grant, by);
        }
        let message = PeerMessage::Succeeded {
            session: ended.session,
            grant: grant.to_owned(),
            by,
        };
        for _ in 0..DELIVERIES {
            match self.peers.send(ended.task, &message).await {
                Err(PeerError::Silent) => {}
                reply => return reply.is_ok_and(|reply| reply.found),
            }
        }
        // It may have heard, and send what is due.
        true
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
        let mut awaited = told.iter().filter_map(|(task, missed)| {
            Some(EndedAt {
                task: *task,
                session: missed.awaited?,
                drained: missed.drained,
            })
        });
        match awaited.next() {
            Some(ended) if missed == 1 && !died && (ended.drained || is_only) => Last::Ended(ended),
            _ => Last::Doubted,
        }
    }
}

/// A stream, the task where it ended, and whether a drain ended it.
struct EndedAt {
    task: TaskId,
    session: SessionKey,
    drained: bool,
}

/// What is known of the last stream of a client that is back.
enum Last {
    Ended(EndedAt),
    /// It went down with its task, or may be one of several: it will never be known.
    Doubted,
    /// A task does not answer, which may be dead; or this one does not know yet which there are.
    Untold,
    /// A task does not say what it knows.
    Unknown,
}
