//! The templates of a theme chain, ready to render the pages of one view.

use std::collections::BTreeMap;
use std::sync::Arc;

use tera::{Context, Map, Tera, Value};
use tieup_protocol::contract::{Contract, Indexing};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::manifest::SlotRange;

use crate::config::SiteConfig;
use crate::data::Sets;
use crate::print::{Print, Printer};
use crate::template_error::{self, Sources};
use crate::theme::Framework;
use crate::uses::{self, Uses};
use crate::{asking, filters, minify, slots, source, xml};

/// Compiled templates, for any view of one site.
#[derive(Clone)]
pub(crate) struct Templates {
    tera: Tera,
    framework: Arc<Framework>,
    sources: Arc<Sources>,
    /// By the names that pages call them by.
    uses: Arc<BTreeMap<String, Uses>>,
    /// The same for pages whose texts ask for components.
    filled: Arc<BTreeMap<String, Uses>>,
    /// Of the templates that define components.
    components: Arc<Uses>,
    globals: Globals,
    /// Whether pages are minified.
    minify: bool,
}

/// What every template sees, whatever the page.
#[derive(Clone)]
pub(crate) struct Globals {
    data: Arc<Sets>,
    partner: Value,
}

impl PartialEq for Globals {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.data, &other.data) && self.partner == other.partner
    }
}

impl Globals {
    /// The site's data, and the partner whose release is made; none for the main site and for originals.
    pub(crate) fn new(data: &Arc<Sets>, partner: Option<&Contract>) -> Self {
        Self { data: data.clone(), partner: partner.map_or_else(Value::none, partner_value) }
    }

    /// The fingerprint of what a template can see of them.
    pub(crate) fn print(&self, uses: &Uses) -> Print {
        let mut printer = Printer::default();
        for (name, print) in self.data.prints().filter(|(name, _)| uses.data(name)) {
            printer.text(name).print(print);
        }
        if uses.names("partner") {
            printer.value(&self.partner);
        }
        printer.finish()
    }
}

impl Templates {
    /// Compiles the templates of `framework`.
    ///
    /// # Errors
    /// Everything that is wrong with the templates by themselves.
    pub(crate) fn new(
        framework: &Arc<Framework>,
        config: &SiteConfig,
        globals: Globals,
    ) -> Result<Self, Vec<Diagnostic>> {
        let sources = read(framework)?;
        let mut tera = Tera::new();
        tera.set_escape_fn(xml::escape_to);
        filters::register(&mut tera, framework.slots());
        asking::register(&mut tera);
        tera.set_fallback_prefixes(framework.prefixes()).expect("prefixes are set before the first template is added");
        tera.global_context().insert_value("site", site_value(config));
        if let Err(error) = tera.add_raw_templates(sources.iter()) {
            return Err(template_error::compiling(&error, &sources));
        }
        let uses = find_uses(framework, &sources);
        let components = Uses::of_components(uses.values());
        let filled = uses.iter().map(|(name, uses)| (name.clone(), uses.and(&components))).collect();
        let unbound = Self {
            tera,
            framework: framework.clone(),
            sources: Arc::new(sources),
            uses: Arc::new(uses),
            filled: Arc::new(filled),
            components: Arc::new(components),
            globals: globals.clone(),
            minify: config.minify,
        };
        Ok(unbound.with(globals))
    }

    /// The same templates, which see other things whatever the page.
    pub(crate) fn with(&self, globals: Globals) -> Self {
        let mut templates = self.clone();
        let context = templates.tera.global_context();
        context.insert_value("data", globals.data.value());
        context.insert_value("partner", globals.partner.clone());
        templates.globals = globals;
        templates
    }

    /// Whether any template can look at the variable `name`.
    pub(crate) fn any_names(&self, name: &str) -> bool {
        self.uses.values().any(|uses| uses.names(name))
    }

    /// What every template sees.
    pub(crate) fn globals(&self) -> &Globals {
        &self.globals
    }

    /// What the template, which the chain has, can depend on.
    pub(crate) fn uses(&self, template: &str) -> &Uses {
        self.uses.get(template).expect("a plan names templates that the chain has")
    }

    /// The same for a page whose text asks for components.
    pub(crate) fn uses_filled(&self, template: &str) -> &Uses {
        self.filled.get(template).expect("a plan names templates that the chain has")
    }

    /// What the components, taken together, can depend on.
    pub(crate) fn uses_components(&self) -> &Uses {
        &self.components
    }

    /// The compiled templates.
    pub(crate) fn tera(&self) -> &Tera {
        &self.tera
    }

    /// The texts of the templates.
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// `problem`, which a page made by `template` shows, with the templates that lead to it from there.
    pub(crate) fn trace(&self, template: &str, problem: Diagnostic) -> Diagnostic {
        self.sources.trace(template, problem)
    }

    /// Whether the chain has this template.
    pub(crate) fn has(&self, template: &str) -> bool {
        self.tera.contains_template(template)
    }

    /// The file of a template, as a person knows it.
    pub(crate) fn file(&self, template: &str) -> String {
        self.sources.file(template)
    }

    /// The names by which pages can call the templates, without the theme's in front.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|(name, _)| name.split_once('/').map(|(_, name)| name))
    }

    /// Renders one page into `page`, which is empty, and says where its slots are.
    ///
    /// # Errors
    /// What the template stumbled over, at its place in the template.
    pub(crate) fn render(
        &self,
        template: &str,
        context: &Context,
        page: &mut Vec<u8>,
    ) -> Result<Vec<SlotRange>, Diagnostic> {
        let rendered = self.tera.render_to(template, context, &mut *page);
        rendered.map_err(|error| template_error::rendering(&error, template, &self.sources))?;
        if self.minify {
            minify::page(page);
        }
        slots::extract(page, self.framework.slots()).ok_or_else(|| {
            let message = "the template cuts or changes what it captured from a slot";
            Diagnostic::new("bad-slot", self.sources.file(template), message)
                .help("print a slot where it stands, whole, and no slot inside another")
        })
    }
}

fn read(framework: &Framework) -> Result<Sources, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    for template in framework.templates() {
        match source::text(&template.file, template.bytes.to_vec()) {
            Ok(text) => sources.add(template.name, template.file, text),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// What each template can depend on, by its full name and by the one that pages call it by.
fn find_uses(framework: &Framework, sources: &Sources) -> BTreeMap<String, Uses> {
    let full: BTreeMap<&str, &str> = sources.iter().map(|(name, _)| (name, name)).collect();
    let in_chain = |name: &str| {
        let mut names = framework.prefixes().map(|prefix| format!("{prefix}{name}"));
        names.find_map(|name| full.get(name.as_str()).copied())
    };
    let mut uses = uses::of(sources.iter(), |name| full.get(name).copied().or_else(|| in_chain(name)));
    let short: Vec<&str> = full.keys().filter_map(|name| name.split_once('/').map(|(_, name)| name)).collect();
    for name in short {
        if let Some(known) = in_chain(name).and_then(|full| uses.get(full)).cloned() {
            uses.entry(name.to_owned()).or_insert(known);
        }
    }
    uses
}

fn site_value(config: &SiteConfig) -> Value {
    let language = |language: &crate::config::Language| {
        let mut map = Map::new();
        map.insert("code".into(), Value::from(language.code.as_str()));
        map.insert("name".into(), Value::from(language.name.as_str()));
        Value::from(map)
    };
    let mut map = Map::new();
    map.insert("title".into(), Value::from(config.title.as_str()));
    map.insert("base_url".into(), Value::from(config.base_url.as_str()));
    map.insert("language".into(), Value::from(config.language.as_str()));
    map.insert("languages".into(), Value::from(config.languages.iter().map(language).collect::<Vec<_>>()));
    map.insert("search".into(), Value::from(config.search.is_some()));
    map.insert("extra".into(), Value::from_serializable(&config.extra));
    Value::from(map)
}

fn partner_value(contract: &Contract) -> Value {
    let id = contract.id.partner.as_str();
    let mut map = Map::new();
    map.insert("id".into(), Value::from(id));
    map.insert("name".into(), Value::from(id));
    map.insert("noindex".into(), Value::from(contract.index == Indexing::Noindex));
    Value::from(map)
}
