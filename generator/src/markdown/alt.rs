//! Whether a picture has words for those who cannot see it. One that only decorates says so in the place of its title.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

/// The title of a picture that only decorates: `![](/wave.svg "decorative")`. Visitors do not get to see it.
const DECORATIVE: &str = "decorative";

/// Listens for pictures without words.
#[derive(Default)]
pub(super) struct Alt {
    open: Option<Open>,
}

/// A picture whose words are being read.
struct Open {
    range: Range<usize>,
    has_words: bool,
    /// How many pictures stand in it.
    within: usize,
}

impl Alt {
    /// Hears the next event, which stands at `range`. Gives the place of a picture that has ended without words.
    pub(super) fn hear(&mut self, event: &mut Event<'_>, range: &Range<usize>) -> Option<Range<usize>> {
        match (event, &mut self.open) {
            (Event::Start(Tag::Image { .. }), Some(open)) => open.within += 1,
            (Event::Start(Tag::Image { title, .. }), None) => {
                let decorates = &**title == DECORATIVE;
                if decorates {
                    *title = CowStr::Borrowed("");
                }
                self.open = Some(Open { range: range.clone(), has_words: decorates, within: 0 });
            }
            (Event::Text(words) | Event::Code(words) | Event::InlineMath(words), Some(open)) => {
                open.has_words |= !words.trim().is_empty();
            }
            (Event::End(TagEnd::Image), Some(open)) if open.within > 0 => open.within -= 1,
            (Event::End(TagEnd::Image), open) => {
                return open.take().filter(|open| !open.has_words).map(|open| open.range);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::body;
    use super::super::{LinkKind, Target};

    #[test]
    fn a_picture_needs_words_unless_it_decorates() {
        let wordless = |text: &str| {
            let links = body(text).links;
            let wordless = links.iter().filter(|link| link.target == Target::Wordless);
            wordless.map(|link| (link.kind, text[link.span.range()].to_owned())).collect::<Vec<_>>()
        };
        for good in ["![a](/a.svg)", "![`a`](/a.svg)", "![](/a.svg \"decorative\")", "![![a](/b.svg)](/a.svg)"] {
            assert_eq!(wordless(good), [], "{good}");
        }
        assert_eq!(wordless("x ![](/a.svg)"), [(LinkKind::Picture, "![](/a.svg)".to_owned())]);
        assert_eq!(wordless("![ ](https://b.example/a.svg \"A cup\")").len(), 1);
        assert_eq!(body("![](/a.svg \"decorative\")").html, "<p><img src=\"/a.svg\" alt=\"\" /></p>\n");
    }
}
