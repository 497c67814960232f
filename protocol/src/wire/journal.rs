//! How logs are fetched and cosigned, both ways, and what is held against them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::period::Month;

/// A partner wants its journal to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// This month alone; every month if left out.
    #[serde(default)]
    pub month: Option<Month>,
}

/// What main has fetched, verified and cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectGrant {
    /// Month by month.
    pub months: Vec<CollectedMonth>,
}

/// What main has fetched of one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectedMonth {
    /// The month.
    pub month: Month,
    /// How many entries were new.
    pub added: u64,
    /// How many entries main holds and has cosigned now.
    pub size: u64,
}

/// A checkpoint with main's cosignature: main's receipt for the log up to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    /// The journal's month.
    pub month: Month,
    /// The signed note, with main's signature after the partner's.
    pub note: String,
}

/// Main's own log of the pages that main serves, as far as the contract lets the partner verify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MainJournals {
    /// The key that signs it, a C2SP verifier key.
    pub key: String,
    /// The months, oldest first.
    pub months: Vec<Month>,
}

/// A checkpoint of main's own log with the partner's cosignature: the partner's receipt for the log up to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MainReceipt {
    /// The month.
    pub month: Month,
    /// The signed note, with the partner's signature after main's.
    pub note: String,
    /// The key with which the partner cosigns main's log, a C2SP verifier key.
    pub key: String,
}

/// What main answers to a receipt that it was shown with the query `told=time`: since when it has it. To one without it main
/// answers nothing, as it did before this was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptTaken {
    /// When it was durable, by main's clock.
    pub at: Timestamp,
}

/// What a partner's daemon has answered since it was started. An end that meets a field which it does not know passes over
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When the process began; another time is another process, which counts anew.
    pub started: Timestamp,
    /// When this was told, by the same clock.
    pub at: Timestamp,
    /// How many requests it answered and logged since then.
    pub answered: Answered,
    /// How many entries the newest months' journals had then, or more.
    #[serde(default)]
    pub journals: BTreeMap<Month, u64>,
}

/// How many requests were answered and logged, by whose page it was. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// For tie-up pages.
    pub tieup: u64,
    /// For original pages.
    pub original: u64,
    /// For where nothing stands.
    pub nothing: u64,
}
