//! The conversation with the authority: account, order, challenges, certificate.

use std::path::PathBuf;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;
use tieup_store::durable::DiskError;

use super::challenges::{Challenge, Challenges};
use super::kept::{KeepError, Kept};
use super::plan::Window;
use crate::authority::PemPair;
use crate::https::pair::Pair;
use crate::https::settings::Acme;

/// How long the authority may take to look at the challenges, and to make the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_mins(2));

/// Why no certificate was had.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority cannot be asked, or refuses.
    #[error("the certificate authority at {0} does not give a certificate")]
    Authority(String, #[source] instant_acme::Error),
    /// The file of the authority's own root cannot be read.
    #[error("{} cannot be used: it should be the PEM certificate of the authority that the directory trusts", .0.display())]
    Root(PathBuf, #[source] instant_acme::Error),
    /// The authority asks for another proof.
    #[error("the certificate authority does not take HTTP-01 as a proof for {0}")]
    NoHttp(String),
    /// The authority did not find the challenge.
    #[error(
        "the certificate authority did not find {0} here: {1}. See that the name's DNS leads to this machine, and that \
         port 80 is open to the internet and leads to `public`"
    )]
    NotFound(String, String),
    /// The order came to nothing.
    #[error("the certificate authority gave up the order: {0:?}")]
    Order(OrderStatus),
    /// The key or the request for it could not be made.
    #[error("no key could be made")]
    Key(#[from] rcgen::Error),
    /// It took too long.
    #[error("the certificate authority took longer than {} minutes", .0.as_secs() / 60)]
    TooLong(Duration),
    /// What was given could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// A certificate that was given.
pub(super) struct Obtained {
    /// It.
    pub(super) pair: Pair,
    /// Why it could not be kept, where it could not: it can be shown all the same.
    pub(super) unkept: Option<DiskError>,
}

/// Who asks the authority.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) settings: Acme,
    pub(super) kept: Kept,
    pub(super) challenges: Challenges,
}

impl Client {
    /// Asks for a certificate and keeps it, if the disk lets it be kept.
    ///
    /// # Errors
    /// When none was had. What was kept before stays.
    pub(super) async fn obtain(&self) -> Result<Obtained, AcmeError> {
        let account = self.account().await?;
        let names: Vec<_> = self.settings.hosts.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(|error| self.refused(error))?;
        let standing = self.answer(&mut order).await?;
        let status = order.poll_ready(&PATIENCE).await;
        if !matches!(status, Ok(OrderStatus::Ready)) {
            self.explain(&mut order).await?;
            return Err(status.map_or_else(|error| self.refused(error), AcmeError::Order));
        }
        drop(standing);
        let (key, csr) = request(&self.settings.hosts)?;
        order.finalize_csr(&csr).await.map_err(|error| self.refused(error))?;
        let certificate = order.poll_certificate(&PATIENCE).await.map_err(|error| self.refused(error))?;
        let pair = PemPair { certificate, key };
        tokio::task::block_in_place(|| self.keep(&pair))
    }

    /// Keeps what was given; a disk that does not take it is told with it.
    pub(super) fn keep(&self, given: &PemPair) -> Result<Obtained, AcmeError> {
        match self.kept.keep_pair(given) {
            Ok(pair) => Ok(Obtained { pair, unkept: None }),
            Err(KeepError::Disk(error)) => {
                let pair = self.kept.read(given).map_err(KeepError::from)?;
                Ok(Obtained { pair, unkept: Some(error) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The time in which the authority wants `pair` to be renewed, if it says so (RFC 9773).
    pub(super) async fn window(&self, pair: &Pair) -> Option<Window> {
        let leaf: &CertificateDer<'_> = pair.key.end_entity_cert().ok()?;
        let id = CertificateIdentifier::try_from(leaf).ok()?;
        let account = self.account().await.ok()?;
        let (info, _) = account.renewal_info(&id).await.ok()?;
        let time = |seconds| Timestamp::from_second(seconds).ok();
        let window = info.suggested_window;
        Some(Window { start: time(window.start.unix_timestamp())?, end: time(window.end.unix_timestamp())? })
    }

    /// The account: the one that is kept, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let builder = match &self.settings.root {
            Some(root) => Account::builder_with_root(root).map_err(|error| AcmeError::Root(root.clone(), error))?,
            None => Account::builder().map_err(|error| self.refused(error))?,
        };
        if let Some(credentials) = tokio::task::block_in_place(|| self.kept.account(&self.settings)) {
            return builder.from_credentials(credentials).await.map_err(|error| self.refused(error));
        }
        let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
        // That the terms are agreed to was seen when the settings were read.
        let asked = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let created = builder.create(&asked, self.settings.directory.clone(), None).await;
        let (account, credentials) = created.map_err(|error| self.refused(error))?;
        tokio::task::block_in_place(|| self.kept.keep_account(&self.settings, credentials))?;
        Ok(account)
    }

    /// Puts up what the authority asks for, and tells it to look. It stands until what is returned is dropped.
    async fn answer(&self, order: &mut Order) -> Result<Vec<Challenge>, AcmeError> {
        let mut standing = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.refused(error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let host = authorization.identifier().to_string();
            let challenge = authorization.challenge(ChallengeType::Http01);
            let mut challenge = challenge.ok_or(AcmeError::NoHttp(host))?;
            let answer = challenge.key_authorization().as_str().to_owned();
            standing.push(self.challenges.put(challenge.token.clone(), answer));
            challenge.set_ready().await.map_err(|error| self.refused(error))?;
        }
        Ok(standing)
    }

    /// An error that says which host the authority did not find, and why, if it says so.
    async fn explain(&self, order: &mut Order) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let host = authorization.identifier().to_string();
            let Ok(state) = authorization.refresh().await else { continue };
            let said = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()?.detail.clone());
            if let Some(said) = said {
                return Err(AcmeError::NotFound(host, said));
            }
        }
        Ok(())
    }

    fn refused(&self, error: instant_acme::Error) -> AcmeError {
        AcmeError::Authority(self.settings.directory.clone(), error)
    }
}

/// A new key and the request to certify it for `hosts`: PEM and DER.
fn request(hosts: &[String]) -> Result<(String, Vec<u8>), rcgen::Error> {
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate()?;
    let csr = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), csr.der().to_vec()))
}
