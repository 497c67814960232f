//! The pages of a content folder: which file becomes which page. Renders Markdown, but no template.

mod before;
mod draft;
mod placing;
mod records;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::assets::pictures::Pictures;
use crate::config::SiteConfig;
use crate::data::Data;
use crate::front_matter::Cascade;
use crate::known::{Earlier, Files};
use crate::page::{Choice, Page, Place, Source};
use crate::parallel;
use crate::picture::Picture;
use crate::print::Print;
use crate::progress::Progress;
use crate::shown::Drafts;
use crate::source::{Found, files_below, shown};
use crate::text::Around;
use crate::variation::{self, Beneath, Order};

use draft::Draft;

/// The pages of one content folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// The pages, in the order of their files.
    pub(crate) pages: Vec<Arc<Page>>,
    /// Where each folder stands on the site.
    folders: BTreeMap<Place, SitePath>,
    /// What its texts are rendered with; none before that is known.
    around: Option<Arc<Around>>,
    /// What is known of its files, for the next build.
    pub(crate) known: Files,
    /// The pages that say something else than in the build before, as they stood there, if that is all that differs in
    /// the folder.
    pub(crate) before: Option<Vec<Arc<Page>>>,
    /// What each section gives to everything below it.
    cascades: BTreeMap<Place, Arc<Given>>,
    /// The site's pictures.
    pictures: Arc<Pictures>,
    /// The folder.
    folder: Option<PathBuf>,
    /// Pages of the content beneath that are taken away.
    pub(crate) hidden: BTreeSet<Order>,
}

/// What a content folder is read with.
pub(crate) struct Reading<'a> {
    /// The site.
    pub(crate) config: &'a Arc<SiteConfig>,
    /// Its data, of which pages may be made.
    pub(crate) data: &'a Data,
    /// The content that this one lies over, if any: its folders give this one's their paths, and links may lead to its
    /// files.
    pub(crate) beneath: &'a Content,
    /// Whether drafts are left out, or are pages whose life says so.
    pub(crate) drafts: Drafts,
    /// What is told how far it is.
    pub(crate) progress: &'a Progress,
    /// What an earlier build knew of the files; none where nothing is to be known later.
    pub(crate) earlier: Option<&'a Earlier>,
}

/// A section's cascade and the file that says it.
#[derive(Debug)]
struct Given {
    cascade: Cascade,
    source: Arc<Source>,
}

impl Content {
    /// No pages, beneath those that show these pictures.
    pub(crate) fn beneath(pictures: &Arc<Pictures>) -> Self {
        Self { pictures: pictures.clone(), ..Self::default() }
    }

    /// The picture at `path`.
    pub(crate) fn picture_of(&self, path: &SitePath) -> Option<Picture> {
        self.pictures.get(path).cloned()
    }

    /// Reads a content folder.
    pub(crate) fn load(folder: &Path, reading: &Reading<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        let Reading { config, data, beneath, drafts: drafts_shown, progress, .. } = *reading;
        let found = match reading.earlier {
            Some(Earlier { content: Some((found, wrong)), .. }) => {
                problems.extend(wrong.iter().cloned());
                Cow::Borrowed(found)
            }
            _ => Cow::Owned(files_below(folder, problems)),
        };
        let mut drafts = Draft::read_all(&found, reading, problems);
        let (folders, cascades) = (beneath.folders.clone(), beneath.cascades.clone());
        let pictures = beneath.pictures.clone();
        let mut content = Self { folders, cascades, pictures, folder: Some(folder.to_owned()), ..Self::default() };
        content.cascade(&mut drafts);
        let mut known = Vec::with_capacity(drafts.len());
        if drafts_shown == Drafts::LeftOut {
            content.hide(&drafts, beneath);
            let left_out = drafts.extract_if(.., |draft| draft.front.draft == Some(true));
            known.extend(left_out.filter_map(|draft| Some((draft.found.path.clone(), draft.known?))));
        }
        problems.extend(parallel::map(&drafts, |draft| draft.check_terms(config)).into_iter().flatten());
        let mut files = HashMap::with_capacity(drafts.len());
        let placed = content.place(drafts, &mut files, config, problems);
        let settings = Print::of(format!("{:?}", config.markdown).as_bytes());
        let around = Arc::new(Around {
            settings,
            config: config.clone(),
            files,
            pictures: beneath.pictures.clone(),
            beneath: beneath.around.clone(),
        });
        let mut records = Vec::new();
        for (draft, path) in &placed {
            records.extend(draft.records(path, data, config, problems).into_iter().map(Arc::new));
        }
        // Each draft is given away as it becomes a page, so that texts do not pile up beside what is made of them.
        let made = parallel::map_owned(placed, |(draft, path)| {
            progress.advance(1);
            draft.page(path, &around)
        });
        content.around = Some(around);
        let mut pages = Vec::with_capacity(made.len() + records.len());
        for (page, found_out) in made {
            known.extend(found_out.map(|known| (page.order.0.clone(), known)));
            pages.push(page);
        }
        content.known = known.into_iter().collect();
        pages.extend(records);
        pages.sort_by(|a, b| a.order.cmp(&b.order));
        content.pages = pages;
        content.before = reading.earlier.and_then(|earlier| content.before(earlier, &found, config));
        content
    }

    /// Reads one file again; false where more than the page that it became may come out otherwise, and everything must
    /// be read.
    ///
    /// # Errors
    /// What is wrong with it. Everything is as it was then.
    pub(crate) fn reread(&mut self, found: &Found, reading: &Reading<'_>) -> Result<bool, Vec<Diagnostic>> {
        let file = shown(&found.file);
        let mut made = self.pages.iter().enumerate().filter(|(_, page)| page.source.file == file).map(|(at, _)| at);
        let (Some(at), None, Some(around)) = (made.next(), made.next(), &self.around) else { return Ok(false) };
        let mut draft = Draft::read(found, reading).map_err(|problem| vec![problem])?;
        draft.date(&reading.config.history);
        self.inherit(&mut draft);
        let leaves_out = reading.drafts == Drafts::LeftOut && draft.front.draft == Some(true);
        if draft.name.leaf.is_none() || leaves_out || draft.front.pages_from.is_some() {
            return Ok(false);
        }
        let problems = draft.check_terms(reading.config);
        let path = self.path(&draft, reading.config).map_err(|problem| vec![problem])?;
        if !problems.is_empty() {
            return Err(problems);
        }
        if path != self.pages[at].entry.path {
            return Ok(false);
        }
        self.pages[at] = draft.page(path, around).0;
        // It says something else now.
        self.known.remove(&found.path);
        Ok(true)
    }

    /// Whether the file `path` of this content is a page.
    pub(crate) fn has_file(&self, path: &SourcePath) -> bool {
        self.pages.iter().any(|page| page.order.0 == *path)
    }

    /// This content as one that variations lie over.
    fn as_beneath(&self) -> Option<Beneath<'_>> {
        Some(Beneath { folder: self.folder.as_deref()?, pages: &self.pages, known: &self.known })
    }

    /// Takes away the pages beneath whose place a draft has, and those from data that are made anew.
    fn hide(&mut self, drafts: &[Box<Draft<'_>>], beneath: &Self) {
        let gone = drafts.iter().filter(|draft| draft.front.draft == Some(true) || draft.front.pages_from.is_some());
        for draft in gone.filter(|_| beneath.folder.is_some()) {
            self.hidden.extend(variation::hide(&draft.found.path, draft.record.as_deref(), &beneath.pages));
        }
    }

    /// Gives each file what the sections around it say, the nearest first.
    fn cascade(&mut self, drafts: &mut [Box<Draft<'_>>]) {
        for draft in drafts.iter().filter(|draft| draft.name.leaf.is_none()) {
            if let Some(cascade) = &draft.front.cascade {
                let given = Given { cascade: Cascade::clone(cascade), source: draft.origin.of("cascade").clone() };
                self.cascades.insert(draft.name.place.clone(), Arc::new(given));
            }
        }
        if self.cascades.is_empty() {
            return;
        }
        for draft in drafts {
            self.inherit(draft);
        }
    }

    /// Gives a file what the sections around it say.
    fn inherit(&self, draft: &mut Draft<'_>) {
        let place = &draft.name.place;
        let mut around = match &draft.name.leaf {
            Some(_) => Some(place.clone()),
            None => place.parent().map(|(parent, _)| parent),
        };
        while let Some(place) = around {
            if let Some(given) = self.cascades.get(&place) {
                draft.front.inherit(&given.cascade);
                let choice = || Choice::new("template", given.cascade.template.as_ref(), &given.source);
                draft.template = draft.template.take().or_else(choice);
            }
            around = place.parent().map(|(parent, _)| parent);
        }
    }

    /// Where the Markdown file `file`, a path below `content/`, stands on the site.
    pub(crate) fn page_of(&self, file: &str) -> Option<SitePath> {
        self.around.as_ref()?.page_of(file)
    }
}
