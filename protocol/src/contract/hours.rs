//! Hours: when releases that rules approve may go live.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::period::Zone;

/// A span of the day, from its first minute to before its last: `09:00-18:00`. One that ends earlier than it begins
/// ends on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    from: Time,
    to: Time,
}

/// Why a text is not a span of the day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` are not hours: write them like 09:00-18:00")]
pub struct InvalidHours(String);

/// A day of the week, by three letters: `mon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Hours {
    /// The whole day.
    pub const ALL: Self = Self { from: Time::MIN, to: Time::MIN };
}

/// The first instant at or after `time` that lies within `hours` of one of `days`, in `zone`; with no days named,
/// every day counts. A span that ends on the next day belongs to the day on which it begins.
pub(super) fn next_within(hours: Hours, days: &[Day], zone: &Zone, time: Timestamp) -> Timestamp {
    let today = zone.local(time).date();
    for ahead in -1..=7 {
        let Ok(day) = today.checked_add(ahead.days()) else { continue };
        let Ok(following) = day.checked_add(1.day()) else { continue };
        let last = if hours.to > hours.from { day } else { following };
        let (begins, ends) = (zone.instant(day.to_datetime(hours.from)), zone.instant(last.to_datetime(hours.to)));
        if is_among(days, day.weekday()) && time < ends {
            return time.max(begins);
        }
    }
    time
}

fn is_among(days: &[Day], weekday: Weekday) -> bool {
    days.is_empty() || days.iter().any(|day| day.weekday() == weekday)
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

impl FromStr for Hours {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (from, to) = text.split_once('-')?;
            Some(Self { from: time_of_day(from)?, to: time_of_day(to)? })
        };
        parse().ok_or_else(|| InvalidHours(text.to_owned()))
    }
}

/// `09:00`; the end of the day may be written `24:00`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    if (hour, minute) == ("24", "00") {
        return Some(Time::MIN);
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

impl TryFrom<String> for Hours {
    type Error = InvalidHours;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mon => "Mon",
            Self::Tue => "Tue",
            Self::Wed => "Wed",
            Self::Thu => "Thu",
            Self::Fri => "Fri",
            Self::Sat => "Sat",
            Self::Sun => "Sun",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(hours: &str, days: &[Day], zone: &str, time: &str) -> String {
        let zone: Zone = zone.parse().unwrap();
        next_within(hours.parse().unwrap(), days, &zone, time.parse().unwrap()).to_string()
    }

    #[test]
    fn hours_are_those_of_the_contracts_time_zone() {
        // 09:00 in Tokyo is 00:00 UTC.
        assert_eq!(next("09:00-18:00", &[], "Asia/Tokyo", "2026-11-02T03:00:00Z"), "2026-11-02T03:00:00Z");
        assert_eq!(next("09:00-18:00", &[], "Asia/Tokyo", "2026-11-02T09:00:00Z"), "2026-11-03T00:00:00Z");
        assert_eq!(next("09:00-18:00", &[], "Asia/Tokyo", "2026-11-01T23:59:59Z"), "2026-11-02T00:00:00Z");
    }

    #[test]
    fn days_count_where_the_hours_begin() {
        // 2026-11-07 is a Saturday.
        let weekdays = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
        assert_eq!(next("09:00-18:00", &weekdays, "UTC", "2026-11-07T10:00:00Z"), "2026-11-09T09:00:00Z");
        assert_eq!(next("00:00-24:00", &[Day::Sat], "UTC", "2026-11-08T00:00:00Z"), "2026-11-14T00:00:00Z");
        assert_eq!(next("22:00-06:00", &[Day::Fri], "UTC", "2026-11-07T05:00:00Z"), "2026-11-07T05:00:00Z");
        assert_eq!(next("22:00-06:00", &[Day::Fri], "UTC", "2026-11-07T06:00:00Z"), "2026-11-13T22:00:00Z");
    }

    #[test]
    fn an_hour_that_the_clock_skips_begins_after_the_gap() {
        // In Berlin 02:30 does not exist on 2026-03-29.
        assert_eq!(next("02:30-04:00", &[], "Europe/Berlin", "2026-03-29T00:00:00Z"), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in ["", "9-18", "09:00", "9:00-18:00", "09:00-25:00", "09:60-10:00", "09:00-18:00-19:00"] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
        assert_eq!("09:00-18:30".parse::<Hours>().unwrap().to_string(), "09:00-18:30");
    }
}
