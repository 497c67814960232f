//! Pictures in Markdown: the words that stand for them, and how a page shows a raster picture of the site.

use pulldown_cmark::{CowStr, Event};

use super::Span;
use crate::picture::Picture;
use crate::xml::escape;

/// A picture whose text is still being read.
pub(super) struct Image<'a> {
    /// The address, as the page spells it.
    pub(super) address: CowStr<'a>,
    /// What is shown when one points at it.
    pub(super) title: CowStr<'a>,
    /// Its size, where that is known.
    pub(super) picture: Option<Picture>,
    /// The words that stand for it.
    pub(super) alt: String,
    /// Where its address stands in the file.
    pub(super) span: Span,
    depth: usize,
}

impl<'a> Image<'a> {
    /// A picture whose text is still to come.
    pub(super) fn new(address: CowStr<'a>, title: CowStr<'a>, picture: Option<Picture>, span: Span) -> Self {
        Self { address, title, picture, alt: String::new(), span, depth: 0 }
    }

    /// Hears what stands between the brackets; tells whether the picture goes on after this.
    pub(super) fn hear(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) if self.depth == 0 => return false,
            Event::End(_) => self.depth -= 1,
            Event::Text(words) | Event::Code(words) | Event::InlineMath(words) => self.alt.push_str(words),
            Event::SoftBreak | Event::HardBreak => self.alt.push(' '),
            _ => {}
        }
        true
    }

    /// The element. A browser picks the file that suits its window, no wider than the picture is.
    pub(super) fn html(&self) -> String {
        let title = if self.title.is_empty() { String::new() } else { format!(" title=\"{}\"", escape(&self.title)) };
        let start = format!("<img src=\"{}\" alt=\"{}\"{title}", href(&self.address), escape(&self.alt));
        let Some(Picture { width, height, .. }) = &self.picture else { return format!("{start} />") };
        let files = match self.srcset() {
            files if files.is_empty() => files,
            files => format!(" srcset=\"{}\" sizes=\"(max-width: {width}px) 100vw, {width}px\"", escape(&files)),
        };
        format!("{start} width=\"{width}\" height=\"{height}\"{files} loading=\"lazy\" decoding=\"async\" />")
    }

    /// The files that show it, as `srcset` lists them.
    pub(super) fn srcset(&self) -> String {
        self.picture.as_ref().map(Picture::srcset).unwrap_or_default()
    }
}

/// `address` inside a quoted attribute.
pub(super) fn href(address: &str) -> String {
    let mut href = String::with_capacity(address.len());
    pulldown_cmark_escape::escape_href(&mut href, address).expect("writing into a String cannot fail");
    href
}

#[cfg(test)]
mod tests {
    use super::super::tests::body;

    #[test]
    fn pictures_of_known_size_keep_their_place_and_come_in_the_width_that_suits() {
        assert_eq!(
            body("![a *small* \"cup\"\nof `tin`](/cup.jpg?v=1&w \"Cup & \\\"saucer\\\"\")").html,
            "<p><img src=\"/cup.jpg?v=1&amp;w\" alt=\"a small &quot;cup&quot; of tin\" \
             title=\"Cup &amp; &quot;saucer&quot;\" width=\"900\" height=\"600\" \
             srcset=\"/%E5%99%A8-450.webp 450w, /cup-900.webp 900w\" sizes=\"(max-width: 900px) 100vw, 900px\" \
             loading=\"lazy\" decoding=\"async\" /></p>\n"
        );
    }

    #[test]
    fn other_pictures_are_shown_as_they_are() {
        for (text, html) in [
            ("![a](/cup.png \"b\")", "<p><img src=\"/cup.png\" alt=\"a\" title=\"b\" /></p>\n"),
            ("![a](https://b.example/cup.jpg)", "<p><img src=\"https://b.example/cup.jpg\" alt=\"a\" /></p>\n"),
        ] {
            assert_eq!(body(text).html, html);
        }
    }
}
