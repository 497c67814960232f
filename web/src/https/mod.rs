//! HTTPS for visitors: where the certificate comes from, how it is shown, and what plain HTTP is answered.
//!
//! The certificate is of a public authority, or of a company's own: it has nothing to do with main's authority, by which
//! our own ends know each other ([`crate::tls`]).

pub mod acme;
mod entrance;
mod files;
mod hsts;
mod pair;
mod plain;
mod reception;
mod settings;
mod shown;

pub use entrance::{Entrance, EntranceError, Sockets};
pub use files::{FilesError, Follower};
pub use hsts::Hsts;
pub use pair::{About, Pair, PairError, PairFiles};
pub use settings::{Acme, Document, Https, Source};
pub use shown::{PublicTls, Standing};
