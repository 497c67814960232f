//! Checks where links lead, once every path and every page's HTML is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::path::SitePath;

use crate::markdown::{Link, LinkKind, Target};
use crate::output::OutputFile;
use crate::page::Source;
use crate::view::View;

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It exists, but its HTML is not at hand.
    Exists,
    /// It may exist: another party publishes there.
    Perhaps,
    /// It does not exist.
    No,
}

/// What links are checked against.
pub(crate) struct Checker<'a> {
    /// The files of this build.
    pub(crate) files: &'a BTreeMap<SitePath, OutputFile>,
    /// The pages of this build.
    pub(crate) view: &'a View,
    /// What is known of paths that are not among the files.
    pub(crate) elsewhere: &'a dyn Fn(&SitePath) -> Known,
}

impl Checker<'_> {
    /// Checks the links of every page of the view.
    pub(crate) fn check_pages(&self, problems: &mut Vec<Diagnostic>) {
        let mut anchors = HashMap::new();
        for (_, page) in self.view.own() {
            for link in &page.body.links {
                problems.extend(self.check(link, &page.source, &mut anchors));
            }
        }
    }

    /// Checks the links of a text that is not a page, such as a slot's.
    pub(crate) fn check_text(&self, links: &[Link], source: &Source, problems: &mut Vec<Diagnostic>) {
        let mut anchors = HashMap::new();
        problems.extend(links.iter().filter_map(|link| self.check(link, source, &mut anchors)));
    }

    fn check<'f>(
        &'f self,
        link: &Link,
        source: &Source,
        anchors: &mut HashMap<&'f SitePath, BTreeSet<&'f str>>,
    ) -> Option<Diagnostic> {
        let problem = match &link.target {
            Target::NoFile(file) => {
                let message = format!("the link leads to `{file}`, and there is no such page in the content");
                Diagnostic::new("broken-link", source.file.as_str(), message)
                    .help("a link to a `.md` file is relative to the file it stands in; a draft is no page")
            }
            Target::Invalid => {
                let message = format!("`{}` is not a path of this site", link.written);
                Diagnostic::new("broken-link", source.file.as_str(), message)
            }
            Target::Path { path, fragment } => match self.files.get_key_value(path) {
                None => self.missing(path, link, source)?,
                Some((path, file)) => {
                    let fragment = fragment.as_deref().filter(|_| file.media_type.starts_with("text/html"))?;
                    let ids = anchors.entry(path).or_insert_with(|| ids(&file.bytes));
                    no_anchor(path, fragment, ids, source)?
                }
            },
        };
        let length = source.text[link.span.clone()].chars().count();
        Some(problem.at_offset(&source.text, link.span.start, length))
    }

    fn missing(&self, path: &SitePath, link: &Link, source: &Source) -> Option<Diagnostic> {
        // A page of the view that is not among the files came with a release, or its template stumbled.
        if self.view.contains(path) || (self.elsewhere)(path) != Known::No {
            return None;
        }
        let (code, message) = match link.kind {
            LinkKind::Picture => ("missing-image", format!("there is no picture `{path}`")),
            LinkKind::Link => ("broken-link", format!("nothing stands at `{path}`")),
        };
        let problem = Diagnostic::new(code, source.file.as_str(), message);
        let slashed = path.with_slash();
        if self.view.contains(&slashed) {
            return Some(problem.help(format!("did you mean `{slashed}`?")));
        }
        let near = match link.kind {
            LinkKind::Link => self.view.suggest(path.as_str()),
            LinkKind::Picture => {
                let assets = self.files.keys().filter(|path| !path.is_page()).map(SitePath::as_str);
                nearest(path.as_str(), assets.take(2_000))
            }
        };
        Some(match (near, link.kind) {
            (Some(near), _) => problem.help(format!("did you mean `{near}`?")),
            (None, LinkKind::Picture) => problem.help("pictures go into static/, which becomes the root of the site"),
            (None, LinkKind::Link) => problem,
        })
    }
}

fn no_anchor(path: &SitePath, fragment: &str, ids: &BTreeSet<&str>, source: &Source) -> Option<Diagnostic> {
    // `#top` leads to the top of any page (HTML, "select the indicated part").
    if ids.contains(fragment) || fragment == "top" {
        return None;
    }
    let message = format!("`{path}` has no anchor `#{fragment}`");
    let problem = Diagnostic::new("broken-anchor", source.file.as_str(), message);
    Some(match nearest(fragment, ids.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `#{near}`?")),
        None => problem,
    })
}

/// The ids in a page's HTML. What looks like an id inside a script or a comment counts too: this only forgives.
fn ids(html: &[u8]) -> BTreeSet<&str> {
    let html = std::str::from_utf8(html).unwrap_or_default();
    let mut ids = BTreeSet::new();
    for (quote, attribute) in [('"', " id=\""), ('\'', " id='"), ('"', " name=\"")] {
        ids.extend(html.split(attribute).skip(1).filter_map(|rest| rest.split(quote).next()));
    }
    ids
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_read_from_html() {
        let ids: Vec<_> =
            super::ids(b"<h2 class=x id=\"who\"><a name=\"old\"><p data-id=\"no\" id='we'>").into_iter().collect();
        assert_eq!(ids, ["old", "we", "who"]);
    }
}
