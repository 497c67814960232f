//! Mathematics: TeX is passed through for the site's own script or for MathML made elsewhere.

use pulldown_cmark::{Event, Tag};

use super::writer::Piece;
use crate::xml::escape;

/// `$...$`, inside a line.
pub(super) fn inline<'a>(tex: &str) -> Event<'a> {
    Event::InlineHtml(format!("<span class=\"math inline\">{}</span>", escape(tex)).into())
}

/// `$$...$$`, on a line of its own or inside one.
pub(super) fn display<'a>(tex: &str) -> Event<'a> {
    Event::InlineHtml(format!("{DISPLAY}{}</span>", escape(tex)).into())
}

const DISPLAY: &str = "<span class=\"math display\">";

/// Lets a formula that is all there is in a paragraph take its place; told when the paragraph ends.
pub(super) fn settle(pieces: &mut Vec<Piece<'_>>) -> bool {
    let [.., Piece::Event(Event::Start(Tag::Paragraph)), Piece::Event(Event::InlineHtml(html))] = &pieces[..] else {
        return false;
    };
    let Some(tex) = html.strip_prefix(DISPLAY) else { return false };
    let tex = tex.trim_end_matches("</span>").trim();
    let block = format!("<div class=\"math display\">{tex}</div>\n");
    pieces.truncate(pieces.len() - 2);
    pieces.push(Piece::Event(Event::Html(block.into())));
    true
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::tests::{body, body_with};

    #[test]
    fn tex_passes_through_where_the_site_asks_for_it() {
        let text = "Area $a < b^2$ and $$x$$.\n\n$$\n\\sum_i *i*\n$$\n";
        let math = Settings { math: true, ..Settings::default() };
        assert_eq!(
            body_with(text, &math).html,
            "<p>Area <span class=\"math inline\">a &lt; b^2</span> and <span class=\"math display\">x</span>.</p>\n\
             <div class=\"math display\">\\sum_i *i*</div>\n"
        );
        assert_eq!(body("From $5 to $9.").html, "<p>From $5 to $9.</p>\n");
        assert_eq!(body_with("From $5 to $9.", &math).html, "<p>From $5 to $9.</p>\n");
        assert_eq!(body("$a$").html, "<p>$a$</p>\n");
    }
}
