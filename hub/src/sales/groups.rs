//! Sales by region and goods: how what is sold sells where.

use std::collections::BTreeMap;

use serde::Serialize;
use tieup_fees::Exact;
use tieup_protocol::record::{Region, Sale, Word};

/// The sales of one kind and of the same goods in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Where; none where that is not known.
    pub region: Option<Region>,
    /// Of which goods; none where they are not told apart.
    pub goods: Option<Word>,
    /// The kind.
    pub kind: Word,
    /// How many.
    pub sales: u64,
    /// Their units.
    pub units: u64,
    /// Their amounts together, in major units.
    pub amount: String,
}

/// `sales` by region, goods and kind, in the order of these.
pub fn groups(sales: &[Sale]) -> Vec<Group> {
    let mut sums = BTreeMap::new();
    for sale in sales {
        let key = (sale.region.clone(), sale.goods.clone(), sale.kind.clone());
        let (number, units, amount) = sums.entry(key).or_insert((0_u64, 0_u64, Exact::zero()));
        (*number, *units) = (*number + 1, units.saturating_add(sale.units));
        *amount = amount.clone() + &Exact::from(sale.amount);
    }
    let group = |((region, goods, kind), (sales, units, amount)): (_, (u64, u64, Exact))| Group {
        region,
        goods,
        kind,
        sales,
        units,
        amount: amount.to_string(),
    };
    sums.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(region: &str, goods: &str, units: u64, amount: &str) -> Sale {
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Sale {
            id: "a".parse().unwrap(),
            kind: "order".parse().unwrap(),
            amount: amount.parse().unwrap(),
            units,
            goods: named(goods).map(|goods| goods.parse().unwrap()),
            via: None,
            collected: None,
            time: jiff::Timestamp::UNIX_EPOCH,
            region: named(region).map(|region| region.parse().unwrap()),
        }
    }

    #[test]
    fn sales_are_summed_up_by_region_and_goods() {
        let sales = [
            sale("Otaru", "lantern", 2, "10.50"),
            sale("", "lantern", 1, "5"),
            sale("Otaru", "wick", 3, "1"),
            sale("Otaru", "lantern", 4, "0.50"),
        ];
        let told: Vec<String> = groups(&sales)
            .iter()
            .map(|group| {
                let text = |word: Option<&str>| word.unwrap_or("-").to_owned();
                let (region, goods) =
                    (group.region.as_ref().map(Region::as_str), group.goods.as_ref().map(Word::as_str));
                format!("{} {} {} {} {}", text(region), text(goods), group.sales, group.units, group.amount)
            })
            .collect();
        assert_eq!(told, ["- lantern 1 1 5", "Otaru lantern 2 6 11", "Otaru wick 1 3 1"]);
    }
}
