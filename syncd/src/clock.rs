//! The clock that an operator is told times by: that of the contract's time zone, in which they name them.

use std::path::Path;

use jiff::Timestamp;
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Zone;

use crate::identity::Identity;

/// The clock of the contract that the partner joined under; UTC where it cannot be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Option<Zone>);

impl Clock {
    /// The clock of the partner with this identity.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self(Contract::parse("contract.yaml", &identity.contract).ok().map(|contract| contract.effective.tz))
    }

    /// The clock of the partner whose state folder this is.
    pub(crate) fn in_state(state: &Path) -> Self {
        Identity::load(state).map(|identity| Self::of(&identity)).unwrap_or_default()
    }

    /// Its time zone, where it is known.
    pub(crate) fn zone(&self) -> Option<&Zone> {
        self.0.as_ref()
    }

    /// A time as the partner's clocks show it, with the zone.
    pub(crate) fn tell(&self, time: Timestamp) -> String {
        match &self.0 {
            Some(zone) => format!("{} ({})", zone.local(time).strftime("%Y-%m-%d %H:%M"), zone.name()),
            None => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_with_whose_clock_shows_it() {
        let time = "2026-11-30T09:30:00Z".parse().unwrap();
        assert_eq!(Clock("Asia/Tokyo".parse().ok()).tell(time), "2026-11-30 18:30 (Asia/Tokyo)");
        assert_eq!(Clock::default().tell(time), "2026-11-30 09:30 UTC");
    }
}
