//! Who may sign what, and signing by several people: the keys of The Update Framework, the chain of roots, and the two
//! kinds of document that travel between people to be signed.
//!
//! Both documents are JSON, and what is signed in them is TUF's own envelope: `signed`, and `signatures` that are added
//! one by one, on any machine that has a key.

mod draft;
mod envelope;
mod freshness;
mod key;
mod request;
mod roles;
mod sending;
mod waiting;

pub use self::draft::{DraftError, RootDraft};
pub use self::envelope::{Tally, signers};
pub use self::freshness::{RefreshError, Refreshed};
pub(crate) use self::freshness::{fresh_until, keep_fresh};
pub use self::key::{KeyId, PublicKey, SigningKey, SigningKeyError, id_text};
pub use self::request::{RequestError, SigningRequest};
pub use self::roles::{InvalidRole, Role};
pub use self::sending::Installed;
pub use self::waiting::{AWAITING, WaitingError};
