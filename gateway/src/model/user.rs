//! A person as Google describes them at login.

use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// The profile of the last login. Keyed by [`UserId`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Google `sub`.
    pub id: UserId,
    /// Verified address.
    pub email: String,
    /// Display name, if Google told one.
    pub name: Option<String>,
    /// The Workspace domain (`hd` claim).
    pub domain: String,
    /// Seconds since the Unix epoch.
    pub last_login_at: i64,
}
