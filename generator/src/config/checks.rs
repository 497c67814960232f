//! What in a `site.yaml` that was read makes no sense, each with the word that is wrong.

use std::collections::BTreeSet;

use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::path::SitePath;

use super::SiteConfig;
use crate::anchors::slug;
use crate::discovery::address;
use crate::permalink::{BadPattern, TOKENS};
use crate::url;

impl SiteConfig {
    /// Adds what makes no sense to `problems`.
    pub(super) fn check(&self, problems: &mut Vec<Diagnostic>) {
        self.check_taxonomies(problems);
        self.check_menus(problems);
        self.check_organization(problems);
        self.check_addresses(problems);
    }

    /// A `word` that is wrong and stands after `key`.
    pub(super) fn wrong(&self, key: &str, message: String, word: &str) -> Diagnostic {
        Diagnostic::new("wrong-value", self.file.as_str(), message).at_word(&self.text, key, word)
    }

    pub(super) fn bad_pattern(&self, pattern: &str, bad: &BadPattern) -> Diagnostic {
        match bad {
            BadPattern::Shape => self
                .wrong("permalinks:", format!("`{pattern}` is not a pattern of paths"), pattern)
                .help("write it like /:section/:year/:slug/ or /:section/:slug.html"),
            BadPattern::NoSlug => self
                .wrong("permalinks:", format!("`{pattern}` gives every page of a day the same path"), pattern)
                .help("write `:slug` into it"),
            BadPattern::Unknown(word) => {
                let problem = self.wrong("permalinks:", format!("`:{word}` stands for nothing"), &format!(":{word}"));
                match nearest(word, TOKENS) {
                    Some(near) => problem.help(format!("did you mean `:{near}`?")),
                    None => problem.help(format!("these exist: :{}", TOKENS.join(", :"))),
                }
            }
        }
    }

    fn check_taxonomies(&self, problems: &mut Vec<Diagnostic>) {
        for (place, taxonomy) in self.taxonomies.iter().enumerate() {
            let name = &taxonomy.name;
            if slug(name) != *name {
                let message = format!("`{name}` cannot be a taxonomy's name, since it becomes a path");
                problems.push(self.wrong("taxonomies:", message, name).help(format!("write `{}`", slug(name))));
            }
            if self.taxonomies[..place].iter().any(|other| other.name == *name) {
                problems.push(self.wrong("taxonomies:", format!("the taxonomy `{name}` is named twice"), name));
            }
        }
    }

    fn check_menus(&self, problems: &mut Vec<Diagnostic>) {
        for link in self.menus.values().flatten() {
            if link.path.is_some() == link.url.is_some() {
                let message = format!("the menu's link `{}` needs either a `path` or a `url`", link.title);
                problems.push(self.wrong("menus:", message, &link.title));
            }
            if let Some(path) = link.path.as_ref().filter(|path| path.parse::<SitePath>().is_err()) {
                problems.push(self.wrong("menus:", format!("`{path}` is not a path of this site"), path));
            }
            if let Some(lang) = link.lang.as_ref().filter(|lang| self.codes().all(|code| code != *lang)) {
                problems.push(self.wrong("menus:", format!("`{lang}` is not a language of this site"), lang));
            }
        }
    }

    fn check_addresses(&self, problems: &mut Vec<Diagnostic>) {
        let base = &self.base_url;
        if !url::is_base(base) {
            let message = format!("`{base}` is not the address of a site");
            problems.push(self.wrong("base_url:", message, base).help("write it like https://www.example.com/"));
        }
        let mut known = BTreeSet::new();
        for code in self.codes() {
            if !is_language(code) {
                let message = format!("`{code}` is not a language tag");
                problems.push(self.wrong("language", message, code).help("write it like en, ja or pt-BR"));
            } else if !known.insert(code) {
                problems.push(self.wrong("languages:", format!("the language `{code}` is named twice"), code));
            }
        }
    }

    fn check_organization(&self, problems: &mut Vec<Diagnostic>) {
        let about = self.organization.problem().map(|(message, word)| ("organization:", message, word));
        let picture = self.picture.as_deref().filter(|picture| address(&self.base_url, picture).is_none());
        let picture = picture.map(|picture| {
            let message = format!("`{picture}` is neither a path such as /pictures/front.png nor an address");
            ("picture:", message, picture)
        });
        problems
            .extend([about, picture].into_iter().flatten().map(|(key, message, word)| self.wrong(key, message, word)));
    }
}

fn is_language(code: &str) -> bool {
    (2..=35).contains(&code.len())
        && code.split('-').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
}
