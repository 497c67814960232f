//! What is published: how much each partner's site holds, as the partner says when it is asked, and what main says itself
//! of advertisements and of goods in limited number. All of it stands in the record that statements go by.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use tieup_protocol::audit::{Actor, Event};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::period::Period;
use tieup_protocol::record::{
    Advertisements, EXTENT, Entry, Extent, ExtentGrant, ExtentRequest, Holdings, Offered, Stock, Word,
};

use crate::database::{DatabaseError, Existing, PartnerRow};
use crate::partners::Hub;
use crate::record::{Noting, RecordError};
use crate::statements::StatementFailure;

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
    /// The day is of a month that was issued, or before one.
    #[error("a statement for {issued} has been issued, and goes by what was said then: say since when, after {issued}")]
    Issued {
        /// The newest period that was issued.
        issued: Period,
    },
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
    /// Notes what main says itself from day `since` on. Durable on return.
    ///
    /// # Errors
    /// See [`CatalogueError`].
    pub async fn note_published(
        &self,
        partner: &PartnerRow,
        since: Date,
        published: &Published,
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        let issued = self.database.issued(&partner.id).await?;
        if let Some(issued) = issued.iter().map(|notice| notice.period).max().filter(|period| since <= period.last()) {
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

    /// Asks the partner how much its site holds now, or held when `period` ended, and keeps it where it changed. Nothing is
    /// asked where the contract does not go by it.
    ///
    /// # Errors
    /// When the partner cannot be asked, or the database fails.
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
        let Some(Extent { since, release, tieup, original }) = grant.extent else { return Ok(()) };
        let tieup = self.stock_of(partner, release).await?.unwrap_or(tieup);
        let told = Holdings { at, release, tieup, original };
        let known = self.database.holdings(&partner.id).await?.into_iter().filter(|known| known.at <= at);
        // One that was told before, since when nothing changed, says it already.
        let is_known = known
            .max_by_key(|known| known.at)
            .is_some_and(|known| known.at >= since && Holdings { at, ..known } == told);
        if is_known {
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

    /// How much main published with a release, by its own manifest; none where that was forgotten.
    async fn stock_of(&self, partner: &PartnerRow, release: ReleaseVersion) -> Result<Option<Stock>, DatabaseError> {
        let manifest = self.database.manifest(&partner.id, release).await?;
        Ok(manifest.and_then(|text| Manifest::parse(text.as_bytes()).ok()).map(|manifest| manifest.stock()))
    }
}
