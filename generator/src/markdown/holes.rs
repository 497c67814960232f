//! The holes of a text while it is read: their places are known once its HTML is written.

use super::Span;
use super::hole::{Asker, Hole};
use super::writer::Place;

/// The holes of a text, and how many marks it has.
#[derive(Default)]
pub(super) struct Holes {
    drafts: Vec<Draft>,
    /// How many marks there are.
    pub(super) marks: usize,
}

/// A hole, and the marks between which it and its body lie. One that never ends ends where it begins.
struct Draft {
    hole: Hole,
    whole: [usize; 2],
    body: Option<[usize; 2]>,
}

impl Holes {
    /// A new mark.
    pub(super) fn mark(&mut self) -> usize {
        self.marks += 1;
        self.marks - 1
    }

    /// Begins a hole at the mark `begin`.
    pub(super) fn add(&mut self, hole: Hole, begin: usize) -> usize {
        self.drafts.push(Draft { hole, whole: [begin; 2], body: None });
        self.drafts.len() - 1
    }

    /// Begins the body of hole `number`.
    pub(super) fn begin_body(&mut self, number: usize, begin: usize) {
        self.drafts[number].body = Some([begin; 2]);
    }

    /// Ends hole `number`, and its body if it has one.
    pub(super) fn end(&mut self, number: usize, body_end: Option<usize>, end: usize) {
        let draft = &mut self.drafts[number];
        draft.whole[1] = end;
        if let (Some(body), Some(end)) = (&mut draft.body, body_end) {
            body[1] = end;
        }
    }

    /// The picture that lies just between two marks.
    pub(super) fn image_between(&self, first: usize, last: usize) -> Option<usize> {
        let draft = self.drafts.last()?;
        let is_image = draft.hole.asker == Asker::Hook && draft.hole.name == "render_image";
        (is_image && draft.whole == [first, last]).then(|| self.drafts.len() - 1)
    }

    /// Lets the picture `number` take the place of the paragraph between two marks.
    pub(super) fn stand_alone(&mut self, number: usize, begin: usize, end: usize) {
        let draft = &mut self.drafts[number];
        draft.whole = [begin, end];
        if let Some(alone) = draft.hole.arguments.iter_mut().find(|argument| argument.name == "alone") {
            alone.value = true.into();
        }
    }

    /// The holes in the order of the HTML. What was not written, such as a footnote nobody refers to, has none.
    pub(super) fn finish(self, places: &[Option<Place>]) -> Vec<Hole> {
        let between = |marks: [usize; 2]| Some([places[marks[0]]?, places[marks[1]]?]);
        let span = |[begin, end]: [Place; 2]| Span::new(begin.at..end.at);
        let found = self.drafts.into_iter().filter_map(|draft| {
            let whole = between(draft.whole)?;
            let body = draft.body.and_then(between).map(span);
            Some((whole.map(|place| place.order), Hole { whole: span(whole), body, ..draft.hole }))
        });
        let mut found: Vec<([usize; 2], Hole)> = found.collect();
        found.sort_by_key(|([begin, _], _)| *begin);
        for number in 0..found.len() {
            let end = found[number].0[1];
            let inside = found[number + 1..].iter().take_while(|([begin, _], _)| *begin < end).count();
            found[number].1.inside = inside;
        }
        found.into_iter().map(|(_, hole)| hole).collect()
    }
}
