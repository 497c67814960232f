//! Main's record of what fees go by besides visits, as it is told, and how much a partner's site holds, as it is asked for.

use tieup_protocol::record::{
    Entry, Extent, ExtentGrant, ExtentRequest, RecordHeld, RecordPage, RecordRequest, Span, Stock,
};

use crate::corpus::{Corpus, json};
use crate::targets::{Target, message};

/// An entry of each kind.
const ENTRIES: [&str; 6] = [
    r#"{"entry":"sale","id":"A-1","kind":"order","amount":"1200","units":2,"goods":"lantern","via":"original","collected":"42.50","time":"2026-11-03T01:02:03Z","region":"Otaru"}"#,
    r#"{"entry":"withdrawn","id":"A-1"}"#,
    r#"{"entry":"payment","day":"2026-11-01","reference":"BANK-1","amount":"50000"}"#,
    r#"{"entry":"holdings","at":"2026-11-30T15:00:00Z","release":7,"tieup":{"pages":2,"bytes":900},"original":{"pages":1,"bytes":40}}"#,
    r#"{"entry":"advertisements","since":"2026-11-01","main":3,"partner":1}"#,
    r#"{"entry":"offered","since":"2026-11-01","goods":"lantern","units":40}"#,
];

/// The parsers of it.
pub(crate) fn targets(corpus: &Corpus) -> Vec<Target<'static>> {
    let entries: Vec<Entry> = ENTRIES.iter().map(|line| serde_json::from_str(line).expect("an entry")).collect();
    let lines: Vec<String> = entries.iter().map(Entry::line).collect();
    let span = Span::of(7, &lines).expect("there are lines").to_string();
    let since = corpus.status.releases[0].since;
    let (release, stock) = (corpus.status.releases[0].version, Stock { pages: 3, bytes: 900 });
    let extent = Extent { since, release, tieup: stock, original: stock };
    vec![
        message::<RecordPage>("page of the record", json(&RecordPage { from: 0, entries })),
        message::<RecordRequest>("request for the record", json(&RecordRequest { from: 3 })),
        message::<RecordHeld>("how much of the record is held", json(&RecordHeld { held: 3 })),
        message::<ExtentRequest>("request for how much is live", json(&ExtentRequest { at: since })),
        message::<ExtentGrant>("how much is live", json(&ExtentGrant { extent: Some(extent) })),
        Target::new("entries that a trail names", 64, vec![span.into_bytes()], |bytes| {
            let span: Span = std::str::from_utf8(bytes).ok()?.parse().ok()?;
            Some(span.to_string().into_bytes())
        }),
    ]
}
