//! The legacy session id: a sealed, self-describing token that any task opens without I/O.
//!
//! 63 bytes: key id (4) and nonce (12) in clear, then AES-256-GCM over owner, version, transport,
//! capabilities, issue time and a random part. As text: 84 visible ASCII characters.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::id::{self, UserId};
use crate::secret::Keyring;

/// Protocol versions of the legacy era, oldest first. The position is what the seal stores.
pub const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// What a session id says about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Stands for the owner; see [`owner_tag`].
    pub owner: [u8; 16],
    /// Index into [`LEGACY_VERSIONS`].
    pub version: u8,
    /// How the client talks to us.
    pub transport: Transport,
    /// Bits of the client's capabilities; see the `CAN_` constants.
    pub capabilities: u8,
    /// Seconds since the Unix epoch.
    pub issued_at: u32,
    /// Makes two sessions of one second distinct.
    pub random: [u8; 8],
}

/// The client offers `elicitation`.
pub const CAN_ELICIT: u8 = 1;
/// The client offers `sampling`.
pub const CAN_SAMPLE: u8 = 2;
/// The client offers `roots`.
pub const CAN_LIST_ROOTS: u8 = 4;

/// The transport that a session was opened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Streamable,
    /// HTTP+SSE of 2024-11-05.
    HttpSse,
}

impl Sealed {
    /// The negotiated protocol version.
    pub fn protocol_version(&self) -> &'static str {
        LEGACY_VERSIONS
            .get(usize::from(self.version))
            .copied()
            .unwrap_or("2025-03-26")
    }

    fn to_bytes(self) -> [u8; PLAIN] {
        let mut out = [0; PLAIN];
        let (owner, rest) = out.split_at_mut(16);
        owner.copy_from_slice(&self.owner);
        let (facts, rest) = rest.split_at_mut(3);
        let transport = match self.transport {
            Transport::Streamable => 0,
            Transport::HttpSse => 1,
        };
        facts.copy_from_slice(&[self.version, transport, self.capabilities]);
        let (issued, random) = rest.split_at_mut(4);
        issued.copy_from_slice(&self.issued_at.to_be_bytes());
        random.copy_from_slice(&self.random);
        out
    }

    fn from_bytes(plain: &[u8]) -> Option<Self> {
        let plain: &[u8; PLAIN] = plain.try_into().ok()?;
        let (owner, rest) = plain.split_at(16);
        let (facts, rest) = rest.split_at(3);
        let (issued, random) = rest.split_at(4);
        let &[version, transport, capabilities] = facts else {
            return None;
        };
        let transport = match transport {
            0 => Transport::Streamable,
            1 => Transport::HttpSse,
            _ => return None,
        };
        Some(Self {
            owner: owner.try_into().ok()?,
            version,
            transport,
            capabilities,
            issued_at: u32::from_be_bytes(issued.try_into().ok()?),
            random: random.try_into().ok()?,
        })
    }
}

/// The 16 bytes that stand for a user inside a seal.
pub fn owner_tag(user: &UserId) -> [u8; 16] {
    let digest = id::sha256(user.as_str().as_bytes());
    let mut tag = [0; 16];
    tag.copy_from_slice(digest.split_at(16).0);
    tag
}

/// Seals with the current key, opens with the keys of all generations.
pub struct Sealer {
    keys: Vec<(String, LessSafeKey)>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

const PLAIN: usize = 31;
const KEY_ID: usize = 4;
const NONCE: usize = 12;

impl Sealer {
    /// Derives the sealing keys.
    pub fn new(keyring: &Keyring) -> Self {
        let keys = keyring
            .all("session id")
            .into_iter()
            .filter_map(|key| {
                let unbound = UnboundKey::new(&AES_256_GCM, &key.bytes).ok()?;
                Some((key.id, LessSafeKey::new(unbound)))
            })
            .collect();
        Self { keys }
    }

    /// The session id for `sealed`.
    pub fn seal(&self, sealed: Sealed) -> String {
        let nonce = id::random::<NONCE>();
        let mut sealed = sealed.to_bytes().to_vec();
        let mut token = Vec::with_capacity(KEY_ID + NONCE + PLAIN + 16);
        if let Some((key_id, key)) = self.keys.first() {
            token.extend(key_id_bytes(key_id));
            token.extend(nonce);
            let aad = Aad::from(token.clone());
            // Sealing fails only for inputs of gigabytes.
            let _ = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
            token.append(&mut sealed);
        }
        id::base64url(&token)
    }

    /// What a session id says, or `None` if it is not one of ours, or not whole.
    pub fn open(&self, session_id: &str) -> Option<Sealed> {
        let token =
            id::from_base64url(session_id).filter(|token| token.len() == KEY_ID + NONCE + PLAIN + 16)?;
        let (header, body) = token.split_at(KEY_ID + NONCE);
        let (key_id, nonce) = header.split_at(KEY_ID);
        let (_, key) = self.keys.iter().find(|(id, _)| key_id_bytes(id) == key_id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(header), &mut body).ok()?;
        Sealed::from_bytes(plain)
    }
}

fn key_id_bytes(id: &str) -> Vec<u8> {
    (0..KEY_ID)
        .filter_map(|i| u8::from_str_radix(id.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(current: &str, previous: &[&str]) -> Sealer {
        let previous = previous.iter().map(|s| (*s).to_owned().into()).collect();
        Sealer::new(&Keyring::new(current.to_owned().into(), previous))
    }

    fn sealed() -> Sealed {
        Sealed {
            owner: owner_tag(&UserId::new("1001")),
            version: 3,
            transport: Transport::Streamable,
            capabilities: CAN_ELICIT | CAN_LIST_ROOTS,
            issued_at: 1_800_000_000,
            random: [7; 8],
        }
    }

    #[test]
    fn a_session_id_opens_to_what_was_sealed_on_any_task_with_the_same_secret() {
        let id = sealer("one", &[]).seal(sealed());
        assert_eq!(sealer("one", &[]).open(&id), Some(sealed()));
        assert_eq!(sealed().protocol_version(), "2025-11-25");
    }

    #[test]
    fn a_session_id_is_at_most_200_visible_ascii_characters() {
        let id = sealer("one", &[]).seal(sealed());
        assert!(
            id.len() <= 200 && id.bytes().all(|b| (0x21..=0x7e).contains(&b)),
            "{id}"
        );
    }

    #[test]
    fn a_rotated_secret_opens_old_ids_and_seals_new_ones_with_the_new_key() {
        let old = sealer("one", &[]).seal(sealed());
        let rotated = sealer("two", &["one"]);
        assert_eq!(rotated.open(&old), Some(sealed()));
        assert_eq!(sealer("one", &[]).open(&rotated.seal(sealed())), None);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let sealer = sealer("one", &[]);
        let id = sealer.seal(sealed());
        let bytes = id::from_base64url(&id).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open(&id::base64url(&flipped)), None, "bit {bit}");
        }
        for length in 0..id.len() {
            assert_eq!(sealer.open(id.get(..length).unwrap()), None, "length {length}");
        }
    }

    #[test]
    fn two_sessions_of_the_same_second_differ() {
        let sealer = sealer("one", &[]);
        assert_ne!(sealer.seal(sealed()), sealer.seal(sealed()));
    }
}
