//! What an operator reads: releases as they arrive, how things stand, and what became of a command.

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::wire::{OverriddenPage, OverrideState, PartnerStatus};
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};
use tokio::sync::watch;

use super::tie_ups::Meant;
use super::{fees, logs};
use crate::clock::Clock;
use crate::control::Answer;
use crate::prompt::PromptStatus;

/// Says what there is to say of `releases`, until the daemon ends.
pub(super) async fn tell(mut releases: watch::Receiver<Vec<ReleaseRecord>>, meant: Meant, clock: Clock) {
    let mut told = None;
    loop {
        let news = releases.borrow_and_update().clone();
        if told.as_ref() != Some(&news) {
            prompt(&news, &meant, &clock);
            told.iter().flat_map(|before| decided(before, &news)).for_each(|sentence| say!("\n{sentence}"));
            told = Some(news);
        }
        if releases.changed().await.is_err() {
            return;
        }
    }
}

/// Says what waits for the operator, if anything does, and what went live without their word.
fn prompt(releases: &[ReleaseRecord], meant: &Meant, clock: &Clock) {
    for release in releases {
        match &release.state {
            ReleaseState::Staged => {
                say!("\n{}.", release.sentence);
                say!("  It waits for you: {}.", release.waits_for.as_deref().unwrap_or("your word"));
                say!("  {}", choices(release.version, meant));
            }
            ReleaseState::Approved { at } => {
                say!("\n{}.", release.sentence);
                say!("  It goes live at {}: {}", clock.tell(*at), ways_out(release.version, meant));
            }
            ReleaseState::Live if release.by == Some(DecidedBy::Emergency) => {
                say!("\n{}.", release.sentence);
                say!("  It is live, as the contract lets an emergency be. To undo it: syncd{meant} rollback");
            }
            _ => {}
        }
    }
}

/// What has been decided since releases were as in `before`: which one went live, and which was rejected.
fn decided(before: &[ReleaseRecord], now: &[ReleaseRecord]) -> Vec<String> {
    let is_new = |release: &&ReleaseRecord| {
        let word = before.iter().find(|known| known.version == release.version).map(|known| known.state.word());
        word != Some(release.state.word())
    };
    let sentence = |release: &ReleaseRecord| match &release.state {
        // That one has been told with what it changes.
        ReleaseState::Live if release.by == Some(DecidedBy::Emergency) => None,
        ReleaseState::Live => Some(format!("Release {} is live.", release.version)),
        ReleaseState::Rejected { .. } => Some(format!("Release {} is rejected.", release.version)),
        _ => None,
    };
    now.iter().filter(is_new).filter_map(sentence).collect()
}

/// What the operator can do about a release that waits.
fn choices(version: ReleaseVersion, meant: &Meant) -> String {
    let syncd = format!("syncd{meant}");
    format!("{syncd} diff {version} | {syncd} approve {version} | {syncd} hold {version} | {}", refusal(version, meant))
}

/// What the operator can do about a release that goes live by itself.
fn ways_out(version: ReleaseVersion, meant: &Meant) -> String {
    let syncd = format!("syncd{meant}");
    format!("{syncd} approve {version} (now) | {syncd} hold {version} | {}", refusal(version, meant))
}

fn refusal(version: ReleaseVersion, meant: &Meant) -> String {
    format!("syncd{meant} reject {version} --reason \"...\"")
}

/// Shows an answer, after the sentence of the release that it is about.
pub(super) fn show(about: Option<&ReleaseRecord>, answer: &Answer, meant: &Meant, clock: &Clock) {
    if let (Some(ReleaseRecord { version, state: ReleaseState::Live, .. }), Answer::Diff { difference }) =
        (about, answer)
        && difference.is_empty()
    {
        say!("Release {version} is live: there is nothing to compare.");
        return;
    }
    if let Some(release) = about {
        say!("{}.", release.sentence);
    }
    match answer {
        Answer::Status { status, prompts, revoked, originals, https, main_log } => {
            if let Some(revoked) = revoked {
                say!("ALARM: {revoked}");
            }
            for warning in https {
                say!("ALARM: {warning}.");
            }
            for refused in main_log {
                say!("ALARM: the main site's own log: {refused}. When it is settled: syncd{meant} log settle MONTH");
            }
            show_status(status, meant, clock);
            if let Some(refused) = originals {
                say!("{}", refused.told(clock));
            }
            for PromptStatus { way, stand } in prompts {
                say!("prompt by {way}: {stand}");
            }
        }
        Answer::SignIn { link, minutes } => {
            say!("Open this link in your browser. It works once, within {minutes} minutes:\n{link}");
        }
        Answer::Diff { difference } => {
            let nothing = || "Visitors would notice nothing.\n".to_owned();
            terminal::say(&if difference.is_empty() { nothing() } else { difference.to_string() });
            if let Some(release) = about.filter(|release| release.state.is_open()) {
                say!("{}", choices(release.version, meant));
            }
        }
        Answer::Exported { version, to, blobs } => {
            let blobs = counted(*blobs, "blob", "blobs");
            say!("Wrote release {version} into {}: manifest, metadata and {blobs}.", to.display());
        }
        Answer::Release { release } => say!("{}", describe_state(release, clock)),
        Answer::Originals { paths } => {
            say!("Your own pages are live as they are now: {} changed.", counted(*paths, "path", "paths"));
        }
        Answer::Returned { months } => logs::show_returned(months),
        Answer::MainVerified { months } => logs::show_verified(months),
        Answer::Fee { .. } | Answer::Disputed { .. } | Answer::Strikes { .. } | Answer::Sales { .. } => {
            fees::show(answer);
        }
        Answer::Guard { report } => say!("{report}"),
        Answer::Refused { causes } => say!("{}", causes.join("\n")),
    }
}

fn describe_state(release: &ReleaseRecord, clock: &Clock) -> String {
    let version = release.version;
    match &release.state {
        ReleaseState::Approved { at } => format!("Release {version} is approved and goes live at {}.", clock.tell(*at)),
        ReleaseState::Staged => format!("Release {version} waits for you: {}.", reason_or(release, "your word")),
        state => format!("Release {version} is {}.", state.word()),
    }
}

fn reason_or<'a>(release: &'a ReleaseRecord, otherwise: &'a str) -> &'a str {
    release.waits_for.as_deref().unwrap_or(otherwise)
}

fn show_status(status: &PartnerStatus, meant: &Meant, clock: &Clock) {
    for alarm in &status.alarms {
        say!("ALARM: {alarm}.");
    }
    if let Some(overdue) = &status.certificate {
        say!("ALARM: {overdue}.");
    }
    for clash in &status.clashes {
        say!("CONFLICT: {clash}.");
    }
    if status.releases.is_empty() {
        say!("No release has arrived yet.");
    }
    status.releases.iter().for_each(|release| show_release(release, meant, clock));
    if let Some(emergency) = &status.emergency {
        say!("EMERGENCY declared since {}: {}", clock.tell(emergency.since), emergency.reason);
        say!("    your own pages take the place of the main site's; to end it: syncd{meant} emergency end");
    }
    status.overrides.iter().filter(|page| page.state == OverrideState::Changed).for_each(show_override);
    if !status.guard.is_quiet() {
        say!("{}", status.guard);
    }
    if let Some(waiting) = &status.originals {
        say!("{}", waiting.sentence);
        say!("    they wait for you: syncd{meant} diff originals | syncd{meant} approve originals");
    }
}

pub(super) fn show_override(page: &OverriddenPage) {
    match page.state {
        OverrideState::Current => say!("{}: yours stands; the main site's beneath it is as it was", page.path),
        OverrideState::Changed => say!("{}: yours stands; the main site has CHANGED its page since", page.path),
        OverrideState::SetAside => say!("{}: the main site's stands; yours would in an emergency", page.path),
    }
}

fn show_release(release: &ReleaseRecord, meant: &Meant, clock: &Clock) {
    say!("release {:<4} {:<10} since {}", release.version, release.state.word(), clock.tell(release.since));
    say!("    {}", release.sentence);
    match &release.state {
        ReleaseState::Rejected { reason } | ReleaseState::Held { reason: Some(reason) } => say!("    reason: {reason}"),
        ReleaseState::Approved { at } => {
            say!("    goes live at {}: {}", clock.tell(*at), ways_out(release.version, meant));
        }
        _ => {}
    }
    if let Some(reason) = &release.waits_for {
        say!("    waits for you: {reason}");
        say!("    {}", choices(release.version, meant));
    }
}

pub(super) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use tieup_protocol::digest::Digest;

    use super::*;

    #[test]
    fn what_was_decided_is_told_once() {
        let release = |version: &str, state: ReleaseState, by: Option<DecidedBy>| ReleaseRecord {
            version: version.parse().unwrap(),
            manifest: Digest::of(b"manifest"),
            state,
            since: Timestamp::UNIX_EPOCH,
            by,
            sentence: String::new(),
            waits_for: None,
            held: None,
        };
        let (staged, live, retired) = (ReleaseState::Staged, ReleaseState::Live, ReleaseState::Retired);
        let rejected = ReleaseState::Rejected { reason: "dear".to_owned() };
        let first = release("1", live.clone(), None);
        let before = [first.clone(), release("2", staged, None)];
        let approved = [release("1", retired.clone(), None), release("2", live.clone(), None)];
        assert_eq!(decided(&before, &approved), ["Release 2 is live."]);
        assert_eq!(decided(&approved, &[first.clone(), release("2", retired, None)]), ["Release 1 is live."]);
        assert_eq!(decided(&before, &[first, release("2", rejected, None)]), ["Release 2 is rejected."]);
        assert!(decided(&approved, &approved).is_empty());
        assert!(
            decided(&before, &[release("3", live, Some(DecidedBy::Emergency))]).is_empty(),
            "told with its sentence"
        );
    }

    #[test]
    fn choices_name_the_release() {
        let version = "5".parse().unwrap();
        let expected = "syncd diff 5 | syncd approve 5 | syncd hold 5 | syncd reject 5 --reason \"...\"";
        assert_eq!(choices(version, &Meant::default()), expected);
        let south = choices(version, &Meant("southern".parse().ok()));
        assert!(south.starts_with("syncd --main southern diff 5 | syncd --main southern approve 5 | "), "{south}");
    }
}
