//! What besides the counted journal a fee goes by: the sales of the period, and the catalogue of what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tieup_protocol::contract::{Advertiser, Classes, Currency, Extent, MeterClass, Sales};
use tieup_protocol::decimal::Decimal;
use tieup_protocol::digest::Digest;
pub use tieup_protocol::record::Stock;
use tieup_protocol::record::{Sale, Word};

use crate::count::Counted;
use crate::money::Money;

/// Everything that is priced.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// The journal, counted.
    pub counted: &'a Counted,
    /// What was published at the end of the period; only contracts whose meters read it need it.
    pub catalogue: Option<&'a Catalogue>,
    /// What was sold.
    pub events: &'a [Event],
}

/// Something besides a visit that is charged for, such as a settled order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name, by which nothing is charged twice: an order's number.
    pub id: String,
    /// The kind, as contracts name it: `settled_orders`. Kinds that no charge names cost nothing.
    pub kind: String,
    /// The amount it was about; never negative.
    pub amount: Money,
    /// How many units were sold.
    pub units: u64,
    /// Of which goods, where they are told apart.
    pub goods: Option<String>,
    /// From a page of which class the buyer came, where that is known.
    pub via: Option<MeterClass>,
    /// What was transferred to main with the sale.
    pub collected: Option<Money>,
}

/// How much a partner's site holds, taken from its index when the period ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Tie-up pages.
    pub tieup: Stock,
    /// Original pages.
    pub original: Stock,
    /// Advertisements of main on the pages.
    pub main_ads: u64,
    /// Advertisements of the partner on the pages.
    pub partner_ads: u64,
    /// How many units main offers of goods in limited number.
    pub offered: BTreeMap<String, u64>,
}

/// Why sales make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// Two have one name.
    #[error("there are two events `{0}`")]
    Duplicate(String),
    /// A name, kind or kind of goods is not one printable word.
    #[error("the {field} of event {id:?} is not one printable word")]
    Word {
        /// The event.
        id: String,
        /// Which of its words.
        field: &'static str,
    },
    /// It is in another currency.
    #[error("event `{id}` is in {}; the contract is in {}", .event.code(), .contract.code())]
    Currency {
        /// The event.
        id: String,
        /// Its currency.
        event: Currency,
        /// The contract's.
        contract: Currency,
    },
    /// An amount is finer than the currency.
    #[error("event `{id}` has the amount {amount}, which is finer than {} is", .currency.code())]
    Finer {
        /// The event.
        id: String,
        /// The amount.
        amount: Decimal,
        /// The contract's currency.
        currency: Currency,
    },
    /// An amount is below 0.
    #[error("event `{id}` has the negative amount {amount}")]
    Negative {
        /// The event.
        id: String,
        /// Its amount.
        amount: Money,
    },
}

impl Event {
    /// What `sale` is charged as in `currency`.
    ///
    /// # Errors
    /// When an amount is finer than the currency.
    pub fn of(sale: &Sale, currency: Currency) -> Result<Self, InvalidEvent> {
        let money = |amount: Decimal| {
            let finer = || InvalidEvent::Finer { id: sale.id.to_string(), amount, currency };
            Money::of_major(currency, amount).ok_or_else(finer)
        };
        Ok(Self {
            id: sale.id.to_string(),
            kind: sale.kind.to_string(),
            amount: money(sale.amount)?,
            units: sale.units,
            goods: sale.goods.as_ref().map(Word::to_string),
            via: sale.via,
            collected: sale.collected.map(money).transpose()?,
        })
    }

    /// Whether it is one of `sales`.
    pub fn is_of(&self, sales: &Sales) -> bool {
        sales.mean(&self.kind, self.goods.as_deref(), self.via)
    }

    fn check(&self, currency: Currency) -> Result<(), InvalidEvent> {
        let words = [("name", Some(&self.id)), ("kind", Some(&self.kind)), ("goods", self.goods.as_ref())];
        if let Some((field, _)) = words.into_iter().find(|(_, word)| word.is_some_and(|word| !is_word(word))) {
            return Err(InvalidEvent::Word { id: self.id.clone(), field });
        }
        for amount in [Some(self.amount), self.collected].into_iter().flatten() {
            if amount.currency() != currency {
                let event = amount.currency();
                return Err(InvalidEvent::Currency { id: self.id.clone(), event, contract: currency });
            }
            if amount.minor() < 0 {
                return Err(InvalidEvent::Negative { id: self.id.clone(), amount });
            }
        }
        Ok(())
    }

    /// The line that stands for it in the digest of sales.
    fn line(&self) -> String {
        let goods = self.goods.as_deref().unwrap_or("-");
        let via = self.via.map_or("-", class_word);
        let collected = self.collected.map_or_else(|| "-".to_owned(), Money::digits);
        let Self { id, kind, amount, units, .. } = self;
        format!("{id} {kind} {} {units} {goods} {via} {collected}\n", amount.digits())
    }
}

/// Whether a text can stand in a statement as one word.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The word of a class in contracts and digests.
pub(crate) fn class_word(class: MeterClass) -> &'static str {
    match class {
        MeterClass::Tieup => "tieup",
        MeterClass::Original => "original",
    }
}

/// Checks `events`, which are to be charged in `currency`.
///
/// # Errors
/// The first that makes no sense; see [`InvalidEvent`].
pub(crate) fn check_events(events: &[Event], currency: Currency) -> Result<(), InvalidEvent> {
    let mut ids = BTreeSet::new();
    for event in events {
        event.check(currency)?;
        if !ids.insert(&event.id) {
            return Err(InvalidEvent::Duplicate(event.id.clone()));
        }
    }
    Ok(())
}

/// The digest of `events`, whatever their order.
pub fn sales_digest(events: &[Event]) -> Digest {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let lines: String = sorted.into_iter().map(Event::line).collect();
    Digest::of(format!("tieup-sales/1\n{lines}").as_bytes())
}

impl Catalogue {
    /// The digest of what it says.
    pub fn digest(&self) -> Digest {
        let Self { tieup, original, main_ads, partner_ads, offered } = self;
        let mut text = format!(
            "tieup-catalogue/1\ntieup {} {}\noriginal {} {}\nads {main_ads} {partner_ads}\n",
            tieup.pages, tieup.bytes, original.pages, original.bytes
        );
        for (goods, units) in offered {
            let _ = writeln!(text, "offered {goods} {units}");
        }
        Digest::of(text.as_bytes())
    }

    /// Goods whose name could be read as something else in the digest.
    pub(crate) fn misnamed(&self) -> Option<&str> {
        self.offered.keys().map(String::as_str).find(|goods| !is_word(goods))
    }

    /// How much is published.
    pub fn extent(&self, extent: Extent, class: Classes) -> u128 {
        let of = |stock: &Stock| match extent {
            Extent::Pages => u128::from(stock.pages),
            Extent::Bytes => u128::from(stock.bytes),
        };
        match class {
            Classes::Tieup => of(&self.tieup),
            Classes::Original => of(&self.original),
            Classes::Both => of(&self.tieup) + of(&self.original),
        }
    }

    /// How many advertisements there are.
    pub fn advertisements(&self, owner: Advertiser) -> u128 {
        let (main, partner) = (u128::from(self.main_ads), u128::from(self.partner_ads));
        match owner {
            Advertiser::Main => main,
            Advertiser::Partner => partner,
            Advertiser::Both => main + partner,
        }
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::contract::Currency::{Eur, Jpy};

    use super::*;
    use crate::fixture::order;

    #[test]
    fn sales_have_one_digest_in_any_order() {
        let events = [order("a", 500), order("b", 20_000)];
        let turned = [events[1].clone(), events[0].clone()];
        assert_eq!(sales_digest(&events), sales_digest(&turned));
        let other = Event { units: 2, ..order("b", 20_000) };
        assert_ne!(sales_digest(&events), sales_digest(&[events[0].clone(), other]));
    }

    #[test]
    fn sales_that_make_no_sense_are_refused() {
        let refusal = |events: &[Event]| check_events(events, Jpy).unwrap_err().to_string();
        assert_eq!(refusal(&[order("a", 1), order("a", 2)]), "there are two events `a`");
        let euros = Event { amount: Money::new(Eur, 100), ..order("a", 0) };
        assert_eq!(refusal(&[euros]), "event `a` is in EUR; the contract is in JPY");
        assert_eq!(refusal(&[order("a", -1)]), "event `a` has the negative amount -1 JPY");
        let given_back = Event { collected: Some(Money::new(Jpy, -5)), ..order("a", 0) };
        assert_eq!(refusal(&[given_back]), "event `a` has the negative amount -5 JPY");
        assert_eq!(refusal(&[order("a b", 1)]), "the name of event \"a b\" is not one printable word");
        let forged = Event { goods: Some("x\ntotal: 0".to_owned()), ..order("a", 1) };
        assert_eq!(refusal(&[forged]), "the goods of event \"a\" is not one printable word");
    }

    #[test]
    fn a_catalogue_is_named_by_all_it_says() {
        let catalogue = Catalogue { main_ads: 1, ..Catalogue::default() };
        let swapped = Catalogue { partner_ads: 1, ..Catalogue::default() };
        assert_ne!(catalogue.digest(), swapped.digest());
        let offering = Catalogue { offered: BTreeMap::from([("lantern".to_owned(), 1)]), ..catalogue.clone() };
        assert_ne!(catalogue.digest(), offering.digest());
    }
}
