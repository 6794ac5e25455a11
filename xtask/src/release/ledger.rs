//! Every release of an environment, as parameters beside the digest that CloudFormation reads.
//!
//! A number is taken by creating its parameter, so two releases never share one. An entry is written before what it
//! says is done, so whoever comes later knows what was meant.

use serde::{Deserialize, Serialize};

use super::account::Account;
use crate::problem::Problem;

/// How many entries are kept; the standard parameters of an account are limited.
const KEPT: usize = 50;

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
        let mut entries = Vec::new();
        for (name, value) in account.parameters(&path(account))? {
            let entry: Entry = serde_json::from_str(&value).map_err(|error| {
                let what = format!("the parameter `{name}` is not an entry of the ledger: {error}");
                let hint = account.typed(&format!("ssm get-parameter-history --name {name}"));
                Problem::new(what, format!("look at what it was before: `{hint}`"))
            })?;
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

    /// A release by its number.
    pub(crate) fn find(&self, release: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.release == release)
    }

    /// Why a candidate is refused, if it is.
    pub(crate) fn held(&self, fingerprint: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev();
        entries.find(|entry| entry.hold && entry.fingerprint == fingerprint)
    }

    /// Where a rollback goes by default: the last verified release that is neither held nor what `from` is.
    pub(crate) fn way_back(&self, from: Option<&Entry>) -> Option<&Entry> {
        let is_other = |entry: &&Entry| from.is_none_or(|from| from.fingerprint != entry.fingerprint);
        self.verified()
            .filter(is_other)
            .find(|entry| self.held(&entry.fingerprint).is_none())
    }

    /// The number of the next release.
    pub(crate) fn next(&self) -> u64 {
        self.head().map_or(1, |head| head.release + 1)
    }
}

/// Begins an entry; it is an error when its number was taken meanwhile.
pub(crate) fn create(account: &Account<'_>, entry: &Entry) -> anyhow::Result<()> {
    if account.create_parameter(&name(account, entry.release), &value(entry)?)? {
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
    account.put_parameter(&name(account, entry.release), &value(entry)?)
}

/// Forgets what is older than the last entries that are kept, but never the last verified ones.
pub(crate) fn prune(account: &Account<'_>, ledger: &Ledger) -> anyhow::Result<()> {
    let kept: Vec<u64> = ledger.verified().take(5).map(|entry| entry.release).collect();
    let surplus = ledger.entries.len().saturating_sub(KEPT);
    for entry in ledger.entries.iter().take(surplus) {
        if !kept.contains(&entry.release) && !entry.hold {
            account.delete_parameter(&name(account, entry.release))?;
        }
    }
    Ok(())
}

fn value(entry: &Entry) -> anyhow::Result<String> {
    Ok(serde_json::to_string(entry)?)
}

fn path(account: &Account<'_>) -> String {
    format!("{}/releases", account.declared.parameters.prefix)
}

/// With leading zeroes, so that lists of names are in order.
fn name(account: &Account<'_>, release: u64) -> String {
    format!("{}/{release:06}", path(account))
}
