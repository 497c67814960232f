//! What a reader sees of a page, read from its HTML: what stands in `<main>`, without navigation and scripts.
//!
//! It forgives: what it takes wrongly for words, or leaves out, changes what a search finds and nothing else.

use std::ops::Range;

use memchr::{memchr, memmem};

/// The text of one page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageText {
    /// The headings.
    pub(crate) headings: String,
    /// Everything else.
    pub(crate) body: String,
    /// The first paragraph of some length, in `body`.
    opening: Range<usize>,
}

/// Elements whose text is for no reader, or for finding the way.
const PASSED_OVER: [&str; 9] = ["nav", "script", "style", "template", "svg", "noscript", "rt", "rp", "option"];

/// Elements that stand within a word.
const INLINE: [&str; 16] =
    ["a", "abbr", "b", "bdi", "cite", "code", "em", "i", "mark", "ruby", "s", "small", "span", "strong", "u", "wbr"];

/// Elements without an end tag.
const VOID: [&str; 8] = ["br", "hr", "img", "input", "link", "meta", "source", "wbr"];

/// What an element says whose text is not to be found.
const SKIP: [&[u8]; 2] = [b"data-search=\"skip\"", b"data-search=skip"];

/// The least bytes of a paragraph that can stand for its page.
const OPENING: usize = 40;

/// Reads a page. None where its `<main>` (or failing that its `<body>`) says `data-search="skip"`.
pub(crate) fn read(html: &str) -> Option<PageText> {
    let (start, end) = region(html);
    let mut reader = Reader { rest: &html[start..end], text: PageText::default(), heading: false, paragraph: None };
    if let Some(tag) = Tag::at(reader.rest)
        && ["main", "body"].iter().any(|name| tag.is(name))
        && tag.skips()
    {
        return None;
    }
    reader.run();
    Some(reader.text)
}

impl PageText {
    /// The words that a page begins with, at most `most` characters.
    pub(crate) fn opening(&self, most: usize) -> String {
        let text = if self.opening.end == 0 { self.body.as_str() } else { &self.body[self.opening.clone()] };
        shortened(text, most)
    }
}

/// `text` in one line, cut after a word (or anywhere in scripts without spaces) where it has more than `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut short = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let room = most.saturating_sub(length);
        if word.chars().count() > room {
            let rest = if length == 0 { word.chars().take(room).collect() } else { String::new() };
            return format!("{}{rest}…", short.trim_end());
        }
        length += word.chars().count() + 1;
        short.push_str(word);
        short.push(' ');
    }
    short.truncate(short.trim_end().len());
    short
}

/// Where what is read begins and ends: at the tag of `<main>`, of `<body>`, or of the whole.
fn region(html: &str) -> (usize, usize) {
    let found = ["main", "body"].iter().find_map(|name| {
        let open = format!("<{name}");
        let mut starts = memmem::find_iter(html.as_bytes(), &open);
        let start = starts.find(|at| Tag::at(&html[*at..]).is_some_and(|tag| tag.is(name)))?;
        let end = memmem::rfind(html.as_bytes(), format!("</{name}").as_bytes());
        Some((start, end.filter(|end| *end > start).unwrap_or(html.len())))
    });
    found.unwrap_or((0, html.len()))
}

/// A start or end tag.
#[derive(Clone, Copy)]
struct Tag<'a> {
    name: &'a str,
    is_end: bool,
    /// Everything from `<` to `>`.
    whole: &'a str,
}

impl<'a> Tag<'a> {
    /// The tag that `html` begins with.
    fn at(html: &'a str) -> Option<Self> {
        let inner = html.strip_prefix('<')?;
        let (is_end, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let length = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        Some(Self { name: &inner[..length], is_end, whole: &html[..tag_length(html)] })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name))
    }

    fn skips(&self) -> bool {
        // Most tags are too short to say so.
        self.whole.len() > 20 && SKIP.iter().any(|say| memmem::find(self.whole.as_bytes(), say).is_some())
    }

    fn is_heading(&self) -> bool {
        matches!(self.name.as_bytes(), [b'h' | b'H', b'1'..=b'6'])
    }
}

/// How long the tag is that `html` begins with; a `>` within quotes does not end it.
fn tag_length(html: &str) -> usize {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    html.len()
}

struct Reader<'a> {
    rest: &'a str,
    text: PageText,
    heading: bool,
    /// Where in the body the paragraph began that is open.
    paragraph: Option<usize>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) {
        while let Some(at) = memchr(b'<', self.rest.as_bytes()) {
            self.say(&self.rest[..at]);
            self.rest = &self.rest[at..];
            if let Some(tag) = Tag::at(self.rest) {
                self.rest = &self.rest[tag.whole.len()..];
                self.hear(tag);
            } else if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
                let (end, length) = if self.rest.starts_with("<!--") { ("-->", 3) } else { (">", 1) };
                self.rest = self.rest.find(end).map_or("", |at| &self.rest[at + length..]);
            } else {
                self.say("<");
                self.rest = &self.rest[1..];
            }
        }
        self.say(self.rest);
    }

    fn hear(&mut self, tag: Tag<'a>) {
        if !tag.is_end && !tag.is_one_of(&VOID) && (tag.is_one_of(&PASSED_OVER) || tag.skips()) {
            self.rest = after(self.rest, tag.name);
            return;
        }
        if tag.is_heading() {
            self.heading = !tag.is_end;
            self.text.headings.push(' ');
        }
        if tag.is("p") {
            self.paragraph = (!tag.is_end).then_some(self.text.body.len());
        }
        if !tag.is_one_of(&INLINE) {
            self.sink().push(' ');
        }
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        decode(text, self.sink());
        let (opening, length) = (&mut self.text.opening, self.text.body.len());
        if let Some(start) = self.paragraph
            && (opening.end == 0 || opening.start == start)
            && length - start >= OPENING
        {
            *opening = start..length;
        }
    }

    fn sink(&mut self) -> &mut String {
        if self.heading { &mut self.text.headings } else { &mut self.text.body }
    }
}

/// What follows the end of the element `name` that has just begun.
fn after<'a>(html: &'a str, name: &str) -> &'a str {
    let mut depth = 1;
    let mut rest = html;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        rest = &rest[at..];
        match Tag::at(rest).filter(|tag| tag.is(name)) {
            Some(tag) => {
                depth = if tag.is_end { depth - 1 } else { depth + 1 };
                rest = &rest[tag.whole.len()..];
                if depth == 0 {
                    return rest;
                }
            }
            None => rest = &rest[1..],
        }
    }
    ""
}

/// Appends `text` with its character references written out.
fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let reference = rest.split_once(';').filter(|(name, _)| name.len() < 10);
        match reference.and_then(|(name, after)| Some((character(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            hex.unwrap_or_else(|| number.parse()).ok().and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_in_main_is_read_and_its_headings_apart() {
        let html = "<title>no</title><header>no</header><main id=\"a>b\"><nav><nav>no</nav>no</nav>\
            <h1>The <em>big</em>gest</h1><p>short</p><P class=x>Fish &amp; chips &#x8336; cost 5 &lt; 6, and that is all \
            there is to it.</P><script>if (1 < 2) no</script><ul><li>one</li><li>two</li></ul><img alt=\"no\">\
            <!-- no > --><div data-search=\"skip\"><div>no</div></div>3 < 4</main><footer>no</footer>";
        let text = read(html).unwrap();
        assert_eq!(words(&text.headings), "The biggest");
        assert_eq!(
            words(&text.body),
            "short Fish & chips 茶 cost 5 < 6, and that is all there is to it. one two 3 < 4"
        );
        assert_eq!(text.opening(26), "Fish & chips 茶 cost 5 < 6,…");
        assert_eq!(words(&read("<body><p>a</body>").unwrap().body), "a");
        assert_eq!(read("<main data-search=\"skip\"><p>a</main>"), None);
    }

    #[test]
    fn nothing_in_a_page_stops_the_reader() {
        for html in ["", "<", "<main", "</main><main>", "<main><nav", "<main><!--", "<p>&#xffffffff;&;&#;", "<a b='>"] {
            read(html);
        }
    }

    #[test]
    fn a_long_text_is_cut_after_a_word() {
        assert_eq!(shortened("  one\n two three ", 40), "one two three");
        assert_eq!(shortened("one two three", 8), "one two…");
        assert_eq!(shortened("四十七都道府県のつくり手", 4), "四十七都…");
    }
}
