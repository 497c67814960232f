//! Visits as other programs read them: lines of NDJSON, of the Combined Log Format, or of CSV.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass};
use crate::contract::MeterClass;

/// What stands as it is in the path of a request line.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'(')
    .remove(b')')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The first line of CSV.
const COLUMNS: &str = "number,time,class,method,status,bytes,purpose,visitor,agent,robot,referrer,path\n";

/// How visits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line, with every field.
    Ndjson,
    /// The Combined Log Format, with visitor tokens for addresses and classes for referrer and agent. The version of
    /// HTTP is not kept, and stands as 1.1.
    Combined,
    /// Comma-separated values with a first line of names, with every field.
    Csv,
}

/// An entry as it is written into JSON.
#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    time: String,
    class: Option<&'static str>,
    method: &'static str,
    status: u16,
    bytes: u64,
    purpose: &'static str,
    visitor: String,
    agent: &'static str,
    robot: u16,
    referrer: &'static str,
    path: &'a str,
}

impl ExportFormat {
    /// What stands before the first entry: nothing, or a line.
    pub fn head(self) -> &'static str {
        match self {
            Self::Csv => COLUMNS,
            Self::Ndjson | Self::Combined => "",
        }
    }

    /// The line of entry `number`, with its end.
    pub fn line(self, number: u64, entry: &AccessEntry) -> String {
        let line = Line::of(number, entry);
        match self {
            // A struct of numbers and texts has a form in JSON.
            Self::Ndjson => serde_json::to_string(&line).unwrap_or_default() + "\n",
            Self::Combined => combined(entry, &line),
            Self::Csv => csv(&line),
        }
    }
}

impl<'a> Line<'a> {
    fn of(number: u64, entry: &'a AccessEntry) -> Self {
        Self {
            number,
            time: entry.time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            class: entry.class.map(|class| match class {
                MeterClass::Tieup => "tieup",
                MeterClass::Original => "original",
            }),
            method: match entry.method {
                Method::Get => "GET",
                Method::Head => "HEAD",
                Method::Other => "OTHER",
            },
            status: entry.status,
            bytes: entry.bytes,
            purpose: match entry.purpose {
                Purpose::Document => "document",
                Purpose::Prefetch => "prefetch",
                Purpose::Resource => "resource",
            },
            visitor: hex(&entry.visitor.0),
            agent: match entry.agent {
                AgentClass::Desktop => "desktop",
                AgentClass::Mobile => "mobile",
                AgentClass::Robot => "robot",
                AgentClass::Other => "other",
            },
            robot: entry.robot,
            referrer: match entry.referrer {
                ReferrerClass::None => "none",
                ReferrerClass::Same => "same",
                ReferrerClass::Other => "other",
            },
            path: entry.path.as_str(),
        }
    }
}

fn combined(entry: &AccessEntry, line: &Line<'_>) -> String {
    let time = entry.time.strftime("%d/%b/%Y:%H:%M:%S +0000");
    let path = utf8_percent_encode(line.path, IN_PATH);
    let referrer = if entry.referrer == ReferrerClass::None { "-" } else { line.referrer };
    format!(
        "{} - - [{time}] \"{} {path} HTTP/1.1\" {} {} \"{referrer}\" \"{}\"\n",
        line.visitor, line.method, line.status, line.bytes, line.agent
    )
}

fn csv(line: &Line<'_>) -> String {
    let Line { number, time, method, status, bytes, purpose, visitor, agent, robot, referrer, .. } = line;
    let (class, path) = (line.class.unwrap_or_default(), line.path.replace('"', "\"\""));
    format!(
        "{number},{time},{class},{method},{status},{bytes},{purpose},{visitor},{agent},{robot},{referrer},\"{path}\"\n"
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::VisitorToken;

    fn entry() -> AccessEntry {
        AccessEntry {
            time: "2026-11-07T03:04:05.006Z".parse().unwrap(),
            class: Some(MeterClass::Tieup),
            method: Method::Get,
            status: 200,
            bytes: 6144,
            purpose: Purpose::Document,
            visitor: VisitorToken([0xAB; 16]),
            agent: AgentClass::Mobile,
            robot: 0,
            referrer: ReferrerClass::Same,
            path: "/lamps/\"é\"/".parse().unwrap(),
        }
    }

    #[test]
    fn a_visit_is_a_line_of_each_format() {
        let token = "ab".repeat(16);
        let ndjson: serde_json::Value = serde_json::from_str(&ExportFormat::Ndjson.line(7, &entry())).unwrap();
        assert_eq!((&ndjson["number"], &ndjson["path"]), (&7.into(), &"/lamps/\"é\"/".into()));
        assert_eq!((&ndjson["time"], &ndjson["class"]), (&"2026-11-07T03:04:05.006Z".into(), &"tieup".into()));
        assert_eq!(
            ExportFormat::Combined.line(7, &entry()),
            format!(
                "{token} - - [07/Nov/2026:03:04:05 +0000] \"GET /lamps/%22%C3%A9%22/ HTTP/1.1\" 200 6144 \"same\" \"mobile\"\n"
            )
        );
        assert_eq!(
            ExportFormat::Csv.line(7, &entry()),
            format!(
                "7,2026-11-07T03:04:05.006Z,tieup,GET,200,6144,document,{token},mobile,0,same,\"/lamps/\"\"é\"\"/\"\n"
            )
        );
        assert_eq!(ExportFormat::Csv.head().trim_end().split(',').count(), 12);
    }
}
