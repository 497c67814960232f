//! When main pushes: the key `schedule` of a contract and of `site.yaml`.
//!
//! Times are cron expressions, read and computed by `croner`, in a zone of the database compiled in. Of a time that the
//! clocks skip the first instant after the gap is meant; one that they pass twice is meant once, the first time. An
//! expression that speaks of every hour or of steps follows the clock through both.

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::period::Zone;

/// The most expressions of one schedule.
const MOST: usize = 24;

/// The longest expression, in bytes.
const LONGEST: usize = 200;

/// When main pushes to a partner, in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    times: Vec<CronTime>,
    zone: Zone,
}

/// A schedule as a document says it, which may leave the time zone to another key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSchedule {
    /// One expression, or a list of them.
    #[serde(deserialize_with = "times")]
    push: Vec<CronTime>,
    /// The time zone, where it is not that of the document.
    tz: Option<Zone>,
}

/// A cron expression of five fields that comes true at least once.
#[derive(Clone, Debug, PartialEq)]
pub struct CronTime {
    text: String,
    cron: Cron,
}

/// Why a text is not a [`CronTime`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCronTime {
    /// It is not an expression.
    #[error(
        "`{0}` is not a cron expression ({1}): write minute, hour, day, month and weekday, such as \"0 6 * * *\" for \
         six o'clock every day"
    )]
    Expression(String, String),
    /// No day is like that.
    #[error("`{0}` never comes: write a day that the month has")]
    Never(String),
}

impl WrittenSchedule {
    /// The schedule, in its own time zone or else in `zone`.
    pub fn within(self, zone: &Zone) -> Schedule {
        Schedule { times: self.push, zone: self.tz.unwrap_or_else(|| zone.clone()) }
    }
}

impl Schedule {
    /// The schedule of these times, of which there is one at least.
    pub(crate) fn of(times: Vec<CronTime>, zone: Zone) -> Self {
        Self { times, zone }
    }

    /// The first prescribed time after `after`; none where the calendar ends before.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = self.zone.zoned(after);
        let next = |time: &CronTime| time.cron.find_next_occurrence(&after, false).ok();
        self.times.iter().filter_map(next).map(|zoned| zoned.timestamp()).min()
    }

    /// The time zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The expressions, as they are written.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.times.iter().map(|time| time.text.as_str())
    }
}

/// In words: ``at 06:00 (`0 6 * * *`), Asia/Tokyo time``.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, time) in self.times.iter().enumerate() {
            let lead = if number > 0 { "; " } else { "" };
            write!(f, "{lead}{} (`{}`)", inner(&time.cron.describe()), time.text)?;
        }
        write!(f, ", {} time", self.zone.name())
    }
}

/// A sentence as a part of another one.
fn inner(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl FromStr for CronTime {
    type Err = InvalidCronTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| InvalidCronTime::Expression(text.to_owned(), why.to_owned());
        if text.len() > LONGEST {
            return Err(invalid("it is too long"));
        }
        if !text.starts_with('@') && text.split_whitespace().count() != 5 {
            return Err(invalid("it has not five fields"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| invalid(&reason(&error.to_string())))?;
        match cron.find_next_occurrence(&DateTime::constant(1970, 1, 1, 0, 0, 0, 0), true) {
            Ok(_) => Ok(Self { text: text.to_owned(), cron }),
            Err(_) => Err(InvalidCronTime::Never(text.to_owned())),
        }
    }
}

/// What the parser says, without the name of its part that says so.
fn reason(message: &str) -> String {
    let (_, reason) = message.split_once(": ").unwrap_or(("", message));
    reason.trim_start_matches("CronPattern ").trim_end_matches('.').to_lowercase()
}

/// One expression, or a list of them.
pub(crate) fn times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CronTime>, D::Error> {
    deserializer.deserialize_any(TimesVisitor)
}

struct TimesVisitor;

impl<'de> Visitor<'de> for TimesVisitor {
    type Value = Vec<CronTime>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cron expression such as \"0 6 * * *\", or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<CronTime>, E> {
        Ok(vec![text.parse().map_err(E::custom)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<CronTime>, A::Error> {
        let mut times = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            times.push(text.parse().map_err(A::Error::custom)?);
            if times.len() > MOST {
                return Err(A::Error::custom(format!("there are more than {MOST} times to push: use steps or ranges")));
            }
        }
        if times.is_empty() {
            return Err(A::Error::custom("a schedule without a time would never push: write \"0 6 * * *\""));
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml;

    fn schedule(zone: &str, push: &str) -> Schedule {
        let written: WrittenSchedule = yaml::parse("contract.yaml", &format!("push: {push}\n")).unwrap();
        written.within(&zone.parse().unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The first prescribed times after `from`, until there are `count`.
    fn times(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let first = schedule.next(at(from));
        std::iter::successors(first, |time| schedule.next(*time)).take(count).map(|time| time.to_string()).collect()
    }

    #[test]
    fn row_003_14_the_next_time_is_that_of_the_zone() {
        let daily = schedule("Asia/Tokyo", "\"0 6 * * *\"");
        assert_eq!(times(&daily, "2026-11-01T20:59:59.5Z", 2), ["2026-11-01T21:00:00Z", "2026-11-02T21:00:00Z"]);
        assert_eq!(daily.next(at("2026-11-01T21:00:00Z")), Some(at("2026-11-02T21:00:00Z")), "a time comes once");
        assert_eq!(daily.next(at("2026-11-01T21:00:00.001Z")), Some(at("2026-11-02T21:00:00Z")));
        let twice = schedule("Asia/Tokyo", "[\"0 18 * * mon-fri\", \"0 6 1 * *\"]");
        let expected = ["2026-10-30T09:00:00Z", "2026-10-31T21:00:00Z", "2026-11-02T09:00:00Z"];
        assert_eq!(times(&twice, "2026-10-29T10:00:00Z", 3), expected);
        assert_eq!(daily.next(Timestamp::MAX), None, "the calendar ends");
    }

    #[test]
    fn a_time_that_the_clocks_skip_comes_when_they_have_skipped_it() {
        let daily = schedule("Europe/Berlin", "30 2 * * *");
        let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(times(&daily, "2026-03-28T00:00:00Z", 3), expected);
        let midnight = schedule("America/Santiago", "0 0 * * *");
        assert_eq!(times(&midnight, "2026-09-05T12:00:00Z", 2), ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]);
    }

    #[test]
    fn a_time_that_the_clocks_pass_twice_comes_once_and_steps_come_in_both_hours() {
        let daily = schedule("Europe/Berlin", "30 2 * * *");
        let expected = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(times(&daily, "2026-10-24T00:00:00Z", 3), expected);
        let steps = schedule("Europe/Berlin", "\"*/30 * * * *\"");
        let expected = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(times(&steps, "2026-10-25T00:00:00Z", 4), expected);
    }

    #[test]
    fn its_own_zone_goes_before_the_documents() {
        let written: WrittenSchedule = yaml::parse("c", "{push: 0 6 * * *, tz: Europe/Berlin}").unwrap();
        let schedule = written.within(&"Asia/Tokyo".parse().unwrap());
        assert_eq!(schedule.zone().name(), "Europe/Berlin");
        assert_eq!(schedule.to_string(), "at 06:00 (`0 6 * * *`), Europe/Berlin time");
    }

    #[test]
    fn what_is_no_time_to_push_is_told_at_its_place() {
        let cases = [
            ("61 * * * *", "`61 * * * *` is not a cron expression (number out of bounds)"),
            ("0 6 * *", "`0 6 * *` is not a cron expression (it has not five fields)"),
            ("0 0 6 * * *", "`0 0 6 * * *` is not a cron expression (it has not five fields)"),
            ("0 6 * * fri,sun,lun", "contains illegal character 'u' in part"),
            ("5-1 * * * *", "`5-1 * * * *` is not a cron expression (range out of bounds)"),
            ("0 6 30 2 *", "`0 6 30 2 *` never comes"),
        ];
        for (bad, says) in cases {
            let text = format!("push:\n- 0 5 * * *\n- \"{bad}\"\n");
            let error = yaml::parse::<WrittenSchedule>("contract.yaml", &text).unwrap_err();
            assert_eq!(error.code, "wrong-value", "{bad}");
            assert!(error.message.contains(says), "{bad}: {}", error.message);
            assert_eq!(error.span.as_ref().map(|span| span.line), Some(3), "{bad}: {error}");
            assert!(error.help.as_ref().is_some_and(|help| help.starts_with("write ")), "{bad}: {error}");
        }
        let error = yaml::parse::<WrittenSchedule>("c", "push: []\n").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("write \"0 6 * * *\""));
        assert!(yaml::parse::<WrittenSchedule>("c", "push: 5\n").is_err());
        assert!("0 6 * * *".repeat(30).parse::<CronTime>().is_err());
        let many = format!("push: [{}]\n", "0 6 * * *, ".repeat(MOST + 1));
        assert!(yaml::parse::<WrittenSchedule>("c", &many).unwrap_err().message.contains("more than 24"));
    }

    proptest! {
        #[test]
        fn times_rise_and_none_is_left_out(second in 0_i64..4_000_000_000, minute in 0_u8..60, hour in 0_u8..24) {
            let now = Timestamp::from_second(second).unwrap();
            let daily = schedule("Europe/Berlin", &format!("{minute} {hour} * * *"));
            let next = daily.next(now).unwrap();
            prop_assert!(next > now);
            // A day of the zone has 23 to 25 hours.
            prop_assert!(next.duration_since(now).as_hours() <= 25);
            prop_assert_eq!(daily.next(next - jiff::SignedDuration::from_nanos(1)), Some(next));
        }

        #[test]
        fn no_text_is_read_in_panic(text in "[0-9*/,a-zA-Z#?@ -]{0,40}") {
            let _ = text.parse::<CronTime>();
        }
    }
}
