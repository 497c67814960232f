//! What an X.509 certificate says: whose it is, its number, how long it holds, and which key it certifies.

use std::fmt::{self, Write as _};

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tieup_protocol::digest::Digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The number of a certificate, which no other one by the same authority has: bytes in hexadecimal, without zeros before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(String);

/// A certificate that has been read. Reading it verifies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its number.
    pub serial: Serial,
    /// The DNS name that it certifies.
    pub name: String,
    /// From when it holds.
    pub begins: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
    /// BLAKE3 of the public key that it certifies (DER `SubjectPublicKeyInfo`).
    pub key: Digest,
}

/// The text or bytes are no certificate of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a certificate with one name")]
pub struct InvalidCertificate;

impl Serial {
    /// The number with these big-endian bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = String::new();
        for byte in bytes.iter().skip_while(|byte| **byte == 0) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The number with this text, as [`Serial`] writes it.
    pub fn from_text(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len().is_multiple_of(2) && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// The number's big-endian bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pairs = self.0.as_bytes().chunks(2);
        let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        pairs.filter_map(byte).collect()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Certificate {
    /// Reads the first certificate in a PEM text.
    ///
    /// # Errors
    /// When there is none, or it has not exactly one DNS name.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidCertificate> {
        Self::from_der(&CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidCertificate)?)
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// When it is none, or has not exactly one DNS name.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| InvalidCertificate)?;
        let names = parsed.subject_alternative_name().ok().flatten().ok_or(InvalidCertificate)?;
        let [GeneralName::DNSName(name)] = names.value.general_names[..] else { return Err(InvalidCertificate) };
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| InvalidCertificate);
        Ok(Self {
            serial: Serial::from_bytes(parsed.raw_serial()),
            name: name.to_owned(),
            begins: time(parsed.validity().not_before.timestamp())?,
            expires: time(parsed.validity().not_after.timestamp())?,
            key: Digest::of(parsed.public_key().raw),
        })
    }

    /// Whether it is time for a new one: no more than a third of its life is left.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.expires.duration_since(self.begins);
        self.expires.duration_since(now) <= SignedDuration::from_secs(life.as_secs() / 3)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::authority::{Authority, KeyRequest};

    fn issued() -> (Certificate, Certificate, KeyRequest) {
        let main = "main".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24 * 365);
        let authority = Authority::load(&main, &Authority::create(&main, now).unwrap()).unwrap();
        let partner = "north".parse().unwrap();
        let request = KeyRequest::create(&partner).unwrap();
        let issue = || authority.issue_partner(&partner, &request.csr, now).unwrap().certificate;
        (Certificate::from_pem(&issue()).unwrap(), Certificate::from_pem(&issue()).unwrap(), request)
    }

    #[test]
    fn two_certificates_for_one_key_have_numbers_of_their_own() {
        let (first, second, request) = issued();
        assert_eq!((&first.key, &second.key), (&Digest::of(&request.public_key), &first.key));
        assert_ne!(first.serial, second.serial);
        assert_eq!(first.name, "north.partner.main.tieup.internal");
        assert_eq!(Serial::from_text(&first.serial.to_string()), Some(first.serial.clone()));
        assert_eq!(Serial::from_bytes(&first.serial.to_bytes()), first.serial);
    }

    #[test]
    fn a_certificate_is_due_when_a_third_of_its_life_is_left() {
        let (certificate, ..) = issued();
        let days_left = |days: i64| certificate.expires - SignedDuration::from_hours(24 * days);
        assert!(!certificate.is_due(days_left(11)));
        assert!(certificate.is_due(days_left(10)));
        assert!(certificate.is_due(days_left(-100)));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(Certificate::from_der(b"0\x82"), Err(InvalidCertificate));
        assert_eq!(Certificate::from_pem("-----BEGIN CERTIFICATE-----"), Err(InvalidCertificate));
        for text in ["abc", "0X", "AB"] {
            assert_eq!(Serial::from_text(text), None, "{text}");
        }
    }
}
