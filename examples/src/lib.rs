//! Runnable deployments: a hub and its partners on one machine, each with its own state, keys and ports.
//!
//! Everything is real: files, sockets on loopback, mutual TLS. The tests start their worlds from here too.

pub mod deployment;
pub mod interactive;
pub mod port;
pub mod smoke;
pub mod visitor;
