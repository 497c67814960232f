//! The order of a section's pages.

use std::cmp::Ordering;

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::front_matter::SortBy;

impl SortBy {
    /// Which of two pages comes first. Without an order all are equal, and a stable sort leaves them as they are.
    pub(crate) fn order(self, a: &IndexedPage, b: &IndexedPage) -> Ordering {
        match self {
            Self::None => Ordering::Equal,
            Self::Date => by_date(a, b),
            Self::Title => by_title(a, b),
            Self::Weight => by_weight(a, b),
            Self::Slug => slug(a).cmp(&slug(b)),
        }
    }
}

fn by_date(a: &IndexedPage, b: &IndexedPage) -> Ordering {
    b.date.cmp(&a.date).then_with(|| by_title(a, b))
}

fn by_title(a: &IndexedPage, b: &IndexedPage) -> Ordering {
    a.title.cmp(&b.title).then_with(|| a.path.cmp(&b.path))
}

fn by_weight(a: &IndexedPage, b: &IndexedPage) -> Ordering {
    a.weight.cmp(&b.weight).then_with(|| by_title(a, b))
}

fn slug(entry: &IndexedPage) -> (&str, &SitePath) {
    (entry.path.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default(), &entry.path)
}
