//! What the head of a page tells search engines and other sites: its canonical address, its languages and feeds,
//! OpenGraph, and JSON-LD. A theme prints it all with `{{ head_meta() }}`.

use std::fmt::Write as _;

use jiff::civil::Date;
use tera::{Map, Value};
use tieup_protocol::contract::Indexing;
use tieup_protocol::path::SitePath;

use crate::build;
use crate::config::SiteConfig;
use crate::discovery;
use crate::feed;
use crate::json_ld::{self, json_ld};
use crate::page::PageKind;
use crate::print::{Print, Printer};
use crate::url;
use crate::uses::Fields;
use crate::view::{Node, View};
use crate::xml::escape;

/// Asks search engines to leave a page out.
const ROBOTS: &str = "<meta name=\"robots\" content=\"noindex\">\n";

/// A page whose head is made.
pub(crate) struct Head<'a> {
    /// The site.
    pub(crate) config: &'a SiteConfig,
    /// The page.
    pub(crate) node: &'a Node,
    /// The absolute addresses of its pictures.
    pub(crate) pictures: Vec<String>,
    view: &'a View,
    at: usize,
    /// Where it stands itself, which for a later page of a listing is not where the listing stands.
    path: &'a SitePath,
}

/// The canonical address of what stands at `path`: main's, unless the partner's copy shall not name one.
pub(crate) fn canonical(view: &View, path: &SitePath) -> Option<String> {
    (view.indexing() == Indexing::Canonical).then(|| view.config().permalink(path))
}

/// Adds to the page value of node `at`, which stands at `path`, what its head needs: `canonical`, `noindex` and
/// `alternates`.
pub(crate) fn add_values(view: &View, at: usize, path: &SitePath, map: &mut Map) {
    let canonical = canonical(view, path);
    let alternates =
        if canonical.is_some() && view.entry(at).path == *path { discovery::alternates(view, at) } else { Vec::new() };
    let alternates = alternates.into_iter().map(|alternate| {
        let mut map = Map::new();
        map.insert("lang".into(), Value::from(alternate.lang));
        map.insert("path".into(), Value::from(alternate.path.as_str()));
        map.insert("permalink".into(), Value::from(view.config().permalink(&alternate.path)));
        Value::from(map)
    });
    map.insert("alternates".into(), Value::from(alternates.collect::<Vec<_>>()));
    map.insert("noindex".into(), Value::from(discovery::is_hidden(view, at)));
    map.insert("canonical".into(), canonical.map_or_else(Value::none, Value::from));
}

/// What the head of the page at `path` says, as lines of HTML. `listing` is where the listing begins that it is a later
/// page of, if it is one.
pub(crate) fn head_meta(view: &View, path: &str, listing: Option<&str>) -> String {
    let (Some(at), Ok(path)) = (position(view, path, listing), &path.parse()) else {
        // The page that is shown where there is none has no place among the others.
        return ROBOTS.to_owned();
    };
    let (config, node) = (view.config(), view.node(at));
    let in_text = node.own().map(|page| page.text.facts.pictures.clone()).unwrap_or_default();
    let pictures = discovery::pictures(&config.base_url, node.entry(), &in_text);
    Head { config, node, pictures, view, at, path }.html()
}

/// The fingerprint of everything that [`head_meta`] reads, but for the site's settings.
pub(crate) fn print(view: &View, path: &str, listing: Option<&str>) -> Print {
    let Some(at) = position(view, path, listing) else { return Print::default() };
    let mut printer = Printer::default();
    printer.text(path).print(view.print_summary(at, Fields::ALL)).number(u8::from(discovery::is_hidden(view, at)));
    let home = view.at(&view.config().home(&view.entry(at).lang));
    let around = view.ancestors(at).into_iter().chain(view.translated(at)).chain(home).chain([at]);
    for other in around {
        let (entry, own) = (view.entry(other), view.node(other).own());
        printer.text(&entry.title).text(entry.path.as_str()).text(&entry.lang);
        let section = own.and_then(|page| page.kind.section());
        printer.option(section.map(|section| format!("{:?} {:?}", section.sort_by, section.records)).as_deref());
        let feeds = own.map_or_else(Vec::new, |page| build::feeds(view.config(), view, other, page));
        printer.number(feeds.len());
    }
    if let Some(page) = view.node(at).own() {
        printer.print(page.text.facts.print).option(is_home(&page.kind).then_some("home"));
    }
    printer.finish()
}

/// The number of the page at `path`, or of the listing that it is a later page of.
fn position(view: &View, path: &str, listing: Option<&str>) -> Option<usize> {
    let at = |path: &str| path.parse().ok().and_then(|path: SitePath| view.at(&path));
    at(path).or_else(|| at(listing?))
}

fn is_home(kind: &PageKind) -> bool {
    matches!(kind, PageKind::Home(_))
}

impl<'a> Head<'a> {
    /// The section around the page.
    pub(crate) fn parent(&self) -> Option<&'a Node> {
        self.view.parent(self.at).map(|parent| self.view.node(parent))
    }

    /// The sections around the page, from the first page of its language down.
    pub(crate) fn ancestors(&self) -> Vec<&'a Node> {
        self.view.ancestors(self.at).into_iter().map(|at| self.view.node(at)).collect()
    }

    /// The address of `path` as this page names it: main's, or relative to wherever the page's copy stands.
    pub(crate) fn address(&self, path: &SitePath) -> String {
        canonical(self.view, path).unwrap_or_else(|| url::encode(path))
    }

    /// The first instant of a day, where the site is.
    pub(crate) fn instant(&self, day: Date) -> String {
        let zoned = day.to_zoned(self.config.zone.clone());
        zoned.map_or_else(|_| day.to_string(), |zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    fn html(&self) -> String {
        let mut html = String::new();
        if discovery::is_hidden(self.view, self.at) {
            html.push_str(ROBOTS);
        }
        if let Some(address) = canonical(self.view, self.path) {
            link(&mut html, "canonical", "", &address);
        }
        if self.is_first() && self.view.indexing() == Indexing::Canonical {
            for other in discovery::alternates(self.view, self.at) {
                let lang = format!(" hreflang=\"{}\"", escape(&other.lang));
                link(&mut html, "alternate", &lang, &self.config.permalink(&other.path));
            }
        }
        self.feeds(&mut html);
        self.open_graph(&mut html);
        if let Some(graph) = json_ld(self) {
            let _ = writeln!(html, "<script type=\"application/ld+json\">{graph}</script>");
        }
        html
    }

    /// Whether this is no later page of a listing.
    fn is_first(&self) -> bool {
        *self.path == self.node.entry().path
    }

    /// The feeds of what the page lists, and those of the whole language.
    fn feeds(&self, html: &mut String) {
        let home = self.view.at(&self.config.home(&self.node.entry().lang));
        for at in [Some(self.at), home.filter(|home| *home != self.at)].into_iter().flatten() {
            let node = self.view.node(at);
            let kinds = node.own().into_iter().flat_map(|page| build::feeds(self.config, self.view, at, page));
            for kind in kinds {
                let title = escape(&feed::title(self.config, node));
                let more = format!(" type=\"{}\" title=\"{title}\"", kind.media_type());
                if let Some(path) = feed::path(&node.entry().path, kind) {
                    link(html, "alternate", &more, &self.address(&path));
                }
            }
        }
    }

    fn open_graph(&self, html: &mut String) {
        let entry = self.node.entry();
        let kind = match () {
            () if json_ld::is_product(self) => "product",
            () if json_ld::is_article(self) => "article",
            () => "website",
        };
        let canonical = canonical(self.view, self.path);
        let picture = self.pictures.first().cloned().or_else(|| self.usual_picture());
        let others = self.view.translated(self.at).filter_map(|at| locale(&self.view.entry(at).lang));
        let properties = [
            ("og:type", Some(kind.to_owned())),
            ("og:title", Some(entry.title.clone())),
            ("og:description", entry.description.clone()),
            ("og:url", canonical),
            ("og:image", picture.clone()),
            ("og:site_name", Some(self.config.title.clone())),
            ("og:locale", locale(&entry.lang)),
        ];
        let properties = properties.into_iter().chain(others.map(|other| ("og:locale:alternate", Some(other))));
        for (property, content) in properties {
            if let Some(content) = content {
                let _ = writeln!(html, "<meta property=\"{property}\" content=\"{}\">", escape(&content));
            }
        }
        let card = if picture.is_some() { "summary_large_image" } else { "summary" };
        let _ = writeln!(html, "<meta name=\"twitter:card\" content=\"{card}\">");
    }

    /// The picture of pages that have none.
    fn usual_picture(&self) -> Option<String> {
        discovery::address(&self.config.base_url, self.config.picture.as_deref()?)
    }
}

fn link(html: &mut String, rel: &str, more: &str, address: &str) {
    let _ = writeln!(html, "<link rel=\"{rel}\"{more} href=\"{}\">", escape(address));
}

/// A language as OpenGraph names it, with a territory; none where the tag names none and no usual one is known.
fn locale(lang: &str) -> Option<String> {
    let (language, rest) = lang.split_once('-').unwrap_or((lang, ""));
    let territory = rest.split('-').find(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let usual = || match language {
        "en" => Some("US"),
        "ja" => Some("JP"),
        "ko" => Some("KR"),
        "zh" => Some("CN"),
        "vi" => Some("VN"),
        "de" | "es" | "fr" | "it" | "pt" | "th" => Some(language),
        _ => None,
    };
    let territory = territory.or_else(usual)?.to_ascii_uppercase();
    Some(format!("{}_{territory}", language.to_ascii_lowercase()))
}
