//! Pages that a section makes from data, one for each entry of a list.

use std::collections::BTreeMap;

use serde_json::Value;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::index::{Discovery, IndexedPage};
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::data::{Data, DataSet};
use crate::front_matter::{Menus, PagesFrom};
use crate::offer::{BadOffer, Offer};
use crate::page::{Choice, Page, PageKind, Source};
use crate::schedule::Life;
use crate::text::Text;

use super::draft::Draft;

impl Draft<'_> {
    /// The pages that the section makes from data.
    pub(super) fn records(
        &self,
        path: &SitePath,
        data: &Data,
        config: &SiteConfig,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Page> {
        let Some(from) = &self.front.pages_from else { return Vec::new() };
        let list = data.get(&from.data).map(|set| (set, set.value.as_array()));
        let Some((set, Some(list))) = list else {
            problems.push(self.no_list(from, data));
            return Vec::new();
        };
        let choice = Choice::new("pages_from", from.template.as_ref(), &self.origin.own);
        let mut pages = Vec::with_capacity(list.len());
        for (number, entry) in list.iter().enumerate() {
            match self.record(path, number, entry, choice.clone()) {
                Ok(page) => {
                    let checked = Offer::read(entry, config.currency.as_ref());
                    problems.extend(checked.err().map(|bad| self.bad_offer(&bad, number, &page, set)));
                    pages.push(Page { life: self.life(config), ..page });
                }
                Err(message) => problems.push(self.bad_entry(set, number, &message)),
            }
        }
        pages
    }

    fn bad_offer(&self, bad: &BadOffer, number: usize, page: &Page, set: &DataSet) -> Diagnostic {
        let id = page.entry.data.get("id").and_then(Value::as_str).unwrap_or_default();
        let (code, help) = match bad {
            BadOffer::NoCurrency => {
                ("price-without-currency", "write `currency: JPY` beside it, or in site.yaml for all")
            }
            BadOffer::Price(_) | BadOffer::Currency(_) => {
                ("wrong-value", "write it like `price: 1280` and `currency: JPY`")
            }
        };
        let problem = Diagnostic::new(code, set.file.as_str(), format!("entry {} (`{id}`) {bad}", number + 1));
        let text = Source { file: set.file.clone() }.text();
        let written = [format!("id: {id}"), format!("\"id\": \"{id}\""), format!("id: \"{id}\"")];
        let place = written.iter().find(|written| text.contains(*written));
        let problem = match place {
            Some(written) => problem.at_text(&text, written),
            None => problem,
        };
        problem.related(self.origin.own.file.as_str(), None, "makes a page of each entry").help(help)
    }

    fn bad_entry(&self, set: &DataSet, number: usize, message: &str) -> Diagnostic {
        let problem = Diagnostic::new("bad-entry", set.file.as_str(), format!("entry {} {message}", number + 1))
            .related(self.origin.own.file.as_str(), None, "makes a page of each entry")
            .help("give every entry an `id`, which becomes the path, and a `name`, which becomes the title");
        set.at_entry(problem, number)
    }

    fn no_list(&self, from: &PagesFrom, data: &Data) -> Diagnostic {
        let message = format!("there is no list `data.{}`", from.data);
        let problem = Diagnostic::new("missing-data", self.origin.own.file.as_str(), message).at_word(
            &self.origin.own.text(),
            "pages_from:",
            &from.data,
        );
        match nearest(&from.data, data.names()) {
            Some(near) if near != from.data => problem.help(format!("did you mean `{near}`?")),
            _ => problem.help(format!("write data/{}.yaml as a list", from.data)),
        }
    }

    fn record(&self, section: &SitePath, number: usize, entry: &Value, choice: Option<Choice>) -> Result<Page, String> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("id").ok_or("has no `id`")?;
        let title = text("name").ok_or_else(|| format!("(`{id}`) has no `name`"))?;
        let path = format!("{section}{id}/").parse().ok().filter(|_| !id.contains('/'));
        let path: SitePath = path.ok_or_else(|| format!("has the id `{id}`, which cannot be part of a path"))?;
        let place = self.name.place.clone();
        let stem = if place.folder.is_empty() { id.to_owned() } else { format!("{}/{id}", place.folder) };
        let entry = IndexedPage {
            description: text("description").map(str::to_owned),
            data: entry.clone(),
            discovery: Discovery { noindex: self.front.noindex == Some(true), ..Discovery::default() },
            ..IndexedPage::new(path, title.to_owned(), place.lang.clone())
        };
        let order = (self.found.path.clone(), number + 1);
        let (kind, template, source) = (PageKind::Single, choice, self.origin.own.clone());
        Ok(Page {
            entry,
            kind,
            place,
            stem,
            order,
            template,
            aliases: Vec::new(),
            terms: BTreeMap::new(),
            menus: Menus::default(),
            life: Life::default(),
            text: Text::default(),
            body_source: source.clone(),
            source,
        })
    }
}
