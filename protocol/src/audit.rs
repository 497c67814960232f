//! The audit trail: what was decided about releases at the partner, by whom and why.
//!
//! One JSON document a line, in the order in which things happened. Each line carries the BLAKE3 of the line before it,
//! so nobody who holds a copy of the newest line can be shown another past.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::DecidedBy;
use crate::digest::Digest;
use crate::ids::ReleaseVersion;

/// The most bytes of a line, without its end.
pub const MAX_LINE: usize = 16 << 10;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A person at the partner.
    Operator,
    /// A rule of the contract.
    Rule,
    /// The contract's terms for emergencies.
    Emergency,
    /// The main site.
    Main,
    /// The daemon by itself.
    Daemon,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A release arrived, verified and complete.
    Staged,
    /// It was let through; the reason says for when.
    Approved,
    /// Its approval was taken back before it went live.
    Withdrawn,
    /// It was put aside.
    Held,
    /// It was let go.
    Released,
    /// It was refused.
    Rejected,
    /// A later one took its place.
    Superseded,
    /// It is what visitors get.
    Live,
    /// The operator went back to it.
    RolledBack,
    /// Other terms are in force with it.
    ContractChanged,
    /// Something that main offered did not become a release here.
    OfferRefused,
    /// The partner's own changed pages were made public.
    OriginalsApproved,
    /// The operator declared an emergency, in which pages of the partner's own may take the place of main's.
    EmergencyBegun,
    /// The operator ended it.
    EmergencyEnded,
    /// Stored content was no longer what was verified.
    DriftFound,
    /// What had drifted is whole again.
    DriftRestored,
    /// The partner disputes an issued statement.
    StatementDisputed,
    /// Main did not take the dispute.
    DisputeRefused,
    /// Main answered it.
    DisputeAnswered,
    /// One side proposed to leave entries of a log out of account.
    StrikeProposed,
    /// The other side answered it.
    StrikeAnswered,
    /// Somebody at main looked at a finding, and lets it hold nothing back.
    FindingAccepted,
    /// Main noted what a partner paid in advance.
    PaymentNoted,
    /// Main noted advertisements, what it offers in limited number, or how much the partner's site holds.
    CatalogueNoted,
    /// Main noted sales, or took some back.
    SalesNoted,
    /// Main told entries of its record of what fees go by besides visits.
    RecordTold,
    /// Somebody at main settled that a partner has another trail than the one that main held.
    TrailSettled,
}

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its number, counted from 0.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// Who did it.
    pub who: Actor,
    /// What happened.
    pub what: Event,
    /// To which release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseVersion>,
    /// The digest of the release's manifest; for originals, of what was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Why, or what else is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The digest of the line before, without its end; of nothing, before the first.
    pub before: Digest,
}

/// Something that happened, before it has its place in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Who did it.
    pub who: Actor,
    /// What happened.
    pub what: Event,
    /// To which release, by number and manifest.
    pub release: Option<(ReleaseVersion, Digest)>,
    /// Why.
    pub reason: Option<String>,
}

/// The end of a trail: what the next line must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailEnd {
    /// How many lines there are.
    pub lines: u64,
    /// The digest of the last.
    pub last: Digest,
}

/// Why a line does not continue a trail.
#[derive(Debug, thiserror::Error)]
pub enum BrokenTrail {
    /// It is no entry.
    #[error("line {0} of the audit trail cannot be read")]
    Unreadable(u64, #[source] serde_json::Error),
    /// It has another number.
    #[error("line {expected} of the audit trail says that it is line {found}")]
    Number {
        /// Which line it is.
        expected: u64,
        /// Which it says that it is.
        found: u64,
    },
    /// The line before was another one when this line was written.
    #[error("line {0} of the audit trail was written after another line than the one before it: the trail was changed")]
    Chain(u64),
    /// It is longer than lines are.
    #[error("line {0} of the audit trail is longer than {MAX_LINE} bytes")]
    TooLong(u64),
}

impl Default for TrailEnd {
    fn default() -> Self {
        Self { lines: 0, last: Digest::of(b"") }
    }
}

impl TrailEnd {
    /// The line that `happening` makes after this end, and the end after it.
    pub fn append(self, happening: &Happening, time: Timestamp) -> (String, Self) {
        let entry = AuditEntry {
            number: self.lines,
            time,
            who: happening.who,
            what: happening.what,
            release: happening.release.map(|(version, _)| version),
            manifest: happening.release.map(|(_, manifest)| manifest),
            reason: happening.reason.as_deref().map(shortened),
            before: self.last,
        };
        let line = serde_json::to_string(&entry).expect("an entry has text keys and no float, so it always serializes");
        let end = self.after(&line);
        (line, end)
    }

    /// Reads the next line and gives it with the end after it.
    ///
    /// # Errors
    /// When it is no entry, or does not continue this end.
    pub fn read(self, line: &str) -> Result<(AuditEntry, Self), BrokenTrail> {
        if line.len() > MAX_LINE {
            return Err(BrokenTrail::TooLong(self.lines));
        }
        let entry: AuditEntry =
            serde_json::from_str(line).map_err(|error| BrokenTrail::Unreadable(self.lines, error))?;
        if entry.number != self.lines {
            return Err(BrokenTrail::Number { expected: self.lines, found: entry.number });
        }
        if entry.before != self.last {
            return Err(BrokenTrail::Chain(self.lines));
        }
        Ok((entry, self.after(line)))
    }

    fn after(self, line: &str) -> Self {
        Self { lines: self.lines + 1, last: Digest::of(line.as_bytes()) }
    }
}

/// The most characters of a reason: escaped and with all else, it fits a line.
const MAX_REASON: usize = 2_000;

fn shortened(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

impl From<DecidedBy> for Actor {
    fn from(by: DecidedBy) -> Self {
        match by {
            DecidedBy::Operator => Self::Operator,
            DecidedBy::Rule => Self::Rule,
            DecidedBy::Emergency => Self::Emergency,
            DecidedBy::LaterRelease => Self::Main,
            DecidedBy::Daemon => Self::Daemon,
        }
    }
}

impl Actor {
    /// Who it is, in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Rule => "rule",
            Self::Emergency => "emergency",
            Self::Main => "main",
            Self::Daemon => "daemon",
        }
    }
}

impl Event {
    /// What happened, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Approved => "approved",
            Self::Withdrawn => "approval withdrawn",
            Self::Held => "held",
            Self::Released => "released",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::Live => "live",
            Self::RolledBack => "rolled back to",
            Self::ContractChanged => "contract changed",
            Self::OfferRefused => "offer refused",
            Self::OriginalsApproved => "originals approved",
            Self::EmergencyBegun => "emergency declared",
            Self::EmergencyEnded => "emergency ended",
            Self::DriftFound => "damage found",
            Self::DriftRestored => "damage restored",
            Self::StatementDisputed => "statement disputed",
            Self::DisputeRefused => "dispute refused",
            Self::DisputeAnswered => "dispute answered",
            Self::StrikeProposed => "strike proposed",
            Self::StrikeAnswered => "strike answered",
            Self::FindingAccepted => "finding accepted",
            Self::PaymentNoted => "payment noted",
            Self::CatalogueNoted => "catalogue noted",
            Self::SalesNoted => "sales noted",
            Self::RecordTold => "record told",
            Self::TrailSettled => "another trail settled",
        }
    }
}

/// The entry as people read it, in one line.
impl fmt::Display for AuditEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:<9} {}", self.time.strftime("%Y-%m-%d %H:%M:%S UTC"), self.who.word(), self.what.words())?;
        if let Some(release) = self.release {
            write!(f, " release {release}")?;
        }
        if let Some(manifest) = self.manifest {
            write!(f, " ({})", &manifest.hex()[..12])?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {}", reason.replace(|c: char| c.is_control(), " "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(reasons: &[&str]) -> Vec<String> {
        let mut end = TrailEnd::default();
        let happening = |reason: &&str| Happening {
            who: Actor::Operator,
            what: Event::Held,
            release: Some((ReleaseVersion::FIRST, Digest::of(b"manifest"))),
            reason: Some((*reason).to_owned()),
        };
        let mut lines = Vec::new();
        for reason in reasons {
            let (line, next) = end.append(&happening(reason), Timestamp::UNIX_EPOCH);
            lines.push(line);
            end = next;
        }
        lines
    }

    fn read(lines: &[String]) -> Result<TrailEnd, BrokenTrail> {
        lines.iter().try_fold(TrailEnd::default(), |end, line| Ok(end.read(line)?.1))
    }

    #[test]
    fn a_trail_continues_itself() {
        assert_eq!(read(&trail(&["a", "b", "c"])).unwrap().lines, 3);
    }

    #[test]
    fn no_line_can_be_changed_left_out_or_moved() {
        let lines = trail(&["a", "b", "c"]);
        let mut changed = lines.clone();
        changed[1] = changed[1].replace("\"b\"", "\"x\"");
        assert!(matches!(read(&changed), Err(BrokenTrail::Chain(2))));
        assert!(matches!(read(&lines[1..]), Err(BrokenTrail::Number { expected: 0, found: 1 })));
        let other = [lines[0].clone(), trail(&["x", "b"])[1].clone()];
        assert!(matches!(read(&other), Err(BrokenTrail::Chain(1))));
        assert!(matches!(read(&["{}".to_owned()]), Err(BrokenTrail::Unreadable(0, _))));
    }

    #[test]
    fn a_line_has_room_for_the_longest_reason() {
        let lines = trail(&[&"\u{1}".repeat(10_000)]);
        assert!(lines[0].len() <= MAX_LINE && read(&lines).is_ok());
    }
}
