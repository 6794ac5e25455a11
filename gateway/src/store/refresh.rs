//! Families of refresh tokens, keyed by `family_hash`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::dynamodb::When;
use super::item::number;
use super::{Result, Store, StoreError, keys};
use crate::model::grant::RefreshFamily;

impl Store {
    /// A family that has not expired, revoked or not.
    pub async fn refresh_family(&self, family_hash: &str) -> Result<Option<RefreshFamily>> {
        self.read(&keys::family(family_hash)).await
    }

    /// Moves a family from `generation` to the next one, if it is still there and not revoked; else `Conflict`.
    ///
    /// A caller whose answer was lost and repeated gets `Conflict` for its own rotation: it reads the family
    /// and hands out the current token, which it can derive, as within the grace window.
    pub async fn rotate_refresh(
        &self,
        family_hash: &str,
        generation: u32,
        rotated_at: i64,
        expires_at: i64,
    ) -> Result<()> {
        let when = When {
            condition: "generation = :generation AND revoked = :no AND expires_at > :now",
            values: [
                (":generation", number(generation.into())),
                (":next", number(i64::from(generation) + 1)),
                (":no", AttributeValue::Bool(false)),
                (":now", number(self.now())),
                (":rotated", number(rotated_at)),
                (":expires", number(expires_at)),
            ],
        };
        let update = "SET generation = :next, rotated_at = :rotated, expires_at = :expires";
        let key = keys::family(family_hash);
        self.0.db.update_when(&key, update, when).await.map(drop)
    }

    /// Ends a family for good. Missing is fine.
    pub async fn revoke_family(&self, family_hash: &str) -> Result<()> {
        let when = When {
            condition: "attribute_exists(pk)",
            values: [(":yes", AttributeValue::Bool(true))],
        };
        let key = keys::family(family_hash);
        match self.0.db.update_when(&key, "SET revoked = :yes", when).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
