//! HTML put together so that no text becomes markup.

use std::fmt::{Display, Write as _};

use crate::terminal::printable;

/// Markup. It is made by [`html!`](crate::html!), which escapes everything that it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

/// Markup by a form as of `format!`, whose values are escaped unless they are [`Html`].
#[macro_export]
macro_rules! html {
    ($form:literal $(, $value:expr)* $(,)?) => {
        $crate::console::Html::of_program(format!($form $(, $crate::console::html::Shown::shown(&$value))*))
    };
}

/// What can stand in markup.
pub trait Shown {
    /// It as markup.
    fn shown(&self) -> String;
}

impl<T: Display + ?Sized> Shown for T {
    fn shown(&self) -> String {
        escape(&self.to_string())
    }
}

impl Shown for Html {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Shown for &Html {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Html {
    /// Markup that this program itself wrote. Text of anybody else goes through [`html!`](crate::html!).
    pub fn of_program(markup: String) -> Self {
        Self(markup)
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(parts: I) -> Self {
        Self(parts.into_iter().fold(String::new(), |mut all, Self(part)| {
            let _ = all.write_str(&part);
            all
        }))
    }
}

/// `text` where HTML holds text or a quoted attribute. What would turn the direction of writing is shown, not obeyed.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_is_never_markup_and_markup_stays_it() {
        let bold = html!("<b>{}</b>", "<a href=\"x\">&'\u{202e}");
        assert_eq!(bold.as_str(), "<b>&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\u202e</b>");
        assert_eq!(html!("<p title=\"{}\">{}</p>", 7, bold.clone()).as_str(), format!("<p title=\"7\">{}</p>", bold.0));
        let list: crate::console::Html = ["<", ">"].iter().map(|text| html!("<li>{}</li>", text)).collect();
        assert_eq!(list.as_str(), "<li>&lt;</li><li>&gt;</li>");
    }
}
