//! A partner's daemon as a process of its own, which can be killed at any moment.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tieup_protocol::wire::PartnerStatus;
use tieup_syncd::control::{self, Answer, AskError};

use crate::hearing::Hearing;
use crate::world::Halted;

/// How long the daemon may take to begin before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the daemon says when it serves.
const SERVING: &str = "Serving visitors";

/// How to start the daemon of a partner that the world has halted.
#[derive(Clone, Debug)]
pub struct Program {
    /// The command with what stands before its own arguments: `unshare -n syncd`, say.
    pub command: Vec<String>,
    /// The daemon's configuration file.
    pub config_file: PathBuf,
    /// The operator's socket.
    pub socket: PathBuf,
    /// Where the daemon's log goes.
    pub log: PathBuf,
}

/// A daemon that runs as a process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    said: Hearing,
    program: Program,
}

impl Program {
    /// The daemon of `halted`, run by the binary at `binary`.
    pub fn new(binary: &str, halted: &Halted) -> Self {
        Self {
            command: vec![binary.to_owned()],
            config_file: halted.config_file.clone(),
            socket: halted.config.control_socket(),
            log: halted.config_file.with_file_name("syncd.log"),
        }
    }

    /// Starts the daemon and does not wait for it.
    pub fn spawn(&self) -> Process {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
        let (program, before) = self.command.split_first().unwrap_or_else(|| panic!("no command to run"));
        let mut command = Command::new(program);
        command.args(before).arg("--config").arg(&self.config_file).arg("run");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} does not run: {error}"));
        let output = child.stdout.take().unwrap_or_else(|| panic!("{program} says nothing that is heard"));
        Process { child, said: Hearing::of(output, PATIENCE), program: self.clone() }
    }

    /// Starts the daemon and waits until it serves.
    pub fn start(&self) -> Process {
        let process = self.spawn();
        process.wait_until_it_serves();
        process
    }

    /// What the daemon has logged, for the message of a failed test.
    pub fn logged(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Process {
    /// Waits until the daemon serves visitors, and fails if it ends before.
    pub fn wait_until_it_serves(&self) {
        loop {
            match self.said.heard_by(Instant::now() + PATIENCE) {
                Ok(line) if line.contains(SERVING) => return,
                Ok(_) => {}
                Err(error) => panic!("the daemon does not serve ({error}):\n{}", self.program.logged()),
            }
        }
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub fn kill(&mut self) {
        // A process that has ended by itself is as dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the process ends by itself, and says how it did.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap_or_else(|error| panic!("the daemon cannot be waited for: {error}"))
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says where the operator's socket is to be found, for a daemon that has file systems of its own.
    pub fn reach_by(&mut self, socket: PathBuf) {
        self.program.socket = socket;
    }

    /// Gives the daemon a command as its operator does.
    ///
    /// # Errors
    /// When nobody answers, as a daemon that was killed.
    pub fn ask(&self, command: &control::Command) -> Result<Answer, AskError> {
        ask(&self.program.socket, command)
    }

    /// How things stand at the daemon.
    pub fn status(&self) -> PartnerStatus {
        match self.ask(&control::Command::Status) {
            Ok(Answer::Status { status, .. }) => *status,
            other => panic!("no status but {other:?}:\n{}", self.program.logged()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Gives a command to the daemon behind `socket`, whoever holds its process.
///
/// # Errors
/// When nobody answers.
pub fn ask(socket: &Path, command: &control::Command) -> Result<Answer, AskError> {
    control::ask(socket, command)
}
