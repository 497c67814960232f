//! How goods sell, by partner: a survey of regions, since a regional partner sells in its region.
//!
//! It is of sales alone, and holds nothing of who bought.

use std::collections::BTreeMap;

use tieup_protocol::contract::Currency;
use tieup_protocol::ids::SiteId;

use crate::books::Event;
use crate::money::Exact;

/// What was sold, by goods, then by partner and currency. Sales without goods are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    goods: BTreeMap<String, BTreeMap<(SiteId, &'static str), Sold>>,
}

/// What a partner sold of one kind of goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    /// How many sales there were.
    pub sales: u64,
    /// How many units.
    pub units: u128,
    /// Their amounts together, in major units.
    pub amount: Exact,
    /// In which currency.
    pub currency: Currency,
}

impl Survey {
    /// Adds the sales of the kind `kind` that `partner` made.
    pub fn add(&mut self, partner: &SiteId, kind: &str, events: &[Event]) {
        for event in events.iter().filter(|event| event.kind == kind) {
            let Some(goods) = &event.goods else { continue };
            let currency = event.amount.currency();
            let nothing = || Sold { sales: 0, units: 0, amount: Exact::zero(), currency };
            let partners = self.goods.entry(goods.clone()).or_default();
            let sold = partners.entry((partner.clone(), currency.code())).or_insert_with(nothing);
            sold.sales += 1;
            sold.units += u128::from(event.units);
            sold.amount = sold.amount.clone() + &event.amount.exact();
        }
    }

    /// The goods, each with its partners, in the order of their names.
    pub fn goods(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (&SiteId, &Sold)>)> {
        self.goods.iter().map(|(goods, partners)| {
            let sold = partners.iter().map(|((partner, _), sold)| (partner, sold));
            (goods.as_str(), sold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::order;

    #[test]
    fn row_003_60_how_new_goods_sell_is_seen_by_region() {
        let sale = |id, amount, goods: Option<&str>, units| Event {
            goods: goods.map(str::to_owned),
            units,
            ..order(id, amount)
        };
        let (harbor, sapporo) = ("harbor-shop".parse().unwrap(), "sapporo".parse().unwrap());
        let mut survey = Survey::default();
        let taken_back = Event { kind: "cancelled_orders".to_owned(), ..sale("c", 900, Some("lantern"), 9) };
        let sales = [sale("a", 500, Some("lantern"), 2), sale("b", 700, Some("lantern"), 1), taken_back];
        survey.add(&harbor, "settled_orders", &sales);
        survey.add(&sapporo, "settled_orders", &[sale("a", 80, Some("kettle"), 1), sale("b", 60, None, 1)]);
        survey.add(&sapporo, "settled_orders", &[sale("d", 300, Some("lantern"), 1)]);
        let rows = survey.goods().flat_map(|(goods, partners)| {
            let row = move |(partner, sold): (&SiteId, &Sold)| {
                format!("{goods} {partner} {} {} {} {}", sold.sales, sold.units, sold.amount, sold.currency.code())
            };
            partners.map(row).collect::<Vec<_>>()
        });
        // Harbor: 500 + 700 in two sales of 2 + 1 units.
        let expected = ["kettle sapporo 1 1 80 JPY", "lantern harbor-shop 2 3 1200 JPY", "lantern sapporo 1 1 300 JPY"];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
}
