//! The master key as a file on this machine: 32 random bytes, readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use aws_lc_rs::aead::RandomizedNonceKey;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{DataKey, KEY_BYTES, Sealed, aes_key, decrypt, does_not_open, encrypt};
use crate::id;
use crate::store::error::StoreError;

/// A local master key.
pub(in crate::store) struct LocalKey {
    key: RandomizedNonceKey,
    id: String,
}

impl LocalKey {
    /// Reads the key file, after making it when there is none.
    ///
    /// `Unavailable` when it cannot be read or made, is open to others, or does not hold a key.
    pub(in crate::store) fn from_file(path: &Path) -> Result<Self, StoreError> {
        let refused =
            |why: String| StoreError::unavailable(format!("the master key file `{}` {why}", path.display()));
        let bytes = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path).and_then(|()| read(path)),
            other => other,
        };
        let (bytes, mode) = bytes.map_err(|error| refused(format!("cannot be used: {error}")))?;
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            return Err(refused(format!(
                "is open to other users (mode {mode:03o}); run `chmod 600` on it"
            )));
        }
        let length = bytes.expose_secret().len();
        if length != KEY_BYTES {
            return Err(refused(format!(
                "has {length} bytes instead of {KEY_BYTES}; restore it from a backup, because records \
                 that were encrypted with the lost key cannot be read"
            )));
        }
        Self::from_bytes(&bytes)
    }

    /// A key that ends with the process, for a store in memory.
    pub(in crate::store) fn random() -> Result<Self, StoreError> {
        Self::from_bytes(&id::random::<KEY_BYTES>().to_vec().into())
    }

    fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, StoreError> {
        let digest = id::sha256(bytes.expose_secret());
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}"));
        Ok(Self {
            key: aes_key(bytes)?,
            id: format!("local:{}", id.collect::<String>()),
        })
    }

    /// The public name of the key: says which one a record needs, and nothing about its value.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A fresh data key.
    pub(super) fn data_key(&self, aad: &[u8]) -> Result<DataKey, StoreError> {
        let key: SecretSlice<u8> = id::random::<KEY_BYTES>().to_vec().into();
        let wrapped_key = encrypt(&self.key, key.expose_secret(), aad)?;
        let key_id = self.id.clone();
        Ok(DataKey {
            key,
            key_id,
            wrapped_key,
        })
    }

    pub(super) fn unwrap(&self, sealed: &Sealed, aad: &[u8]) -> Result<SecretSlice<u8>, StoreError> {
        if sealed.key_id != self.id {
            let why = format!(
                "it needs master key `{}`, and this one is `{}`",
                sealed.key_id, self.id
            );
            return Err(does_not_open("data key", &why));
        }
        decrypt(&self.key, &sealed.wrapped_key, aad)
            .ok_or_else(|| does_not_open("data key", "it was changed or moved"))
    }
}

/// The content and the mode of the file.
fn read(path: &Path) -> io::Result<(SecretSlice<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    // One byte more than a key tells a file that is too long.
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.into(), mode))
}

/// Makes the file with a new key in it: complete and on disk before it has its name, and never over another.
fn create(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(format!(".master-key-{}", id::random_token()));
    let made = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&id::random::<KEY_BYTES>())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            // Another process was first; its key is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    })();
    // Also after a failure; that the draft may not exist is then not worth telling.
    let _ = fs::remove_file(&draft);
    made?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::TempDir;

    #[test]
    fn a_missing_key_file_is_made_once_for_its_owner_only() {
        let dir = TempDir::new();
        let path = dir.path().join("new").join("master.key");
        let first = LocalKey::from_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(LocalKey::from_file(&path).unwrap().id(), first.id());
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        let dir = TempDir::new();
        let path = dir.path().join("master.key");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| LocalKey::from_file(&path).unwrap().id))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = TempDir::new();
        let path = dir.path().join("master.key");
        fs::write(&path, [7; KEY_BYTES]).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = LocalKey::from_file(&path).err().unwrap().to_string();
            assert!(error.contains(&format!("mode {mode:03o}")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(LocalKey::from_file(&path).is_ok());
    }

    #[test]
    fn a_key_file_of_another_length_is_refused_and_kept() {
        let dir = TempDir::new();
        let path = dir.path().join("master.key");
        for length in [0, KEY_BYTES - 1, KEY_BYTES + 1] {
            fs::write(&path, vec![7; length]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = LocalKey::from_file(&path).err().unwrap().to_string();
            assert!(
                error.contains(&format!("{length} bytes instead of 32")),
                "{error}"
            );
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }
}
