//! Every attack on the way of a release that is laid down below `tests/fixtures/hostile/`, and decisions sent again.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;
use tieup_protocol::delta::{About, Content, Place, Slots, Step};
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::{BlobRef, EntryKind, Manifest};
use tieup_protocol::wire::{MANIFEST, Wanted};
use tieup_protocol::yaml;
use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::parcel::{self, bomb, pack};
use tieup_tests::{Kept, World, assert_says, told};
use tieup_web::client::{CallError, PeerClient};

use crate::settled;

/// Fewer cases than this, and some were lost.
const CASES: usize = 34;

/// The number that every case's release has.
const NUMBER: u64 = 4;

/// One attack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    attack: String,
    refused: String,
    #[serde(default)]
    says: Vec<String>,
    transfer: Transfer,
}

/// What is sent otherwise than main would.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Transfer {
    /// Paths of pages that are signed with the release.
    pages: Vec<String>,
    /// Paths of theme files that are signed with the release.
    framework: Vec<String>,
    /// Paths of files that are told.
    add: Vec<String>,
    /// Paths of theme files that are told.
    add_framework: Vec<String>,
    /// How long the media type of each told file is.
    media_type_mebibytes: usize,
    /// The manifest that it is told against: that of `live`, of `south`, of `nobody`.
    base: Option<String>,
    /// How many files of the base are kept.
    keep: Option<u64>,
    /// A patch for the first file of the base.
    patch: Vec<u8>,
    /// How many times the patch's bytes follow each other, if more than once.
    times: usize,
    /// The announced length of a step that does not come.
    step_length: Option<u32>,
    /// Whether steps that do nothing follow without end.
    idle: bool,
    /// How the files that were asked for are bent: `shorter`, `longer`, `endless`, `other`.
    blobs: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_on_the_way_is_refused_and_changes_nothing() {
    let world = settled().await;
    world.go_live("south").await;
    let mut wrong = Vec::new();
    let cases = cases();
    for (name, case) in &cases {
        println!("{name}");
        if let Err(mistake) = attempt(&world, case).await {
            wrong.push(format!("{name} ({}): {mistake}", case.attack));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= CASES, "there are {} cases", cases.len());
    let client = world.call("north").await;
    world.edit("/about/", "We mend everything.");
    let wanted = parcel::offer(&client, &world.offer("north", NUMBER).await).await.expect("the genuine one is taken");
    parcel::send_blobs(&client, pack(&world.contents("north", &wanted))).await.expect("with its files");
}

/// Sends what the case says, and says what is wrong with how it was answered.
async fn attempt(world: &World, case: &Case) -> Result<(), String> {
    let transfer = &case.transfer;
    // What an earlier case brought may have been kept.
    world.edit("/about/", &case.attack);
    let manifest = transfer.manifest(world);
    let offer = world.sign(&manifest, world.built("north").contract()).await.offer;
    let client = world.call("north").await;
    parcel::announce(&client, &offer).await.map_err(|error| format!("the offer was refused: {}", told(&error)))?;
    let before = world.face("north").await;
    let error = transfer.send(world, &client, &manifest).await.err().ok_or("it was taken")?;
    world.assert_unchanged("north", &before, Kept::All).await;
    let kind = error.problem().map(|problem| problem.kind.clone()).unwrap_or_default();
    if kind != format!("tieup:{}", case.refused) {
        return Err(format!("refused as {kind}, not as {}: {}", case.refused, told(&error)));
    }
    let unsaid = case.says.iter().find(|words| !told(&error).contains(*words));
    unsaid.map_or(Ok(()), |words| Err(format!("{words:?} is not said: {}", told(&error))))
}

impl Transfer {
    /// The manifest that is signed.
    fn manifest(&self, world: &World) -> Manifest {
        let mut manifest = world.manifest("north", NUMBER);
        let page = manifest.entries["/about/"].clone();
        let source = *manifest.framework.values().next().unwrap();
        manifest.entries.extend(self.pages.iter().map(|path| (path.parse().unwrap(), page.clone())));
        manifest.framework.extend(self.framework.iter().map(|path| (path.parse().unwrap(), source)));
        manifest
    }

    async fn send(&self, world: &World, client: &PeerClient, manifest: &Manifest) -> Result<(), CallError> {
        if let Some(how) = &self.blobs {
            let wanted = parcel::send_steps(client, &parcel::steps(None, manifest)).await?;
            let blobs = wanted.of(&manifest.blobs_in_order());
            assert!(!blobs.is_empty(), "nothing was asked for");
            return parcel::send_blobs(client, bent(how, world.contents("north", &blobs))).await.map(drop);
        }
        let is_told = self.pages.is_empty() && self.framework.is_empty();
        let body = if is_told { self.told(world, manifest) } else { pack(&encoded(&parcel::steps(None, manifest))) };
        client.put_body::<Wanted>(MANIFEST, body).await.map(drop)
    }

    /// The steps that are told, packed.
    fn told(&self, world: &World, manifest: &Manifest) -> Vec<u8> {
        let Some(Step::Begin { frame, .. }) = parcel::steps(None, manifest).into_iter().next() else {
            panic!("steps begin with the frame")
        };
        let base = self.base.as_deref().map(|whose| base(world, whose));
        let mut steps = vec![Step::Begin { base: base.map(|digest| *digest.as_bytes()), frame }];
        let places = self.add.iter().cloned().map(Place::Entry);
        let places = places.chain(self.add_framework.iter().cloned().map(Place::Framework));
        steps.extend(places.map(|place| self.added(place)));
        steps.extend(self.keep.map(Step::Keep));
        if !self.patch.is_empty() {
            let content = Content::Patch(self.patch.repeat(self.times.max(1)));
            steps.push(Step::Change { about: None, slots: Slots::Other(Vec::new()), content });
        }
        let mut bytes = encoded(&steps);
        bytes.extend(self.step_length.map(u32::to_be_bytes).into_iter().flatten());
        if self.idle {
            return flood(&bytes, &Step::Keep(0).encode());
        }
        if self.step_length.is_none() {
            bytes.extend(Step::End.encode());
        }
        pack(&bytes)
    }

    fn added(&self, place: Place) -> Step {
        let media_type = "text/html".to_owned() + &" ".repeat(self.media_type_mebibytes << 20);
        let about = About { kind: EntryKind::Page, media_type };
        Step::Add { place, about, slots: Vec::new(), content: BlobRef::of(b"x").into() }
    }
}

/// The digest of a manifest to build on.
fn base(world: &World, whose: &str) -> Digest {
    match whose {
        "live" => world.releases("north")[0].manifest,
        "south" => world.releases("south")[0].manifest,
        _ => Digest::of(b"no manifest"),
    }
}

fn bent(how: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    match how {
        "shorter" => drop(bytes.pop()),
        "longer" => bytes.push(b' '),
        "endless" => return bomb(&bytes, 0, 1024),
        _ => bytes.iter_mut().for_each(|byte| *byte ^= 1),
    }
    pack(&bytes)
}

fn encoded(steps: &[Step]) -> Vec<u8> {
    steps.iter().flat_map(Step::encode).collect()
}

/// `bytes`, then a gigabyte of `unit`, packed.
fn flood(bytes: &[u8], unit: &[u8]) -> Vec<u8> {
    let block = unit.repeat((1 << 20) / unit.len());
    let packed = zstd::Encoder::new(Vec::new(), 3).and_then(|mut encoder| {
        encoder.write_all(bytes)?;
        (0..1024).try_for_each(|_| encoder.write_all(&block))?;
        encoder.finish()
    });
    packed.unwrap_or_else(|error| panic!("zstd: {error}"))
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut cases: Vec<_> = folders.filter_map(|path| read(&path)).collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}

/// The case in a folder, if it is one of a transfer.
fn read(folder: &Path) -> Option<(String, Case)> {
    let file = folder.join("case.yaml");
    let text = fs::read_to_string(&file).ok().filter(|text| text.contains("\ntransfer:\n"))?;
    let case = yaml::parse(&file.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"));
    Some((folder.file_name()?.to_string_lossy().into_owned(), case))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_sent_again_decides_nothing() {
    let world = settled().await;
    let socket = world.partner("north").config.control_socket();
    let decide = |command: &Command| tokio::task::block_in_place(|| ask(&socket, command)).unwrap();
    let refused = |command: &Command, says: &str| match decide(command) {
        Answer::Refused { causes } => assert_says(&causes.join("\n"), &[says]),
        other => panic!("{command:?} was answered by {other:?}"),
    };
    world.edit("/about/", "We mend everything.");
    let second = world.publish("north").await;
    world.edit("/about/", "We mend everything twice.");
    let third = world.publish("north").await;
    let before = world.face("north").await;
    let approve = |version, manifest| Command::Approve { version, manifest };
    refused(&approve(second.version, second.manifest), "superseded");
    refused(&approve(third.version, second.manifest), "");
    world.assert_unchanged("north", &before, Kept::All).await;
    let genuine = approve(third.version, third.manifest);
    assert!(matches!(decide(&genuine), Answer::Release { .. }));
    let back = Command::RollBack { version: None };
    assert!(matches!(decide(&back), Answer::Release { .. }));
    let before = world.face("north").await;
    refused(&genuine, "");
    world.assert_unchanged("north", &before, Kept::All).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}
