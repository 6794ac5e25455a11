//! Authorization codes, keyed by `code_hash`.

use super::dynamodb::When;
use super::item::{decode, encode, number, text, unreadable};
use super::{Result, Store, keys};
use crate::model::grant::{CodeGrant, CodeRow, RefreshFamily};

impl Store {
    /// Stores a code.
    pub async fn put_code(&self, code_hash: &str, grant: &CodeGrant) -> Result<()> {
        let key = keys::code(code_hash);
        self.0.db.put(&key, encode(key.kind, grant)?).await
    }

    /// A code's row that has not expired, redeemed or not, left in place.
    pub async fn code(&self, code_hash: &str) -> Result<Option<CodeRow>> {
        let key = keys::code(code_hash);
        let Some(item) = self.live(&key).await? else {
            return Ok(None);
        };
        let redeemed_by = match item.get("redeemed_by").map(|value| value.as_s()) {
            None => None,
            Some(Ok(family)) => Some(family.clone()),
            // Taken for "not redeemed", it would let a replay pass.
            Some(Err(_)) => return Err(unreadable(key.kind)),
        };
        let grant = decode(key.kind, &item)?;
        Ok(Some(CodeRow { grant, redeemed_by }))
    }

    /// Redeems a code for the family and stores the family, in one transaction.
    ///
    /// `Conflict` when the code was redeemed before, has expired or never was; then nothing is stored.
    pub async fn redeem_code_once(
        &self,
        code_hash: &str,
        family_hash: &str,
        family: &RefreshFamily,
    ) -> Result<()> {
        let when = When {
            condition: "attribute_not_exists(redeemed_by) AND expires_at > :now",
            values: [(":now", number(self.now())), (":family", text(family_hash))],
        };
        let redeem = self
            .0
            .db
            .update_action(&keys::code(code_hash), "SET redeemed_by = :family", when)?;
        let key = keys::family(family_hash);
        let insert = self.0.db.insert_action(&key, encode(key.kind, family)?)?;
        self.0.db.transact(vec![redeem, insert]).await
    }
}
