//! What is published: how much each partner's site holds, as the partner says when it is asked, and what main says itself
//! of advertisements and of goods in limited number. All of it stands in the record that statements go by.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tieup_fees::Ledger as _;
use tieup_protocol::audit::{Actor, AuditEntry, Event};
use tieup_protocol::contract::{Contract, ContractId, Meter, Segment};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::period::Period;
use tieup_protocol::record::{
    Advertisements, EXTENT, Entry, Extent, ExtentGrant, ExtentRequest, Holdings, Offered, Stock, Word,
};
use tieup_web::complaint;
use tokio::task::block_in_place;

use crate::audit::{FetchAuditError, entries_of_all_time};
use crate::database::{DatabaseError, Existing, PartnerRow, Unless};
use crate::partners::{Hub, HubError};
use crate::record::{Noting, RecordError};
use crate::sales::unused;
use crate::statements::StatementFailure;
use crate::terms::governing;

/// For how long about a switch either release is taken for the one that was live: it is noted when it is decided, and when it
/// is done.
const SWITCH: SignedDuration = SignedDuration::from_mins(1);

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
    Record(RecordError),
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
    /// How much main had published there cannot be said.
    #[error(
        "how many pages of main were live at `{partner}` at {at} is not known: {why}; ask its operator what happened, and \
         then again: tieup fee catalogue {partner} --ask MONTH"
    )]
    NotLive {
        /// The partner.
        partner: SiteId,
        /// When.
        at: Timestamp,
        /// Why not.
        why: &'static str,
    },
    /// The partner's audit trail, which says what was live, cannot be had.
    #[error("it is not known which release was live at the partner")]
    Trail(#[from] Box<FetchAuditError>),
}

impl CatalogueError {
    /// Whether the partner was not reached, or did not answer as it must: nothing here failed.
    fn is_of_the_partner(&self) -> bool {
        let is_of_call = |error: &HubError| matches!(error, HubError::Call(_) | HubError::Revoked { .. });
        match self {
            Self::Statement(StatementFailure::Call(_)) => true,
            Self::Statement(StatementFailure::Hub(error)) => is_of_call(error),
            Self::Trail(error) => match &**error {
                FetchAuditError::Call(_)
                | FetchAuditError::NoText(_)
                | FetchAuditError::Refused(..)
                | FetchAuditError::Unsigned(..) => true,
                FetchAuditError::Hub(error) => is_of_call(error),
                FetchAuditError::Key(..)
                | FetchAuditError::Copy(..)
                | FetchAuditError::Busy(..)
                | FetchAuditError::Disk(_) => false,
            },
            _ => false,
        }
    }
}

impl From<RecordError> for CatalogueError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Said(issued) => Self::Issued { issued },
            other => Self::Record(other),
        }
    }
}

/// What main says of a partner's pages from a day on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Its own advertisements on them and the partner's.
    pub ads: Option<(u64, u64)>,
    /// Units of goods in limited number.
    pub offered: Vec<(Word, u64)>,
}

/// What came of asking how much a site held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody was asked: the contract does not charge by it.
    NotCharged,
    /// It stands in the record already.
    Unchanged,
    /// It is in the record now.
    Noted,
}

/// How much a site held when a period ended, or holds now where it has not.
#[derive(Clone, Copy)]
struct Question<'a> {
    /// The contract that governs the period.
    contract: &'a Contract,
    period: Period,
    asker: Asker,
    now: Timestamp,
}

/// Who wants to know.
#[derive(Clone, Copy)]
enum Asker {
    /// Main by itself, before it makes a statement and whenever it collects.
    Daemon,
    /// A person at main, and what is to be done where the statement was issued.
    Person(Existing),
}

impl Question<'_> {
    /// The instant that it is about.
    fn at(&self) -> Timestamp {
        self.now.min(self.period.end(&self.contract.effective.tz))
    }

    /// Whether the period is not over.
    fn is_open(&self) -> bool {
        self.now < self.period.end(&self.contract.effective.tz)
    }

    fn who(&self) -> Actor {
        match self.asker {
            Asker::Daemon => Actor::Daemon,
            Asker::Person(_) => Actor::Main,
        }
    }

    fn unless(&self) -> Unless {
        match self.asker {
            Asker::Person(Existing::Refuse) => Unless::Issued(self.period),
            Asker::Person(Existing::Correct) | Asker::Daemon => Unless::Never,
        }
    }
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
        published: &Published,
        existing: Existing,
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
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
        let unless = match existing {
            Existing::Refuse => Unless::IssuedFrom(since),
            Existing::Correct => Unless::Never,
        };
        self.note_recorded(&entries, unless, noting, now).await?;
        Ok(())
    }

    /// What is to be said where nothing that is agreed on with `partner` goes by what was `published`; nothing without a
    /// contract.
    ///
    /// # Errors
    /// When a contract cannot be read.
    pub async fn unused_catalogue(
        &self,
        partner: &PartnerRow,
        published: &Published,
    ) -> Result<Option<String>, CatalogueError> {
        let goes_by = |contract: &Contract| {
            contract.terms.meters.values().any(|meter| match meter {
                Meter::Advertisements(_) => published.ads.is_some(),
                Meter::Offered(goods) => published.offered.iter().any(|(offered, _)| offered.as_str() == goods),
                _ => false,
            })
        };
        Ok(unused(&self.agreed(partner).await?, "charges by nothing of this", goes_by))
    }

    /// Asks the partner again how much its site held when `period` ended. Where its statement was issued what is new is noted
    /// only to `Correct` it: the next statement charges the difference. Durable on return.
    ///
    /// # Errors
    /// See [`CatalogueError`].
    pub async fn ask_again(
        &self,
        partner: &PartnerRow,
        period: Period,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Asked, CatalogueError> {
        let contract = self.books(partner).await?.contract(period)?;
        let question = Question { contract: &contract, period, asker: Asker::Person(existing), now };
        self.note_holdings(partner, question).await
    }

    /// Asks the partner how much its site held when `period` ended, unless its statement was issued. Where it is not reached,
    /// main's copy of its audit trail says which release was live, and what it said last of its own pages counts.
    ///
    /// # Errors
    /// When something fails here, so that it is to be tried again, or the contract charges by what was never known.
    pub(crate) async fn ask_holdings(
        &self,
        partner: &PartnerRow,
        period: Period,
        now: Timestamp,
    ) -> Result<(), StatementFailure> {
        let books = self.books(partner).await?;
        let (None, Ok(contract)) = (books.notice(period), books.contract(period)) else { return Ok(()) };
        let question = Question { contract: &contract, period, asker: Asker::Daemon, now };
        let Err(error) = self.note_holdings(partner, question).await else { return Ok(()) };
        let failed = |error| StatementFailure::Catalogue(Box::new(error));
        if !error.is_of_the_partner() {
            return Err(failed(error));
        }
        let end = period.end(&contract.effective.tz);
        if self.database.holdings(&partner.id).await?.iter().all(|known| known.at > end) {
            return Err(failed(error));
        }
        warn(partner, &error);
        self.keep_holdings(partner, question, None).await.map(|_| ()).map_err(failed)
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
            Some(Segment { period, contract }) => {
                let question = Question { contract: &contract, period, asker: Asker::Daemon, now };
                self.note_holdings(partner, question).await.map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Asks the partner, and keeps what it says where it changed. Nothing is asked where the contract does not go by it. Of a
    /// period that was issued the next statement charges the difference.
    ///
    /// # Errors
    /// When the partner cannot be asked, has no note of it, which release was live there cannot be said, or the statement was
    /// issued and a person who asked did not say that it is to be corrected.
    async fn note_holdings(&self, partner: &PartnerRow, question: Question<'_>) -> Result<Asked, CatalogueError> {
        if !question.contract.terms.go_by_catalogue() {
            return Ok(Asked::NotCharged);
        }
        let client = self.call(partner).await.map_err(StatementFailure::from)?;
        let asked = ExtentRequest { at: question.at() };
        let grant: ExtentGrant = client.post(EXTENT, &asked).await.map_err(StatementFailure::from)?;
        // After it answered, so that the trail has what the answer goes by.
        self.fetch_trail(partner).await.map_err(Box::new)?;
        self.keep_holdings(partner, question, grant.extent).await
    }

    /// Keeps how much the site held where it changed: main's pages by the release that was live by the partner's audit trail,
    /// whatever release it names, and its own as it `said`, or said last.
    async fn keep_holdings(
        &self,
        partner: &PartnerRow,
        question: Question<'_>,
        said: Option<Extent>,
    ) -> Result<Asked, CatalogueError> {
        let at = question.at();
        let known = self.database.holdings(&partner.id).await?.into_iter().filter(|known| known.at <= at);
        let known = known.max_by_key(|known| known.at);
        let Some(original) = said.map(|said| said.original).or(known.map(|known| known.original)) else {
            return Err(CatalogueError::NotNoted {
                partner: partner.id.clone(),
                at,
                contract: question.contract.id.clone(),
            });
        };
        let (since, release) = self.live_at(partner, said, at).await?;
        let tieup = match known.filter(|known| known.release == release) {
            Some(known) => known.tieup,
            None => self.stock(partner, release, said, at).await?,
        };
        let told = Holdings { at, release, tieup, original };
        // One that was told before, since when nothing changed, says it already; but a period that is over has one of its own,
        // so that what is corrected of the one before changes nothing of it.
        let since = said.map_or(since, |said| said.since.max(since));
        let is_said = |known: Holdings| known.at == at || known.at >= since && question.is_open();
        if known.is_some_and(|known| is_said(known) && Holdings { at, ..known } == told) {
            return Ok(Asked::Unchanged);
        }
        let sentence = |partner: &SiteId, _: &[Entry]| {
            let (tieup, own) = (tieup.pages, original.pages);
            format!("{partner} had {tieup} pages of release {release} and {own} of its own at {at}")
        };
        let noting = Noting { who: question.who(), what: Event::CatalogueNoted, sentence: &sentence };
        let entry = [(partner.id.clone(), Entry::Holdings(told))];
        self.note_recorded(&entry, question.unless(), noting, question.now).await?;
        Ok(Asked::Noted)
    }

    /// Which release was live at `at`, and since when, by main's copies of the partner's audit trail: the last that main made
    /// for it and that went live by then with the manifest that was signed. About a switch, the one that it `said`.
    async fn live_at(
        &self,
        partner: &PartnerRow,
        said: Option<Extent>,
        at: Timestamp,
    ) -> Result<(Timestamp, ReleaseVersion), CatalogueError> {
        let trail = block_in_place(|| entries_of_all_time(&self.mirrors(partner)));
        let trail = trail.map_err(|error| Box::new(FetchAuditError::Copy(partner.id.clone(), error)))?;
        let goes_live = |entry: &&AuditEntry| matches!(entry.what, Event::Live | Event::RolledBack);
        let made = self.database.releases(&partner.id).await?;
        let mut last = None;
        for entry in trail.iter().filter(goes_live).rev() {
            let Some(release) = entry.release.filter(|release| made.iter().any(|made| made.version == *release)) else {
                continue;
            };
            let signed = self.database.manifest(&partner.id, release).await?;
            if signed.is_some_and(|signed| entry.manifest != Some(Digest::of(signed.as_bytes()))) {
                continue;
            }
            let is_said = said.is_some_and(|said| said.release == release);
            if is_said && entry.time <= at + SWITCH {
                return Ok((entry.time, release));
            }
            if entry.time <= at {
                last = last.or(Some((entry.time, release)));
                if entry.time + SWITCH <= at {
                    break;
                }
            }
        }
        let why = "its audit trail has no release of main that was live by then";
        last.ok_or_else(|| CatalogueError::NotLive { partner: partner.id.clone(), at, why })
    }

    /// How much main published with `release`: by its own manifest, or as the partner `said` of it where that was forgotten.
    async fn stock(
        &self,
        partner: &PartnerRow,
        release: ReleaseVersion,
        said: Option<Extent>,
        at: Timestamp,
    ) -> Result<Stock, CatalogueError> {
        let signed = self.database.manifest(&partner.id, release).await?;
        if let Some(manifest) = signed.and_then(|text| Manifest::parse(text.as_bytes()).ok()) {
            return Ok(manifest.stock());
        }
        let why = "by its audit trail it was a release of which main has no manifest any more";
        let said = said.filter(|said| said.release == release).map(|said| said.tieup);
        said.ok_or_else(|| CatalogueError::NotLive { partner: partner.id.clone(), at, why })
    }
}

fn warn(partner: &PartnerRow, error: &CatalogueError) {
    let words = complaint::render(error);
    tracing::warn!(partner = %partner.id, "it is not known anew how much the site holds\n{words}");
}
