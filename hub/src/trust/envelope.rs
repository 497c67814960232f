//! TUF's signed envelope: whose signatures it has, and how many of them count.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;

use serde::Serialize;
use tough::schema::{Role, RoleType, Root, Signed};

use super::key::{KeyId, SigningKey, id_text};

/// How many of the signatures that a role needs are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Which role's keys.
    pub role: RoleType,
    /// Under which root.
    pub root: u64,
    /// The keys of the role whose signatures are good.
    pub given: Vec<String>,
    /// How many are needed.
    pub needed: u64,
}

impl Tally {
    /// Whether there are enough.
    pub fn is_met(&self) -> bool {
        self.given.len() as u64 >= self.needed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} signatures of {} under root {}", self.given.len(), self.needed, self.role, self.root)
    }
}

/// The keys whose good signatures on `document` count under `root`, each once, with how many are needed.
pub fn signers<T: Role + Serialize + Clone>(root: &Root, document: &Signed<T>) -> Tally {
    let mut single = root.clone();
    let keys = single.roles.get_mut(&T::TYPE);
    let needed = keys.map_or(u64::MAX, |keys| std::mem::replace(&mut keys.threshold, NonZeroU64::MIN).get());
    // One signature at a time against a threshold of one: so each is judged by the very code that a partner runs.
    let good = document.signatures.iter().filter(|signature| {
        let alone = Signed { signed: document.signed.clone(), signatures: vec![(*signature).clone()] };
        single.verify_role(&alone).is_ok()
    });
    let given: BTreeSet<String> = good.map(|signature| id_text(&signature.keyid)).collect();
    Tally { role: T::TYPE, root: root.version.get(), given: given.into_iter().collect(), needed }
}

/// Whether `key` is one of the role that signs `T` under `root`.
pub(super) fn may_sign<T: Role>(root: &Root, key: &KeyId) -> bool {
    root.roles.get(&T::TYPE).is_some_and(|keys| keys.keyids.contains(key))
}

/// Adds the signature of `key`, in place of one that it gave before.
pub(super) fn add_signature<T: Role + Serialize>(
    document: &mut Signed<T>,
    key: &SigningKey,
) -> Result<(), tough::schema::Error> {
    let signature = key.sign(&document.signed.canonical_form()?);
    document.signatures.retain(|other| other.keyid != signature.keyid);
    document.signatures.push(signature);
    Ok(())
}

/// Takes over the signatures of `other` that `document` lacks. The two must say the same.
pub(super) fn merge<T: Role + Serialize>(document: &mut Signed<T>, other: Signed<T>) {
    for signature in other.signatures {
        if !document.signatures.iter().any(|known| known.keyid == signature.keyid) {
            document.signatures.push(signature);
        }
    }
}

/// Drops the signatures that do not count under any of `roots`: others would make a partner refuse the whole.
pub(super) fn keep_good<T: Role + Serialize + Clone>(document: &mut Signed<T>, roots: &[&Root]) {
    let good: Vec<String> = roots.iter().flat_map(|root| signers(root, document).given).collect();
    document.signatures.retain(|signature| good.contains(&id_text(&signature.keyid)));
}

/// The document as it is kept and sent.
pub(super) fn text<T: Role + Serialize>(document: &Signed<T>) -> String {
    let text = serde_json::to_string_pretty(document).expect("metadata has text keys and no float");
    text + "\n"
}
