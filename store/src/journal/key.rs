//! Ed25519 keys of logs and cosigners in the text form of signed notes: c2sp.org/signed-note, "Signatures".

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature, SignatureError, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use signed_note::{Signer, Verifier, is_key_name_valid, key_id};

/// The signature type of a note's plain Ed25519 signatures.
const LOG: u8 = 0x01;

/// The signature type of timestamped cosignatures.
const COSIGNER: u8 = 0x04;

/// What private keys begin with in text.
const PRIVATE: &str = "PRIVATE+KEY+";

/// The key that signs a log's checkpoints.
pub type LogSigner = PrivateKey<LOG>;

/// The public half of a [`LogSigner`].
pub type LogVerifier = PublicKey<LOG>;

/// The key with which a log's checkpoints are cosigned.
pub type Cosigner = PrivateKey<COSIGNER>;

/// The public half of a [`Cosigner`].
pub type CosignerVerifier = PublicKey<COSIGNER>;

/// A private key for signatures of one type.
#[derive(Clone)]
pub struct PrivateKey<const TYPE: u8> {
    public: PublicKey<TYPE>,
    key: SigningKey,
}

/// A public key for signatures of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey<const TYPE: u8> {
    name: String,
    key: VerifyingKey,
}

/// Why a text or name makes no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Names are not empty and have neither spaces nor `+`.
    #[error("`{0}` cannot be the name of a key")]
    Name(String),
    /// The text does not have the shape of such a key.
    #[error("the text is not a key of this kind")]
    Format,
    /// A key for signatures of another type.
    #[error("the key makes signatures of type {found}, not {expected}")]
    Type {
        /// The type that is needed.
        expected: u8,
        /// The type in the text.
        found: u8,
    },
    /// Name, number and key do not belong together.
    #[error("the key's number does not match its name and bytes")]
    Id,
    /// Of the few points for which a signature can be made that holds for every text.
    #[error("the key is weak: its signatures prove nothing")]
    Weak,
}

impl<const TYPE: u8> PrivateKey<TYPE> {
    /// The key of this name made from 32 random bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, InvalidKey> {
        if !is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(InvalidKey::Name(name.escape_debug().to_string()));
        }
        let key = SigningKey::from_bytes(seed);
        Ok(Self { public: PublicKey { name: name.to_owned(), key: key.verifying_key() }, key })
    }

    /// The public half.
    pub fn verifier(&self) -> PublicKey<TYPE> {
        self.public.clone()
    }

    /// The private key as text, to be kept in a file that nobody else can read.
    pub fn to_private_text(&self) -> String {
        format!("{PRIVATE}{}", key_text(&self.public.name, self.public.id(), TYPE, self.key.as_bytes()))
    }
}

impl<const TYPE: u8> PublicKey<TYPE> {
    fn id(&self) -> u32 {
        let mut bytes = vec![TYPE];
        bytes.extend_from_slice(self.key.as_bytes());
        key_id(&self.name, &bytes)
    }
}

impl<const TYPE: u8> FromStr for PrivateKey<TYPE> {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_end().strip_prefix(PRIVATE).ok_or(InvalidKey::Format)?;
        let (name, id, seed) = parse_key_text(text, TYPE)?;
        let key = Self::from_seed(name, &seed)?;
        if key.public.id() == id { Ok(key) } else { Err(InvalidKey::Id) }
    }
}

impl<const TYPE: u8> FromStr for PublicKey<TYPE> {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id, bytes) = parse_key_text(text.trim_end(), TYPE)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| InvalidKey::Format)?;
        if key.is_weak() {
            return Err(InvalidKey::Weak);
        }
        let key = Self { name: name.to_owned(), key };
        if key.id() == id { Ok(key) } else { Err(InvalidKey::Id) }
    }
}

impl<const TYPE: u8> fmt::Display for PublicKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id(), TYPE, self.key.as_bytes()))
    }
}

impl<const TYPE: u8> fmt::Debug for PrivateKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public)
    }
}

impl Signer for LogSigner {
    fn name(&self) -> &str {
        &self.public.name
    }

    fn key_id(&self) -> u32 {
        self.public.id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.key.try_sign(text)?.to_vec())
    }
}

impl Verifier for LogVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

/// A cosigner at one moment: c2sp.org/tlog-cosignature, "Ed25519 signed message".
pub(super) struct CosignerAt<'a> {
    cosigner: &'a Cosigner,
    seconds: u64,
}

impl<'a> CosignerAt<'a> {
    /// `cosigner` at `now`; a time before 1970 counts as 1970, since the format has none.
    pub(super) fn new(cosigner: &'a Cosigner, now: Timestamp) -> Self {
        Self { cosigner, seconds: u64::try_from(now.as_second()).unwrap_or(0) }
    }
}

impl Signer for CosignerAt<'_> {
    fn name(&self) -> &str {
        &self.cosigner.public.name
    }

    fn key_id(&self) -> u32 {
        self.cosigner.public.id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut signature = self.seconds.to_be_bytes().to_vec();
        signature.extend_from_slice(&self.cosigner.key.try_sign(&cosigned_message(self.seconds, text))?.to_bytes());
        Ok(signature)
    }
}

impl Verifier for CosignerVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((seconds, signature)) = signature.split_first_chunk() else { return false };
        let message = cosigned_message(u64::from_be_bytes(*seconds), text);
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(&message, &signature).is_ok())
    }
}

/// When a cosignature says that it was made, or `None` where that is no time.
pub(super) fn cosignature_time(signature: &[u8]) -> Option<Timestamp> {
    let seconds = u64::from_be_bytes(*signature.first_chunk()?);
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

fn cosigned_message(seconds: u64, text: &[u8]) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {seconds}\n").into_bytes();
    message.extend_from_slice(text);
    message
}

fn key_text(name: &str, id: u32, kind: u8, bytes: &[u8; 32]) -> String {
    let mut material = vec![kind];
    material.extend_from_slice(bytes);
    format!("{name}+{id:08x}+{}", BASE64_STANDARD.encode(material))
}

/// Name, number and key of `name+number+base64(type, key)`.
fn parse_key_text(text: &str, expected: u8) -> Result<(&str, u32, [u8; 32]), InvalidKey> {
    let (name, rest) = text.split_once('+').ok_or(InvalidKey::Format)?;
    let (id, material) = rest.split_once('+').ok_or(InvalidKey::Format)?;
    if !is_key_name_valid(name) {
        return Err(InvalidKey::Name(name.escape_debug().to_string()));
    }
    let number = u32::from_str_radix(id, 16).map_err(|_| InvalidKey::Format)?;
    let material = BASE64_STANDARD.decode(material).map_err(|_| InvalidKey::Format)?;
    let (&found, key) = material.split_first().ok_or(InvalidKey::Format)?;
    if found != expected {
        return Err(InvalidKey::Type { expected, found });
    }
    let key = key.try_into().map_err(|_| InvalidKey::Format)?;
    if format!("{number:08x}") == id { Ok((name, number, key)) } else { Err(InvalidKey::Format) }
}

#[cfg(test)]
mod tests {
    use signed_note::{StandardSigner, StandardVerifier};

    use super::*;

    /// A pair of the reference implementation's tests.
    const PETER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn keys_are_those_of_the_reference_implementation() {
        let key: LogSigner = PETER.parse().unwrap();
        assert_eq!(key.to_private_text(), PETER);
        assert_eq!(key.verifier().to_string(), PETER_PUBLIC);
        assert_eq!(PETER_PUBLIC.parse(), Ok(key.verifier()));
        assert_eq!(key.sign(b"x").unwrap(), StandardSigner::new(PETER).unwrap().sign(b"x").unwrap());
        assert!(StandardVerifier::new(PETER_PUBLIC).unwrap().verify(b"x", &key.sign(b"x").unwrap()));
    }

    #[test]
    fn keys_survive_their_text() {
        let log = LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap();
        assert_eq!(log.to_private_text().parse::<LogSigner>().unwrap().verifier(), log.verifier());
        assert_eq!(format!("{}\n", log.verifier()).parse(), Ok(log.verifier()));
        let cosigner = Cosigner::from_seed("nationwide", &[2; 32]).unwrap();
        assert_eq!(cosigner.to_private_text().parse::<Cosigner>().unwrap().verifier(), cosigner.verifier());
        assert!(!format!("{log:?}").contains(&BASE64_STANDARD.encode([1; 30])));
    }

    #[test]
    fn a_key_of_the_other_kind_is_refused() {
        let log = LogSigner::from_seed("a", &[1; 32]).unwrap();
        let other = InvalidKey::Type { expected: COSIGNER, found: LOG };
        assert_eq!(log.verifier().to_string().parse::<CosignerVerifier>(), Err(other.clone()));
        assert_eq!(log.to_private_text().parse::<Cosigner>().unwrap_err(), other);
    }

    #[test]
    fn a_signature_of_any_other_length_is_false() {
        let cosigner = Cosigner::from_seed("a", &[1; 32]).unwrap();
        let good = CosignerAt::new(&cosigner, Timestamp::UNIX_EPOCH).sign(b"x").unwrap();
        assert!(cosigner.verifier().verify(b"x", &good));
        for length in (0..good.len()).chain([73]) {
            let bad: Vec<u8> = good.iter().copied().cycle().take(length).collect();
            assert!(!cosigner.verifier().verify(b"x", &bad), "{length}");
        }
    }

    /// The identity of the curve, and the point of order 2. By the first, a signature of the identity and zero holds for every text
    /// unless it is verified strictly.
    const WEAK: [[u8; 32]; 2] = {
        let (mut identity, mut second) = ([0; 32], [255; 32]);
        identity[0] = 1;
        (second[0], second[31]) = (0xec, 0x7f);
        [identity, second]
    };

    #[test]
    fn weak_keys_are_refused() {
        for weak in WEAK {
            let key = VerifyingKey::from_bytes(&weak).unwrap();
            let text = PublicKey::<LOG> { name: "a".to_owned(), key }.to_string();
            assert_eq!(text.parse::<LogVerifier>(), Err(InvalidKey::Weak));
            let text = PublicKey::<COSIGNER> { name: "a".to_owned(), key }.to_string();
            assert_eq!(text.parse::<CosignerVerifier>(), Err(InvalidKey::Weak));
        }
    }

    #[test]
    fn a_signature_that_holds_for_every_text_is_false() {
        let key = VerifyingKey::from_bytes(&WEAK[0]).unwrap();
        let forged = [WEAK[0], [0; 32]].concat();
        let lax = ed25519_dalek::Verifier::verify(&key, b"x", &Signature::from_slice(&forged).unwrap());
        assert!(lax.is_ok(), "this test can fail");
        assert!(!LogVerifier { name: "a".to_owned(), key }.verify(b"x", &forged));
        let forged = [[0; 8].as_slice(), &forged].concat();
        assert!(!CosignerVerifier { name: "a".to_owned(), key }.verify(b"x", &forged));
    }

    #[test]
    fn hostile_keys_are_refused() {
        for name in ["", "a b", "a+b", "a\n", "a\0", "a\u{2003}b"] {
            assert!(matches!(LogSigner::from_seed(name, &[1; 32]), Err(InvalidKey::Name(_))), "{name:?}");
        }
        let edits = [("Peter", "Paul"), ("c74f20a3", "c74f20a4"), ("c74f20a3", "C74F20A3"), ("c74f20a3", "+74f20a3")];
        for (from, to) in edits.into_iter().chain([("10TW", "10TX"), ("+ARpc", "+ARp"), ("+ARpc", ""), ("P", " P")]) {
            assert!(PETER_PUBLIC.replace(from, to).parse::<LogVerifier>().is_err(), "{to}");
        }
        for text in ["", "PRIVATE+KEY+", PETER_PUBLIC, &PETER.replace("c74f20a3", "00000000"), &PETER[..60]] {
            assert!(text.parse::<LogSigner>().is_err(), "{text}");
        }
    }
}
