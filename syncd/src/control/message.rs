//! What an operator may ask of the daemon, and what it answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::difference::Difference;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Decision, Dispute};
use tieup_protocol::drift::GuardReport;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::location::{Located, LocatedHoldings};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{LocatedRecord, Sale};
use tieup_protocol::strike::{KeptStrike, Numbers};
use tieup_protocol::wire::{CollectedMonth, PartnerStatus, StatementVerdict};

use crate::prompt::PromptStatus;
use crate::publisher::RefusedOriginals;

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// How things stand.
    Status,
    /// What a release would change; the staged one where none is named.
    Diff {
        /// The release.
        version: Option<ReleaseVersion>,
    },
    /// Make a staged release live.
    Approve {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
    },
    /// Let a release go live at a time.
    Schedule {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// When.
        at: Timestamp,
    },
    /// Put a release aside.
    Hold {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// Why.
        reason: Option<String>,
    },
    /// Let go of a held release.
    Release {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
    },
    /// What the changed originals that wait would change.
    DiffOriginals,
    /// Make the changed originals public.
    ApproveOriginals {
        /// What the operator has read about.
        digest: Digest,
    },
    /// Refuse a staged release.
    Reject {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// Why.
        reason: String,
    },
    /// Go back to an earlier release; the last one where none is named.
    RollBack {
        /// The release.
        version: Option<ReleaseVersion>,
    },
    /// Write a release into a folder; the live one where none is named.
    Export {
        /// The release.
        version: Option<ReleaseVersion>,
        /// The folder, which must not be there yet.
        to: PathBuf,
    },
    /// Make a one-time link that signs in to the console.
    SignIn,
    /// Declare an emergency.
    BeginEmergency {
        /// Why.
        reason: String,
    },
    /// End it.
    EndEmergency,
    /// Read everything that is stored, and mend what can be mended.
    Guard,
    /// Let main fetch what is new in the journal.
    ReturnJournal {
        /// This month alone.
        month: Option<Month>,
    },
    /// Fetch what is new in main's own log, verify it and cosign it.
    VerifyMainJournal,
    /// Compute a period's statement and compare it with main's.
    VerifyFee {
        /// The period.
        #[serde(rename = "month")]
        period: Period,
    },
    /// List the sales of a period that main has told.
    Sales {
        /// The period.
        period: Period,
    },
    /// Dispute main's statement for a period.
    DisputeFee {
        /// The period.
        #[serde(rename = "month")]
        period: Period,
        /// Why.
        reason: String,
        /// Entries that main is asked to strike out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strike: Option<Numbers>,
    },
    /// What is proposed to be struck out, and what was answered.
    Strikes,
    /// Propose to main to strike out entries.
    ProposeStrike {
        /// The month of the log.
        month: Month,
        /// Which entries.
        entries: Numbers,
        /// Why.
        reason: String,
    },
    /// Answer what main has proposed to strike out.
    AnswerStrike {
        /// Its digest, or the beginning of it.
        strike: String,
        /// Whether the entries are left out.
        decision: Decision,
        /// Why.
        answer: String,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Command::Status`], and to what an operator did about an emergency.
    Status {
        /// How things stand.
        status: Box<PartnerStatus>,
        /// How the operator was told of what waits, way by way.
        #[serde(default)]
        prompts: Vec<PromptStatus>,
        /// That the main site has revoked this partner, in a sentence, where it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked: Option<String>,
        /// Why the partner's own pages are not public as they are, where that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        originals: Option<RefusedOriginals>,
        /// What is to be known of the certificate that visitors are shown, a sentence each. The command that asks adds it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        https: Vec<String>,
        /// What was refused of the main site's own log, a sentence each. The command that asks adds it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        main_log: Vec<String>,
    },
    /// To [`Command::Diff`].
    Diff {
        /// Edits in groups, and names.
        difference: Difference,
    },
    /// To [`Command::ApproveOriginals`].
    Originals {
        /// How many paths changed.
        paths: usize,
    },
    /// To [`Command::Guard`].
    Guard {
        /// What was found.
        report: GuardReport,
    },
    /// To a decision.
    Release {
        /// The release as it stands now.
        release: ReleaseRecord,
    },
    /// To [`Command::Export`].
    Exported {
        /// The release.
        version: ReleaseVersion,
        /// The folder.
        to: PathBuf,
        /// How many blobs it holds.
        blobs: usize,
    },
    /// To [`Command::SignIn`].
    SignIn {
        /// The link. Whoever opens it first may sign in.
        link: String,
        /// For how many minutes it is good.
        minutes: i64,
    },
    /// To [`Command::ReturnJournal`].
    Returned {
        /// What main has taken, month by month.
        months: Vec<CollectedMonth>,
    },
    /// To [`Command::VerifyMainJournal`].
    MainVerified {
        /// What was verified, month by month.
        months: Vec<CollectedMonth>,
    },
    /// To [`Command::VerifyFee`].
    Fee {
        /// The partner's own statement.
        statement: String,
        /// How it compares.
        verdict: StatementVerdict,
        /// When main signed its own; none for a draft.
        #[serde(default)]
        issued: Option<Timestamp>,
        /// The first hour and entry that differ, where any do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        located: Option<Box<Located>>,
        /// The first entry of main's record that it has otherwise now than it told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<Box<LocatedRecord>>,
        /// How much the site held, where main goes by another size than is noted here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holdings: Option<Box<LocatedHoldings>>,
        /// Why it is not known where they differ, outermost cause first; empty where it is.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_located: Vec<String>,
        /// The dispute of main's statement, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dispute: Option<Box<Dispute>>,
    },
    /// To [`Command::Sales`].
    Sales {
        /// The period.
        period: Period,
        /// The sales, by name.
        sales: Vec<Sale>,
    },
    /// To [`Command::DisputeFee`].
    Disputed {
        /// The dispute, which main has taken.
        dispute: Box<Dispute>,
    },
    /// To what is asked about strikes.
    Strikes {
        /// Those that are meant.
        strikes: Vec<KeptStrike>,
        /// Why some of them have no effect although they are agreed on, by their digests.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        without_effect: BTreeMap<Digest, String>,
    },
    /// It was not done.
    Refused {
        /// The error and its causes, outermost first.
        causes: Vec<String>,
    },
}
