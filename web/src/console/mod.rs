//! The console kit: what every console of this product is made of.
//!
//! Pages are made on the server and work without scripts. Whoever is signed in holds a cookie that only this console
//! knows; what changes something is a POST with a token from one of its own pages. It decides who asks, never what
//! may be asked.

pub mod gate;
pub mod guard;
pub mod html;
pub mod layout;
pub mod request;
pub mod sign_in;

pub use gate::{Gate, Sign};
pub use guard::Names;
pub use html::Html;
pub use layout::Frame;
pub use request::{Confirmed, SignedIn};
