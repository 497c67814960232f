//! What a record is offered for: price, currency and whether it is there. Reads a record; renders nothing.

use std::fmt;

use serde_json::Value;
use tieup_protocol::decimal::Decimal;

/// A currency by its three letters (ISO 4217).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Currency(String);

/// What a record is offered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The price, exactly as the record has it.
    pub(crate) price: String,
    /// The currency.
    pub(crate) currency: Currency,
    /// Whether there is any left; none where the record does not say.
    pub(crate) in_stock: Option<bool>,
}

/// What is wrong with a record's offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadOffer {
    /// A price, and nothing says in which currency.
    NoCurrency,
    /// This is no price.
    Price(String),
    /// This is no currency.
    Currency(String),
}

impl Offer {
    /// Reads the offer of `record`; none where it has no price. `usual` is the site's currency.
    pub(crate) fn read(record: &Value, usual: Option<&Currency>) -> Result<Option<Self>, BadOffer> {
        let Some(price) = record.get("price").filter(|price| !price.is_null()) else { return Ok(None) };
        let written = price.as_str().map_or_else(|| price.to_string(), str::to_owned);
        let fits = written.parse::<Decimal>().is_ok_and(|price| !price.is_negative());
        if !fits {
            return Err(BadOffer::Price(written));
        }
        let currency = match record.get("currency").filter(|code| !code.is_null()) {
            None => usual.cloned().ok_or(BadOffer::NoCurrency)?,
            Some(code) => {
                let parsed = code.as_str().and_then(Currency::parse);
                parsed
                    .ok_or_else(|| BadOffer::Currency(code.as_str().map_or_else(|| code.to_string(), str::to_owned)))?
            }
        };
        Ok(Some(Self { price: written, currency, in_stock: in_stock(record) }))
    }
}

/// `stock` is how many are left, or whether any is.
fn in_stock(record: &Value) -> Option<bool> {
    match record.get("stock")? {
        Value::Bool(any) => Some(*any),
        Value::Number(number) => number.as_f64().map(|left| left > 0.0),
        _ => None,
    }
}

impl Currency {
    /// Reads the three letters.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        (code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| Self(code.to_owned()))
    }

    /// The three letters.
    pub(crate) fn code(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BadOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCurrency => f.write_str("has a `price` and no `currency`"),
            Self::Price(price) => write!(f, "has the price `{price}`, which is not a number such as 1280 or \"12.80\""),
            Self::Currency(code) => {
                write!(f, "has the currency `{code}`, which is not a currency's three letters such as JPY")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_are_kept_exactly_and_stock_is_asked() {
        let yen = Currency::parse("JPY");
        let read = |record: Value| Offer::read(&record, yen.as_ref());
        let offer = read(json!({"price": 5280, "stock": 0})).unwrap().unwrap();
        assert_eq!((offer.price.as_str(), offer.currency.code(), offer.in_stock), ("5280", "JPY", Some(false)));
        let offer = read(json!({"price": "12.80", "currency": "EUR", "stock": true})).unwrap().unwrap();
        assert_eq!((offer.price.as_str(), offer.currency.code(), offer.in_stock), ("12.80", "EUR", Some(true)));
        assert_eq!(read(json!({"stock": 3})), Ok(None));
        assert_eq!(read(json!({"price": -1})), Err(BadOffer::Price("-1".to_owned())));
        assert_eq!(read(json!({"price": "free"})), Err(BadOffer::Price("free".to_owned())));
        assert_eq!(read(json!({"price": 1, "currency": "yen"})), Err(BadOffer::Currency("yen".to_owned())));
        assert_eq!(Offer::read(&json!({"price": 1}), None), Err(BadOffer::NoCurrency));
    }
}
