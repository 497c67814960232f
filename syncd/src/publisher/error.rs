//! Why a step was not taken.

use std::path::PathBuf;

use tieup_protocol::approval::IllegalStep;
use tieup_protocol::contract::ContractId;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::path::InvalidPath;
use tieup_protocol::period::{Period, Zone};
use tieup_store::audit::AuditError;
use tieup_store::blobs::ReadBlobError;
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::releases::ReleasesError;

use super::{RefusedOriginals, holdings};
use crate::candidate::CandidateError;
use crate::trust::OfferRefused;

/// Why a step was not taken. The public site is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalStep),
    /// There is no such release here.
    #[error("there is no release {0} here")]
    Unknown(ReleaseVersion),
    /// Nothing waits for a decision.
    #[error("no release is waiting for a decision")]
    NothingStaged,
    /// No earlier release to go back to.
    #[error("there is no earlier release to roll back to")]
    NothingRetired,
    /// Release and originals do not fit together, or one of them has errors.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// A page could not be read.
    #[error("a stored page cannot be read")]
    Blob(#[from] ReadBlobError),
    /// The releases folder failed.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// The live document failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A kept release is damaged.
    #[error("release {0} cannot be read back")]
    Damaged(ReleaseVersion, #[source] Box<OfferRefused>),
    /// A number that has been decided on came again with other content.
    #[error("release {0} is {1} here with other content: changed content needs a higher number")]
    Decided(ReleaseVersion, &'static str),
    /// What was decided could not be written down, so it was not done.
    #[error("the audit trail could not be continued")]
    Audit(#[from] AuditError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A release that was overwritten.
    #[error(
        "release {0} cannot be rolled back to: the contract's strategy is to overwrite, so only the last one is kept"
    )]
    Overwritten(ReleaseVersion),
    /// A release of which only the history is kept.
    #[error("release {0} was swept: of releases that were live before, the last {kept} are kept", kept = holdings::RETIRED_KEPT)]
    Swept(ReleaseVersion),
    /// The contract does not speak of the operator's emergencies.
    #[error("the contract does not let you declare an emergency: its `rights.override` is not `emergency`")]
    NoEmergencyRight,
    /// None is declared.
    #[error("no emergency is declared")]
    NoEmergency,
    /// No changed originals wait.
    #[error("no changed pages of your own are waiting")]
    NoOriginals,
    /// The originals have errors, or conflict with main's pages.
    #[error("your own pages are not published since {}; the site stays as it was\n{}", .0.since.strftime("%Y-%m-%d %H:%M UTC"), .0.reason)]
    OriginalsRefused(RefusedOriginals),
    /// The originals changed after they were read about.
    #[error("your own pages changed since you looked: read the change again, then decide")]
    OtherOriginals,
    /// A file among the originals cannot be kept.
    #[error("the file {0} cannot be kept: its name is not one that every system can have")]
    OriginalName(String, #[source] InvalidPath),
    /// A file among the originals cannot be read.
    #[error("your own pages cannot be read: {0}")]
    OriginalFile(PathBuf, #[source] std::io::Error),
    /// The contract is neither the one in force nor a later one.
    #[error("contract {0} is not the one in force here: changed terms need a higher version than {live}", live = .1.version)]
    ContractNotLater(ContractId, ContractId),
    /// The contract would change under which version a statement was issued.
    #[error(
        "contract {0} would take effect in {1}, whose statement was issued under an earlier version: let it take effect \
         after {last}",
        last = .1.last()
    )]
    ReachesBack(ContractId, Period),
    /// Its months are not those of the journal here.
    #[error(
        "contract {contract} has the months of {}, and the journal here those of {}: visits between the two would count in no \
         month, so main's contract needs `tz: {}`",
        .zone.name(), .journal.name(), .journal.name()
    )]
    OtherZone {
        /// The contract.
        contract: ContractId,
        /// Its zone.
        zone: Zone,
        /// The zone in which months of the journal begin.
        journal: Zone,
    },
}
