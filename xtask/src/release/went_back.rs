//! After ECS went back by itself: what is written down, and whether going back helped.

use super::ledger::{self, Entry, Ledger, Status};
use super::time;
use super::work::{Care, Report, Verdict, Work};
use crate::ui::{self, Mark};

/// How often to look whether all tasks run again after ECS went back: two minutes at an emulator, ten at AWS.
const RETURN_LOOKS: u32 = 120;

impl Work<'_> {
    /// ECS went back, or the service was never moved: nothing may be started from its revision by mistake.
    pub(super) fn sent_back(&self, mut entry: Entry) -> anyhow::Result<Report> {
        if let Some(revision) = &entry.revision {
            self.expect_lock()?;
            self.account.deregister(revision)?;
        }
        entry.status = Status::RolledBack;
        entry.ended = Some(time::shown((self.now)()));
        ledger::put(self.account, &entry)?;
        let ledger = Ledger::read(self.account)?;
        let back = match ledger.current() {
            Some(current) => {
                self.look_after_return(current)?;
                format!("release {} runs again", current.name())
            }
            None => "the service has what it had before".to_owned(),
        };
        let what = format!("release {} is not good ({}); {back}", entry.name(), entry.reason);
        Ok(Report::refused(what, self.held_hint(), Some(entry)))
    }

    /// A breaker goes back at once; the tasks that it has to start again are not there yet.
    fn wait_for_tasks(&self) -> anyhow::Result<()> {
        for _ in 0..self.pace.looks.min(RETURN_LOOKS) {
            let service = self.service()?;
            if service.running >= service.desired || self.interrupt.is_raised() {
                break;
            }
            self.interrupt.pause(self.pace.poll);
        }
        Ok(())
    }

    /// ECS went back by itself; whether that helped is said, and decides nothing: there is nowhere else to go.
    fn look_after_return(&self, current: &Entry) -> anyhow::Result<()> {
        self.wait_for_tasks()?;
        match self.gate.check(&current.digest, Care::AfterReturn)? {
            Verdict::Pass => ui::step(
                Mark::Ok,
                format_args!("release {} is verified again", current.name()),
            ),
            Verdict::Fail(why) => ui::step(
                Mark::Fail,
                format_args!("release {} runs again, but: {why}", current.name()),
            ),
            Verdict::Unknown(why) => ui::step(
                Mark::Run,
                format_args!(
                    "release {} runs again, and cannot be verified: {why}",
                    current.name()
                ),
            ),
        }
        Ok(())
    }
}
