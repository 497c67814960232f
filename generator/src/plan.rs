//! What a build will make, path by path, before anything is made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_protocol::reserved::Reserved;

use crate::config::FeedKind;
use crate::output::media_type;
use crate::page::Source;
use crate::spanning::is_spanning;
use crate::statics::where_named;
use crate::view::View;

/// Everything that a build makes, by path.
#[derive(Debug)]
pub(crate) struct Plan {
    items: HashMap<SitePath, Item>,
    /// Whether a file may be that of a page, but by its name in a folder: `/news/index.html`.
    has_twins: bool,
}

/// One file to be made.
#[derive(Debug)]
pub(crate) struct Item {
    /// What it is.
    pub(crate) what: What,
    /// The file it is made from.
    pub(crate) source: Arc<Source>,
}

/// What is made.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Node `at` by a template; `number` is that of the page of its listing, from 1.
    Page {
        /// The node.
        at: usize,
        /// The page of its listing.
        number: usize,
        /// The template.
        template: Arc<str>,
    },
    /// The page that is shown where there is none.
    NotFound {
        /// The template.
        template: Arc<str>,
    },
    /// A page that leads on to another.
    Redirect {
        /// Where it leads.
        to: SitePath,
        /// The language of that page.
        lang: String,
    },
    /// A feed of what node `at` lists; of the whole language where it is a first page.
    Feed {
        /// The node.
        at: usize,
        /// The format.
        kind: FeedKind,
    },
    /// A file that is there already.
    Given,
}

impl Item {
    /// The same for a view in which other pages may take the places of some.
    pub(crate) fn upon(&self, view: &View) -> Self {
        let node = match &self.what {
            What::Redirect { to, .. } => view.at(to),
            what => what.node(),
        };
        let source = node.and_then(|at| view.node(at).own()).map(|page| page.source.clone());
        Self { what: self.what.clone(), source: source.unwrap_or_else(|| self.source.clone()) }
    }
}

impl What {
    /// The node that it is made of.
    pub(crate) fn node(&self) -> Option<usize> {
        match self {
            Self::Page { at, .. } | Self::Feed { at, .. } => Some(*at),
            Self::NotFound { .. } | Self::Redirect { .. } | Self::Given => None,
        }
    }
}

impl Plan {
    /// Nothing yet, with room for so many files.
    pub(crate) fn with_room(files: usize) -> Self {
        Self { items: HashMap::with_capacity(files), has_twins: false }
    }

    /// Claims `path`; fails where another file of the plan has it. `word` is what names the path in `source`.
    pub(crate) fn claim(
        &mut self,
        path: SitePath,
        what: What,
        source: &Arc<Source>,
        word: Option<&str>,
    ) -> Result<(), Diagnostic> {
        let file = source.file.as_str();
        if is_spanning(&path) {
            let message = format!("`{path}` tells of all pages, and none can stand there");
            return Err(Diagnostic::new("duplicate-path", file, message).help("give it another path"));
        }
        if let Some(problem) = reserved(&path, file) {
            return Err(match word {
                Some(word) => problem.at_text(&source.text(), word),
                None => where_named(problem, source),
            });
        }
        let twin = self.twin(&path);
        let (path, first) = match (self.items.entry(path), twin) {
            (Entry::Vacant(free), None) => {
                free.insert(Item { what, source: source.clone() });
                return Ok(());
            }
            (Entry::Vacant(free), Some(twin)) => (free.into_key(), twin),
            (Entry::Occupied(taken), _) => (taken.key().clone(), taken.get().source.clone()),
        };
        let problem = Diagnostic::new("duplicate-path", file, format!("`{path}` is claimed twice"))
            .related(first.file.as_str(), None, "claimed here first")
            .help("give one of them another path");
        Err(match word {
            Some(word) => problem.at_text(&source.text(), word),
            None => problem,
        })
    }

    /// What the file is made from that stands in the same place of a browsable tree as `path`, which comes now.
    fn twin(&mut self, path: &SitePath) -> Option<Arc<Source>> {
        self.has_twins |= path.as_str().ends_with("/index.html");
        let twin = if self.has_twins { path.twin() } else { None };
        twin.and_then(|twin| self.items.get(&twin)).map(|item| item.source.clone())
    }

    /// Puts a file that is there already at `path`. It takes the place of the page that is shown where there is none, and
    /// of other such files; where another page stands, or none can be served, that is told.
    pub(crate) fn give(&mut self, path: &SitePath, source: &str) -> Option<Diagnostic> {
        if let Some(problem) = reserved(path, source) {
            return Some(problem);
        }
        let twin = path.twin().and_then(|twin| self.items.get(&twin));
        let stands =
            self.items.get(path).or(twin).filter(|item| !matches!(item.what, What::Given | What::NotFound { .. }));
        let problem = stands.map(|item| {
            let message = format!("`{path}` is a file of the theme or of static/, and no page can stand there");
            Diagnostic::new("duplicate-path", item.source.file.as_str(), message)
                .related(source, None, "the file")
                .help("give the page another path")
        });
        let source = Arc::new(Source { file: source.to_owned() });
        self.items.insert(path.clone(), Item { what: What::Given, source });
        problem
    }

    /// Whether something will stand at `path`.
    pub(crate) fn has(&self, path: &SitePath) -> bool {
        self.items.contains_key(path)
    }

    /// Whether what stands at `path` is HTML.
    pub(crate) fn is_html(&self, path: &SitePath) -> bool {
        self.has(path) && media_type(path).starts_with("text/html")
    }

    /// What will be made at `path`.
    pub(crate) fn entry(&self, path: &SitePath) -> Option<(&SitePath, &Item)> {
        self.items.get_key_value(path)
    }

    /// Everything, in no order.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&SitePath, &Item)> {
        self.items.iter()
    }
}

/// What is told of a file that would stand where the server answers by itself.
fn reserved(path: &SitePath, file: &str) -> Option<Diagnostic> {
    let reserved = Reserved::of(path)?;
    let (folder, purpose) = (reserved.folder(), reserved.purpose());
    let message = format!("`{path}` would never be shown: the server keeps `{folder}` for {purpose}");
    Some(Diagnostic::new("reserved-path", file, message).help(format!("give it a path outside `{folder}`")))
}
