//! The page index of a release: what listings, menus, the sitemap and the feeds need to know of each page.
//!
//! The partner joins it with the index of its originals, so that files which span both come from one list.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::path::SitePath;

/// One page as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedPage {
    /// Where it stands.
    pub path: SitePath,
    /// Its title.
    pub title: String,
    /// One or two sentences about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The language, as a BCP 47 tag.
    pub lang: String,
    /// The day it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// The day it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Date>,
    /// Its place among its siblings; lower comes first.
    #[serde(default)]
    pub weight: i64,
    /// The section it belongs to; none for the first page of a language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<SitePath>,
    /// Whether it is itself a section.
    #[serde(default)]
    pub is_section: bool,
    /// Whether it is made from other pages alone, as the page of a term is; such a page stands in no listing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_derived: bool,
    /// The free keys of its front matter.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub extra: serde_json::Value,
    /// The record it was made from, for pages from data.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// What search engines are told of it.
    #[serde(default, skip_serializing_if = "Discovery::is_empty")]
    pub discovery: Discovery,
}

/// What search engines are told of a page beyond its address and its days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Whether it asks not to be found by searching.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noindex: bool,
    /// The pictures in its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<SitePath>,
    /// The page in each of its languages, its own included; empty where there is one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Alternate>,
}

/// A page in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternate {
    /// The language, as a BCP 47 tag; `x-default` for readers of none of the site's languages.
    pub lang: String,
    /// Where the page stands.
    pub path: SitePath,
}

impl IndexedPage {
    /// A page at `path` of which only the title and the language are known.
    pub fn new(path: SitePath, title: String, lang: String) -> Self {
        Self {
            path,
            title,
            description: None,
            lang,
            date: None,
            updated: None,
            weight: 0,
            section: None,
            is_section: false,
            is_derived: false,
            extra: serde_json::Value::Null,
            data: serde_json::Value::Null,
            discovery: Discovery::default(),
        }
    }
}

impl Discovery {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
