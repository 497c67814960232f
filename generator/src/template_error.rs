//! What Tera complains about, as diagnostics that name the theme's file.

use std::collections::BTreeMap;

use tera::{Error, ErrorKind, ReportError, Tera};
use tieup_protocol::diagnostic::{Diagnostic, Span, nearest};

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
        self.0.get(name).or_else(|| {
            let named = self.0.iter().filter(|(known, _)| known.split_once('/').is_some_and(|(_, end)| end == name));
            named.map(|(_, template)| template).min_by_key(|template| template.number)
        })
    }

    fn at(&self, code: &'static str, name: &str, line: usize, columns: (usize, usize), message: &str) -> Diagnostic {
        let (message, help) = split_message(message);
        let mut problem = Diagnostic::new(code, self.file(name), message);
        problem.help = help;
        let text = self.find(name).and_then(|template| template.text.lines().nth(line.saturating_sub(1)));
        let text = text.unwrap_or_default().to_owned();
        let length = columns.1.saturating_sub(columns.0).max(1);
        problem.span = Some(Span { line, column: columns.0 + 1, length, text });
        problem
    }

    fn report(&self, code: &'static str, report: &ReportError) -> Diagnostic {
        let span = report.span();
        let end = if span.end_line == span.start_line { span.end_col } else { span.start_col };
        self.at(code, report.filename(), span.start_line, (span.start_col, end), report.message())
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
    match error.kind() {
        ErrorKind::SyntaxError(report) => Some(sources.report("template-syntax", report)),
        _ => None,
    }
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
        ErrorKind::CircularExtend { tpl, .. } => {
            sources.word(code, tpl, "extends", format!("the template extends itself by way of others: `{tpl}`"))
        }
        ErrorKind::CircularInclude { tpl, .. } => {
            sources.word(code, tpl, "include", format!("the template includes itself by way of others: `{tpl}`"))
        }
        ErrorKind::TemplateNotFound(missing) => {
            sources.word("missing-template", name, missing, format!("there is no template `{missing}`"))
        }
        _ => {
            let text = error.to_string();
            let file = text.split('`').find(|part| sources.0.contains_key(*part)).unwrap_or(name);
            Diagnostic::new(code, sources.file(file), text)
        }
    }
}

/// Tera writes "What is wrong. What there is instead"; the second part is advice.
fn split_message(message: &str) -> (String, Option<String>) {
    for advice in [". Available fields: ", ". Available variables: "] {
        if let Some((wrong, names)) = message.split_once(advice) {
            let what = advice.trim_start_matches(". Available ").trim_end_matches(": ");
            let meant = wrong.split('`').nth(1).and_then(|word| nearest(word, names.split(", ")));
            let help = match meant {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("these {what} exist: {names}"),
            };
            return (wrong.to_owned(), Some(help));
        }
    }
    (message.trim_end_matches('.').to_owned(), None)
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

    #[test]
    fn names_that_nothing_defines_are_underlined() {
        let shown = problems(&[("a/x.html", "<p>\n{{ 1 | yn }} {{ gt_page() }}\n")]);
        assert_eq!(
            shown[0],
            "error[template-syntax]: Unknown filter `yn`\n --> themes/a/x.html:2:8\n2 | {{ 1 | yn }} {{ gt_page() }}\n  |        ^^\n"
        );
        assert!(shown[1].contains("Unknown function `gt_page`"), "{}", shown[1]);
    }

    #[test]
    fn a_missing_parent_is_named() {
        let shown = problems(&[("a/x.html", "{% extends \"bse.html\" %}")]);
        assert!(
            shown[0].contains("error[missing-template]") && shown[0].contains("themes/a/x.html:1:13"),
            "{}",
            shown[0]
        );
    }
}
