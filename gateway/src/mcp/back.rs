//! A client of HTTP+SSE that is back with a new stream: which one was its last?

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::TaskId;
use crate::mcp::deliver::ASK_WORKER;
use crate::mcp::dispatch::Mcp;
use crate::session::directory::SessionKey;
use crate::session::peers::PeerError;
use crate::session::peers::message::{PeerMessage, Successor};

/// How long a task may be silent that is dead: its heartbeats count for less.
const SILENT_FOR: Duration = Duration::from_secs(30);

impl Mcp {
    /// A client of HTTP+SSE is back, with a new stream: tells the task where its last one ended, if there is no doubt
    /// which one that was; or the client, if that one went down with its task. In the background: the client waits for
    /// nothing.
    pub fn welcome_back(self: &Arc<Self>, grant: &str, session: SessionKey) {
        let mcp = Arc::clone(self);
        let grant = grant.to_owned();
        self.lifecycle.spawn(async move {
            if !mcp.wheel.has_begun(session).await {
                return;
            }
            let until = Instant::now() + SILENT_FOR;
            let mut pause = ASK_WORKER;
            let (task, ended) = loop {
                match mcp.last_stream(&grant).await {
                    Last::Ended(task, session) => break (task, session),
                    Last::WentDown { living } => return mcp.tell_lost(&grant, session, &living).await,
                    Last::Untold if Instant::now() < until && mcp.wheel.carries(session) => {
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    Last::Untold | Last::Unclear => return,
                }
            };
            if !mcp.wheel.carries(session) {
                return;
            }
            let by = Successor {
                session,
                task: mcp.me,
            };
            let noted = if task == mcp.me {
                mcp.wheel.succeed(ended, &grant, by)
            } else {
                let session = ended;
                let message = PeerMessage::Succeeded { session, grant, by };
                mcp.peers.send(task, &message).await.is_ok_and(|reply| reply.found)
            };
            tracing::debug!(ended = %ended.text(), session = %session.text(), noted, "a client is back on a new stream");
        });
    }

    /// The last stream of the only client of a grant that is missed anywhere. A client that comes back says only under
    /// which grant it acts. So there is a doubt when others of the grant are missed, or may be because a task does not
    /// say; and when one whose stream broke off may not know, because another of its streams seems open.
    async fn last_stream(&self, grant: &str) -> Last {
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
                Ok(None) | Err(PeerError::Rejected) => return Last::Unclear,
            }
        }
        // Before its first look a task knows no others.
        if self.peers.versions().borrow().is_none() {
            return Last::Unclear;
        }
        let missed: usize = told.iter().map(|(_, missed)| missed.count).sum();
        let open: usize = told.iter().map(|(_, missed)| missed.open).sum();
        if missed == 0 && open == 1 {
            let living = told.iter().map(|(task, _)| *task).collect();
            return Last::WentDown { living };
        }
        let mut awaited = told
            .iter()
            .filter_map(|(task, missed)| Some((*task, missed.awaited?, missed.drained)));
        match awaited.next() {
            // One of those that are open is the one that it came back with.
            Some((task, ended, drained)) if missed == 1 && !died && (drained || open == 1) => {
                Last::Ended(task, ended)
            }
            _ => Last::Unclear,
        }
    }
}

/// What is known of the last stream of a client that is back.
enum Last {
    /// It ended at this task.
    Ended(TaskId, SessionKey),
    /// No task that lives misses a client of the grant or has another one, and these are all: if the client was here
    /// before, its stream went down with its task.
    WentDown {
        living: Vec<TaskId>,
    },
    /// A task does not answer, which may be dead.
    Untold,
    Unclear,
}
