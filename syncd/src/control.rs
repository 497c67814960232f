//! The operator's line to the running daemon: a socket in the state folder, which only its owner can open.
//!
//! One command a connection, one JSON document each way.

mod message;
mod perform;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;

use tieup_web::listener::Shutdown;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

pub use self::message::{Answer, Command};
use self::perform::perform;
use crate::daemon::Partner;

/// The most bytes of a command.
const MAX_COMMAND: u64 = 64 << 10;

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no daemon is running behind {0}: start it with `syncd run`")]
    NotRunning(String, #[source] io::Error),
    /// The line broke.
    #[error("the daemon did not answer")]
    Broken(#[from] io::Error),
}

/// Answers commands until `shutdown`.
pub async fn serve(listener: UnixListener, partner: Arc<Partner>, shutdown: Shutdown) {
    loop {
        let stream = tokio::select! {
            () = shutdown.wait() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an operator's command was not accepted");
                    continue;
                }
            },
        };
        let partner = partner.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &partner).await {
                tracing::debug!(%error, "an operator's command broke off");
            }
        });
    }
}

/// Sends a command to the daemon behind `socket` and waits for its answer.
///
/// # Errors
/// When no daemon is running there.
pub fn ask(socket: &Path, command: &Command) -> Result<Answer, AskError> {
    let stream = std::os::unix::net::UnixStream::connect(socket);
    let mut stream = stream.map_err(|error| AskError::NotRunning(socket.display().to_string(), error))?;
    let mut line = serde_json::to_vec(command).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer).map_err(io::Error::other)?)
}

async fn converse(stream: UnixStream, partner: &Arc<Partner>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(MAX_COMMAND)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(command) => tokio::task::block_in_place(|| perform(command, partner)),
        Err(error) => Answer::Refused { causes: vec![format!("the command cannot be read: {error}")] },
    };
    let mut bytes = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    bytes.push(b'\n');
    writer.write_all(&bytes).await
}
