//! `site.yaml`: a main site's and a partner's. Reads it and checks it; knows nothing of content.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_protocol::yaml;

use crate::source::{read_text, scrub, scrub_text, shown};
use crate::url;

/// What `site.yaml` says.
#[derive(Clone, Debug)]
pub(crate) struct SiteConfig {
    /// The site's title.
    pub(crate) title: String,
    /// The site's address, ending with `/`.
    pub(crate) base_url: String,
    /// The language of pages whose name says none.
    pub(crate) language: String,
    /// The other languages.
    pub(crate) languages: Vec<Language>,
    /// Whether sections by date get an Atom feed.
    pub(crate) feeds: bool,
    /// Free keys.
    pub(crate) extra: Map<String, Value>,
    /// The file, as a person knows it.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
}

/// A language that a site is written in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// The BCP 47 tag.
    pub(crate) code: String,
    /// Its name in the language itself.
    pub(crate) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MainDocument {
    title: String,
    base_url: String,
    #[serde(default = "english")]
    language: String,
    #[serde(default)]
    languages: Vec<Language>,
    theme: String,
    #[serde(default)]
    feeds: bool,
    #[serde(default)]
    extra: Map<String, Value>,
}

/// A partner's document has no `theme`: the theme comes with the release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnerDocument {
    title: String,
    base_url: String,
    #[serde(default = "english")]
    language: String,
    #[serde(default)]
    languages: Vec<Language>,
    #[serde(default)]
    feeds: bool,
    #[serde(default)]
    extra: Map<String, Value>,
}

fn english() -> String {
    "en".to_owned()
}

impl SiteConfig {
    /// Reads a main site's `site.yaml`, and the name of its theme.
    pub(crate) fn load_main(dir: &Path) -> Result<(Self, String), Diagnostic> {
        let (file, text) = read_document(dir)?;
        let document: MainDocument = yaml::parse(&file, &text)?;
        let config = Self {
            title: document.title,
            base_url: document.base_url,
            language: document.language,
            languages: document.languages,
            feeds: document.feeds,
            extra: document.extra,
            file,
            text,
        };
        Ok((config.checked()?, document.theme))
    }

    /// Reads a partner's `site.yaml`.
    pub(crate) fn load_partner(dir: &Path) -> Result<Self, Diagnostic> {
        let (file, text) = read_document(dir)?;
        let document: PartnerDocument = yaml::parse(&file, &text)?;
        let config = Self {
            title: document.title,
            base_url: document.base_url,
            language: document.language,
            languages: document.languages,
            feeds: document.feeds,
            extra: document.extra,
            file,
            text,
        };
        config.checked()
    }

    fn checked(mut self) -> Result<Self, Diagnostic> {
        let base = self.base_url.clone();
        if !url::is_base(&base) {
            let message = format!("`{base}` is not the address of a site");
            return Err(self.wrong(message, &base).help("write it like https://www.example.com/"));
        }
        if !self.base_url.ends_with('/') {
            self.base_url.push('/');
        }
        if let Some(bad) = self.codes().find(|code| !is_language(code)).map(str::to_owned) {
            let message = format!("`{bad}` is not a language tag");
            return Err(self.wrong(message, &bad).help("write it like en, ja or pt-BR"));
        }
        scrub_text(&mut self.title);
        self.extra.values_mut().for_each(scrub);
        Ok(self)
    }

    fn wrong(&self, message: String, word: &str) -> Diagnostic {
        Diagnostic::new("wrong-value", self.file.as_str(), message).at_text(&self.text, word)
    }

    /// Every language's tag, the default language first.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.language.as_str()).chain(self.languages.iter().map(|language| language.code.as_str()))
    }

    /// A language's name in the language itself, or its tag where no name is known.
    pub(crate) fn language_name<'a>(&'a self, code: &'a str) -> &'a str {
        let named = self.languages.iter().find(|language| language.code == code);
        named.map_or_else(|| endonym(code), |language| &language.name)
    }

    /// The first page of a language: `/`, or `/ja/` for a language that is not the default.
    pub(crate) fn home(&self, code: &str) -> SitePath {
        if code == self.language {
            return SitePath::root();
        }
        format!("/{code}/").parse().expect("a checked language tag is one segment of letters, digits and hyphens")
    }

    /// The absolute address of `path`.
    pub(crate) fn permalink(&self, path: &SitePath) -> String {
        url::absolute(&self.base_url, path)
    }
}

fn read_document(dir: &Path) -> Result<(String, String), Diagnostic> {
    let path = dir.join("site.yaml");
    let text = read_text(&path).map_err(|problem| match problem.code {
        "missing-file" => problem.help("a site's folder holds site.yaml with at least title and base_url"),
        _ => problem,
    })?;
    Ok((shown(&path), text))
}

fn is_language(code: &str) -> bool {
    (2..=35).contains(&code.len())
        && code.split('-').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The names of languages that sites often have as their default, which `languages` does not list.
fn endonym(code: &str) -> &str {
    match code {
        "de" => "Deutsch",
        "en" => "English",
        "es" => "Español",
        "fr" => "Français",
        "it" => "Italiano",
        "ja" => "日本語",
        "ko" => "한국어",
        "pt" => "Português",
        "th" => "ไทย",
        "vi" => "Tiếng Việt",
        "zh" => "中文",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<SiteConfig, Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("site.yaml"), text).unwrap();
        SiteConfig::load_partner(dir.path())
    }

    #[test]
    fn addresses_end_with_a_slash_and_languages_have_homes() {
        let config = load("title: A\nbase_url: https://a.example\nlanguages: [{code: ja, name: 日本語}]\n").unwrap();
        assert_eq!(config.base_url, "https://a.example/");
        assert_eq!(config.home("ja").as_str(), "/ja/");
        assert_eq!(config.home("en").as_str(), "/");
        assert_eq!(config.permalink(&"/会社/".parse().unwrap()), "https://a.example/%E4%BC%9A%E7%A4%BE/");
        assert_eq!((config.language_name("en"), config.language_name("ja")), ("English", "日本語"));
    }

    #[test]
    fn what_is_not_an_address_or_a_language_is_refused() {
        for bad in ["a.example", "ftp://a.example/", "https://", "https://a.example/?x", "'https://a b/'"] {
            let problem = load(&format!("title: A\nbase_url: {bad}\n")).unwrap_err();
            assert_eq!(problem.code, "wrong-value", "{bad}");
        }
        let problem = load("title: A\nbase_url: https://a.example\nlanguage: ../x\n").unwrap_err();
        assert_eq!(problem.span.map(|span| span.line), Some(3));
        assert_eq!(load("title: A\nbase_url: https://a.example\ntheme: x\n").unwrap_err().code, "unknown-key");
    }
}
