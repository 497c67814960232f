//! The pages of a site, numbered as they come, and what was counted of each.

use foldhash::{HashMap, HashMapExt as _};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

use super::counted::{ByClass, Tally};

/// Which page, by the order in which pages were first clicked on.
pub(super) type PageNumber = u32;

/// The pages seen so far, numbered, so that what is remembered of a click is small.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    /// By the bytes of their paths, as they stand in entries.
    numbers: HashMap<Box<[u8]>, PageNumber>,
    tallies: Vec<(SitePath, ByClass)>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { numbers: HashMap::new(), tallies: Vec::new() }
    }
}

impl Pages {
    /// The number of the page at `path`, a new one if need be.
    pub(super) fn number(&mut self, path: &SitePath) -> PageNumber {
        let bytes = path.as_str().as_bytes();
        if let Some(number) = self.known(bytes) {
            return number;
        }
        let number = self.len();
        self.tallies.push((path.clone(), ByClass::default()));
        self.numbers.insert(bytes.into(), number);
        number
    }

    /// How many there are.
    pub(super) fn len(&self) -> PageNumber {
        self.tallies.len().try_into().expect("memory ends before four thousand million paths")
    }

    /// The number of the page whose path has these bytes, if it was seen.
    pub(super) fn known(&self, path: &[u8]) -> Option<PageNumber> {
        self.numbers.get(path).copied()
    }

    /// What was counted of a page.
    pub(super) fn tally(&mut self, page: PageNumber, class: MeterClass) -> &mut Tally {
        self.tallies[page as usize].1.of(class)
    }

    /// All pages in the order of their numbers, with what was counted of them.
    pub(super) fn tallies(&self) -> &[(SitePath, ByClass)] {
        &self.tallies
    }

    /// The next page, if it was not seen before: its path, and what was counted of it.
    pub(super) fn put(&mut self, path: &SitePath, tally: ByClass) -> Option<()> {
        let (next, number) = (self.len(), self.number(path));
        (number == next).then(|| self.tallies[number as usize].1 = tally)
    }
}
