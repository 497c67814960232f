//! The templates of a theme chain, ready to render the pages of one view.

use std::sync::Arc;

use tera::{Context, Error, Kwargs, Map, State, Tera, TeraResult, Value};
use tieup_protocol::contract::{Contract, Indexing};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::manifest::SlotRange;

use crate::assets::Assets;
use crate::config::SiteConfig;
use crate::template_error::{self, Sources};
use crate::theme::Framework;
use crate::view::View;
use crate::{filters, slots, source, xml};

/// Compiled templates, bound to the view that their functions ask.
pub(crate) struct Templates<'a> {
    tera: Tera,
    framework: &'a Framework,
    sources: Sources,
}

/// What every template sees, whatever the page.
pub(crate) struct Globals<'a> {
    /// Everything under `data/`.
    pub(crate) data: Value,
    /// The partner whose release is made; none for the main site and for originals.
    pub(crate) partner: Option<&'a Contract>,
    /// The files that templates can ask for.
    pub(crate) assets: Arc<Assets>,
}

impl<'a> Templates<'a> {
    /// Compiles the templates of `framework`.
    ///
    /// # Errors
    /// Everything that is wrong with the templates by themselves.
    pub(crate) fn new(
        framework: &'a Framework,
        view: &Arc<View>,
        globals: Globals<'_>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let sources = read(framework)?;
        let mut tera = Tera::new();
        tera.set_escape_fn(xml::escape_to);
        filters::register(&mut tera, framework.slots());
        register_functions(&mut tera, view, &globals.assets);
        tera.set_fallback_prefixes(framework.prefixes()).expect("prefixes are set before the first template is added");
        let context = tera.global_context();
        context.insert_value("site", site_value(view.config()));
        context.insert_value("data", globals.data);
        context.insert_value("partner", globals.partner.map_or_else(Value::none, partner_value));
        match tera.add_raw_templates(sources.iter()) {
            Ok(()) => Ok(Self { tera, framework, sources }),
            Err(error) => Err(template_error::compiling(&error, &sources)),
        }
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

fn register_functions(tera: &mut Tera, view: &Arc<View>, assets: &Arc<Assets>) {
    let files = assets.clone();
    tera.register_function("asset", move |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        files.asset(options.must_get::<&str>("path")?).map_err(Error::message)
    });
    let pages = view.clone();
    tera.register_function("get_page", move |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        pages.page(options.must_get::<&str>("path")?).map_err(Error::message)
    });
    let sections = view.clone();
    tera.register_function("get_section", move |options: Kwargs, _: &State<'_>| -> TeraResult<Value> {
        sections.section(options.must_get::<&str>("path")?).map_err(Error::message)
    });
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
