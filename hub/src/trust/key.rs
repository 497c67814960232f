//! One person's key: Ed25519, private in a file that its owner alone reads, public as 64 hexadecimal digits.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use tieup_store::durable::{self, DiskError};
use tough::schema::Signature;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};

/// The length of a public key in bytes.
const PUBLIC_LENGTH: usize = 32;

/// How a key is called in metadata: SHA-256 of its public part in canonical JSON.
pub type KeyId = Decoded<Hex>;

/// The public part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_LENGTH]);

/// A key that signs. `Debug` shows its public part alone.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why a key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// There is a file already.
    #[error("{0} is there already; it is not replaced")]
    Exists(PathBuf),
    /// There is no file.
    #[error("there is no key in {0}")]
    Missing(PathBuf),
    /// The file holds something else.
    #[error("{0} holds no Ed25519 key: make one with `tieup key create`")]
    NoKey(PathBuf),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The operating system gives no random numbers.
    #[error("no key could be made: the operating system gives no random numbers")]
    Randomness,
    /// A text is no public key.
    #[error("`{0}` is no public key: it has 64 hexadecimal digits, as `tieup key create` prints them")]
    NoPublicKey(String),
}

impl SigningKey {
    /// Makes a key in `file`, which only its owner can read. Durable on return.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn create(file: &Path) -> Result<Self, SigningKeyError> {
        if file.exists() {
            return Err(SigningKeyError::Exists(file.to_owned()));
        }
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| SigningKeyError::Randomness)?;
        durable::write_private_file(file, document.as_ref())?;
        Self::from_der(document.as_ref()).ok_or_else(|| SigningKeyError::NoKey(file.to_owned()))
    }

    /// Reads the key in `file`.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(file: &Path) -> Result<Self, SigningKeyError> {
        let bytes = durable::read_file(file)?.ok_or_else(|| SigningKeyError::Missing(file.to_owned()))?;
        Self::from_der(&bytes).ok_or_else(|| SigningKeyError::NoKey(file.to_owned()))
    }

    /// The key in these bytes (PKCS #8 DER), if they are one.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// The public part.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.pair.sign(message).as_ref().to_vec();
        Signature { keyid: self.public.id(), sig: signature.into() }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public).finish()
    }
}

impl PublicKey {
    /// The key as root metadata names it.
    pub fn to_tuf(&self) -> Key {
        Key::Ed25519 {
            keyval: Ed25519Key { public: self.0.to_vec().into(), _extra: HashMap::new() },
            scheme: Ed25519Scheme::Ed25519,
            _extra: HashMap::new(),
        }
    }

    /// What metadata calls the key.
    pub fn id(&self) -> KeyId {
        self.to_tuf().key_id().expect("a key has text alone, so it always serializes")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PublicKey {
    type Err = SigningKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SigningKeyError::NoPublicKey(text.to_owned());
        if text.len() != PUBLIC_LENGTH * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; PUBLIC_LENGTH];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// A key's name as people read and type it: hexadecimal.
pub fn id_text(id: &KeyId) -> String {
    id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sato.key");
        let key = SigningKey::create(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(SigningKey::create(&file), Err(SigningKeyError::Exists(_))));
        let again = SigningKey::read(&file).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        assert!(!format!("{key:?}").contains("pair"));
    }

    #[test]
    fn a_public_key_survives_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(&folder.path().join("a.key")).unwrap();
        let text = key.public().to_string();
        assert_eq!(&text.parse::<PublicKey>().unwrap(), key.public());
        assert_eq!(id_text(&key.public().id()).len(), 64);
        for wrong in ["", &text[1..], &format!("{text}0"), &text.replace(|c: char| c.is_ascii_digit(), "g")] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
