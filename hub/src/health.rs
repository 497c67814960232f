//! What the hub tells those who watch over it: whether it is ready, and its numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::contract::Partnership;
use tieup_web::admin::Watched;
use tieup_web::https::PublicTls;
use tieup_web::journal::Journal;
use tieup_web::metrics::{Exposition, Labels, Traffic, moment, number};
use tieup_web::site::PublicSite;
use tokio::task::AbortHandle;

use crate::beacons::Beacons;
use crate::database::{DatabaseError, PartnerRow};
use crate::partners::Hub;
use crate::schedule::queue::CameTo;
use crate::schedule::standing::{Contact, Kind, Known, Standing};

/// How often tries to publish came to what, since the hub was opened.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// Counts a try.
    pub(crate) fn count(&self, came_to: CameTo) {
        *self.counts().entry(came_to.word()).or_default() += 1;
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hub as it is watched over.
pub struct Health {
    /// The hub.
    pub hub: Arc<Hub>,
    /// The main site's own pages.
    pub site: Arc<PublicSite>,
    /// The journal of visits to them.
    pub journal: Arc<Journal>,
    /// Who counts beacons.
    pub beacons: Arc<Beacons>,
    /// TLS for visitors, where there is HTTPS.
    pub tls: Option<PublicTls>,
    /// What the public server counts.
    pub traffic: Arc<Traffic>,
    /// The public server's task.
    pub public: AbortHandle,
}

impl Watched for Health {
    async fn ready(&self) -> Result<(), String> {
        if self.public.is_finished() || self.site.live().files.is_empty() {
            return Err("the main site's pages are not served yet".to_owned());
        }
        let logged = tokio::task::block_in_place(|| self.journal.takes_visits());
        logged.map_err(|error| format!("visits to the main site's pages are not logged: {error}"))?;
        let partners = self.hub.database.partners().await;
        partners.map(drop).map_err(|error| format!("the database cannot be read: {error}"))
    }

    async fn measure(&self, page: &mut Exposition) {
        page.service("tieup", env!("CARGO_PKG_VERSION"), &self.traffic, self.tls.as_ref());
        let pushes = self.hub.tally.counts().clone();
        let pushes = pushes.into_iter().map(|(outcome, times)| (vec![("outcome", outcome.to_owned())], times));
        page.counters("pushes", "Tries to publish to a partner, by what came of them", pushes);
        self.measure_mirror(page);
        self.measure_build(page);
        let beacons = self.beacons.heard().map(|(heard, times)| (vec![("outcome", heard.word().to_owned())], times));
        page.counters("beacons", "Beacons of partners' pages, by what came of them", beacons);
        if let Err(error) = self.measure_partners(page).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the partners cannot be counted");
        }
    }
}

impl Health {
    fn measure_mirror(&self, page: &mut Exposition) {
        let standing = tokio::task::block_in_place(|| self.hub.mirror_standing()).ok().flatten();
        let failing = standing.as_ref().map(|standing| (Labels::new(), number(u64::from(standing.failing.is_some()))));
        let mirrored = standing.and_then(|standing| standing.mirrored).map(|time| (Labels::new(), moment(time)));
        page.gauges("journal_mirror_failing", "Whether journals could not be mirrored the last time", failing);
        let help = "When the mirror was up to what the hub holds last, in seconds since 1970";
        page.gauges("journal_mirrored_timestamp_seconds", help, mirrored);
    }

    fn measure_build(&self, page: &mut Exposition) {
        // Nothing is told of it where that cannot be read.
        let unbuilt = tokio::task::block_in_place(|| self.hub.unbuilt()).ok();
        let failing = unbuilt.map(|unbuilt| (Labels::new(), number(u64::from(unbuilt.is_some()))));
        page.gauges("site_build_failing", "Whether the site could not be built the last time", failing);
    }

    async fn measure_partners(&self, page: &mut Exposition) -> Result<(), DatabaseError> {
        let mut states = BTreeMap::<String, u64>::new();
        let (mut failures, mut heard, mut collected) = (Vec::new(), Vec::new(), Vec::new());
        for partner in self.hub.database.partners().await? {
            let labels: Labels = vec![("partner", partner.id.to_string())];
            let standing = self.standing(&partner).await?;
            *states.entry(standing.state).or_default() += 1;
            failures.push((labels.clone(), f64::from(standing.failures)));
            heard.extend(standing.heard.map(|time| (labels.clone(), moment(time))));
            let last = tokio::task::block_in_place(|| self.hub.collected_at(&partner)).ok().flatten();
            collected.extend(last.map(|time| (labels, moment(time))));
        }
        let states = states.into_iter().map(|(state, count)| (vec![("state", state)], number(count)));
        page.gauges("partners", "Partners by how they stand", states);
        page.gauges("push_failures", "Tries to publish that failed in a row", failures);
        let help = "When the partner answered last, in seconds since 1970";
        page.gauges("partner_heard_timestamp_seconds", help, heard);
        let help = "When the partner's journal was collected last without an error, in seconds since 1970";
        page.gauges("journal_collected_timestamp_seconds", help, collected);
        Ok(())
    }

    /// How a partner stands as the database knows it.
    async fn standing(&self, partner: &PartnerRow) -> Result<Standing, DatabaseError> {
        let releases = self.hub.database.releases(&partner.id).await?;
        let queued = self.hub.database.queued(&partner.id).await?;
        let terms = self.hub.contract(&partner.id);
        let is_link = terms.is_some_and(|contract| contract.partnership == Partnership::Link);
        let kind = if is_link { Kind::LinkAlone } else { Kind::Releases };
        // Nobody is asked for this: what the last try came to says whether it answers.
        let has_failed = queued.last.as_ref().is_some_and(|last| last.failures > 0);
        let contact = if has_failed { Contact::Silent(String::new()) } else { Contact::Answers };
        Ok(Standing::of(Known { partner, releases: &releases, queued: &queued, kind, contact: &contact }))
    }
}
