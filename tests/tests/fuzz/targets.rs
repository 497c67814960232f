//! What is fuzzed: a parser, its seeds, and how much it may allocate.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::Contract;
use tieup_protocol::delta::{Assembly, InvalidDelta, Step};
use tieup_protocol::digest::Digest;
use tieup_protocol::joining::{Invitation, Secret};
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::patch;
use tieup_protocol::path::SitePath;
use tieup_protocol::wire::{
    Cosigned, JoinGrant, JoinRequest, Offer, PartnerStatus, Problem, Ready, Staged, StatementNotice, StatementStatus,
    Wanted,
};
use tieup_store::audit::{Between, SignedEnd};
use tieup_store::blobs::BlobStore;
use tieup_store::journal::{InclusionProof, SignedCheckpoint, TilePath, split_bundle};
use tieup_syncd::trust::{TrustState, verify_metadata};
use tieup_tests::world::{MAIN, site_id};

use crate::corpus::{Corpus, json};

/// The most bytes that a patch may make here.
const MOST_PATCHED: u64 = 1 << 20;

/// The number of the document that is a new root.
const ROOT: u8 = 3;

/// A parser: what it reads it writes again; none is what it refuses.
type Parser<'a> = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + 'a>;

/// One parser under test.
pub(crate) struct Target<'a> {
    /// What it reads.
    pub(crate) name: &'static str,
    /// How many bytes it may allocate for each byte of its input.
    pub(crate) growth: usize,
    pub(crate) seeds: Vec<Vec<u8>>,
    pub(crate) parse: Parser<'a>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        name: &'static str,
        growth: usize,
        seeds: Vec<Vec<u8>>,
        parse: impl Fn(&[u8]) -> Option<Vec<u8>> + 'a,
    ) -> Self {
        Self { name, growth, seeds, parse: Box::new(parse) }
    }
}

/// Every parser that a peer reaches.
pub(crate) fn targets(corpus: &Corpus) -> Vec<Target<'_>> {
    let mut targets = vec![
        Target::new("manifest", 64, vec![corpus.manifest.to_bytes(), corpus.base.to_bytes()], |bytes| {
            Manifest::parse(bytes).ok().map(|manifest| manifest.to_bytes())
        }),
        Target::new("step of a delta", 64, corpus.steps.clone(), |bytes| {
            let encoded = Step::decode(bytes).ok()?.encode();
            Some(encoded[tieup_protocol::delta::STEP_HEAD..].to_vec())
        }),
        Target::new("steps put together", 64, corpus.steps.clone(), |bytes| assembled(corpus, bytes)),
        Target::new("patch", 16, corpus.patches.clone(), |bytes| {
            let made = patch::apply(&corpus.base_page, bytes, MOST_PATCHED).ok()?;
            // A patch has many forms, and what it makes one.
            assert!(made.len() as u64 <= MOST_PATCHED);
            Some(patch::between(&corpus.base_page, &made))
        }),
        Target::new("contract", 4096, vec![corpus.contract.clone().into_bytes()], |bytes| {
            let text = std::str::from_utf8(bytes).ok()?;
            Contract::parse("contract.yaml", text).ok().map(|_| bytes.to_vec())
        }),
        Target::new("token", 64, vec![corpus.token.clone().into_bytes()], |bytes| {
            let token: Invitation = std::str::from_utf8(bytes).ok()?.parse().ok()?;
            Some(token.to_string().into_bytes())
        }),
        Target::new("request path", 64, vec![b"/a%20b/?x=1".to_vec(), b"/ja/%E4%BC%9A/".to_vec()], |bytes| {
            let path = SitePath::from_request(std::str::from_utf8(bytes).ok()?).ok()?;
            // Decoded once, a path stands for itself: it is read as it is written.
            path.as_str().parse::<SitePath>().expect("what was read is a path");
            Some(bytes.to_vec())
        }),
    ];
    targets.extend(messages(corpus));
    targets.extend(crate::calls::targets(corpus));
    targets.extend(crate::records::targets(corpus));
    targets.extend(journals_and_blobs(corpus));
    targets.push(metadata(corpus));
    targets.push(crate::visits::target());
    targets
}

/// The messages of the wire, as JSON.
fn messages(corpus: &Corpus) -> Vec<Target<'_>> {
    let request = JoinRequest {
        partner: corpus.manifest.partner.clone(),
        secret: Secret([7; 32]),
        csr: "-----BEGIN CERTIFICATE REQUEST-----".to_owned(),
        address: "127.0.0.1:1".to_owned().into(),
        journal_key: "key".to_owned(),
    };
    let grant = JoinGrant {
        certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        authority: String::new(),
        root: corpus.trust.root.clone(),
        contract: corpus.contract.clone(),
        cosigner_key: "key".to_owned(),
    };
    let notice = StatementNotice {
        period: corpus.status.journals[0].into(),
        size: 1,
        strikes: Vec::new(),
        record: 0,
        status: StatementStatus::Draft,
        statement: "total: 1 JPY\n".to_owned(),
        revisions: Vec::new(),
        note: None,
    };
    let staged = Staged { release: corpus.status.releases[0].clone() };
    vec![
        message::<Offer>("offer", json(&corpus.offer)),
        message::<Ready>("ready", json(&corpus.ready)),
        message::<Wanted>("wanted", json(&corpus.wanted)),
        message::<Staged>("staged", json(&staged)),
        message::<PartnerStatus>("status", json(&corpus.status)),
        message::<JoinRequest>("request to join", json(&request)),
        message::<JoinGrant>("grant", json(&grant)),
        message::<StatementNotice>("statement notice", json(&notice)),
        message::<Cosigned>(
            "cosigned checkpoint",
            json(&Cosigned { month: notice.period.month(), note: "note".to_owned() }),
        ),
        message::<Problem>("problem", corpus.problem.clone()),
    ]
}

/// A message of the wire, as JSON.
pub(crate) fn message<T: Serialize + DeserializeOwned>(name: &'static str, seed: Vec<u8>) -> Target<'static> {
    Target::new(name, 64, vec![seed], |bytes| serde_json::from_slice::<T>(bytes).ok().map(|message| json(&message)))
}

/// A delta whose second step is any step.
fn assembled(corpus: &Corpus, bytes: &[u8]) -> Option<Vec<u8>> {
    let first = Step::decode(&corpus.steps[0]).ok()?;
    let second = Step::decode(bytes).ok()?;
    let mut assembly = Assembly::begin(&first, Some(&corpus.base)).ok()?;
    for step in [second, Step::End] {
        let patched = |_: &BlobRef, patch: &[u8]| {
            let made = patch::apply(&corpus.base_page, patch, MOST_PATCHED).map_err(|_| InvalidDelta::Unreadable)?;
            Ok::<_, InvalidDelta>(BlobRef::of(&made))
        };
        if assembly.take(step, patched).ok()? {
            break;
        }
    }
    // What was put together is a manifest or is none, whether it is looked at itself or its bytes are.
    let manifest = assembly.finish();
    match Manifest::parse(&manifest.to_bytes()) {
        Ok(read) => assert!(read == manifest && manifest.check().is_ok(), "{manifest:?}"),
        Err(refused) => assert!(manifest.check().is_err(), "{refused}"),
    }
    Some(bytes.to_vec())
}

fn owned(entries: Vec<&[u8]>) -> Vec<Vec<u8>> {
    entries.into_iter().map(<[u8]>::to_vec).collect()
}

fn journals_and_blobs(corpus: &Corpus) -> Vec<Target<'_>> {
    let folder = tempfile::tempdir().expect("a folder for segments");
    let genuine = corpus.base.blobs_in_order();
    vec![
        Target::new("bundle of a journal", 64, vec![corpus.entries.clone()], |bytes| {
            let entries = split_bundle(bytes).ok()?;
            let length = |entry: &[u8]| u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes();
            Some(entries.iter().flat_map(|entry| [length(entry).as_slice(), entry].concat()).collect())
        }),
        Target::new("entry of a journal", 64, split_bundle(&corpus.entries).map(owned).unwrap_or_default(), |bytes| {
            AccessEntry::decode(bytes).ok().map(|entry| entry.encode())
        }),
        Target::new("proof of an entry", 64, vec![corpus.proof.clone()], |bytes| {
            let proof: InclusionProof = std::str::from_utf8(bytes).ok()?.parse().ok()?;
            Some(proof.to_string().into_bytes())
        }),
        Target::new("checkpoint", 64, vec![corpus.checkpoint.clone()], |bytes| {
            let checkpoint = SignedCheckpoint::open(bytes, &corpus.origin, &corpus.journal_key).ok()?;
            assert!(checkpoint.note().starts_with(corpus.origin.as_str()), "a checkpoint of another log");
            Some(bytes.to_vec())
        }),
        Target::new("signature over a trail", 64, vec![corpus.signed.clone()], |bytes| {
            let (main, partner) = (site_id(MAIN), site_id("north"));
            let of = Between { main: &main, partner: &partner };
            SignedEnd::open(bytes, of, std::slice::from_ref(&corpus.journal_key))
                .ok()
                .map(|signed| signed.note().into())
        }),
        Target::new(
            "tile path",
            64,
            vec![b"tile/entries/x001/234.p/5".to_vec(), b"tile/0/x001/234".to_vec()],
            |bytes| {
                let path: TilePath = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                Some(path.to_string().into_bytes())
            },
        ),
        Target::new("segment of blobs", 64, vec![corpus.segment.clone()], move |bytes| {
            let file = folder.path().join("00000001.blobs");
            std::fs::write(file, bytes).expect("the segment is written");
            let store = BlobStore::open(folder.path()).ok()?;
            for blob in &genuine {
                if let Ok(read) = store.read(blob) {
                    assert_eq!(Digest::of(&read), blob.digest, "a blob with other bytes was given out");
                }
            }
            Some(bytes.to_vec())
        }),
    ]
}

/// The metadata of an offer: the first byte says which document the rest is.
fn metadata(corpus: &Corpus) -> Target<'_> {
    let offer = &corpus.offer;
    let documents = [&offer.timestamp, &offer.snapshot, &offer.targets, &corpus.trust.root];
    let seeds = documents.iter().zip(0_u8..).map(|(text, which)| [&[which][..], text.as_bytes()].concat()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let known = TrustState { root: corpus.trust.root.clone(), seen: std::collections::BTreeMap::new() };
    let folder = tempfile::tempdir().expect("a folder for the client");
    Target::new("metadata", 256, seeds, move |bytes| {
        let (which, text) = bytes.split_first()?;
        let text = String::from_utf8(text.to_vec()).ok()?;
        let mut bent = offer.metadata();
        let part = match which % 4 {
            0 => &mut bent.timestamp,
            1 => &mut bent.snapshot,
            2 => &mut bent.targets,
            _ => {
                bent.roots.push(String::new());
                bent.roots.last_mut()?
            }
        };
        // Blanks and keys that are told twice are not signed; what is read is.
        let says_the_same = same_signed(part, &text);
        *part = text;
        let (main, partner) = (&corpus.manifest.main, &corpus.manifest.partner);
        let verified = runtime.block_on(verify_metadata(&bent, main, partner, &known, folder.path())).is_ok();
        assert!(!verified || says_the_same || which % 4 == ROOT, "a forged document was taken");
        verified.then(|| bytes.to_vec())
    })
}

/// Whether two documents say the same in the part that is signed.
///
/// What a document calls itself is not read: its place says what it is, and the signature is checked over the word for
/// that place. So a false word changes nothing, and a document of another role is refused.
fn same_signed(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let signed = |mut document: serde_json::Value| {
        let mut signed = document.get_mut("signed")?.take();
        signed.as_object_mut().map(|fields| fields.remove("_type"));
        Some(signed)
    };
    parse(a).zip(parse(b)).is_some_and(|(a, b)| signed(a) == signed(b))
}
