//! The shelf: which blob stands where. It is in memory alone, and as small as it can be: a store can have millions of blobs.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;

use super::segment::{Record, Records, Segment};

/// What is there, and where.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub segments: BTreeMap<u64, Arc<Segment>>,
    places: HashMap<Digest, Spot>,
    /// Where else a blob stands, for when it is damaged at its place. The last is the best.
    spares: HashMap<Digest, Vec<Spot>>,
    /// The number of the next segment.
    next: u64,
}

/// Where a blob stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u64,
    pub at: u64,
    pub record: Record,
}

/// The place of a blob whose digest is known.
#[derive(Debug)]
struct Spot {
    segment: u64,
    at: u64,
    /// How long the blob is.
    length: u64,
    /// How it is kept, where its own bytes are not.
    otherwise: Option<Box<Otherwise>>,
}

/// How a blob is kept whose own bytes are not; as in [`Record`].
#[derive(Debug)]
struct Otherwise {
    stored: u64,
    base: Option<Digest>,
}

impl Spot {
    fn of(Place { segment, at, record }: Place) -> Self {
        let Record { blob, stored, base } = record;
        let is_whole = record == Record::whole(blob);
        let otherwise = (!is_whole).then(|| Box::new(Otherwise { stored, base }));
        Self { segment, at, length: blob.length, otherwise }
    }

    fn place(&self, digest: Digest) -> Place {
        let blob = BlobRef { digest, length: self.length };
        let record = match self.otherwise.as_deref() {
            None => Record::whole(blob),
            Some(Otherwise { stored, base }) => Record { blob, stored: *stored, base: *base },
        };
        Place { segment: self.segment, at: self.at, record }
    }
}

impl Shelf {
    pub(super) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn contains(&self, blob: &BlobRef) -> bool {
        self.places.get(&blob.digest).is_some_and(|spot| spot.length == blob.length)
    }

    pub(super) fn place(&self, digest: &Digest) -> Option<Place> {
        self.places.get(digest).map(|spot| spot.place(*digest))
    }

    /// How many blobs there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// The place of each blob.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().map(|(digest, spot)| spot.place(*digest))
    }

    /// Of several copies of a blob the one in the latest segment counts: it may have been put there to mend another.
    pub(super) fn add(&mut self, segment: Segment, records: Records) {
        let number = segment.number;
        for (record, at) in records {
            let spot = Spot::of(Place { segment: number, at, record });
            match self.places.entry(record.blob.digest) {
                Entry::Vacant(free) => {
                    free.insert(spot);
                }
                Entry::Occupied(mut known) => {
                    let later = known.get().segment <= number;
                    let spare = if later { known.insert(spot) } else { spot };
                    self.spares.entry(record.blob.digest).or_default().push(spare);
                }
            }
        }
        self.next = self.next.max(number);
        self.segments.insert(number, Arc::new(segment));
    }

    /// Puts one segment, if any, in the place of those numbered `numbers`.
    pub(super) fn replace(&mut self, numbers: &HashSet<u64>, by: Option<(Segment, Records)>) {
        if let Some((segment, records)) = by {
            self.add(segment, records);
        }
        self.spares.retain(|_, spares| {
            spares.retain(|spare| !numbers.contains(&spare.segment));
            !spares.is_empty()
        });
        let gone: Vec<Digest> =
            self.places.extract_if(|_, spot| numbers.contains(&spot.segment)).map(|(digest, _)| digest).collect();
        for digest in gone {
            self.fall_back(&digest);
        }
        self.segments.retain(|number, _| !numbers.contains(number));
    }

    /// Forgets that the blob stands at `place`. Says whether it stands nowhere now; none where it stood elsewhere already.
    pub(super) fn forget(&mut self, digest: &Digest, place: &Place) -> Option<bool> {
        match self.places.entry(*digest) {
            Entry::Occupied(there) if there.get().place(*digest) == *place => there.remove(),
            _ => return None,
        };
        Some(!self.fall_back(digest))
    }

    /// Takes another copy of a blob that has no place, if there is one.
    fn fall_back(&mut self, digest: &Digest) -> bool {
        let Entry::Occupied(mut spares) = self.spares.entry(*digest) else { return false };
        let spare = spares.get_mut().pop();
        if spares.get().is_empty() {
            spares.remove();
        }
        spare.is_some_and(|spare| self.places.insert(*digest, spare).is_none())
    }
}
