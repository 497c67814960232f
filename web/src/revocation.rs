//! Certificates that main has revoked: its signed list (an X.509 CRL, RFC 5280 section 5) and the list that is in force
//! in a running program.
//!
//! The list in force is asked in each handshake and for each request; whoever holds a connection open is told when the
//! certificate at its other end is revoked. A list takes the place of one with a lower number alone.
//!
//! A list says until when it is good (`nextUpdate`), and main signs another long before. What a partner does with one that
//! has run out is the daemon's affair: here it stays in force, since what it revokes stays revoked.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio::sync::watch;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::Serial;

/// How long before its end main signs the next list: two thirds of the life of [`CERTIFICATE_LIFETIME`] that it has.
///
/// [`CERTIFICATE_LIFETIME`]: crate::authority::CERTIFICATE_LIFETIME
const RENEWED_BEFORE_END: SignedDuration = SignedDuration::from_hours(24 * 20);

/// A list of revoked certificates that main's authority has signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    number: u64,
    until: Option<Timestamp>,
    serials: BTreeSet<Serial>,
    pem: String,
}

/// Why a text is not a list by main's authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidList {
    /// It is no list at all.
    #[error("this is not a list of revoked certificates")]
    Malformed,
    /// Another key signed it, or it was altered.
    #[error("the list of revoked certificates is not signed by main's authority")]
    Signature,
    /// Its number is missing or too large.
    #[error("the list of revoked certificates has no number")]
    Number,
    /// It does not say until when it is good, as RFC 5280 section 5.1.2.5 requires.
    #[error("the list of revoked certificates does not say until when it is good")]
    End,
}

/// A list that is older than the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("list {offered} of revoked certificates is older than list {held}, which is in force")]
pub struct OlderList {
    /// The number of the list that came.
    pub offered: u64,
    /// The number of the list in force.
    pub held: u64,
}

/// The list in force. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<watch::Sender<Arc<RevocationList>>>);

impl RevocationList {
    /// Reads a list in PEM, and verifies that the authority with the certificate `authority` (PEM) signed it.
    ///
    /// # Errors
    /// See [`InvalidList`].
    pub fn parse(pem: &str, authority: &str) -> Result<Self, InvalidList> {
        let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidList::Malformed)?;
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| InvalidList::Signature)?;
        let (_, authority) = X509Certificate::from_der(&authority).map_err(|_| InvalidList::Signature)?;
        let (rest, list) = CertificateRevocationList::from_der(&der).map_err(|_| InvalidList::Malformed)?;
        if !rest.is_empty() {
            return Err(InvalidList::Malformed);
        }
        list.verify_signature(authority.public_key()).map_err(|_| InvalidList::Signature)?;
        let number = list.crl_number().and_then(|number| u64::try_from(number).ok()).ok_or(InvalidList::Number)?;
        let until = list.next_update().and_then(|end| Timestamp::from_second(end.timestamp()).ok());
        let until = Some(until.ok_or(InvalidList::End)?);
        let serials = list.iter_revoked_certificates().map(|revoked| Serial::from_bytes(revoked.raw_serial()));
        Ok(Self { number, until, serials: serials.collect(), pem: pem.to_owned() })
    }

    /// Its number; 0 where main has never revoked anything.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Until when it is good; none where main has never revoked anything.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether at `now` it is time for the next one: a third of its life is over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until.duration_since(now) <= RENEWED_BEFORE_END)
    }

    /// Whether at `now` there may be a newer one, of which nothing has been heard.
    pub fn has_run_out(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now > until)
    }

    /// The list in PEM; empty where main has never revoked anything.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Whether the certificate with this number is on it.
    pub fn has(&self, serial: &Serial) -> bool {
        self.serials.contains(serial)
    }
}

impl Revocations {
    /// The list in force.
    pub fn current(&self) -> Arc<RevocationList> {
        self.0.borrow().clone()
    }

    /// Refuses a list that is older than the one in force; the same one again is no fault.
    ///
    /// # Errors
    /// When it is older.
    pub fn check(&self, offered: &RevocationList) -> Result<(), OlderList> {
        let held = self.0.borrow().number;
        if offered.number < held { Err(OlderList { offered: offered.number, held }) } else { Ok(()) }
    }

    /// Puts a list in force, from this moment on and also for open connections.
    ///
    /// # Errors
    /// When it is older than the one in force.
    pub fn replace(&self, list: RevocationList) -> Result<(), OlderList> {
        let list = Arc::new(list);
        let mut older = None;
        self.0.send_if_modified(|held| {
            older = (list.number < held.number).then(|| OlderList { offered: list.number, held: held.number });
            let newer = list.number > held.number;
            if newer {
                *held = list.clone();
            }
            newer
        });
        older.map_or(Ok(()), Err)
    }

    /// Whether the certificate with this number is revoked.
    pub fn has(&self, serial: &Serial) -> bool {
        self.0.borrow().has(serial)
    }

    /// Waits until the certificate with this number is revoked; for ever, if it never is.
    pub async fn revoked(&self, serial: &Serial) {
        let mut lists = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = lists.wait_for(|list| list.has(serial)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::authority::{Authority, RevokedCertificate};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365)
    }

    fn authority() -> Authority {
        let main = "main".parse().unwrap();
        Authority::load(&main, &Authority::create(&main, now()).unwrap()).unwrap()
    }

    fn list(authority: &Authority, number: u64, serials: &[&[u8]]) -> String {
        let revoked = |serial: &&[u8]| RevokedCertificate { serial: Serial::from_bytes(serial), revoked: now() };
        let revoked: Vec<_> = serials.iter().map(revoked).collect();
        authority.revocation_list(number, &revoked, now()).unwrap()
    }

    #[test]
    fn a_list_is_what_the_authority_signed() {
        let authority = authority();
        let pem = list(&authority, 300, &[&[0x80, 1], &[7]]);
        let read = RevocationList::parse(&pem, authority.certificate()).unwrap();
        assert_eq!(read.number(), 300);
        assert!(read.has(&Serial::from_bytes(&[0, 0x80, 1])) && read.has(&Serial::from_bytes(&[7])));
        assert!(!read.has(&Serial::from_bytes(&[8])));
        let empty = list(&authority, 1, &[]);
        assert!(RevocationList::parse(&empty, authority.certificate()).is_ok());
    }

    #[test]
    fn a_list_by_another_or_altered_is_refused() {
        let (authority, other) = (authority(), authority());
        let pem = list(&other, 3, &[&[7]]);
        assert_eq!(RevocationList::parse(&pem, authority.certificate()), Err(InvalidList::Signature));
        for nothing in ["", "-----BEGIN X509 CRL-----\nMA==\n-----END X509 CRL-----\n", authority.certificate()] {
            assert_eq!(
                RevocationList::parse(nothing, authority.certificate()),
                Err(InvalidList::Malformed),
                "{nothing}"
            );
        }
    }

    #[test]
    fn a_list_is_due_after_a_third_of_its_life_and_runs_out_at_its_end() {
        let (authority, day) = (authority(), SignedDuration::from_hours(24));
        let list = RevocationList::parse(&list(&authority, 1, &[]), authority.certificate()).unwrap();
        let signed = Timestamp::try_from(now()).unwrap();
        assert_eq!(list.until(), Some(signed + day * 30));
        assert!(!list.is_due(signed + day * 9) && list.is_due(signed + day * 10) && list.is_due(signed + day * 40));
        assert!(!list.has_run_out(signed + day * 30), "good until its very end");
        assert!(list.has_run_out(signed + day * 30 + SignedDuration::from_secs(1)));
        let none = RevocationList::default();
        assert!(none.until().is_none() && !none.is_due(Timestamp::MAX) && !none.has_run_out(Timestamp::MAX));
    }

    #[tokio::test]
    async fn a_list_replaces_older_ones_alone_and_who_waits_is_told() {
        let authority = authority();
        let read = |number, serials: &[&[u8]]| {
            RevocationList::parse(&list(&authority, number, serials), authority.certificate()).unwrap()
        };
        let (serial, revocations) = (Serial::from_bytes(&[7]), Revocations::default());
        revocations.replace(read(2, &[&[9]])).unwrap();
        let waiting = tokio::spawn({
            let (revocations, serial) = (revocations.clone(), serial.clone());
            async move { revocations.revoked(&serial).await }
        });
        let older = OlderList { offered: 1, held: 2 };
        assert_eq!(revocations.replace(read(1, &[&[7]])), Err(older));
        assert_eq!(revocations.check(&read(1, &[])), Err(older));
        revocations.replace(read(2, &[&[7]])).unwrap();
        assert!(!revocations.has(&serial), "another list with the same number was taken");
        revocations.replace(read(3, &[&[7], &[9]])).unwrap();
        assert!(revocations.has(&serial));
        waiting.await.unwrap();
    }
}
