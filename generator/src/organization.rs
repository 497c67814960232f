//! Who is behind a site, as `organization` in `site.yaml` says it and schema.org names it. Checks; knows no page.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::discovery::address;
use crate::url;

/// The organization behind a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organization {
    /// What kind it is of.
    #[serde(default, rename = "type")]
    kind: Kind,
    name: Option<String>,
    url: Option<String>,
    logo: Option<String>,
    description: Option<String>,
    email: Option<String>,
    telephone: Option<String>,
    address: Option<PostalAddress>,
    #[serde(default)]
    same_as: Vec<String>,
}

/// The kinds of schema.org that search engines tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Organization,
    OnlineStore,
    Store,
    LocalBusiness,
    NewsMediaOrganization,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostalAddress {
    street: Option<String>,
    locality: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    /// ISO 3166-1, two letters.
    country: Option<String>,
}

impl Organization {
    /// What is wrong with it, if anything: the complaint, and the word that it is about.
    pub(crate) fn problem(&self) -> Option<(String, &str)> {
        let off_site = self.same_as.iter().chain(&self.url).find(|url| !is_page(url));
        if let Some(url) = off_site {
            return Some((format!("`{url}` is not an address such as https://www.example.com/"), url));
        }
        let logo = self.logo.as_ref().filter(|logo| address("https://site.example/", logo).is_none());
        if let Some(logo) = logo {
            return Some((format!("`{logo}` is neither a path such as /logo.svg nor an address"), logo));
        }
        let country = self.address.as_ref().and_then(|address| address.country.as_deref());
        let bad = country.filter(|code| code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()));
        bad.map(|code| (format!("`{code}` is not a country's two letters such as JP"), code))
    }

    /// It as pages refer to it: by type, name, address and logo. `title` and `base_url` are those of the site.
    pub(crate) fn reference(&self, title: &str, base_url: &str) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("@type".into(), json!(self.kind.name()));
        map.insert("@id".into(), json!(format!("{base_url}#organization")));
        map.insert("name".into(), json!(self.name.as_deref().unwrap_or(title)));
        map.insert("url".into(), json!(self.url.as_deref().unwrap_or(base_url)));
        let logo = self.logo.as_ref().and_then(|logo| address(base_url, logo));
        put(&mut map, "logo", logo.as_deref());
        map
    }

    /// All that is known of it.
    pub(crate) fn whole(&self, title: &str, base_url: &str) -> Map<String, Value> {
        let mut map = self.reference(title, base_url);
        put(&mut map, "description", self.description.as_deref());
        put(&mut map, "email", self.email.as_deref());
        put(&mut map, "telephone", self.telephone.as_deref());
        if let Some(address) = &self.address {
            map.insert("address".into(), address.value());
        }
        if !self.same_as.is_empty() {
            map.insert("sameAs".into(), json!(self.same_as));
        }
        map
    }
}

impl PostalAddress {
    fn value(&self) -> Value {
        let mut map = Map::new();
        map.insert("@type".into(), json!("PostalAddress"));
        put(&mut map, "streetAddress", self.street.as_deref());
        put(&mut map, "addressLocality", self.locality.as_deref());
        put(&mut map, "addressRegion", self.region.as_deref());
        put(&mut map, "postalCode", self.postal_code.as_deref());
        put(&mut map, "addressCountry", self.country.as_deref());
        Value::Object(map)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::OnlineStore => "OnlineStore",
            Self::Store => "Store",
            Self::LocalBusiness => "LocalBusiness",
            Self::NewsMediaOrganization => "NewsMediaOrganization",
        }
    }
}

/// Puts `text` under `key`, where there is one.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    map.extend(text.map(|text| (key.to_owned(), json!(text))));
}

/// Whether `text` is the address of a page on some site, perhaps with a query or an account's name.
fn is_page(text: &str) -> bool {
    let (base, _) = text.split_once(['?', '#']).unwrap_or((text, ""));
    url::is_base(&base.replace('@', ""))
}
