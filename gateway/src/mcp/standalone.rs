//! The GET stream of a legacy session, and what a client missed between two of them: that the tool list changed.
//!
//! The place in such a stream is the version of the tool list, `s.<version>`, so any task can tell whether a client
//! that comes back with it has to ask for the list again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::mcp::dispatch::Mcp;
use crate::mcp::legacy::NEWEST;
use crate::mcp::sse;
use crate::mcp::wheel::{IdleStream, LIST_CHANGED, StreamKind};
use crate::model::principal::Principal;
use crate::session::directory::Session;

/// A place in the GET stream of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListVersion(pub u64);

impl ListVersion {
    /// Reads `s.<version>`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("s.")?;
        let canonical = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| canonical).map(Self)
    }

    /// The notification that the list has this version now.
    pub(super) fn list_changed(self) -> Bytes {
        let message = format!(r#"{{"jsonrpc":"2.0","method":"{LIST_CHANGED}"}}"#);
        sse::message_at(self, message.as_bytes())
    }
}

impl fmt::Display for ListVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s.{}", self.0)
    }
}

impl Mcp {
    /// The GET stream of a session, for a client that had seen the list at `seen`, if it had one before.
    pub fn standalone(
        &self,
        principal: &Principal,
        session: &Session,
        seen: Option<ListVersion>,
    ) -> IdleStream {
        let now = self
            .peers
            .versions()
            .borrow()
            .map(|versions| ListVersion(versions.catalogue));
        let first = match (seen, now) {
            (Some(seen), Some(now)) if seen != now => now.list_changed(),
            (_, Some(now)) if session.sealed.protocol_version() == NEWEST => {
                sse::primer(now, StreamKind::Standalone.retry())
            }
            _ => Bytes::new(),
        };
        IdleStream {
            kind: StreamKind::Standalone,
            session: session.key,
            grant: Arc::clone(&principal.grant),
            first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was_sent_and_junk_is_none() {
        assert_eq!(
            ListVersion::parse(&ListVersion(17).to_string()),
            Some(ListVersion(17))
        );
        for junk in ["", "s.", "s.+1", "17", "s.x", "S.1", "s.99999999999999999999"] {
            assert_eq!(ListVersion::parse(junk), None, "{junk}");
        }
    }
}
