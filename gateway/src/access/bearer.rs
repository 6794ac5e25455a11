//! Verifies the bearer of a request, with a bounded cache of what was verified before.

use std::sync::Arc;

use crate::clock::Clock;
use crate::jwt::SigningKeys;
use crate::model::principal::Principal;

/// Why a request has no principal. All are 401 outside; the log names the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization` header.
    #[error("the request carries no bearer token")]
    Missing,
    /// Not `Bearer <token>`, or not a token of ours for this URL.
    #[error("the bearer token is not valid here")]
    Invalid,
    /// A token of ours whose hour is over.
    #[error("the bearer token expired")]
    Expired,
}

/// Verifies bearers.
#[derive(Clone, Debug)]
pub struct Bearer {}

#[expect(
    unused_variables,
    clippy::todo,
    reason = "placeholder until branch `oauth` lands"
)]
impl Bearer {
    /// `issuer` is our public origin.
    pub fn new(keys: SigningKeys, issuer: String, clock: Clock) -> Self {
        todo!()
    }
    /// The principal of an `Authorization` header value whose token is for one of `audiences`.
    pub fn verify(
        &self,
        authorization: Option<&[u8]>,
        audiences: &[&str],
    ) -> Result<Arc<Principal>, BearerError> {
        todo!()
    }
}
