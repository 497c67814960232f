//! A sample of what a partner writes on its own pages, so that an editor sees the frame around it. Made up from
//! nothing that the partner has.

use std::collections::BTreeMap;
use std::sync::Arc;

use tieup_protocol::ids::SiteId;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::config::SiteConfig;
use crate::front_matter::Menus;
use crate::markdown::{self, Base};
use crate::page::{Page, PageKind, Place, Source};
use crate::schedule::Life;
use crate::text::Text;

/// The page for paths where nothing stands, which a sample build makes too.
pub(crate) const NOT_FOUND: &str = "/404.html";

/// What the sample says: something of everything that a theme has to dress.
const TEXT: &str = "\
This page stands for one that the partner writes. The frame around it is what they inherit; the words are theirs.

## A heading

A paragraph with [a link](/), some **strong** words and some *stressed* ones, long enough to run over more than one
line on most screens, so that its measure and its leading can be seen.

- one thing
- another thing

| day | open |
| --- | --- |
| Monday to Friday | 10:00 to 18:00 |
| Saturday | 10:00 to 14:00 |

> Words that somebody else said.
";

/// The main site's configuration as a partner's: its own title, and nothing that groups pages.
pub(crate) fn config(main: &SiteConfig, partner: &SiteId) -> SiteConfig {
    let mut config = main.clone();
    config.title = partner.to_string();
    config.menus = BTreeMap::new();
    config.taxonomies = Vec::new();
    config.feeds.site = Vec::new();
    config.feeds.sections = Vec::new();
    config
}

/// The sample at `path`.
pub(crate) fn page(config: &SiteConfig, path: &SitePath) -> Arc<Page> {
    let file = "a sample in the preview".to_owned();
    let order: SourcePath = "sample.md".parse().expect("a constant path that a test holds");
    let source = Arc::new(Source { file });
    let (lang, settings) = (config.language.as_str(), &config.markdown);
    let base = Base { page: path, lang, settings, folder: "", page_of: &|_| None, picture_of: &|_| None };
    Arc::new(Page {
        entry: entry(config, path),
        kind: PageKind::Single,
        place: Place { lang: config.language.clone(), folder: String::new() },
        stem: "sample".to_owned(),
        order: (order, 0),
        template: None,
        aliases: Vec::new(),
        terms: BTreeMap::new(),
        menus: Menus::default(),
        life: Life::default(),
        text: Text::of(markdown::render(TEXT, 0, &base)),
        body_source: source.clone(),
        source,
    })
}

fn entry(config: &SiteConfig, path: &SitePath) -> IndexedPage {
    IndexedPage {
        description: Some(format!("A sample of what {} writes", config.title)),
        ..IndexedPage::new(path.clone(), "A page of the partner’s own".to_owned(), config.language.clone())
    }
}
