//! What a tie-up does by itself while the daemon runs: releases go live at their times, changed originals are merged, and
//! what runs out is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::wire::{ExpiryAlarm, ExpiryState};
use tieup_web::listener::Shutdown;
use tokio::sync::mpsc;

use super::Partner;
use crate::publisher::Publisher;

/// How often the daemon looks whether metadata has expired.
const TRUST_CHECK: Duration = Duration::from_hours(1);

/// The longest wait for a release's time, so that a clock which was set, or a machine that slept, is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long after a failure the switch is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Makes approved releases live when their time comes, or has come while no daemon ran.
pub(super) async fn keep_times(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut releases = partner.publisher().watch();
    loop {
        let wait = tokio::task::block_in_place(|| keep_time(&partner, Timestamp::now()));
        let time = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.wait() => return,
            changed = releases.changed() => if changed.is_err() { return },
            () = time => {}
        }
    }
}

/// Makes the release live that is due at `now`, and says how long to wait for the next one, if one is approved.
fn keep_time(partner: &Partner, now: Timestamp) -> Option<Duration> {
    let mut publisher = partner.publisher();
    match publisher.switch_due(now) {
        Ok(None) => {}
        Ok(Some(release)) => tracing::info!(release = %release.version, "its time came: {}", release.state.word()),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an approved release could not go live");
            return Some(RETRY);
        }
    }
    let next = publisher.next_due().ok().flatten()?;
    let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
    Some(wait.min(LONGEST_WAIT))
}

/// Merges the originals again after each change to them, and after one to what the merged site says of other tie-ups.
pub(super) async fn follow_originals(partner: Arc<Partner>, mut changes: mpsc::Receiver<()>, shutdown: Shutdown) {
    let share = partner.publisher().share().clone();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            change = changes.recv() => if change.is_none() { return },
            // Its sitemap and search tell of the other tie-ups.
            () = share.others_changed() => {}
        }
        partner.originals.fetch_add(1, Ordering::AcqRel);
        tokio::task::block_in_place(|| refresh_originals(&mut partner.publisher()));
    }
}

fn refresh_originals(publisher: &mut Publisher) {
    match publisher.refresh_originals() {
        Ok(change) if change.is_empty() => {}
        Ok(change) => {
            let waiting = publisher.waiting_originals().map(|waiting| waiting.sentence.as_str());
            let state = waiting.map_or("the site is live anew", |_| "they wait for you: syncd approve originals");
            tracing::info!(paths = change.paths.len(), "originals changed; {state}");
        }
        Err(error) => tracing::warn!("the originals were not published; the site stays as it is\n{error}"),
    }
}

/// Says in the log, at start and then every hour, what has expired of the metadata or will soon.
pub(super) async fn watch_trust(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut hours = tokio::time::interval(TRUST_CHECK);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = hours.tick() => {}
        }
        if let Some(revoked) = partner.revoked() {
            tracing::error!("{revoked}");
        }
        match tokio::task::block_in_place(|| partner.alarms(Timestamp::now())) {
            Ok(alarms) => alarms.iter().for_each(log_alarm),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "trust cannot be checked"),
        }
    }
}

fn log_alarm(alarm: &ExpiryAlarm) {
    match alarm.state {
        ExpiryState::Soon => tracing::warn!("{alarm}"),
        ExpiryState::Expired => tracing::error!("{alarm}"),
    }
}
