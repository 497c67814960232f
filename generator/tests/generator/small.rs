//! A small main site, written file by file, and its report with the temporary folder's name taken out.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tieup_generator::{Framework, Originals, Output, ReleaseOutput, Site, build_originals};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::index::IndexedPage;

/// A folder with `site/`, `themes/` and, once written, `partner/`.
pub(crate) struct Small {
    dir: TempDir,
}

const CONTRACT: &str = r#"effective: {from: 2026-11-01, tz: Asia/Tokyo}
mounts: {"/": main, "/local/**": partner}
slots: [nav]
approval: {policy: ask, auto: [], soak: 0m, strategy: staged}
journal: {writer: partner, verifier: both}
count: {rules: page-view/1, robots: "blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a", double_click: 30s, session: hour}
money: {currency: JPY, round: half_up, at: line}
meters: {tie: {views: {class: tieup}}}
charges: {base: {by: partnership, link: 0, framework: 20000, inherited: 50000}}
close: {grace: 5d, late: next_period_correction}
"#;

impl Small {
    pub(crate) fn new() -> Self {
        let small = Self { dir: TempDir::new().unwrap() };
        small
            .write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\n")
            .write("site/content/_index.md", "---\ntitle: Home\n---\n")
            .write("themes/plain/theme.yaml", "name: plain\napi: 1\nslots: [nav, banner]\n")
            .write("themes/plain/static/style.css", "body {}")
            .write(
                "themes/plain/templates/base.html",
                "<nav>{% filter slot(name=\"nav\") %}home{% endfilter %}</nav>{% block main %}{% endblock main %}",
            );
        for name in ["index", "section", "page", "404"] {
            let text = "{% extends \"base.html\" %}{% block main %}<h1>{{ page.title }}</h1>{{ page.content }}{% endblock main %}";
            small.write(&format!("themes/plain/templates/{name}.html"), text);
        }
        small
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let file = self.dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// A page with only a title in its front matter.
    pub(crate) fn page(&self, path: &str, body: &str) -> &Self {
        self.write(&format!("site/content/{path}"), format!("---\ntitle: A page\n---\n{body}"))
    }

    /// The contract with `shop`, of this kind.
    pub(crate) fn contract(&self, partnership: &str) -> &Self {
        self.contract_with("shop", &format!("partnership: {partnership}\n"))
    }

    /// The contract with `partner`, which says more.
    pub(crate) fn contract_with(&self, partner: &str, more: &str) -> &Self {
        let text = format!("contract: main/{partner}@1\n{more}{CONTRACT}");
        self.write(&format!("site/partners/{partner}/contract.yaml"), text)
    }

    pub(crate) fn load(&self) -> Result<Site, String> {
        Site::load(&self.path("site"), &self.path("themes")).map_err(|report| self.told(&report))
    }

    pub(crate) fn main(&self) -> Result<Output, String> {
        self.load()?.build_main().map_err(|report| self.told(&report))
    }

    pub(crate) fn release(&self) -> Result<ReleaseOutput, String> {
        self.load()?.build_release(&"shop".parse().unwrap()).map_err(|report| self.told(&report))
    }

    pub(crate) fn originals(&self, inherited: &[IndexedPage]) -> Result<Originals, String> {
        let framework = Framework::load(&self.path("themes"), "plain").map_err(|report| self.told(&report))?;
        build_originals(&self.path("partner"), &framework, inherited).map_err(|report| self.told(&report))
    }

    /// Where `below` is on this machine.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn told(&self, report: &Report) -> String {
        let root = format!("{}/", self.dir.path().display());
        report.to_string().replace(&root, "").replace(root.trim_end_matches('/'), "")
    }
}

/// The page at `path` as text.
pub(crate) fn html(output: &Output, path: &str) -> String {
    String::from_utf8(output.files[path].bytes.to_vec()).unwrap()
}
