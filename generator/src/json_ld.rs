//! What a page is, in the words of schema.org: a product with its offer, an article, its place in the site, who is
//! behind the site. Made from typed data alone; nothing is guessed from text.

use serde_json::{Map, Value, json};

use crate::config::SiteConfig;
use crate::front_matter::{RecordType, SortBy};
use crate::head::Head;
use crate::offer::Offer;
use crate::organization::put;
use crate::page::PageKind;
use crate::view::Node;

/// The longest headline that search engines show, in characters.
const MAX_HEADLINE: usize = 110;

/// The graph of the page that `head` is of, as it may stand inside `<script>`; none where there is nothing to say.
pub(crate) fn json_ld(head: &Head<'_>) -> Option<String> {
    let mut graph = Vec::new();
    let node = head.node;
    if is_home(node) {
        graph.push(Value::Object(head.config.organization.whole(&head.config.title, &head.config.base_url)));
        graph.push(site(head.config, &node.entry().lang));
    }
    graph.extend(product(head).or_else(|| article(head)));
    graph.extend(trail(head));
    if graph.is_empty() {
        return None;
    }
    Some(escaped(&json!({"@context": "https://schema.org", "@graph": graph})))
}

/// Whether the page is an article: dated, and in a section by date.
pub(crate) fn is_article(head: &Head<'_>) -> bool {
    let kind = |node: &Node| node.own().map(|page| page.kind.clone());
    let by_date =
        |node: &Node| kind(node).is_some_and(|kind| kind.section().is_some_and(|s| s.sort_by == SortBy::Date));
    let is_single = matches!(kind(head.node), Some(PageKind::Single));
    is_single && head.node.entry().date.is_some() && head.parent().is_some_and(by_date)
}

/// Whether the page is that of a product.
pub(crate) fn is_product(head: &Head<'_>) -> bool {
    let section = |node: &Node| node.own().and_then(|page| page.kind.section().cloned());
    let sells = head.parent().and_then(section).is_some_and(|section| section.records == Some(RecordType::Product));
    sells && head.node.entry().data.is_object()
}

fn is_home(node: &Node) -> bool {
    node.own().is_some_and(|page| matches!(page.kind, PageKind::Home(_)))
}

fn site(config: &SiteConfig, lang: &str) -> Value {
    json!({
        "@type": "WebSite",
        "@id": format!("{}#website", config.base_url),
        "url": config.base_url,
        "name": config.title,
        "inLanguage": lang,
        "publisher": {"@id": format!("{}#organization", config.base_url)},
    })
}

fn organization(config: &SiteConfig) -> Value {
    Value::Object(config.organization.reference(&config.title, &config.base_url))
}

fn product(head: &Head<'_>) -> Option<Value> {
    if !is_product(head) {
        return None;
    }
    let entry = head.node.entry();
    let text = |key: &str| entry.data.get(key).and_then(Value::as_str);
    let mut map = Map::new();
    map.insert("@type".into(), json!("Product"));
    map.insert("name".into(), json!(entry.title));
    put(&mut map, "description", entry.description.as_deref());
    map.insert("url".into(), json!(head.address(&entry.path)));
    if !head.pictures.is_empty() {
        map.insert("image".into(), json!(head.pictures));
    }
    put(&mut map, "sku", text("sku").or_else(|| text("id")));
    put(&mut map, "gtin", text("gtin"));
    put(&mut map, "mpn", text("mpn"));
    let organization = organization(head.config);
    let brand = text("brand").unwrap_or(&head.config.title);
    map.insert("brand".into(), json!({"@type": "Brand", "name": brand}));
    // What is wrong with an offer has been told when the record was read.
    if let Ok(Some(offer)) = Offer::read(&entry.data, head.config.currency.as_ref()) {
        map.insert("offers".into(), offered(&offer, &head.address(&entry.path), organization));
    }
    Some(Value::Object(map))
}

fn offered(offer: &Offer, url: &str, seller: Value) -> Value {
    let mut map = Map::new();
    map.insert("@type".into(), json!("Offer"));
    map.insert("price".into(), json!(offer.price));
    map.insert("priceCurrency".into(), json!(offer.currency.code()));
    let availability = offer.in_stock.map(|some| if some { "InStock" } else { "OutOfStock" });
    put(&mut map, "availability", availability.map(|name| format!("https://schema.org/{name}")).as_deref());
    map.insert("url".into(), json!(url));
    map.insert("seller".into(), seller);
    Value::Object(map)
}

fn article(head: &Head<'_>) -> Option<Value> {
    let entry = head.node.entry();
    let published = entry.date.filter(|_| is_article(head))?;
    let organization = organization(head.config);
    let author = entry.extra.get("author").and_then(Value::as_str);
    let author = author.map_or_else(|| organization.clone(), |name| json!({"@type": "Person", "name": name}));
    let mut map = Map::new();
    map.insert("@type".into(), json!("Article"));
    map.insert("headline".into(), json!(entry.title.chars().take(MAX_HEADLINE).collect::<String>()));
    put(&mut map, "description", entry.description.as_deref());
    if !head.pictures.is_empty() {
        map.insert("image".into(), json!(head.pictures));
    }
    let modified = entry.updated.unwrap_or(published).max(published);
    map.insert("datePublished".into(), json!(head.instant(published)));
    map.insert("dateModified".into(), json!(head.instant(modified)));
    map.insert("inLanguage".into(), json!(entry.lang));
    map.insert("mainEntityOfPage".into(), json!(head.address(&entry.path)));
    map.insert("author".into(), author);
    map.insert("publisher".into(), organization);
    Some(Value::Object(map))
}

/// Where the page stands: from the first page down to itself.
fn trail(head: &Head<'_>) -> Option<Value> {
    let ancestors = head.ancestors();
    if ancestors.is_empty() {
        return None;
    }
    let steps = ancestors.iter().copied().chain([head.node]).enumerate().map(|(at, node)| {
        let entry = node.entry();
        let name = if is_home(node) { &head.config.title } else { &entry.title };
        json!({"@type": "ListItem", "position": at + 1, "name": name, "item": head.address(&entry.path)})
    });
    Some(json!({"@type": "BreadcrumbList", "itemListElement": steps.collect::<Vec<_>>()}))
}

/// JSON as it may stand inside `<script>`: nothing in it begins a tag or a comment.
fn escaped(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
