//! What a site says about its Markdown.

use serde::Deserialize;

/// What a site says about its Markdown, `markdown:` in `site.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Whether `$` and `$$` stand around TeX. Where prices are written with `$`, it should not.
    #[serde(default)]
    pub(crate) math: bool,
}
