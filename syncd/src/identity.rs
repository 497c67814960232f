//! Who this partner is: the keys it made and what main certified when it joined.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{Invitation, Reach, compare_code, main_tls_name};
use tieup_protocol::period::Zone;
use tieup_protocol::wire::{JOIN, JoinGrant, JoinRequest, REVOKED_KEY};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{InvalidKey, LogSigner, months};
use tieup_web::authority::{AuthorityError, KeyRequest, PemPair, certificate_digest};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::tls::{TlsError, TlsIdentity, joining_client};

/// The file in the state folder. It holds private keys and is readable by its owner alone.
const FILE: &str = "identity.json";

/// The file with the keys of a join that has begun, beside it and as private. It goes once the join is whole.
const BEGUN: &str = "joining.json";

/// The folder of journals in the state folder.
pub const JOURNALS: &str = "journal";

/// What makes a daemon this partner. Kept as one file, so that a join is either whole or has not happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The main site.
    pub main: SiteId,
    /// This partner.
    pub partner: SiteId,
    /// The TLS key, PEM. Made here; it has never left this machine.
    pub key: String,
    /// The TLS certificate, PEM.
    pub certificate: String,
    /// Main's certificate authority, PEM.
    pub authority: String,
    /// Main's TUF root, pinned.
    pub root: String,
    /// The contract that the partner joined under, word for word.
    pub contract: String,
    /// The key with which main cosigns journals, a C2SP verifier key.
    pub cosigner_key: String,
    /// The key that signs this partner's journal, a C2SP signer key.
    pub journal_key: String,
    /// When the partner joined.
    pub joined: Timestamp,
    /// Where main's hub answers: host and port. None where the partner joined before this was kept.
    #[serde(default)]
    pub hub: Option<String>,
}

/// Why a join failed. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The identity that is there cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There are journals here whose key is gone. Under a new key they could not go on, and no visit could be logged.
    #[error("{0} holds journals that were signed by a key which is gone: put `identity.json` back, or move them away")]
    OrphanedJournals(PathBuf),
    /// The folder is another partner's, or another main's.
    #[error("this folder already belongs to `{partner}`, a partner of `{main}`")]
    AlreadyJoined {
        /// The main site it joined.
        main: SiteId,
        /// Its name.
        partner: SiteId,
    },
    /// No random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
    /// The key could not be made.
    #[error("the key for the join could not be made")]
    Key(#[from] AuthorityError),
    /// The journal's key could not be made.
    #[error("the key of the journal could not be made")]
    JournalKey(#[from] InvalidKey),
    /// TLS could not be set up.
    #[error("the TLS client for the join could not be set up")]
    Tls(#[from] TlsError),
    /// Main could not be reached, or refused.
    #[error("main site `{main}` did not accept the join")]
    Call {
        /// The main site.
        main: SiteId,
        /// What it said.
        #[source]
        source: CallError,
    },
    /// What main granted is not what was invited to.
    #[error("main's answer is not for this invitation")]
    WrongGrant,
    /// The contract cannot be used.
    #[error("main's contract cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// Its months are not those of the journals here.
    #[error(
        "main's contract has the months of {}, and the journals here those of {}: visits between the two would count in no \
         month, so ask main to write `tz: {}` in it, and join with the same token then",
        .zone.name(), .journals.name(), .journals.name()
    )]
    OtherZone {
        /// The zone of the contract.
        zone: Zone,
        /// That of the contract before, in which months of the journals begin.
        journals: Zone,
    },
    /// The result could not be kept.
    #[error("the identity could not be kept")]
    Write(#[from] DiskError),
}

/// Why an identity could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No join yet.
    #[error("this partner has not joined a main site yet: ask it for a token, then `syncd join TOKEN`")]
    NotJoined,
    /// The file is unreadable.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is damaged.
    #[error("{0} is damaged: put back a copy of it")]
    Damaged(PathBuf, #[source] serde_json::Error),
}

/// A finished join.
#[derive(Debug)]
pub struct Joined {
    /// The partner's identity from now on.
    pub identity: Identity,
    /// The code to compare with the one that main shows.
    pub compare_code: String,
}

impl Identity {
    /// Joins main by a one-time token: makes the keys, pins main's root and gets a certificate.
    ///
    /// A partner that has joined this main before keeps its keys, so that its journal goes on, and gets a new
    /// certificate; a TLS key that main has revoked is replaced. The root that it pinned then stays pinned.
    ///
    /// `address` is how main will reach this daemon. Durable on return. The keys are durable before main hears of them, so
    /// that a join which broke off in the middle is finished with the same token, though main has used it up.
    ///
    /// # Errors
    /// See [`JoinError`]. The token is used up only if main accepted it, and then for these keys.
    pub async fn join(state: &Path, invitation: &Invitation, address: &Reach) -> Result<Joined, JoinError> {
        let before = match Self::load(state) {
            Ok(before) => Some(before),
            Err(LoadError::NotJoined) => None,
            Err(error) => return Err(error.into()),
        };
        let journals = state.join(JOURNALS);
        let has_journals = !months(&journals)?.is_empty();
        if before.is_none() && has_journals {
            return Err(JoinError::OrphanedJournals(journals));
        }
        let (request, journal_key, grant) = Self::be_granted(state, before.as_ref(), invitation, address).await?;
        if certificate_digest(&grant.authority)? != invitation.authority {
            return Err(JoinError::WrongGrant);
        }
        let pair = PemPair { certificate: grant.certificate.clone(), key: request.key.clone() };
        TlsIdentity::from_pem(&pair, &grant.authority)?.client()?;
        let contract = Contract::parse("contract.yaml", &grant.contract).map_err(JoinError::Contract)?;
        if contract.id.main != invitation.main || contract.id.partner != invitation.partner {
            return Err(JoinError::WrongGrant);
        }
        if let Some(before) = before.as_ref().filter(|_| has_journals) {
            let zone_before =
                Contract::parse("contract.yaml", &before.contract).map_err(JoinError::Contract)?.effective.tz;
            if contract.effective.tz != zone_before {
                return Err(JoinError::OtherZone { zone: contract.effective.tz, journals: zone_before });
            }
        }
        let identity = Self {
            main: invitation.main.clone(),
            partner: invitation.partner.clone(),
            key: request.key,
            certificate: grant.certificate,
            authority: grant.authority,
            root: before.map_or(grant.root, |before| before.root),
            contract: grant.contract,
            cosigner_key: grant.cosigner_key,
            journal_key: journal_key.to_private_text(),
            joined: Timestamp::now(),
            hub: Some(invitation.hub.clone()),
        };
        identity.save(state)?;
        // The join is whole. Where the keys cannot be taken away they are those of the identity, and are left to the next.
        let _ = durable::remove_file(&state.join(BEGUN));
        Ok(Joined { identity, compare_code: compare_code(invitation.authority, &request.public_key) })
    }

    /// What main grants, and the keys that it grants it to. They stay in the state folder as those of a join that has begun,
    /// unless main cannot have heard of them.
    async fn be_granted(
        state: &Path,
        before: Option<&Self>,
        invitation: &Invitation,
        address: &Reach,
    ) -> Result<(KeyRequest, LogSigner, JoinGrant), JoinError> {
        let (was_there, was_begun) = (state.exists(), state.join(BEGUN).exists());
        let (mut request, journal_key) = keys(state, before, invitation)?;
        let verifier = journal_key.verifier().to_string();
        Begun::new(invitation, &request, &journal_key).save(state)?;
        let mut granted = Self::ask(invitation, &request, address, &verifier).await;
        if granted.as_ref().is_err_and(is_of_revoked_key) {
            request = KeyRequest::create(&invitation.partner)?;
            Begun::new(invitation, &request, &journal_key).save(state)?;
            granted = Self::ask(invitation, &request, address, &verifier).await;
        }
        if granted.as_ref().is_err_and(|error| !was_begun && !may_have_been_accepted(error)) {
            let _ = durable::remove_file(&state.join(BEGUN));
            if !was_there {
                let _ = durable::remove_dir_all(state);
            }
        }
        granted.map(|grant| (request, journal_key, grant))
    }

    /// The identity in a state folder.
    ///
    /// # Errors
    /// When the partner has not joined, or the file is damaged.
    pub fn load(state: &Path) -> Result<Self, LoadError> {
        let file = state.join(FILE);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(LoadError::NotJoined),
            Err(error) => return Err(LoadError::Read(file, error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| LoadError::Damaged(file, error))
    }

    /// The identity for TLS.
    ///
    /// # Errors
    /// When the kept texts are damaged.
    pub fn tls(&self) -> Result<TlsIdentity, TlsError> {
        TlsIdentity::from_pem(&self.pair(), &self.authority)
    }

    /// The certificate and its key.
    pub fn pair(&self) -> PemPair {
        PemPair { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    async fn ask(
        invitation: &Invitation,
        request: &KeyRequest,
        address: &Reach,
        journal_key: &str,
    ) -> Result<JoinGrant, JoinError> {
        let refused = |source| JoinError::Call { main: invitation.main.clone(), source };
        let config = joining_client(invitation.authority)?;
        let client =
            PeerClient::new(config, main_tls_name(&invitation.main), &invitation.hub).await.map_err(refused)?;
        let message = JoinRequest {
            partner: invitation.partner.clone(),
            secret: invitation.secret.clone(),
            csr: request.csr.clone(),
            address: address.clone(),
            journal_key: journal_key.to_owned(),
        };
        client.post(JOIN, &message).await.map_err(refused)
    }

    /// Keeps the identity in a state folder, in place of the one before. Durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, state: &Path) -> Result<(), DiskError> {
        let file = state.join(FILE);
        let bytes = serde_json::to_vec_pretty(self).expect("an identity is text and a time, so it always serializes");
        durable::create_dir_all(state)?;
        durable::write_private_file(&file, &bytes)
    }
}

/// Whether main turned a join away because it has revoked the key. The token is still good.
fn is_of_revoked_key(error: &JoinError) -> bool {
    let JoinError::Call { source, .. } = error else { return false };
    source.is_problem(REVOKED_KEY)
}

/// Whether main may have accepted a join that failed with this error.
fn may_have_been_accepted(error: &JoinError) -> bool {
    match error {
        JoinError::Call { source: CallError::Refused(problem), .. } => problem.status >= 500,
        JoinError::Call { source, .. } => matches!(source, CallError::Unreachable { .. } | CallError::Answer { .. }),
        _ => false,
    }
}

/// The keys of a join that main may have accepted, while nothing else of it is here.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    main: SiteId,
    partner: SiteId,
    key: String,
    journal_key: String,
}

impl Begun {
    fn new(invitation: &Invitation, request: &KeyRequest, journal_key: &LogSigner) -> Self {
        let (main, partner) = (invitation.main.clone(), invitation.partner.clone());
        Self { main, partner, key: request.key.clone(), journal_key: journal_key.to_private_text() }
    }

    /// Those in a state folder, if they are for this invitation. What cannot be read counts for nothing: main accepts
    /// other keys with another token.
    fn load(state: &Path, invitation: &Invitation) -> Result<Option<Self>, DiskError> {
        let Some(bytes) = durable::read_file(&state.join(BEGUN))? else { return Ok(None) };
        let begun = serde_json::from_slice(&bytes).ok();
        Ok(begun.filter(|begun: &Self| begun.main == invitation.main && begun.partner == invitation.partner))
    }

    fn save(&self, state: &Path) -> Result<(), DiskError> {
        let bytes = serde_json::to_vec_pretty(self).expect("keys and names are text, so they always serialize");
        durable::create_dir_all(state)?;
        durable::write_private_file(&state.join(BEGUN), &bytes)
    }
}

/// The keys to join with: those of a join to the same main that was begun, or of an earlier one, or new ones.
fn keys(
    state: &Path,
    before: Option<&Identity>,
    invitation: &Invitation,
) -> Result<(KeyRequest, LogSigner), JoinError> {
    if let Some(other) = before.filter(|other| other.main != invitation.main || other.partner != invitation.partner) {
        return Err(JoinError::AlreadyJoined { main: other.main.clone(), partner: other.partner.clone() });
    }
    let again = |key: &str, journal_key: &str| Ok((KeyRequest::again(&invitation.partner, key)?, journal_key.parse()?));
    match (Begun::load(state, invitation)?, before) {
        (Some(begun), _) => again(&begun.key, &begun.journal_key),
        (None, Some(before)) => again(&before.key, &before.journal_key),
        (None, None) => {
            let journal_key = LogSigner::from_seed(&journal_name(invitation), &random()?)?;
            Ok((KeyRequest::create(&invitation.partner)?, journal_key))
        }
    }
}

/// The name of the journal's key, as it stands in signature lines.
fn journal_name(invitation: &Invitation) -> String {
    format!("{}/{}", invitation.main, invitation.partner)
}

fn random() -> Result<[u8; 32], JoinError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| JoinError::Randomness)?;
    Ok(bytes)
}
