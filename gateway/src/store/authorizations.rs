//! Logins in progress, keyed by `id_hash`.

use super::dynamodb::When;
use super::item::{decode, encode, number, text};
use super::{Result, Store, StoreError, keys};
use crate::id;
use crate::model::authorization::Authorization;

impl Store {
    /// Stores a login in progress. `Conflict` when it was taken before: it must not come back.
    pub async fn put_authorization(&self, id_hash: &str, authorization: &Authorization) -> Result<()> {
        let key = keys::authorization(id_hash);
        let when = When {
            condition: "attribute_not_exists(taken_by)",
            values: [],
        };
        let item = encode(key.kind, authorization)?;
        self.0.db.put_when(&key, item, when).await
    }

    /// A login in progress, left in place.
    pub async fn authorization(&self, id_hash: &str) -> Result<Option<Authorization>> {
        let key = keys::authorization(id_hash);
        match self.live(&key).await? {
            Some(item) if !item.contains_key("taken_by") => decode(key.kind, &item).map(Some),
            _ => Ok(None),
        }
    }

    /// Takes a login in progress: of any number of racing callers exactly one gets it.
    ///
    /// The row is marked, not deleted: an attempt that the SDK repeats after a lost answer finds its own mark
    /// and gets the row, where a repeated delete would find nothing and the login would be lost.
    pub async fn take_authorization_once(&self, id_hash: &str) -> Result<Option<Authorization>> {
        let key = keys::authorization(id_hash);
        let when = When {
            condition: "expires_at > :now AND (attribute_not_exists(taken_by) OR taken_by = :me)",
            values: [(":now", number(self.now())), (":me", text(id::random_token()))],
        };
        match self.0.db.update_when(&key, "SET taken_by = :me", when).await {
            Ok(item) => decode(key.kind, &item).map(Some),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
