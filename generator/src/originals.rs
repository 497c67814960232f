//! A partner's own pages, rendered inside the framework that came with its release.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tieup_protocol::contract::Mounts;
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::assets::{self, pictures::Pictures};
use crate::build::{Build, derived_paths};
use crate::components;
use crate::config::SiteConfig;
use crate::content::{Content, Reading};
use crate::data::{Data, Sets};
use crate::dates::History;
use crate::feed;
use crate::links::{Known, Text};
use crate::markdown::{self, Base, Body, Hooks};
use crate::menu::{self, Menus, SiteMenus};
use crate::output::{Output, OutputFile};
use crate::overrides::Overrides;
use crate::page::Source;
use crate::progress::Progress;
use crate::search::Search;
use crate::shown::Drafts;
use crate::site::{report, unknown_slot};
use crate::source::{files_below, read_text, shown};
use crate::spanning::is_spanning;
use crate::statics;
use crate::taxonomy;
use crate::theme::Framework;
use crate::view::Inherited;

/// A partner's original pages and what fills its slots.
#[derive(Clone, Debug, Default)]
pub struct Originals {
    /// The original pages and files, with `404.html`, but without the sitemap and `robots.txt`, and without the theme's files.
    pub output: Output,
    /// The pages of its terms that each page would stand on, main's or its own.
    pub terms: BTreeMap<SitePath, Vec<SitePath>>,
    /// The paths of what is made from other pages alone: lists of terms, their pages and feeds.
    pub derived: BTreeSet<SitePath>,
    /// What fills each slot, as HTML: a file, or else the menu that is called like it.
    pub slots: BTreeMap<String, Vec<u8>>,
    /// The menus, main's lines with them, each in the languages that it was written for.
    pub menus: Menus,
    /// The address of the partner's site, as `site.yaml` gives it.
    pub base_url: String,
    /// The site's default language.
    pub language: String,
    /// What is found by the site's search; none where neither side has one.
    pub search: Option<Search>,
    /// How long feeds are.
    pub feed_limits: FeedLimits,
    /// Whether all of it follows from what the files hold, and not also from their history (`dates:` of `site.yaml`).
    pub is_of_files_alone: bool,
}

/// The most entries of a feed, with the pages of others in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedLimits {
    /// Of main's.
    pub main: usize,
    /// Of the partner's own.
    pub partner: usize,
}

/// What originals stand among.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Main's pages.
    pub inherited: &'a [IndexedPage],
    /// The menus that stand beside main's.
    pub beside: &'a Menus,
    /// Whose which paths are, where that is known.
    pub mounts: Option<&'a Mounts>,
}

/// Renders the partner site in the folder `dir` inside `framework`; templates also see the pages in `inherited`.
///
/// The templates in `dir/templates` come before those of the framework.
///
/// Links to pages are checked against the originals and `inherited`. Links to files are checked only where nothing
/// is inherited, since the release's files are not known here.
///
/// # Errors
/// Everything that is wrong with the partner's files, the templates and the links.
pub fn build_originals(dir: &Path, framework: &Framework, inherited: &[IndexedPage]) -> Result<Originals, Report> {
    let among = Surroundings { inherited, beside: &Menus::default(), mounts: None };
    build(dir, framework, &among, None)
}

/// Like [`build_originals`], with narrower pictures from `pictures` where they have been made before, and with all that the
/// originals stand `among`.
///
/// # Errors
/// As [`build_originals`].
pub fn build_originals_with(
    pictures: &Cache,
    dir: &Path,
    framework: &Framework,
    among: &Surroundings<'_>,
) -> Result<Originals, Report> {
    build(dir, framework, among, Some(pictures))
}

fn build(
    dir: &Path,
    framework: &Framework,
    among: &Surroundings<'_>,
    cache: Option<&Cache>,
) -> Result<Originals, Report> {
    OwnSite::read(dir, framework, among, cache)?.render(among)
}

/// A partner's site as its files say it, nothing rendered.
struct OwnSite {
    config: Arc<SiteConfig>,
    /// That of the release, the partner's templates before its own.
    framework: Arc<Framework>,
    /// The framework's data and the partner's.
    data: Arc<Sets>,
    statics: BTreeMap<SitePath, OutputFile>,
    pictures: Arc<Pictures>,
    content: Content,
    fills: BTreeMap<String, Fill>,
}

impl OwnSite {
    fn read(
        dir: &Path,
        framework: &Framework,
        among: &Surroundings<'_>,
        cache: Option<&Cache>,
    ) -> Result<Self, Report> {
        let mut config = SiteConfig::load_partner(dir)?;
        config.search = Search::joined(config.search.as_ref(), framework.search().as_ref());
        config.mains_lists = taxonomy::mains_lists(&config, among.inherited, among.mounts);
        let mut problems = Vec::new();
        let overrides = Overrides::load(&dir.join("templates"), &mut problems);
        let framework = Arc::new(framework.clone().with_partner_templates(&overrides));
        config.markdown.hooks = Hooks::in_texts(framework.templates().map(|template| template.bytes));
        let config = Arc::new(config);
        let given = Data::from_files(framework.files().iter(), &mut problems);
        let data = Data::load(&dir.join("data"), &mut problems);
        let mut statics = statics::load(&dir.join("static"), &mut problems);
        let pictures = Arc::new(assets::finish(&mut statics, &config, cache, &mut problems));
        let reading = Reading {
            config: &config,
            data: &data,
            beneath: &Content::beneath(&pictures),
            drafts: Drafts::LeftOut,
            progress: &Progress::default(),
            earlier: None,
        };
        let content = Content::load(&dir.join("content"), &reading, &mut problems);
        statics::check_paths(&content.pages, &statics, &mut problems);
        let fills = load_fills(&dir.join("slots"), &framework, &content, &config, &mut problems);
        Report::check(problems)?;
        let data = Arc::new(given.under(&data));
        Ok(Self { config, framework, data, statics, pictures, content, fills })
    }

    fn render(self, among: &Surroundings<'_>) -> Result<Originals, Report> {
        let Self { config, framework, data, statics, pictures, content, fills } = self;
        let inherited = among.inherited;
        let elsewhere = |path: &SitePath| match path {
            path if is_spanning(path) => Known::Exists,
            _ if !path.is_page() && !inherited.is_empty() => Known::Perhaps,
            _ => Known::No,
        };
        let texts: Vec<Text<'_>> = fills.values().map(|fill| (fill.body.links.as_slice(), &fill.source)).collect();
        let from_main = Inherited { pages: inherited, menus: menu::both(framework.menus(), &among.beside.0) };
        let build = Build {
            config: &config,
            framework: &framework,
            pages: &content.pages,
            inherited: &from_main,
            texts: &texts,
            statics: &statics,
            pictures: &pictures,
            data: &data,
            partner: None,
            progress: &Progress::default(),
            elsewhere: &elsewhere,
        };
        let (mut output, view) = build.run_in_view().map_err(report)?;
        output.files.retain(|_, file| file.kind != EntryKind::Layout);
        let is_of_files_alone = matches!(config.history, History::Unknown);
        let (slots, menus) = with_menus(html(fills), &framework, &from_main.menus, &content, &config);
        let terms = content.pages.iter().map(|page| (page.entry.path.clone(), taxonomy::terms_of(&config, page)));
        let terms = terms.filter(|(_, terms)| !terms.is_empty()).collect();
        let derived = derived_paths(&view);
        let (base_url, language, search) = (config.base_url.clone(), config.language.clone(), config.search.clone());
        let feed_limits = FeedLimits { main: framework.feed_limit(), partner: feed::limit(&config) };
        Ok(Originals {
            output,
            terms,
            derived,
            slots,
            menus,
            base_url,
            language,
            search,
            feed_limits,
            is_of_files_alone,
        })
    }
}

/// `slots`, and each slot that no file fills and that a menu of the partner's is called like: that menu, with main's lines
/// in it. So the partner's pages stand in the navigation of main's pages, too, which were made before. And all menus.
fn with_menus(
    mut slots: BTreeMap<String, Vec<u8>>,
    framework: &Framework,
    mains: &SiteMenus,
    content: &Content,
    config: &SiteConfig,
) -> (BTreeMap<String, Vec<u8>>, Menus) {
    let own = menu::of_site(config, &content.pages);
    let told = Menus::told(&own, mains);
    let joined = menu::joined(config, own.clone(), mains);
    for slot in framework.slots() {
        if !slots.contains_key(slot) && menu::has(config, &own, slot) {
            slots.insert(slot.clone(), menu::list(config, &joined, slot).into_bytes());
        }
    }
    (slots, told)
}

/// What fills each slot by the files in `folder`, as HTML. Links in them are not checked.
pub(crate) fn read_fills(
    folder: &Path,
    framework: &Framework,
    content: &Content,
    config: &SiteConfig,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Vec<u8>> {
    html(load_fills(folder, framework, content, config, problems))
}

fn html(fills: BTreeMap<String, Fill>) -> BTreeMap<String, Vec<u8>> {
    fills.into_iter().map(|(slot, fill)| (slot, fill.body.html.into_bytes())).collect()
}

/// What fills one slot.
struct Fill {
    source: Source,
    body: Body,
}

/// Reads `slots/<slot>.md` and `slots/<slot>.html`.
fn load_fills(
    folder: &Path,
    framework: &Framework,
    content: &Content,
    config: &SiteConfig,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Fill> {
    let mut fills: BTreeMap<String, Fill> = BTreeMap::new();
    for found in files_below(folder, problems) {
        let file = shown(&found.file);
        let Some((slot, extension)) =
            found.path.as_str().rsplit_once('.').filter(|(_, end)| ["md", "html"].contains(end))
        else {
            let message = "only slots/<slot>.md and slots/<slot>.html are read";
            problems.push(Diagnostic::new("misplaced-file", file, message));
            continue;
        };
        if !framework.slots().iter().any(|known| known == slot) {
            problems.push(unknown_slot(&file, None, slot, framework));
            continue;
        }
        let text = match read_text(&found.file) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let body = if extension == "md" { markdown_fill(&text, content, config) } else { raw_fill(&text) };
        let source = Source { file: file.clone() };
        components::refuse(&body, &source, problems);
        if let Some(first) = fills.insert(slot.to_owned(), Fill { source, body }) {
            let message = format!("slot `{slot}` is filled by two files");
            problems.push(Diagnostic::new("duplicate-slot", file, message).related(
                first.source.file,
                None,
                "the other",
            ));
        }
    }
    fills
}

/// A slot stands on every page, so what it says is relative to the site's root.
fn markdown_fill(text: &str, content: &Content, config: &SiteConfig) -> Body {
    let page_of = |file: &str| content.page_of(file);
    let (lang, settings) = (config.language.as_str(), &config.markdown);
    let page = &SitePath::root();
    let picture_of = |path: &SitePath| content.picture_of(path);
    let base = Base { page, lang, settings, folder: "", page_of: &page_of, picture_of: &picture_of };
    markdown::render(text, 0, &base)
}

fn raw_fill(text: &str) -> Body {
    Body { html: text.to_owned(), ..Body::default() }
}
