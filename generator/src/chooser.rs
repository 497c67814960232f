//! Which template makes which page.

use std::collections::BTreeMap;
use std::sync::Arc;

use tieup_protocol::diagnostic::{Diagnostic, nearest};

use crate::page::{Choice, Page, PageKind};
use crate::templates::Templates;
use crate::theme::Framework;
use crate::view::View;

/// Chooses templates. Few of them make many pages, so each is looked up once.
pub(crate) struct Chooser<'a> {
    /// None where they are wrong; then any name is good.
    templates: Option<&'a Templates>,
    framework: &'a Framework,
    known: BTreeMap<&'a str, Arc<str>>,
}

impl<'a> Chooser<'a> {
    /// Of the templates of `framework`; none where they are wrong, and any name is taken.
    pub(crate) fn new(templates: Option<&'a Templates>, framework: &'a Framework) -> Self {
        Self { templates, framework, known: BTreeMap::new() }
    }

    /// The template of node `at`, which is `page`: as it says itself, as its section says, or as its kind is.
    ///
    /// # Errors
    /// When the theme has no such template.
    pub(crate) fn choose(&mut self, at: usize, page: &'a Page, view: &'a View) -> Result<Arc<str>, Diagnostic> {
        let parent = view.parent(at).and_then(|parent| view.node(parent).own());
        let of_section = || match page.kind {
            PageKind::Single => parent?.kind.section()?.page_template.as_ref(),
            _ => None,
        };
        match (page.template.as_ref().or_else(of_section), &page.kind) {
            (Some(choice), _) => self.known(&choice.template).ok_or_else(|| self.no_template(choice)),
            (None, PageKind::Home(_)) => self.usual("index.html"),
            (None, PageKind::Section(_)) => self.usual("section.html"),
            (None, PageKind::Single) => self.usual("page.html"),
            (None, PageKind::Taxonomy) => self.usual("taxonomy.html"),
            (None, PageKind::Term) => self.usual("term.html"),
        }
    }

    /// The template `name`, which a theme must have.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn usual(&mut self, name: &'a str) -> Result<Arc<str>, Diagnostic> {
        self.known(name).ok_or_else(|| {
            let message = format!("theme `{}` has no template `{name}`", self.framework.name());
            Diagnostic::new("missing-template", self.framework.document_file(), message)
                .help(format!("write templates/{name} in the theme or in one that it extends"))
        })
    }

    fn known(&mut self, name: &'a str) -> Option<Arc<str>> {
        if !self.known.contains_key(name) && self.templates.is_none_or(|templates| templates.has(name)) {
            self.known.insert(name, name.into());
        }
        self.known.get(name).cloned()
    }

    fn no_template(&self, choice: &Choice) -> Diagnostic {
        let source = &choice.source;
        let message = format!("theme `{}` has no template `{}`", self.framework.name(), choice.template);
        let text = &source.text();
        let key = text.find(&format!("{}:", choice.key)).unwrap_or(0);
        let at = text[key..].find(&choice.template).map(|at| key + at);
        let problem = Diagnostic::new("missing-template", source.file.as_str(), message);
        let problem = match at {
            Some(at) => problem.at_offset(text, at, choice.template.chars().count()),
            None => problem,
        };
        let names = self.templates.into_iter().flat_map(Templates::names);
        match nearest(&choice.template, names) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        }
    }
}
