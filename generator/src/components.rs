//! The components of a theme that texts ask for: whether calls fit them, and what they write into a text's holes.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tera::{ComponentArg, ComponentArgType, ComponentInfo, Context, ErrorKind};
use tieup_protocol::diagnostic::{Diagnostic, nearest};

use crate::markdown::{Argument, Asker, Body, Fill, Hole, Hooks, Span};
use crate::page::{Page, Source};
use crate::source::{files_below, read_bytes};
use crate::template_error;
use crate::templates::Templates;

/// What of Markdown the themes in the folder `themes` and a site's own `templates` may show in their own way.
///
/// What cannot be read is told of where it is read for good.
pub(crate) fn hooks(themes: &Path, templates: &Path) -> Hooks {
    let of_themes = files_below(themes, &mut Vec::new()).into_iter();
    let of_themes = of_themes.filter(|found| found.path.as_str().split('/').nth(1) == Some("templates"));
    let texts = of_themes.chain(files_below(templates, &mut Vec::new()));
    let texts: Vec<Vec<u8>> = texts.filter_map(|found| read_bytes(&found.file).ok()).collect();
    Hooks::in_texts(texts.iter().map(Vec::as_slice))
}

/// Checks what pages call. Without templates, because they are wrong, only how it is written.
pub(crate) fn check<'a>(
    pages: impl IntoIterator<Item = &'a Arc<Page>>,
    templates: Option<&Templates>,
    problems: &mut Vec<Diagnostic>,
) {
    for page in pages {
        if page.text.is_known() && !page.text.facts.has_holes {
            continue;
        }
        let body = page.text.body();
        if body.holes.is_empty() && body.mistakes.is_empty() {
            continue;
        }
        problems.extend(mistakes(&body, &page.source));
        let called = body.holes.iter().filter(|hole| hole.asker == Asker::Call);
        problems.extend(templates.into_iter().flat_map(|templates| {
            let calls = called.clone();
            calls.flat_map(|hole| check_call(hole, templates, &page.source)).collect::<Vec<_>>()
        }));
    }
}

/// Refuses calls in a text that is no page, such as a slot's, since no component is at hand where it is shown.
pub(crate) fn refuse(body: &Body, source: &Source, problems: &mut Vec<Diagnostic>) {
    problems.extend(mistakes(body, source));
    problems.extend(body.holes.iter().filter(|hole| hole.asker == Asker::Call).map(|hole| {
        let message = format!("`{}` is called in a slot's text, which stands on its own", hole.name);
        let problem = Diagnostic::new("misplaced-component", source.file.as_str(), message);
        underlined(problem, hole.span, source).help("write it as HTML, or let the theme call the component")
    }));
}

/// What fills the holes of the text that `source` holds. Of the place that is filled, components see `implicits` where
/// they ask for them: `@lang`, `@page`.
///
/// # Errors
/// What a component stumbles over, at its place in the theme.
pub(crate) fn content<'b>(
    body: &'b Body,
    source: &Source,
    templates: &Templates,
    implicits: &Context,
) -> Result<Cow<'b, str>, Diagnostic> {
    let fill: &Fill<'_> = &|hole, inner| {
        let Some(component) = templates.tera().get_component_definition(&hole.name) else { return Ok(None) };
        let given = arguments(hole, &component);
        let filled = templates.tera().render_component_with_implicits(&hole.name, &given, implicits, inner, true);
        match filled {
            Ok(filled) => Ok(Some(filled)),
            // What does not fit has been told before.
            Err(_) if hole.asker == Asker::Call && !check_call(hole, templates, source).is_empty() => Ok(None),
            Err(error) => Err(stumbled(&error, hole, source, templates)),
        }
    };
    body.filled(fill)
}

/// What a component is given. A theme names only what it uses of what there is to know of a link.
fn arguments(hole: &Hole, component: &ComponentInfo) -> Context {
    let takes = |argument: &Argument| {
        hole.asker == Asker::Call
            || component.rest_param().is_some()
            || component.args().iter().any(|known| known.name() == argument.name)
    };
    let mut given = Context::new();
    for argument in hole.arguments.iter().filter(|argument| takes(argument)) {
        given.insert_value(argument.name.clone(), tera::Value::from_serializable(&argument.value));
    }
    given
}

fn stumbled(error: &tera::Error, hole: &Hole, source: &Source, templates: &Templates) -> Diagnostic {
    if !matches!(error.kind(), ErrorKind::RenderingError(_)) {
        let problem = Diagnostic::new("template-render", source.file.as_str(), error.to_string());
        return underlined(problem, hole.span, source);
    }
    let problem = template_error::rendering(error, &hole.name, templates.sources());
    let line = source.text().get(..hole.span.range().start).map(|before| before.matches('\n').count() + 1);
    problem.related(source.file.as_str(), line, format!("`{}` is asked for here", hole.name))
}

fn mistakes<'a>(body: &'a Body, source: &'a Source) -> impl Iterator<Item = Diagnostic> + 'a {
    body.mistakes.iter().map(|mistake| {
        let problem = Diagnostic::new(mistake.code, source.file.as_str(), mistake.message.as_str());
        let problem = underlined(problem, mistake.span, source);
        match &mistake.help {
            Some(help) => problem.help(help.as_str()),
            None => problem,
        }
    })
}

fn check_call(hole: &Hole, templates: &Templates, source: &Source) -> Vec<Diagnostic> {
    let problem =
        |code, message: String, span| underlined(Diagnostic::new(code, source.file.as_str(), message), span, source);
    let name = &hole.name;
    let Some(component) = templates.tera().get_component_definition(name) else {
        let unknown = problem("unknown-component", format!("the theme has no component `{name}`"), hole.span);
        return vec![match nearest(name, templates.tera().get_component_names()) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None => unknown.help(format!("write {{% component {name}() %}} in a template of the theme")),
        }];
    };
    let mut problems = Vec::new();
    for given in &hole.arguments {
        match component.args().iter().find(|known| known.name() == given.name) {
            Some(known) => problems.extend(known.arg_type().filter(|kind| !fits(&given.value, *kind)).map(|kind| {
                let message =
                    format!("`{}` of `{name}` must be of type {kind}, and is {}", given.name, kind_of(&given.value));
                problem("wrong-argument", message, given.span).help(how_to_write(&given.name, kind))
            })),
            None if component.rest_param().is_some() => {}
            None => {
                let unknown =
                    problem("unknown-argument", format!("`{name}` takes no argument `{}`", given.name), given.span);
                problems.push(unknown.help(known_arguments(&component, &given.name)));
            }
        }
    }
    let is_given = |known: &ComponentArg| hole.arguments.iter().any(|given| given.name == known.name());
    problems.extend(component.args().iter().filter(|known| known.is_required() && !is_given(known)).map(|known| {
        let message = format!("`{name}` needs the argument `{}`", known.name());
        let help = how_to_write(known.name(), known.arg_type().unwrap_or(ComponentArgType::String));
        problem("missing-argument", message, hole.span).help(help)
    }));
    problems
}

fn known_arguments(component: &ComponentInfo, given: &str) -> String {
    let names: Vec<&str> = component.args().iter().map(ComponentArg::name).collect();
    match nearest(given, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it takes none".to_owned(),
        None => format!("it takes: {}", names.join(", ")),
    }
}

fn fits(value: &Value, kind: ComponentArgType) -> bool {
    match kind {
        ComponentArgType::String => value.is_string(),
        ComponentArgType::Bool => value.is_boolean(),
        ComponentArgType::Integer => value.is_i64() || value.is_u64(),
        ComponentArgType::Float => value.is_f64(),
        ComponentArgType::Number => value.is_number(),
        ComponentArgType::Array => value.is_array(),
        ComponentArgType::Map => value.is_object(),
        _ => false,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn how_to_write(name: &str, kind: ComponentArgType) -> String {
    let value = match kind {
        ComponentArgType::Bool => "{true}",
        ComponentArgType::Integer | ComponentArgType::Number => "{3}",
        ComponentArgType::Float => "{0.5}",
        ComponentArgType::Array => "{[\"a\", \"b\"]}",
        ComponentArgType::Map => "{{\"key\": \"value\"}}",
        _ => "\"text\"",
    };
    format!("write {name}={value}")
}

fn underlined(problem: Diagnostic, span: Span, source: &Source) -> Diagnostic {
    let (text, span) = (source.text(), span.range());
    let length = text.get(span.clone()).map_or(1, |word| word.lines().next().map_or(1, |line| line.chars().count()));
    problem.at_offset(&text, span.start, length)
}
