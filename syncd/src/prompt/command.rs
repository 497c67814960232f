//! A prompt by a program of the operator's: it gets what would be spoken on standard input, and the rest as variables.
//!
//! `espeak-ng --stdin` speaks it. The program is run as it is named, by no shell.

use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::notice::Notice;
use super::settings::NotTold;

/// How long a program may run, in seconds. Speaking takes its time.
const SECONDS: u64 = 120;

/// The most bytes of a program's complaint that are kept.
const MAX_COMPLAINT: u64 = 500;

/// A program that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) argv: Argv,
    /// Where it runs: the folder of `syncd.yaml`.
    pub(super) folder: PathBuf,
}

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Argv {
    name: String,
    arguments: Vec<String>,
}

impl TryFrom<Vec<String>> for Argv {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        match words.next().filter(|name| !name.is_empty()) {
            Some(name) => Ok(Self { name, arguments: words.collect() }),
            None => Err("the command is empty: write it like [espeak-ng, --stdin]".to_owned()),
        }
    }
}

impl Argv {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Program {
    /// Whether it is named with its folder, and is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.argv.name.contains('/') && !self.folder.join(&self.argv.name).is_file()
    }

    /// Runs it with `notice`, and waits until it ends.
    ///
    /// # Errors
    /// When it cannot be run, fails, or takes too long; then it is ended.
    pub(super) async fn run(&self, notice: &Notice) -> Result<(), NotTold> {
        let name = if self.argv.name.contains('/') {
            self.folder.join(&self.argv.name)
        } else {
            PathBuf::from(&self.argv.name)
        };
        let mut command =
            Command::new(std::path::absolute(&name).ok().filter(|_| self.argv.name.contains('/')).unwrap_or(name));
        command.args(&self.argv.arguments).current_dir(&self.folder).envs(notice.variables());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let ran = tokio::time::timeout(Duration::from_secs(SECONDS), ended(command, notice.speech())).await;
        let (status, complaint) =
            ran.map_err(|_| NotTold::TooSlow(SECONDS))?.map_err(|error| NotTold::Run(self.argv.name.clone(), error))?;
        if status.success() { Ok(()) } else { Err(NotTold::Failed(format!("{status}{complaint}"))) }
    }
}

/// Runs `command` to its end, with `input`: its status, and how it complained.
async fn ended(mut command: Command, input: String) -> std::io::Result<(ExitStatus, String)> {
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read what is said has its reasons.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let stderr = child.stderr.take();
    let ((), complaint, status) = tokio::join!(write, complaint(stderr), child.wait());
    Ok((status?, complaint))
}

/// The beginning of what is complained. The rest is read too, so that the program does not wait for a reader.
async fn complaint(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut begin = Vec::new();
    let _ = (&mut stream).take(MAX_COMPLAINT).read_to_end(&mut begin).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    let text = String::from_utf8_lossy(&begin);
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}", self.argv.name)?;
        self.argv.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}
