//! A certificate for visitors with its key, as files or texts hold them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::shown::provider;

/// How long before its end a certificate is warned of.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The chain, PEM: the server's own certificate first, then those that lead to the authority.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// A certificate with its key, which belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What is shown in handshakes.
    pub key: Arc<CertifiedKey>,
    /// What the certificate says.
    pub about: About,
}

/// What a certificate for visitors says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The host names that it certifies.
    pub names: Vec<String>,
    /// From when it holds.
    pub begins: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// Why a certificate cannot be shown to visitors.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{} cannot be read: see that it is there, and that the user this program runs as may read it", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A file holds no certificate.
    #[error(
        "{} holds no certificate: it should be PEM text with `-----BEGIN CERTIFICATE-----`, your own certificate first",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// A file holds no private key.
    #[error("{} holds no private key: it should be PEM text with `-----BEGIN PRIVATE KEY-----`", .0.display())]
    NoKey(PathBuf),
    /// They are of different pairs, or of a kind that cannot be used.
    #[error(
        "{} and {} do not belong together, or the key is of a kind that cannot be used: give the key that the \
         certificate was made for, and the file in which your own certificate comes first",
        certificate.display(),
        key.display()
    )]
    Unfit {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What does not fit.
        source: rustls::Error,
    },
}

impl Pair {
    /// Reads what `files` hold now.
    ///
    /// # Errors
    /// When one cannot be read or does not hold what it should, or they do not belong together.
    pub fn read(files: &PairFiles) -> Result<Self, PairError> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| PairError::Unreadable(path.to_owned(), error));
        Self::from_pem(&read(&files.certificate)?, &read(&files.key)?, files)
    }

    /// Reads PEM texts, which complaints call `files`.
    ///
    /// # Errors
    /// When one does not hold what it should, or they do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8], files: &PairFiles) -> Result<Self, PairError> {
        let no_certificate = || PairError::NoCertificate(files.certificate.clone());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        let about = chain.first().and_then(|leaf| About::of(leaf)).ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::NoKey(files.key.clone()))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| PairError::Unfit {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
        Ok(Self { key: Arc::new(key), about })
    }
}

impl About {
    /// What the certificate `der` says; none where it is none.
    fn of(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        Some(Self {
            names: names.collect(),
            begins: Timestamp::from_second(parsed.validity().not_before.timestamp()).ok()?,
            expires: Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?,
        })
    }

    /// What a person should know of how long it holds, if anything.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let day = self.expires.strftime("%Y-%m-%d %H:%M UTC");
        let names = self.names.join(", ");
        let left = self.expires.duration_since(now);
        if left.is_negative() {
            return Some(format!("the certificate for visitors ({names}) expired on {day}: browsers refuse the site"));
        }
        let days = left.as_hours() / 24;
        (left < SOON).then(|| format!("the certificate for visitors ({names}) expires in {days} days, on {day}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, CertifiedKey as Made, KeyPair};

    use super::*;

    /// A certificate for `name` that certifies itself, and its key, as PEM.
    pub(in crate::https) fn made(name: &str) -> (String, String) {
        let Made { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    /// The files of a pair in `folder`, with these texts.
    pub(in crate::https) fn files(folder: &Path, (certificate, key): &(String, String)) -> PairFiles {
        let files = PairFiles { certificate: folder.join("fullchain.pem"), key: folder.join("privkey.pem") };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    fn complaint(files: &PairFiles) -> String {
        Pair::read(files).unwrap_err().to_string()
    }

    #[test]
    fn a_pair_is_read_with_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair::read(&files(folder.path(), &made("shop.example"))).unwrap();
        assert_eq!(pair.about.names, ["shop.example"]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_file_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let (good, other) = (made("shop.example"), made("shop.example"));
        let unfit = files(folder.path(), &(good.0.clone(), other.1));
        assert!(complaint(&unfit).contains("privkey.pem do not belong together"), "{}", complaint(&unfit));
        std::fs::write(&unfit.key, "nothing").unwrap();
        assert!(complaint(&unfit).contains("privkey.pem holds no private key"));
        for nothing in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good.1.as_str()] {
            std::fs::write(&unfit.certificate, nothing).unwrap();
            assert!(complaint(&unfit).contains("fullchain.pem holds no certificate"), "{nothing}");
        }
        std::fs::remove_file(&unfit.certificate).unwrap();
        assert!(complaint(&unfit).contains("fullchain.pem cannot be read"));
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (own, authority) = (made("shop.example"), made("authority.example"));
        let turned = (authority.0 + &own.0, own.1);
        assert!(complaint(&files(folder.path(), &turned)).contains("your own certificate comes first"));
    }

    #[test]
    fn an_end_is_warned_of_two_weeks_before() {
        let mut params = CertificateParams::new(["shop.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 31);
        let key = KeyPair::generate().unwrap();
        let about = About::of(params.self_signed(&key).unwrap().der()).unwrap();
        let at = |now: &str| about.warning(now.parse().unwrap()).unwrap_or_default();
        assert_eq!(at("2026-03-16T00:00:00Z"), "");
        assert!(at("2026-03-18T00:00:00Z").contains("(shop.example) expires in 13 days, on 2026-03-31"));
        assert!(at("2026-03-31T00:00:01Z").contains("browsers refuse the site"));
    }
}
