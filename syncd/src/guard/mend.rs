//! Mending: damaged bytes are set aside, what is lacking is found again, and both are told.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::PoisonError;

use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::drift::{Drift, GuardReport, MOST_LACKING, MOST_PATHS, PIECE_HEAD, piece_of};
use tieup_protocol::manifest::{BlobRef, MAX_MANIFEST};
use tieup_store::blobs::PutBlobError;

use super::{Guard, GuardError, PATIENCE};
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
        self.note(&mut publisher, &found, lost, &documents, &holdings, now);
        self.fall_back_if_late(&mut publisher, &holdings, now)?;
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
    fn note(
        &self,
        publisher: &mut Publisher,
        found: &BTreeSet<BlobRef>,
        lost: BTreeSet<BlobRef>,
        documents: &Documents,
        holdings: &Holdings,
        now: Timestamp,
    ) {
        let mut state = self.state();
        let before = state.report.drift.take();
        let lacked: BTreeSet<Digest> = before.iter().flat_map(|drift| drift.documents.iter().copied()).collect();
        let news = found.difference(&state.lost).count()
            + documents.lacking.difference(&lacked).count()
            + documents.restored.len();
        let restored = state.lost.union(found).filter(|blob| !lost.contains(blob)).count()
            + lacked.difference(&documents.lacking).count()
            + documents.restored.len();
        let paths: Vec<_> =
            lost.iter().filter_map(|blob| holdings.served.get(blob)).take(MOST_PATHS).cloned().collect();
        let where_from = found.iter().filter_map(|blob| holdings.served.get(blob)).take(MOST_PATHS);
        let named: Vec<&str> = where_from.map(|path| path.as_str()).collect();
        let named = [named, documents.restored.iter().map(String::as_str).collect()].concat().join(", ");
        if !lost.is_empty() || !documents.lacking.is_empty() {
            state.report.drift = Some(Drift {
                since: before.map_or(now, |drift| drift.since),
                blobs: lost.iter().take(MOST_LACKING).copied().collect(),
                documents: documents.lacking.iter().copied().collect(),
                paths,
            });
        }
        state.report.restored += restored as u64;
        state.lost = lost;
        drop(state);
        let happening = |what, reason| Happening { who: Actor::Daemon, what, release: None, reason: Some(reason) };
        let mut happenings = Vec::new();
        if news > 0 {
            let named = if named.is_empty() { String::new() } else { format!(": {named}") };
            happenings.push(happening(Event::DriftFound, format!("{news} stored files{named}")));
        }
        if restored > 0 {
            tracing::info!(restored, "damaged files were restored");
            happenings.push(happening(Event::DriftRestored, format!("{restored} stored files")));
        }
        publisher.note_drift(&happenings, now);
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
