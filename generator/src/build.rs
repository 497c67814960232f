//! One build: pages, a theme and static files become an [`Output`]. What is built for whom is decided by the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use tera::{Context, Value};
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::feed;
use crate::front_matter::SortBy;
use crate::links::{Checker, Known};
use crate::output::{Output, OutputFile, media_type};
use crate::page::{Choice, Page, PageKind, Source};
use crate::parallel;
use crate::templates::{Globals, Templates};
use crate::theme::Framework;
use crate::view::View;

/// What goes into one build.
pub(crate) struct Build<'a> {
    /// The site.
    pub(crate) config: &'a SiteConfig,
    /// The theme.
    pub(crate) framework: &'a Framework,
    /// The pages.
    pub(crate) pages: &'a [Arc<Page>],
    /// Pages that came with a release.
    pub(crate) inherited: &'a [IndexedPage],
    /// The site's own files.
    pub(crate) statics: &'a BTreeMap<SitePath, OutputFile>,
    /// Everything under `data/`.
    pub(crate) data: Value,
    /// The partner whose release is made.
    pub(crate) partner: Option<&'a Contract>,
    /// What is known of paths outside this build.
    pub(crate) elsewhere: &'a dyn Fn(&SitePath) -> Known,
}

/// A build, and the view that it was made from.
pub(crate) struct Built {
    /// What was made.
    pub(crate) output: Output,
    /// The pages as templates saw them.
    pub(crate) view: Arc<View>,
}

/// One page to render: the template, and the page's number in the view; none for the page shown where there is none.
struct Job {
    template: String,
    page: Option<usize>,
}

impl Build<'_> {
    /// Renders everything.
    ///
    /// # Errors
    /// Everything that is wrong with templates, and every link that leads nowhere.
    pub(crate) fn run(self) -> Result<Built, Vec<Diagnostic>> {
        let view = Arc::new(View::new(self.config, self.pages, self.inherited));
        let mut problems = Vec::new();
        let mut output = Output::default();
        let globals = Globals { data: self.data.clone(), partner: self.partner };
        match Templates::new(self.framework, &view, globals) {
            Ok(templates) => self.render_all(&view, &templates, &mut output, &mut problems),
            Err(wrong) => problems.extend(wrong),
        }
        if self.config.feeds {
            output.files.extend(feeds(&view));
        }
        output.files.extend(self.framework.layout().iter().map(|(path, file)| (path.clone(), file.clone())));
        output.files.extend(self.statics.iter().map(|(path, file)| (path.clone(), file.clone())));
        output.index = view.index();
        Checker { files: &output.files, view: &view, elsewhere: self.elsewhere }.check_pages(&mut problems);
        if problems.is_empty() { Ok(Built { output, view }) } else { Err(problems) }
    }

    fn render_all(&self, view: &View, templates: &Templates<'_>, output: &mut Output, problems: &mut Vec<Diagnostic>) {
        let jobs = jobs(view, templates, self.framework, problems);
        let mut failed = BTreeMap::new();
        for (job, rendered) in jobs.iter().zip(parallel::map(&jobs, |job| render(job, view, templates))) {
            match rendered {
                Ok((path, file)) => drop(output.files.insert(path, file)),
                Err(problem) => note_failure(&mut failed, problem, job, view),
            }
        }
        problems.extend(failed.into_values());
    }
}

/// One template's mistake is told once, with the first page that shows it, however many pages it spoils.
fn note_failure(failed: &mut BTreeMap<Diagnostic, Diagnostic>, problem: Diagnostic, job: &Job, view: &View) {
    let page = job.page.and_then(|at| view.node(at).own.as_ref());
    let told = failed.entry(problem.clone()).or_insert(problem);
    if let (None, Some(page)) = (&told.related, page) {
        let message = format!("while making {}", page.entry.path);
        *told = told.clone().related(page.source.file.as_str(), None, message);
    }
}

fn jobs(view: &View, templates: &Templates<'_>, framework: &Framework, problems: &mut Vec<Diagnostic>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (at, page) in view.own() {
        match template(at, page, view, templates, framework) {
            Ok(template) => jobs.push(Job { template, page: Some(at) }),
            Err(problem) => problems.push(problem),
        }
    }
    match usual("404.html", templates, framework) {
        Ok(template) => jobs.push(Job { template, page: None }),
        Err(problem) => problems.push(problem),
    }
    jobs
}

fn template(
    at: usize,
    page: &Page,
    view: &View,
    templates: &Templates<'_>,
    framework: &Framework,
) -> Result<String, Diagnostic> {
    let parent = view.node(at).parent.and_then(|parent| view.node(parent).own.as_ref());
    let section = parent.and_then(|parent| Some((parent, parent.kind.section()?.page_template.as_ref()?)));
    let chosen = match (&page.template, section, &page.kind) {
        (Some(choice), _, _) => Some((choice, &page.source)),
        (None, Some((section, choice)), PageKind::Single) => Some((choice, &section.source)),
        _ => None,
    };
    match (chosen, &page.kind) {
        (Some((choice, _)), _) if templates.has(&choice.template) => Ok(choice.template.clone()),
        (Some((choice, source)), _) => Err(no_template(choice, source, templates, framework)),
        (None, PageKind::Home(_)) => usual("index.html", templates, framework),
        (None, PageKind::Section(_)) => usual("section.html", templates, framework),
        (None, PageKind::Single) => usual("page.html", templates, framework),
    }
}

fn usual(template: &str, templates: &Templates<'_>, framework: &Framework) -> Result<String, Diagnostic> {
    if templates.has(template) {
        return Ok(template.to_owned());
    }
    let message = format!("theme `{}` has no template `{template}`", framework.name());
    Err(Diagnostic::new("missing-template", framework.document_file(), message)
        .help(format!("write templates/{template} in the theme or in one that it extends")))
}

fn no_template(choice: &Choice, source: &Source, templates: &Templates<'_>, framework: &Framework) -> Diagnostic {
    let message = format!("theme `{}` has no template `{}`", framework.name(), choice.template);
    let key = source.text.find(&format!("{}:", choice.key)).unwrap_or(0);
    let at = source.text[key..].find(&choice.template).map(|at| key + at);
    let problem = Diagnostic::new("missing-template", source.file.as_str(), message);
    let problem = match at {
        Some(at) => problem.at_offset(&source.text, at, choice.template.chars().count()),
        None => problem,
    };
    match nearest(&choice.template, templates.names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// Makes one page: a function of the templates, the page and the view alone.
fn render(job: &Job, view: &View, templates: &Templates<'_>) -> Result<(SitePath, OutputFile), Diagnostic> {
    let mut context = Context::new();
    let (path, lang, source) = if let Some(at) = job.page {
        let node = view.node(at);
        context.insert_value("page", view.page_value(at));
        if let Some(section) = view.listing_value(at) {
            context.insert_value("section", section);
        }
        let source = node.own.as_ref().map(|page| page.source.file.clone()).unwrap_or_default();
        (node.entry.path.clone(), node.entry.lang.as_str(), source)
    } else {
        context.insert_value("page", view.not_found_value());
        (not_found(), view.config().language.as_str(), templates.file(&job.template))
    };
    context.insert_value("lang", Value::from(lang));
    let (bytes, slots) = templates.render(&job.template, &context)?;
    let media_type = media_type(&path);
    Ok((path, OutputFile { bytes: bytes.into(), kind: EntryKind::Page, media_type, slots, source }))
}

/// The path of the page that is shown where there is none.
fn not_found() -> SitePath {
    "/404.html".parse().expect("a constant path that a test holds")
}

fn feeds(view: &View) -> Vec<(SitePath, OutputFile)> {
    let mut feeds = Vec::new();
    for (at, page) in view.own() {
        let node = view.node(at);
        let by_date = page.kind.section().is_some_and(|section| section.sort_by == SortBy::Date);
        if let Some(listing) = node.listing.as_ref().filter(|_| by_date) {
            let bytes = feed::atom(view, node, listing).into();
            let (media_type, source) = ("application/atom+xml", page.source.file.clone());
            let file = OutputFile { bytes, kind: EntryKind::Asset, media_type, slots: Vec::new(), source };
            feeds.push((feed::path(&node.entry.path), file));
        }
    }
    feeds
}
