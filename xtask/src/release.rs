//! Releases: deploy, roll back, and everything that one asks about them.
//!
//! CDK owns the shape of a task, a release owns which revision runs. `work` drives a release, `take_back` takes one
//! away, `ledger` and `lock` keep in the parameter store what must outlive a process, `verb` has the command line.
//! `verify` reads the ledger and the synthesised stacks as they are read here.

mod account;
pub(crate) mod answers;
mod checks;
mod follow;
mod gate;
pub(crate) mod ledger;
mod lock;
pub(crate) mod place;
mod shape;
pub(crate) mod stacks;
mod take_back;
mod time;
mod verb;
mod went_back;
mod who;
mod work;

pub(crate) use verb::deploy::Deploy;
pub(crate) use verb::diff::Diff;
pub(crate) use verb::lock::LockVerb;
pub(crate) use verb::logs::Logs;
pub(crate) use verb::releases::Releases;
pub(crate) use verb::rollback::Rollback;
pub(crate) use verb::status::StatusVerb;
pub(crate) use verb::wait::Wait;

#[cfg(test)]
pub(crate) use account::Cloud;

#[cfg(test)]
mod tests;
