//! The text of a page: what is known of it at once, and its HTML when somebody asks. What an earlier build found out
//! is enough for pages that need not be made again.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tieup_protocol::path::{SitePath, SourcePath};

use crate::assets::pictures::Pictures;
use crate::config::SiteConfig;
use crate::discovery;
use crate::markdown::{self, Base, Body, Length, Link, Span, Target};
use crate::picture::Picture;
use crate::print::{Print, Printer};
use crate::source::read_text;

/// The text of a page.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// What is known of it at once.
    pub(crate) facts: Arc<Facts>,
    body: Mutex<Option<Arc<Body>>>,
    again: Option<Again>,
    is_known: bool,
}

/// What is known of a text without reading it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// How long it is.
    pub(crate) length: Length,
    /// The fingerprint of what a page shows of it.
    pub(crate) print: Print,
    /// The fingerprint of its summary, where it has one.
    pub(crate) summary: Option<Print>,
    /// The pictures of the site in it.
    pub(crate) pictures: Vec<SitePath>,
    /// The anchors that it leads to.
    pub(crate) anchors: Vec<Anchor>,
    /// Whether components of the theme write into it.
    pub(crate) has_holes: bool,
    /// The fingerprint of the settings that it was rendered with.
    settings: Print,
    /// What of the site it was rendered with.
    asked: Vec<Asked>,
}

/// A link to an anchor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// The page.
    pub(crate) path: SitePath,
    /// The anchor on it.
    pub(crate) fragment: String,
    /// Where the destination stands in the file.
    pub(crate) span: Span,
}

/// A question that a text asked of the site while it was rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Asked {
    /// Where a Markdown file's page stands.
    File(String, Option<SitePath>),
    /// What is known of a picture.
    Picture(SitePath, Print),
}

/// What a text is rendered with, beyond itself.
#[derive(Debug)]
pub(crate) struct Around {
    /// The fingerprint of the settings.
    pub(crate) settings: Print,
    /// The site.
    pub(crate) config: Arc<SiteConfig>,
    /// The page that each Markdown file becomes, by its path below `content/`.
    pub(crate) files: HashMap<SourcePath, SitePath>,
    /// The raster pictures of the site.
    pub(crate) pictures: Arc<Pictures>,
    /// The same for the content beneath.
    pub(crate) beneath: Option<Arc<Around>>,
}

/// Where a text is found again.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: PathBuf,
    /// Where the body begins in it.
    pub(crate) body_at: usize,
    /// The page that it becomes.
    pub(crate) path: SitePath,
    /// Its language.
    pub(crate) lang: String,
    /// The folder of the file below `content/`.
    pub(crate) folder: String,
}

#[derive(Clone, Debug)]
struct Again {
    place: Place,
    around: Arc<Around>,
}

impl Text {
    /// The text whose HTML is `body`.
    pub(crate) fn of(body: Body) -> Self {
        let facts = Arc::new(Facts::of(&body, Print::default(), Vec::new()));
        Self { facts, body: Mutex::new(Some(Arc::new(body))), again: None, is_known: false }
    }

    /// Renders `text`, which stands at `place`.
    pub(crate) fn render(text: &str, place: Place, around: &Arc<Around>) -> Self {
        let asked = RefCell::new(Vec::new());
        let page_of = |file: &str| {
            let page = around.page_of(file);
            asked.borrow_mut().push(Asked::File(file.to_owned(), page.clone()));
            page
        };
        let picture_of = |path: &SitePath| {
            let picture = around.picture_of(path);
            asked.borrow_mut().push(Asked::Picture(path.clone(), print_of(picture.as_ref())));
            picture
        };
        let body = place.render(text, around, &page_of, &picture_of);
        let facts = Arc::new(Facts::of(&body, around.settings, asked.into_inner()));
        let again = Some(Again { place, around: around.clone() });
        Self { facts, body: Mutex::new(Some(Arc::new(body))), again, is_known: false }
    }

    /// A text of which an earlier build found out `facts`; none where they no longer hold.
    pub(crate) fn known(facts: &Arc<Facts>, place: &Place, around: &Arc<Around>) -> Option<Self> {
        let holds = facts.settings == around.settings
            && facts.asked.iter().all(|asked| match asked {
                Asked::File(file, page) => around.page_of(file) == *page,
                Asked::Picture(path, print) => print_of(around.picture_of(path).as_ref()) == *print,
            });
        let again = || Some(Again { place: place.clone(), around: around.clone() });
        holds.then(|| Self { facts: facts.clone(), body: Mutex::default(), again: again(), is_known: true })
    }

    /// The same text where its file says something else by now, so that it can never be read again.
    pub(crate) fn gone(&self) -> Self {
        Self { facts: self.facts.clone(), body: Mutex::default(), again: None, is_known: self.is_known }
    }

    /// Whether an earlier build has looked at it, and found nothing wrong.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The text as HTML, read and rendered again where only its facts are at hand.
    pub(crate) fn body(&self) -> Arc<Body> {
        let render = || Arc::new(self.again.as_ref().map(Again::render).unwrap_or_default());
        self.at_hand().get_or_insert_with(render).clone()
    }

    /// What stands before `<!-- more -->`, where that is written.
    pub(crate) fn summary(&self) -> Option<String> {
        self.facts.summary.and_then(|_| self.body().summary().map(Cow::into_owned))
    }

    /// Lets the HTML go, which few will ask for again: that of all pages fills the memory.
    pub(crate) fn let_go(&self) {
        if self.again.is_some() {
            self.at_hand().take();
        }
    }

    fn at_hand(&self) -> MutexGuard<'_, Option<Arc<Body>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Text {
    fn clone(&self) -> Self {
        let body = Mutex::new(self.at_hand().clone());
        Self { facts: self.facts.clone(), body, again: self.again.clone(), is_known: self.is_known }
    }
}

impl Again {
    /// A file that has vanished meanwhile has no text; the next build will see that.
    fn render(&self) -> Body {
        let Self { place, around } = self;
        let text = read_text(&place.file).unwrap_or_default();
        place.render(&text, around, &|file| around.page_of(file), &|path| around.picture_of(path))
    }
}

impl Place {
    fn render(
        &self,
        text: &str,
        around: &Around,
        page_of: &dyn Fn(&str) -> Option<SitePath>,
        picture_of: &dyn Fn(&SitePath) -> Option<Picture>,
    ) -> Body {
        let (page, lang, folder) = (&self.path, self.lang.as_str(), self.folder.as_str());
        let base = Base { page, lang, settings: &around.config.markdown, folder, page_of, picture_of };
        // The file may be another one by now.
        markdown::render(text, text.floor_char_boundary(self.body_at), &base)
    }
}

impl Around {
    /// Where the Markdown file `file`, a path below `content/`, stands on the site.
    pub(crate) fn page_of(&self, file: &str) -> Option<SitePath> {
        let own = self.files.get(file).cloned();
        own.or_else(|| self.beneath.as_ref().and_then(|beneath| beneath.page_of(file)))
    }

    fn picture_of(&self, path: &SitePath) -> Option<Picture> {
        self.pictures.get(path).cloned()
    }
}

impl Facts {
    fn of(body: &Body, settings: Print, asked: Vec<Asked>) -> Self {
        let anchor = |link: &Link| match &link.target {
            Target::Path { path, fragment: Some(fragment) } => {
                Some(Anchor { path: path.clone(), fragment: fragment.to_string(), span: link.span })
            }
            _ => None,
        };
        Self {
            length: body.length,
            print: body.print,
            summary: body.summary().map(|summary| Print::of(summary.as_bytes())),
            pictures: discovery::in_text(body),
            anchors: body.links.iter().filter_map(anchor).collect(),
            has_holes: !body.holes.is_empty(),
            settings,
            asked,
        }
    }
}

fn print_of(picture: Option<&Picture>) -> Print {
    let Some(Picture { width, height, variants }) = picture else { return Print::default() };
    let mut printer = Printer::default();
    printer.number(*width).number(*height);
    for variant in variants {
        printer.text(variant.path.as_str()).number(variant.width);
    }
    printer.finish()
}
