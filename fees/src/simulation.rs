//! What a month would cost otherwise: under another contract, or with more or fewer visits to original pages.

use std::str::FromStr;

use tieup_protocol::contract::Contract;

use crate::books::Books;
use crate::count::{Counted, Tally, Totals};
use crate::money::{Exact, Money};
use crate::tariff::{Line, Priced, PricingError, price};

/// A change by whole percents: `+20%`, `-5%`; never below -100%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    percent: i32,
}

/// Why a text is no change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no change: write it like +20% or -5%, in whole percents from -100% to +10000%")]
pub struct InvalidChange(String);

/// A line of two bills, beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The name of the charge or discount.
    pub id: String,
    /// What it comes to now; none where the bill has no such line.
    pub now: Option<Exact>,
    /// What it would come to.
    pub simulated: Option<Exact>,
}

/// Two bills of one month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideBySide {
    /// Line by line: those of the first bill, then those that the second alone has.
    pub lines: Vec<Compared>,
    /// The fee now.
    pub now: Money,
    /// What it would be.
    pub simulated: Money,
}

impl FromStr for Change {
    type Err = InvalidChange;

    fn from_str(text: &str) -> Result<Self, InvalidChange> {
        let number = text.trim().strip_suffix('%').and_then(|number| number.parse::<i32>().ok());
        let percent = number.filter(|percent| (-100..=10_000).contains(percent));
        percent.map(|percent| Self { percent }).ok_or_else(|| InvalidChange(text.to_owned()))
    }
}

impl Change {
    /// The change in percents.
    pub fn percent(self) -> i32 {
        self.percent
    }

    /// `number` with the change, to the nearest whole number, halves up.
    fn of(self, number: u128) -> u128 {
        let factor = u128::from(self.percent.saturating_add(100).max(0).unsigned_abs());
        (number.saturating_mul(factor).saturating_add(50)) / 100
    }

    fn of_count(self, number: u64) -> u64 {
        u64::try_from(self.of(number.into())).unwrap_or(u64::MAX)
    }

    fn of_tally(self, tally: Tally) -> Tally {
        let Tally { views, unique_views, bytes } = tally;
        Tally { views: self.of_count(views), unique_views: self.of_count(unique_views), bytes: self.of(bytes) }
    }
}

/// `counted` as if visits to original pages had changed by `change`: views, bytes, sessions and visitors alike, on each
/// page alike. What both classes have together changes by as much.
#[must_use]
pub fn with_originals(counted: &Counted, change: Change) -> Counted {
    let mut changed = counted.clone();
    let before = counted.original;
    changed.original = Totals {
        tally: change.of_tally(before.tally),
        sessions: change.of_count(before.sessions),
        visitors: change.of_count(before.visitors),
    };
    changed.both = moved(counted.both, before, changed.original);
    for page in changed.pages.values_mut() {
        page.original = change.of_tally(page.original);
    }
    changed
}

/// `both` with what `before` held replaced by `after`.
fn moved(both: Totals, before: Totals, after: Totals) -> Totals {
    let count = |both: u64, before: u64, after: u64| both.saturating_sub(before).saturating_add(after);
    let (was, is) = (before.tally, after.tally);
    Totals {
        tally: Tally {
            views: count(both.tally.views, was.views, is.views),
            unique_views: count(both.tally.unique_views, was.unique_views, is.unique_views),
            bytes: both.tally.bytes.saturating_sub(was.bytes).saturating_add(is.bytes),
        },
        sessions: count(both.sessions, before.sessions, after.sessions),
        visitors: count(both.visitors, before.visitors, after.visitors),
    }
}

/// Prices under each contract what was counted by its rules and what it goes by of the record, and sets the bills beside
/// each other.
///
/// # Errors
/// What cannot be priced, such as a meter of a catalogue that is not known.
pub fn side_by_side(
    (contract, now): (&Contract, &Books<'_>),
    (other, simulated): (&Contract, &Books<'_>),
) -> Result<SideBySide, PricingError> {
    let (now, simulated) = (price(contract, now)?, price(other, simulated)?);
    Ok(SideBySide { lines: compare(&now, &simulated), now: now.total, simulated: simulated.total })
}

fn compare(now: &Priced, simulated: &Priced) -> Vec<Compared> {
    let amount = |bill: &Priced, id: &str| bill.lines.iter().find(|line| line.id == id).map(effective);
    let added = simulated.lines.iter().filter(|line| amount(now, &line.id).is_none());
    let names = now.lines.iter().chain(added).map(|line| line.id.clone());
    names.map(|id| Compared { now: amount(now, &id), simulated: amount(simulated, &id), id }).collect()
}

/// What a line comes to: rounded where lines are.
fn effective(line: &Line) -> Exact {
    line.rounded.map_or_else(|| line.exact.clone(), Money::exact)
}

impl Compared {
    /// By how much the line would change.
    pub fn difference(&self) -> Exact {
        let or_zero = |amount: &Option<Exact>| amount.clone().unwrap_or_else(Exact::zero);
        or_zero(&self.simulated) - &or_zero(&self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{books, contract, contract_with, counted, order};

    fn change(text: &str) -> Change {
        text.parse().unwrap()
    }

    fn row(compared: &Compared) -> String {
        let text = |amount: &Option<Exact>| amount.as_ref().map_or_else(|| "-".to_owned(), Exact::to_string);
        let Compared { id, now, simulated } = compared;
        format!("{id} {} {} {}", text(now), text(simulated), compared.difference())
    }

    #[test]
    fn two_contracts_stand_line_by_line() {
        // 200,001 views of tie-up pages. Now: 100,000 at 0.50 and 100,001 at 0.30: 80,000.30; 5% off base and access.
        // Simulated: 100,000 at 0.50 and 100,001 at 0.20: 70,000.20; 5% of 120,000.20 is 6,000.01; and no lower minimum.
        let (now, other) = (contract(), contract_with(&[("\"0.30\"", "\"0.20\"")]));
        let counts = counted(&now, 200_001, 0);
        let bills = side_by_side((&now, &books(&counts, &[])), (&other, &books(&counts, &[]))).unwrap();
        let rows: Vec<String> = bills.lines.iter().map(row).collect();
        assert_eq!(rows[..2], ["access 80000 70000 -10000", "base 50000 50000 0"]);
        assert!(rows.contains(&"incentive -6500 -6000 500".to_owned()), "{rows:?}");
        assert_eq!((bills.now.minor(), bills.simulated.minor()), (123_500, 114_000));
    }

    #[test]
    fn a_line_that_one_bill_alone_has_is_there() {
        let now = contract();
        let other = contract_with(&[("  base: {by", "  basis: {by"), ("on: [base, access]", "on: [basis, access]")]);
        let (counts, orders) = (counted(&now, 0, 0), [order("a", 10_000)]);
        let bills = side_by_side((&now, &books(&counts, &orders)), (&other, &books(&counts, &orders))).unwrap();
        let rows: Vec<String> = bills.lines.iter().map(row).collect();
        assert!(rows.contains(&"base 50000 - -50000".to_owned()), "{rows:?}");
        assert!(rows.contains(&"basis - 50000 50000".to_owned()), "{rows:?}");
        // 3.5% of an order of 10,000.
        assert!(rows.contains(&"orders 350 350 0".to_owned()), "{rows:?}");
    }

    #[test]
    fn visits_to_originals_rise_and_all_else_stays() {
        let counts = counted(&contract(), 100, 55);
        let more = with_originals(&counts, change("+20%"));
        // 55 and 20% of them are 66.
        assert_eq!((more.tieup.tally.views, more.original.tally.views, more.both.tally.views), (100, 66, 166));
        assert_eq!(with_originals(&counts, change("0%")), counts);
        let none = with_originals(&counts, change("-100%"));
        assert_eq!((none.original.tally.views, none.both.tally.views), (0, 100));
        // 3 and 50% of them are 4.5, to the nearest whole number, halves up.
        assert_eq!(change("+50%").of(3), 5);
    }

    #[test]
    fn a_change_is_written_in_whole_percents() {
        assert_eq!((change("+20%").percent(), change("-5%").percent(), change("7%").percent()), (20, -5, 7));
        for bad in ["20", "+20.5%", "-101%", "%", "", "+20000%", "20 percent"] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
    }
}
