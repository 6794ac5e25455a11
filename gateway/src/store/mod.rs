//! All state that outlives a request: one code path, the DynamoDB API through aws-sdk-dynamodb.

pub mod error;

use std::time::Duration;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::id::{ClientId, UserId};
use crate::model::authorization::Authorization;
use crate::model::client::Client;
use crate::model::google::GoogleGrant;
use crate::model::grant::{CodeGrant, CodeRow, RefreshFamily};
use crate::model::session::SessionRow;
use crate::model::user::User;

pub use error::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The store. Cheap to clone. (Bodies below are placeholders until branch `store` lands.)
#[derive(Clone, Debug)]
pub struct Store {}

#[expect(unused_variables, clippy::todo, clippy::unused_async, reason = "placeholder")]
impl Store {
    /// Builds clients and keys. No network.
    pub fn open(config: &StoreConfig, clock: Clock) -> Result<Self> {
        todo!()
    }
    /// Makes sure the tables are there: creates them in the embedded engine, describes them in DynamoDB.
    pub async fn prepare(&self) -> Result<()> {
        todo!()
    }

    // clients
    /// Stores a registration.
    pub async fn put_client(&self, client: &Client) -> Result<()> {
        todo!()
    }
    /// A registration that has not expired.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>> {
        todo!()
    }
    /// Moves a registration's expiry forward (never back), because it was used.
    pub async fn extend_client(&self, id: &ClientId, expires_at: i64) -> Result<()> {
        todo!()
    }

    // authorizations (keyed by `id_hash`)
    /// Stores a login in progress.
    pub async fn put_authorization(&self, id_hash: &str, authorization: &Authorization) -> Result<()> {
        todo!()
    }
    /// A login in progress, left in place.
    pub async fn authorization(&self, id_hash: &str) -> Result<Option<Authorization>> {
        todo!()
    }
    /// Takes a login in progress: of any number of racing callers exactly one gets it.
    pub async fn take_authorization_once(&self, id_hash: &str) -> Result<Option<Authorization>> {
        todo!()
    }

    // codes (keyed by `code_hash`)
    /// Stores a code.
    pub async fn put_code(&self, code_hash: &str, grant: &CodeGrant) -> Result<()> {
        todo!()
    }
    /// A code's row, redeemed or not, left in place.
    pub async fn code(&self, code_hash: &str) -> Result<Option<CodeRow>> {
        todo!()
    }
    /// Redeems a code for the family and stores the family, in one transaction. `Conflict` when it was redeemed before.
    pub async fn redeem_code_once(
        &self,
        code_hash: &str,
        family_hash: &str,
        family: &RefreshFamily,
    ) -> Result<()> {
        todo!()
    }

    // refresh families (keyed by `family_hash`)
    /// A family that has not expired, revoked or not.
    pub async fn refresh_family(&self, family_hash: &str) -> Result<Option<RefreshFamily>> {
        todo!()
    }
    /// Moves a family from `generation` to the next one, if it is still there and not revoked; else `Conflict`.
    pub async fn rotate_refresh(
        &self,
        family_hash: &str,
        generation: u32,
        rotated_at: i64,
        expires_at: i64,
    ) -> Result<()> {
        todo!()
    }
    /// Ends a family for good. Missing is fine.
    pub async fn revoke_family(&self, family_hash: &str) -> Result<()> {
        todo!()
    }

    // google grants (encrypted)
    /// Stores Google's tokens of a person, over whatever was there.
    pub async fn put_google_grant(&self, user: &UserId, grant: &GoogleGrant) -> Result<()> {
        todo!()
    }
    /// Google's tokens of a person.
    pub async fn google_grant(&self, user: &UserId) -> Result<Option<GoogleGrant>> {
        todo!()
    }
    /// Takes the right to refresh a person's Google token, for `ttl`. `false`: another request has it.
    pub async fn acquire_refresh_lease(&self, user: &UserId, owner: &str, ttl: Duration) -> Result<bool> {
        todo!()
    }
    /// Gives the right back, if it is still `owner`'s.
    pub async fn release_refresh_lease(&self, user: &UserId, owner: &str) -> Result<()> {
        todo!()
    }

    // users
    /// Stores the profile of the last login.
    pub async fn put_user(&self, user: &User) -> Result<()> {
        todo!()
    }
    /// The profile of the last login.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>> {
        todo!()
    }

    // legacy sessions (keyed by `session_hash`)
    /// Stores a session's row, unless the session was ended.
    pub async fn put_session(&self, session_hash: &str, row: &SessionRow) -> Result<()> {
        todo!()
    }
    /// A session's row that has not expired.
    pub async fn session(&self, session_hash: &str) -> Result<Option<SessionRow>> {
        todo!()
    }
    /// Marks a session as ended until `expires_at`, whether or not it had a row.
    pub async fn end_session(&self, session_hash: &str, user: &UserId, expires_at: i64) -> Result<()> {
        todo!()
    }
}
