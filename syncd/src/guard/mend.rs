//! Mending: damaged bytes are set aside, what is lacking is found again, and both are told.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::PoisonError;

use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::drift::{Drift, GuardReport, MOST_LACKING, MOST_PATHS, PIECE_HEAD, piece_of};
use tieup_protocol::manifest::{BlobRef, MAX_MANIFEST};
use tieup_protocol::path::SitePath;
use tieup_store::blobs::PutBlobError;

use super::{Guard, GuardError, PATIENCE, State};
use crate::daemon::Partner;
use crate::publisher::{Documents, Holdings, Publisher};

impl Guard {
    /// Sets damaged bytes aside, restores what can be restored here, and notes the rest for main.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn mend(&self, partner: &Partner, now: Timestamp) -> Result<GuardReport, GuardError> {
        let _alone = self.mending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = self.set_aside(now)?;
        let mut publisher = partner.publisher();
        let documents = publisher.check_documents(&self.quarantine, now)?;
        let mut holdings = publisher.holdings()?;
        let mut lost = self.lost(&holdings);
        found.extend(lost.iter().copied());
        if lost.iter().any(|blob| holdings.served.contains_key(blob)) {
            // The merged site is made anew, and with it what was lost of it.
            if let Err(error) = publisher.refresh_originals() {
                tracing::warn!(error = &error as &dyn std::error::Error, "the site cannot be made anew");
            }
            holdings = publisher.holdings()?;
            lost = self.lost(&holdings);
        }
        let findings = Findings { found, lost, documents, holdings };
        self.note(&mut publisher, &findings, now);
        self.fall_back_if_late(&mut publisher, &findings.holdings, now)?;
        Ok(self.report())
    }

    /// Takes what main sends of what is lacking, and keeps it durably. Blocks on the stream and the disk.
    ///
    /// # Errors
    /// When a piece is not lacking, or not what it says.
    pub fn take_in(&self, partner: &Partner, mut stream: impl Read, now: Timestamp) -> Result<GuardReport, GuardError> {
        let drift = self.report().drift;
        let (blobs, documents) = drift.map(|drift| (drift.blobs, drift.documents)).unwrap_or_default();
        let batch = self.blobs.batch();
        while let Some((digest, length)) = next_piece(&mut stream)? {
            if blobs.contains(&BlobRef { digest, length }) {
                batch.put_expected(&BlobRef { digest, length }, (&mut stream).take(length))?;
            } else if documents.contains(&digest) && length <= MAX_MANIFEST {
                let bytes = read_document(&mut stream, digest, length)?;
                partner.publisher().restore_document(&bytes)?;
            } else {
                return Err(GuardError::NotLacking(digest));
            }
        }
        batch.sync()?;
        self.mend(partner, now)
    }

    /// Puts the damaged bytes that were found into quarantine, and names the blobs.
    fn set_aside(&self, now: Timestamp) -> Result<BTreeSet<BlobRef>, GuardError> {
        let mut found = BTreeSet::new();
        while let Some(damage) = self.blobs.next_damage()? {
            if let Some(bytes) = damage.bytes {
                let path = self.quarantine.keep(&damage.blob.digest.hex(), &bytes, now)?;
                tracing::error!(digest = %damage.blob.digest, aside = %path.display(), "a stored file is damaged");
            }
            found.insert(damage.blob);
        }
        Ok(found)
    }

    fn lost(&self, holdings: &Holdings) -> BTreeSet<BlobRef> {
        holdings.blobs().into_iter().filter(|blob| !self.blobs.contains(blob)).collect()
    }

    /// Keeps what is lacking for the report, and writes down what is news about it.
    fn note(&self, publisher: &mut Publisher, findings: &Findings, now: Timestamp) {
        let Findings { found, lost, documents, holdings } = findings;
        let mut state = self.state();
        let news = News::between(&state, found, lost, documents);
        let since = state.report.drift.take().map_or(now, |drift| drift.since);
        if !lost.is_empty() || !documents.lacking.is_empty() {
            state.report.drift = Some(Drift {
                since,
                blobs: lost.iter().take(MOST_LACKING).copied().collect(),
                documents: documents.lacking.iter().copied().collect(),
                paths: served(lost, holdings).cloned().collect(),
            });
        }
        state.report.restored += news.restored as u64;
        state.lost.clone_from(lost);
        drop(state);
        let paths = served(found, holdings).map(SitePath::as_str);
        let named: Vec<&str> = paths.chain(documents.restored.iter().map(String::as_str)).collect();
        publisher.note_drift(&news.happenings(&named), now);
    }

    /// Goes back to the last good release where a page has been lacking for too long.
    fn fall_back_if_late(
        &self,
        publisher: &mut Publisher,
        holdings: &Holdings,
        now: Timestamp,
    ) -> Result<(), GuardError> {
        let (drift, lost) = {
            let state = self.state();
            (state.report.drift.clone(), state.lost.clone())
        };
        let Some(drift) = drift.filter(|drift| now.duration_since(drift.since) >= PATIENCE) else { return Ok(()) };
        let Some(page) = lost.iter().find(|blob| holdings.pages.contains(blob)) else { return Ok(()) };
        let path = holdings.served.get(page).map_or("a page", |path| path.as_str());
        let reason = format!("{path} has been damaged since {}, and main has not restored it", drift.since);
        if let Some(live) = publisher.fall_back(&reason, now)? {
            tracing::error!(release = %live.version, "rolled back: {reason}");
            // What is lacking is another question from now on.
            self.alarm.notify_one();
        }
        Ok(())
    }
}

/// What mending found.
struct Findings {
    /// The blobs of which a damaged copy was found, or none.
    found: BTreeSet<BlobRef>,
    /// Those that are lacking still.
    lost: BTreeSet<BlobRef>,
    documents: Documents,
    holdings: Holdings,
}

/// What has become known since the last time.
struct News {
    found: usize,
    restored: usize,
}

impl News {
    /// How many files are newly known to be damaged, and how many of all that were are whole again.
    fn between(state: &State, found: &BTreeSet<BlobRef>, lost: &BTreeSet<BlobRef>, documents: &Documents) -> Self {
        let before = state.report.drift.iter().flat_map(|drift| drift.documents.iter().copied());
        let lacked: BTreeSet<Digest> = before.collect();
        let restored = documents.restored.len();
        Self {
            found: found.difference(&state.lost).count() + documents.lacking.difference(&lacked).count() + restored,
            restored: state.lost.union(found).filter(|blob| !lost.contains(blob)).count()
                + lacked.difference(&documents.lacking).count()
                + restored,
        }
    }

    /// The same for the audit trail; `named` are files that people know.
    fn happenings(&self, named: &[&str]) -> Vec<Happening> {
        let happening = |what, reason| Happening { who: Actor::Daemon, what, release: None, reason: Some(reason) };
        let list = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        let found =
            (self.found > 0).then(|| happening(Event::DriftFound, format!("{} stored files{list}", self.found)));
        let restored = self.restored;
        let restored = (restored > 0).then(|| happening(Event::DriftRestored, format!("{restored} stored files")));
        found.into_iter().chain(restored).collect()
    }
}

/// The first paths at which visitors get some of `blobs`.
fn served<'a>(blobs: &'a BTreeSet<BlobRef>, holdings: &'a Holdings) -> impl Iterator<Item = &'a SitePath> {
    blobs.iter().filter_map(|blob| holdings.served.get(blob)).take(MOST_PATHS)
}

fn next_piece(stream: &mut impl Read) -> Result<Option<(Digest, u64)>, GuardError> {
    let mut head = [0; PIECE_HEAD];
    let mut read = 0;
    while read < PIECE_HEAD {
        match stream.read(&mut head[read..]) {
            Ok(0) if read == 0 => return Ok(None),
            Ok(0) => return Err(GuardError::Stream(io::ErrorKind::UnexpectedEof.into())),
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(GuardError::Stream(error)),
        }
    }
    Ok(Some(piece_of(&head)))
}

fn read_document(stream: &mut impl Read, digest: Digest, length: u64) -> Result<Vec<u8>, GuardError> {
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes).map_err(GuardError::Stream)?;
    let received = Digest::of(&bytes);
    if received == digest { Ok(bytes) } else { Err(PutBlobError::Mismatch { expected: digest, received }.into()) }
}
