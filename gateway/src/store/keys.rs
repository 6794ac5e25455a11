//! The key schema: every row type of both tables. The same as a table for people: `docs/design/storage-schema.md`.
//!
//! A key is one string attribute, `pk` = `<row type>#<id>`. The other attributes are the fields of the model
//! struct by their own names, and what the conditions need. Rows that end carry `expires_at`, which is both the
//! TTL attribute of the table and checked by every read and every condition, because DynamoDB deletes late.

use crate::id::{self, ClientId, UserId};

/// The partition key of both tables (string).
pub(super) const PK: &str = "pk";
/// When a row stops to count, in seconds since the Unix epoch (number); the TTL attribute of both tables.
pub(super) const EXPIRES_AT: &str = "expires_at";

/// Which of the two tables a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// `SESSIONS_TABLE`: rows of legacy MCP sessions, and what tasks tell each other.
    Sessions,
    /// `TOKENS_TABLE`: everything about identity.
    Tokens,
}

/// Where one row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) table: Table,
    /// The row type, as errors name it.
    pub(super) kind: &'static str,
    /// The value of [`PK`].
    pub(super) pk: String,
}

impl Key {
    fn new(table: Table, kind: &'static str, id: &str) -> Self {
        Self {
            table,
            kind,
            pk: format!("{kind}#{id}"),
        }
    }
}

/// `client#<hash of the client id>`: a [`Client`](crate::model::client::Client).
///
/// Hashed because a stranger chooses what we look up, of any length, and a key has at most 2048 bytes.
/// Put by the registration; `expires_at` only moves forward.
pub(super) fn client(client: &ClientId) -> Key {
    Key::new(Table::Tokens, "client", &id::hashed(client.as_str()))
}

/// `authorization#<hash of the login's id>`: an [`Authorization`](crate::model::authorization::Authorization).
///
/// `taken_by` (string): set once, by the request that goes on to mint the code. A row with it is gone for
/// every reader and can no longer be put.
pub(super) fn authorization(id_hash: &str) -> Key {
    Key::new(Table::Tokens, "authorization", id_hash)
}

/// `code#<hash of the code>`: a [`CodeGrant`](crate::model::grant::CodeGrant).
///
/// `redeemed_by` (string): the hash of the family that it was redeemed for; set once, together with the
/// creation of that family.
pub(super) fn code(code_hash: &str) -> Key {
    Key::new(Table::Tokens, "code", code_hash)
}

/// `family#<hash of the family>`: a [`RefreshFamily`](crate::model::grant::RefreshFamily).
///
/// `generation` counts up one by one, and only while `revoked` is false, which never goes back.
pub(super) fn family(family_hash: &str) -> Key {
    Key::new(Table::Tokens, "family", family_hash)
}

/// `google_grant#<user>`: an encrypted [`GoogleGrant`](crate::model::google::GoogleGrant). No expiry.
///
/// `ciphertext` and `wrapped_key` (binary), `key_id` (string): see [`envelope`](super::envelope).
pub(super) fn google_grant(user: &UserId) -> Key {
    Key::new(Table::Tokens, "google_grant", user.as_str())
}

/// `google_lease#<user>`: the right to refresh that grant.
///
/// `holder` (string): who has it. `attempt` (string): which call took it.
pub(super) fn google_lease(user: &UserId) -> Key {
    Key::new(Table::Tokens, "google_lease", user.as_str())
}

/// `user#<user>`: a [`User`](crate::model::user::User). No expiry.
pub(super) fn user(user: &UserId) -> Key {
    Key::new(Table::Tokens, "user", user.as_str())
}

/// `session#<hash of the session id>`: a [`SessionRow`](crate::model::session::SessionRow).
///
/// `ended` is the tombstone: while it is true and has not expired, nothing but another tombstone replaces it.
pub(super) fn session(session_hash: &str) -> Key {
    Key::new(Table::Sessions, "session", session_hash)
}

/// `call#<call id>`: a [`CallRow`](crate::model::call_log::CallRow), the head of a slow call's log.
///
/// `last_seq` counts up one by one, and only while `ended` is false, which never goes back. `attempt` (text): which
/// call of the function wrote the row.
pub(super) fn call(call: &str) -> Key {
    Key::new(Table::Sessions, "call", call)
}

/// `event#<call id>#<number>#<part>`: a part of an event of that call. Put together with the step of `last_seq`.
///
/// `data` (binary): encrypted, see [`events`](crate::session::events). `parts` (number): how many there are.
pub(super) fn event(call: &str, seq: u32, part: usize) -> Key {
    Key::new(Table::Sessions, "event", &format!("{call}#{seq}#{part}"))
}

/// `open_calls#<hash of the family>`: the slow calls over HTTP+SSE that are open under a grant.
///
/// `call:<name>` (map): an [`OpenCall`](crate::model::call_log::OpenCall).
pub(super) fn open_calls(grant: &str) -> Key {
    Key::new(Table::Sessions, "open_calls", grant)
}

/// `fleet#1`: the one row about all tasks, a [`Fleet`](crate::model::fleet::Fleet). No expiry.
///
/// `catalogue`, `revocation` (number): version counters, which only move forward. `task:<id>` (map): the
/// [`TaskEntry`](crate::model::fleet::TaskEntry) of one task.
pub(super) fn fleet() -> Key {
    Key::new(Table::Sessions, "fleet", "1")
}

/// `denied_grants#1`: the grants whose access tokens are refused before their time. No expiry.
///
/// `grant:<hash of the family>` (number): until when, in seconds since the Unix epoch.
pub(super) fn denied_grants() -> Key {
    Key::new(Table::Tokens, "denied_grants", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_of_any_length_has_a_key_that_fits() {
        let key = client(&ClientId::new(format!(
            "https://client.example.com/{}",
            "x".repeat(9_000)
        )));
        assert_eq!(key.pk.len(), "client#".len() + 43);
    }

    #[test]
    fn the_same_id_in_two_row_types_is_two_rows() {
        let user_id = UserId::new("1001");
        assert_ne!(google_grant(&user_id).pk, google_lease(&user_id).pk);
        assert_ne!(google_grant(&user_id).pk, user(&user_id).pk);
    }
}
