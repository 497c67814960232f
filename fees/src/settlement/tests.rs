//! What is settled, and what cannot be.

use tieup_protocol::contract::Currency::{Eur, Jpy};

use super::*;
use crate::books::Books;
use crate::count::Counted;
use crate::fixture::{contract, contract_with, counted, head, november, order};
use crate::statement::{Account, FeeError, Status, statement};

fn yen(minor: i128) -> Money {
    Money::new(Jpy, minor)
}

/// A statement of `counted` with what is settled beside it.
fn settled(
    contract: &Contract,
    counted: &Counted,
    events: &[Event],
    corrections: &[Correction],
    payments: &[Payment],
) -> Result<Statement, FeeError> {
    let head = head(counted);
    let books = Books { counted, catalogue: None, events };
    let account = Account { books, payments, corrections, ..Account::of_visits(&head, counted, Status::Final) };
    statement(contract, november(), &account)
}

fn correction(month: &str, charged: i128, owed: i128) -> Correction {
    Correction {
        period: month.parse().unwrap(),
        issued: Digest::of(format!("{month} {charged}").as_bytes()),
        right: Digest::of(b"right"),
        cause: Cause::LateEntries,
        charged: yen(charged),
        owed: yen(owed),
    }
}

/// The contract of the fixture with its base paid in advance and its orders collected.
fn paid() -> Contract {
    contract_with(&[("close:", "pay: {advance: [base], collected: [orders]}\nclose:")])
}

#[test]
fn late_entries_are_charged_in_the_next_month_with_their_cause() {
    // October was issued with 137,000; with what came late it is 137,750. November: 50,000 + 20,000 x 0.50 = 60,000.
    let contract = contract();
    let counted = counted(&contract, 20_000, 0);
    let late = [correction("2026-10", 137_000, 137_750), correction("2026-09", 100, 40)];
    let stated = settled(&contract, &counted, &[], &late, &[]).unwrap();
    assert_eq!(
        (stated.total, stated.settlement.corrections, stated.settlement.due),
        (yen(60_000), yen(690), yen(60_690))
    );
    let told = "corrections of earlier months";
    let part = &stated.text[stated.text.find(told).unwrap()..];
    let amounts: Vec<&str> = part.lines().filter(|line| line.starts_with("  2026-")).collect();
    assert_eq!(amounts.len(), 2);
    assert!(amounts[0].starts_with("  2026-09") && amounts[0].ends_with(" -60"), "{part}");
    assert!(amounts[1].starts_with("  2026-10") && amounts[1].ends_with(" 750"), "{part}");
    assert!(part.contains("    entries came late: 137000 was charged, 137750 is right\n"), "{part}");
    // In another order they are the same statement.
    let turned = [late[1].clone(), late[0].clone()];
    assert_eq!(settled(&contract, &counted, &[], &turned, &[]).unwrap().text, stated.text);
    // Without any, a statement says nothing of it.
    assert!(!settled(&contract, &counted, &[], &[], &[]).unwrap().text.contains("settlement"));
}

#[test]
fn a_correction_is_the_difference_of_two_statements() {
    let contract = contract();
    let of = |views| settled(&contract, &counted(&contract, views, 0), &[], &[], &[]).unwrap();
    let charged = |statement: &Statement| (statement.digest(), statement.total);
    let (issued, right) = (of(1_000), of(1_500));
    let correction = Correction::between(november().into(), charged(&issued), &right, Cause::Dispute).unwrap();
    // 500 views more at 0.50.
    assert_eq!((correction.amount_in(Jpy), correction.issued), (Some(yen(250)), issued.digest()));
    // Where they come to the same, what came of a dispute is told, and of what else may have changed nothing.
    let same = |cause| Correction::between(november().into(), charged(&issued), &issued, cause);
    assert_eq!(same(Cause::Dispute).unwrap().amount_in(Jpy), Some(yen(0)));
    assert_eq!(same(Cause::LateEntries), None);
}

#[test]
fn corrections_that_cannot_be_are_refused() {
    let contract = contract();
    let counted = counted(&contract, 0, 0);
    let refusal =
        |corrections: &[Correction]| settled(&contract, &counted, &[], corrections, &[]).unwrap_err().to_string();
    assert_eq!(refusal(&[correction("2026-11", 1, 2)]), "the statement for 2026-11 cannot correct 2026-11");
    let twice = correction("2026-10", 1, 2);
    assert!(refusal(&[twice.clone(), twice.clone()]).ends_with("is corrected twice"));
    let euros = Correction { owed: Money::new(Eur, 5), ..twice };
    assert_eq!(refusal(&[euros]), "0.05 EUR cannot be settled in JPY");
    // What charges nothing is of no currency.
    let same = Correction { owed: Money::new(Eur, 500), charged: Money::new(Eur, 500), ..correction("2026-10", 1, 2) };
    let stated = settled(&contract, &counted, &[], &[same], &[]).unwrap();
    assert_eq!((stated.settlement.corrections, stated.settlement.due), (yen(0), stated.total));
    assert!(
        stated.text.contains("    entries came late: 5.00 EUR was charged, 5.00 EUR is right\n"),
        "{}",
        stated.text
    );
}

#[test]
fn payments_that_cannot_be_are_refused() {
    let counted = counted(&paid(), 0, 0);
    let payment = |reference: &str, amount| Payment { reference: reference.to_owned(), amount };
    let refusal = |contract: &Contract, events: &[Event], payments: &[Payment]| {
        settled(contract, &counted, events, &[], payments).unwrap_err().to_string()
    };
    let advance = payment("a", yen(1));
    assert!(refusal(&contract(), &[], std::slice::from_ref(&advance)).contains("no charge is paid in advance"));
    assert!(refusal(&paid(), &[], &[advance.clone(), advance]).contains("stands twice"));
    assert!(refusal(&paid(), &[], &[payment("a\nb", yen(1))]).contains("not one printable word"));
    assert_eq!(refusal(&paid(), &[], &[payment("a", yen(-1))]), "-1 JPY cannot be settled in JPY");
    let with_sale = |kind: &str| Event { kind: kind.to_owned(), collected: Some(yen(5)), ..order("a", 500) };
    assert!(refusal(&paid(), &[with_sale("gifts")], &[]).contains("no charge is collected with it"));
    assert!(settled(&paid(), &counted, &[with_sale("settled_orders")], &[], &[]).is_ok());
}
