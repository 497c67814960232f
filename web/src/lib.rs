//! What both ends need to speak HTTP: TLS identities, the mutual-TLS listener and client, the public site server and
//! problem responses; and how a command speaks to a person.
//!
//! It decides who is speaking. What they may say is decided by `syncd` and `hub`.

pub mod access_log;
pub mod admin;
pub mod authority;
pub mod certificate;
pub mod client;
pub mod complaint;
pub mod console;
pub mod destination;
pub mod https;
pub mod journal;
pub mod line;
pub mod listener;
pub mod memory;
pub mod metrics;
mod paint;
mod patience;
pub mod problem;
pub mod revocation;
pub mod service;
pub mod site;
pub mod starter;
pub mod terminal;
pub mod tls;
pub mod versions;
pub mod visitors;
