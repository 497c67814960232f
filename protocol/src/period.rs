//! The calendar month in a contract's time zone: the span of one journal and of one statement.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// How far clocks on earth are from UTC at the most, in either direction.
const FURTHEST: SignedDuration = SignedDuration::from_hours(14);

/// A calendar month: `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    first: Date,
}

/// Why a text is not a month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month: write it like 2026-11")]
pub struct InvalidMonth(String);

/// One day of a month to another, both included: what a statement is for. Mostly the whole month.
///
/// As text it is the month (`2026-11`) where it is whole, else its first and last day (`2026-11-01_2026-11-15`). Periods
/// are in the order of their first days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    month: Month,
    first: Date,
    last: Date,
}

/// Why a text is not a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no month, and no days of one: write it like 2026-11, or like 2026-11-01_2026-11-15")]
pub struct InvalidPeriod(String);

/// A time zone of the IANA database, by name.
///
/// The database is the one compiled in, so that both ends cut months and hours at the same instants whatever their
/// operating systems hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// Why a text is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone: write an IANA name such as Asia/Tokyo")]
pub struct InvalidZone(String);

impl Month {
    /// The month that holds `time` in `zone`.
    pub fn of(time: Timestamp, zone: &Zone) -> Self {
        Self { first: zone.zone.to_datetime(time).date().first_of_month() }
    }

    /// The month at `time` by the clocks that are furthest ahead on earth: no zone is in a later one.
    pub fn latest(time: Timestamp) -> Self {
        Self::of(time.saturating_add(FURTHEST).unwrap_or(Timestamp::MAX), &Zone::utc())
    }

    /// The months of which somebody who joined at `joined` can have a log at `now`, in any zone: from that of the join to
    /// the one after the present, since a clock may be ahead.
    pub fn loggable(joined: Timestamp, now: Timestamp) -> RangeInclusive<Self> {
        let first = joined.saturating_sub(FURTHEST).unwrap_or(Timestamp::MIN);
        Self::of(first, &Zone::utc())..=Self::latest(now).max(Self::of(now, &Zone::utc()).next())
    }

    /// The month that holds `day`.
    pub fn of_day(day: Date) -> Self {
        Self { first: day.first_of_month() }
    }

    /// The first day.
    pub fn first_day(self) -> Date {
        self.first
    }

    /// The instant at which the month begins in `zone`; it ends where the next one begins.
    ///
    /// At the far ends of the calendar, where no instant has this date, the nearest one that exists.
    pub fn start(self, zone: &Zone) -> Timestamp {
        let at_the_end = if self.first.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.first.to_zoned(zone.zone.clone()).map_or(at_the_end, |midnight| midnight.timestamp())
    }

    /// The month after this one, or the same at the end of the calendar.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.first.checked_add(1.month()).unwrap_or(self.first) }
    }
}

impl Period {
    /// All days of `month`.
    pub fn whole(month: Month) -> Self {
        Self { month, first: month.first, last: month.first.last_of_month() }
    }

    /// The days of this period from `first` to `last`, where there are any.
    pub fn within(self, first: Date, last: Date) -> Option<Self> {
        let (first, last) = (self.first.max(first), self.last.min(last));
        (first <= last).then_some(Self { month: self.month, first, last })
    }

    /// The month.
    pub fn month(self) -> Month {
        self.month
    }

    /// The first day.
    pub fn first(self) -> Date {
        self.first
    }

    /// The last day.
    pub fn last(self) -> Date {
        self.last
    }

    /// How many days it has.
    pub fn days(self) -> u8 {
        // Both are days of one month, the last not before the first.
        (self.last.day() - self.first.day() + 1).unsigned_abs()
    }

    /// How many days the month has.
    pub fn days_of_month(self) -> u8 {
        self.month.first.days_in_month().unsigned_abs()
    }

    /// Whether it is all of the month.
    pub fn is_whole(self) -> bool {
        self.days() == self.days_of_month()
    }

    /// Whether a day is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// It as one word, for names of files, keys of tables and arguments of commands.
    pub fn key(self) -> String {
        if self.is_whole() { self.month.to_string() } else { format!("{}_{}", self.first, self.last) }
    }

    /// The instant at which it begins in `zone`.
    pub fn start(self, zone: &Zone) -> Timestamp {
        if self.first == self.month.first { self.month.start(zone) } else { zone.instant(self.first.into()) }
    }

    /// The first instant after it in `zone`.
    pub fn end(self, zone: &Zone) -> Timestamp {
        match self.last.tomorrow() {
            Ok(next) if next.month() == self.last.month() => zone.instant(next.into()),
            _ => self.month.next().start(zone),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() { self.month.fmt(f) } else { write!(f, "{} to {}", self.first, self.last) }
    }
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The name in the IANA database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clocks of this zone show at `time`.
    pub fn local(&self, time: Timestamp) -> DateTime {
        self.zone.to_datetime(time)
    }

    /// The instant at which the clocks of this zone show `local`. Where they skip it, the one as long after the gap's
    /// beginning; where they show it twice, the first; where no instant has this date, the last there is.
    pub fn instant(&self, local: DateTime) -> Timestamp {
        self.zone.to_timestamp(local).unwrap_or(Timestamp::MAX)
    }

    /// `time` as the clocks of this zone show it, with the zone.
    pub fn zoned(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// The day and hour of `time` in this zone, as a sortable number: days since 1970-01-01 times 24, plus the hour.
    pub fn hour_number(&self, time: Timestamp) -> i64 {
        let local = self.zone.to_datetime(time);
        let seconds = TimeZone::UTC.to_timestamp(local).map_or(0, Timestamp::as_second);
        seconds.div_euclid(3600)
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMonth(text.to_owned());
        if text.len() != 7 {
            return Err(invalid());
        }
        let first = format!("{text}-01").parse().map_err(|_| invalid())?;
        Ok(Self { first })
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPeriod(text.to_owned());
        let Some((first, last)) = text.split_once('_') else {
            return text.parse().map(Self::whole).map_err(|_| invalid());
        };
        let (first, last): (Date, Date) = first.parse().ok().zip(last.parse().ok()).ok_or_else(invalid)?;
        let period = Self::whole(Month::of_day(first)).within(first, last);
        // A whole month has one spelling, and so have its parts.
        period.filter(|period| period.key() == text).ok_or_else(invalid)
    }
}

impl From<Month> for Period {
    fn from(month: Month) -> Self {
        Self::whole(month)
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let zone = TimeZone::get(name).map_err(|_| InvalidZone(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), zone })
    }
}

impl TryFrom<String> for Month {
    type Error = InvalidMonth;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidZone;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.key()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_cut_at_local_midnight() {
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        let before: Timestamp = "2026-10-31T14:59:59Z".parse().unwrap();
        let after: Timestamp = "2026-10-31T15:00:00Z".parse().unwrap();
        assert_eq!(Month::of(before, &tokyo).to_string(), "2026-10");
        assert_eq!(Month::of(after, &tokyo).to_string(), "2026-11");
        assert_eq!(Month::of(after, &tokyo), "2026-10".parse::<Month>().unwrap().next());
    }

    #[test]
    fn a_month_begins_with_its_first_instant() {
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        let november: Month = "2026-11".parse().unwrap();
        assert_eq!(november.start(&tokyo).to_string(), "2026-10-31T15:00:00Z");
        let start = november.start(&tokyo);
        assert_eq!(Month::of(start, &tokyo), november);
        assert_ne!(Month::of(start - 1.nanosecond(), &tokyo), november);
    }

    #[test]
    fn a_log_is_of_months_from_the_join_to_the_next_in_any_zone() {
        let months = |joined: &str, now: &str| {
            let months = Month::loggable(joined.parse().unwrap(), now.parse().unwrap());
            (months.start().to_string(), months.end().to_string())
        };
        let pair = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(months("2026-03-15T00:00:00Z", "2026-11-15T00:00:00Z"), pair("2026-03", "2026-12"));
        // It was February in Honolulu, and is December in Tokyo.
        assert_eq!(months("2026-03-01T09:00:00Z", "2026-11-30T20:00:00Z"), pair("2026-02", "2026-12"));
        assert_eq!(Month::latest("2026-11-30T20:00:00Z".parse().unwrap()).to_string(), "2026-12");
        Month::loggable(Timestamp::MIN, Timestamp::MAX);
    }

    #[test]
    fn hours_count_in_the_zone() {
        let kolkata: Zone = "Asia/Kolkata".parse().unwrap();
        let a: Timestamp = "2026-11-01T00:29:59Z".parse().unwrap();
        let b: Timestamp = "2026-11-01T00:30:00Z".parse().unwrap();
        assert_eq!(kolkata.hour_number(b), kolkata.hour_number(a) + 1);
    }

    #[test]
    fn a_period_is_cut_at_local_midnight() {
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        let whole = Period::whole("2026-11".parse().unwrap());
        assert!(whole.is_whole() && whole.to_string() == "2026-11");
        assert_eq!(
            (whole.start(&tokyo), whole.end(&tokyo)),
            (whole.month.start(&tokyo), whole.month.next().start(&tokyo))
        );
        let day = |text: &str| text.parse::<Date>().unwrap();
        let part = whole.within(day("2026-11-16"), day("2027-01-01")).unwrap();
        assert_eq!((part.days(), part.days_of_month()), (15, 30));
        assert_eq!(part.to_string(), "2026-11-16 to 2026-11-30");
        assert_eq!(part.start(&tokyo).to_string(), "2026-11-15T15:00:00Z");
        let before = whole.within(day("2020-01-01"), day("2026-11-15")).unwrap();
        assert_eq!(before.end(&tokyo), part.start(&tokyo));
        assert_eq!(whole.within(day("2026-12-01"), day("2026-12-31")), None);
    }

    #[test]
    fn a_period_has_one_spelling() {
        let part: Period = "2026-11-01_2026-11-15".parse().unwrap();
        assert_eq!((part.days(), part.key().as_str()), (15, "2026-11-01_2026-11-15"));
        let whole: Period = "2026-11".parse().unwrap();
        assert_eq!((whole, whole.key().as_str()), (Period::whole(part.month()), "2026-11"));
        assert!(whole < part.month().next().into() && whole.overlaps(part));
        assert!(!part.overlaps("2026-11-16_2026-11-30".parse().unwrap()));
        for bad in ["2026-11-01_2026-11-30", "2026-11-15_2026-11-01", "2026-11-01_2026-12-15", "2026-11-01", "", "_"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in ["", "2026", "2026-13", "2026-1", "11-2026", "2026-11-01"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
        assert!("Mars/Olympus".parse::<Zone>().is_err());
    }
}
