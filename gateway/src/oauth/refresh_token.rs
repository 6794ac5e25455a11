//! Refresh tokens: derived from the keyring instead of stored, one per family and generation.

use subtle::ConstantTimeEq as _;

use crate::id;
use crate::model::grant::RefreshFamily;
use crate::secret::{Keyring, hmac_sha256};

/// The keyring purpose of the tokens' authentication code.
const PURPOSE: &str = "refresh token";

/// How long the previous token still yields the current one, in seconds: several windows of an editor
/// share a token, and an answer can get lost.
pub const GRACE_SECONDS: i64 = 30;

/// The random name of a family. Rows are keyed by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyId([u8; 16]);

impl FamilyId {
    /// A fresh family.
    pub fn random() -> Self {
        Self(id::random())
    }

    /// The key of the family's row.
    pub fn hash(&self) -> String {
        id::base64url(&id::sha256(&self.0))
    }
}

/// The token of a generation, as the client holds it: base64url of family (16 bytes), generation (4 bytes,
/// big endian) and their HMAC-SHA256 (32 bytes). The same input makes the same token on every task.
pub fn encode(keyring: &Keyring, family: &FamilyId, generation: u32) -> String {
    let body = body(family, generation);
    let mac = hmac_sha256(&keyring.current(PURPOSE).bytes, &body);
    id::base64url(&[&body[..], &mac[..]].concat())
}

/// Family and generation of a token that we made, under any generation of the keyring.
pub fn decode(keyring: &Keyring, token: &str) -> Option<(FamilyId, u32)> {
    let bytes = id::from_base64url(token)?;
    let (family, rest) = bytes.split_first_chunk::<16>()?;
    let (generation, mac) = rest.split_first_chunk::<4>()?;
    let (family, generation) = (FamilyId(*family), u32::from_be_bytes(*generation));
    let body = body(&family, generation);
    let genuine = keyring
        .all(PURPOSE)
        .iter()
        .any(|key| hmac_sha256(&key.bytes, &body).ct_eq(mac).into());
    genuine.then_some((family, generation))
}

fn body(family: &FamilyId, generation: u32) -> [u8; 20] {
    let mut body = [0; 20];
    let (name, number) = body.split_at_mut(16);
    name.copy_from_slice(&family.0);
    number.copy_from_slice(&generation.to_be_bytes());
    body
}

/// What a presented generation is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The current token: make the next one.
    Rotate,
    /// The one before, within the grace window: hand out the current one once more.
    Repeat,
    /// An older one: somebody has a copy, so the whole family ends (RFC 9700 section 4.14.2).
    Replay,
    /// The family is over, or does not know the generation yet (a table restored from a backup).
    Dead,
}

/// Judges a presented generation. Only the direct predecessor has a grace window, never its parents.
pub fn judge(family: &RefreshFamily, generation: u32, now: i64) -> Verdict {
    if family.revoked || family.expires_at <= now || generation > family.generation {
        return Verdict::Dead;
    }
    match family.generation - generation {
        0 => Verdict::Rotate,
        1 if now <= family.rotated_at + GRACE_SECONDS => Verdict::Repeat,
        _ => Verdict::Replay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClientId, UserId};

    fn keyring(secrets: &[&str]) -> Keyring {
        let mut secrets = secrets.iter().map(|s| (*s).to_owned().into());
        Keyring::new(secrets.next().unwrap(), secrets.collect())
    }

    #[test]
    fn a_token_is_the_same_each_time_and_outlives_a_rotation_of_the_secret() {
        let family = FamilyId::random();
        let old = keyring(&["first"]);
        let token = encode(&old, &family, 7);
        assert_eq!(token, encode(&old, &family, 7));
        assert_eq!(decode(&old, &token), Some((family, 7)));
        assert_eq!(decode(&keyring(&["second", "first"]), &token), Some((family, 7)));
        assert_eq!(decode(&keyring(&["second"]), &token), None);
    }

    #[test]
    fn a_flipped_bit_anywhere_kills_the_token() {
        let keyring = keyring(&["first"]);
        let token = encode(&keyring, &FamilyId::random(), 0);
        let bytes = id::from_base64url(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&keyring, &id::base64url(&flipped)), None, "bit {bit}");
        }
        for cut in [0, 15, 19, 20, 51] {
            assert_eq!(
                decode(&keyring, &id::base64url(&bytes[..cut])),
                None,
                "{cut} bytes"
            );
        }
        assert_eq!(decode(&keyring, &format!("{token}AAAA")), None);
        assert_eq!(decode(&keyring, "no base64url!"), None);
    }

    #[test]
    fn only_the_direct_predecessor_has_a_grace_window() {
        let family = |revoked| RefreshFamily {
            user: UserId::new("1001"),
            email: "ana@example.com".into(),
            client_id: ClientId::new("c"),
            scope: "mcp".into(),
            resource: "https://mcp.example.com/mcp".into(),
            generation: 5,
            rotated_at: 1000,
            revoked,
            expires_at: 2000,
        };
        for (generation, now, expected) in [
            (5, 1000, Verdict::Rotate),
            (5, 1999, Verdict::Rotate),
            (5, 2000, Verdict::Dead),
            (4, 1000, Verdict::Repeat),
            (4, 1030, Verdict::Repeat),
            (4, 1031, Verdict::Replay),
            (3, 1000, Verdict::Replay),
            (0, 1000, Verdict::Replay),
            (6, 1000, Verdict::Dead),
        ] {
            assert_eq!(
                judge(&family(false), generation, now),
                expected,
                "{generation} at {now}"
            );
        }
        assert_eq!(judge(&family(true), 5, 1000), Verdict::Dead);
    }
}
