//! A second main site, with a hub, keys and a theme of its own, whose pages a partner of a [`World`] carries too.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tieup_examples::deployment::Deployment;
use tieup_examples::port;
use tieup_hub::collect::Collected;
use tieup_hub::partners::Hub;
use tieup_hub::publish::{PublishError, Rejected};
use tieup_hub::statements::Delivered;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_syncd::config::Config;
use tieup_syncd::daemon::Partner;
use tieup_syncd::identity::Identity;
use tieup_syncd::publisher::PublishError as Refusal;

use crate::journal::files_below;
use crate::sources::{Plan, content_file, page, write};
use crate::world::{World, site_id};

/// A main site beside the world's own.
pub struct Neighbour {
    id: SiteId,
    deployment: Deployment,
}

impl World {
    /// Starts the main site `id`, with the pages and contracts of `plan`.
    pub async fn neighbour(&self, id: &str, plan: &Plan) -> Neighbour {
        let folder = self.folder().join(format!("{id}-sources"));
        plan.write(&folder, id);
        let deployment =
            Deployment::start(self.folder(), &site_id(id), &folder.join("main"), &folder.join("themes")).await;
        let deployment = deployment.unwrap_or_else(|error| panic!("`{id}` does not start: {error:#}"));
        Neighbour { id: site_id(id), deployment }
    }

    /// Lets `partner` join `neighbour` too, with the originals of its plan, and starts its daemon again. `meeting` says
    /// in its section how the two meet.
    pub async fn join_too(&mut self, partner: &str, neighbour: &Neighbour, meeting: &str) {
        let mut halted = self.halt(partner).await;
        let text = fs::read_to_string(&halted.config_file).unwrap_or_else(|error| panic!("syncd.yaml: {error}"));
        write(&halted.config_file, &format!("{text}mains:\n  {}: {{{meeting}}}\n", neighbour.id));
        halted.config = Config::load(&halted.config_file).unwrap_or_else(|error| panic!("{error}"));
        let seat = &halted.config.mains[&neighbour.id];
        let originals = self.folder().join(format!("{}-sources/partners/{partner}", neighbour.id));
        for (file, bytes) in files_below(&originals) {
            let below = file.strip_prefix(&originals).unwrap_or(&file);
            write(&seat.site.join(below), &String::from_utf8_lossy(&bytes));
        }
        let invitation = neighbour.hub().invite(&site_id(partner), Timestamp::now()).await;
        let invitation = invitation.unwrap_or_else(|error| panic!("`{partner}` is not invited: {error}"));
        let joined = Identity::join(&seat.state, &invitation, &seat.address).await;
        joined.unwrap_or_else(|error| panic!("`{partner}` does not join `{}`: {error}", neighbour.id));
        self.resume(halted).await;
    }

    /// The parts of a partner's tie-up with `main`.
    pub fn beside(&self, partner: &str, main: &str) -> &Arc<Partner> {
        let found = self.partner(partner).daemon.partners().find(|partner| partner.identity().main == site_id(main));
        found.unwrap_or_else(|| panic!("`{partner}` has no tie-up with `{main}`"))
    }

    /// Approves the release of `main` that waits.
    pub fn approve_beside(&self, partner: &str, main: &str) -> Result<ReleaseRecord, Refusal> {
        let mut publisher = self.beside(partner, main).publisher();
        let waiting = publisher.staged()?;
        publisher.approve(waiting.version, waiting.manifest, DecidedBy::Operator, Timestamp::now())
    }
}

impl Neighbour {
    /// Its hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.deployment.hub
    }

    /// Stops its hub.
    pub async fn stop(self) {
        self.deployment.stop().await;
    }

    /// Replaces the words of a page, or adds the page.
    pub fn edit(&self, path: &str, words: &str) {
        write(&self.hub().config.site.join(content_file(path)), &page(path, words));
    }

    /// Writes a file below its folder.
    pub fn write_main(&self, file: &str, text: &str) {
        write(&self.hub().config.site.join(file), text);
    }

    /// Publishes it as it stands to `partner`.
    ///
    /// # Errors
    /// What the partner, or the way to it, said.
    pub async fn publish(&self, partner: &str) -> Result<(), PublishError> {
        let site = self.deployment.site().unwrap_or_else(|error| panic!("`{}` cannot be read: {error:#}", self.id));
        let outcomes = self.hub().publish(&site, &[site_id(partner)], Rejected::Skip).await?;
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))
    }

    /// Fetches, verifies and cosigns what `partner` has logged beside it.
    pub async fn collect(&self, partner: &str) -> Vec<Collected> {
        let row = self.hub().partner(&site_id(partner)).await;
        let row = row.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"));
        let collected = self.hub().collect(&row).await;
        collected.unwrap_or_else(|error| panic!("collecting from `{partner}`:\n{}", crate::told(&error)))
    }

    /// Makes the statement of `month`, and hands it over.
    pub async fn statement(&self, partner: &str, month: Month) -> Delivered {
        let row = self.hub().partner(&site_id(partner)).await;
        let row = row.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"));
        let delivered = self.hub().statement(&row, month, Timestamp::now()).await;
        delivered.unwrap_or_else(|error| panic!("the statement of `{partner}`:\n{}", crate::told(&error)))
    }
}

/// An address of this machine that is free at the moment.
pub fn free_address() -> SocketAddr {
    port::free_address().unwrap_or_else(|error| panic!("no port: {error}"))
}
