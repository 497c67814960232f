//! The fixture's sites, written file by file: a main site of a few pages, a theme that can be taken in at a glance, and
//! partner sites with a page of their own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use crate::contract::Contract;
use crate::postgres::new_database;
use crate::world::{DATABASE_VARIABLE, World};

/// The theme's only page frame: a slot, the page, a footer to restyle.
const BASE: &str = "<!doctype html>\n<html lang=\"{{ lang }}\">\n<title>{{ page.title }}</title>\n\
    <link rel=\"stylesheet\" href=\"/style.css\">\n\
    <nav>{% filter slot(name=\"nav\") %}main's menu{% endfilter %}</nav>\n\
    <main>{% block main %}{% endblock main %}</main>\n<footer>plain footer</footer>\n</html>\n";

/// A page as the fixture's theme shows it.
const PAGE: &str = "{% extends \"base.html\" %}{% block main %}<h1>{{ page.title }}</h1>{{ page.content | safe }}{% endblock main %}\n";

/// What a world will hold, before it is started.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    main: BTreeMap<String, String>,
    settings: String,
    partners: BTreeMap<String, Planned>,
}

/// A partner that has a contract.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) contract: Contract,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) joins: bool,
}

impl Plan {
    /// Adds a page of the main site: `/about/` with these words.
    #[must_use]
    pub fn main_page(self, path: &str, words: &str) -> Self {
        self.main_file(&content_file(path), &page(path, words))
    }

    /// Adds lines to the hub's `tieup.yaml`.
    #[must_use]
    pub fn hub(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self
    }

    /// Adds a file below the main site's folder.
    #[must_use]
    pub fn main_file(mut self, file: &str, text: &str) -> Self {
        self.main.insert(file.to_owned(), text.to_owned());
        self
    }

    /// Adds a partner that joins under this contract.
    #[must_use]
    pub fn contract(self, partner: &str, contract: Contract) -> Self {
        self.planned(partner, contract, true)
    }

    /// Adds a contract with a partner that does not join.
    #[must_use]
    pub fn contract_alone(self, partner: &str, contract: Contract) -> Self {
        self.planned(partner, contract, false)
    }

    /// Adds an original page of a partner whose contract has been added.
    #[must_use]
    pub fn original(self, partner: &str, path: &str, words: &str) -> Self {
        self.partner_file(partner, &content_file(path), &page(path, words))
    }

    /// Adds a file below the site folder of a partner whose contract has been added.
    #[must_use]
    pub fn partner_file(mut self, partner: &str, file: &str, text: &str) -> Self {
        let planned = self.partners.get_mut(partner);
        let planned = planned.unwrap_or_else(|| panic!("give `{partner}` a contract before its pages"));
        planned.files.insert(file.to_owned(), text.to_owned());
        self
    }

    /// Writes the sites, makes the hub, lets every partner join and starts its daemon. Nothing is published yet.
    pub async fn start(self) -> World {
        World::start(self).await
    }

    fn planned(mut self, partner: &str, contract: Contract, joins: bool) -> Self {
        self.partners.insert(partner.to_owned(), Planned { contract, files: BTreeMap::new(), joins });
        self
    }

    /// The lines that were added to the hub's settings, and where its database is, where the environment says that.
    pub(crate) fn hub_settings(&self) -> String {
        let asked = env::var(DATABASE_VARIABLE).ok().filter(|_| !self.settings.contains("database:"));
        let line = asked.map(|kind| match kind.as_str() {
            "postgres" => format!("database: {}\n", new_database()),
            other => panic!("{DATABASE_VARIABLE}={other}: say `postgres`, or nothing for SQLite"),
        });
        self.settings.clone() + &line.unwrap_or_default()
    }

    /// The partners that join.
    pub(crate) fn joining(&self) -> impl Iterator<Item = &str> {
        self.partners.iter().filter(|(_, planned)| planned.joins).map(|(id, _)| id.as_str())
    }

    /// Writes everything of main site `main_id` below `folder`: `main`, `themes`, and a folder for each partner below
    /// `partners`.
    pub(crate) fn write(&self, folder: &Path, main_id: &str) {
        let main = folder.join("main");
        write(&main.join("site.yaml"), "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\n");
        write(&main.join("content/_index.md"), &page("/", "Lamps, mended and new."));
        self.main.iter().for_each(|(file, text)| write(&main.join(file), text));
        write_theme(&folder.join("themes/plain"));
        for (id, planned) in &self.partners {
            write(&main.join("partners").join(id).join("contract.yaml"), &planned.contract.between(main_id, id));
            let site = folder.join("partners").join(id);
            write(&site.join("site.yaml"), &format!("title: {id}\nbase_url: https://{id}.example/\n"));
            planned.files.iter().for_each(|(file, text)| write(&site.join(file), text));
        }
    }
}

fn write_theme(theme: &Path) {
    write(&theme.join("theme.yaml"), "name: plain\napi: 1\nslots: [nav]\n");
    write(&theme.join("static/style.css"), "body { margin: 2rem }\n");
    write(&theme.join("templates/base.html"), BASE);
    for template in ["index", "section", "page", "404"] {
        write(&theme.join(format!("templates/{template}.html")), PAGE);
    }
}

/// The Markdown file that becomes the page at `path`.
pub(crate) fn content_file(path: &str) -> String {
    match path.trim_matches('/') {
        "" => "content/_index.md".to_owned(),
        inner => format!("content/{inner}.md"),
    }
}

/// A page's source; its title is the last segment of its path.
pub(crate) fn page(path: &str, words: &str) -> String {
    let title = path.trim_matches('/').rsplit('/').next().filter(|title| !title.is_empty()).unwrap_or("home");
    format!("---\ntitle: {title}\n---\n{words}\n")
}

/// Writes a file and the folders it lies in.
pub(crate) fn write(file: &Path, text: &str) {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{} cannot be made: {error}", folder.display()));
    fs::write(file, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", file.display()));
}
