//! Writes events as HTML, and tells where in it marks stand.
//!
//! A mark is no character of the HTML, so that no text can hold one.

use std::cell::RefCell;
use std::fmt;

use pulldown_cmark::{Event, html};

use crate::source::is_forbidden;

/// A piece of a text.
#[derive(Clone, Debug)]
pub(super) enum Piece<'a> {
    /// What stands in it.
    Event(Event<'a>),
    /// The place of mark so-and-so.
    Mark(usize),
}

/// What has been written; the iterator of the events looks at how long it is.
struct Page<'a>(&'a RefCell<&'a mut String>);

impl fmt::Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.borrow_mut().push_str(text);
        Ok(())
    }
}

/// Where a mark stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The byte of the HTML that it stands before.
    pub(super) at: usize,
    /// How many marks stand before it, those at the same byte too.
    pub(super) order: usize,
}

/// Writes `pieces` after what `html` holds, without control characters, and says where each mark stands. What is not
/// among the pieces has no place.
pub(super) fn write(html: &mut String, pieces: Vec<Piece<'_>>, marks: usize) -> Vec<Option<Place>> {
    let mut places = vec![None; marks];
    let mut order = 0;
    let page = RefCell::new(&mut *html);
    let events = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Event(event) => Some(event),
        Piece::Mark(mark) => {
            places[mark] = Some(Place { at: page.borrow().len(), order });
            order += 1;
            None
        }
    });
    html::write_html_fmt(Page(&page), events).expect("writing into a String cannot fail");
    scrub(html, &mut places);
    places
}

/// Takes forbidden characters out, which come from character references alone.
fn scrub(html: &mut String, places: &mut [Option<Place>]) {
    if !html.contains(is_forbidden) {
        return;
    }
    for place in places.iter_mut().flatten() {
        place.at -= html[..place.at].matches(is_forbidden).count();
    }
    html.retain(|c| !is_forbidden(c));
}
