//! The authorization server: metadata, registration, authorize, consent, token. No HTTP types, no storage types.

use crate::clock::Clock;
use crate::config::Config;
use crate::jwt::SigningKeys;
use crate::oidc::Provider;
use crate::secret::Keyring;
use crate::store::Store;

/// The authorization server's rules over its parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OAuth {}

#[expect(
    unused_variables,
    clippy::todo,
    clippy::needless_pass_by_value,
    reason = "placeholder until branch `oauth` lands"
)]
impl OAuth {
    /// Wires the authorization server.
    pub fn new(
        config: &Config,
        keyring: Keyring,
        keys: SigningKeys,
        store: Store,
        provider: Provider,
        clock: Clock,
    ) -> Self {
        todo!()
    }
}
