//! How much the live site holds, and held: noted at each change, so that it can be said when a month has ended what it was
//! then.

use std::path::Path;

use jiff::Timestamp;
use tieup_protocol::period::Zone;
use tieup_protocol::record::Extent;
use tieup_store::document::{Document, DocumentError};

/// The file in the state folder.
const FILE: &str = "extents.json";

/// The most that are kept: those of more than two years of days.
const MOST: usize = 1_000;

/// How many of the newest are kept each; of those before, the last of each day.
const RECENT: usize = 200;

/// What was noted, oldest first.
#[derive(Debug)]
pub struct Extents(Document<Vec<Extent>>);

impl Extents {
    /// Those in a state folder.
    pub fn in_state(state: &Path) -> Self {
        Self(Document::at(state.join(FILE)))
    }

    /// Notes `extent`, unless nothing changed. Days are those of `zone`. Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn note(&self, extent: Extent, zone: &Zone) -> Result<(), DocumentError> {
        let mut extents = self.0.read()?.unwrap_or_default();
        let Extent { release, tieup, original, .. } = extent;
        if extents.last().is_some_and(|last| (last.release, last.tieup, last.original) == (release, tieup, original)) {
            return Ok(());
        }
        extents.push(extent);
        self.0.write_dense(&thinned(extents, zone))
    }

    /// What was live just before `at`; none where nothing was noted by then.
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn before(&self, at: Timestamp) -> Result<Option<Extent>, DocumentError> {
        Ok(self.0.read()?.unwrap_or_default().into_iter().rfind(|extent| extent.since < at))
    }
}

/// Those that are kept.
fn thinned(extents: Vec<Extent>, zone: &Zone) -> Vec<Extent> {
    if extents.len() <= MOST {
        return extents;
    }
    let (day, recent) = (|extent: &Extent| zone.local(extent.since).date(), extents.len() - RECENT);
    let is_kept = |at: usize| at >= recent || day(&extents[at]) != day(&extents[at + 1]);
    let kept: Vec<Extent> = (0..extents.len()).filter(|at| is_kept(*at)).map(|at| extents[at]).collect();
    kept[kept.len().saturating_sub(MOST)..].to_vec()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tempfile::tempdir;
    use tieup_protocol::ids::ReleaseVersion;
    use tieup_protocol::record::Stock;

    use super::*;

    fn extent(since: Timestamp, pages: u64) -> Extent {
        let original = Stock { pages, bytes: pages * 100 };
        Extent { since, release: ReleaseVersion::FIRST, tieup: Stock::default(), original }
    }

    #[test]
    fn it_is_known_what_was_live_just_before_an_instant() {
        let dir = tempdir().unwrap();
        let (extents, zone) = (Extents::in_state(dir.path()), Zone::utc());
        let at = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        assert_eq!(extents.before(at(1)).unwrap(), None);
        for (hour, pages) in [(1, 1), (2, 1), (3, 2)] {
            extents.note(extent(at(hour), pages), &zone).unwrap();
        }
        let extents = Extents::in_state(dir.path());
        let pages = |hour: i64| extents.before(at(hour)).unwrap().map(|extent| (extent.since, extent.original.pages));
        assert_eq!([pages(1), pages(3), pages(9)], [None, Some((at(1), 1)), Some((at(3), 2))]);
    }

    #[test]
    fn of_days_long_past_the_last_is_kept() {
        let every = |minutes: i64| {
            move |at: u64| {
                let since = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes * i64::try_from(at).unwrap());
                extent(since, at)
            }
        };
        // Ten a day: of the first 801, the last of each of 81 days.
        let kept = thinned((0..1_001).map(every(144)).collect(), &Zone::utc());
        assert_eq!(kept.len(), 80 + 200 + usize::from(kept[80].original.pages == 800));
        assert_eq!((kept[0].original.pages, kept[1].original.pages), (9, 19));
        assert_eq!(kept.last().unwrap().original.pages, 1_000);
        assert_eq!(thinned((0..2_001).map(every(1_440)).collect(), &Zone::utc()).len(), MOST);
    }
}
