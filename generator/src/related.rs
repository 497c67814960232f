//! The pages that share a page's terms: `related(limit=5)` in templates. A rare term counts for more than a common one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tera::Value;

use crate::anchors::slug;
use crate::order::newest_first;
use crate::taxonomy::{list_path, term_path};
use crate::view::View;

/// How many of a term's pages are looked at, the newest first, so that a term which every page has costs little.
const MAX_MEMBERS: usize = 500;

/// What all pages of one term share between them. It divides evenly enough, and is no floating point.
const WEIGHT: u64 = 1 << 40;

/// How many pages are named where nothing is said.
pub(crate) const USUAL_LIMIT: usize = 5;

/// What listings show of the pages most related to the one at `path`, at most `limit` of them.
///
/// # Errors
/// Nothing stands at `path`.
pub(crate) fn related(view: &View, path: &str, limit: usize) -> Result<Value, String> {
    let at = view.find(path, "page")?;
    let found = nearest(view, at, limit).into_iter().map(|at| view.page(view.entry(at).path.as_str()));
    Ok(Value::from(found.collect::<Result<Vec<_>, _>>()?))
}

/// The pages most related to page `at`: by what they share, then the newest, then by path.
pub(crate) fn nearest(view: &View, at: usize, limit: usize) -> Vec<usize> {
    let mut shared: BTreeMap<usize, u64> = BTreeMap::new();
    for members in terms(view, at) {
        let weight = WEIGHT / (members.len() as u64).max(1);
        for other in members.iter().take(MAX_MEMBERS).filter(|other| **other != at) {
            *shared.entry(*other).or_default() += weight;
        }
    }
    let mut found: Vec<(usize, u64)> = shared.into_iter().collect();
    let entry = |at: usize| view.entry(at);
    found.sort_by(|(a, shares), (b, others)| {
        let by_share = Reverse(shares).cmp(&Reverse(others));
        by_share.then_with(|| newest_first(entry(*a), entry(*b))).then_with(|| entry(*a).path.cmp(&entry(*b).path))
    });
    found.into_iter().take(limit).map(|(at, _)| at).collect()
}

/// The pages of each of the terms that page `at` has, the newest first.
fn terms(view: &View, at: usize) -> Vec<&[usize]> {
    let mut terms = Vec::new();
    for (taxonomy, names) in view.node(at).own().iter().flat_map(|page| &page.terms) {
        let list = list_path(view.config(), taxonomy, &view.entry(at).lang);
        for name in names {
            let term = list.as_ref().and_then(|list| term_path(list, &slug(name))).and_then(|path| view.at(&path));
            let listing = term.and_then(|term| view.listing(term));
            terms.extend(listing.map(|listing| listing.pages.as_slice()));
        }
    }
    terms
}
