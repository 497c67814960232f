//! The shape of a page: all of it but its words, and what in it an operator wants to know of.
//!
//! Pages are read by the tokenizer rules of the HTML standard. Where a browser might see something else than the
//! tokenizer does, the shape keeps everything, so that such a page is never taken for a change of words.

mod addresses;
mod reading;

use std::sync::Arc;

pub use self::addresses::hosts_in_css;
pub(crate) use self::addresses::visible;
use self::reading::Reading;
use crate::change::Risks;
use crate::patch::{equal_at_end, equal_at_start};

/// What a page has beside its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageShape {
    /// Scripts, forms and external hosts of the page. Most pages of a site have the same, and can share them.
    pub risks: Arc<Risks>,
    /// Whether browsers may take something in it for words or for markup that our reader does not.
    doubtful: bool,
    /// Behind which tags the reader rests, at least [`APART`] bytes from each other: whatever follows there is read as it
    /// would be at the beginning of a page.
    rests: Box<[u32]>,
}

/// How many bytes lie between two places that a shape remembers. Fewer in tests, whose pages are short.
const APART: u32 = if cfg!(test) { 8 } else { 256 };

/// How a page came of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The page that came. Its risks are those that it has, and may be those that the page before it had.
    pub shape: PageShape,
    /// Whether the two differ in words alone.
    pub in_words_alone: bool,
}

impl PageShape {
    /// Reads the shape of an HTML page.
    pub fn of(html: &str) -> Self {
        let Reading { risks, doubtful, rests, .. } = Reading::without_skeleton(html);
        Self { risks: Arc::new(risks), doubtful, rests: apart(rests) }
    }

    /// How `new` came of `old`, whose shape this is. Only what differs is read, from a tag behind which both rest to
    /// the next such tag.
    pub fn step(&self, old: &str, new: &str) -> Step {
        let equal = equal_at_start(old.as_bytes(), new.as_bytes());
        let from = self.rests.partition_point(|rest| *rest as usize <= equal);
        let start = from.checked_sub(1).map_or(0, |last| self.rests[last] as usize);
        let behind = equal_at_end(&old.as_bytes()[equal..], &new.as_bytes()[equal..]);
        let next = self.rests[from..].iter().map(|rest| *rest as usize).find(|rest| rest + behind >= old.len());
        let after = old.len() - next.unwrap_or(old.len());
        let step = self.step_within(old, new, start, after).or_else(|| self.step_within(old, new, start, 0));
        match step {
            // What has become doubtful may be so in what is equal, too.
            Some(step) if step.shape.doubtful && !self.doubtful => Step { shape: Self::of(new), in_words_alone: false },
            Some(step) => step,
            // The shape is not that of `old`.
            None => Self::of(old).step(old, new),
        }
    }

    /// The same, where the pages are equal before `start` and in their last `after` bytes. None where they do not rest
    /// at both places.
    fn step_within(&self, old: &str, new: &str, start: usize, after: usize) -> Option<Step> {
        let (old_end, new_end) = (old.len().checked_sub(after)?, new.len().checked_sub(after)?);
        let before = Reading::within(self, old.get(start..old_end)?);
        let now = Reading::within(self, new.get(start..new_end)?);
        if after > 0 && !(before.is_at_rest() && now.is_at_rest()) {
            return None;
        }
        // Where the same characters can be words or markup, nothing is said of the page.
        let doubtful = self.doubtful || now.doubtful;
        let in_words_alone = !doubtful && before.skeleton == now.skeleton;
        let moved = |rest: u32| u32::try_from(rest as usize + new_end - old_end).ok();
        let kept = self.rests.iter().copied();
        let first = kept.clone().take_while(|rest| *rest as usize <= start);
        let read = now.rests.iter().filter_map(|rest| u32::try_from(start + *rest as usize).ok());
        let last = kept.filter(|rest| *rest as usize > old_end).filter_map(moved);
        let mut risks = self.risks.clone();
        if !risks.contains(&now.risks) {
            Arc::make_mut(&mut risks).extend(now.risks);
        }
        let shape = Self { risks, doubtful, rests: apart(first.chain(read).chain(last)) };
        Some(Step { shape, in_words_alone })
    }
}

/// Some of the places where a reader rests, in order: so many that little more is read of a page than what differs, and
/// so few that a daemon can hold those of every page it serves.
fn apart(rests: impl IntoIterator<Item = u32>) -> Box<[u32]> {
    let mut from = 0;
    let far_enough = |rest: &u32| {
        let is_far = *rest >= from;
        if is_far {
            from = rest.saturating_add(APART);
        }
        is_far
    };
    rests.into_iter().filter(far_enough).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const PAGE: &str = "<html><body class=\"x\"><h1 id=\"a\">A</h1><p>One <a href=\"/b/\">b</a></p></body></html>";

    fn text_only(old: &str, new: &str) -> bool {
        PageShape::of(old).step(old, new).in_words_alone
    }

    #[test]
    fn words_and_marks_around_words_are_text() {
        assert!(text_only(PAGE, &PAGE.replace("One", "<em>Two</em>")));
        assert!(text_only(PAGE, &PAGE.replace("</body>", "<p>Another paragraph</p></body>")));
        assert!(text_only("<meta name=description content=a>", "<meta name=description content=b>"));
    }

    #[test]
    fn everything_else_is_more_than_text() {
        for (from, to) in [
            ("/b/", "/c/"),
            ("class=\"x\"", "class=\"y\""),
            ("One", "<script>alert(1)</script>"),
            ("<p>", "<p onclick=\"x()\">"),
            ("One", "<img src=\"/x.png\">"),
            ("One", "<a href=\"//evil.example/\">One</a>"),
            ("One", "<style>body{display:none}</style>"),
        ] {
            assert!(!text_only(PAGE, &PAGE.replace(from, to)), "{from} -> {to}");
        }
        assert!(!text_only("<script>a</script>", "<script>b</script>"));
        assert!(!text_only("<style>a</style>", "<style>b</style>"));
    }

    #[test]
    fn words_in_metadata_are_text_and_what_they_are_about_is_not() {
        let page = |graph: &str| format!("<script type=\"application/ld+json\">{graph}</script>");
        let product = r#"{"@type":"Product","name":"Pan","offers":{"price":"5280","url":"/pan/"}}"#;
        let changed = |from: &str, to: &str| text_only(&page(product), &page(&product.replace(from, to)));
        assert!(changed("Pan", "Pot") && !changed("5280", "1") && !changed("/pan/", "//evil.example/"));
        assert!(!changed("\"Pan\"", "{\"@id\": 1}") && !changed("Pan", "<!--<script>") && !changed("}}", "}"));
        assert!(PageShape::of(&page(product)).risks.is_empty() && !PageShape::of(&page("steal()")).risks.is_empty());
        let scripted = page(product).replace("ld+json\"", "ld+json\" src=\"//evil.example/x.js\"");
        assert!(!PageShape::of(&scripted).risks.is_empty());
        let shared = "<meta property=\"og:title\" content=\"Pan\"><meta property=\"og:url\" content=\"/pan/\">";
        assert!(text_only(shared, &shared.replace("Pan", "Pot")));
        assert!(!text_only(shared, &shared.replace("/pan/", "/pot/")));
        let refresh = "<meta http-equiv=refresh name=description content=\"0;url=/a/\">";
        assert!(!text_only(refresh, &refresh.replace("/a/", "//evil.example/")));
    }

    #[test]
    fn markup_hidden_from_one_reader_is_never_text() {
        let meta = "<meta http-equiv=refresh content=\"0;url=https://evil.example\">";
        for (old, new) in [
            ("<title>about</title>", format!("<title><!--</title>{meta}-->about</title>")),
            ("<title>about</title>", format!("<title>x</p a=\"</title>{meta}\"></title>")),
            ("<p>a</p>", "<p>a<!-- b --></p>".to_owned()),
            ("<p>a</p>", "<p>a</p b=\"c\">".to_owned()),
            ("<script>a='<p>one</p>'</script>", "<script>a='<p>one</p>'; steal()</script>".to_owned()),
            ("<textarea>a</textarea>", "<textarea>b</textarea>".to_owned()),
            ("<noscript>a</noscript>", "<noscript>b</noscript>".to_owned()),
            ("<svg><title>a</title></svg>", "<svg><title>b</title></svg>".to_owned()),
        ] {
            assert!(!text_only(old, &new), "{old} -> {new}");
        }
        assert!(text_only("<title>a</title>", "<title>b</title>"));
    }

    #[test]
    fn inline_scripts_are_told_apart_and_addresses_cannot_move_the_cursor() {
        let scripts = |html: &str| PageShape::of(html).risks.scripts.clone();
        assert_ne!(scripts("<script>a()</script>"), scripts("<script>steal()</script>"));
        assert!(!scripts("<script>a()</script>").is_empty());
        let forged = scripts("<script src=\"x\r\n\u{1b}[2K\"></script>");
        assert!(forged.iter().all(|script| !script.contains(char::is_control)), "{forged:?}");
        let hosts = PageShape::of("<style>a{background:url( 'https://evil.example/x')}</style>").risks.hosts.clone();
        assert_eq!(hosts, BTreeSet::from(["evil.example".to_owned()]));
    }

    #[test]
    fn a_page_that_leads_to_another_of_the_site_is_no_risk() {
        let scripts =
            |to: &str| PageShape::of(&format!("<meta http-equiv=refresh content='0; url={to}'>")).risks.scripts.clone();
        assert!(scripts("/pans/").is_empty());
        for to in ["//evil.example/", "https://evil.example/", "/\t/evil.example/", "pans/"] {
            assert!(!scripts(to).is_empty(), "{to}");
        }
        for content in ["0;URL=//evil.example/?url=/ok", "0;//evil.example/?url=/ok", "0; URL=/ok"] {
            let page = PageShape::of(&format!("<meta http-equiv=refresh content='{content}'>"));
            assert!(!page.risks.is_empty(), "{content}");
        }
    }

    #[test]
    fn what_another_reader_takes_for_markup_is_never_words_and_its_risks_are_named() {
        let script = "<script src=/x.js></script><a href=//evil.example/>a</a>";
        for (old, new) in [
            ("<noframe>hi</noframe>", format!("<noframe>{script}</noframe>")),
            ("<noframes><h1 id=a>", format!("<noframes><h1 id=\"</noframes>{script}\">")),
            ("<select><plaintext></select>a", format!("<select><plaintext></select>{script}")),
            ("<svg><style>a</style>", format!("<svg><style>{script}</style>")),
            ("<svg><title>a</title>", format!("<svg><title>{script}</title>")),
            ("<noscript>a</noscript>", format!("<noscript>{script}</noscript>")),
            ("<noscript>a</noscript>", format!("<noscript><xmp><noembed>{script}</noembed></xmp></noscript>")),
            ("<p>a</p>", "<p>\0s\0c\0</p>".to_owned()),
            ("<p>a</p>", "<p>\u{fffd}a</p>".to_owned()),
        ] {
            assert!(!text_only(old, &new), "{old} -> {new}");
            let known = PageShape::of(old).step(old, &new).shape;
            for shape in [PageShape::of(&new), known] {
                let named = shape.risks.scripts.contains("/x.js") && shape.risks.hosts.contains("evil.example");
                let is_attribute = new.contains("id=\"</noframes>");
                assert!(named || is_attribute || !new.contains("x.js") && !shape.risks.is_empty(), "{new}: {shape:?}");
            }
        }
        assert!(!PageShape::of(&"<noscript>".repeat(100_000)).risks.is_empty(), "it ends, and says so");
        let referrer = "<meta name=referrer property=og:title content=origin>";
        assert!(!text_only(referrer, &referrer.replace("origin", "unsafe-url")));
        for css in [
            "@import/**/\"//evil.example/\"",
            "@import\n'//evil.example/'",
            "a{content:'/*'}b{background:url(//evil.example/)}",
        ] {
            assert_eq!(hosts_in_css(css).collect::<Vec<_>>(), ["evil.example"], "{css}");
        }
    }

    #[test]
    fn risks_are_named() {
        let risks = PageShape::of(concat!(
            "<script src=\"https://cdn.example/x.js\"></script><form action=\"/pay\"></form>",
            "<a href=\"java\tscript:x()\">x</a><a href=\"/ok/\">y</a><img src=\"\\\\evil.example/x\">",
            "<img srcset=\"/a.png 1x,//two.example/b.png 2x\"><a href=\"/\t/b\" ping=\"/p https://ping.example/\">z</a>"
        ))
        .risks;
        assert_eq!(risks.scripts, BTreeSet::from(["https://cdn.example/x.js".to_owned()]));
        assert_eq!(risks.forms, BTreeSet::from(["/pay".to_owned()]));
        let hosts =
            ["cdn.example", "evil.example", "javascript:", "ping.example", "two.example", "b"].map(str::to_owned);
        assert_eq!(risks.hosts, BTreeSet::from(hosts));
    }

    /// Pieces of pages, some of which leave the reader within something.
    const PIECES: [&str; 25] = [
        "<p>",
        "</p>",
        "words ",
        "é\r\n",
        "<a href=\"/b/\">",
        "</a>",
        "<a href='//evil.example/'>",
        "<script>",
        "</script>",
        "x='<p>'",
        "<title>",
        "</title>",
        "<!--",
        "-->",
        "<svg>",
        "<plaintext>",
        "<img src=\"",
        "\">",
        "&lt;&notin",
        "<",
        "</p b=\"c\">",
        "<noframes>",
        "<noframe>",
        "<noscript>",
        "</noscript>",
    ];

    fn page() -> impl Strategy<Value = Vec<&'static str>> {
        vec(select(&PIECES[..]), 0..24)
    }

    proptest! {
        #[test]
        fn a_part_is_read_as_the_whole_page_is(
            (old, new, third) in (page(), page(), page(), page(), page()).prop_map(|(start, a, b, c, end)| {
                let whole = |middle: &[&str]| [&start[..], middle, &end[..]].concat().concat();
                (whole(&a), whole(&b), whole(&c))
            })
        ) {
            let (before, after) = (Reading::within(&PageShape::default(), &old), Reading::within(&PageShape::default(), &new));
            let alone = !before.doubtful && !after.doubtful && before.skeleton == after.skeleton;
            let shape = PageShape::of(&old);
            prop_assert_eq!(&shape.rests, &apart(before.rests));
            prop_assert_eq!(&*shape.risks, &before.risks);
            let step = shape.step(&old, &new);
            prop_assert_eq!(step.in_words_alone, alone, "{} -> {}", old, new);
            let is_read = |rest| after.rests.contains(rest);
            prop_assert!(step.shape.rests.iter().all(is_read), "{} -> {}", old, new);
            prop_assert!(after.risks.beyond(&step.shape.risks).is_empty());
            let mut both = shape.risks.as_ref().clone();
            both.extend(after.risks.clone());
            prop_assert!(step.shape.doubtful || step.shape.risks.beyond(&both).is_empty());
            // What was found part by part serves for the next step.
            let last = step.shape.step(&new, &third);
            let read = Reading::within(&PageShape::default(), &third);
            prop_assert!(last.shape.rests.iter().all(|rest| read.rests.contains(rest)));
            prop_assert!(last.shape.doubtful || !read.doubtful);
        }
    }
}
