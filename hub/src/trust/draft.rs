//! A new version of the root metadata, which is a draft until enough people have signed it: a threshold of the keys of
//! the root before it, and a threshold of its own.

use std::collections::HashSet;
use std::num::NonZeroU64;

use jiff::Timestamp;
use tough::schema::{Root, Signed};

use super::envelope::{self, Tally, signers};
use super::key::{PublicKey, SigningKey, id_text};
use super::roles::Role;
use crate::signing::root_expiry;

/// Root metadata that is not in force yet.
#[derive(Clone, Debug)]
pub struct RootDraft(Signed<Root>);

/// Why a root could not be drafted, signed or installed.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Not root metadata.
    #[error("this is no root metadata")]
    Unreadable(#[from] serde_json::Error),
    /// No more versions.
    #[error("the root's version cannot be counted further")]
    Exhausted,
    /// A date outside the calendar.
    #[error("the expiry date cannot be computed")]
    Date(#[from] jiff::Error),
    /// No such key.
    #[error("no role has a key {0}: see `tieup key show`")]
    UnknownKey(String),
    /// More keys meant than one.
    #[error("{0} is the beginning of several keys: write more of it")]
    Ambiguous(String),
    /// A role would be without enough keys.
    #[error(
        "the role `{role}` would need {needed} signatures, and would have {keys} keys: add a key with `--add {role}=PUBLIC`, or lower the threshold"
    )]
    TooFewKeys {
        /// The role.
        role: Role,
        /// Its threshold.
        needed: u64,
        /// How many keys it would have.
        keys: usize,
    },
    /// Names that this system does not send.
    #[error("this root asks for file names with versions in them, which no partner would find")]
    ConsistentNames,
    /// It does not follow on the root in force.
    #[error("this is version {found} of the root, and version {expected} comes next")]
    Version {
        /// The draft's version.
        found: u64,
        /// The next one.
        expected: u64,
    },
    /// Two copies differ in more than signatures.
    #[error("these are drafts of different roots; only signatures may differ between copies")]
    Different,
    /// Signatures are missing.
    #[error("not enough people have signed: {0}")]
    Unsigned(Tally),
    /// The metadata could not be written.
    #[error("the root could not be signed")]
    Metadata(#[from] Box<tough::schema::Error>),
}

impl RootDraft {
    /// The version after `current`, with its expiry counted from `now` and nothing else changed.
    ///
    /// # Errors
    /// When `current` is damaged.
    pub fn after(current: &str, now: Timestamp) -> Result<Self, DraftError> {
        let mut signed: Root = read(current)?.signed;
        let next = signed.version.get().checked_add(1).and_then(NonZeroU64::new);
        signed.version = next.ok_or(DraftError::Exhausted)?;
        signed.expires = root_expiry(now)?;
        Ok(Self(Signed { signed, signatures: Vec::new() }))
    }

    /// Reads a draft.
    ///
    /// # Errors
    /// When the text is no root metadata.
    pub fn parse(text: &str) -> Result<Self, DraftError> {
        Ok(Self(read(text)?))
    }

    /// Gives `key` to `role`.
    pub fn add(&mut self, role: Role, key: &PublicKey) {
        let id = key.id();
        for kind in role.types() {
            if let Some(keys) = self.0.signed.roles.get_mut(kind).filter(|keys| !keys.keyids.contains(&id)) {
                keys.keyids.push(id.clone());
            }
        }
        self.0.signed.keys.insert(id, key.to_tuf());
    }

    /// Takes the key whose name begins with `id` from every role that has it.
    ///
    /// # Errors
    /// When there is no such key, or more than one.
    pub fn remove(&mut self, id: &str) -> Result<(), DraftError> {
        let root = &mut self.0.signed;
        let meant: Vec<_> = root.keys.keys().filter(|key| id_text(key).starts_with(id)).cloned().collect();
        let [key] = meant.as_slice() else {
            let id = id.to_owned();
            return Err(if meant.is_empty() { DraftError::UnknownKey(id) } else { DraftError::Ambiguous(id) });
        };
        root.keys.remove(key);
        for keys in root.roles.values_mut() {
            keys.keyids.retain(|other| other != key);
        }
        Ok(())
    }

    /// Lets `role` need `threshold` signatures.
    pub fn set_threshold(&mut self, role: Role, threshold: NonZeroU64) {
        for kind in role.types() {
            if let Some(keys) = self.0.signed.roles.get_mut(kind) {
                keys.threshold = threshold;
            }
        }
    }

    /// Checks that every role has as many keys as it needs signatures.
    ///
    /// # Errors
    /// The first role that has not, or that no partner could follow this root.
    pub fn check(&self) -> Result<(), DraftError> {
        if self.0.signed.consistent_snapshot {
            return Err(DraftError::ConsistentNames);
        }
        for role in Role::ALL {
            for kind in role.types() {
                let keys = self.0.signed.roles.get(kind);
                let (needed, ids) = keys.map_or((1, HashSet::new()), |keys| {
                    (keys.threshold.get(), keys.keyids.iter().collect::<HashSet<_>>())
                });
                if (ids.len() as u64) < needed {
                    return Err(DraftError::TooFewKeys { role, needed, keys: ids.len() });
                }
            }
        }
        Ok(())
    }

    /// Signs with `key`.
    ///
    /// # Errors
    /// When the metadata cannot be written.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), DraftError> {
        Ok(envelope::add_signature(&mut self.0, key).map_err(Box::new)?)
    }

    /// Whether the signature of `key` counts: it is a root key of `current` or of the draft.
    ///
    /// # Errors
    /// When `current` is damaged.
    pub fn has_say(&self, current: &str, key: &PublicKey) -> Result<bool, DraftError> {
        let (current, id) = (read(current)?.signed, key.id());
        Ok([&current, &self.0.signed].into_iter().any(|root| envelope::may_sign::<Root>(root, &id)))
    }

    /// Whether the drafted root lets `key` sign for `role`.
    pub fn may_sign(&self, role: Role, key: &PublicKey) -> bool {
        let (roles, id) = (&self.0.signed.roles, key.id());
        role.types().iter().any(|kind| roles.get(kind).is_some_and(|keys| keys.keyids.contains(&id)))
    }

    /// Takes over the signatures of another copy.
    ///
    /// # Errors
    /// When the copy says something else.
    pub fn merge(&mut self, other: Self) -> Result<(), DraftError> {
        if self.0.signed != other.0.signed {
            return Err(DraftError::Different);
        }
        envelope::merge(&mut self.0, other.0);
        Ok(())
    }

    /// The signatures of the keys that `current` names, and of those that the draft names itself.
    ///
    /// # Errors
    /// When `current` is damaged.
    pub fn tallies(&self, current: &str) -> Result<[Tally; 2], DraftError> {
        let current = read(current)?.signed;
        Ok([signers(&current, &self.0), signers(&self.0.signed, &self.0)])
    }

    /// The root metadata to keep and send, if it follows on `current` and enough of both roots' keys have signed it.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(mut self, current: &str) -> Result<String, DraftError> {
        let before = read(current)?.signed;
        let (found, expected) = (self.version(), before.version.get().saturating_add(1));
        if found != expected {
            return Err(DraftError::Version { found, expected });
        }
        self.check()?;
        if let Some(missing) = self.tallies(current)?.into_iter().find(|tally| !tally.is_met()) {
            return Err(DraftError::Unsigned(missing));
        }
        let own = self.0.signed.clone();
        envelope::keep_good(&mut self.0, &[&before, &own]);
        Ok(self.text())
    }

    /// The draft's version.
    pub fn version(&self) -> u64 {
        self.0.signed.version.get()
    }

    /// The root metadata that is drafted.
    pub fn root(&self) -> &Root {
        &self.0.signed
    }

    /// The draft as it travels.
    pub fn text(&self) -> String {
        envelope::text(&self.0)
    }
}

fn read(text: &str) -> Result<Signed<Root>, serde_json::Error> {
    serde_json::from_str(text)
}
