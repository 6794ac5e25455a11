//! Envelope encryption of secrets at rest: a data key per record, wrapped by the key provider.
//!
//! Both the wrapping and the data are bound to where the record belongs ([`Context`]), so a ciphertext that
//! was moved to another row does not open.

mod kms;
mod local;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::error::StoreError;
use crate::clock::Clock;
use crate::id;

pub(super) use kms::Kms;
pub(super) use local::LocalKey;

/// Length of every key, in bytes (AES-256).
const KEY_BYTES: usize = 32;
/// How many unwrapped data keys are kept, so that a warm read asks no provider: as many as there are people whose
/// Google token is kept. One takes less than [`CACHED_KEY_BYTES`].
const CACHED_KEYS: u64 = 10_000;
/// The name of a key, the key, its age, and what the cache itself needs.
const CACHED_KEY_BYTES: u64 = 400;
const _: () = assert!(CACHED_KEYS * CACHED_KEY_BYTES <= 4 << 20);
/// For how long an unwrapped data key is used without asking the provider: a master key that was revoked stops to
/// open records after this time.
const FRESH_FOR: Duration = Duration::from_mins(5);
/// For how long it is used while the provider does not answer, so that an outage hits new people only. The provider
/// saying no ends it at once.
const STALE_FOR: Duration = Duration::from_hours(1);
/// For how long a provider that did not answer is not asked again on behalf of a key that is cached.
const AWAY_FOR: Duration = Duration::from_secs(5);
/// How long the owner of a cached key waits for the provider: one that is slower is as good as away.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long an answer of the provider counts as a sign that it works.
const WORKS_FOR: Duration = Duration::from_secs(10);

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

/// A data key as the provider makes it.
struct DataKey {
    key: SecretSlice<u8>,
    /// The master key that wrapped it.
    key_id: String,
    wrapped_key: Vec<u8>,
}

/// Why the provider gave no key.
#[derive(Debug)]
enum KeyFailure {
    /// It did not answer, or not to the question.
    Away(StoreError),
    /// It said no.
    Refused(StoreError),
}

impl From<KeyFailure> for StoreError {
    fn from(failure: KeyFailure) -> Self {
        let (KeyFailure::Away(error) | KeyFailure::Refused(error)) = failure;
        error
    }
}

/// Who keeps the master key.
pub(super) enum KeyProvider {
    /// A key file on this machine.
    Local(LocalKey),
    /// AWS KMS.
    Kms(Kms),
}

impl KeyProvider {
    /// The master key that wraps new data keys.
    fn id(&self) -> &str {
        match self {
            Self::Local(master) => master.id(),
            Self::Kms(kms) => kms.id(),
        }
    }

    async fn data_key(&self, context: &Context<'_>) -> Result<DataKey, KeyFailure> {
        match self {
            Self::Local(master) => master.data_key(&context.to_aad()).map_err(KeyFailure::Refused),
            Self::Kms(kms) => Box::pin(kms.data_key(context)).await,
        }
    }

    async fn unwrap(&self, sealed: &Sealed, context: &Context<'_>) -> Result<SecretSlice<u8>, KeyFailure> {
        match self {
            Self::Local(master) => master
                .unwrap(sealed, &context.to_aad())
                .map_err(KeyFailure::Refused),
            Self::Kms(kms) => Box::pin(kms.unwrap(sealed, context)).await,
        }
    }
}

/// An unwrapped data key.
#[derive(Clone)]
struct CachedKey {
    key: SecretSlice<u8>,
    /// When the provider gave it, in milliseconds since the Unix epoch.
    since: i64,
}

/// Seals and opens records.
pub(super) struct Envelope {
    provider: Arc<KeyProvider>,
    clock: Clock,
    unwrapped: Cache<[u8; 32], CachedKey>,
    /// When the provider last gave a key, in milliseconds since the Unix epoch.
    answered_at: AtomicI64,
    /// When it last failed to answer.
    away_at: AtomicI64,
}

impl Envelope {
    pub(super) fn new(provider: KeyProvider, clock: Clock) -> Self {
        Self::sharing(Arc::new(provider), clock)
    }

    /// The same master key, nothing else in common.
    pub(super) fn of_another_task(&self) -> Self {
        Self::sharing(Arc::clone(&self.provider), self.clock.clone())
    }

    fn sharing(provider: Arc<KeyProvider>, clock: Clock) -> Self {
        // Age is the clock's matter; this frees the memory of keys that nobody asks for any more.
        let unwrapped = Cache::builder()
            .max_capacity(CACHED_KEYS)
            .time_to_live(STALE_FOR)
            .build();
        Self {
            provider,
            clock,
            unwrapped,
            answered_at: AtomicI64::new(i64::MIN),
            away_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Whether a record can be sealed now, as far as one can know.
    pub(super) async fn check(&self, context: &Context<'_>) -> Result<(), StoreError> {
        if self.is_within(self.answered_at.load(Ordering::Relaxed), WORKS_FOR) {
            return Ok(());
        }
        self.note(self.provider.data_key(context).await)?;
        Ok(())
    }

    /// Encrypts `plaintext` under a data key of its own.
    pub(super) async fn seal(&self, plaintext: &[u8], context: &Context<'_>) -> Result<Sealed, StoreError> {
        let made = self.note(self.provider.data_key(context).await)?;
        let ciphertext = encrypt(&aes_key(&made.key)?, plaintext, &context.to_aad())?;
        self.keep(cache_key(&made.wrapped_key, context), &made.key);
        Ok(Sealed {
            key_id: made.key_id,
            wrapped_key: made.wrapped_key,
            ciphertext,
        })
    }

    /// Encrypts the next version of a record. The data key stays while it is cached and the master key is still the
    /// one of the settings: the provider is asked once per record, and its outage does not stop a change.
    pub(super) async fn reseal(
        &self,
        plaintext: &[u8],
        before: &Sealed,
        context: &Context<'_>,
    ) -> Result<Sealed, StoreError> {
        let cached = self.cached(&cache_key(&before.wrapped_key, context));
        let Some((key, _)) = cached.filter(|_| before.key_id == self.provider.id()) else {
            return self.seal(plaintext, context).await;
        };
        Ok(Sealed {
            ciphertext: encrypt(&aes_key(&key)?, plaintext, &context.to_aad())?,
            ..before.clone()
        })
    }

    /// Decrypts a record. `Corrupt` when the context, the master key or any byte is not the one of the sealing.
    pub(super) async fn open(
        &self,
        sealed: &Sealed,
        context: &Context<'_>,
    ) -> Result<SecretSlice<u8>, StoreError> {
        let key = self.unwrap(sealed, context).await?;
        decrypt(&aes_key(&key)?, &sealed.ciphertext, &context.to_aad())
            .ok_or_else(|| does_not_open(context.purpose, "its ciphertext was changed or moved"))
    }

    /// The data key of a record: from the cache while it is fresh, and longer while the provider is away.
    async fn unwrap(&self, sealed: &Sealed, context: &Context<'_>) -> Result<SecretSlice<u8>, StoreError> {
        let slot = cache_key(&sealed.wrapped_key, context);
        let asked = self.provider.unwrap(sealed, context);
        let stale = match self.cached(&slot) {
            Some((key, true)) => return Ok(key),
            Some((key, false)) => key,
            None => {
                let key = self.note(asked.await)?;
                self.keep(slot, &key);
                return Ok(key);
            }
        };
        if self.is_within(self.away_at.load(Ordering::Relaxed), AWAY_FOR) {
            return Ok(stale);
        }
        let answer = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            let detail = format!("the key provider gave no answer within {} s", PATIENCE.as_secs());
            Err(KeyFailure::Away(StoreError::unavailable(detail)))
        });
        match self.note(answer) {
            Ok(key) => {
                self.keep(slot, &key);
                Ok(key)
            }
            Err(KeyFailure::Away(error)) => {
                tracing::warn!(%error, "the key provider is away; records open by keys that are known");
                Ok(stale)
            }
            Err(KeyFailure::Refused(error)) => {
                self.unwrapped.invalidate(&slot);
                Err(error)
            }
        }
    }

    /// A cached key that may be used, and whether without asking.
    fn cached(&self, slot: &[u8; 32]) -> Option<(SecretSlice<u8>, bool)> {
        let cached = self.unwrapped.get(slot)?;
        let is_younger_than = |limit| self.is_within(cached.since, limit);
        is_younger_than(STALE_FOR).then(|| (cached.key, is_younger_than(FRESH_FOR)))
    }

    fn keep(&self, slot: [u8; 32], key: &SecretSlice<u8>) {
        let since = self.millis();
        let key = key.clone();
        self.unwrapped.insert(slot, CachedKey { key, since });
    }

    /// Remembers whether the provider answered.
    fn note<T>(&self, answer: Result<T, KeyFailure>) -> Result<T, KeyFailure> {
        let now = self.millis();
        match &answer {
            Ok(_) => {
                self.answered_at.store(now, Ordering::Relaxed);
                self.away_at.store(i64::MIN, Ordering::Relaxed);
            }
            Err(KeyFailure::Away(_)) => {
                self.answered_at.store(i64::MIN, Ordering::Relaxed);
                self.away_at.store(now, Ordering::Relaxed);
            }
            Err(KeyFailure::Refused(_)) => self.answered_at.store(i64::MIN, Ordering::Relaxed),
        }
        answer
    }

    /// Whether `moment` was less than `interval` ago.
    fn is_within(&self, moment: i64, interval: Duration) -> bool {
        let interval = self.clock.interval(interval).as_millis();
        u128::try_from(self.millis().saturating_sub(moment)).is_ok_and(|age| age < interval)
    }

    fn millis(&self) -> i64 {
        self.clock.now().as_millisecond()
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
        let clock = Clock::manual(jiff::Timestamp::from_second(1_800_000_000).unwrap());
        Envelope::new(KeyProvider::Local(LocalKey::random().unwrap()), clock)
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
        for _ in 0..CACHED_KEYS + 2_000 {
            envelope.seal(b"x", &HERE).await.unwrap();
        }
        envelope.unwrapped.run_pending_tasks();
        assert!(envelope.unwrapped.entry_count() <= CACHED_KEYS);
    }
}
