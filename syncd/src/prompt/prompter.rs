//! The prompter: follows the releases, and tells the operator of each that waits, once by each way.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_store::document::DocumentError;
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::notice::{Notice, Others, Subject};
use super::settings::{Way, Ways};

/// How long to wait after each attempt that failed; after the last nothing is tried any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries(pub Vec<Duration>);

/// How things stand with one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptStatus {
    /// The way, as people read it.
    pub way: String,
    /// How it stands.
    pub stand: Stand,
}

/// How things stand with one way since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stand", rename_all = "kebab-case")]
pub enum Stand {
    /// There was nothing to tell.
    #[default]
    Quiet,
    /// The operator was told.
    Told {
        /// Of which release.
        release: ReleaseVersion,
        /// When.
        time: Timestamp,
    },
    /// Telling failed, and is tried again.
    Failing {
        /// Of which release.
        release: ReleaseVersion,
        /// How often it was tried.
        attempts: usize,
        /// What went wrong last.
        error: String,
    },
    /// Telling failed too often, or the release does not wait any more.
    GivenUp {
        /// Of which release.
        release: ReleaseVersion,
        /// What went wrong last.
        error: String,
    },
}

/// What the ways' tasks say of themselves.
#[derive(Debug, Default)]
pub struct Board(watch::Sender<BTreeMap<&'static str, PromptStatus>>);

/// Tells the operator of releases that wait.
pub struct Prompter {
    main: SiteId,
    partner: SiteId,
    others: Others,
    /// The console's address, if there is one.
    console: Option<String>,
    ways: Ways,
    retries: Retries,
    ledger: Ledger,
    board: Arc<Board>,
}

/// What came of an attempt.
enum Attempt {
    Told,
    Failed(String),
}

impl Retries {
    /// From half a minute on ever more rarely, through one day.
    pub fn usual() -> Self {
        let minutes = [1, 2, 5, 15, 30, 60, 120, 240, 480, 480];
        Self(
            std::iter::once(Duration::from_secs(30))
                .chain(minutes.map(|count| Duration::from_secs(60 * count)))
                .collect(),
        )
    }
}

impl Board {
    /// How each way stands.
    pub fn all(&self) -> Vec<PromptStatus> {
        self.0.borrow().values().cloned().collect()
    }

    /// How each way stands, by its key in `syncd.yaml`, and each change of that.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<&'static str, PromptStatus>> {
        self.0.subscribe()
    }

    fn set(&self, way: &Way, stand: Stand) {
        let status = PromptStatus { way: way.to_string(), stand };
        self.0.send_modify(|ways| drop(ways.insert(way.key(), status)));
    }
}

impl Prompter {
    /// A prompter for `partner` of `main`, which remembers in `state` what it told.
    ///
    /// # Errors
    /// When what was told cannot be read.
    pub fn open(
        (main, partner): (SiteId, SiteId),
        console: Option<String>,
        ways: &Ways,
        state: &Path,
        retries: Retries,
    ) -> Result<Self, DocumentError> {
        let board = Arc::new(Board::default());
        for way in ways.all() {
            board.set(&way, Stand::Quiet);
        }
        Ok(Self {
            main,
            partner,
            others: Others::None,
            console,
            ways: ways.clone(),
            retries,
            ledger: Ledger::open(state)?,
            board,
        })
    }

    /// The same for a partner that may have further main sites.
    #[must_use]
    pub fn beside(self, others: Others) -> Self {
        Self { others, ..self }
    }

    /// What it says of itself.
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Follows `releases` until `shutdown`, in one task for each way: one that is slow holds up no other.
    pub fn start(self, releases: &watch::Receiver<Vec<ReleaseRecord>>, shutdown: &Shutdown) -> Vec<JoinHandle<()>> {
        let shared = Arc::new(self);
        let follow = |way| {
            let (prompter, releases, shutdown) = (shared.clone(), releases.clone(), shutdown.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = shutdown.wait() => {}
                    () = prompter.follow(&way, releases) => {}
                }
            })
        };
        shared.ways.all().map(follow).collect()
    }

    async fn follow(&self, way: &Way, mut releases: watch::Receiver<Vec<ReleaseRecord>>) {
        loop {
            let subject = Subject::of(&releases.borrow_and_update());
            if let Some(subject) = subject {
                self.tell(way, &subject, &mut releases).await;
            }
            // The sender has gone with the daemon.
            if releases.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells by `way` until it is told, too much has failed, or something else is to be told.
    async fn tell(&self, way: &Way, subject: &Subject, releases: &mut watch::Receiver<Vec<ReleaseRecord>>) {
        let Subject::Waiting { version, manifest, .. } = *subject else { return };
        if self.ledger.has(way.key(), manifest) {
            return;
        }
        let delays = self.retries.0.iter().copied().map(Some).chain([None]);
        for (attempts, delay) in (1..).zip(delays) {
            let Attempt::Failed(error) = self.attempt(way, subject, version, manifest).await else { return };
            let given_up = Stand::GivenUp { release: version, error: error.clone() };
            let Some(delay) = delay else {
                tracing::error!(%way, release = %version, "the operator was not told, and it is not tried again: {error}");
                return self.board.set(way, given_up);
            };
            tracing::warn!(%way, release = %version, attempts, "the operator was not told: {error}");
            self.board.set(way, Stand::Failing { release: version, attempts, error });
            let another = releases.wait_for(|releases| Subject::of(releases).as_ref() != Some(subject));
            if tokio::time::timeout(delay, another).await.is_ok() {
                // The caller looks at the releases anew.
                releases.mark_changed();
                return self.board.set(way, given_up);
            }
        }
    }

    async fn attempt(&self, way: &Way, subject: &Subject, release: ReleaseVersion, manifest: Digest) -> Attempt {
        let link = self.console.as_ref().map(|console| format!("{console}{}", subject.path()));
        let (main, partner, time) = (self.main.clone(), self.partner.clone(), Timestamp::now());
        let notice = Notice { main, others: self.others, partner, subject: subject.clone(), link, time };
        if let Err(error) = way.tell(&notice).await {
            return Attempt::Failed(complaint::in_one_line(&error));
        }
        let noted = tokio::task::block_in_place(|| self.ledger.note(way.key(), manifest));
        if let Err(error) = noted {
            tracing::error!(%way, "what was told could not be noted: {}", complaint::in_one_line(&error));
        }
        tracing::info!(%way, %release, "the operator was told");
        self.board.set(way, Stand::Told { release, time });
        Attempt::Told
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet => f.write_str("nothing to tell since the daemon started"),
            Self::Told { release, time } => {
                write!(f, "told of release {release} at {}", time.strftime("%Y-%m-%d %H:%M UTC"))
            }
            Self::Failing { release, attempts, error } => {
                let times = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                write!(f, "FAILED {times} to tell of release {release}, and tries again: {error}")
            }
            Self::GivenUp { release, error } => write!(f, "FAILED to tell of release {release}: {error}"),
        }
    }
}
