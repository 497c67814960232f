//! A product as a search knows it: what the record of a page from data says of price, kind and stock.

use serde::Serialize;
use serde_json::Value;
use tieup_protocol::index::IndexedPage;

use crate::offer::{Currency, Offer};

/// What a list of results shows of a product. A record is one if it has a price.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Product<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) kind: &'a str,
    pub(super) price: Value,
    currency: String,
    /// How many are left, or whether any is.
    #[serde(skip_serializing_if = "Value::is_null")]
    stock: &'a Value,
    #[serde(skip_serializing_if = "str::is_empty")]
    picture: &'a str,
    #[serde(skip)]
    record: &'a Value,
}

impl<'a> Product<'a> {
    /// The product that a page is about; `usual` is the currency of prices that name none.
    pub(super) fn of(entry: &'a IndexedPage, usual: Option<&Currency>) -> Option<Self> {
        let record = &entry.data;
        let offer = Offer::read(record, usual).ok()??;
        let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            id: text("id"),
            kind: text("kind"),
            price: serde_json::from_str(&offer.price).unwrap_or(Value::String(offer.price)),
            currency: offer.currency.code().to_owned(),
            stock: record.get("stock").filter(|_| offer.in_stock.is_some()).unwrap_or(&Value::Null),
            picture: text("picture"),
            record,
        })
    }

    /// What the record says under `key` in the language `lang`: `name_ja` for `name`.
    pub(super) fn translated(&self, key: &str, lang: &str) -> Option<&'a str> {
        self.record.get(format!("{key}_{lang}")).and_then(Value::as_str)
    }
}
