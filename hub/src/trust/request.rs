//! A release that waits for signatures: a small file that travels to whoever holds a release key.
//!
//! The manifest stays on the hub, in the row of its release. The file holds what is signed: TUF's targets, which names
//! the manifest's digest and length and carries the release's label, and TUF's snapshot, which names the targets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::label::ReleaseLabel;
use tieup_protocol::manifest::{Manifest, TARGET};
use tough::TargetName;
use tough::schema::{Root, Signed, Snapshot, Targets};

use super::envelope::{self, Tally, signers};
use super::key::{PublicKey, SigningKey, id_text};
use crate::signing::{SigningError, label_of, propose_snapshot, propose_targets};

/// What the file begins with, so that it is known for what it is.
const FORMAT: &str = "tieup-signing-request/1";

/// A release's metadata in the making.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningRequest {
    format: String,
    /// The root that says whose signatures count.
    root: Signed<Root>,
    targets: Signed<Targets>,
    snapshot: Signed<Snapshot>,
}

/// Why a request could not be read or signed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not a request.
    #[error("this is no signing request")]
    Unreadable(#[from] serde_json::Error),
    /// A request of another version.
    #[error("this is a request of the format `{0}`; this version reads `{FORMAT}`")]
    Format(String),
    /// What is to be signed cannot be named.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The two documents do not belong together.
    #[error("the request's documents do not belong to one release: do not sign it")]
    Inconsistent,
    /// A key without a say.
    #[error("the key {0} is none of those that sign releases under root {1}: see `tieup key show`")]
    NoSay(String, u64),
    /// Two copies differ in more than signatures.
    #[error("this asks for signatures on something else than the hub asked for")]
    Different,
    /// The metadata could not be written.
    #[error("the release could not be signed")]
    Metadata(#[from] Box<tough::schema::Error>),
}

impl SigningRequest {
    /// What has to be signed for `manifest`, whose bytes are `text`, under `root`, by nobody yet.
    ///
    /// # Errors
    /// When the root is damaged or a date lies outside the calendar.
    pub fn new(manifest: &Manifest, text: &[u8], root: &str, now: Timestamp) -> Result<Self, RequestError> {
        let targets = Signed { signed: propose_targets(manifest, text, now)?, signatures: Vec::new() };
        let snapshot = Signed { signed: propose_snapshot(manifest.version, now)?, signatures: Vec::new() };
        Ok(Self { format: FORMAT.to_owned(), root: serde_json::from_str(root)?, targets, snapshot })
    }

    /// The request of a release whose metadata was signed before, to be looked at under `root`.
    ///
    /// # Errors
    /// When a document is damaged.
    pub fn signed_before(targets: &str, snapshot: &str, root: &str) -> Result<Self, RequestError> {
        let (targets, snapshot) = (serde_json::from_str(targets)?, serde_json::from_str(snapshot)?);
        Ok(Self { format: FORMAT.to_owned(), root: serde_json::from_str(root)?, targets, snapshot })
    }

    /// Reads a request and checks that its parts belong together.
    ///
    /// # Errors
    /// When the text is no request, or its parts are of different releases.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let request: Self = serde_json::from_str(text)?;
        if request.format != FORMAT {
            return Err(RequestError::Format(request.format));
        }
        if !request.is_of_one_release()? {
            return Err(RequestError::Inconsistent);
        }
        Ok(request)
    }

    /// Whether both documents are of the release that the label names, and say nothing that is not shown to a signer.
    fn is_of_one_release(&self) -> Result<bool, RequestError> {
        let version = self.label()?.version.non_zero();
        let (targets, snapshot) = (&self.targets.signed, &self.snapshot.signed);
        let named: Vec<_> = snapshot.meta.iter().map(|(file, meta)| (file.as_str(), meta.version)).collect();
        let nothing_else = targets.targets.values().all(|target| target._extra.is_empty())
            && targets.delegations.is_none()
            && targets._extra.is_empty()
            && snapshot._extra.is_empty();
        Ok([targets.version, snapshot.version] == [version; 2]
            && named == [("targets.json", version)]
            && targets.targets.len() == 1
            && nothing_else)
    }

    /// What is to be signed about the release.
    ///
    /// # Errors
    /// When the targets have no label that can be read.
    pub fn label(&self) -> Result<ReleaseLabel, RequestError> {
        Ok(label_of(&self.targets.signed)?)
    }

    /// SHA-256 of the manifest, in hexadecimal, and its length: what is signed.
    pub fn manifest(&self) -> Option<(String, u64)> {
        let target = self.targets.signed.targets.get(&TargetName::new(TARGET).ok()?)?;
        Some((id_text(&target.hashes.sha256), target.length))
    }

    /// When the signatures will expire.
    pub fn expires(&self) -> Timestamp {
        self.targets.signed.expires.min(self.snapshot.signed.expires)
    }

    /// Signs both documents with `key`.
    ///
    /// # Errors
    /// When the key has no say.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), RequestError> {
        let root = &self.root.signed;
        if !self.may_sign(key.public()) {
            return Err(RequestError::NoSay(id_text(&key.public().id()), root.version.get()));
        }
        envelope::add_signature(&mut self.targets, key).map_err(Box::new)?;
        envelope::add_signature(&mut self.snapshot, key).map_err(Box::new)?;
        Ok(())
    }

    /// Whether the signature of `key` counts.
    pub fn may_sign(&self, key: &PublicKey) -> bool {
        let (root, id) = (&self.root.signed, key.id());
        envelope::may_sign::<Targets>(root, &id) || envelope::may_sign::<Snapshot>(root, &id)
    }

    /// Takes over the good signatures of another copy.
    ///
    /// # Errors
    /// When the copy says something else.
    pub fn merge(&mut self, other: Self) -> Result<(), RequestError> {
        if self.targets.signed != other.targets.signed || self.snapshot.signed != other.snapshot.signed {
            return Err(RequestError::Different);
        }
        envelope::merge(&mut self.targets, other.targets);
        envelope::merge(&mut self.snapshot, other.snapshot);
        envelope::keep_good(&mut self.targets, &[&self.root.signed]);
        envelope::keep_good(&mut self.snapshot, &[&self.root.signed]);
        Ok(())
    }

    /// Looks at the request under `root` from now on.
    ///
    /// # Errors
    /// When the root is damaged.
    pub fn under(mut self, root: &str) -> Result<Self, RequestError> {
        self.root = serde_json::from_str(root)?;
        Ok(self)
    }

    /// The signatures that are there.
    pub fn tallies(&self) -> [Tally; 2] {
        [signers(&self.root.signed, &self.targets), signers(&self.root.signed, &self.snapshot)]
    }

    /// Whether enough people have signed.
    pub fn is_met(&self) -> bool {
        self.tallies().iter().all(Tally::is_met)
    }

    /// `targets.json` and `snapshot.json` as they are sent.
    pub fn documents(&self) -> (String, String) {
        (envelope::text(&self.targets), envelope::text(&self.snapshot))
    }

    /// The request as it travels.
    pub fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("metadata has text keys and no float");
        text + "\n"
    }
}
