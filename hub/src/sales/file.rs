//! A file of sales: CSV with a header, or NDJSON; which of them is seen from its first character.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::decimal::Decimal;
use tieup_protocol::diagnostic::{Diagnostic, Related, Report, nearest};
use tieup_protocol::ids::SiteId;
use tieup_protocol::record::{Sale, Word};

/// What can stand in a file, by name.
pub const FIELDS: [&str; 10] =
    ["partner", "id", "kind", "amount", "units", "goods", "via", "collected", "time", "region"];

/// The most mistakes of a file that are told.
const MOST_TOLD: usize = 100;

/// A sale as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The line, counted from 1.
    pub line: usize,
    /// Whose sale.
    pub partner: SiteId,
    /// The sale.
    pub sale: Sale,
}

/// A file of sales.
#[derive(Clone, Debug)]
pub struct SalesFile<'a> {
    name: &'a str,
    text: &'a str,
    /// Its lines, so that a mistake finds its own at once.
    lines: Vec<&'a str>,
}

/// A row: its line, and its values by name; what is empty is left out.
struct Row {
    line: usize,
    values: BTreeMap<String, String>,
}

impl<'a> SalesFile<'a> {
    /// The file `name`, which holds `bytes`.
    ///
    /// # Errors
    /// When that is no text in UTF-8.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, Report> {
        let text = str::from_utf8(bytes).map_err(|_| {
            Diagnostic::new("not-utf-8", name, "the file is no text in UTF-8").help("save it as UTF-8, and try again")
        })?;
        // Spreadsheets write a mark first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { name, text, lines: text.lines().collect() })
    }

    /// The sales in it, those of `partner` where they do not say whose they are.
    ///
    /// # Errors
    /// All mistakes.
    pub fn sales(&self, partner: Option<&SiteId>) -> Result<Vec<Read>, Report> {
        let mut problems = Vec::new();
        let rows =
            if self.text.trim_start().starts_with('{') { self.ndjson(&mut problems) } else { self.csv(&mut problems) };
        let mut sales: Vec<Read> = Vec::new();
        for row in &rows {
            let before = problems.len();
            let read = Reading { file: self, row, problems: &mut problems }.sale(partner);
            sales.extend(read.filter(|_| problems.len() == before));
        }
        problems.extend(self.repeated(&sales));
        if problems.is_empty() && sales.is_empty() {
            problems.push(Diagnostic::new("no-sales", self.name, "the file holds no sale"));
        }
        self.check(problems)?;
        Ok(sales)
    }

    /// `problem` at the first place in `line` where `value` stands.
    pub(super) fn at(&self, line: usize, value: &str, problem: Diagnostic) -> Diagnostic {
        let text = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = text.find(value).and_then(|at| text.get(..at)).unwrap_or_default();
        let mut told =
            Diagnostic { file: self.name.to_owned(), ..problem }.at_line(text, 1, before.chars().count() + 1);
        if let Some(span) = &mut told.span {
            span.line = line;
        }
        told
    }

    /// Tells mistakes, at most [`MOST_TOLD`] of them, and how many more there are.
    pub(super) fn check(&self, mut problems: Vec<Diagnostic>) -> Result<(), Report> {
        let more = problems.len().saturating_sub(MOST_TOLD);
        problems.truncate(MOST_TOLD);
        if more > 0 {
            let message = format!("the file has {more} more mistakes, which are not told");
            problems.push(Diagnostic::new("more-mistakes", self.name, message).help("mend those above, and try again"));
        }
        Report::check(problems)
    }

    fn ndjson(&self, problems: &mut Vec<Diagnostic>) -> Vec<Row> {
        let mut rows = Vec::new();
        for (line, text) in (1..).zip(self.text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) {
                Ok(values) => rows.push(self.row(line, values, problems)),
                Err(error) => {
                    let told = Diagnostic::new("bad-json", "", format!("this line is no JSON object: {error}"));
                    problems.push(self.at(line, "", told.help("write one object in each line")));
                }
            }
        }
        rows
    }

    fn row(&self, line: usize, values: BTreeMap<String, serde_json::Value>, problems: &mut Vec<Diagnostic>) -> Row {
        let mut row = Row { line, values: BTreeMap::new() };
        for (name, value) in values {
            if !FIELDS.contains(&name.as_str()) {
                problems.push(self.at(line, &name, unknown(&name)));
                continue;
            }
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => _ = row.values.insert(name, text),
                serde_json::Value::Number(number) if !number.is_f64() => {
                    row.values.insert(name, number.to_string());
                }
                _ => {
                    let told = Diagnostic::new("wrong-value", "", format!("`{name}` is no text and no whole number"));
                    let help = "write amounts as text, such as \"12.50\": a bare 12.50 is a binary fraction";
                    problems.push(self.at(line, &name, told.help(help)));
                }
            }
        }
        row
    }

    fn csv(&self, problems: &mut Vec<Diagnostic>) -> Vec<Row> {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.flexible(true).trim(csv::Trim::All).from_reader(self.text.as_bytes());
        let Ok(header) = reader.headers().cloned() else { return Vec::new() };
        let line_of = |record: &csv::StringRecord| {
            record.position().and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1)
        };
        let named = line_of(&header);
        for (place, name) in header.iter().enumerate() {
            if !FIELDS.contains(&name) {
                problems.push(self.at(named, name, unknown(name)));
            } else if header.iter().take(place).any(|before| before == name) {
                let told = Diagnostic::new("duplicate-key", "", format!("the header names `{name}` twice"));
                problems.push(self.at(named, name, told.help("leave one of the columns out")));
            }
        }
        let mut rows = Vec::new();
        for record in reader.records().filter_map(Result::ok) {
            let line = line_of(&record);
            if record.len() != header.len() {
                let message = format!("this row has {} values, and the header {} names", record.len(), header.len());
                let told = Diagnostic::new("ragged-row", "", message);
                problems.push(self.at(line, "", told.help("a value with a comma in it stands in quotes")));
                continue;
            }
            let values = header.iter().zip(&record).filter(|(_, value)| !value.is_empty());
            rows.push(Row { line, values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() });
        }
        rows
    }

    /// Sales that stand in the file twice, with other content.
    fn repeated(&self, sales: &[Read]) -> Vec<Diagnostic> {
        let mut first: BTreeMap<(&SiteId, &Word), &Read> = BTreeMap::new();
        let mut problems = Vec::new();
        for read in sales {
            let before = *first.entry((&read.partner, &read.sale.id)).or_insert(read);
            if before.sale != read.sale {
                let id = read.sale.id.as_str();
                let mut told =
                    Diagnostic::new("duplicate-sale", "", format!("sale `{id}` stands here with other content"));
                let message = "first given here".to_owned();
                told.related.push(Related { file: self.name.to_owned(), line: Some(before.line), message });
                problems.push(self.at(
                    read.line,
                    id,
                    told.help("leave in the one that is right; another sale needs another id"),
                ));
            }
        }
        problems
    }
}

/// A field that sales do not have.
fn unknown(name: &str) -> Diagnostic {
    let told = Diagnostic::new("unknown-key", "", format!("a sale has no field `{name}`"));
    told.help(match nearest(name, FIELDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("leave it out; sales say nothing of buyers. There are: {}", FIELDS.join(", ")),
    })
}

/// A row while it is read.
struct Reading<'a> {
    file: &'a SalesFile<'a>,
    row: &'a Row,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reading<'_> {
    /// The sale; none where something is wrong with it.
    fn sale(mut self, partner: Option<&SiteId>) -> Option<Read> {
        let partner = self.value("partner", "a partner's name, such as harbor-shop").or_else(|| partner.cloned());
        let id = self.value("id", "a name in one word, such as an order's number");
        let kind = self.value("kind", "a kind in one word, as the contract names it, such as settled_orders");
        let time = self.value("time", "a time with its offset from UTC, such as 2026-11-03T10:15:00+09:00");
        let (amount, collected) = (self.amount("amount"), self.amount("collected"));
        let units = self.value("units", "a whole number").unwrap_or(1);
        let via = self.value::<Via>("via", "`tieup` or `original`").map(|via| via.0);
        let goods = self.value("goods", "a name in one word");
        let region = self.value("region", "a name of at most 80 characters");
        let (partner, id) = (self.required(partner, "partner"), self.required(id, "id"));
        let (kind, amount) = (self.required(kind, "kind"), self.required(amount, "amount"));
        let time: Option<Timestamp> = self.required(time, "time");
        let sale = Sale { id: id?, kind: kind?, amount: amount?, units, goods, via, collected, time: time?, region };
        Some(Read { line: self.row.line, partner: partner?, sale })
    }

    /// The value of field `name`, which is to be `what`; none where it is empty or wrong.
    fn value<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.row.values.get(name)?;
        if let Ok(value) = text.parse() {
            return Some(value);
        }
        let told = Diagnostic::new("wrong-value", "", format!("`{name}` is {text:?}, which is not {what}"));
        self.problems.push(self.file.at(self.row.line, text, told.help(format!("write {what}"))));
        None
    }

    fn amount(&mut self, name: &str) -> Option<Decimal> {
        let amount: Decimal = self.value(name, "an amount in major units, such as 12.50")?;
        if !amount.is_negative() {
            return Some(amount);
        }
        let told = Diagnostic::new("negative-amount", "", format!("`{name}` is below 0"));
        let help = "correct the sale with the amount that is right, or take it back: tieup sales withdraw";
        self.problems.push(self.file.at(self.row.line, &amount.to_string(), told.help(help)));
        None
    }

    /// `value`, which must be there; where it was wrong, that is told already.
    fn required<T>(&mut self, value: Option<T>, name: &str) -> Option<T> {
        if value.is_none() && !self.row.values.contains_key(name) {
            let told = Diagnostic::new("missing-key", "", format!("the sale has no `{name}`"));
            let help = if name == "partner" {
                "give a column `partner`, or --partner for all of the file".to_owned()
            } else {
                format!("every sale has `{name}`")
            };
            self.problems.push(self.file.at(self.row.line, "", told.help(help)));
        }
        value
    }
}

/// The class of the page that a buyer came from.
struct Via(MeterClass);

impl FromStr for Via {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "tieup" => Ok(Self(MeterClass::Tieup)),
            "original" => Ok(Self(MeterClass::Original)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Read>, String> {
        let file = SalesFile::new("sales.csv", text.as_bytes()).map_err(|report| report.to_string())?;
        file.sales(None).map_err(|report| report.to_string())
    }

    const CSV: &str = "\u{feff}partner,id,kind,amount,units,goods,via,collected,time,region\n\
        north,A-1,settled_orders,1200,2,lantern,original,42,2026-11-03T10:15:00+09:00,\"Otaru, Hokkaido\"\n\
        north,A-2,settled_orders,80.50,,,,,2026-11-03T01:15:00Z,\n";

    #[test]
    fn both_forms_say_the_same() {
        let ndjson = "{\"partner\":\"north\",\"id\":\"A-1\",\"kind\":\"settled_orders\",\"amount\":1200,\"units\":2,\
            \"goods\":\"lantern\",\"via\":\"original\",\"collected\":\"42\",\"time\":\"2026-11-03T10:15:00+09:00\",\
            \"region\":\"Otaru, Hokkaido\"}\n\
            \n{\"partner\":\"north\",\"id\":\"A-2\",\"kind\":\"settled_orders\",\"amount\":\"80.50\",\"goods\":null,\
            \"time\":\"2026-11-03T01:15:00Z\"}\n";
        let (csv, ndjson) = (read(CSV).unwrap(), read(ndjson).unwrap());
        assert_eq!((csv[0].line, csv[1].line, ndjson[1].line), (2, 3, 3));
        let sales = |read: Vec<Read>| read.into_iter().map(|read| (read.partner, read.sale)).collect::<Vec<_>>();
        assert_eq!((csv[0].sale.units, csv[1].sale.units), (2, 1));
        assert_eq!(sales(csv), sales(ndjson));
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_line_and_what_to_do() {
        let text = "partner,id,kind,amount,tme,via,buyer\n\
            north,A 1,order,12,5,tieup,Sato\n\
            north,A-2,,-3,6,shop,\n\
            north,A-3\n";
        let told = read(text).unwrap_err();
        for part in [
            "sales.csv:1:24\n",
            "a sale has no field `tme`",
            "did you mean `time`?",
            "a sale has no field `buyer`",
            "sales say nothing of buyers",
            "sales.csv:2:7\n",
            "`id` is \"A 1\"",
            "the sale has no `kind`",
            "`amount` is below 0",
            "tieup sales withdraw",
            "`via` is \"shop\", which is not `tieup` or `original`",
            "this row has 2 values, and the header 7 names",
            "sales.csv:4:1\n",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        let one =
            "{\"partner\":\"north\",\"id\":\"a\",\"kind\":\"k\",\"amount\":12.5,\"time\":\"2026-11-03T01:15:00Z\"}\nno";
        let told = read(one).unwrap_err();
        assert!(told.contains("a bare 12.50 is a binary fraction") && told.contains("this line is no JSON"), "{told}");
        assert!(read("").unwrap_err().contains("holds no sale"));
        assert!(SalesFile::new("x", b"\xff").is_err());
    }

    #[test]
    fn a_sale_stands_in_a_file_once() {
        let twice = |last: &str| read(&format!("{CSV}{last}\n"));
        assert_eq!(twice(CSV.lines().last().unwrap()).unwrap().len(), 3, "the same again");
        let told = twice("north,A-2,settled_orders,80.60,,,,,2026-11-03T01:15:00Z,").unwrap_err();
        assert!(
            told.contains("sale `A-2` stands here with other content") && told.contains("first given here"),
            "{told}"
        );
        assert!(twice("south,A-2,settled_orders,80.60,,,,,2026-11-03T01:15:00Z,").is_ok(), "another partner's");
    }

    #[test]
    fn whose_sales_they_are_can_be_said_for_all_of_a_file() {
        let text = "id,kind,amount,time\na,order,1,2026-11-03T01:15:00Z\n";
        let file = SalesFile::new("-", text.as_bytes()).unwrap();
        assert!(file.sales(None).unwrap_err().to_string().contains("--partner for all of the file"));
        let north: SiteId = "north".parse().unwrap();
        assert_eq!(file.sales(Some(&north)).unwrap()[0].partner, north);
    }

    #[test]
    fn of_many_mistakes_the_first_are_told_and_how_many_more_there_are() {
        let text = format!("id,kind,amount,time\n{}", "a,order,much,2026-11-03T01:15:00Z\n".repeat(130));
        let file = SalesFile::new("sales.csv", text.as_bytes()).unwrap();
        let report = file.sales(Some(&"north".parse().unwrap())).unwrap_err();
        assert_eq!(report.diagnostics().len(), 101);
        let told = report.to_string();
        assert!(told.contains("sales.csv:101:9") && !told.contains("sales.csv:102:"), "{told}");
        assert!(told.contains("the file has 30 more mistakes"), "{told}");
    }
}
