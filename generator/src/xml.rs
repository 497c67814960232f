//! Text inside XML and HTML.

use std::io::{self, Write};

/// `text` as it stands inside an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = Vec::with_capacity(text.len());
    escape_to(text, &mut escaped).expect("writing into memory cannot fail");
    String::from_utf8(escaped).expect("escaping replaces whole ASCII characters, so the text stays UTF-8")
}

/// Writes `text` as it stands inside an element or a quoted attribute. Forbidden characters are dropped.
pub(crate) fn escape_to(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate().filter(|(_, byte)| SPECIAL[usize::from(**byte)]) {
        out.write_all(&bytes[done..at])?;
        out.write_all(match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\'' => b"&#39;",
            _ => b"",
        })?;
        done = at + 1;
    }
    out.write_all(&bytes[done..])
}

/// Which bytes do not stand for themselves. All are ASCII, so none is part of a longer character.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        special[byte] = byte < 0x20 && byte != 0x9 && byte != 0xa && byte != 0xc && byte != 0xd;
        byte += 1;
    }
    special[b'&' as usize] = true;
    special[b'<' as usize] = true;
    special[b'>' as usize] = true;
    special[b'"' as usize] = true;
    special[b'\'' as usize] = true;
    special
};

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
