//! Pagination: a listing cut into pages of equal length.

use std::num::NonZeroUsize;

use tera::{Map, Value};
use tieup_protocol::path::SitePath;

/// A listing and how it is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pager<'a> {
    /// Where its first page stands.
    pub(crate) path: &'a SitePath,
    /// What it lists, by number.
    pub(crate) pages: &'a [usize],
    /// How many are shown at once.
    pub(crate) per_page: NonZeroUsize,
}

impl Pager<'_> {
    /// How many pages there are; an empty listing has one.
    pub(crate) fn total(&self) -> usize {
        self.pages.len().div_ceil(self.per_page.get()).max(1)
    }

    /// Where page `number`, counted from 1, stands; none where the path would be too long.
    pub(crate) fn path(&self, number: usize) -> Option<SitePath> {
        if number == 1 { Some(self.path.clone()) } else { self.numbered(number) }
    }

    /// The address of page `number` with its number in it, which the first page has besides its own.
    pub(crate) fn numbered(&self, number: usize) -> Option<SitePath> {
        format!("{}page/{number}/", self.path.with_slash()).parse().ok()
    }

    /// What page `number`, counted from 1, lists.
    pub(crate) fn shown(&self, number: usize) -> &[usize] {
        self.pages.chunks(self.per_page.get()).nth(number - 1).unwrap_or_default()
    }

    /// What page `number` shows, each listed page as `summary` gives it.
    pub(crate) fn value(&self, number: usize, summary: impl Fn(usize) -> Value) -> Value {
        let shown = self.shown(number);
        let path = |number: usize| {
            let there = (1..=self.total()).contains(&number);
            self.path(number).filter(|_| there).map_or_else(Value::none, |path| Value::from(path.as_str()))
        };
        let mut map = Map::new();
        map.insert("pages".into(), Value::from(shown.iter().map(|at| summary(*at)).collect::<Vec<_>>()));
        map.insert("number".into(), Value::from(number));
        map.insert("total".into(), Value::from(self.total()));
        map.insert("prev".into(), path(number - 1));
        map.insert("next".into(), path(number + 1));
        map.insert("first".into(), path(1));
        map.insert("last".into(), path(self.total()));
        Value::from(map)
    }
}
