//! Sales by region: what a partner sold where, what of it its own pages led to, and what is charged for it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tieup_fees::{Event, Exact, Made, Why};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::record::{Region, Sale};

/// The sales in one region. Amounts are in major units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Regional {
    /// Where; none where that is not known.
    pub region: Option<Region>,
    /// How many.
    pub sales: u64,
    /// Their units.
    pub units: u64,
    /// Their amounts together.
    #[serde(serialize_with = "as_text")]
    pub amount: Exact,
    /// The amounts of those whose buyers came from the partner's own pages.
    #[serde(serialize_with = "as_text")]
    pub led: Exact,
    /// What the statement charges for them, before discounts and limits, and not rounded.
    #[serde(serialize_with = "as_text")]
    pub commission: Exact,
}

/// `sales` by region, in the order of their names, as they are charged in the statement `made`.
pub fn by_region(sales: &[Sale], made: &Made) -> Vec<Regional> {
    let mut regions: BTreeMap<Option<Region>, Regional> = BTreeMap::new();
    for sale in sales {
        let zero = || Regional {
            region: sale.region.clone(),
            sales: 0,
            units: 0,
            amount: Exact::zero(),
            led: Exact::zero(),
            commission: Exact::zero(),
        };
        let of = regions.entry(sale.region.clone()).or_insert_with(zero);
        let amount = Exact::from(sale.amount);
        of.sales += 1;
        of.units = of.units.saturating_add(sale.units);
        of.amount = of.amount.clone() + &amount;
        if sale.via == Some(MeterClass::Original) {
            of.led = of.led.clone() + &amount;
        }
        of.commission = of.commission.clone() + &commission(sale, made);
    }
    regions.into_values().collect()
}

/// What all charges on sales come to for one.
fn commission(sale: &Sale, made: &Made) -> Exact {
    // One that cannot be charged under the contract is in no statement.
    let Ok(event) = Event::of(sale, made.statement.total.currency()) else { return Exact::zero() };
    let charged = made.statement.lines.iter().filter_map(|line| match &line.why {
        Why::PerEvent(fees) => fees.of(&event),
        _ => None,
    });
    charged.fold(Exact::zero(), |sum, fee| sum + &fee)
}

fn as_text<S: Serializer>(amount: &Exact, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&amount.to_string())
}
