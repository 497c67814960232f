//! What an operator types after a command: a reason, what it is about, a time.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::period::Zone;

/// The most characters of a reason; it is shown in a line of main's status.
const MAX_REASON: usize = 500;

/// An operator's reason: something to read, and not too much of it.
pub(crate) fn parse_reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0 => Err("say why: the main site reads it".to_owned()),
        1..=MAX_REASON => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_REASON}")),
    }
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Release(ReleaseVersion),
    Originals,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "originals" {
            return Ok(Self::Originals);
        }
        let version = text.parse().map_err(|_| format!("`{text}` is neither a release, such as 5, nor `originals`"))?;
        Ok(Self::Release(version))
    }
}

impl Subject {
    pub(super) fn release(self) -> Option<ReleaseVersion> {
        match self {
            Self::Release(version) => Some(version),
            Self::Originals => None,
        }
    }
}

/// When a release goes live, as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoesLive {
    At(Timestamp),
    OnDay(DateTime),
    NextTime(Time),
}

impl FromStr for GoesLive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = text.parse().ok().map(Self::At);
        let on_day = || DateTime::strptime("%Y-%m-%d %H:%M", text).ok().map(Self::OnDay);
        let next = || Time::strptime("%H:%M", text).ok().map(Self::NextTime);
        let found = instant.or_else(on_day).or_else(next);
        found.ok_or_else(|| format!("`{text}` is no time: write 18:30, 2026-12-01 09:00 or 2026-12-01T09:00:00+09:00"))
    }
}

impl GoesLive {
    /// The instant that is meant at `now` where clocks show the time of `zone`.
    pub(super) fn instant(self, zone: &Zone, now: Timestamp) -> anyhow::Result<Timestamp> {
        let local = match self {
            Self::At(instant) => return Ok(instant),
            Self::OnDay(local) => local,
            Self::NextTime(time) => {
                let today = zone.local(now);
                let day = if today.time() < time { today.date() } else { today.date().tomorrow()? };
                day.to_datetime(time)
            }
        };
        Ok(zone.instant(local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_not_too_much() {
        assert_eq!(parse_reason(" the price is wrong "), Ok("the price is wrong".to_owned()));
        let longest = "値".repeat(MAX_REASON);
        assert_eq!(parse_reason(&longest), Ok(longest.clone()));
        for wrong in ["", " \t\n", &format!("{longest}。")] {
            assert!(parse_reason(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_is_an_instant_a_day_with_a_time_or_the_next_time() {
        let now = "2026-11-07T03:00:00Z".parse().unwrap();
        let tokyo = "Asia/Tokyo".parse().unwrap();
        let instant = |text: &str| text.parse::<GoesLive>().unwrap().instant(&tokyo, now).unwrap().to_string();
        assert_eq!(instant("2026-12-01T09:00:00+09:00"), "2026-12-01T00:00:00Z");
        assert_eq!(instant("2026-12-01 09:00"), "2026-12-01T00:00:00Z");
        // It is noon in Tokyo.
        assert_eq!(instant("18:30"), "2026-11-07T09:30:00Z");
        assert_eq!(instant("12:00"), "2026-11-08T03:00:00Z");
        for wrong in ["", "tomorrow", "25:00", "2026-12-01"] {
            assert!(wrong.parse::<GoesLive>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_approved_is_a_release_or_the_originals() {
        assert_eq!("originals".parse(), Ok(Subject::Originals));
        assert_eq!("5".parse(), Ok(Subject::Release("5".parse().unwrap())));
        assert!("five".parse::<Subject>().is_err());
    }
}
