//! The links and pictures of a text that stay on the site: where they lead, and how the page spells that.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tieup_protocol::path::SitePath;

use super::Base;
use crate::url;

/// A link or picture in Markdown. A large site keeps very many, so it is small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// What it is.
    pub(crate) kind: LinkKind,
    /// Where it leads.
    pub(crate) target: Target,
    /// Where the destination stands in the file.
    pub(crate) span: Span,
}

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// A link to follow.
    Link,
    /// A picture to show.
    Picture,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a path of the site.
    Path {
        /// The path.
        path: SitePath,
        /// The anchor on that page.
        fragment: Option<Box<str>>,
    },
    /// To a Markdown file that does not exist; its path below `content/`.
    NoFile(Box<str>),
    /// To nowhere: what is written is not a path.
    Invalid(Box<str>),
    /// Wherever it leads, it is a picture without words for those who cannot see it.
    Wordless,
}

/// A stretch of a file, in bytes. No text is longer than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes `range`.
    pub(crate) fn new(range: Range<usize>) -> Self {
        let [start, end] = [range.start, range.end].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        Self { start, end }
    }

    /// The bytes.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where a destination stands; the first line of the link where it is written elsewhere, as in a reference.
pub(super) fn destination_span(text: &str, range: Range<usize>, written: &str) -> Span {
    let whole = &text[range.clone()];
    Span::new(match whole.rfind(written).filter(|_| !written.is_empty()) {
        Some(at) => range.start + at..range.start + at + written.len(),
        None => range.start..range.start + whole.lines().next().map_or(0, str::len),
    })
}

/// Where `written` leads, and how the page spells it if not as written.
pub(super) fn resolve(written: &str, base: &Base<'_>) -> (Target, Option<String>) {
    let (rest, fragment) = match written.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (written, None),
    };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let invalid = || Target::Invalid(written.into());
    let path = if place.is_empty() {
        Ok(base.page.clone())
    } else if is_markdown(place) && !place.starts_with('/') {
        let file = join(base.folder, place).map(|file| decoded(&file));
        let page = file.as_deref().and_then(base.page_of);
        page.ok_or_else(|| Target::NoFile(file.unwrap_or_else(|| place.to_owned()).into()))
    } else if place.starts_with('/') {
        SitePath::from_request(place).map_err(|_| invalid())
    } else {
        let folder = base.page.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let joined = join(folder.trim_matches('/'), place).map(|joined| format!("/{joined}"));
        joined.and_then(|joined| SitePath::from_request(&joined).ok()).ok_or_else(invalid)
    };
    match path {
        Err(target) => (target, None),
        Ok(path) => {
            let address = (!place.is_empty() && !place.starts_with('/')).then(|| {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
                format!("{}{query}{fragment}", url::encode(&path))
            });
            let fragment = fragment.filter(|fragment| !fragment.is_empty()).map(|fragment| decoded(fragment).into());
            (Target::Path { path, fragment }, address)
        }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn is_markdown(place: &str) -> bool {
    place.len() > 3 && place.get(place.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case(".md"))
}

/// `relative` seen from `folder`, without `.` and `..`; none where it climbs out of the root.
fn join(folder: &str, relative: &str) -> Option<String> {
    let mut segments: Vec<&str> = folder.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut last = "";
    for segment in relative.split('/') {
        last = segment;
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            segment => segments.push(segment),
        }
    }
    let slash = if matches!(last, "" | "." | "..") && !segments.is_empty() { "/" } else { "" };
    Some(format!("{}{slash}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::body;
    use super::*;

    fn leads(text: &str) -> (Target, String) {
        let body = body(text);
        let address = body.html.split('"').nth(1).unwrap_or_default().to_owned();
        (body.links[0].target.clone(), address)
    }

    fn to(path: &str, fragment: Option<&str>) -> Target {
        Target::Path { path: path.parse().unwrap(), fragment: fragment.map(Into::into) }
    }

    #[test]
    fn links_lead_where_a_reader_would_expect() {
        let table = [
            ("[a](/news/)", to("/news/", None), "/news/"),
            ("[a](/news/?q=1#top)", to("/news/", Some("top")), "/news/?q=1#top"),
            ("[a](delivery.md)", to("/help/post/", None), "/help/post/"),
            ("[a](../help/delivery.md#cost)", to("/help/post/", Some("cost")), "/help/post/#cost"),
            ("[a](#cost)", to("/help/ordering/", Some("cost")), "#cost"),
            ("[a](../returns/)", to("/help/returns/", None), "/help/returns/"),
            ("[a](/%E4%BC%9A/)", to("/会/", None), "/%E4%BC%9A/"),
        ];
        for (text, target, address) in table {
            assert_eq!(leads(text), (target, address.to_owned()), "{text}");
        }
        assert_eq!(leads("[a](nowhere.md)").0, Target::NoFile("help/nowhere.md".into()));
        assert_eq!(leads("[a](../../../x/)").0, Target::Invalid("../../../x/".into()));
        assert_eq!(leads("[a](/a//b)").0, Target::Invalid("/a//b".into()));
        assert!(body("[a](https://b.example/) [c](mailto:d@e.example)").links.is_empty());
    }

    #[test]
    fn a_link_knows_where_it_stands() {
        let text = "Words.\n\nSee [the](/the/) and ![a cup](/cup.png).\n";
        let links = body(text).links;
        assert_eq!(&text[links[0].span.range()], "/the/");
        assert_eq!((links[1].kind, &text[links[1].span.range()]), (LinkKind::Picture, "/cup.png"));
        let text = "See [the one][x].\n\n[x]: /the/\n";
        assert_eq!(&text[body(text).links[0].span.range()], "[the one][x]");
    }
}
