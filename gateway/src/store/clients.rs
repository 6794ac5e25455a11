//! Registrations of OAuth clients.

use super::dynamodb::When;
use super::item::{encode, number};
use super::{Result, Store, StoreError, keys};
use crate::id::ClientId;
use crate::model::client::Client;

impl Store {
    /// Stores a registration.
    pub async fn put_client(&self, client: &Client) -> Result<()> {
        let key = keys::client(&client.id);
        self.0.db.put(&key, encode(key.kind, client)?).await
    }

    /// A registration that has not expired.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>> {
        self.read(&keys::client(id)).await
    }

    /// Moves a registration's expiry forward (never back), because it was used.
    ///
    /// `expires_at` in seconds since the Unix epoch. One that is gone stays gone.
    pub async fn extend_client(&self, id: &ClientId, expires_at: i64) -> Result<()> {
        let when = When {
            condition: "expires_at > :now AND expires_at < :new",
            values: [(":now", number(self.now())), (":new", number(expires_at))],
        };
        let update = "SET expires_at = :new";
        match self.0.db.update_when(&keys::client(id), update, when).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
