//! The hub's keys on disk, each in a file of its own that its owner alone can read.
//!
//! They differ by what a thief could do: the TLS key speaks to partners but cannot sign a release; the release key
//! signs releases; the freshness key only says that a release is still current; the root key names the others.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{Cosigner, LogSigner};
use tieup_web::authority::{Authority, AuthorityError, PemPair};
use tieup_web::tls::TlsError;

use crate::signing::{ReleaseSigner, SigningError, sign_root};
use crate::trust::{DraftError, RootDraft, SigningKey, SigningKeyError};

/// The certificate authority's certificate.
const AUTHORITY: &str = "authority.crt";
/// The certificate authority's key.
const AUTHORITY_KEY: &str = "authority.key";
/// The TUF root key.
const ROOT_KEY: &str = "root.key";
/// The key for TUF targets and snapshot.
const RELEASE_KEY: &str = "release.key";
/// The key for the TUF timestamp.
const FRESHNESS_KEY: &str = "freshness.key";
/// The key that cosigns journals, and signs the statements that are made from them.
const COSIGNER_KEY: &str = "cosigner.key";
/// The key that signs the journal of main's own pages.
const JOURNAL_KEY: &str = "journal.key";
/// The TUF root metadata; written last, so that a folder that has it is complete.
const ROOT: &str = "root.json";

/// The folder of the root metadata after the first.
const ROOTS: &str = "roots";

fn root_file(version: u64) -> String {
    format!("{ROOTS}/{version}.root.json")
}

/// The folder of keys.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    dir: PathBuf,
    main: SiteId,
}

/// Why keys could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There are keys already.
    #[error("{0} already holds keys; they are not replaced")]
    Exists(PathBuf),
    /// There are no keys yet.
    #[error("{0} holds no keys: make them with `tieup init`, or put back your copy of them")]
    Missing(PathBuf),
    /// A key is unusable.
    #[error("{0} cannot be used: {1}")]
    Damaged(PathBuf, String),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The certificate authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The TLS identity failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Signing failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A key that signs metadata cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// A new root is not to be had.
    #[error(transparent)]
    Root(#[from] DraftError),
    /// The operating system gives no random numbers.
    #[error("no key could be made: the operating system gives no random numbers")]
    Randomness,
}

impl From<Unspecified> for KeyError {
    fn from(_: Unspecified) -> Self {
        Self::Randomness
    }
}

impl KeyFolder {
    /// The keys of `main` in the state folder.
    pub fn new(state: &Path, main: &SiteId) -> Self {
        Self { dir: state.join("keys"), main: main.clone() }
    }

    /// Makes every key; what an attempt has left that was not finished is taken up. Durable on return.
    ///
    /// # Errors
    /// When there are keys already, or the disk fails.
    pub fn create(&self) -> Result<(), KeyError> {
        if self.dir.join(ROOT).exists() {
            return Err(KeyError::Exists(self.dir.clone()));
        }
        durable::create_dir_all(&self.dir)?;
        let authority = Authority::create(&self.main, SystemTime::now())?;
        self.write(AUTHORITY_KEY, authority.key.as_bytes())?;
        self.write(AUTHORITY, authority.certificate.as_bytes())?;
        let (root, release, freshness) =
            (self.signing_key(ROOT_KEY)?, self.signing_key(RELEASE_KEY)?, self.signing_key(FRESHNESS_KEY)?);
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed)?;
        let cosigner = Cosigner::from_seed(self.main.as_str(), &seed)
            .map_err(|error| KeyError::Damaged(self.dir.join(COSIGNER_KEY), error.to_string()))?;
        self.write(COSIGNER_KEY, cosigner.to_private_text().as_bytes())?;
        let root = sign_root(&root, &release, &freshness, Timestamp::now())?;
        self.write(ROOT, root.as_bytes())
    }

    /// Whether there are keys.
    pub fn exists(&self) -> bool {
        self.dir.join(ROOT).exists()
    }

    /// The certificate authority.
    ///
    /// # Errors
    /// When its files are missing or damaged.
    pub fn authority(&self) -> Result<Authority, KeyError> {
        let pair = PemPair { certificate: self.read_text(AUTHORITY)?, key: self.read_text(AUTHORITY_KEY)? };
        Ok(Authority::load(&self.main, &pair)?)
    }

    /// A fresh certificate and key for the hub in TLS, issued at `now`. Nothing of it is kept here.
    ///
    /// # Errors
    /// When the authority's files are missing or damaged.
    pub fn issue_tls(&self, now: SystemTime) -> Result<PemPair, KeyError> {
        Ok(self.authority()?.issue_main(now)?)
    }

    /// What can be signed with the keys in this folder.
    ///
    /// # Errors
    /// When the root or a key cannot be read.
    pub fn release_signer(&self) -> Result<ReleaseSigner, KeyError> {
        let keys = self.signing_keys()?.into_iter().map(|(_, key)| key).collect();
        Ok(ReleaseSigner::new(self.root()?, keys))
    }

    /// Every Ed25519 key of the folder that signs metadata, with its file. Which role it has, if any, the root says.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn signing_keys(&self) -> Result<Vec<(PathBuf, SigningKey)>, KeyError> {
        let mut found = Vec::new();
        for file in durable::list_dir(&self.dir)?.into_iter().filter(|file| file.is_file()) {
            // Keys of other kinds lie beside them, in other formats.
            let bytes = durable::read_file(&file)?.filter(|_| file.extension() == Some(OsStr::new("key")));
            if let Some(key) = bytes.and_then(|bytes| SigningKey::from_der(&bytes)) {
                found.push((file, key));
            }
        }
        Ok(found)
    }

    /// The key that cosigns journals, and signs the statements that are made from them.
    ///
    /// # Errors
    /// When its file is missing or damaged.
    pub fn cosigner(&self) -> Result<Cosigner, KeyError> {
        let text = self.read_text(COSIGNER_KEY)?;
        text.parse().map_err(|error| KeyError::Damaged(self.dir.join(COSIGNER_KEY), format!("{error}")))
    }

    /// The key that signs the journal of visits to main's own pages; made where there is none yet.
    ///
    /// # Errors
    /// When its file is damaged or cannot be made.
    pub fn journal(&self) -> Result<LogSigner, KeyError> {
        if !self.dir.join(JOURNAL_KEY).exists() {
            let mut seed = [0; 32];
            SystemRandom::new().fill(&mut seed)?;
            let key = LogSigner::from_seed(self.main.as_str(), &seed)
                .map_err(|error| KeyError::Damaged(self.dir.join(JOURNAL_KEY), error.to_string()))?;
            self.write(JOURNAL_KEY, key.to_private_text().as_bytes())?;
        }
        let text = self.read_text(JOURNAL_KEY)?;
        text.parse().map_err(|error| KeyError::Damaged(self.dir.join(JOURNAL_KEY), format!("{error}")))
    }

    /// The TUF root metadata that is in force: the newest of the chain.
    ///
    /// # Errors
    /// When its file is missing or damaged.
    pub fn root(&self) -> Result<String, KeyError> {
        match self.roots()?.pop() {
            Some(newest) => Ok(newest),
            None => self.read_text(ROOT),
        }
    }

    /// The chain of root metadata after the first, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn roots(&self) -> Result<Vec<String>, KeyError> {
        let mut roots = Vec::new();
        for version in 2_u64.. {
            let file = root_file(version);
            if !self.dir.join(&file).exists() {
                break;
            }
            roots.push(self.read_text(&file)?);
        }
        Ok(roots)
    }

    /// Puts `draft` in force, if it follows on the root that is, and enough people have signed it. Durable on return.
    ///
    /// # Errors
    /// What is missing.
    pub fn install_root(&self, draft: RootDraft) -> Result<u64, KeyError> {
        let version = draft.version();
        let root = draft.finish(&self.root()?)?;
        durable::create_dir_all(&self.dir.join(ROOTS))?;
        self.write(&root_file(version), root.as_bytes())?;
        Ok(version)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key in a file, which is made if it is not there.
    fn signing_key(&self, name: &str) -> Result<SigningKey, SigningKeyError> {
        let file = self.dir.join(name);
        if file.exists() { SigningKey::read(&file) } else { SigningKey::create(&file) }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
        Ok(durable::write_private_file(&self.dir.join(name), bytes)?)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        durable::read_file(&self.dir.join(name))?.ok_or_else(|| KeyError::Missing(self.dir.clone()))
    }

    fn read_text(&self, name: &str) -> Result<String, KeyError> {
        let text = String::from_utf8(self.read(name)?);
        text.map_err(|error| KeyError::Damaged(self.dir.join(name), error.to_string()))
    }
}
