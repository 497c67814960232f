//! Checks where links lead, once every path is known, and their anchors, once every page's HTML is.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::markdown::{Link, LinkKind, Span, Target};
use crate::menu;
use crate::page::Source;
use crate::parallel;
use crate::plan::Plan;
use crate::text::{Anchor, Facts};
use crate::view::View;

/// The most files that a link is compared with.
const MOST_FILES: usize = 10_000;

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It exists, but its HTML is not at hand.
    Exists,
    /// It may exist: another party publishes there, or it has expired.
    Perhaps,
    /// It will exist from this instant on.
    From(Timestamp),
    /// It does not exist.
    No,
}

/// Which texts' links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Every one's.
    All,
    /// Those of which no earlier build has found that they are right.
    New,
}

/// The links of a text, and the file that holds them.
pub(crate) type Text<'a> = (&'a [Link], &'a Source);

/// The ids of pages that links with an anchor lead to.
pub(crate) type Ids = HashMap<SitePath, BTreeSet<String>>;

/// What links are checked against.
pub(crate) struct Checker<'a> {
    /// What the build will make.
    pub(crate) plan: &'a Plan,
    /// The pages of this build.
    pub(crate) view: &'a View,
    /// The site, whose menus lead somewhere too.
    pub(crate) config: &'a SiteConfig,
    /// What is known of paths that the build does not make.
    pub(crate) elsewhere: &'a dyn Fn(&SitePath) -> Known,
}

/// The links whose anchors are still to be checked, by the page that they lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(HashMap<SitePath, Vec<Asks>>);

/// A link with an anchor.
#[derive(Clone, Debug)]
pub(crate) struct Asks {
    fragment: String,
    /// Where the destination stands in the file.
    span: Span,
    source: Source,
}

impl Checker<'_> {
    /// Checks where the links of every page, of `texts` and of menus lead; anchors are left for later.
    pub(crate) fn check(&self, texts: &[Text<'_>], which: Texts, problems: &mut Vec<Diagnostic>) -> Asked {
        let mut asked = Asked::default();
        if which == Texts::All {
            self.render();
        }
        for (_, page) in self.view.own() {
            if which == Texts::New && page.text.is_known() {
                self.note_anchors(&page.text.facts, &page.body_source, &mut asked);
            } else {
                self.check_text((&page.text.body().links, &page.body_source), &mut asked, problems);
            }
        }
        for text in texts {
            self.check_text(*text, &mut asked, problems);
        }
        self.check_menus(problems);
        asked
    }

    /// Renders the texts of which only facts are at hand, on all threads.
    fn render(&self) {
        let known = self.view.own().map(|(_, page)| page).filter(|page| page.text.is_known());
        parallel::each(&known.collect::<Vec<_>>(), || (), |page, ()| drop(page.text.body()));
    }

    fn note_anchors(&self, facts: &Facts, source: &Source, asked: &mut Asked) {
        for Anchor { path, fragment, span } in facts.anchors.iter().filter(|anchor| self.plan.is_html(&anchor.path)) {
            let asks = Asks { fragment: fragment.clone(), span: *span, source: source.clone() };
            asked.0.entry(path.clone()).or_default().push(asks);
        }
    }

    /// Checks where the links of one text lead; anchors are left for later.
    pub(crate) fn check_text(&self, (links, source): Text<'_>, asked: &mut Asked, problems: &mut Vec<Diagnostic>) {
        for link in links {
            problems.extend(self.check_link(link, source, asked));
        }
    }

    fn check_menus(&self, problems: &mut Vec<Diagnostic>) {
        for (written, path) in menu::paths(self.config) {
            if !self.plan.has(&path) && !self.view.contains(&path) && (self.elsewhere)(&path) == Known::No {
                let message = format!("nothing stands at `{path}`, where the menu leads");
                let problem = Diagnostic::new("broken-link", self.config.file.as_str(), message);
                let problem = problem.at_text(&self.config.text, written);
                problems.push(match self.view.suggest(path.as_str()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
    }

    fn check_link(&self, link: &Link, source: &Source, asked: &mut Asked) -> Option<Diagnostic> {
        let problem = match &link.target {
            Target::NoFile(file) => self.no_file(file, source),
            Target::Wordless => {
                let message = "the picture has no words for those who cannot see it";
                Diagnostic::new("missing-alt", source.file.as_str(), message)
                    .help("write in the brackets what it shows; one that only decorates is `![](... \"decorative\")`")
            }
            Target::Invalid(written) => {
                let message = format!("`{written}` is not a path of this site");
                Diagnostic::new("broken-link", source.file.as_str(), message)
            }
            Target::Path { path, .. } if !self.plan.has(path) => self.missing(path, link, source)?,
            Target::Path { path, fragment } => {
                if let Some(fragment) = fragment.as_ref().filter(|_| self.plan.is_html(path)) {
                    let asks = Asks { fragment: fragment.to_string(), span: link.span, source: source.clone() };
                    asked.0.entry(path.clone()).or_default().push(asks);
                }
                return None;
            }
        };
        Some(underlined(problem, link.span, source))
    }

    fn no_file(&self, file: &str, source: &Source) -> Diagnostic {
        let message = format!("the link leads to `{file}`, and there is no such page in the content");
        let problem = Diagnostic::new("broken-link", source.file.as_str(), message);
        let files = self.view.own().map(|(_, page)| page.order.0.as_str());
        let about_as_long = files.filter(|known| known.len().abs_diff(file.len()) <= file.len().div_ceil(3));
        match nearest(file, about_as_long.take(MOST_FILES)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("a link to a `.md` file is relative to the file it stands in; a draft is no page"),
        }
    }

    fn missing(&self, path: &SitePath, link: &Link, source: &Source) -> Option<Diagnostic> {
        // A page of the view that the plan does not have came with a release, or lacks its template.
        let known = (self.elsewhere)(path);
        if self.view.contains(path) || matches!(known, Known::Exists | Known::Perhaps) {
            return None;
        }
        let (code, message) = match link.kind {
            LinkKind::Picture => ("missing-image", format!("there is no picture `{path}`")),
            LinkKind::Link => ("broken-link", format!("nothing stands at `{path}`")),
        };
        let problem = Diagnostic::new(code, source.file.as_str(), message);
        if let Known::From(start) = known {
            return Some(problem.help(format!("that page goes live at {start}; give this one the same `publish`")));
        }
        let slashed = path.with_slash();
        if self.view.contains(&slashed) {
            return Some(problem.help(format!("did you mean `{slashed}`?")));
        }
        let near = match link.kind {
            LinkKind::Link => self.view.suggest(path.as_str()),
            LinkKind::Picture => {
                let assets = self.plan.items().map(|(path, _)| path);
                let assets = assets.filter(|path| !path.is_page()).map(SitePath::as_str);
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

impl Asked {
    /// Whether the ids of the page at `path` will be asked for.
    pub(crate) fn about(&self, path: &SitePath) -> bool {
        self.0.contains_key(path)
    }

    /// Every page whose ids will be asked for.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &SitePath> {
        self.0.keys()
    }

    /// Asks too what others ask: of the pages and in the files that `wanted` chooses.
    pub(crate) fn take(&mut self, other: &Self, wanted: impl Fn(&SitePath, &str) -> bool) {
        for (path, links) in &other.0 {
            let links = links.iter().filter(|asks| wanted(path, &asks.source.file)).cloned();
            let links: Vec<Asks> = links.collect();
            if !links.is_empty() {
                self.0.entry(path.clone()).or_default().extend(links);
            }
        }
    }

    /// Asks for what the files `sources` ask now, and no longer for what they asked.
    pub(crate) fn replace(&mut self, sources: &HashSet<String>, now: Self) {
        self.0.values_mut().for_each(|links| links.retain(|asks| !sources.contains(&asks.source.file)));
        for (path, links) in now.0 {
            self.0.entry(path).or_default().extend(links);
        }
        self.0.retain(|_, links| !links.is_empty());
    }

    /// Checks the anchors against the ids of the pages. A page without ids here was not made, and is told of elsewhere.
    pub(crate) fn check(&self, ids: &Ids, problems: &mut Vec<Diagnostic>) {
        for (path, links) in &self.0 {
            let Some(ids) = ids.get(path) else { continue };
            for Asks { fragment, span, source } in links {
                let problem = no_anchor(path, fragment, ids, source);
                problems.extend(problem.map(|problem| underlined(problem, *span, source)));
            }
        }
    }
}

fn underlined(problem: Diagnostic, span: Span, source: &Source) -> Diagnostic {
    let text = source.text();
    let span = span.range();
    let length = text.get(span.clone()).map_or(1, |link| link.chars().count());
    problem.at_offset(&text, span.start, length)
}

fn no_anchor(path: &SitePath, fragment: &str, ids: &BTreeSet<String>, source: &Source) -> Option<Diagnostic> {
    // `#top` leads to the top of any page (HTML, "select the indicated part").
    if ids.contains(fragment) || fragment == "top" {
        return None;
    }
    let message = format!("`{path}` has no anchor `#{fragment}`");
    let problem = Diagnostic::new("broken-anchor", source.file.as_str(), message);
    Some(match nearest(fragment, ids.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `#{near}`?")),
        None => problem,
    })
}

/// The ids in a page's HTML. What looks like an id inside a script or a comment counts too: this only forgives.
pub(crate) fn ids(html: &[u8]) -> BTreeSet<String> {
    let html = std::str::from_utf8(html).unwrap_or_default();
    let mut ids = BTreeSet::new();
    for (quote, attribute) in [('"', " id=\""), ('\'', " id='"), ('"', " name=\"")] {
        let found = html.split(attribute).skip(1).filter_map(|rest| rest.split(quote).next());
        ids.extend(found.map(str::to_owned));
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
