//! How a partner stands, as `tieup status` tells it: made from the database alone, so that it can be told whether the
//! partner answers or not.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::ids::{ReleaseVersion, SiteId};

use super::backoff::Failure;
use super::queue::{CameTo, Cause, Coming, LastTry, Queued};
use crate::database::{PartnerRow, ReleaseRow};

/// What is known of a partner.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The partner.
    pub partner: &'a PartnerRow,
    /// Its releases, newest first.
    pub releases: &'a [ReleaseRow],
    /// Its row in the queue.
    pub queued: &'a Queued,
    /// Whether its contract is for a link alone.
    pub kind: Kind,
    /// Whether it answers now.
    pub contact: &'a Contact,
}

/// What is published to a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Releases.
    Releases,
    /// Nothing: its contract is for a link alone.
    LinkAlone,
}

/// Whether a partner answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It does.
    Answers,
    /// It does not, and why.
    Silent(String),
}

/// How a partner stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The partner.
    pub partner: SiteId,
    /// Where its daemon is called.
    pub address: String,
    /// In a word or two: `staged`, `live`, `unreachable`, `waiting for schedule`, or another.
    pub state: String,
    /// The release that this is said of, where it is one.
    pub release: Option<ReleaseVersion>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why.
    pub why: Option<String>,
    /// How many tries in a row have failed.
    pub failures: u32,
    /// The release that visitors see there, as far as is known.
    pub live: Option<ReleaseVersion>,
    /// When it is pushed to next.
    pub next: Option<Next>,
    /// When the partner answered last; what is said of its releases is that old.
    pub heard: Option<Timestamp>,
    /// Whether it answers now.
    pub answers: bool,
}

/// The next push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// When.
    pub at: Timestamp,
    /// Why: `site`, `prescribed` or `retry`.
    pub cause: &'static str,
}

/// What is said of a partner.
struct Said {
    state: String,
    release: Option<ReleaseVersion>,
    since: Option<Timestamp>,
    why: String,
}

impl Standing {
    /// How a partner stands by what is known.
    pub fn of(known: Known<'_>) -> Self {
        let Known { partner, releases, queued, kind, contact } = known;
        let said = match (&partner.revoked, kind) {
            (Some(revoked), _) => said("revoked", Some(revoked.since), &revoked.reason),
            (None, Kind::LinkAlone) => said("link alone", None, "nothing is published to it"),
            (None, Kind::Releases) => say(known),
        };
        let live = releases.iter().find(|row| row.state == ReleaseState::Live.word());
        Self {
            partner: partner.id.clone(),
            address: partner.address.to_string(),
            state: said.state,
            release: said.release,
            since: said.since,
            why: Some(said.why).filter(|why| !why.is_empty()),
            failures: queued.last.as_ref().map_or(0, |last| last.failures),
            live: live.map(|row| row.version),
            next: queued.coming.map(|Coming { at, cause }| Next { at, cause: cause.word() }),
            heard: queued.heard,
            answers: *contact == Contact::Answers,
        }
    }

    /// The same in a line.
    pub fn line(&self, now: Timestamp) -> String {
        let mut parts = Vec::new();
        parts.extend(self.release.map(|version| format!("release {version}")));
        parts.extend(self.since.map(|since| format!("since {} ({} ago)", shown(since), length(now, since))));
        parts.extend(Some(self.failures).filter(|tries| *tries > 1).map(|tries| format!("{tries} tries")));
        let about = parts.join(", ");
        let why = self.why.as_ref().map(|why| if about.is_empty() { why.clone() } else { format!(": {why}") });
        let mut line = format!("{:<14} {:<12} {about}{}", self.partner.as_str(), self.state, why.unwrap_or_default());
        let also = [self.live_elsewhere(), self.next_push(now), self.age(now)];
        for part in also.into_iter().flatten() {
            line = format!("{line}; {part}");
        }
        line
    }

    fn live_elsewhere(&self) -> Option<String> {
        let is_said = self.state == ReleaseState::Live.word();
        self.live.filter(|_| !is_said).map(|version| format!("release {version} is live"))
    }

    fn next_push(&self, now: Timestamp) -> Option<String> {
        let next = self.next.as_ref()?;
        let what = if next.cause == Cause::Retry.word() { "next try" } else { "next push" };
        Some(if next.at > now {
            format!("{what} {} (in {})", shown(next.at), length(next.at, now))
        } else {
            format!("{what} was due {} ago: is `tieup hub` running?", length(now, next.at))
        })
    }

    /// How old it is, where it is old.
    fn age(&self, now: Timestamp) -> Option<String> {
        match self.heard {
            _ if self.answers => None,
            Some(heard) => Some(format!("as it was {} ago", length(now, heard))),
            None => Some("it has not answered yet".to_owned()),
        }
    }
}

fn say(known: Known<'_>) -> Said {
    let Known { releases, queued, contact, .. } = known;
    if let Some(said) = queued.last.as_ref().and_then(|last| failed(last, releases, contact)) {
        return said;
    }
    if let Contact::Silent(why) = contact {
        return said("unreachable", queued.heard, why);
    }
    let waits = queued.coming.is_some_and(|coming| coming.cause == Cause::Prescribed);
    if let Some(changed) = queued.changed.filter(|_| waits) {
        return said("waiting for schedule", Some(changed), "the site has changed");
    }
    let Some(newest) = releases.first() else {
        let state = if waits { "waiting for schedule" } else { "waiting" };
        return said(state, None, "nothing was sent yet");
    };
    let Said { state, why, .. } = word(newest);
    Said { state, release: Some(newest.version), since: Some(newest.since), why }
}

/// What is said of the last try, where it failed and that still holds.
fn failed(last: &LastTry, releases: &[ReleaseRow], contact: &Contact) -> Option<Said> {
    let (state, release) = match last.came_to {
        CameTo::Broken => ("not built", None),
        CameTo::Failed(Failure::Refused) => {
            let refused = releases.first().filter(|row| row.state == "refused");
            ("refused", refused.map(|row| row.version))
        }
        CameTo::Failed(Failure::Ours) => ("failed", None),
        CameTo::Failed(Failure::Unreachable) if *contact != Contact::Answers => ("unreachable", None),
        _ => return None,
    };
    Some(Said { release, ..said(state, Some(last.since), &last.why) })
}

fn said(state: &str, since: Option<Timestamp>, why: &str) -> Said {
    Said { state: state.to_owned(), release: None, since, why: why.to_owned() }
}

/// The state of a release. A word of a later version stands as it is.
fn word(release: &ReleaseRow) -> Said {
    let (state, why) = match release.state.as_str() {
        "signed" => ("offered", "it is on its way, or was cut off there"),
        "staged" if release.detail.is_empty() => ("staged", "it waits for the operator"),
        "retired" => ("rolled back", "the operator went back from it"),
        state => (state, release.detail.as_str()),
    };
    said(state, None, why)
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long it is from `earlier` to `later`, in the largest unit of which it has two, or one.
fn length(later: Timestamp, earlier: Timestamp) -> String {
    let seconds = later.duration_since(earlier).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::joining::Reach;

    use super::*;
    use crate::database::places;
    use crate::schedule::backoff::Roll;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-01T{time}:00Z").parse().unwrap()
    }

    fn release(number: u64, state: &str, detail: &str) -> ReleaseRow {
        ReleaseRow {
            version: ReleaseVersion::new(number).unwrap(),
            contract: String::new(),
            state: state.to_owned(),
            detail: detail.to_owned(),
            since: at("08:00"),
        }
    }

    fn tried(came_to: CameTo, why: &str) -> Queued {
        let row = Queued { heard: Some(at("07:00")), ..Queued::default() };
        row.after(came_to, why.to_owned(), at("09:00"), at("09:00"), Roll(u16::MAX))
    }

    /// The line at ten o'clock.
    fn line(queued: &Queued, releases: &[ReleaseRow], contact: &Contact) -> String {
        let address = Reach::Address("127.0.0.1:7441".to_owned());
        let partner = PartnerRow { address, joined: at("00:00"), ..places::partner("north") };
        let known = Known { partner: &partner, releases, queued, kind: Kind::Releases, contact };
        Standing::of(known).line(at("10:00"))
    }

    #[test]
    fn every_state_is_told_in_a_line() {
        let (sent, silent) = (tried(CameTo::Delivered, ""), Contact::Silent("nobody answers".to_owned()));
        let live = [release(4, "live", "")];
        let since = "since 2026-11-01 08:00 UTC (2 h ago)";
        let says = |queued: &Queued, releases: &[ReleaseRow], expected: &str| {
            assert_eq!(line(queued, releases, &Contact::Answers), format!("north          {expected}"));
        };
        says(&Queued::default(), &[], "waiting      nothing was sent yet");
        says(&sent, &live, &format!("live         release 4, {since}"));
        let staged = [release(5, "staged", "it is the first release"), release(4, "live", "")];
        says(&sent, &staged, &format!("staged       release 5, {since}: it is the first release; release 4 is live"));
        let rejected = [release(5, "rejected", "too dear")];
        says(&sent, &rejected, &format!("rejected     release 5, {since}: too dear"));
        let back = [release(5, "retired", ""), release(4, "live", "")];
        let expected = format!("rolled back  release 5, {since}: the operator went back from it; release 4 is live");
        says(&sent, &back, &expected);
        says(&sent, &[release(5, "held", "")], &format!("held         release 5, {since}"));
        says(&sent, &[release(5, "signing", "1 of 2")], &format!("signing      release 5, {since}: 1 of 2"));
        let refused = tried(CameTo::Failed(Failure::Refused), "/about/ is claimed twice");
        let expected = "refused      release 5, since 2026-11-01 09:00 UTC (60 min ago): /about/ is claimed twice; \
                        release 4 is live; next try was due 55 min ago: is `tieup hub` running?";
        says(&refused, &[release(5, "refused", ""), release(4, "live", "")], expected);
        let broken = tried(CameTo::Broken, "content/a.md: unknown key `titel`");
        let expected = "not built    since 2026-11-01 09:00 UTC (60 min ago): content/a.md: unknown key `titel`; \
                        release 4 is live";
        says(&broken, &live, expected);
        let says = "north          unreachable  since 2026-11-01 07:00 UTC (3 h ago): nobody answers; release 4 is live; \
                    as it was 3 h ago";
        assert_eq!(line(&sent, &live, &silent), says);
    }

    #[test]
    fn what_waits_for_its_time_says_when_that_comes() {
        let coming = Some(Coming { at: "2026-11-02T06:00:00Z".parse().unwrap(), cause: Cause::Prescribed });
        let sent = Queued { coming, ..tried(CameTo::Delivered, "") };
        let live = [release(4, "live", "")];
        let next = "next push 2026-11-02 06:00 UTC (in 20 h)";
        let expected = format!("north          live         release 4, since 2026-11-01 08:00 UTC (2 h ago); {next}");
        assert_eq!(line(&sent, &live, &Contact::Answers), expected);
        let changed = Queued { changed: Some(at("09:30")), ..sent };
        let expected = format!(
            "north          waiting for schedule since 2026-11-01 09:30 UTC (30 min ago): the site has changed; release \
             4 is live; {next}"
        );
        assert_eq!(line(&changed, &live, &Contact::Answers), expected);
        let joined = Queued { coming, ..Queued::default() };
        let expected = format!("north          waiting for schedule nothing was sent yet; {next}");
        assert_eq!(line(&joined, &[], &Contact::Answers), expected);
    }

    #[test]
    fn a_partner_that_is_down_says_since_when_and_when_it_is_tried_next() {
        let unreachable = CameTo::Failed(Failure::Unreachable);
        let down = (0..9).fold(tried(unreachable, "nobody answers"), |row, _| {
            row.after(unreachable, "nobody answers".to_owned(), at("09:58"), at("09:58"), Roll(u16::MAX))
        });
        let expected = "north          unreachable  since 2026-11-01 09:00 UTC (60 min ago), 10 tries: nobody answers; \
                        next try 2026-11-01 10:13 UTC (in 13 min); as it was 3 h ago";
        assert_eq!(line(&down, &[], &Contact::Silent("silence".to_owned())), expected);
        let expected =
            "north          waiting      10 tries: nothing was sent yet; next try 2026-11-01 10:13 UTC (in 13 min)";
        assert_eq!(line(&down, &[], &Contact::Answers), expected, "it answers now");
    }
}
