//! When a page is live. Pure: the time comes in as an argument.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// A time as front matter gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The first instant of a day in the site's time zone.
    Day(Date),
    /// An instant.
    Instant(Timestamp),
}

/// From when to when a page is live; the end is the first instant at which it no longer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// Whether it is a draft, which no time makes live.
    pub(crate) draft: bool,
    /// Its first instant.
    pub(crate) publish: Option<Timestamp>,
    /// The first instant after it.
    pub(crate) expires: Option<Timestamp>,
}

/// How a page stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not meant for visitors yet.
    Draft,
    /// Not yet published, but at this instant.
    Waits(Timestamp),
    /// Published.
    Live,
    /// Expired.
    Over,
}

/// As front matter gives it.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Day(day) => serializer.collect_str(day),
            Self::Instant(instant) => serializer.collect_str(instant),
        }
    }
}

impl Moment {
    /// Reads `2026-11-01` or `2026-11-01T09:00:00+09:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() == "2026-11-01".len() {
            return text.parse().ok().map(Self::Day);
        }
        text.parse().ok().map(Self::Instant)
    }

    /// The instant that is meant; none beyond the end of the calendar.
    pub(crate) fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Day(day) => day.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp()),
            Self::Instant(instant) => Some(instant),
        }
    }
}

impl Life {
    /// How the page stands at `now`.
    pub(crate) fn stage(self, now: Timestamp) -> Stage {
        match self {
            Self { draft: true, .. } => Stage::Draft,
            Self { expires: Some(end), .. } if end <= now => Stage::Over,
            Self { publish: Some(start), .. } if start > now => Stage::Waits(start),
            _ => Stage::Live,
        }
    }

    /// The next instant after `now` at which the page goes live or ends.
    pub(crate) fn next(self, now: Timestamp) -> Option<Timestamp> {
        [self.publish, self.expires].into_iter().flatten().filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lives_from_its_first_instant_to_before_its_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let publish = Moment::parse("2026-11-01").unwrap().instant(&zone);
        assert_eq!(publish, Some(at("2026-10-31T15:00:00Z")));
        let expires = Moment::parse("2026-11-02T09:00:00+09:00").unwrap().instant(&zone);
        let life = Life { publish, expires, draft: false };
        let start = publish.unwrap();
        assert_eq!(life.stage(at("2026-10-31T14:59:59Z")), Stage::Waits(start));
        assert_eq!(life.stage(start), Stage::Live);
        assert_eq!(life.stage(at("2026-11-02T00:00:00Z")), Stage::Over);
        assert_eq!((life.next(Timestamp::MIN), life.next(start)), (publish, expires));
        assert_eq!(life.next(at("2026-11-02T00:00:00Z")), None);
        assert_eq!(Life { draft: true, ..life }.stage(start), Stage::Draft);
        for bad in ["2026-02-30", "tomorrow", "2026-11-01T09:00:00", ""] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
    }
}
