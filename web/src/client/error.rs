//! Why a call failed, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tieup_protocol::version::{Behind, Versions};
use tieup_protocol::wire::Problem;

/// How many parts main's name in TLS has: `main.NAME.tieup.internal`. A partner's has one more.
const MAIN_NAME_PARTS: usize = 4;

/// What went wrong beneath HTTP: the innermost cause, without what the layers above say of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub(super) String);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// A name or a path that cannot stand in a call.
    #[error("{peer} cannot be called on {path}")]
    Setup {
        /// The peer's name in TLS.
        peer: String,
        /// The path.
        path: String,
    },
    /// No address for the name.
    #[error("`{0}` is not an address: write host:port")]
    Address(String, #[source] io::Error),
    /// No connection: the port is closed, or nothing comes back from there.
    #[error("nobody answers at {address}: {peer} cannot be reached")]
    NoAnswer {
        /// The peer's name in TLS.
        peer: String,
        /// Where it was called.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// Somebody answers, but there was no handshake, or the connection broke off.
    #[error("{peer} at {address} cannot be reached, or one end did not accept the other's certificate")]
    Unreachable {
        /// The peer's name in TLS.
        peer: String,
        /// Where it was called.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// The peer dials, and no hub is running to which it could.
    #[error("{peer} cannot be reached: it dials the hub, and no hub is running behind {}", socket.display())]
    NoHub {
        /// The peer's name in TLS.
        peer: String,
        /// The hub's socket.
        socket: PathBuf,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// The peer dials, and keeps no line at this moment.
    #[error("{peer} cannot be reached: it dials the hub, and keeps no line to it at this moment")]
    NoLine {
        /// The peer's name in TLS.
        peer: String,
    },
    /// The line that the peer dialed broke off.
    #[error("{peer} cannot be reached: the line that it keeps to the hub broke off")]
    LineCut {
        /// The peer's name in TLS.
        peer: String,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// The two ends have no version of the protocol in common.
    #[error("{peer} speaks version {theirs} of the protocol, and this end version {ours}")]
    Version {
        /// The peer's name in TLS.
        peer: String,
        /// What it speaks.
        theirs: Versions,
        /// What this end speaks.
        ours: Versions,
        /// Which end is to be updated.
        behind: Behind,
    },
    /// The other end said no.
    #[error("{}", .0.title)]
    Refused(#[source] Box<Problem>),
    /// The answer is not what the protocol says.
    #[error("{peer} answered {status} with something that is not an answer to {path}")]
    Answer {
        /// The peer's name in TLS.
        peer: String,
        /// The HTTP status.
        status: u16,
        /// The path that was called.
        path: String,
    },
}

impl CallError {
    /// The problem that the other end answered with, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the other end answered with a problem of this kind (without its prefix `tieup:`).
    pub fn is_problem(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.kind.strip_prefix("tieup:") == Some(kind))
    }

    /// Whether the call may work later without anybody changing anything at this end.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. }
            | Self::Unreachable { .. }
            | Self::NoHub { .. }
            | Self::NoLine { .. }
            | Self::LineCut { .. } => true,
            Self::Setup { .. } | Self::Address(..) | Self::Version { .. } | Self::Refused(_) | Self::Answer { .. } => {
                false
            }
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(problem) => problem.hint.clone(),
            Self::NoAnswer { peer, .. } if is_partner(peer) => {
                Some("is `syncd run` running there? `tieup hub` tries again by itself".to_owned())
            }
            Self::NoAnswer { .. } => Some("is `tieup hub` running there?".to_owned()),
            Self::NoHub { .. } => Some("start it with `tieup hub`, and leave it running".to_owned()),
            Self::NoLine { .. } => Some("is `syncd run` running there? it dials again by itself".to_owned()),
            Self::LineCut { .. } => Some("the partner dials again by itself; then try again".to_owned()),
            Self::Version { peer, behind, .. } => Some(match behind {
                Behind::Other => format!("update `{}` there", program_of(peer)),
                Behind::This => format!("update `{}` here", counterpart_of(peer)),
            }),
            _ => None,
        }
    }
}

/// The program that answers under a name in TLS.
fn program_of(peer: &str) -> &'static str {
    if is_partner(peer) { "syncd run" } else { "tieup hub" }
}

/// The program that calls whoever answers under a name in TLS.
fn counterpart_of(peer: &str) -> &'static str {
    if is_partner(peer) { "tieup" } else { "syncd" }
}

fn is_partner(peer: &str) -> bool {
    peer.split('.').count() > MAIN_NAME_PARTS
}

#[cfg(test)]
mod tests {
    use tieup_protocol::joining::{main_tls_name, partner_tls_name};

    use super::*;

    #[test]
    fn the_hint_names_the_program_at_the_other_end() {
        let (main, partner) = ("partner".parse().unwrap(), "main".parse().unwrap());
        let (main_name, partner_name) = (main_tls_name(&main), partner_tls_name(&main, &partner));
        assert_eq!((program_of(&main_name), counterpart_of(&main_name)), ("tieup hub", "syncd"));
        assert_eq!((program_of(&partner_name), counterpart_of(&partner_name)), ("syncd run", "tieup"));
    }
}
