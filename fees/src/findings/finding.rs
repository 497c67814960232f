//! One finding: what was seen in which hours, its figures, and the sentence that a person reads.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use num_rational::Ratio;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::decimal::Percent;
use tieup_protocol::path::SitePath;
use tieup_protocol::period::Zone;

use super::sentence::sentence;

/// A rule. A rule whose words or thresholds change gets the next version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Hours without any entry that usually have many visitors.
    Gap,
    /// Views of a class far above what is usual.
    Spike,
    /// Visitors with more views than a person does.
    Rate,
    /// Visitors who ask for one page again and again.
    Reloads,
    /// Views of original pages from few visitors, or from visitors who ask for nothing else.
    OneSided,
    /// Times that step back.
    Backwards,
    /// Hours in which robots get most documents.
    Robots,
    /// Fewer tie-up pages served by the journal than main counted beacons.
    Beacons,
    /// Hours, or pages, of which main counted beacons and the journal has nothing.
    Unlogged,
    /// Fewer entries than the partner's daemon said that it answered.
    Counters,
    /// Hours without a heartbeat.
    Silence,
    /// Many starts of the daemon.
    Restarts,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It explains something, and nothing needs to be done.
    Information,
    /// It has an ordinary cause often enough: look at it.
    Notice,
    /// It has an ordinary cause seldom: ask.
    Warning,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// `gap/1`.
    Gap {
        /// How many hours.
        hours: u64,
        /// The least number of visitors that one of them usually has.
        usual: Figure,
    },
    /// `spike/1`.
    Spike {
        /// Of which pages.
        class: MeterClass,
        /// The views of the hour.
        views: u64,
        /// The median of the hours it was compared with.
        usual: Figure,
        /// How far these spread, as the rule takes it.
        spread: Figure,
    },
    /// `rate/1`.
    Rate {
        /// How many visitors.
        visitors: u64,
        /// Their views together.
        views: u64,
        /// The views of the one who has most.
        most: u64,
        /// All views of the hour.
        of: u64,
    },
    /// `reloads/1`.
    Reloads {
        /// How many visitors.
        visitors: u64,
        /// How often they asked again together.
        reloads: u64,
        /// How often the one did who did it most.
        most: u64,
    },
    /// `one-sided/1`, by few visitors.
    FewVisitors {
        /// All views of original pages in the hour.
        views: u64,
        /// Those of the few.
        few: u64,
        /// How many these are at most.
        visitors: u64,
    },
    /// `one-sided/1`, by visitors who ask for nothing else.
    NothingElse {
        /// All views of original pages in the hour.
        views: u64,
        /// Those of visitors who ask for nothing else.
        alone: u64,
        /// All views of original pages in all other hours.
        elsewhere: u64,
        /// Those of visitors who ask for nothing else in all other hours.
        elsewhere_alone: u64,
    },
    /// `backwards/1`.
    Backwards {
        /// How often.
        steps: u64,
        /// The furthest, in seconds, rounded up.
        seconds: u64,
    },
    /// `robots/1`.
    Robots {
        /// Documents that robots got.
        robots: u64,
        /// All documents.
        documents: u64,
    },
    /// `beacons/1`.
    FewerServed {
        /// What main counted.
        beacons: u64,
        /// What the journal has served.
        served: u64,
        /// How far the two may differ by contract.
        tolerance: Percent,
    },
    /// `unlogged/1`, of hours.
    UnloggedHours {
        /// How many hours.
        hours: u64,
        /// What main counted in them.
        beacons: u64,
    },
    /// `unlogged/1`, of pages.
    UnloggedPages {
        /// How many pages.
        pages: u64,
        /// What main counted of them.
        beacons: u64,
        /// The one that it counted most of.
        most: SitePath,
    },
    /// `counters/1`, of answers.
    FewerLogged {
        /// What the daemon said it answered.
        answered: u64,
        /// How many of these have no entry.
        missing: u64,
    },
    /// `counters/1`, of the whole journal.
    ShorterThanTold {
        /// How many entries the daemon said there are.
        told: u64,
        /// How many main holds.
        held: u64,
    },
    /// `silence/1`.
    Silence {
        /// How many hours.
        hours: u64,
        /// The entries in them.
        entries: u64,
    },
    /// `restarts/1`.
    Restarts {
        /// How often.
        times: u64,
    },
}

/// A number of a finding, exact. As text it is an integer, or a fraction such as `21/2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure(pub Ratio<u64>);

/// What a rule saw, and in which hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The first hour, by [`Zone::hour_number`].
    pub first: i64,
    /// The last hour; the same if there is but one.
    pub last: i64,
    /// What was seen.
    pub seen: Seen,
}

impl Rule {
    /// All rules, in the order in which findings of one hour are told.
    pub const ALL: [Self; 12] = [
        Self::Gap,
        Self::Spike,
        Self::Rate,
        Self::Reloads,
        Self::OneSided,
        Self::Backwards,
        Self::Robots,
        Self::Beacons,
        Self::Unlogged,
        Self::Counters,
        Self::Silence,
        Self::Restarts,
    ];

    /// The name, with the version.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap/1",
            Self::Spike => "spike/1",
            Self::Rate => "rate/1",
            Self::Reloads => "reloads/1",
            Self::OneSided => "one-sided/1",
            Self::Backwards => "backwards/1",
            Self::Robots => "robots/1",
            Self::Beacons => "beacons/1",
            Self::Unlogged => "unlogged/1",
            Self::Counters => "counters/1",
            Self::Silence => "silence/1",
            Self::Restarts => "restarts/1",
        }
    }

    /// How much its findings matter.
    pub fn severity(self) -> Severity {
        match self {
            Self::Rate | Self::Reloads | Self::Beacons | Self::Unlogged | Self::Counters => Severity::Warning,
            Self::Gap | Self::Spike | Self::OneSided | Self::Backwards | Self::Silence => Severity::Notice,
            Self::Robots | Self::Restarts => Severity::Information,
        }
    }
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }
}

impl Finding {
    /// What was seen in one hour.
    pub(super) fn at(hour: i64, seen: Seen) -> Self {
        Self { first: hour, last: hour, seen }
    }

    /// The rule that saw it.
    pub fn rule(&self) -> Rule {
        match self.seen {
            Seen::Gap { .. } => Rule::Gap,
            Seen::Spike { .. } => Rule::Spike,
            Seen::Rate { .. } => Rule::Rate,
            Seen::Reloads { .. } => Rule::Reloads,
            Seen::FewVisitors { .. } | Seen::NothingElse { .. } => Rule::OneSided,
            Seen::Backwards { .. } => Rule::Backwards,
            Seen::Robots { .. } => Rule::Robots,
            Seen::FewerServed { .. } => Rule::Beacons,
            Seen::UnloggedHours { .. } | Seen::UnloggedPages { .. } => Rule::Unlogged,
            Seen::FewerLogged { .. } | Seen::ShorterThanTold { .. } => Rule::Counters,
            Seen::Silence { .. } => Rule::Silence,
            Seen::Restarts { .. } => Rule::Restarts,
        }
    }

    /// What the clocks of the contract's zone show where its hours begin.
    pub fn from(&self) -> DateTime {
        clock(self.first)
    }

    /// What the clocks of the contract's zone show where its hours end.
    pub fn until(&self) -> DateTime {
        clock(self.last.saturating_add(1))
    }

    /// The figures by their names.
    pub fn figures(&self) -> Vec<(&'static str, Figure)> {
        let whole = |name, number| (name, Figure(Ratio::from_integer(number)));
        match self.seen {
            Seen::Gap { hours, usual } => vec![whole("hours", hours), ("usual_visitors", usual)],
            Seen::Spike { views, usual, spread, .. } => {
                vec![whole("views", views), ("usual_views", usual), ("spread", spread)]
            }
            Seen::Rate { visitors, views, most, of } => {
                vec![whole("visitors", visitors), whole("views", views), whole("most", most), whole("of_views", of)]
            }
            Seen::Reloads { visitors, reloads, most } => {
                vec![whole("visitors", visitors), whole("reloads", reloads), whole("most", most)]
            }
            Seen::FewVisitors { views, few, visitors } => {
                vec![whole("views", few), whole("of_views", views), whole("visitors", visitors)]
            }
            Seen::NothingElse { views, alone, elsewhere, elsewhere_alone } => vec![
                whole("views", alone),
                whole("of_views", views),
                whole("elsewhere", elsewhere_alone),
                whole("of_elsewhere", elsewhere),
            ],
            Seen::Backwards { steps, seconds } => vec![whole("steps", steps), whole("seconds", seconds)],
            Seen::Robots { robots, documents } => vec![whole("robots", robots), whole("of_documents", documents)],
            Seen::FewerServed { beacons, served, .. } => vec![whole("beacons", beacons), whole("served", served)],
            Seen::UnloggedHours { hours, beacons } => vec![whole("hours", hours), whole("beacons", beacons)],
            Seen::UnloggedPages { pages, beacons, .. } => vec![whole("pages", pages), whole("beacons", beacons)],
            Seen::FewerLogged { answered, missing } => vec![whole("answered", answered), whole("missing", missing)],
            Seen::ShorterThanTold { told, held } => vec![whole("told", told), whole("held", held)],
            Seen::Silence { hours, entries } => vec![whole("hours", hours), whole("entries", entries)],
            Seen::Restarts { times } => vec![whole("times", times)],
        }
    }
}

/// The sentence.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sentence(&self.seen))
    }
}

impl Figure {
    /// The number, if it is whole.
    pub fn integer(self) -> Option<u64> {
        self.0.is_integer().then(|| self.0.to_integer())
    }

    /// As people write it. Medians are whole, halves or quarters, which have exact decimals.
    pub(super) fn decimal(self) -> String {
        let part = self.0.fract() * 100;
        let text = format!("{}.{:02}", self.0.to_integer(), part.to_integer());
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What clocks show where an hour begins.
fn clock(hour: i64) -> DateTime {
    let second = hour.saturating_mul(3600);
    Zone::utc().local(Timestamp::from_second(second).unwrap_or(Timestamp::MAX))
}
