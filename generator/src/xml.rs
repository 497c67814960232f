//! Text inside XML and HTML.

use std::io::{self, Write};

use crate::source::is_forbidden;

/// `text` as it stands inside an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = Vec::with_capacity(text.len());
    escape_to(text, &mut escaped).expect("writing into memory cannot fail");
    String::from_utf8(escaped).expect("escaping replaces whole ASCII characters, so the text stays UTF-8")
}

/// Writes `text` as it stands inside an element or a quoted attribute. Forbidden characters are dropped.
pub(crate) fn escape_to(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || is_forbidden(c);
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        out.write_all(&rest.as_bytes()[..at])?;
        let entity: &[u8] = match rest.as_bytes()[at] {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\'' => b"&#39;",
            _ => b"",
        };
        out.write_all(entity)?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_has_a_meaning_is_escaped_and_marks_are_dropped() {
        assert_eq!(
            super::escape("<a href=\"x\">Tom's & 会\u{1}\u{2}</a>"),
            "&lt;a href=&quot;x&quot;&gt;Tom&#39;s &amp; 会&lt;/a&gt;"
        );
    }
}
