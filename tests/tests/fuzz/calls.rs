//! What else is said between main and partner besides releases: certificates, what is revoked, journals, heartbeats, disputes
//! and strikes.

use tieup_protocol::dispute::{Claim, Decision, Opened, Ruling};
use tieup_protocol::drift::{Drift, GuardReport};
use tieup_protocol::period::Month;
use tieup_protocol::strike::{Checkpoint, Party, Strike, StrikeAnswer, StrikeRefused};
use tieup_protocol::wire::{
    Answered, CollectGrant, CollectRequest, CollectedMonth, Fresh, Heartbeat, MainJournals, MainReceipt, Metadata,
    RenewGrant, RenewRequest, StatementVerdict,
};
use tieup_web::authority::{Authority, KeyRequest};
use tieup_web::revocation::RevocationList;

use crate::corpus::{Corpus, json};
use crate::targets::{Target, message};

/// The parsers of what partner and main say of themselves.
pub(crate) fn targets(corpus: &Corpus) -> Vec<Target<'_>> {
    let month = corpus.status.journals[0];
    let mut targets = vec![certificates(corpus), revocations(corpus)];
    targets.extend(journals(month));
    targets.extend(disputes(corpus, month));
    targets.extend(strikes(month));
    targets.push(message::<Metadata>("statement of freshness", json(&corpus.offer.metadata())));
    targets.push(message::<Fresh>("fresh", json(&Fresh { until: corpus.status.releases[0].since })));
    targets.push(message::<GuardReport>("report of the guard", json(&report(corpus))));
    targets
}

/// A request for a certificate, of which the hub reads the key and verifies the signature.
fn certificates(corpus: &Corpus) -> Target<'_> {
    let partner = &corpus.manifest.partner;
    let request = KeyRequest::create(partner).expect("a key is made");
    let renewal = RenewRequest { partner: partner.clone(), csr: request.csr.clone() };
    let seeds = vec![request.csr.into_bytes(), json(&renewal), json(&RenewGrant { certificate: "PEM".to_owned() })];
    Target::new("certificate request", 256, seeds, move |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        if let Ok(renewal) = serde_json::from_str::<RenewRequest>(text) {
            return Some(json(&renewal));
        }
        if let Ok(grant) = serde_json::from_str::<RenewGrant>(text) {
            return Some(json(&grant));
        }
        let key = Authority::requested_key(text).ok()?;
        assert_eq!(key, request.public_key, "a key that nobody has was taken");
        Some(bytes.to_vec())
    })
}

/// A list of revoked certificates, which nobody but main's authority can make.
fn revocations(corpus: &Corpus) -> Target<'_> {
    let list = corpus.revocations.clone().into_bytes();
    let known = RevocationList::parse(&corpus.revocations, &corpus.authority).expect("the genuine list is read");
    Target::new("list of revoked certificates", 256, vec![list], move |bytes| {
        let list = RevocationList::parse(std::str::from_utf8(bytes).ok()?, &corpus.authority).ok()?;
        assert_eq!((list.number(), list.until()), (known.number(), known.until()), "a forged list was taken");
        Some(bytes.to_vec())
    })
}

fn journals(month: Month) -> Vec<Target<'static>> {
    let collected = CollectGrant { months: vec![CollectedMonth { month, added: 1, size: 2 }] };
    let journals = MainJournals { key: "key".to_owned(), months: vec![month] };
    let receipt = MainReceipt { month, note: "note".to_owned(), key: "key".to_owned() };
    let started = jiff::Timestamp::UNIX_EPOCH;
    let answered = Answered { tieup: 1, original: 2, nothing: 3 };
    let heartbeat = Heartbeat { started, at: started, answered, journals: [(month, 3)].into() };
    vec![
        message::<CollectRequest>("request to collect", json(&CollectRequest { month: Some(month) })),
        message::<CollectGrant>("what was collected", json(&collected)),
        message::<MainJournals>("main's journals", json(&journals)),
        message::<MainReceipt>("receipt for main's journal", json(&receipt)),
        message::<Heartbeat>("heartbeat", json(&heartbeat)),
    ]
}

fn disputes(corpus: &Corpus, month: Month) -> Vec<Target<'static>> {
    let statement = corpus.status.releases[0].manifest;
    let verdict = StatementVerdict::Identical;
    let claim =
        Claim { period: month.into(), statement, reason: "too much".to_owned(), verdict, located: None, strike: None };
    let decided = jiff::Timestamp::UNIX_EPOCH;
    let ruling =
        Ruling { period: month.into(), statement, decision: Decision::Rejected, answer: "no".to_owned(), decided };
    vec![
        message::<Claim>("claim", json(&claim)),
        message::<Opened>("opened dispute", json(&Opened { opened: decided })),
        message::<Ruling>("ruling", json(&ruling)),
    ]
}

fn strikes(month: Month) -> Vec<Target<'static>> {
    let proposed = jiff::Timestamp::UNIX_EPOCH;
    let root_at = |size| Ok::<_, StrikeRefused>(format!("root{size}"));
    let checkpoint = Some(Checkpoint { size: 9, root: "root9".to_owned() });
    let (log, entries, reason) = (format!("main/north/{month}"), "3,7-8".parse(), "a robot".to_owned());
    let entries = entries.expect("they are numbers");
    let strike = Strike { month, log: log.clone(), checkpoint, entries, reason, by: Party::Main, proposed };
    assert_eq!(strike.check(&log, 9, root_at), Ok(()), "no seed is taken");
    let from_before = Strike { checkpoint: None, ..strike.clone() };
    let (decision, answer) = (Decision::Accepted, "yes".to_owned());
    let answer = StrikeAnswer { strike: strike.digest(), decision, answer, decided: proposed };
    vec![
        Target::new("strike", 256, vec![json(&strike), json(&from_before)], move |bytes| {
            let strike: Strike = serde_json::from_slice(bytes).ok()?;
            // Whatever it says, it is either of entries that are there, or refused.
            if strike.check(&log, 9, root_at).is_ok() {
                assert!(strike.entries.last() < 9 && strike.checkpoint.is_some(), "{strike:?}");
            }
            assert_eq!(strike.entries.iter().count() as u64, strike.entries.count());
            Some(json(&strike))
        }),
        message::<StrikeAnswer>("answer to a strike", json(&answer)),
    ]
}

fn report(corpus: &Corpus) -> GuardReport {
    let blobs = corpus.base.blobs_in_order();
    let drift = Drift {
        since: corpus.status.releases[0].since,
        blobs: blobs.into_iter().take(2).collect(),
        documents: vec![corpus.status.releases[0].manifest],
        paths: corpus.base.entries.keys().take(1).cloned().collect(),
    };
    GuardReport { checked: None, restored: 1, drift: Some(drift) }
}
