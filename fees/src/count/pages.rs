//! The pages of a site, numbered as they come, and what was counted of each.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

use super::counted::{ByClass, Tally};

/// Which page, by the order in which pages were first clicked on.
pub(super) type PageNumber = u32;

/// The pages seen so far, numbered, so that what is remembered of a click is small.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    numbers: HashMap<SitePath, PageNumber>,
    tallies: Vec<ByClass>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { numbers: HashMap::new(), tallies: Vec::new() }
    }
}

impl Pages {
    /// The number of the page at `path`, a new one if need be.
    pub(super) fn number(&mut self, path: &SitePath) -> PageNumber {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        let number = self.len();
        self.tallies.push(ByClass::default());
        self.numbers.insert(path.clone(), number);
        number
    }

    /// How many there are.
    pub(super) fn len(&self) -> PageNumber {
        self.tallies.len().try_into().expect("memory ends before four thousand million paths")
    }

    /// What was counted of a page.
    pub(super) fn tally(&mut self, page: PageNumber, class: MeterClass) -> &mut Tally {
        self.tallies[page as usize].of(class)
    }

    /// All pages with what was counted of them.
    pub(super) fn tallies(self) -> BTreeMap<SitePath, ByClass> {
        let tallies = self.tallies;
        self.numbers.into_iter().map(|(path, number)| (path, tallies[number as usize])).collect()
    }
}
