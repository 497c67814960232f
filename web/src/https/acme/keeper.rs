//! Keeps a certificate: asks for the first, renews it in time, and asks again when that failed.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tieup_store::durable::DiskError;

use super::challenges::Challenges;
use super::client::{AcmeError, Client, Obtained};
use super::kept::{Kept, Tries};
use super::plan::{Chance, Window, next_try, renewal};
use crate::complaint;
use crate::https::pair::{Pair, PairError};
use crate::https::settings::Acme;
use crate::https::shown::PublicTls;
use crate::listener::Shutdown;
use crate::visitors::Randomness;

/// The longest wait between two looks at the clock and at the authority's word on renewal.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// How long a certificate that was given is kept at least.
const REST: SignedDuration = SignedDuration::from_hours(1);

/// How long a whole conversation with the authority may take.
const CONVERSATION: Duration = Duration::from_mins(10);

/// Keeps the certificate of a public site.
pub struct Keeper {
    client: Client,
    tls: PublicTls,
    pair: Option<Pair>,
    tries: Tries,
    /// How many failed in a row since the program started.
    failures: u32,
    /// When the authority gave the last one.
    given: Option<Timestamp>,
    window: Option<Window>,
    chance: Chance,
}

/// Why a certificate cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The folder cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The cryptographic library failed.
    #[error("TLS for visitors cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Keeper {
    /// Opens what is kept in the folder `state`, and TLS that shows it. A certificate that cannot be used, or has other
    /// names than are asked for, is asked for anew.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(
        settings: Acme,
        state: &Path,
        challenges: Challenges,
        randomness: &dyn Randomness,
    ) -> Result<(Self, PublicTls), KeeperError> {
        let kept = Kept::open(state)?;
        let pair = usable(kept.pair());
        let (tries, chance) = (kept.tries(), chance(randomness));
        let tls = PublicTls::new(pair.clone())?;
        let client = Client { settings, kept, challenges };
        Ok((Self { client, tls: tls.clone(), pair, tries, failures: 0, given: None, window: None, chance }, tls))
    }

    /// Keeps it until `shutdown`. Challenges must be answered by now.
    pub async fn keep(mut self, randomness: impl Randomness, shutdown: Shutdown) {
        let work = async {
            loop {
                self.wait().await;
                if self.is_due(Timestamp::now()) {
                    self.chance = chance(&randomness);
                    self.renew().await;
                }
            }
        };
        tokio::select! {
            () = shutdown.wait() => {}
            () = work => {}
        }
    }

    /// Waits until it is time to ask, or to look again whether it is.
    async fn wait(&mut self) {
        if let Some(pair) = &self.pair {
            let asked = tokio::time::timeout(CONVERSATION, self.client.window(pair)).await;
            self.window = asked.ok().flatten();
        }
        let now = Timestamp::now();
        let left = self.due(now).map(|due| due.duration_since(now));
        let wait = left.map_or(Duration::ZERO, |left| Duration::try_from(left).unwrap_or_default());
        tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
    }

    /// When to ask, as it looks at `now`; none for at once.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let hosts = &self.client.settings.hosts;
        let pair = self.pair.as_ref().filter(|pair| hosts.iter().all(|host| pair.about.names.contains(host)));
        let wanted = pair.map(|pair| renewal(&pair.about, self.window, self.chance));
        let again = next_try(&self.tries.until(now), self.failures, self.chance);
        // One that is due as soon as it was given, as by a clock that is wrong, is not asked for again and again.
        let rest = self.given.map(|given| given + REST);
        wanted.max(again).max(rest)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due(now).is_none_or(|due| due <= now)
    }

    /// Asks for a certificate. That it was asked for is kept before the authority hears of it.
    async fn renew(&mut self) {
        self.tries.begin(Timestamp::now());
        self.keep_tries();
        let obtained = tokio::time::timeout(CONVERSATION, self.client.obtain()).await;
        match obtained.unwrap_or(Err(AcmeError::TooLong(CONVERSATION))) {
            Ok(obtained) => self.show(obtained),
            Err(error) => {
                let words = complaint::in_one_line(&error);
                tracing::error!("no new certificate for visitors: {words}");
                self.tls.note(words.clone());
                self.failures = self.failures.saturating_add(1);
                self.tries.fail(words);
            }
        }
        self.keep_tries();
    }

    /// Shows a certificate. The try that brought it is forgotten, unless it will have to be asked for again after a
    /// restart.
    fn show(&mut self, Obtained { pair, unkept }: Obtained) {
        let until = pair.about.expires.strftime("%Y-%m-%d");
        tracing::info!("there is a new certificate for visitors; it holds until {until}");
        self.tls.show(pair.clone());
        (self.pair, self.failures, self.window) = (Some(pair), 0, None);
        self.given = Some(Timestamp::now());
        let Some(error) = unkept else {
            self.tries = Tries::default();
            return;
        };
        let words = format!("it is shown, and could not be kept: {}", complaint::in_one_line(&error));
        tracing::error!("the new certificate for visitors: {words}");
        self.tls.note(words.clone());
        self.tries.fail(words);
    }

    fn keep_tries(&self) {
        if let Err(error) = tokio::task::block_in_place(|| self.client.kept.keep_tries(&self.tries)) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "it cannot be kept when a certificate was asked for"
            );
        }
    }
}

/// The certificate that was kept; one that cannot be used is none, and said to be.
fn usable(kept: Result<Option<Pair>, PairError>) -> Option<Pair> {
    kept.unwrap_or_else(|error| {
        tracing::error!("the certificate that was kept cannot be used: {}", complaint::in_one_line(&error));
        None
    })
}

fn chance(randomness: &dyn Randomness) -> Chance {
    let drawn = randomness.draw();
    Chance(u16::from_be_bytes([drawn[0], drawn[1]]))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::authority::PemPair;
    use crate::https::pair::tests::made;
    use crate::visitors::SystemRandomness;

    fn opened(directory: String, state: &Path) -> Keeper {
        let hosts = vec!["shop.example".to_owned()];
        let settings = Acme { hosts, contact: None, directory, root: None };
        Keeper::open(settings, state, Challenges::default(), &SystemRandomness).unwrap().0
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_try_is_kept_before_the_authority_hears_of_it() {
        let state = tempfile::tempdir().unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = format!("https://{}/dir", silent.local_addr().unwrap());
        let mut keeper = opened(directory, state.path());
        let kept = keeper.client.kept.clone();
        tokio::select! {
            () = keeper.renew() => panic!("a silent authority gave an answer"),
            asked = silent.accept() => drop(asked.unwrap()),
        }
        // The program ends here, and nothing came of it.
        assert_eq!(kept.tries().failed.len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_certificate_that_cannot_be_kept_is_shown_and_its_try_stays() {
        let state = tempfile::tempdir().unwrap();
        let mut keeper = opened("https://127.0.0.1:1/dir".to_owned(), state.path());
        // A folder stands where the certificate would.
        std::fs::create_dir_all(state.path().join("acme/certificate.pem/in-the-way")).unwrap();
        let (certificate, key) = made("shop.example");
        keeper.tries.begin(Timestamp::now());
        let obtained = keeper.client.keep(&PemPair { certificate, key }).unwrap();
        assert!(obtained.unkept.is_some());
        keeper.show(obtained);
        assert!(keeper.tls.has_certificate());
        assert!(keeper.tls.standing().trouble.unwrap().contains("could not be kept"));
        assert_eq!(keeper.tries.failed.len(), 1, "a restart asks again without limit");
    }
}
