//! When the guard looks: at once where damage was read, every few seconds from outside, and at all in a slow cycle.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::manifest::BlobRef;
use tieup_web::listener::Shutdown;
use tokio::task::block_in_place;

use super::{Guard, GuardError, Look};
use crate::daemon::Partner;

/// How often the files are looked at from outside.
const LOOK: Duration = Duration::from_secs(2);

/// How often what is lacking is looked for while something is.
const RETRY: Duration = Duration::from_mins(1);

/// How many bytes are read at a stretch in the slow cycle.
const STRETCH: u64 = 4 << 20;

/// The pace of the slow cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// How many hours lie between the end of one cycle and the beginning of the next.
    pub every_hours: u32,
    /// How many MiB are read in a second, at most.
    pub mib_per_second: u32,
    /// How many hours what nothing needs any more is kept.
    pub grace_hours: u32,
}

impl Pace {
    /// What was not needed at the time that this gives may go at `now`.
    fn grace_over(self, now: Timestamp) -> Timestamp {
        now.checked_sub(SignedDuration::from_hours(self.grace_hours.into())).unwrap_or(Timestamp::MIN)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { every_hours: 6, mib_per_second: 16, grace_hours: 24 }
    }
}

/// How far the last mending came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mended {
    /// To its end.
    Wholly,
    /// The disk failed on the way.
    InPart,
}

/// Mends what was found damaged, and looks at the files from outside, until `shutdown`.
pub async fn keep_watch(partner: Arc<Partner>, shutdown: Shutdown) {
    let guard = partner.guard();
    let share = partner.publisher().share().clone();
    let (mut retried, mut mended) = (Timestamp::now(), Mended::Wholly);
    loop {
        let alarmed = tokio::select! {
            () = shutdown.wait() => return,
            () = guard.alarm.notified() => Look::Drifted,
            () = tokio::time::sleep(LOOK) => Look::Quiet,
        };
        let now = Timestamp::now();
        if share.is_unread() {
            block_in_place(|| partner.publisher().settle_terms());
        }
        let is_due = guard.report().drift.is_some() || share.is_unread() || mended == Mended::InPart;
        let is_late = is_due && now.duration_since(retried).unsigned_abs() >= RETRY;
        let looked = block_in_place(|| match guard.check_segments()? {
            Look::Quiet if alarmed == Look::Quiet && !is_late => Ok(Look::Quiet),
            _ => guard.mend(&partner, now).map(|_| Look::Drifted),
        });
        match looked {
            Ok(Look::Quiet) => {}
            Ok(Look::Drifted) => (retried, mended) = (now, Mended::Wholly),
            Err(error) => {
                complain(&error);
                (retried, mended) = (now, Mended::InPart);
            }
        }
    }
}

/// Reads everything that is kept at `pace`, again and again, and sweeps after each cycle and after each release that
/// went live, until `shutdown`.
pub async fn run_cycle(partner: Arc<Partner>, pace: Pace, shutdown: Shutdown) {
    let mut releases = partner.publisher().watch();
    let mut live = None;
    loop {
        let pause = tokio::time::sleep(Duration::from_secs(u64::from(pace.every_hours.max(1)) * 3600));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = &mut pause => break,
                changed = releases.changed() => if changed.is_err() { return },
            }
            let now_live =
                releases.borrow_and_update().iter().find(|r| r.state == ReleaseState::Live).map(|r| r.version);
            if now_live != live {
                live = now_live;
                sweep(&partner, pace).await;
            }
        }
        if let Err(error) = check_slowly(partner.guard(), &partner, pace, &shutdown).await {
            complain(&error);
        }
        sweep(&partner, pace).await;
    }
}

async fn check_slowly(guard: &Guard, partner: &Partner, pace: Pace, shutdown: &Shutdown) -> Result<(), GuardError> {
    let holdings = block_in_place(|| partner.publisher().holdings())?;
    let blobs = holdings.blobs();
    let mut rest = blobs.as_slice();
    while !rest.is_empty() {
        let (these, after, bytes) = stretch(rest);
        block_in_place(|| guard.verify(these));
        rest = after;
        let millis = bytes * 1000 / (u64::from(pace.mib_per_second.max(1)) << 20);
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
        }
    }
    let now = Timestamp::now();
    guard.state().report.checked = Some(now);
    block_in_place(|| guard.mend(partner, now)).map(drop)
}

/// The first blobs, about [`STRETCH`] bytes of them, those after, and the bytes of the first.
fn stretch(blobs: &[BlobRef]) -> (&[BlobRef], &[BlobRef], u64) {
    let (mut count, mut bytes) = (0, 0);
    while let Some(blob) = blobs.get(count).filter(|_| bytes < STRETCH) {
        bytes += blob.length;
        count += 1;
    }
    let (these, after) = blobs.split_at(count);
    (these, after, bytes)
}

async fn sweep(partner: &Partner, pace: Pace) {
    let intake = partner.intake().await;
    let before = pace.grace_over(Timestamp::now());
    if let Err(error) = block_in_place(|| partner.guard().sweep(partner, &intake, before)) {
        complain(&error);
    }
}

fn complain(error: &GuardError) {
    tracing::error!(error = error as &dyn std::error::Error, "the guard could not do its work");
}

#[cfg(test)]
mod tests {
    use tieup_protocol::digest::Digest;

    use super::*;

    #[test]
    fn a_stretch_ends_with_the_blob_that_fills_it() {
        let blob = |length| BlobRef { digest: Digest::of(b"x"), length };
        let blobs = [blob(1), blob(STRETCH), blob(5)];
        let (these, after, bytes) = stretch(&blobs);
        assert_eq!((these.len(), after.len(), bytes), (2, 1, STRETCH + 1));
        assert_eq!(stretch(&blobs[2..]).2, 5);
    }
}
