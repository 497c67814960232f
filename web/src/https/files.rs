//! A certificate in files that somebody else renews: certbot, an administrator, a company's own service.

use std::time::Duration;

use tieup_store::look::Look;

use super::pair::{Pair, PairError, PairFiles};
use super::shown::PublicTls;
use crate::complaint;
use crate::listener::Shutdown;

/// How often the files are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// How both files look from outside; none for one that is not there.
type Looks = (Option<Look>, Option<Look>);

/// Follows the files of a pair.
#[derive(Debug)]
pub struct Follower {
    files: PairFiles,
    tls: PublicTls,
    taken: Looks,
    waiting: Option<Looks>,
}

impl Follower {
    /// Reads `files`, and TLS that shows what they hold.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open(files: PairFiles) -> Result<(Self, PublicTls), FilesError> {
        // Before they are read, so that what is written meanwhile is a change.
        let taken = looks(&files);
        let tls = PublicTls::new(Some(Pair::read(&files)?))?;
        Ok((Self { files, tls: tls.clone(), taken, waiting: None }, tls))
    }

    /// Looks at the files until `shutdown`.
    pub async fn follow(mut self, every: Duration, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(every) => {}
            }
            tokio::task::block_in_place(|| self.look());
        }
    }

    /// Looks at the files once. What changed is taken when it looks the same a second time, so that a pair of which one
    /// half has been written is not taken for a mistake.
    pub fn look(&mut self) {
        let now = looks(&self.files);
        if now == self.taken {
            self.waiting = None;
            return;
        }
        if self.waiting.replace(now) != Some(now) {
            return;
        }
        (self.taken, self.waiting) = (now, None);
        match Pair::read(&self.files) {
            Ok(pair) => {
                let until = pair.about.expires.strftime("%Y-%m-%d");
                tracing::info!("the certificate for visitors was replaced; it holds until {until}");
                self.tls.show(pair);
            }
            Err(error) => {
                let words = complaint::in_one_line(&error);
                tracing::error!("the new certificate for visitors is not shown, the one before stays: {words}");
                self.tls.note(words);
            }
        }
    }
}

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// What they hold.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The cryptographic library failed.
    #[error("TLS for visitors cannot be set up")]
    Tls(#[from] rustls::Error),
}

fn looks(files: &PairFiles) -> Looks {
    (Look::at(&files.certificate).ok(), Look::at(&files.key).ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::https::pair::tests::{files, made};

    fn names(tls: &PublicTls) -> Vec<String> {
        tls.standing().about.unwrap().names
    }

    fn opened(folder: &Path) -> (Follower, PublicTls) {
        Follower::open(files(folder, &made("old.example"))).unwrap()
    }

    #[test]
    fn a_new_pair_is_shown_once_both_halves_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let (mut follower, tls) = opened(folder.path());
        let new = made("new.example");
        std::fs::write(folder.path().join("fullchain.pem"), &new.0).unwrap();
        follower.look();
        std::fs::write(folder.path().join("privkey.pem"), &new.1).unwrap();
        follower.look();
        assert_eq!(
            (names(&tls), tls.standing().trouble),
            (vec!["old.example".to_owned()], None),
            "it may go on changing"
        );
        follower.look();
        assert_eq!((names(&tls), tls.standing().trouble), (vec!["new.example".to_owned()], None));
    }

    #[test]
    fn what_does_not_fit_is_noted_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut follower, tls) = opened(folder.path());
        std::fs::write(folder.path().join("privkey.pem"), made("new.example").1).unwrap();
        follower.look();
        follower.look();
        assert!(tls.standing().trouble.unwrap().contains("do not belong together"));
        assert_eq!(names(&tls), ["old.example"]);
        std::fs::remove_file(folder.path().join("privkey.pem")).unwrap();
        follower.look();
        follower.look();
        assert!(tls.standing().trouble.unwrap().contains("privkey.pem cannot be read"));
        files(folder.path(), &made("third.example"));
        follower.look();
        follower.look();
        assert_eq!((names(&tls), tls.standing().trouble), (vec!["third.example".to_owned()], None));
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_an_error_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let pair = files(folder.path(), &(made("a.example").0, made("b.example").1));
        assert!(Follower::open(pair).unwrap_err().to_string().contains("do not belong together"));
    }
}
