//! The order of a section's pages.

use std::cmp::{Ordering, Reverse};

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::front_matter::SortBy;

impl SortBy {
    /// Puts pages, which `entry` knows by their numbers, in order. Without one they stay as they are.
    pub(crate) fn sort<'a>(self, pages: &mut [usize], entry: impl Fn(&usize) -> &'a IndexedPage) {
        // What is compared most lies together.
        match self {
            Self::None => {}
            Self::Date => pages.sort_by_cached_key(|at| (Reverse(entry(at).date), title(entry(at)))),
            Self::Title => pages.sort_by_cached_key(|at| title(entry(at))),
            Self::Weight => pages.sort_by_cached_key(|at| (entry(at).weight, title(entry(at)))),
            Self::Slug => pages.sort_by_cached_key(|at| slug(entry(at))),
        }
    }
}

/// Which of two pages comes first in the order of days: the newer one.
pub(crate) fn newest_first(a: &IndexedPage, b: &IndexedPage) -> Ordering {
    b.date.cmp(&a.date).then_with(|| title(a).cmp(&title(b)))
}

fn title(entry: &IndexedPage) -> (&str, &SitePath) {
    (&entry.title, &entry.path)
}

fn slug(entry: &IndexedPage) -> (&str, &SitePath) {
    (entry.path.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default(), &entry.path)
}
