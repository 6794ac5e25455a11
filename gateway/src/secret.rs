//! The keyring: every symmetric key of the gateway, derived from `SESSION_SECRET`.
//!
//! One secret in the environment is enough for all tasks to agree on every key without any I/O.
//! Rotation: the old secret moves to `SESSION_SECRET_PREVIOUS`, still opens, no longer seals.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use crate::id;

/// A derived 256-bit key and the short public name under which it is found again.
#[derive(Clone)]
pub struct Key {
    /// Eight hexadecimal digits that say which generation of the secret the key comes from.
    pub id: String,
    /// The key itself.
    pub bytes: [u8; 32],
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Derives keys by purpose from the current and the previous secrets.
#[derive(Clone, Debug)]
pub struct Keyring {
    generations: Vec<SecretString>,
}

impl Keyring {
    /// The first secret seals and signs; all of them open and verify.
    pub fn new(current: SecretString, previous: Vec<SecretString>) -> Self {
        let mut generations = vec![current];
        generations.extend(previous);
        Self { generations }
    }

    /// The key for `purpose` that new values are made with.
    pub fn current(&self, purpose: &str) -> Key {
        self.all(purpose).swap_remove(0)
    }

    /// The keys for `purpose` of every generation, the current one first.
    pub fn all(&self, purpose: &str) -> Vec<Key> {
        self.generations
            .iter()
            .map(|secret| {
                let bytes = derive(secret, purpose);
                let id = derive(secret, "key id");
                let id = id
                    .iter()
                    .take(4)
                    .fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
                Key { id, bytes }
            })
            .collect()
    }
}

/// HMAC-SHA256 of `message` under `key` (RFC 2104).
pub fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    out
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256 (RFC 5869) of the secret, with the purpose as info.
fn derive(secret: &SecretString, purpose: &str) -> [u8; 32] {
    let prk = Salt::new(HKDF_SHA256, b"mcp-gateway").extract(secret.expose_secret().as_bytes());
    let info = [purpose.as_bytes()];
    let mut out = [0; 32];
    let filled = prk.expand(&info, Length32).and_then(|okm| okm.fill(&mut out));
    debug_assert!(filled.is_ok(), "32 bytes is within HKDF's limit");
    if filled.is_err() {
        // Unreachable for 32 bytes; a digest of the same inputs keeps the function total.
        return id::sha256(&[secret.expose_secret().as_bytes(), purpose.as_bytes()].concat());
    }
    out
}
