//! Where two counts of one journal part: main is asked hour by hour, and of the first that differs entry by entry.

use std::collections::BTreeSet;
use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::access::AccessEntry;
use crate::access_export::ExportFormat;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::path::SitePath;
use crate::period::Period;
use crate::record::Holdings;

/// POST an [`HoursRequest`] to hub, get `Vec<CountedHour>`: what main counts of the partner's journal.
pub const HOURS: &str = "/v3/statement/hours";
/// POST an [`EntriesRequest`] to hub, get [`HourEntries`]: what main's copy of the partner's journal holds.
pub const ENTRIES: &str = "/v3/statement/entries";

/// Which journal is meant, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoursRequest {
    /// The period of the statement.
    #[serde(rename = "month")]
    pub period: Period,
    /// How many of its entries: those that a statement counts.
    pub size: u64,
    /// The strikes by which it leaves entries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strikes: Vec<Digest>,
}

/// An hour of the clock in the contract's zone, as one side counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedHour {
    /// Which: days since 1970-01-01 times 24, plus the hour.
    pub number: i64,
    /// How many entries have their time in it.
    pub entries: u64,
    /// The digest of those: of the digest so far, which is that of nothing at first, and an entry's number and bytes.
    pub digest: Digest,
    /// Views of tie-up pages that count in it.
    pub tieup: u64,
    /// Views of original pages that count in it.
    pub original: u64,
}

/// Which entries of an hour are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntriesRequest {
    /// The period of the statement.
    #[serde(rename = "month")]
    pub period: Period,
    /// How many of its entries count.
    pub size: u64,
    /// The hour, by number.
    pub hour: i64,
    /// The first number that is of interest.
    pub from: u64,
}

/// Entries of an hour, in their order; not all of them where they are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourEntries {
    /// The entries.
    pub entries: Vec<NumberedEntry>,
    /// Where to go on; none where these are the last.
    pub next: Option<u64>,
}

/// An entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberedEntry {
    /// Its number, from 0.
    pub number: u64,
    /// Its bytes, in Base64.
    pub entry: String,
}

/// The first hour and entry in which main's count and the partner's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Located {
    /// What the clocks of the contract's zone show when the hour begins.
    pub hour: DateTime,
    /// The zone.
    pub zone: String,
    /// The hour as main counts it; none where it has nothing in it.
    pub main: Option<CountedHour>,
    /// The hour as the partner counts it.
    pub partner: Option<CountedHour>,
    /// The first entry that differs; none where both have the same entries and count them otherwise.
    pub entry: Option<LocatedEntry>,
}

/// The first entry that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatedEntry {
    /// Its number, from 0.
    pub number: u64,
    /// What main's copy has there, as `log export` writes it; none where it has nothing of this hour there.
    pub main: Option<String>,
    /// What the partner's journal has there.
    pub partner: Option<String>,
    /// The proof that the partner's entry is in the log that both sides signed, of the form c2sp.org/tlog-proof; none where
    /// it is not, so that the partner's journal is the one that was changed.
    pub proof: Option<String>,
}

/// How much the partner's site held when a period ended: what main goes by, and what the partner's own notes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatedHoldings {
    /// What main was told, with the tie-up pages of the release as main published it.
    pub main: Holdings,
    /// What is noted here.
    pub partner: Holdings,
    /// The first file of main's that is not the same in both releases, where they are two that are kept here.
    pub file: Option<LocatedFile>,
}

/// A file that two releases do not have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatedFile {
    /// Its path.
    pub path: SitePath,
    /// Its bytes in the release that main goes by; none where it is not in that.
    pub main: Option<u64>,
    /// Its bytes in the release that was live here.
    pub partner: Option<u64>,
}

impl LocatedHoldings {
    /// What main goes by beside what is noted here; none where both come to as much.
    pub fn between(main: Holdings, partner: Holdings) -> Option<Self> {
        let differ = (main.tieup, main.original) != (partner.tieup, partner.original);
        differ.then_some(Self { main, partner, file: None })
    }
}

impl LocatedFile {
    /// The first file that the release which main goes by and the one that was live here do not have alike.
    pub fn between(main: &Manifest, partner: &Manifest) -> Option<Self> {
        let paths: BTreeSet<&SitePath> = main.entries.keys().chain(partner.entries.keys()).collect();
        let blob = |manifest: &Manifest, path: &SitePath| manifest.entries.get(path).map(|entry| entry.blob);
        let path = paths.into_iter().find(|path| blob(main, path) != blob(partner, path))?;
        let length = |manifest| blob(manifest, path).map(|blob| blob.length);
        Some(Self { path: path.clone(), main: length(main), partner: length(partner) })
    }
}

impl CountedHour {
    /// An hour in which nothing was seen yet.
    pub fn empty(number: i64) -> Self {
        Self { number, entries: 0, digest: Digest::of(b""), tieup: 0, original: 0 }
    }

    /// Takes an entry whose time is in the hour.
    pub fn add(&mut self, number: u64, entry: &[u8]) {
        self.entries += 1;
        self.digest = Digest::of(&[self.digest.as_bytes(), number.to_be_bytes().as_slice(), entry].concat());
    }
}

impl NumberedEntry {
    /// Entry `number` with its bytes.
    pub fn new(number: u64, entry: &[u8]) -> Self {
        Self { number, entry: BASE64_STANDARD.encode(entry) }
    }

    /// The entry as `log export` writes it; what is none is shown as it is.
    pub fn words(&self) -> String {
        let entry = BASE64_STANDARD.decode(&self.entry).ok().and_then(|bytes| AccessEntry::decode(&bytes).ok());
        let line = entry.map(|entry| ExportFormat::Ndjson.line(self.number, &entry));
        line.map_or_else(|| format!("no entry: {}", self.entry), |line| line.trim_end().to_owned())
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "The first hour that differs begins on {} ({}).",
            self.hour.strftime("%Y-%m-%d at %H:%M"),
            self.zone
        )?;
        writeln!(f, "  main counts:    {}", hour_words(self.main.as_ref()))?;
        writeln!(f, "  partner counts: {}", hour_words(self.partner.as_ref()))?;
        match &self.entry {
            Some(entry) => entry.fmt(f),
            None => writeln!(f, "Both have the same entries in it, and count them otherwise."),
        }
    }
}

impl fmt::Display for LocatedHoldings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { main, partner, file } = self;
        writeln!(f, "How much the site held when the period ended is another number for main than it is here.")?;
        let parts = [("tie-up", main.tieup, partner.tieup), ("original", main.original, partner.original)];
        for (class, mains, own) in parts.into_iter().filter(|(_, mains, own)| mains != own) {
            writeln!(f, "  {class} pages, main goes by:  {} in {} bytes", mains.pages, mains.bytes)?;
            writeln!(f, "  {class} pages, noted here:    {} in {} bytes", own.pages, own.bytes)?;
        }
        if main.release != partner.release {
            writeln!(f, "Main goes by release {}, and release {} was live here.", main.release, partner.release)?;
        } else if main.tieup != partner.tieup {
            writeln!(
                f,
                "Both go by release {}: its signed manifest, which both have, says who is right.",
                main.release
            )?;
        }
        let Some(LocatedFile { path, main, partner }) = file else { return Ok(()) };
        let words = |bytes: &Option<u64>| bytes.map_or_else(|| "nothing".to_owned(), |bytes| format!("{bytes} bytes"));
        writeln!(f, "The first file of main's that differs is {path}: {} there, {} here.", words(main), words(partner))
    }
}

impl fmt::Display for LocatedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |entry: &Option<String>| entry.clone().unwrap_or_else(|| "nothing of this hour".to_owned());
        writeln!(f, "The first entry that differs is number {}, counted from 0.", self.number)?;
        writeln!(f, "  main has:    {}", words(&self.main))?;
        writeln!(f, "  partner has: {}", words(&self.partner))?;
        match (&self.proof, &self.partner) {
            (Some(proof), _) => {
                write!(f, "The partner's entry stands in the log that both sides signed; this proves it:\n{proof}")
            }
            (None, Some(_)) => {
                writeln!(
                    f,
                    "The partner's entry does not stand in the log that both sides signed: look for damage in it here."
                )
            }
            (None, None) => Ok(()),
        }
    }
}

fn hour_words(hour: Option<&CountedHour>) -> String {
    let Some(CountedHour { entries, tieup, original, .. }) = hour else { return "nothing".to_owned() };
    format!("{tieup} views of tie-up pages and {original} of original pages, of {entries} entries")
}
