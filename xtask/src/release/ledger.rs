//! Every release of an environment, as parameters beside the digest that CloudFormation reads.
//!
//! A number is taken by creating its parameter, so two releases never share one. An entry is written before what it
//! says is done, so whoever comes later knows what was meant.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::account::Account;
use crate::problem::Problem;
use crate::verify::declared::Declared;
use crate::verify::facts;

/// How many entries are kept; the standard parameters of an account are limited.
const KEPT: usize = 50;
/// How many of the last verified releases must stay deployable.
pub(crate) const DEPLOYABLE: usize = 5;

/// How far a release came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Begun, and not known to be good.
    Pending,
    /// Deployed and verified.
    Verified,
    /// Not good, and perhaps still there.
    Failed,
    /// Not good, and replaced by what ran before.
    RolledBack,
    /// Given up before the service was moved to it.
    Superseded,
}

impl Status {
    /// As in the ledger.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Superseded => "superseded",
        }
    }
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its number; the next is one higher.
    pub(crate) release: u64,
    pub(crate) status: Status,
    /// Whether the same image in the same shape is refused from now on.
    #[serde(default)]
    pub(crate) hold: bool,
    /// The commit.
    #[serde(default)]
    pub(crate) sha: String,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) image: String,
    pub(crate) fingerprint: String,
    /// ARN of the revision, once it is registered.
    #[serde(default)]
    pub(crate) revision: Option<String>,
    /// ARN of the deployment, once the service is moved.
    #[serde(default)]
    pub(crate) deployment: Option<String>,
    /// The release that this one repeats: it is a rollback.
    #[serde(default)]
    pub(crate) copy_of: Option<u64>,
    /// The release that a rollback takes away.
    #[serde(default)]
    pub(crate) undoes: Option<u64>,
    /// Why it is not good.
    #[serde(default)]
    pub(crate) reason: String,
    pub(crate) who: String,
    /// Page of the pipeline's run.
    #[serde(default)]
    pub(crate) run: Option<String>,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) ended: Option<String>,
}

impl Entry {
    /// `12 (1a2b3c4d)`, as people talk about it.
    pub(crate) fn name(&self) -> String {
        match self.copy_of {
            Some(original) => format!("{} (copy of {original})", self.release),
            None if self.sha.is_empty() => format!("{} ({})", self.release, self.short_digest()),
            None => format!("{} ({})", self.release, self.short_sha()),
        }
    }

    /// The beginning of the commit.
    pub(crate) fn short_sha(&self) -> String {
        self.sha.chars().take(10).collect()
    }

    /// The beginning of the digest, after its algorithm.
    pub(crate) fn short_digest(&self) -> String {
        self.digest
            .trim_start_matches("sha256:")
            .chars()
            .take(12)
            .collect()
    }

    /// When it was made, in seconds since 1970; before everything where that is not known.
    pub(crate) fn began(&self) -> f64 {
        facts::seconds(&Value::from(&*self.at)).unwrap_or_default()
    }

    /// The number of the revision within its family.
    pub(crate) fn revision_number(&self) -> &str {
        let arn = self.revision.as_deref().unwrap_or_default();
        arn.rsplit(':').next().unwrap_or_default()
    }
}

/// All releases, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    /// Reads it.
    pub(crate) fn read(account: &Account<'_>) -> anyhow::Result<Self> {
        Self::parse(account.parameters(&path(account.declared))?).map_err(|unreadable| {
            let hint = account.typed(&unreadable.history());
            let hint = format!("look at what it was before: `{hint}`");
            Problem::new(unreadable.to_string(), hint).into()
        })
    }

    /// Reads it from names and values of parameters.
    pub(crate) fn parse(parameters: Vec<(String, String)>) -> Result<Self, Unreadable> {
        let mut entries = Vec::new();
        for (name, value) in parameters {
            let entry: Entry = serde_json::from_str(&value).map_err(|error| Unreadable { name, error })?;
            entries.push(entry);
        }
        entries.sort_by_key(|entry| entry.release);
        Ok(Self { entries })
    }

    /// The last release that was begun.
    pub(crate) fn head(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// The last release that is verified: what should run.
    pub(crate) fn current(&self) -> Option<&Entry> {
        self.verified().next()
    }

    /// Verified releases, the newest first.
    pub(crate) fn verified(&self) -> impl Iterator<Item = &Entry> {
        let newest_first = self.entries.iter().rev();
        newest_first.filter(|entry| entry.status == Status::Verified)
    }

    /// The last verified releases, the newest first, which must all stay deployable.
    pub(crate) fn deployable(&self) -> impl Iterator<Item = &Entry> {
        self.verified().take(DEPLOYABLE)
    }

    /// What should run where the image `digest` is meant to: the release that is on the way, if it has this image, as
    /// it is not promoted before somebody has looked. Otherwise, the last verified one.
    pub(crate) fn meant(&self, digest: Option<&str>) -> Option<&Entry> {
        let is_on_the_way = |head: &&Entry| head.status == Status::Pending && digest == Some(&head.digest);
        self.head().filter(is_on_the_way).or_else(|| self.current())
    }

    /// The entry that `revision` was registered for.
    pub(crate) fn of_revision(&self, revision: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev();
        entries.find(|entry| entry.revision.as_deref() == Some(revision))
    }

    /// A release by its number.
    pub(crate) fn find(&self, release: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.release == release)
    }

    /// Why a candidate is refused, if it is.
    pub(crate) fn held(&self, fingerprint: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev();
        entries.find(|entry| entry.hold && entry.fingerprint == fingerprint)
    }

    /// Where a rollback goes by default.
    pub(crate) fn way_back(&self, from: Option<&Entry>) -> Option<&Entry> {
        self.ways_back(from).next()
    }

    /// Where rollbacks can go, the nearest first: verified releases that are neither held nor what `from` is.
    pub(crate) fn ways_back(&self, from: Option<&Entry>) -> impl Iterator<Item = &Entry> {
        let is_other = move |entry: &&Entry| from.is_none_or(|from| from.fingerprint != entry.fingerprint);
        self.verified()
            .filter(is_other)
            .filter(|entry| self.held(&entry.fingerprint).is_none())
    }

    /// The releases that must be there for rollbacks: the nearest that what runs now can be replaced by.
    pub(crate) fn rollback_set(&self) -> impl Iterator<Item = &Entry> {
        self.ways_back(self.current()).take(DEPLOYABLE)
    }

    /// The number of the next release.
    pub(crate) fn next(&self) -> u64 {
        self.head().map_or(1, |head| head.release + 1)
    }
}

/// A parameter where the ledger is, and that is no entry of it.
#[derive(Debug)]
pub(crate) struct Unreadable {
    name: String,
    error: serde_json::Error,
}

impl Unreadable {
    /// The command of `aws` that says what it was before.
    pub(crate) fn history(&self) -> String {
        format!("ssm get-parameter-history --name {}", self.name)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the parameter `{}` is not an entry of the ledger: {}",
            self.name, self.error
        )
    }
}

/// Begins an entry; it is an error when its number was taken meanwhile.
pub(crate) fn create(account: &Account<'_>, entry: &Entry) -> anyhow::Result<()> {
    if account.create_parameter(&name(account.declared, entry.release), &value(entry)?)? {
        return Ok(());
    }
    let what = format!("somebody else has just begun release `{}`", entry.release);
    Err(Problem::new(
        what,
        "look at who it was: `cargo xtask lock status`, `cargo xtask releases`",
    )
    .into())
}

/// Writes an entry as it is now.
pub(crate) fn put(account: &Account<'_>, entry: &Entry) -> anyhow::Result<()> {
    account.put_parameter(&name(account.declared, entry.release), &value(entry)?)
}

/// Forgets what is older than the last entries that are kept, but never the last verified ones.
pub(crate) fn prune(account: &Account<'_>, ledger: &Ledger) -> anyhow::Result<()> {
    let kept: Vec<u64> = ledger.deployable().map(|entry| entry.release).collect();
    let surplus = ledger.entries.len().saturating_sub(KEPT);
    for entry in ledger.entries.iter().take(surplus) {
        if !kept.contains(&entry.release) && !entry.hold {
            account.delete_parameter(&name(account.declared, entry.release))?;
        }
    }
    Ok(())
}

fn value(entry: &Entry) -> anyhow::Result<String> {
    Ok(serde_json::to_string(entry)?)
}

/// Where the entries are in the parameter store.
pub(crate) fn path(declared: &Declared) -> String {
    format!("{}/releases", declared.parameters.prefix)
}

/// The parameter of a release; with leading zeroes, so that lists of names are in order.
pub(crate) fn name(declared: &Declared, release: u64) -> String {
    format!("{}/{release:06}", path(declared))
}
