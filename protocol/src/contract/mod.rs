//! The contract: the versioned YAML document that both sides hold, word for word.
//!
//! [`Contract::parse`] is the only way in. What it returns is complete and consistent; the keys that no part of the
//! product acts on yet are named by [`Contract::not_acted_on`], so that nobody relies on them by mistake.

mod adjustments;
mod beacons;
mod charges;
mod consistency;
mod hours;
mod journal;
mod lint;
mod meters;
mod mounts;
mod place;
mod policy;
mod segments;
mod terms;

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use adjustments::{Adjustment, BandedDiscount, Percentages, When};
pub use beacons::{BEACON, Beacons, InvalidOrigin, WebOrigin, beacon_page};
pub use charges::{Base, Charge, Charges, Package, PerEvent, Rate, Tiered, Tiers};
pub use hours::{Day, Hours, InvalidHours};
pub use journal::{JournalTerms, Returned, Side, Writers};
pub use meters::{Advertiser, Classes, Extent, Measure, Meter, MeterClass, Meters, Quantity, Sales, ZeroRatio};
pub use mounts::{Mounts, Owner};
pub use policy::{Approval, AutoRule, ByteSize, Decision, Only, PathGlob, Policy, Strategy};
pub use segments::{Segment, charged_until, reaches_back, segments};
pub use terms::{
    Close, Count, Currency, Dispute, Late, Money, Pay, Proration, RoundAt, Rounding, RuleSet, Session, Span, Terms,
};

use self::journal::WrittenJournal;
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::ids::SiteId;
use crate::period::{Month, Zone};
use crate::robots;
use crate::schedule::{Schedule, WrittenSchedule};
use crate::yaml;

/// Who made a contract and which version of it: `nationwide/harbor-shop@3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContractId {
    /// The main site.
    pub main: SiteId,
    /// The partner.
    pub partner: SiteId,
    /// The version; a higher one supersedes those before it from its `effective` day.
    pub version: u32,
}

/// Why a text is not a [`ContractId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a contract's name: write main/partner@version, such as nationwide/harbor-shop@3")]
pub struct InvalidContractId(String);

impl FromStr for ContractId {
    type Err = InvalidContractId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (main, rest) = text.split_once('/')?;
            let (partner, version) = rest.split_once('@')?;
            let version = version.parse().ok().filter(|v| *v > 0)?;
            Some(Self { main: main.parse().ok()?, partner: partner.parse().ok()?, version })
        };
        parse().ok_or_else(|| InvalidContractId(text.to_owned()))
    }
}

impl TryFrom<String> for ContractId {
    type Error = InvalidContractId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContractId> for String {
    fn from(id: ContractId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.main, self.partner, self.version)
    }
}

/// What the partner takes over from the main site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partnership {
    /// Layout and pages.
    Inherited,
    /// The layout alone; the content is the partner's.
    Framework,
    /// A link alone: nothing is published to the partner.
    Link,
}

impl Partnership {
    /// The word that contracts and statements use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inherited => "inherited",
            Self::Framework => "framework",
            Self::Link => "link",
        }
    }
}

/// From when a contract holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effective {
    /// The first day.
    pub from: Date,
    /// The last day; none where a later version or nothing ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The time zone of days, months and hours everywhere in the contract.
    pub tz: Zone,
}

/// May the partner replace a tie-up page by its own?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// No.
    #[default]
    Never,
    /// Only while the partner's operator has declared an emergency. Otherwise main's page stands.
    Emergency,
    /// Yes.
    Always,
}

/// What the partner may do beyond its own mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// Replacing tie-up pages.
    #[serde(rename = "override")]
    pub replace: Override,
}

/// How search engines shall treat the partner's copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Indexing {
    /// The page names main's as its canonical address.
    #[default]
    Canonical,
    /// The page asks not to be indexed.
    Noindex,
    /// The page stands for itself.
    Unique,
}

/// A contract that has been read and found consistent.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Parties and version.
    pub id: ContractId,
    /// From when it holds.
    pub effective: Effective,
    /// What the partner takes over.
    pub partnership: Partnership,
    /// The theme of this partner's site, where it is not the main site's own.
    pub theme: Option<String>,
    /// Who owns which paths.
    pub mounts: Mounts,
    /// What the partner may replace.
    pub rights: Rights,
    /// The slots that the partner fills.
    pub slots: Vec<String>,
    /// How search engines shall treat the copy.
    pub index: Indexing,
    /// When a staged release may go live.
    pub approval: Approval,
    /// When main pushes; whenever the site changes, where neither this nor main's `site.yaml` says when.
    pub schedule: Option<Schedule>,
    /// Who writes and verifies the journal, and when it is returned.
    pub journal: JournalTerms,
    /// Whether main counts visits to tie-up pages by itself, and between which addresses; not where this is none.
    pub beacons: Option<Beacons>,
    /// Counting, money, meters, charges, adjustments and closing.
    pub terms: Terms,
    digest: Digest,
    not_acted_on: Vec<&'static str>,
}

/// The document as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    contract: ContractId,
    effective: Effective,
    partnership: Partnership,
    theme: Option<String>,
    mounts: Mounts,
    #[serde(default)]
    rights: Rights,
    #[serde(default)]
    slots: Vec<String>,
    #[serde(default)]
    index: Indexing,
    approval: Approval,
    schedule: Option<WrittenSchedule>,
    routes: Option<serde_yaml::Value>,
    #[serde(default)]
    services: Vec<String>,
    journal: WrittenJournal,
    beacons: Option<Beacons>,
    count: Count,
    money: Money,
    meters: Meters,
    charges: Charges,
    #[serde(default)]
    adjust: Vec<Adjustment>,
    #[serde(default)]
    pay: Pay,
    close: Close,
    dispute: Option<Dispute>,
}

impl Contract {
    /// Reads the contract in `text`, the content of `file`.
    ///
    /// # Errors
    /// What does not parse, an unknown key included; two mounts for one path; a fee term that names an unknown meter.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let document: Document = yaml::parse(file, text)?;
        check_robots(document.count.robots).map_err(|problem| {
            let digest = document.count.robots.to_string();
            Diagnostic { file: file.to_owned(), ..problem }.at_text(text, &digest)
        })?;
        beacons::check(&document, file, text)?;
        let not_acted_on = document.not_acted_on();
        let terms = Terms {
            count: document.count,
            money: document.money,
            meters: document.meters,
            charges: document.charges,
            adjust: document.adjust,
            services: document.services,
            pay: document.pay,
            close: document.close,
            dispute: document.dispute,
        };
        let journal = document.journal.agreed(&document.effective, &terms.meters);
        let mut problems = consistency::check(&document.effective, &terms);
        problems.extend(journal.as_ref().err().cloned());
        Diagnostic::gather(problems.into_iter().map(|problem| problem.locate(file, text)).collect())?;
        let journal = journal.map_err(|problem| problem.locate(file, text))?;
        let schedule = document.schedule.map(|written| written.within(&document.effective.tz));
        Ok(Self {
            id: document.contract,
            effective: document.effective,
            partnership: document.partnership,
            theme: document.theme,
            mounts: document.mounts,
            rights: document.rights,
            slots: document.slots,
            index: document.index,
            approval: document.approval,
            schedule,
            journal,
            beacons: document.beacons,
            terms,
            digest: Digest::of(text.as_bytes()),
            not_acted_on,
        })
    }

    /// The digest of the document's bytes: what a release and a statement mean by "this contract".
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What of the fee terms is well formed and of no effect, such as a tier that no value reaches. `text` is the
    /// content of `file`, which this contract was read from.
    pub fn lint(&self, file: &str, text: &str) -> Vec<Diagnostic> {
        lint::check(&self.terms).into_iter().map(|problem| problem.locate(file, text)).collect()
    }

    /// The keys of this document that are read but change nothing yet.
    pub fn not_acted_on(&self) -> &[&'static str] {
        &self.not_acted_on
    }
}

/// The contract that `month` is charged under: of those that were ever in force, the highest version that was
/// effective when the month began; before any was, the lowest version.
pub fn charged_under(contracts: impl IntoIterator<Item = Contract>, month: Month) -> Option<Contract> {
    let mut contracts: Vec<Contract> = contracts.into_iter().collect();
    contracts.sort_by_key(|contract| contract.id.version);
    let effective = contracts.iter().rposition(|contract| contract.effective.from <= month.first_day());
    let chosen = effective.unwrap_or(0);
    (chosen < contracts.len()).then(|| contracts.swap_remove(chosen))
}

/// A contract whose list of robots this version does not have cannot be counted under.
fn check_robots(pinned: Digest) -> Result<(), Diagnostic> {
    if robots::words_of(pinned).is_some() {
        return Ok(());
    }
    let problem = Diagnostic::new("unknown-robots", "", "no list of robots here has this digest");
    Err(problem.help(format!("pin the list of this version: \"{}\"", robots::list_digest())))
}

impl Document {
    fn prices_services(&self) -> bool {
        self.charges.values().any(|charge| matches!(charge, Charge::Services(_)))
    }

    fn not_acted_on(&self) -> Vec<&'static str> {
        let noted = [
            ("routes", self.routes.is_some()),
            ("services", !self.services.is_empty() && !self.prices_services()),
            ("beacon_tolerance of dispute", self.dispute.is_some() && self.beacons.is_none()),
        ];
        noted.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect()
    }
}
