//! What a service manager gives to this program and is told by it, as systemd does and others after it.

mod address;
mod notice;
mod sockets;

pub use address::ListenAddress;
pub use notice::Notice;
pub use sockets::{GivenSockets, SocketError};
