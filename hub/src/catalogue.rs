//! What is published: how much each partner's site holds, as the partner says when it is asked, and what main says itself
//! of advertisements and of goods in limited number. All of it stands in the record that statements go by.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use tieup_fees::Ledger as _;
use tieup_protocol::audit::{Actor, AuditEntry, Event};
use tieup_protocol::contract::{Contract, ContractId, Segment};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::period::Period;
use tieup_protocol::record::{
    Advertisements, EXTENT, Entry, Extent, ExtentGrant, ExtentRequest, Holdings, Offered, Stock, Word,
};
use tieup_web::complaint;
use tokio::task::block_in_place;

use crate::audit::FetchAuditError;
use crate::database::{DatabaseError, Existing, PartnerRow};
use crate::partners::Hub;
use crate::record::{Noting, RecordError};
use crate::statements::StatementFailure;
use crate::terms::governing;

/// Why something was not noted.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// What was issued, or the contract, cannot be read.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// It was not put into the record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The day is of a period that was issued, or before one.
    #[error(
        "a statement for {issued} has been issued, and goes by what was said then: with --correct the next statement \
         charges the difference"
    )]
    Issued {
        /// The last period that was issued.
        issued: Period,
    },
    /// The partner has no note of that time.
    #[error(
        "`{partner}` has no note of how much its site held at {at}, and contract {contract} charges by that: no release was \
         live there by then; let the version of the contract take effect after that, or charge by something else"
    )]
    NotNoted {
        /// The partner.
        partner: SiteId,
        /// When.
        at: Timestamp,
        /// What charges by it.
        contract: ContractId,
    },
    /// The partner names a release that cannot have been live.
    #[error(
        "`{partner}` says that release {release} was live at {at}, and {why}: ask its operator what happened; what it said \
         before counts until then"
    )]
    NotLive {
        /// The partner.
        partner: SiteId,
        /// The release.
        release: ReleaseVersion,
        /// When.
        at: Timestamp,
        /// Why it was not.
        why: &'static str,
    },
    /// The partner's audit trail, which says what was approved, cannot be had.
    #[error("it is not known which release was live at the partner")]
    Trail(#[from] Box<FetchAuditError>),
}

/// What main says of a partner's pages from a day on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Its own advertisements on them and the partner's.
    pub ads: Option<(u64, u64)>,
    /// Units of goods in limited number.
    pub offered: Vec<(Word, u64)>,
}

impl Hub {
    /// Notes what main says itself from day `since` on. What is said of a period that was issued is said to `Correct` it: the
    /// next statement charges the difference. Durable on return.
    ///
    /// # Errors
    /// See [`CatalogueError`].
    pub async fn note_published(
        &self,
        partner: &PartnerRow,
        since: Date,
        (published, existing): (&Published, Existing),
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        let issued = self.database.issued(&partner.id).await?;
        let issued = issued.iter().map(|notice| notice.period).max().filter(|period| since <= period.last());
        if let Some(issued) = issued.filter(|_| existing == Existing::Refuse) {
            return Err(CatalogueError::Issued { issued });
        }
        let id = &partner.id;
        let mut sentence = format!("{id} since {since}:");
        let mut entries = Vec::new();
        if let Some((main, partner)) = published.ads {
            let _ = write!(sentence, " {main} advertisements of main, {partner} of the partner");
            entries.push((id.clone(), Entry::Advertisements(Advertisements { since, main, partner })));
        }
        for (goods, units) in &published.offered {
            let _ = write!(sentence, " {units} of {goods} offered");
            entries.push((id.clone(), Entry::Offered(Offered { since, goods: goods.clone(), units: *units })));
        }
        let sentence = |_: &SiteId, _: &[Entry]| sentence.clone();
        let noting = Noting { who: Actor::Main, what: Event::CatalogueNoted, sentence: &sentence };
        self.note_recorded(&entries, Existing::Correct, noting, now).await?;
        Ok(())
    }

    /// Asks the partner again how much its site held when `period` ended. Where its statement was issued that is done to
    /// `Correct` it: the next statement charges the difference. Durable on return.
    ///
    /// # Errors
    /// See [`CatalogueError`].
    pub async fn ask_again(
        &self,
        partner: &PartnerRow,
        period: Period,
        existing: Existing,
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        let books = self.books(partner).await?;
        if books.notice(period).is_some() && existing == Existing::Refuse {
            return Err(CatalogueError::Issued { issued: period });
        }
        let contract = books.contract(period)?;
        self.note_holdings(partner, &contract, period, now).await
    }

    /// Asks the partner how much its site held when `period` ended, unless its statement was issued. Where it cannot be
    /// asked, or what it says is not taken, what it said last before counts.
    ///
    /// # Errors
    /// When the contract charges by what was never known.
    pub(crate) async fn ask_holdings(
        &self,
        partner: &PartnerRow,
        period: Period,
        now: Timestamp,
    ) -> Result<(), StatementFailure> {
        let books = self.books(partner).await?;
        let (None, Ok(contract)) = (books.notice(period), books.contract(period)) else { return Ok(()) };
        let Err(error) = self.note_holdings(partner, &contract, period, now).await else { return Ok(()) };
        let end = period.end(&contract.effective.tz);
        if self.database.holdings(&partner.id).await?.iter().all(|known| known.at > end) {
            return Err(StatementFailure::Catalogue(Box::new(error)));
        }
        warn(partner, &error);
        Ok(())
    }

    /// Asks how much the site holds, so that it is known when the month ends also where the partner is not reached then.
    pub(crate) async fn follow_holdings(&self, partner: &PartnerRow, now: Timestamp) {
        if let Err(error) = self.try_follow_holdings(partner, now).await {
            warn(partner, &error);
        }
    }

    /// By the version of the contract that governs today, of those that the partner has approved.
    async fn try_follow_holdings(&self, partner: &PartnerRow, now: Timestamp) -> Result<(), CatalogueError> {
        match governing(&self.approved(partner).await?, now) {
            Some(Segment { period, contract }) => self.note_holdings(partner, &contract, period, now).await,
            None => Ok(()),
        }
    }

    /// Asks the partner how much its site holds now, or held when `period` ended, and keeps it where it changed. Nothing is
    /// asked where the contract does not go by it. Of a period that was issued the next statement charges the difference.
    ///
    /// # Errors
    /// When the partner cannot be asked, has no note of it, or names a release that cannot have been live.
    pub async fn note_holdings(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        period: Period,
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        if !contract.terms.go_by_catalogue() {
            return Ok(());
        }
        let at = now.min(period.end(&contract.effective.tz));
        let client = self.call(partner).await.map_err(StatementFailure::from)?;
        let grant: ExtentGrant = client.post(EXTENT, &ExtentRequest { at }).await.map_err(StatementFailure::from)?;
        let (id, contract) = (partner.id.clone(), contract.id.clone());
        let extent = grant.extent.ok_or(CatalogueError::NotNoted { partner: id, at, contract })?;
        let Extent { since, release, original, .. } = extent;
        let known = self.database.holdings(&partner.id).await?.into_iter().filter(|known| known.at <= at);
        let known = known.max_by_key(|known| known.at);
        let tieup = match known.filter(|known| known.release == release) {
            Some(known) => known.tieup,
            None => self.stock_of_live(partner, extent, at).await?,
        };
        let told = Holdings { at, release, tieup, original };
        // One that was told before, since when nothing changed, says it already.
        if known.is_some_and(|known| known.at >= since && Holdings { at, ..known } == told) {
            return Ok(());
        }
        let sentence = |partner: &SiteId, _: &[Entry]| {
            let (tieup, own) = (tieup.pages, original.pages);
            format!("{partner} had {tieup} pages of release {release} and {own} of its own at {at}")
        };
        let noting = Noting { who: Actor::Daemon, what: Event::CatalogueNoted, sentence: &sentence };
        self.note_recorded(&[(partner.id.clone(), Entry::Holdings(told))], Existing::Correct, noting, now).await?;
        Ok(())
    }

    /// How much main published with the release that was live by `extent`: by its own manifest, or as the partner says where
    /// that was forgotten. Main must have made it for the partner, and the partner approved it by `at`, as main's copy of its
    /// audit trail has it, with the manifest that was signed.
    async fn stock_of_live(
        &self,
        partner: &PartnerRow,
        Extent { release, tieup, .. }: Extent,
        at: Timestamp,
    ) -> Result<Stock, CatalogueError> {
        let not_live = |why| CatalogueError::NotLive { partner: partner.id.clone(), release, at, why };
        if self.database.releases(&partner.id).await?.iter().all(|made| made.version != release) {
            return Err(not_live("no such release was made for it"));
        }
        let signed = self.database.manifest(&partner.id, release).await?;
        let digest = signed.as_ref().map(|manifest| Digest::of(manifest.as_bytes()));
        let approves = |entry: &AuditEntry| {
            matches!(entry.what, Event::Approved | Event::Live | Event::RolledBack)
                && entry.release == Some(release)
                && digest.is_none_or(|digest| entry.manifest == Some(digest))
                && entry.time <= at
        };
        let is_approved = || {
            let trail = block_in_place(|| self.audit_copy(partner).entries());
            let trail = trail.map_err(|error| Box::new(FetchAuditError::Copy(partner.id.clone(), error)))?;
            Ok::<_, CatalogueError>(trail.iter().any(approves))
        };
        if !is_approved()? {
            self.fetch_audit(partner).await.map_err(Box::new)?;
            if !is_approved()? {
                return Err(not_live("its audit trail has no approval of that by then"));
            }
        }
        let manifest = signed.and_then(|text| Manifest::parse(text.as_bytes()).ok());
        Ok(manifest.map_or(tieup, |manifest| manifest.stock()))
    }
}

fn warn(partner: &PartnerRow, error: &CatalogueError) {
    let words = complaint::render(error);
    tracing::warn!(partner = %partner.id, "it is not known anew how much the site holds\n{words}");
}
