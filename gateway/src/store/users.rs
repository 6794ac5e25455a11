//! The people who logged in.

use super::item::encode;
use super::{Result, Store, keys};
use crate::id::UserId;
use crate::model::user::User;

impl Store {
    /// Stores the profile of the last login.
    pub async fn put_user(&self, user: &User) -> Result<()> {
        let key = keys::user(&user.id);
        self.0.db.put(&key, encode(key.kind, user)?).await
    }

    /// The profile of the last login.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>> {
        self.read(&keys::user(id)).await
    }
}
