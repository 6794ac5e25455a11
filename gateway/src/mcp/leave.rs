//! How clients leave a task that stops.
//!
//! A client of HTTP+SSE that comes back says only under which grant it acts. So that it is plain whose new stream it is,
//! the streams of one grant end one after the other, on all tasks that stop at the same time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::id;
use crate::mcp::dispatch::Mcp;
use crate::mcp::wheel::Leaving;
use crate::session::peers::message::PeerMessage;

/// How often the streams are looked through for those that can end now, at least; up to twice as long, so that two tasks
/// that are in each other's way do not stay there.
const LOOK: Duration = Duration::from_millis(75);
/// How long the process stays for a client that is on its way to another task: what it asks meanwhile, it asks of this
/// one. It was told to come back within a second.
const LINGER: Duration = Duration::from_secs(2);
/// Grants that are asked about in one message.
const GRANTS_PER_MESSAGE: usize = 256;

impl Mcp {
    /// Refuses new streams and ends those that are open. Those of HTTP+SSE end in the background, when the calls of
    /// their sessions are answered, and while the grace lasts only in turn. How many ended now.
    pub fn drain(self: &Arc<Self>) -> usize {
        let ended = self.wheel.drain();
        let mcp = Arc::clone(self);
        self.lifecycle.spawn(async move { mcp.see_off().await });
        ended
    }

    async fn see_off(&self) {
        let linger = self.clock.interval(LINGER);
        loop {
            let hurry = self.lifecycle.hard().is_cancelled();
            if hurry {
                // The answers of this task come in a moment; those of others come too late.
                self.wheel.forget_elsewhere();
            }
            let in_turn = !self.lifecycle.closing().is_cancelled();
            let mut leaving = self.wheel.leaving(in_turn);
            if in_turn && !leaving.is_empty() {
                let busy = self.leaving_elsewhere(&leaving).await;
                leaving.retain(|leaving| !busy.contains(&*leaving.grant));
            }
            self.wheel.leave(&leaving);
            if !self.wheel.is_left(if hurry { Duration::ZERO } else { linger }) {
                return;
            }
            let [jitter] = id::random::<1>();
            let pause = LOOK + LOOK * u32::from(jitter) / u32::from(u8::MAX);
            tokio::time::sleep(self.clock.interval(pause)).await;
        }
    }

    /// The grants of which a client leaves another task, too.
    async fn leaving_elsewhere(&self, leaving: &[Leaving]) -> HashSet<String> {
        let questions = leaving.chunks(GRANTS_PER_MESSAGE).map(async |some| {
            let grants: Vec<String> = some.iter().map(|leaving| leaving.grant.to_string()).collect();
            let question = PeerMessage::Leaving {
                grants: grants.clone(),
            };
            // A task that does not answer ends no streams.
            let answers = self.peers.ask_all(&question).await.into_iter();
            let places =
                answers.flat_map(|(_, answer)| answer.map(|reply| reply.leaving).unwrap_or_default());
            let busy: Vec<String> = places.filter_map(|place| grants.get(place).cloned()).collect();
            busy
        });
        join_all(questions).await.into_iter().flatten().collect()
    }

    /// The places of those grants in the list of which a client leaves this task.
    pub(super) fn also_leaving(&self, grants: &[String]) -> Vec<usize> {
        let places = grants.iter().enumerate();
        let leaving = places.filter(|(_, grant)| self.wheel.is_leaving(grant));
        leaving.map(|(place, _)| place).take(GRANTS_PER_MESSAGE).collect()
    }
}
