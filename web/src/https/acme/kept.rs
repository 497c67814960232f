//! What is kept between starts: the account, the certificate with its key, and the tries that brought nothing.

use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::{self, DiskError};

use super::plan::AN_HOUR;
use crate::authority::PemPair;
use crate::https::pair::{Pair, PairError, PairFiles};
use crate::https::settings::Acme;

/// The folder in the state folder.
pub const FOLDER: &str = "acme";

/// The file of the certificate, which its key precedes: replaced as one, so that there is never half a pair.
const PAIR: &str = "certificate.pem";

/// The file of the account.
const ACCOUNT: &str = "account.json";

/// The file of the tries.
const TRIES: &str = "tries.json";

/// The files of a certificate in the folder `acme`: both its halves stand in one.
pub fn files(acme: &Path) -> PairFiles {
    PairFiles { certificate: acme.join(PAIR), key: acme.join(PAIR) }
}

/// The tries since the last one that brought a certificate: those that failed, and one whose end nobody has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// When, oldest first; the last few.
    pub failed: Vec<Timestamp>,
    /// Why the last one failed.
    pub trouble: Option<String>,
}

impl Tries {
    /// Reads those of the folder `acme`; what cannot be read holds none.
    pub fn read(acme: &Path) -> Self {
        Document::at(acme.join(TRIES)).read().ok().flatten().unwrap_or_default()
    }

    /// Adds one that begins at `now`. It counts until it has brought a certificate: a program that ends meanwhile and is
    /// started again has asked all the same.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.failed.push(now);
        let surplus = self.failed.len().saturating_sub(AN_HOUR);
        self.failed.drain(..surplus);
    }

    /// Notes why the one that was begun last failed.
    pub(super) fn fail(&mut self, trouble: String) {
        self.trouble = Some(trouble);
    }

    /// When, up to `now`. What stands there for later was written by a clock that was wrong, and holds nobody up.
    pub(super) fn until(&self, now: Timestamp) -> Vec<Timestamp> {
        self.failed.iter().copied().filter(|time| *time <= now).collect()
    }
}

/// An account with the authority that gave it.
#[derive(Serialize, Deserialize)]
struct Account {
    directory: String,
    contact: Option<String>,
    credentials: AccountCredentials,
}

/// The folder `acme`.
#[derive(Clone, Debug)]
pub(super) struct Kept(PathBuf);

impl Kept {
    /// The folder `acme` in `state`, made where it is missing.
    pub(super) fn open(state: &Path) -> Result<Self, DiskError> {
        let folder = state.join(FOLDER);
        durable::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// The certificate, if there is one.
    pub(super) fn pair(&self) -> Result<Option<Pair>, PairError> {
        let files = files(&self.0);
        if files.certificate.exists() { Pair::read(&files).map(Some) } else { Ok(None) }
    }

    /// What a certificate is.
    pub(super) fn read(&self, pair: &PemPair) -> Result<Pair, PairError> {
        Pair::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes(), &files(&self.0))
    }

    /// Keeps a certificate in place of the one before, and what it is. Durable on return.
    pub(super) fn keep_pair(&self, pair: &PemPair) -> Result<Pair, KeepError> {
        // What cannot be used must not take the place of what can.
        let read = self.read(pair)?;
        durable::write_private_file(
            &files(&self.0).certificate,
            format!("{}{}", pair.key, pair.certificate).as_bytes(),
        )?;
        Ok(read)
    }

    /// The account with the authority of `settings`, if there is one.
    pub(super) fn account(&self, settings: &Acme) -> Option<AccountCredentials> {
        // One that cannot be read is replaced: an account is nothing but a key.
        let account = Document::<Account>::at(self.0.join(ACCOUNT)).read().ok().flatten()?;
        let is_meant = account.directory == settings.directory && account.contact == settings.contact;
        is_meant.then_some(account.credentials)
    }

    /// Keeps an account. Durable on return.
    pub(super) fn keep_account(&self, settings: &Acme, credentials: AccountCredentials) -> Result<(), KeepError> {
        let Acme { directory, contact, .. } = settings.clone();
        let text = serde_json::to_vec_pretty(&Account { directory, contact, credentials })?;
        Ok(durable::write_private_file(&self.0.join(ACCOUNT), &text)?)
    }

    /// The tries that brought nothing.
    pub(super) fn tries(&self) -> Tries {
        Tries::read(&self.0)
    }

    /// Keeps them. Durable on return.
    pub(super) fn keep_tries(&self, tries: &Tries) -> Result<(), DocumentError> {
        Document::at(self.0.join(TRIES)).write(tries)
    }
}

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The authority gave no certificate that can be used.
    #[error("the certificate authority gave what cannot be used")]
    Pair(#[from] PairError),
    /// The account has no JSON.
    #[error("the account cannot be written")]
    Account(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[cfg(debug_assertions)]
    use tieup_store::failing::{FailingWrites, How};

    use super::*;
    use crate::https::pair::tests::made;

    #[test]
    fn a_certificate_is_kept_with_its_key_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        assert!(kept.pair().unwrap().is_none());
        let (certificate, key) = made("shop.example");
        kept.keep_pair(&PemPair { certificate, key }).unwrap();
        assert_eq!(kept.pair().unwrap().unwrap().about.names, ["shop.example"]);
        let mode = folder.path().join("acme/certificate.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_used_takes_no_certificates_place() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        let (certificate, key) = made("shop.example");
        kept.keep_pair(&PemPair { certificate, key: key.clone() }).unwrap();
        let other = PemPair { certificate: made("other.example").0, key };
        assert!(matches!(kept.keep_pair(&other), Err(KeepError::Pair(PairError::Unfit { .. }))));
        assert_eq!(kept.pair().unwrap().unwrap().about.names, ["shop.example"]);
    }

    /// Whether `keep` with the write number `at` failing, in this way, was told as failed; none where no write was left to
    /// fail.
    #[cfg(debug_assertions)]
    fn fails<T, E>(folder: &Path, (at, how): (usize, How), keep: impl FnOnce() -> Result<T, E>) -> Option<bool> {
        let laid = FailingWrites::lay(folder, &folder.join("nothing"), at, how);
        let kept = keep();
        (!laid.failures().is_empty()).then_some(kept.is_err())
    }

    #[cfg(debug_assertions)]
    #[test]
    fn whichever_write_fails_what_was_kept_before_is_there_or_what_was_to_be() {
        let pair = |name: &str| {
            let (certificate, key) = made(name);
            PemPair { certificate, key }
        };
        let (old, new) = (pair("old.example"), pair("new.example"));
        for how in [How::NotDone, How::DoneYetFailed, How::FullForAMoment, How::FullFromThenOn] {
            for at in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let kept = Kept::open(folder.path()).unwrap();
                kept.keep_pair(&old).unwrap();
                let failed = fails(folder.path(), (at, how), || kept.keep_pair(&new));
                let names = kept.pair().unwrap().unwrap().about.names;
                let is_kept = names == ["new.example"];
                assert!(is_kept || (names == ["old.example"] && failed == Some(true)), "{how:?} {at}: {names:?}");
                if failed.is_none() {
                    assert!(at > 0, "nothing is written");
                    break;
                }
            }
        }
    }

    #[cfg(debug_assertions)]
    #[test]
    fn whichever_write_fails_an_account_and_the_tries_are_whole_or_there_are_none() {
        let about = serde_json::json!({"id": "https://acme.example/1", "key_pkcs8": "AAAA", "directory": "https://acme.example/"});
        let settings = Acme {
            hosts: vec!["shop.example".to_owned()],
            contact: None,
            directory: "https://acme.example/".to_owned(),
            root: None,
        };
        let mut tries = Tries::default();
        tries.begin(Timestamp::UNIX_EPOCH);
        for how in [How::NotDone, How::DoneYetFailed, How::FullForAMoment, How::FullFromThenOn] {
            for at in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let kept = Kept::open(folder.path()).unwrap();
                let credentials = serde_json::from_value(about.clone()).unwrap();
                let account = fails(folder.path(), (at, how), || kept.keep_account(&settings, credentials));
                assert!(kept.account(&settings).is_some() || account == Some(true), "{how:?} {at}: told as kept");
                let noted = fails(folder.path(), (at, how), || kept.keep_tries(&tries));
                assert!(kept.tries() == tries || noted == Some(true), "{how:?} {at}: told as noted");
                if (account, noted) == (None, None) {
                    assert!(at > 0, "nothing is written");
                    break;
                }
            }
        }
    }

    #[test]
    fn the_last_few_tries_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        assert_eq!(kept.tries(), Tries::default());
        let mut tries = kept.tries();
        for hour in 0..6 {
            tries.begin(Timestamp::from_second(hour * 3600).unwrap());
            tries.fail(format!("no {hour}"));
        }
        kept.keep_tries(&tries).unwrap();
        assert_eq!(kept.tries(), tries);
        assert_eq!((tries.failed.len(), tries.trouble.as_deref()), (AN_HOUR, Some("no 5")));
        let now = tries.failed[1];
        assert_eq!(tries.until(now), tries.failed[..2], "a try that is yet to come counts");
    }
}
