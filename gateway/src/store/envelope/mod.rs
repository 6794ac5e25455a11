//! Envelope encryption of secrets at rest: a fresh data key per record, wrapped by the key provider.
//!
//! Both the wrapping and the data are bound to where the record belongs ([`Context`]), so a ciphertext that
//! was moved to another row does not open.

mod local;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::error::StoreError;
use crate::id;

pub(super) use local::LocalKey;

/// Length of every key, in bytes (AES-256).
const KEY_BYTES: usize = 32;
/// How many unwrapped data keys are kept, so that a warm read asks no provider.
const CACHED_KEYS: u64 = 1_000;
/// For how long: a revoked master key stops to open records after this time.
const CACHED_FOR: Duration = Duration::from_mins(5);

/// Where a record belongs: the encryption context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) table: &'a str,
    pub(super) user: &'a str,
    pub(super) purpose: &'a str,
}

impl Context<'_> {
    /// The context as additional authenticated data: JSON, so that no two contexts run together.
    fn to_aad(self) -> Vec<u8> {
        serde_json::json!([self.table, self.user, self.purpose])
            .to_string()
            .into_bytes()
    }
}

/// An encrypted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The master key that wrapped the data key.
    pub(super) key_id: String,
    /// The data key, as only the provider can read it.
    pub(super) wrapped_key: Vec<u8>,
    /// Nonce, AES-256-GCM ciphertext, tag.
    pub(super) ciphertext: Vec<u8>,
}

/// Who keeps the master key.
pub(super) enum KeyProvider {
    /// A key file on this machine.
    Local(LocalKey),
}

impl KeyProvider {
    #[expect(clippy::unused_async, reason = "a provider on the network waits here")]
    async fn wrap(
        &self,
        key: &SecretSlice<u8>,
        context: &Context<'_>,
    ) -> Result<(String, Vec<u8>), StoreError> {
        match self {
            Self::Local(master) => Ok((master.id().to_owned(), master.wrap(key, &context.to_aad())?)),
        }
    }

    #[expect(clippy::unused_async, reason = "a provider on the network waits here")]
    async fn unwrap(&self, sealed: &Sealed, context: &Context<'_>) -> Result<SecretSlice<u8>, StoreError> {
        match self {
            Self::Local(master) => master.unwrap(sealed, &context.to_aad()),
        }
    }
}

/// Seals and opens records.
pub(super) struct Envelope {
    provider: KeyProvider,
    unwrapped: Cache<[u8; 32], Arc<RandomizedNonceKey>>,
}

impl Envelope {
    pub(super) fn new(provider: KeyProvider) -> Self {
        let unwrapped = Cache::builder()
            .max_capacity(CACHED_KEYS)
            .time_to_live(CACHED_FOR)
            .build();
        Self { provider, unwrapped }
    }

    /// Encrypts `plaintext` under a data key of its own.
    pub(super) async fn seal(&self, plaintext: &[u8], context: &Context<'_>) -> Result<Sealed, StoreError> {
        let bytes: SecretSlice<u8> = id::random::<KEY_BYTES>().to_vec().into();
        let key = aes_key(&bytes)?;
        let ciphertext = encrypt(&key, plaintext, &context.to_aad())?;
        let (key_id, wrapped_key) = self.provider.wrap(&bytes, context).await?;
        self.unwrapped
            .insert(cache_key(&wrapped_key, context), Arc::new(key));
        Ok(Sealed {
            key_id,
            wrapped_key,
            ciphertext,
        })
    }

    /// Decrypts a record. `Corrupt` when the context, the master key or any byte is not the one of the sealing.
    pub(super) async fn open(
        &self,
        sealed: &Sealed,
        context: &Context<'_>,
    ) -> Result<SecretSlice<u8>, StoreError> {
        let slot = cache_key(&sealed.wrapped_key, context);
        let key = if let Some(key) = self.unwrapped.get(&slot) {
            key
        } else {
            let key = Arc::new(aes_key(&self.provider.unwrap(sealed, context).await?)?);
            self.unwrapped.insert(slot, Arc::clone(&key));
            key
        };
        decrypt(&key, &sealed.ciphertext, &context.to_aad())
            .ok_or_else(|| does_not_open(context.purpose, "its ciphertext was changed or moved"))
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

/// The context is part of the name, so a hit never stands for a check that was skipped.
fn cache_key(wrapped_key: &[u8], context: &Context<'_>) -> [u8; 32] {
    let context = id::sha256(&context.to_aad());
    id::sha256(&[context.as_slice(), wrapped_key].concat())
}

fn aes_key(bytes: &SecretSlice<u8>) -> Result<RandomizedNonceKey, StoreError> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes.expose_secret())
        .map_err(|_| does_not_open("data key", "it does not have 32 bytes"))
}

/// Nonce, ciphertext, tag.
fn encrypt(key: &RandomizedNonceKey, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut body = plaintext.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(aad), &mut body)
        .map_err(|_| StoreError::unavailable("AES-256-GCM failed to encrypt"))?;
    Ok([nonce.as_ref().as_slice(), body.as_slice()].concat())
}

/// `None` when key, context or any byte differs.
fn decrypt(key: &RandomizedNonceKey, ciphertext: &[u8], aad: &[u8]) -> Option<SecretSlice<u8>> {
    let (nonce, body) = ciphertext.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    let length = key.open_in_place(nonce, Aad::from(aad), &mut body).ok()?.len();
    body.truncate(length);
    Some(body.into())
}

fn does_not_open(what: &str, why: &str) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a `{what}` does not decrypt: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Context<'_> = Context {
        table: "tokens",
        user: "1001",
        purpose: "google_grant",
    };

    fn envelope() -> Envelope {
        Envelope::new(KeyProvider::Local(LocalKey::random().unwrap()))
    }

    #[tokio::test]
    async fn a_record_opens_where_it_belongs_and_nowhere_else() {
        let envelope = envelope();
        let sealed = envelope.seal(b"secret", &HERE).await.unwrap();
        assert_eq!(
            envelope.open(&sealed, &HERE).await.unwrap().expose_secret(),
            b"secret"
        );
        for elsewhere in [
            Context {
                table: "sessions",
                ..HERE
            },
            Context { user: "1002", ..HERE },
            Context {
                purpose: "upstream_grant",
                ..HERE
            },
        ] {
            let opened = envelope.open(&sealed, &elsewhere).await;
            assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "{elsewhere:?}");
        }
    }

    #[tokio::test]
    async fn the_data_is_bound_to_its_context_even_under_a_key_that_is_right() {
        let envelope = envelope();
        let mine = envelope.seal(b"mine", &HERE).await.unwrap();
        let other = Context { user: "1002", ..HERE };
        let theirs = envelope.seal(b"theirs", &other).await.unwrap();
        let mixed = Sealed {
            ciphertext: theirs.ciphertext,
            ..mine
        };
        assert!(envelope.open(&mixed, &HERE).await.is_err());
    }

    #[tokio::test]
    async fn a_flipped_bit_anywhere_does_not_open_whether_or_not_the_key_is_cached() {
        let envelope = envelope();
        let sealed = envelope.seal(b"secret", &HERE).await.unwrap();
        for cached in [true, false] {
            for at in 0..sealed.ciphertext.len() {
                let mut changed = sealed.clone();
                changed.ciphertext[at] ^= 1;
                if !cached {
                    envelope.unwrapped.invalidate_all();
                }
                assert!(envelope.open(&changed, &HERE).await.is_err());
            }
        }
        let mut changed = sealed.clone();
        changed.wrapped_key[20] ^= 1;
        assert!(envelope.open(&changed, &HERE).await.is_err());
        changed.ciphertext.clear();
        assert!(envelope.open(&changed, &HERE).await.is_err());
    }

    #[tokio::test]
    async fn two_records_of_the_same_text_have_nothing_in_common() {
        let envelope = envelope();
        let one = envelope.seal(b"secret", &HERE).await.unwrap();
        let two = envelope.seal(b"secret", &HERE).await.unwrap();
        assert_ne!(one.ciphertext, two.ciphertext);
        assert_ne!(one.wrapped_key, two.wrapped_key);
    }

    #[tokio::test]
    async fn the_cache_of_data_keys_has_a_bound() {
        let envelope = envelope();
        for _ in 0..CACHED_KEYS + 200 {
            envelope.seal(b"x", &HERE).await.unwrap();
        }
        envelope.unwrapped.run_pending_tasks();
        assert!(envelope.unwrapped.entry_count() <= CACHED_KEYS);
    }
}
