//! Discounts in question: those that a statement gives and whose meters count visits that a finding asks about.
//!
//! Nothing here changes an amount. Whoever issues looks at the findings first, and says that they have.

use tieup_protocol::contract::{Adjustment, Classes, Contract, Meter, MeterClass};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Month;

use super::finding::{Finding, Seen, Severity};
use crate::tariff::{Line, Why};

/// A discount that a statement gives, with what is asked about the visits it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questioned<'a> {
    /// The name of the discount.
    pub discount: &'a str,
    /// What was found.
    pub findings: Vec<&'a Finding>,
}

impl Finding {
    /// Its name among those of a log of `month` whose origin is `log`: the digest of its rule, hours, figures and sentence. What
    /// is found with other figures has another.
    pub fn digest(&self, log: &str, month: Month) -> Digest {
        let figures: Vec<String> = self.figures().iter().map(|(name, figure)| format!("{name}={figure}")).collect();
        let (rule, figures) = (self.rule().name(), figures.join(" "));
        let text = format!("tieup-finding/1\n{log} {month}\n{rule} {} {}\n{figures}\n{self}\n", self.first, self.last);
        Digest::of(text.as_bytes())
    }

    /// Whether it puts counts of visits to pages of `class` in question. What only explains something does not.
    pub fn questions(&self, class: Classes) -> bool {
        if self.rule().severity() == Severity::Information {
            return false;
        }
        let own = match self.seen {
            Seen::Spike { class, .. } => Some(class),
            Seen::FewVisitors { .. } | Seen::NothingElse { .. } => Some(MeterClass::Original),
            Seen::FewerServed { .. } | Seen::UnloggedHours { .. } | Seen::UnloggedPages { .. } => {
                Some(MeterClass::Tieup)
            }
            _ => None,
        };
        match (own, class) {
            (Some(MeterClass::Tieup), Classes::Original) | (Some(MeterClass::Original), Classes::Tieup) => false,
            (Some(_) | None, _) => true,
        }
    }
}

/// The discounts among `lines`, which a statement under `contract` has, that are given and that `findings` put in question.
pub fn questioned<'a>(
    contract: &'a Contract,
    lines: &[Line],
    findings: impl IntoIterator<Item = &'a Finding>,
) -> Vec<Questioned<'a>> {
    let findings: Vec<&Finding> = findings.into_iter().collect();
    let mut all = Vec::new();
    for (discount, classes) in given_by_visits(contract, lines) {
        let asked = findings.iter().copied().filter(|finding| classes.iter().any(|class| finding.questions(*class)));
        let findings: Vec<&Finding> = asked.collect();
        if !findings.is_empty() {
            all.push(Questioned { discount, findings });
        }
    }
    all
}

/// The discounts among `lines`, which a statement under `contract` has, that are given and that go by visits, each with the
/// classes of the pages that they are to. Findings can ask about no others.
pub fn given_by_visits<'a>(contract: &'a Contract, lines: &[Line]) -> Vec<(&'a str, Vec<Classes>)> {
    let is_given = |id: &str| {
        let of_discount = |line: &&Line| line.id == id && matches!(line.why, Why::Discount { .. });
        lines.iter().find(of_discount).is_some_and(|line| !line.exact.is_zero())
    };
    let mut all = Vec::new();
    for adjustment in &contract.terms.adjust {
        let Adjustment::Banded(discount) = adjustment else { continue };
        let meters = [Some(&discount.meter), discount.when.as_ref().map(|when| &when.meter)];
        let classes: Vec<Classes> = meters.into_iter().flatten().flat_map(|meter| classes(contract, meter)).collect();
        if is_given(&discount.id) && !classes.is_empty() {
            all.push((discount.id.as_str(), classes));
        }
    }
    all
}

/// The classes of pages whose visits `meter` counts; none for what goes by no visits.
fn classes(contract: &Contract, meter: &str) -> Vec<Classes> {
    let counted = |name: &str| match contract.terms.meters.get(name) {
        Some(Meter::Counted { class, .. }) => Some(*class),
        _ => None,
    };
    match contract.terms.meters.get(meter) {
        Some(Meter::Ratio { numerator, denominator, .. }) => {
            [counted(numerator), counted(denominator)].into_iter().flatten().collect()
        }
        _ => counted(meter).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{books, contract_with, counted};
    use crate::tariff::price;

    /// The names of the discounts that are in question where a month has so many views and these findings.
    fn asked(contract: &Contract, (tieup, original): (u64, u64), seen: &[Seen]) -> Vec<String> {
        let counts = counted(contract, tieup, original);
        let priced = price(contract, &books(&counts, &[])).unwrap();
        let findings: Vec<Finding> = seen.iter().map(|seen| Finding::at(5, seen.clone())).collect();
        let all = questioned(contract, &priced.lines, &findings);
        all.iter().map(|asked| format!("{} {}", asked.discount, asked.findings.len())).collect()
    }

    #[test]
    fn a_discount_that_is_given_is_in_question_where_its_visits_are() {
        // `incentive` goes by tie-up views from 200,000 on; `attraction` by the ratio of originals to tie-up pages.
        let contract = contract_with(&[(
            "  - {cap_discount: \"40%\"}\n",
            "  - {id: drawn, bands: attract, on: [base], off: [[0, \"0%\"], [1, \"5%\"]]}\n",
        )]);
        let rate = Seen::Rate { visitors: 1, views: 300, most: 300, of: 400 };
        let few = Seen::FewVisitors { views: 200, few: 150, visitors: 3 };
        let missing = Seen::UnloggedHours { hours: 1, beacons: 40 };
        assert_eq!(asked(&contract, (200_000, 0), std::slice::from_ref(&rate)), ["incentive 1"]);
        assert_eq!(asked(&contract, (199_999, 0), std::slice::from_ref(&rate)), [""; 0], "nothing is given");
        assert_eq!(asked(&contract, (200_000, 0), std::slice::from_ref(&few)), [""; 0], "it goes by other pages");
        assert_eq!(asked(&contract, (100, 100), &[few.clone(), missing.clone()]), ["drawn 2"]);
        assert_eq!(asked(&contract, (200_000, 200_000), &[few, missing, rate]), ["incentive 2", "drawn 3"]);
        let explained = [Seen::Robots { robots: 90, documents: 100 }, Seen::Restarts { times: 12 }];
        assert_eq!(asked(&contract, (200_000, 200_000), &explained), [""; 0]);
    }

    #[test]
    fn a_finding_with_other_figures_is_another() {
        let (log, month) = ("main/shop/2026-11", "2026-11".parse().unwrap());
        let finding = |most| Finding::at(5, Seen::Rate { visitors: 1, views: 300, most, of: 400 });
        assert_eq!(finding(300).digest(log, month), finding(300).digest(log, month));
        assert_ne!(finding(300).digest(log, month), finding(299).digest(log, month));
        assert_ne!(finding(300).digest(log, month), finding(300).digest("main/other/2026-11", month));
    }
}
