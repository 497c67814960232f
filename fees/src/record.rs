//! What main's record says of a period: read entry by entry, in their order, by both sides alike.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tieup_protocol::contract::Contract;
use tieup_protocol::decimal::Decimal;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Advertisements, Entry, Holdings, Offered, Payment as Paid, Sale, Withdrawal, Word};

use crate::books::{Books, Catalogue, Event, InvalidEvent};
use crate::count::Counted;
use crate::money::Money;
use crate::settlement::Payment;

/// What a period is charged by besides visits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What was sold.
    pub events: Vec<Event>,
    /// What was paid in advance.
    pub payments: Vec<Payment>,
    /// What was published when the period ended; only where the contract goes by it, and it is known.
    pub catalogue: Option<Catalogue>,
}

impl Recorded {
    /// What is priced, with what was `counted`.
    pub fn books<'a>(&'a self, counted: &'a Counted) -> Books<'a> {
        Books { counted, catalogue: self.catalogue.as_ref(), events: &self.events }
    }
}

/// Reads a record for one period. A sale counts as the last entry about it says.
#[derive(Clone, Debug)]
pub struct Gathering {
    period: Period,
    start: Timestamp,
    end: Timestamp,
    sales: BTreeMap<Word, Sale>,
    payments: BTreeMap<Word, Decimal>,
    holdings: Option<Holdings>,
    advertisements: Option<Advertisements>,
    offered: BTreeMap<Word, Offered>,
}

impl Gathering {
    /// One for the days of `period` under `contract`, before the first entry.
    pub fn new(contract: &Contract, period: Period) -> Self {
        let zone = &contract.effective.tz;
        let (start, end) = (period.start(zone), period.end(zone));
        Self {
            period,
            start,
            end,
            sales: BTreeMap::new(),
            payments: BTreeMap::new(),
            holdings: None,
            advertisements: None,
            offered: BTreeMap::new(),
        }
    }

    /// Takes the next entry.
    pub fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Sale(sale) if (self.start..self.end).contains(&sale.time) => {
                self.sales.insert(sale.id.clone(), sale);
            }
            Entry::Sale(Sale { id, .. }) | Entry::Withdrawn(Withdrawal { id }) => {
                self.sales.remove(&id);
            }
            Entry::Holdings(holdings) => {
                if holdings.at <= self.end && self.holdings.is_none_or(|before| before.at <= holdings.at) {
                    self.holdings = Some(holdings);
                }
            }
            Entry::Advertisements(ads) => {
                if ads.since <= self.period.last() && self.advertisements.is_none_or(|before| before.since <= ads.since)
                {
                    self.advertisements = Some(ads);
                }
            }
            Entry::Offered(offered) => self.take_offered(offered),
            Entry::Payment(Paid { day, reference, amount }) => {
                if (self.period.first()..=self.period.last()).contains(&day) {
                    self.payments.insert(reference, amount);
                } else if Month::of_day(day) == self.period.month() {
                    // It was said to be of this period of the month, and is of another.
                    self.payments.remove(&reference);
                }
            }
        }
    }

    fn take_offered(&mut self, offered: Offered) {
        let before = self.offered.get(&offered.goods);
        if offered.since <= self.period.last() && before.is_none_or(|before| before.since <= offered.since) {
            self.offered.insert(offered.goods.clone(), offered);
        }
    }

    /// How much the partner's site held last before the period ended, as main was told.
    pub fn holdings(&self) -> Option<Holdings> {
        self.holdings
    }

    /// Goes by `holdings` instead of those that main was told.
    pub fn correct_holdings(&mut self, holdings: Holdings) {
        self.holdings = Some(holdings);
    }

    /// What was published when the period ended; none where it is not known how much the partner's site held.
    fn catalogue(&self) -> Option<Catalogue> {
        let Holdings { tieup, original, .. } = self.holdings?;
        let (main_ads, partner_ads) = self.advertisements.map_or((0, 0), |ads| (ads.main, ads.partner));
        let offered = self.offered.values().map(|offered| (offered.goods.to_string(), offered.units));
        Some(Catalogue { tieup, original, main_ads, partner_ads, offered: offered.collect() })
    }

    /// The sales of the period, by name.
    pub fn sales(self) -> Vec<Sale> {
        self.sales.into_values().collect()
    }

    /// What is charged by under `contract`.
    ///
    /// # Errors
    /// When an amount is finer than the contract's currency.
    pub fn finish(self, contract: &Contract) -> Result<Recorded, InvalidEvent> {
        let currency = contract.terms.money.currency;
        let sold = self.sales.values().filter(|_| contract.terms.go_by_sales());
        let events = sold.map(|sale| Event::of(sale, currency)).collect::<Result<_, _>>()?;
        let payment = |(reference, amount): (&Word, &Decimal)| {
            let finer = || InvalidEvent::Finer { id: reference.to_string(), amount: *amount, currency };
            let amount = Money::of_major(currency, *amount).ok_or_else(finer)?;
            Ok(Payment { reference: reference.to_string(), amount })
        };
        // What was taken back is one of nothing.
        let in_advance = !contract.terms.pay.advance.is_empty();
        let paid = self.payments.iter().filter(|(_, amount)| in_advance && amount.parts().0 != 0);
        let payments = paid.map(payment).collect::<Result<_, _>>()?;
        let catalogue = if contract.terms.go_by_catalogue() { self.catalogue() } else { None };
        Ok(Recorded { events, payments, catalogue })
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::contract::Currency;

    use super::*;
    use crate::fixture::{contract, november};
    use crate::money::Money;

    fn sale(id: &str, amount: &str, time: &str) -> Entry {
        let json = format!(
            r#"{{"entry":"sale","id":"{id}","kind":"settled_orders","amount":"{amount}","units":1,"time":"{time}"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn gathered(entries: &[Entry]) -> Vec<(String, i128)> {
        let contract = contract();
        let mut gathering = Gathering::new(&contract, contract.period(november()));
        entries.iter().cloned().for_each(|entry| gathering.take(entry));
        let events = gathering.finish(&contract).unwrap().events;
        events.into_iter().map(|event| (event.id, event.amount.minor())).collect()
    }

    #[test]
    fn the_last_entry_about_a_sale_counts() {
        let day = "2026-11-10T00:00:00Z";
        let withdrawn = Entry::Withdrawn(Withdrawal { id: "c".parse().unwrap() });
        let entries =
            [sale("b", "20", day), sale("a", "10", day), sale("c", "30", day), sale("b", "25", day), withdrawn];
        assert_eq!(gathered(&entries), [("a".to_owned(), 10), ("b".to_owned(), 25)]);
        assert_eq!(gathered(&entries[..3]).len(), 3);
        assert_eq!(gathered(&[sale("a", "10", day), sale("a", "10", "2026-12-10T00:00:00Z")]), []);
    }

    #[test]
    fn a_sale_is_of_the_month_in_the_zone_of_the_contract() {
        // November begins at 15:00 UTC of 31 October in Tokyo, and ends at 15:00 UTC of 30 November.
        let times = ["2026-10-31T14:59:59Z", "2026-10-31T15:00:00Z", "2026-11-30T14:59:59Z", "2026-11-30T15:00:00Z"];
        let entries: Vec<Entry> =
            times.iter().zip(["a", "b", "c", "d"]).map(|(time, id)| sale(id, "1", time)).collect();
        assert_eq!(gathered(&entries), [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    }

    #[test]
    fn a_payment_is_of_the_period_of_its_day_and_the_last_word_on_it_counts() {
        let contract = crate::fixture::contract_with(&[("close:", "pay: {advance: [base]}\nclose:")]);
        let paid = |day: &str, reference: &str, amount: i64| {
            let (day, reference) = (day.parse().unwrap(), reference.parse().unwrap());
            Entry::Payment(Paid { day, reference, amount: Decimal::whole(amount) })
        };
        let mut gathering = Gathering::new(&contract, contract.period(november()));
        for entry in [
            paid("2026-11-01", "a", 100),
            paid("2026-11-30", "b", 20),
            paid("2026-12-01", "c", 5),
            paid("2026-11-01", "a", 70),
            paid("2026-11-30", "b", 0),
        ] {
            gathering.take(entry);
        }
        let payments = gathering.finish(&contract).unwrap().payments;
        let told: Vec<_> = payments.iter().map(|paid| (paid.reference.as_str(), paid.amount.minor())).collect();
        assert_eq!(told, [("a", 70)]);
    }

    #[test]
    fn what_was_said_last_before_the_period_ends_is_in_the_catalogue() {
        let contract = crate::fixture::contract_with(&[("meters:\n", "meters:\n  stock: {pages: {class: both}}\n")]);
        let mut gathering = Gathering::new(&contract, contract.period(november()));
        for line in [
            r#"{"entry":"offered","since":"2026-10-01","goods":"lantern","units":40}"#,
            r#"{"entry":"offered","since":"2026-11-10","goods":"lantern","units":30}"#,
            r#"{"entry":"offered","since":"2026-12-01","goods":"lantern","units":20}"#,
            r#"{"entry":"offered","since":"2026-11-05","goods":"lantern","units":10}"#,
            r#"{"entry":"advertisements","since":"2026-11-30","main":3,"partner":1}"#,
            r#"{"entry":"advertisements","since":"2026-12-01","main":9,"partner":9}"#,
        ] {
            gathering.take(serde_json::from_str(line).unwrap());
        }
        assert_eq!(gathering.clone().finish(&contract).unwrap().catalogue, None, "nobody said what the site holds");
        for (at, pages) in [("2026-11-30T15:00:00Z", 4), ("2026-11-30T15:00:01Z", 9), ("2026-11-20T15:00:00Z", 2)] {
            let line = format!(
                r#"{{"entry":"holdings","at":"{at}","release":1,"tieup":{{"pages":{pages},"bytes":1}},"original":{{"pages":0,"bytes":0}}}}"#
            );
            gathering.take(serde_json::from_str(&line).unwrap());
        }
        let catalogue = gathering.clone().finish(&contract).unwrap().catalogue.unwrap();
        assert_eq!((catalogue.tieup.pages, catalogue.main_ads, catalogue.partner_ads), (4, 3, 1));
        assert_eq!(catalogue.offered, BTreeMap::from([("lantern".to_owned(), 30)]));
        let other = crate::fixture::contract();
        assert_eq!(gathering.finish(&other).unwrap().catalogue, None, "the contract does not go by it");
    }

    #[test]
    fn an_amount_is_of_whole_minor_units() {
        let major = |currency, amount: &str| Money::of_major(currency, amount.parse().unwrap()).map(Money::minor);
        assert_eq!(major(Currency::Eur, "12.3"), Some(1_230));
        assert_eq!(major(Currency::Eur, "12.300"), Some(1_230));
        assert_eq!(major(Currency::Eur, "12.345"), None);
        assert_eq!(major(Currency::Jpy, "999999999999999999"), Some(999_999_999_999_999_999));
        assert_eq!(major(Currency::Kwd, "0.001"), Some(1));
        let contract = contract();
        let mut gathering = Gathering::new(&contract, contract.period(november()));
        gathering.take(sale("a", "1.5", "2026-11-10T00:00:00Z"));
        assert!(matches!(gathering.finish(&contract), Err(InvalidEvent::Finer { .. })));
    }
}
