//! The GET stream of a legacy session, and what a client missed between two of them: that the tool list changed.
//!
//! The place in such a stream is the version of the tool list, `s.<counter>.<digest>`, so any task of any release can tell
//! whether a client that comes back with it has to ask for the list again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::id;
use crate::mcp::dispatch::Mcp;
use crate::mcp::legacy::NEWEST;
use crate::mcp::sse;
use crate::mcp::wheel::{IdleStream, LIST_CHANGED, StreamKind};
use crate::model::principal::Principal;
use crate::session::directory::Session;

/// Names the tools of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListDigest([u8; 6]);

impl ListDigest {
    /// Of a list, as JSON.
    pub fn of(list: &str) -> Self {
        let mut digest = [0; 6];
        digest.copy_from_slice(id::sha256(list.as_bytes()).split_at(6).0);
        Self(digest)
    }
}

/// A place in the GET stream of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListVersion {
    /// The version counter of the deployment.
    pub counter: u64,
    /// The tools of the release.
    pub digest: ListDigest,
}

impl ListVersion {
    /// What is told by a place of another release, which wrote it in another way: nothing.
    const UNKNOWN: Self = Self {
        counter: u64::MAX,
        digest: ListDigest([0; 6]),
    };

    /// Reads a place in such a stream; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let place = text.strip_prefix("s.")?;
        Some(Self::read(place).unwrap_or(Self::UNKNOWN))
    }

    /// Reads `<counter>.<digest>`.
    fn read(place: &str) -> Option<Self> {
        let (digits, digest) = place.split_once('.')?;
        let canonical = digits.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            counter: digits.parse().ok().filter(|_| canonical)?,
            digest: ListDigest(id::from_base64url(digest)?.try_into().ok()?),
        })
    }

    /// The notification that the list has this version now.
    pub(super) fn list_changed(self) -> Bytes {
        sse::message_at(self, list_changed().as_bytes())
    }
}

impl fmt::Display for ListVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s.{}.{}", self.counter, id::base64url(&self.digest.0))
    }
}

/// How a GET stream begins, for a client that had seen the list at `seen`; the version that it has `now` is not known
/// before the counters were read. Only the newest version of the protocol knows events without a message.
fn first(is_newest: bool, seen: Option<ListVersion>, now: Option<ListVersion>) -> Bytes {
    let wait = StreamKind::Standalone.retry();
    match (seen, now) {
        (Some(seen), Some(now)) if seen != now => now.list_changed(),
        (_, Some(now)) if is_newest => sse::primer(now, wait),
        (_, None) if is_newest => sse::retry(wait),
        _ => Bytes::new(),
    }
}

/// The notification that the tool list changed.
fn list_changed() -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{LIST_CHANGED}"}}"#)
}

impl Mcp {
    /// The GET stream of a session, for a client that had seen the list at `seen`, if it had one before.
    pub fn standalone(
        &self,
        principal: &Principal,
        session: &Session,
        seen: Option<ListVersion>,
    ) -> IdleStream {
        let now = *self.peers.versions().borrow();
        let now = now.map(|versions| self.list_version(versions.catalogue));
        IdleStream {
            kind: StreamKind::Standalone,
            session: session.key,
            grant: Arc::clone(&principal.grant),
            first: first(session.sealed.protocol_version() == NEWEST, seen, now),
        }
    }

    /// The version of the tool list here, when the counter of the deployment is this.
    pub fn list_version(&self, counter: u64) -> ListVersion {
        ListVersion {
            counter,
            digest: self.catalog.digest,
        }
    }

    /// For a client of HTTP+SSE that comes back. It does not say what it knows, and may have been away for a release.
    pub fn list_may_have_changed(&self) -> Bytes {
        sse::message(list_changed().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_how_long_to_wait_before_the_counters_were_read_as_well() {
        let now = ListVersion {
            counter: 17,
            digest: ListDigest::of("[]"),
        };
        let primer = format!("id: {now}\nretry: 2000\ndata: \n\n");
        let rows = [
            ((true, None, Some(now)), primer.as_str()),
            ((true, None, None), "retry: 2000\n\n"),
            ((true, Some(now), None), "retry: 2000\n\n"),
            ((false, None, Some(now)), ""),
            ((false, None, None), ""),
        ];
        for ((is_newest, seen, now), expected) in rows {
            assert_eq!(first(is_newest, seen, now), expected, "{seen:?} {now:?}");
        }
    }

    #[test]
    fn a_place_comes_back_as_it_was_sent_and_junk_is_none() {
        let version = ListVersion {
            counter: 17,
            digest: ListDigest::of("[]"),
        };
        assert_eq!(ListVersion::parse(&version.to_string()), Some(version));
        assert_ne!(ListDigest::of("[]"), ListDigest::of("[1]"));
        for other in [
            "s.",
            "s.17",
            "s.17.",
            "s.17.AAAA",
            "s.+1.AAAAAAAA",
            "s.x.AAAAAAAA",
        ] {
            assert_eq!(ListVersion::parse(other), Some(ListVersion::UNKNOWN), "{other}");
        }
        for junk in ["", "17", "S.1.AAAAAAAA"] {
            assert_eq!(ListVersion::parse(junk), None, "{junk}");
        }
    }
}
