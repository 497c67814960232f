//! `tests/outside/fees/statement.py`, which follows docs/fees.md and shares no code with Tieup, comes to the same counts,
//! lines and dues as this crate on a thousand random contracts and logs; and what must hold of all of them.

#![cfg(test)]

mod bands;
mod case;
mod terms;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tieup_fees::{
    Account, Counted, Exact, JournalHead, Line, Money, Statement, Status, count_without, price, statement,
};
use tieup_protocol::contract::RoundAt;

use self::case::Case;

/// How many contracts and logs are tried.
const CASES: u64 = 1_000;

/// The second implementation.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/outside/fees/statement.py");

/// How many views are added one by one: enough to pass thresholds.
const VIEWS: u64 = 40;

#[test]
fn a_second_implementation_agrees_on_a_thousand_contracts_and_logs() {
    let cases: Vec<Case> = (0..CASES).map(Case::random).collect();
    let Some(answers) = ask(&cases) else { return };
    assert_eq!(answers.len(), cases.len());
    let mut seen = Seen::default();
    for (case, answer) in cases.iter().zip(&answers) {
        let own = own_answer(case);
        seen.note(case, &own);
        assert_eq!(own, *answer, "{}", serde_json::to_string_pretty(&case.told()).unwrap());
    }
    seen.assert_much();
}

#[test]
fn a_case_can_be_given_in_files() {
    let case = (0..CASES).map(Case::random).find(|case| case.entries.len() > 50).unwrap();
    let mut books = case.told();
    let mut take = |key: &str| books.as_object_mut().unwrap().remove(key).unwrap();
    let contract = Scratch::holding("contract.json", &take("contract").to_string());
    let lines: String = take("entries").as_array().unwrap().iter().map(|entry| entry.to_string() + "\n").collect();
    let entries = Scratch::holding("entries.ndjson", &lines);
    let (first, last, rules) = (take("first"), take("last"), take("robot_rules"));
    let books = Scratch::holding("books.json", &books.to_string());
    let mut command = Command::new("python3");
    command
        .arg(SCRIPT)
        .arg("--contract")
        .arg(&contract.0)
        .arg("--entries")
        .arg(&entries.0)
        .arg("--books")
        .arg(&books.0);
    command.args(["--first", first.as_str().unwrap(), "--last", last.as_str().unwrap()]);
    command.args(["--robot-rules", &rules.to_string()]);
    let Some(answers) = run(&mut command) else { return };
    assert_eq!(answers, [own_answer(&case)]);
}

#[test]
fn one_more_view_of_a_tieup_page_never_lowers_the_charges() {
    let mut tried = 0;
    for number in 0..CASES / 4 {
        let mut case = Case::random(number);
        if case.tells("falling-charge") {
            continue;
        }
        case.forget_most_visits();
        let mut before = charges(&case);
        for step in 0..VIEWS {
            case.view_once_more(number * VIEWS + step);
            let after = charges(&case);
            assert!(after >= before, "{before} became {after}: {}", case.told());
            before = after;
        }
        tried += 1;
    }
    assert!(tried > 50, "{tried} contracts are too few");
}

/// The sum of the charges, before anything is taken off.
fn charges(case: &Case) -> Exact {
    let lines = price(&case.contract, &case.books(case.counted.as_ref().unwrap())).unwrap().lines;
    lines.iter().filter(|line| line.why.is_charge()).map(|line| &line.exact).sum()
}

#[test]
fn the_lines_sum_to_the_total_and_the_order_of_sales_and_payments_changes_nothing() {
    for number in 0..CASES / 4 {
        let mut case = Case::random(number);
        let counted = counted(&case);
        let stated = own_statement(&case, &counted);
        let money = &case.contract.terms.money;
        let sum = match money.at {
            RoundAt::Line => stated.lines.iter().map(|line| line.rounded.unwrap().minor()).sum(),
            RoundAt::Total => {
                let exact: Exact = stated.lines.iter().map(|line| &line.exact).sum();
                exact.round(money.currency, money.round).unwrap().minor()
            }
        };
        assert_eq!(sum, stated.total.minor(), "{}", case.told());
        case.turn();
        assert_eq!(own_statement(&case, &counted).text, stated.text);
    }
}

/// What of the rules the cases went through, so that agreeing is worth something.
#[derive(Debug, Default)]
struct Seen {
    lines: usize,
    fractions: usize,
    caps: usize,
    limits: usize,
    /// Views that were counted in logs.
    views: u64,
    /// Months in which main owes the partner.
    debts: usize,
}

impl Seen {
    fn note(&mut self, case: &Case, answer: &Value) {
        for line in answer["lines"].as_array().unwrap() {
            let (id, exact) = (line["id"].as_str().unwrap(), line["exact"].as_str().unwrap());
            let is_given = !exact.starts_with("0/");
            self.lines += 1;
            self.fractions += usize::from(!exact.ends_with("/1"));
            self.caps += usize::from(id == "cap" && is_given);
            self.limits += usize::from(matches!(id, "maximum" | "minimum") && is_given);
        }
        if case.counted.is_none() {
            self.views += answer["counts"]["both"]["views"].as_u64().unwrap();
        }
        self.debts += usize::from(answer["due"].as_i64().unwrap() < 0);
    }

    fn assert_much(&self) {
        let enough = self.lines > 4_000 && self.fractions > 500 && self.caps > 50 && self.limits > 100;
        assert!(enough && self.views > 5_000 && self.debts > 20, "the cases show too little: {self:?}");
    }
}

/// What the second implementation answers to all cases; none where there is no Python to run it.
fn ask(cases: &[Case]) -> Option<Vec<Value>> {
    let lines: String = cases.iter().map(|case| case.told().to_string() + "\n").collect();
    let file = Scratch::holding("cases.ndjson", &lines);
    run(Command::new("python3").arg(SCRIPT).stdin(Stdio::from(File::open(&file.0).unwrap())))
}

/// What a run of the second implementation writes, line by line; none where there is no Python to run it.
fn run(command: &mut Command) -> Option<Vec<Value>> {
    let needs = "import sys, zoneinfo; zoneinfo.ZoneInfo('Asia/Tokyo'); assert sys.version_info >= (3, 11)";
    let has = Command::new("python3").args(["-c", needs]).output();
    if !has.as_ref().is_ok_and(|ran| ran.status.success()) {
        let why = format!("Python 3.11 with data of time zones cannot be had: {has:?}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        eprintln!("NOT checked from outside: {why}");
        return None;
    }
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A file that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn holding(name: &str, text: &str) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        fs::write(&file, text).unwrap();
        Self(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be taken away stays in the build's own folder.
        let _ = fs::remove_file(&self.0);
    }
}

/// What this crate answers.
fn own_answer(case: &Case) -> Value {
    let counted = counted(case);
    let stated = own_statement(case, &counted);
    let lines: Vec<Value> = stated.lines.iter().map(line).collect();
    let scopes = [("tieup", &counted.tieup), ("original", &counted.original), ("both", &counted.both)];
    let counts: serde_json::Map<String, Value> =
        scopes.into_iter().map(|(scope, totals)| (scope.to_owned(), case::totals(totals))).collect();
    let due = minor(stated.settlement.due);
    json!({"counts": counts, "lines": lines, "total": minor(stated.total), "due": due})
}

fn counted(case: &Case) -> Counted {
    case.counted.clone().unwrap_or_else(|| {
        let entries = case.entries.iter().map(|entry| Ok::<_, std::convert::Infallible>(entry.encode()));
        count_without(&case.contract, case.period, entries, &case.struck).unwrap()
    })
}

fn own_statement(case: &Case, counted: &Counted) -> Statement {
    let size = counted.entries;
    let journal = JournalHead { origin: "main.example/shop/2026-11".to_owned(), size, root: "x".to_owned() };
    let account = Account {
        journal: &journal,
        books: case.books(counted),
        payments: &case.payments,
        corrections: &case.corrections,
        status: Status::Draft,
    };
    statement(&case.contract, counted.month(), &account).unwrap_or_else(|error| panic!("{error}: {}", case.told()))
}

fn line(line: &Line) -> Value {
    json!({"id": line.id, "exact": line.exact.fraction(), "rounded": line.rounded.map(minor)})
}

fn minor(money: Money) -> i64 {
    money.minor().try_into().unwrap()
}
