//! Themes: a chain of folders of templates and files, as source files in memory. Compiles no template.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use serde::Deserialize;
use tieup_protocol::diagnostic::{Diagnostic, Report, nearest};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_protocol::yaml;

use crate::assets::fingerprint;
use crate::data::Data;
use crate::joint_feed;
use crate::menu::{self, SiteMenus};
use crate::minify;
use crate::output::{OutputFile, media_type};
use crate::overrides::{Overrides, PARTNER, SITE};
use crate::search::Search;
use crate::source::{self, files_below, read_bytes, shown};

/// The version of the interface between generator and themes.
pub const THEME_API: u32 = 1;

/// A theme and those it extends, as source files in memory.
///
/// The files also hold the templates that the main site has of its own, below `<theme>/site/templates/`, where
/// `<theme>` is the site's. For a partner who inherits pages they hold the site's data below `data/`, since templates
/// read it, its search and menus, and how long its feeds are. A version that does not know a file leaves it aside.
#[derive(Clone, Debug)]
pub struct Framework {
    name: String,
    /// What stands before a file's path in messages; empty where the files came with a release.
    root: String,
    files: BTreeMap<SourcePath, Vec<u8>>,
    /// The theme, then the one it extends, and so on.
    chain: Vec<String>,
    /// Where templates are looked for, in this order.
    layers: Vec<Layer>,
    slots: Vec<String>,
    layout: BTreeMap<SitePath, OutputFile>,
    /// The main site's menus, where the files came with a release that has any.
    menus: SiteMenus,
    /// Why they are left aside, where this version cannot read them.
    unread_menus: Option<String>,
}

/// A folder of templates that hides those of the same name in the folders after it.
#[derive(Clone, Debug)]
struct Layer {
    /// What stands before its templates' names: a theme's name, or that of a site's own templates.
    name: String,
    /// Where it is among the files.
    folder: String,
    /// The same, as a person knows it.
    shown: String,
}

/// A template of a theme.
#[derive(Clone, Debug)]
pub(crate) struct ThemeFile<'a> {
    /// The name templates use, with the theme's in front: `storefront/base.html`.
    pub(crate) name: String,
    /// The file, as a person knows it.
    pub(crate) file: String,
    /// What it holds.
    pub(crate) bytes: &'a [u8],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeDocument {
    name: String,
    api: u32,
    extends: Option<String>,
    #[serde(default)]
    slots: Vec<String>,
}

impl Framework {
    /// Reads the theme `name` and every theme it extends from the folder `themes`.
    ///
    /// # Errors
    /// A theme that is missing, is written for another version, extends itself, or cannot be read.
    pub fn load(themes: &Path, name: &str) -> Result<Self, Report> {
        let mut problems = Vec::new();
        let mut files = BTreeMap::new();
        let mut read = BTreeSet::new();
        let mut next = Some((name.to_owned(), None));
        while let Some((theme, wanted_by)) = next.take() {
            if !is_name(&theme) || !themes.join(&theme).join("theme.yaml").is_file() {
                return Err(missing(themes, &theme, wanted_by.as_deref(), &files).into());
            }
            if !read.insert(theme.clone()) {
                break;
            }
            read_theme(themes, &theme, &mut files, &mut problems);
            let (_, document) = document(&shown_root(themes), &theme, &files)?;
            next = document.extends.map(|parent| (parent, Some(theme)));
        }
        Report::check(problems)?;
        Self::assemble(name, shown_root(themes), files)
    }

    /// The framework whose files came with a release.
    ///
    /// # Errors
    /// As [`Framework::load`], when the files do not make a theme.
    pub fn from_files(name: &str, files: BTreeMap<SourcePath, Vec<u8>>) -> Result<Self, Report> {
        let mut framework = Self::assemble(name, String::new(), files)?;
        match menu::from_files(&framework.files) {
            Ok(menus) => framework.menus = menus,
            Err(error) => framework.unread_menus = Some(error.to_string()),
        }
        Ok(framework)
    }

    fn assemble(name: &str, root: String, files: BTreeMap<SourcePath, Vec<u8>>) -> Result<Self, Report> {
        let mut framework = Self { root, files, ..Self::none(name) };
        let mut next = Some(name.to_owned());
        while let Some(theme) = next.take() {
            let (file, document) = document(&framework.root, &theme, &framework.files)?;
            if framework.chain.contains(&theme) {
                let circle = framework.chain.join(" extends ");
                let message = format!("themes extend each other in a circle: {circle} extends {theme}");
                let last = framework.chain.last().unwrap_or(&theme);
                let problem = Diagnostic::new("theme-cycle", file, message);
                return Err(at_extends(problem, &framework.root, last, &framework.files).into());
            }
            framework.slots.extend(document.slots);
            framework.chain.push(theme);
            next = document.extends;
        }
        framework.slots.sort();
        framework.slots.dedup();
        framework.layout = framework.read_layout()?;
        framework.layers = framework.layers();
        Ok(framework)
    }

    /// The themes' folders of templates, and before that of a site's theme the site's own.
    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        for theme in &self.chain {
            let overrides = format!("{theme}/{SITE}/templates/");
            if self.files.keys().any(|path| path.as_str().starts_with(&overrides)) {
                layers.push(Layer::new(SITE, overrides, &self.root));
            }
            layers.push(Layer::new(theme, format!("{theme}/templates/"), &self.root));
        }
        layers
    }

    /// The framework of a partnership that takes over no theme.
    pub(crate) fn none(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            root: String::new(),
            files: BTreeMap::new(),
            chain: Vec::new(),
            layers: Vec::new(),
            slots: Vec::new(),
            layout: BTreeMap::new(),
            menus: SiteMenus::new(),
            unread_menus: None,
        }
    }

    /// The same, with a main site's own templates before those of its theme `of`, if that is in the chain.
    pub(crate) fn with_site_templates(mut self, of: &str, overrides: &Overrides) -> Self {
        if self.chain.iter().any(|theme| theme == of) {
            self.add(&format!("{of}/{SITE}/templates/"), overrides);
            self.layers = self.layers();
            if let Some(own) = self.layers.iter_mut().find(|layer| layer.name == SITE) {
                own.shown.clone_from(&overrides.shown);
            }
        }
        self
    }

    /// The same, with a partner's own templates before all others.
    pub(crate) fn with_partner_templates(mut self, overrides: &Overrides) -> Self {
        let folder = format!("{PARTNER}/templates/");
        self.add(&folder, overrides);
        self.layers.insert(0, Layer { name: PARTNER.to_owned(), folder, shown: overrides.shown.clone() });
        self
    }

    fn add(&mut self, folder: &str, overrides: &Overrides) {
        let named = overrides.files.iter().filter_map(|(path, bytes)| {
            let path = format!("{folder}{path}").parse().ok()?;
            Some((path, bytes.clone()))
        });
        self.files.extend(named);
    }

    /// The same, with a site's data among its files.
    pub(crate) fn with_data(&self, data: &Data) -> Self {
        let mut framework = self.clone();
        framework.files.extend(data.files());
        framework
    }

    /// The same with its style sheets and scripts minified: what is served, and what partners get, so that both know
    /// the same files.
    pub(crate) fn minified(mut self, problems: &mut Vec<Diagnostic>) -> Self {
        for (path, bytes) in &mut self.files {
            if path.as_str().split('/').nth(1) != Some("static") {
                continue;
            }
            match minify::asset(path.as_str(), &format!("{}{path}", self.root), bytes) {
                Ok(Some(minified)) => *bytes = minified,
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        match self.read_layout() {
            Ok(layout) => self.layout = layout,
            Err(problem) => problems.push(problem),
        }
        self
    }

    /// The same, with what the site says of its search.
    pub(crate) fn with_search(mut self, search: Option<&Search>) -> Self {
        self.files.extend(search.map(Search::to_file));
        self
    }

    /// What the main site says of its search, where the files came with a release that has one.
    pub(crate) fn search(&self) -> Option<Search> {
        Search::from_files(&self.files)
    }

    /// The same, with the site's menus.
    pub(crate) fn with_menus(mut self, menus: &SiteMenus) -> Self {
        self.files.extend(menu::to_file(menus));
        self.menus.clone_from(menus);
        self
    }

    /// The main site's menus.
    pub(crate) fn menus(&self) -> &SiteMenus {
        &self.menus
    }

    /// Why the main site's menus, which came with a release, stand on no page of the partner's; none where they do.
    pub fn unread_menus(&self) -> Option<&str> {
        self.unread_menus.as_deref()
    }

    /// The same, with the most entries that the site lets its feeds have.
    pub(crate) fn with_feed_limit(mut self, limit: Option<NonZeroUsize>) -> Self {
        self.files.extend(joint_feed::to_file(limit));
        self
    }

    /// The most entries of the main site's feeds, where the files came with a release.
    pub(crate) fn feed_limit(&self) -> usize {
        joint_feed::limit(&self.files)
    }

    /// The theme's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every source file, such as `storefront/templates/base.html`.
    pub fn files(&self) -> &BTreeMap<SourcePath, Vec<u8>> {
        &self.files
    }

    /// The slots of the theme and of those it extends, sorted.
    pub fn slots(&self) -> &[String] {
        &self.slots
    }

    /// Every template by the name that pages give, with its text; of two with one name the one that is used.
    pub fn template_texts(&self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for template in self.templates() {
            if let Some((_, name)) = template.name.split_once('/') {
                let text = || String::from_utf8_lossy(template.bytes).into_owned();
                texts.entry(name.to_owned()).or_insert_with(text);
            }
        }
        texts
    }

    /// The pictures that every site with this theme serves, by path.
    pub fn pictures(&self) -> impl Iterator<Item = (&SitePath, &[u8])> {
        let pictures = self.layout.iter().filter(|(_, file)| file.media_type.starts_with("image/"));
        pictures.map(|(path, file)| (path, &*file.bytes))
    }

    /// What stands before a template's name: of two templates with one name, the first of these has it.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = String> {
        self.layers.iter().map(|layer| format!("{}/", layer.name))
    }

    /// The files that every site with this theme serves; a theme's hide those of the theme it extends.
    pub(crate) fn layout(&self) -> &BTreeMap<SitePath, OutputFile> {
        &self.layout
    }

    /// The templates of all themes in the chain and those of the site itself, in the order in which they are looked for.
    pub(crate) fn templates(&self) -> impl Iterator<Item = ThemeFile<'_>> {
        self.layers.iter().flat_map(move |Layer { name, folder, shown }| {
            self.files.iter().filter_map(move |(path, bytes)| {
                let below = path.as_str().strip_prefix(folder)?;
                Some(ThemeFile { name: format!("{name}/{below}"), file: format!("{shown}{below}"), bytes })
            })
        })
    }

    /// The theme's own document, as a person knows it.
    pub(crate) fn document_file(&self) -> String {
        format!("{}{}/theme.yaml", self.root, self.name)
    }

    fn read_layout(&self) -> Result<BTreeMap<SitePath, OutputFile>, Diagnostic> {
        let mut layout = BTreeMap::new();
        for theme in self.chain.iter().rev() {
            let folder = format!("{theme}/static/");
            for (path, bytes) in &self.files {
                let Some(below) = path.as_str().strip_prefix(&folder) else { continue };
                let source = format!("{}{path}", self.root);
                let served: SitePath = format!("/{below}")
                    .parse()
                    .map_err(|error| Diagnostic::new("bad-path", source.as_str(), format!("{error}")))?;
                let (media_type, slots, bytes) = (media_type(&served), Vec::new(), bytes.as_slice().into());
                layout.insert(served, OutputFile { bytes, kind: EntryKind::Layout, media_type, slots, source });
            }
        }
        fingerprint::add(&mut layout);
        Ok(layout)
    }
}

impl Layer {
    fn new(name: &str, folder: String, root: &str) -> Self {
        Self { name: name.to_owned(), shown: format!("{root}{folder}"), folder }
    }
}

/// Names of themes are segments of paths; three are for a site's data and own templates.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !["data", SITE, PARTNER].contains(&name)
}

fn shown_root(themes: &Path) -> String {
    format!("{}/", shown(themes).trim_end_matches('/'))
}

/// Points `problem` at what the theme `theme` says that it extends.
fn at_extends(problem: Diagnostic, root: &str, theme: &str, files: &BTreeMap<SourcePath, Vec<u8>>) -> Diagnostic {
    let bytes = format!("{theme}/theme.yaml").parse().ok().and_then(|path: SourcePath| files.get(&path));
    let text = String::from_utf8_lossy(bytes.map_or(&[], Vec::as_slice));
    let name = text.lines().find_map(|line| line.strip_prefix("extends:")).map_or("", str::trim);
    let problem = Diagnostic { file: format!("{root}{theme}/theme.yaml"), ..problem };
    problem.at_word(&text, "extends:", name)
}

fn missing(themes: &Path, theme: &str, wanted_by: Option<&str>, files: &BTreeMap<SourcePath, Vec<u8>>) -> Diagnostic {
    let entries = fs::read_dir(themes).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().join("theme.yaml").is_file());
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let message = format!("there is no theme `{theme}` in {}", shown(themes));
    let mut problem = Diagnostic::new("missing-theme", shown(themes), message);
    if let Some(child) = wanted_by {
        problem = at_extends(problem, &shown_root(themes), child, files);
    }
    match nearest(theme, names.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if names.is_empty() => problem.help(format!("a theme is a folder in {} with theme.yaml", shown(themes))),
        None => problem.help(format!("these themes exist: {}", names.join(", "))),
    }
}

fn read_theme(themes: &Path, theme: &str, files: &mut BTreeMap<SourcePath, Vec<u8>>, problems: &mut Vec<Diagnostic>) {
    let folder: SourcePath = theme.parse().expect("a theme's name has been checked to be one segment");
    let needed = |path: &str| path == "theme.yaml" || path.starts_with("templates/") || path.starts_with("static/");
    for found in files_below(&themes.join(theme), problems) {
        if !needed(found.path.as_str()) {
            continue;
        }
        let within = found.path.within(&folder);
        let within = within.map_err(|error| Diagnostic::new("bad-path", shown(&found.file), error.to_string()));
        match within.and_then(|path| Ok((path, read_bytes(&found.file)?))) {
            Ok((path, bytes)) => drop(files.insert(path, bytes)),
            Err(problem) => problems.push(problem),
        }
    }
}

/// Reads and checks a theme's document, and names its file.
fn document(
    root: &str,
    theme: &str,
    files: &BTreeMap<SourcePath, Vec<u8>>,
) -> Result<(String, ThemeDocument), Diagnostic> {
    let file = format!("{root}{theme}/theme.yaml");
    let path: Option<SourcePath> = format!("{theme}/theme.yaml").parse().ok().filter(|_| is_name(theme));
    let bytes = path.and_then(|path| files.get(&path));
    let bytes =
        bytes.ok_or_else(|| Diagnostic::new("missing-theme", file.as_str(), format!("theme `{theme}` is missing")))?;
    let text = source::text(&file, bytes.clone())?;
    let document: ThemeDocument = yaml::parse(&file, &text)?;
    if document.api != THEME_API {
        let message = format!("theme `{theme}` is written for version {} of the interface", document.api);
        return Err(Diagnostic::new("theme-api", file, message)
            .at_text(&text, &format!("api: {}", document.api))
            .help(format!("this generator has version {THEME_API}")));
    }
    if document.name != theme {
        let message = format!("the theme in the folder `{theme}` is named `{}`", document.name);
        return Err(Diagnostic::new("wrong-value", file, message)
            .at_text(&text, &document.name)
            .help("give both the same name"));
    }
    Ok((file, document))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<SourcePath, Vec<u8>> {
        files.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_child_hides_its_parents_files_and_adds_its_slots() {
        let framework = Framework::from_files(
            "region",
            files(&[
                ("region/theme.yaml", "name: region\napi: 1\nextends: storefront\nslots: [notices]\n"),
                ("region/static/logo.svg", "region"),
                ("storefront/theme.yaml", "name: storefront\napi: 1\nslots: [nav]\n"),
                ("storefront/static/logo.svg", "storefront"),
                ("storefront/static/a/b.css", "css"),
                ("storefront/templates/base.html", "base"),
            ]),
        )
        .unwrap();
        assert_eq!(framework.slots(), ["nav", "notices"]);
        let logo = &framework.layout()["/logo.svg"];
        assert_eq!((&*logo.bytes, logo.kind), (b"region".as_slice(), EntryKind::Layout));
        assert_eq!(framework.layout()["/a/b.css"].media_type, "text/css; charset=utf-8");
        assert_eq!(framework.templates().map(|template| template.name).collect::<Vec<_>>(), ["storefront/base.html"]);
    }

    #[test]
    fn what_is_no_theme_is_refused() {
        let refused =
            |list: &[(&str, &str)]| Framework::from_files("a", files(list)).unwrap_err().diagnostics()[0].code;
        assert_eq!(refused(&[]), "missing-theme");
        assert_eq!(refused(&[("a/theme.yaml", "name: a\napi: 2\n")]), "theme-api");
        assert_eq!(refused(&[("a/theme.yaml", "name: b\napi: 1\n")]), "wrong-value");
        assert_eq!(refused(&[("a/theme.yaml", "name: a\napi: 1\nextend: b\n")]), "unknown-key");
        assert_eq!(refused(&[("a/theme.yaml", "name: a\napi: 1\nextends: ../b\n")]), "missing-theme");
        let circle =
            [("a/theme.yaml", "name: a\napi: 1\nextends: b\n"), ("b/theme.yaml", "name: b\napi: 1\nextends: a\n")];
        assert_eq!(refused(&circle), "theme-cycle");
    }

    #[test]
    fn a_missing_theme_names_those_that_exist() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("storefront")).unwrap();
        fs::write(dir.path().join("storefront/theme.yaml"), "name: storefront\napi: 1\n").unwrap();
        let help = |name: &str| Framework::load(dir.path(), name).unwrap_err().diagnostics()[0].help.clone().unwrap();
        assert_eq!(help("storefornt"), "did you mean `storefront`?");
        assert_eq!(help("../storefront"), "did you mean `storefront`?");
        assert_eq!(help("elegant"), "these themes exist: storefront");
    }
}
