//! A month under a contract, with as many visits, sales and pages as a test wants.

use tieup_fees::{
    Account, Books, Catalogue, Correction, Counted, Counter, Event, JournalHead, Money, Payment, Statement, Status,
    Stock,
};
use tieup_protocol::contract::Contract;
use tieup_protocol::robots;

/// Visits, sales and catalogue of November under a contract with these terms.
pub(crate) struct Month {
    pub(crate) contract: Contract,
    pub(crate) counted: Counted,
    pub(crate) catalogue: Catalogue,
    pub(crate) events: Vec<Event>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) corrections: Vec<Correction>,
}

/// A month under a contract whose lines from `meters:` on are `terms`, in yen unless `changes` say otherwise.
pub(crate) fn month_with(changes: &[(&str, &str)], terms: &str) -> Month {
    let head = format!(
        r#"contract: nationwide/harbor-shop@3
effective: {{from: 2026-11-01, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main, "/local/**": partner}}
approval: {{policy: ask}}
services: [backup, security]
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line}}
close: {{grace: 5d, late: next_period_correction}}
"#,
        robots::list_digest()
    );
    let text = changes.iter().fold(head, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }) + terms;
    let contract = Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let told = contract.lint("contract.yaml", &text);
    assert!(told.is_empty(), "{told:?}");
    let period = contract.period("2026-11".parse().unwrap());
    let counted = Counter::of_period(&contract.terms.count, &contract.effective.tz, period).finish();
    Month {
        contract,
        counted,
        catalogue: Catalogue::default(),
        events: Vec::new(),
        payments: Vec::new(),
        corrections: Vec::new(),
    }
}

pub(crate) fn month(terms: &str) -> Month {
    month_with(&[], terms)
}

impl Month {
    /// The same with so many views of tie-up and of original pages.
    pub(crate) fn views(mut self, tieup: u64, original: u64) -> Self {
        self.counted.tieup.tally.views = tieup;
        self.counted.original.tally.views = original;
        self.counted.both.tally.views = tieup + original;
        self.counted.entries = tieup + original;
        self
    }

    /// The same with a sale.
    pub(crate) fn sale(mut self, amount: i128, change: fn(&mut Event)) -> Self {
        let mut event = Event {
            id: format!("order-{}", self.events.len()),
            kind: "settled_orders".to_owned(),
            amount: self.money(amount),
            units: 1,
            goods: None,
            via: None,
            collected: None,
        };
        change(&mut event);
        self.events.push(event);
        self
    }

    /// The same with so many pages, and bytes, of both classes.
    pub(crate) fn published(mut self, tieup: (u64, u64), original: (u64, u64)) -> Self {
        self.catalogue.tieup = Stock { pages: tieup.0, bytes: tieup.1 };
        self.catalogue.original = Stock { pages: original.0, bytes: original.1 };
        self
    }

    pub(crate) fn ads(mut self, main: u64, partner: u64) -> Self {
        (self.catalogue.main_ads, self.catalogue.partner_ads) = (main, partner);
        self
    }

    pub(crate) fn money(&self, minor: i128) -> Money {
        Money::new(self.contract.terms.money.currency, minor)
    }

    pub(crate) fn statement(&self) -> Statement {
        let size = self.counted.entries;
        let journal =
            JournalHead { origin: "nationwide.example/harbor-shop/2026-11".to_owned(), size, root: "x".to_owned() };
        let books = Books { counted: &self.counted, catalogue: Some(&self.catalogue), events: &self.events };
        let account = Account {
            books,
            payments: &self.payments,
            corrections: &self.corrections,
            ..Account::of_visits(&journal, &self.counted, Status::Final)
        };
        let stated = tieup_fees::statement(&self.contract, self.counted.month(), &account);
        stated.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The exact amounts of all lines, by name, in the order of the statement.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let lines = self.statement().lines;
        lines.iter().map(|line| (line.id.clone(), line.exact.to_string())).collect()
    }

    pub(crate) fn line(&self, id: &str) -> String {
        let lines = self.lines();
        let line = lines.iter().find(|(name, _)| name == id).unwrap_or_else(|| panic!("no line {id} in {lines:?}"));
        line.1.clone()
    }

    pub(crate) fn total(&self) -> String {
        self.statement().total.to_string()
    }
}
