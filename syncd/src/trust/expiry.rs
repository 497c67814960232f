//! What is running out of the metadata that a partner trusts. An alarm changes nothing: the site is served as before.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tieup_protocol::wire::{ExpiryAlarm, ExpiryState, REVOCATIONS_ROLE};

use super::TrustState;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The roles, the file of each, and how many days before its end an alarm is given. The first is the root, which is not
/// among the files seen.
///
/// Main refreshes the timestamp when a third of its thirty days is over, so that one with a week left has been missed
/// more than once.
const ROLES: [(&str, &str, i32); 4] = [
    ("root", "root.json", 90),
    ("targets", "targets.json", 30),
    ("snapshot", "snapshot.json", 30),
    ("timestamp", "timestamp.json", 7),
];

/// The same for main's list of revoked certificates, which main signs anew when a third of its thirty days is over.
const REVOCATIONS_DAYS: i32 = 7;

/// Metadata of any role, as far as its end is concerned.
#[derive(Deserialize)]
struct Envelope {
    signed: Expiring,
}

#[derive(Deserialize)]
struct Expiring {
    expires: Timestamp,
}

/// What of `state` has expired at `now`, or will soon.
///
/// What cannot be read has no end here; the next offer is refused for it.
pub fn alarms(state: &TrustState, now: Timestamp) -> Vec<ExpiryAlarm> {
    ROLES.into_iter().filter_map(|(role, file, days)| alarm(state, role, file, days, now)).collect()
}

/// What is to be said at `now` of main's list of revoked certificates, which is good until `until`.
pub fn alarm_of_revocations(until: Timestamp, now: Timestamp) -> Option<ExpiryAlarm> {
    let state = urgency(until, REVOCATIONS_DAYS, now)?;
    Some(ExpiryAlarm { role: REVOCATIONS_ROLE.to_owned(), expires: until, state })
}

/// Until when the metadata of each role is good, of those that there are.
pub fn ends(state: &TrustState) -> Vec<(&'static str, Timestamp)> {
    let text = |file: &str| if file == "root.json" { Some(&state.root) } else { state.seen.get(file) };
    ROLES.into_iter().filter_map(|(role, file, _)| Some((role, expires(text(file)?)?))).collect()
}

fn alarm(state: &TrustState, role: &str, file: &str, days: i32, now: Timestamp) -> Option<ExpiryAlarm> {
    let text = if file == "root.json" { Some(&state.root) } else { state.seen.get(file) };
    let expires = expires(text?)?;
    Some(ExpiryAlarm { role: role.to_owned(), expires, state: urgency(expires, days, now)? })
}

/// When the metadata `text` expires.
pub(super) fn expires(text: &str) -> Option<Timestamp> {
    serde_json::from_str::<Envelope>(text).ok().map(|envelope| envelope.signed.expires)
}

fn urgency(expires: Timestamp, days: i32, now: Timestamp) -> Option<ExpiryState> {
    let left = expires.duration_since(now);
    if left.is_negative() {
        return Some(ExpiryState::Expired);
    }
    (left < DAY * days).then_some(ExpiryState::Soon)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn document(expires: &str) -> String {
        format!(r#"{{"signed": {{"expires": "{expires}"}}, "signatures": []}}"#)
    }

    #[test]
    fn each_role_gives_its_alarm_in_time() {
        let state = TrustState {
            root: document("2036-01-01T00:00:00Z"),
            seen: BTreeMap::from([
                ("timestamp.json".to_owned(), document("2026-03-31T00:00:00Z")),
                ("targets.json".to_owned(), document("2027-03-01T00:00:00Z")),
                ("latest_known_time.json".to_owned(), "\"2026-03-01T00:00:00Z\"".to_owned()),
            ]),
        };
        let at = |now: &str| {
            let alarms = alarms(&state, now.parse().unwrap());
            alarms.into_iter().map(|alarm| (alarm.role, alarm.state)).collect::<Vec<_>>()
        };
        let (soon, expired) = (ExpiryState::Soon, ExpiryState::Expired);
        assert_eq!(at("2026-03-02T00:00:00Z"), []);
        assert_eq!(at("2026-03-25T00:00:00Z"), [("timestamp".to_owned(), soon)]);
        assert_eq!(at("2026-03-31T00:00:00Z"), [("timestamp".to_owned(), soon)], "good until its very end");
        assert_eq!(at("2026-03-31T00:00:01Z"), [("timestamp".to_owned(), expired)]);
        let later = [("targets".to_owned(), soon), ("timestamp".to_owned(), expired)];
        assert_eq!(at("2027-02-10T00:00:00Z"), later);
        assert_eq!(at("2035-12-01T00:00:00Z")[0], ("root".to_owned(), soon));
    }

    #[test]
    fn a_list_of_revoked_certificates_gives_its_alarm_in_time() {
        let (until, day) = ("2026-03-31T00:00:00Z".parse::<Timestamp>().unwrap(), DAY);
        assert_eq!(alarm_of_revocations(until, until - day * 7), None);
        let soon = alarm_of_revocations(until, until - day * 6).unwrap();
        assert_eq!(
            soon.to_string(),
            "the list of revoked certificates expires on 2026-03-31 00:00 UTC: main has not said lately which \
             certificates it has revoked"
        );
        let expired = alarm_of_revocations(until, until + day).unwrap().to_string();
        assert!(expired.ends_with("; updates are refused, the site is served as before"), "{expired}");
    }

    #[test]
    fn an_alarm_says_that_the_site_is_served() {
        let alarm = ExpiryAlarm {
            role: "timestamp".to_owned(),
            expires: "2026-03-31T00:00:00Z".parse().unwrap(),
            state: ExpiryState::Expired,
        };
        assert_eq!(
            alarm.to_string(),
            "the timestamp metadata has expired on 2026-03-31 00:00 UTC: main has not said lately that this is its \
             newest release; updates are refused, the site is served as before"
        );
    }
}
