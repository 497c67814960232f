//! What Tera complains about, as diagnostics that name the theme's file.

mod chain;
mod names;
mod wording;

use std::collections::BTreeMap;

use tera::{Error, ErrorKind, ReportError, Tera};
use tieup_protocol::diagnostic::{Diagnostic, Span, nearest};

use self::wording::{Defined, Told};

/// The texts of templates by the name that Tera knows them by.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<String, Template>);

#[derive(Debug)]
struct Template {
    /// Its place among those that were added: of two with one name, the first is meant.
    number: usize,
    file: String,
    text: String,
}

impl Sources {
    /// Adds the template `name`, which `file` holds.
    pub(crate) fn add(&mut self, name: String, file: String, text: String) {
        let number = self.0.len();
        self.0.insert(name, Template { number, file, text });
    }

    /// The templates' names and texts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, template)| (name.as_str(), template.text.as_str()))
    }

    /// Every name by which a template can be called: `storefront/page.html` and `page.html`.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().flat_map(|name| [Some(name.as_str()), name.split_once('/').map(|(_, end)| end)]).flatten()
    }

    /// The file of the template `name`, as a person knows it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.find(name).map_or_else(|| name.to_owned(), |template| template.file.clone())
    }

    fn find(&self, name: &str) -> Option<&Template> {
        self.0.get(self.key(name)?)
    }

    /// The full name of the template that `name` means.
    fn key(&self, name: &str) -> Option<&str> {
        let ends = |known: &str| known.split_once('/').is_some_and(|(_, end)| end == name);
        let whole = self.0.get_key_value(name);
        let found = whole.or_else(|| {
            let named = self.0.iter().filter(|(known, _)| ends(known));
            named.min_by_key(|(_, template)| template.number)
        });
        found.map(|(key, _)| key.as_str())
    }

    fn defined(&self) -> Defined<'_> {
        let named = |word| chain::defined(self, word).into_keys().collect();
        Defined { templates: self.names().collect(), components: named("component"), blocks: named("block") }
    }

    fn at(&self, code: &'static str, name: &str, line: usize, columns: (usize, usize), message: &str) -> Diagnostic {
        let text = self.find(name).and_then(|template| template.text.lines().nth(line.saturating_sub(1)));
        let text = text.unwrap_or_default().to_owned();
        let length = columns.1.saturating_sub(columns.0).max(1);
        let word: String = text.chars().skip(columns.0).take(length).collect();
        let Told { code, message, help } = wording::reword(code, message, &word, &self.defined());
        let mut problem = Diagnostic::new(code, self.file(name), message);
        problem.help = help;
        problem.span = Some(Span { line, column: columns.0 + 1, length, text });
        problem
    }

    /// `problem`, which a page made by the template `page` shows, with the templates that lead to it from there.
    pub(crate) fn trace(&self, page: &str, mut problem: Diagnostic) -> Diagnostic {
        let stumbled = self.0.iter().find(|(_, template)| template.file == problem.file);
        problem.related.extend(stumbled.map(|(name, _)| chain::between(page, name, self)).unwrap_or_default());
        problem
    }

    fn report(&self, code: &'static str, report: &ReportError) -> Diagnostic {
        let span = report.span();
        let end = if span.end_line == span.start_line { span.end_col } else { span.start_col };
        self.at(code, report.filename(), span.start_line, (span.start_col, end), report.message())
    }

    /// A circle of templates, told at the template of it that comes first by name, whichever Tera met first.
    fn circle(&self, tag: &str, message: &str, chain: &[String]) -> Diagnostic {
        let last = chain.last().map(String::as_str).unwrap_or_default();
        let begin = chain.iter().position(|name| name == last).unwrap_or(0);
        let mut circle: Vec<&str> = chain[begin..].iter().map(String::as_str).collect();
        circle.dedup();
        if circle.len() > 1 {
            circle.pop();
        }
        let first = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
        circle.rotate_left(first);
        let files: Vec<String> = circle.iter().chain(circle.first()).map(|name| self.file(name)).collect();
        let problem = self.word("template-cycle", circle.first().unwrap_or(&last), tag, message.to_owned());
        problem.help(format!("take one of these away: {}", files.join(" -> ")))
    }

    /// Points at the place in template `name` where `word` is written.
    fn word(&self, code: &'static str, name: &str, word: &str, message: String) -> Diagnostic {
        let problem = Diagnostic::new(code, self.file(name), message);
        match self.find(name) {
            Some(template) => problem.at_text(&template.text, word),
            None => problem,
        }
    }
}

/// Why templates cannot be compiled. Tera stops at the first that does not parse; here each is asked.
pub(crate) fn compiling(error: &Error, sources: &Sources) -> Vec<Diagnostic> {
    match error.kind() {
        ErrorKind::SyntaxError(_) => sources.iter().filter_map(|(name, text)| syntax(name, text, sources)).collect(),
        ErrorKind::Msg(message) if message.starts_with("error: ") => references(message, sources),
        _ => vec![other("template-syntax", error, "", sources)],
    }
}

fn syntax(name: &str, text: &str, sources: &Sources) -> Option<Diagnostic> {
    let error = Tera::new().add_raw_template(name, text).err()?;
    let ErrorKind::SyntaxError(report) = error.kind() else { return None };
    let problem = sources.report("template-syntax", report);
    if report.message() != "Unexpected end of input" {
        return Some(problem);
    }
    Some(match chain::unclosed(text) {
        Some((at, word)) => {
            let end = if word == "component" { "endcomponent NAME".to_owned() } else { format!("end{word}") };
            let message = format!("this `{word}` is not closed");
            Diagnostic { message, ..problem }.at_offset(text, at, word.len()).help(format!("write `{{% {end} %}}`"))
        }
        None => problem,
    })
}

/// Tera gives names that nothing defines as printed reports, of which message and place are read back.
fn references(message: &str, sources: &Sources) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for report in message.split("\n\n") {
        let mut lines = report.lines();
        let Some(message) = lines.next().and_then(|line| line.strip_prefix("error: ")) else { continue };
        let place = lines.next().and_then(|line| line.trim_start().strip_prefix("--> "));
        let mut parts = place.unwrap_or_default().rsplitn(3, ':');
        let numbers = (parts.next().and_then(|n| n.parse().ok()), parts.next().and_then(|n| n.parse().ok()));
        if let ((Some(column), Some(line)), Some(name)) = (numbers, parts.next()) {
            let start: usize = column;
            let underline = lines.last().map_or(1, |line| line.matches('^').count());
            let start = start.saturating_sub(1);
            problems.push(sources.at("template-syntax", name, line, (start, start + underline), message));
        }
    }
    problems
}

/// Why the template `name` cannot be rendered.
pub(crate) fn rendering(error: &Error, name: &str, sources: &Sources) -> Diagnostic {
    match error.kind() {
        ErrorKind::RenderingError(report) => sources.report("template-render", report),
        _ => other("template-render", error, name, sources),
    }
}

fn other(code: &'static str, error: &Error, name: &str, sources: &Sources) -> Diagnostic {
    match error.kind() {
        ErrorKind::MissingParent { current, parent } => {
            let message = format!("the template extends `{parent}`, which does not exist");
            let problem = sources.word("missing-template", current, parent, message);
            match nearest(parent, sources.names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }
        }
        ErrorKind::CircularExtend { inheritance_chain, .. } => {
            sources.circle("extends", "templates extend each other in a circle", inheritance_chain)
        }
        ErrorKind::CircularInclude { include_chain, .. } => {
            sources.circle("include", "templates include each other in a circle", include_chain)
        }
        ErrorKind::TemplateNotFound(missing) => {
            sources.word("missing-template", name, missing, format!("there is no template `{missing}`"))
        }
        _ => {
            let text = error.to_string();
            let mut named = text.split('`').filter(|part| sources.0.contains_key(*part));
            match (named.next(), named.next(), text.split('`').nth(1)) {
                (Some(first), Some(second), Some(component)) if text.starts_with("Component") => {
                    let message = format!("the component `{component}` is written in two templates");
                    let problem = sources.word("duplicate-component", second, component, message);
                    problem.related(sources.file(first), None, "also here").help("take one away, or rename it")
                }
                (first, ..) => Diagnostic::new(code, sources.file(first.unwrap_or(name)), text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(templates: &[(&str, &str)]) -> Vec<String> {
        let mut sources = Sources::default();
        for (name, text) in templates {
            sources.add((*name).to_owned(), format!("themes/{name}"), (*text).to_owned());
        }
        let error = Tera::new().add_raw_templates(sources.iter()).unwrap_err();
        compiling(&error, &sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_template_that_does_not_parse_is_named() {
        let shown = problems(&[("a/x.html", "<p>\n{{ 1 +\n"), ("a/y.html", "{% if %}"), ("a/z.html", "fine")]);
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(
            shown[0].contains("error[template-syntax]") && shown[0].contains("--> themes/a/x.html:"),
            "{}",
            shown[0]
        );
        assert!(shown[1].contains("--> themes/a/y.html:1:"), "{}", shown[1]);
    }
}
