//! Real messages of a real push, from which every input is made.

use std::fs;

use serde::Serialize;
use tieup_protocol::delta::{STEP_HEAD, Step, difference};
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::patch;
use tieup_protocol::wire::{Offer, PartnerStatus, Ready, STATUS, Wanted};
use tieup_store::journal::{InclusionProof, JournalReader, LogVerifier, Origin};
use tieup_syncd::trust::TrustState;
use tieup_tests::issuing::row;
use tieup_tests::journal::files_below;
use tieup_tests::parcel;
use tieup_tests::world::{MAIN, site_id};
use tieup_tests::{Contract, World};

/// What went over the line, and what lies on the disk afterwards.
pub(crate) struct Corpus {
    pub(crate) contract: String,
    pub(crate) token: String,
    pub(crate) manifest: Manifest,
    /// The release that the steps begin with, and its content.
    pub(crate) base: Manifest,
    pub(crate) base_page: Vec<u8>,
    /// The steps from the base to the manifest, without their lengths.
    pub(crate) steps: Vec<Vec<u8>>,
    pub(crate) patches: Vec<Vec<u8>>,
    pub(crate) offer: Offer,
    pub(crate) trust: TrustState,
    pub(crate) ready: Ready,
    pub(crate) wanted: Wanted,
    pub(crate) status: PartnerStatus,
    pub(crate) problem: Vec<u8>,
    pub(crate) checkpoint: Vec<u8>,
    pub(crate) origin: Origin,
    pub(crate) journal_key: LogVerifier,
    pub(crate) signed: Vec<u8>,
    pub(crate) entries: Vec<u8>,
    pub(crate) proof: Vec<u8>,
    pub(crate) segment: Vec<u8>,
    /// The certificate of main's authority, and its list of revoked certificates.
    pub(crate) authority: String,
    pub(crate) revocations: String,
}

impl Corpus {
    /// Publishes twice, visits, collects, and keeps all that was said.
    pub(crate) async fn of_a_push() -> Self {
        let plan = World::new().main_page("/about/", "We mend lamps.").main_page("/ja/会社/", "ランプ");
        let contract = Contract::inherited().auto(r#"[{paths: "/news/**", only: text, max_bytes: 20k}]"#);
        let world = plan.contract("north", contract).original("north", "/local/", "Our own shelf.").start().await;
        world.go_live("north").await;
        let (base, before) = (world.manifest("north", 1), world.built("north"));
        world.get("north", "/about/").await;
        world.collect("north").await;
        world.edit("/about/", "We mend everything.");
        let (manifest, after) = (world.manifest("north", 2), world.built("north"));
        let patch =
            |old: &BlobRef, new: &BlobRef| Some(patch::between(before.blob(&old.digest)?, after.blob(&new.digest)?));
        let (mut steps, mut patches) = (Vec::new(), Vec::new());
        let digest = BlobRef::of(&base.to_bytes()).digest;
        let with_patch = |old: &BlobRef, new: &BlobRef| {
            let made = patch(old, new)?;
            patches.push(made.clone());
            Some(made)
        };
        difference(Some((&digest, &base)), &manifest, with_patch, |step: Step| {
            steps.push(step.encode()[STEP_HEAD..].to_vec());
        });
        let about = "/about/";
        let base_page = before.blob(&base.entries[about].blob.digest).unwrap().to_vec();
        let client = world.call("north").await;
        let genuine = world.offer("north", 2).await;
        let ready = parcel::announce(&client, &genuine.offer).await.unwrap();
        let wanted = parcel::send_steps(&client, &parcel::steps(None, &manifest)).await.unwrap();
        let status = client.get(STATUS).await.unwrap();
        let refused = parcel::send_blobs(&client, b"no stream".to_vec()).await.unwrap_err();
        let journal = world.state("north").join(format!("journal/{}", world.month("north")));
        let trust = fs::read(world.state("north").join("trust.json")).unwrap();
        let segment =
            files_below(&world.state("north").join("blobs")).into_iter().find(|(path, _)| path.extension().is_some());
        let (origin, journal_key) =
            (Origin::new(&site_id(MAIN), &site_id("north"), world.month("north")), world.journal_key("north"));
        let reader = JournalReader::open(&journal).unwrap();
        world.hub().fetch_audit(&row(&world, "north").await).await.unwrap();
        let signed = fs::read(world.mirrors("north").join("audit.signed")).unwrap();
        let proof = InclusionProof::of(&reader, 0, &origin, &journal_key).unwrap().to_string().into_bytes();
        world.hub().revoke_tls(jiff::Timestamp::now()).await.unwrap();
        let invitation = world.hub().invite(&site_id("north"), jiff::Timestamp::now()).await.unwrap();
        Self {
            contract: world.built("north").contract().to_owned(),
            token: invitation.to_string(),
            manifest,
            base,
            base_page,
            steps,
            patches,
            offer: genuine.offer,
            trust: serde_json::from_slice(&trust).unwrap(),
            ready,
            wanted,
            status,
            problem: json(refused.problem().unwrap()),
            checkpoint: fs::read(journal.join("checkpoint")).unwrap(),
            signed,
            origin,
            journal_key,
            proof,
            entries: fs::read(journal.join("entries")).unwrap(),
            segment: segment.unwrap().1,
            authority: world.daemon("north").identity().authority.clone(),
            revocations: world.hub().tls().revocations().current().pem().to_owned(),
        }
    }
}

/// A message as it travels.
pub(crate) fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}
