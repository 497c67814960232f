//! What a site says about its Markdown.

use serde::Deserialize;

/// What a site says about its Markdown, `markdown:` in `site.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Whether `$` and `$$` stand around TeX. Where prices are written with `$`, it should not.
    #[serde(default)]
    pub(crate) math: bool,
    /// The hosts to which links are paid for. A host stands for its subdomains too.
    #[serde(default)]
    pub(crate) sponsored: Vec<String>,
    /// How code is highlighted; a key of its own in `site.yaml`.
    #[serde(skip)]
    pub(crate) highlight: Highlight,
    /// What the theme may show in its own way.
    #[serde(skip)]
    pub(crate) hooks: Hooks,
}

/// How code is highlighted, `highlight:` in `site.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Highlight {
    /// Not at all.
    #[default]
    None,
    /// Its parts have classes.
    Classes,
}

/// What of Markdown the theme may show in its own way: by a component `render_link`, `render_image`, `render_code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    /// Links.
    pub(crate) link: bool,
    /// Pictures.
    pub(crate) image: bool,
    /// Blocks of code.
    pub(crate) code: bool,
}

impl Hooks {
    /// Those whose components the texts of templates may define.
    pub(crate) fn in_texts<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hooks = Self::default();
        for text in texts {
            let names = |name: &str| memchr::memmem::find(text, name.as_bytes()).is_some();
            hooks.link |= names("render_link");
            hooks.image |= names("render_image");
            hooks.code |= names("render_code");
        }
        hooks
    }
}

impl Settings {
    /// Whether links to the address `url` are paid for.
    pub(super) fn is_sponsored(&self, url: &str) -> bool {
        let Some((scheme, rest)) = url.split_once("//") else { return false };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_web = ["", "http:", "https:"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        is_web && self.sponsored.iter().any(|paid| within(&host, &paid.to_ascii_lowercase()))
    }
}

/// Whether `host` is `domain` or lies below it.
fn within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
