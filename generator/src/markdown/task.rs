//! Tasks: items of a list that begin with `[ ]` or `[x]`.

use pulldown_cmark::Event;

use super::words::Words;

/// The box of a task, with a word in the language `lang` for whoever does not see it.
pub(super) fn marker<'a>(is_done: bool, lang: &str) -> Event<'a> {
    let checked = if is_done { " checked" } else { "" };
    let word = Words::of(lang).task(is_done);
    Event::InlineHtml(format!("<input type=\"checkbox\" disabled{checked} aria-label=\"{word}\">\n").into())
}
