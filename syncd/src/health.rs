//! What the daemon tells those who watch over it: whether it is ready, and its numbers.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use jiff::Timestamp;
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::period::Month;
use tieup_store::journal::month_dir;
use tieup_web::admin::Watched;
use tieup_web::https::PublicTls;
use tieup_web::metrics::{Exposition, Labels, Traffic, moment, number};
use tokio::task::AbortHandle;

use crate::daemon::Partner;

/// How long the journal may take to sign before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// When main was last heard of, by a call that it made.
#[derive(Debug, Default)]
pub struct Contact(AtomicI64);

impl Contact {
    /// The same router, whose calls are noted.
    pub fn noting(self: &Arc<Self>, router: Router) -> Router {
        let contact = self.clone();
        router.layer(map_request(move |request: Request| {
            contact.0.store(Timestamp::now().as_second(), Ordering::Relaxed);
            ready(request)
        }))
    }

    /// When; none since the daemon started.
    pub fn last(&self) -> Option<Timestamp> {
        let seconds = self.0.load(Ordering::Relaxed);
        Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)
    }
}

/// The daemon as it is watched over.
pub struct Health {
    /// The parts of every tie-up.
    pub partners: Vec<Arc<Partner>>,
    /// TLS for visitors, where there is HTTPS.
    pub tls: Option<PublicTls>,
    /// What the public server counts.
    pub traffic: Arc<Traffic>,
    /// The public server's task.
    pub public: AbortHandle,
}

impl Watched for Health {
    async fn ready(&self) -> Result<(), String> {
        if self.public.is_finished() {
            return Err("the public site is not served".to_owned());
        }
        let is_live = |partner: &Arc<Partner>| partner.releases().iter().any(|one| one.state == ReleaseState::Live);
        if !self.partners.iter().any(is_live) {
            return Err("no release is live yet".to_owned());
        }
        for partner in &self.partners {
            let main = partner.identity().main.clone();
            takes_entries(partner).await.map_err(|why| format!("the journal for `{main}` takes no entries: {why}"))?;
        }
        Ok(())
    }

    async fn measure(&self, page: &mut Exposition) {
        page.service("syncd", env!("CARGO_PKG_VERSION"), &self.traffic, self.tls.as_ref());
        tokio::task::block_in_place(|| {
            self.measure_releases(page);
            self.measure_journals(page);
            self.measure_trust(page);
        });
    }
}

impl Health {
    fn measure_releases(&self, page: &mut Exposition) {
        let (mut live, mut since, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for (main, partner) in self.by_main() {
            let releases = partner.releases();
            if let Some(release) = releases.iter().find(|release| release.state == ReleaseState::Live) {
                live.push((main.clone(), number(release.version.get())));
                since.push((main.clone(), moment(release.since)));
            }
            waiting.push((main, count(releases.iter().filter(|release| release.state.is_open()).count())));
        }
        page.gauges("live_release", "The number of the release that is live", live);
        page.gauges("live_release_since_timestamp_seconds", "Since when it is live, in seconds since 1970", since);
        page.gauges("releases_waiting", "Releases that wait for the operator or for their time", waiting);
    }

    fn measure_journals(&self, page: &mut Exposition) {
        let (mut entries, mut unsigned, mut bytes, mut signed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (main, partner) in self.by_main() {
            let Ok(extent) = Extent::of(partner) else { continue };
            entries.push((main.clone(), number(extent.entries)));
            unsigned.push((main.clone(), number(extent.unsigned)));
            bytes.push((main.clone(), number(extent.bytes)));
            signed.extend(extent.signed.map(|time| (main, moment(time))));
        }
        page.gauges("journal_entries", "Visits in the journal", entries);
        page.gauges("journal_unsigned_entries", "Visits of this month that no checkpoint covers yet", unsigned);
        page.gauges("journal_bytes", "Bytes of the journal on the disk", bytes);
        let help = "When the last checkpoint was signed, in seconds since 1970";
        page.gauges("journal_signed_timestamp_seconds", help, signed);
    }

    fn measure_trust(&self, page: &mut Exposition) {
        let (mut heard, mut damaged, mut trusted, mut identity) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (main, partner) in self.by_main() {
            heard.extend(partner.contact().last().map(|time| (main.clone(), moment(time))));
            let drift = partner.guard().report().drift;
            let lacking = drift.map_or(0, |drift| drift.blobs.len() + drift.documents.len());
            damaged.push((main.clone(), count(lacking)));
            for (role, end) in partner.trust_ends().unwrap_or_default() {
                let labels = main.iter().cloned().chain([("role", role.to_owned())]).collect();
                trusted.push((labels, moment(end)));
            }
            identity.push((main, moment(partner.tls().certificate().expires)));
        }
        page.gauges("main_heard_timestamp_seconds", "When the main site last called, in seconds since 1970", heard);
        page.gauges("damaged_files", "Stored files that are damaged and not restored yet", damaged);
        let help = "Until when the metadata of a role is trusted, in seconds since 1970";
        page.gauges("trust_expires_timestamp_seconds", help, trusted);
        let help = "When the certificate that the main site knows this partner by expires, in seconds since 1970";
        page.gauges("identity_expires_timestamp_seconds", help, identity);
    }

    fn by_main(&self) -> impl Iterator<Item = (Labels, &Arc<Partner>)> {
        self.partners.iter().map(|partner| (vec![("main", partner.identity().main.to_string())], partner))
    }
}

/// How large a journal is.
struct Extent {
    entries: u64,
    unsigned: u64,
    bytes: u64,
    signed: Option<Timestamp>,
}

impl Extent {
    fn of(partner: &Partner) -> Result<Self, Box<dyn std::error::Error>> {
        let months = partner.journal().months()?;
        let folder = |month: Month| month_dir(&partner.journals(), month);
        let sizes = months.iter().map(|month| (folder(*month), bytes_below(&folder(*month))));
        let bytes = sizes.map(|(_, bytes)| bytes).sum();
        let Some((newest, before)) = months.split_last() else {
            return Ok(Self { entries: 0, unsigned: 0, bytes, signed: None });
        };
        let reader = partner.journal().reader(*newest)?;
        let (size, covered) = (reader.size(), reader.checkpoint()?.as_deref().map_or(0, size_of));
        let old = |month: &Month| std::fs::read_to_string(folder(*month).join("checkpoint"));
        let earlier: u64 = before.iter().filter_map(|month| old(month).ok()).map(|note| size_of(&note)).sum();
        let about = folder(*newest).join("checkpoint").metadata();
        let signed = about.and_then(|about| about.modified()).ok().and_then(|time| Timestamp::try_from(time).ok());
        Ok(Self { entries: earlier + size, unsigned: size.saturating_sub(covered), bytes, signed })
    }
}

/// The number of entries that a checkpoint is over: its second line.
fn size_of(note: &str) -> u64 {
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let length = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_below(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(length).sum()
}

fn count(of: usize) -> f64 {
    number(of as u64)
}

/// Has the journal sign what there is of the newest month, which goes the same way as a visit.
async fn takes_entries(partner: &Partner) -> Result<(), String> {
    tokio::task::block_in_place(|| partner.journal().takes_visits()).map_err(|error| error.to_string())?;
    let months = tokio::task::block_in_place(|| partner.journal().months()).map_err(|error| error.to_string())?;
    let Some(newest) = months.last() else { return Ok(()) };
    match tokio::time::timeout(PATIENCE, partner.journal().checkpoint(*newest)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it does not answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_says_what_it_covers() {
        assert_eq!(size_of("example/log\n17\nroot\n\n- signature\n"), 17);
        assert_eq!(size_of("damaged"), 0);
    }

    #[test]
    fn nobody_was_heard_before_the_first_call() {
        assert_eq!(Contact::default().last(), None);
    }
}
