//! The languages that code is highlighted in: their grammars, and what each is called on a fence.

use std::sync::OnceLock;

use tree_sitter_highlight::HighlightConfiguration;
use tree_sitter_language::LanguageFn;

use super::CLASSES;

/// A language that code is highlighted in.
pub(super) struct Language {
    /// What it is called on a fence, in lower case.
    names: &'static [&'static str],
    grammar: LanguageFn,
    /// What of its syntax is highlighted; of two that fit, the later wins.
    queries: &'static [&'static str],
    /// What holds code of other languages.
    injections: &'static str,
    configuration: OnceLock<Option<HighlightConfiguration>>,
}

impl Language {
    const fn new(names: &'static [&'static str], grammar: LanguageFn, queries: &'static [&'static str]) -> Self {
        Self { names, grammar, queries, injections: "", configuration: OnceLock::new() }
    }

    const fn holding(mut self, injections: &'static str) -> Self {
        self.injections = injections;
        self
    }

    /// How it is highlighted. Read once, when the language is first met, since that takes some milliseconds.
    pub(super) fn configuration(&self) -> Option<&HighlightConfiguration> {
        let read = || {
            let queries = self.queries.join("\n");
            let grammar = self.grammar.into();
            let mut read = HighlightConfiguration::new(grammar, self.names[0], &queries, self.injections, "").ok()?;
            read.configure(&CLASSES.map(|(name, _)| name));
            Some(read)
        };
        self.configuration.get_or_init(read).as_ref()
    }
}

/// The language that a fence calls `name`.
pub(super) fn find(name: &str) -> Option<&'static Language> {
    let is_named = |language: &&Language| language.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    LANGUAGES.iter().find(is_named)
}

/// The grammar's own query lets keys be strings in the end.
const JSON_KEYS: &str = "(pair key: (string) @string.special.key)";

/// The grammar's own query shows added and deleted lines as strings and keywords.
const DIFF_LINES: &str = "[(addition) (new_file)] @diff.plus [(deletion) (old_file)] @diff.minus";

static LANGUAGES: [Language; 15] = [
    Language::new(&["rust", "rs"], tree_sitter_rust::LANGUAGE, &[tree_sitter_rust::HIGHLIGHTS_QUERY]),
    Language::new(&["python", "py"], tree_sitter_python::LANGUAGE, &[tree_sitter_python::HIGHLIGHTS_QUERY]),
    Language::new(
        &["javascript", "js", "jsx", "mjs"],
        tree_sitter_javascript::LANGUAGE,
        &[tree_sitter_javascript::HIGHLIGHT_QUERY, tree_sitter_javascript::JSX_HIGHLIGHT_QUERY],
    ),
    Language::new(
        &["typescript", "ts"],
        tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        &[tree_sitter_javascript::HIGHLIGHT_QUERY, tree_sitter_typescript::HIGHLIGHTS_QUERY],
    ),
    Language::new(
        &["tsx"],
        tree_sitter_typescript::LANGUAGE_TSX,
        &[tree_sitter_javascript::HIGHLIGHT_QUERY, tree_sitter_typescript::HIGHLIGHTS_QUERY],
    ),
    Language::new(&["html", "xml", "svg"], tree_sitter_html::LANGUAGE, &[tree_sitter_html::HIGHLIGHTS_QUERY])
        .holding(tree_sitter_html::INJECTIONS_QUERY),
    Language::new(&["css"], tree_sitter_css::LANGUAGE, &[tree_sitter_css::HIGHLIGHTS_QUERY]),
    Language::new(&["json", "jsonc"], tree_sitter_json::LANGUAGE, &[tree_sitter_json::HIGHLIGHTS_QUERY, JSON_KEYS]),
    Language::new(&["yaml", "yml"], tree_sitter_yaml::LANGUAGE, &[tree_sitter_yaml::HIGHLIGHTS_QUERY]),
    Language::new(&["toml"], tree_sitter_toml_ng::LANGUAGE, &[tree_sitter_toml_ng::HIGHLIGHTS_QUERY]),
    Language::new(&["bash", "sh", "shell", "zsh"], tree_sitter_bash::LANGUAGE, &[tree_sitter_bash::HIGHLIGHT_QUERY]),
    Language::new(&["go", "golang"], tree_sitter_go::LANGUAGE, &[tree_sitter_go::HIGHLIGHTS_QUERY]),
    Language::new(&["java"], tree_sitter_java::LANGUAGE, &[tree_sitter_java::HIGHLIGHTS_QUERY]),
    Language::new(&["c", "h"], tree_sitter_c::LANGUAGE, &[tree_sitter_c::HIGHLIGHT_QUERY]),
    Language::new(&["diff", "patch"], tree_sitter_diff::LANGUAGE, &[tree_sitter_diff::HIGHLIGHTS_QUERY, DIFF_LINES]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_can_be_read_and_no_name_is_taken_twice() {
        let mut names: Vec<&str> = Vec::new();
        for language in &LANGUAGES {
            assert!(language.configuration().is_some(), "{}", language.names[0]);
            names.extend(language.names);
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
