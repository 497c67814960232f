//! The mirror of journals under the paths of tlog-tiles: read by programs of others, never going back, in no one's way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tieup_hub::config::Config;
use tieup_hub::mirror::{MirrorPlace, MirroringError};
use tieup_hub::partners::Hub;
use tieup_store::failing::{FailingWrites, How};
use tieup_store::journal::{JournalWriter, SignedCheckpoint, TilePath, TileWidth};
use tieup_tests::journal::{JournalOnDisk, files_below};
use tieup_tests::{Contract, World, assert_says, python, told};

use crate::returns::log_visits;
use crate::settled;

/// How long something that happens by itself may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The hub of `world` with a mirror in `folder`, beside the one that runs.
pub(crate) async fn mirroring(world: &World, folder: &Path) -> Arc<Hub> {
    let mirror = MirrorPlace::try_from(folder.display().to_string()).unwrap();
    let config = Config { mirror: Some(mirror), ..world.hub().config.clone() };
    Arc::new(Hub::open(config).await.unwrap())
}

/// The mirror's folder of the month that `north` logs now.
fn month_in(world: &World, mirror: &Path) -> PathBuf {
    mirror.join(format!("north/{}", world.month("north")))
}

/// Has a program of others verify the mirrored month in `folder`, and gives what it says.
fn verified(world: &World, folder: &Path, earlier: &[&Path]) -> Option<String> {
    let python = python::with(python::VERIFYING, env!("CARGO_TARGET_TMPDIR"))?;
    let mut command = Command::new(python);
    command
        .arg(python::outside("verify_journal.py"))
        .arg(folder)
        .arg("--key")
        .arg(world.journal_key("north").to_string());
    command.arg("--cosigner").arg(world.hub().keys.cosigner().unwrap().verifier().to_string());
    for note in earlier {
        command.arg("--earlier").arg(note);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "{}: {status}: {said}", folder.display());
    Some(said)
}

/// Fails unless everything is there that the checkpoint in `folder` covers. Gives how many entries that is.
fn assert_whole(world: &World, folder: &Path) -> u64 {
    let Ok(note) = fs::read(folder.join("checkpoint")) else { return 0 };
    let (hub, north) = (world.hub(), "north".parse().unwrap());
    let origin = tieup_store::journal::Origin::new(&hub.config.main, &north, world.month("north"));
    let size = SignedCheckpoint::open(&note, &origin, &world.journal_key("north")).unwrap().size();
    for path in TilePath::grown(0, size) {
        assert!(folder.join(path.to_string()).is_file(), "{path} of {size} entries is not there");
    }
    size
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_what_main_cosigned_is_mirrored_for_readers_that_know_nothing_of_tieup() {
    let world = settled().await;
    let mirror = world.folder().join("mirror");
    let hub = mirroring(&world, &mirror).await;
    visit(&world, 300).await;
    let folder = month_in(&world, &mirror);
    hub.mirror_journals().await.unwrap();
    assert_eq!(assert_whole(&world, &folder), 300);
    assert!(folder.join("tile/entries/001.p/44").is_file());
    let says = |size: u64| format!("{size} entries are what was signed for");
    let Some(said) = verified(&world, &folder, &[]) else { return };
    assert_says(&said, &[&says(300)]);
    let earlier = world.folder().join("earlier");
    fs::copy(folder.join("checkpoint"), &earlier).unwrap();
    visit(&world, 1000).await;
    hub.mirror_journals().await.unwrap();
    assert_says(&verified(&world, &folder, &[&earlier]).unwrap(), &[&says(1300)]);
    assert!(!folder.join("tile/0/001.p").exists(), "partial forms of a full tile are still there");
    assert!(folder.join("tile/0/005.p/20").is_file());
    let before = files_below(&mirror);
    hub.mirror_journals().await.unwrap();
    assert_eq!(files_below(&mirror), before);
}

/// Lets `north` log `count` more visits, and main collect them.
async fn visit(world: &World, count: u64) {
    log_visits(world, "north", count).await;
    world.collect("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_never_goes_back_and_never_shows_another_log() {
    let world = settled().await;
    let (mirror, earlier) = (world.folder().join("mirror"), world.folder().join("earlier"));
    let hub = mirroring(&world, &mirror).await;
    visit(&world, 10).await;
    let copy = world.mirrors("north").join(world.month("north").to_string());
    keep(&copy, &earlier);
    visit(&world, 10).await;
    hub.mirror_journals().await.unwrap();
    let shown = files_below(&mirror);
    // Main's disk was restored from an older backup.
    fs::remove_dir_all(&copy).unwrap();
    keep(&earlier, &copy);
    let error = hub.mirror_journals().await.unwrap_err();
    assert!(matches!(error, MirroringError::Ahead { shown: 20, held: 10, .. }), "{error:?}");
    let alarm = hub.mirror_standing().unwrap().unwrap().alarm().unwrap();
    assert_says(&alarm, &["journals are not mirrored to", "the mirror shows 20 entries of", "main holds 10"]);
    assert_eq!(files_below(&mirror), shown);
    world.collect("north").await;
    hub.mirror_journals().await.unwrap();
    assert_eq!(hub.mirror_standing().unwrap().unwrap().alarm(), None);
    // The partner's key signed another log of that size, which the mirror shows.
    let log = JournalOnDisk::open(&world.state("north"), world.month("north"));
    let forged = world.folder().join("forged");
    let mut writer = JournalWriter::open(&forged, log.origin.clone(), log.signer.clone()).unwrap();
    writer.append(&[b"invented"; 20]).unwrap();
    writer.checkpoint().unwrap();
    fs::copy(forged.join("checkpoint"), month_in(&world, &mirror).join("checkpoint")).unwrap();
    let shown = files_below(&mirror);
    let error = mirroring(&world, &mirror).await.mirror_journals().await.unwrap_err();
    assert_says(&told(&error), &["the mirror shows another log of", "it is left as it is"]);
    assert_eq!(files_below(&mirror), shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_what_is_damaged_here_or_is_another_log_than_was_cosigned_is_not_shown() {
    let world = settled().await;
    let (mirror, earlier) = (world.folder().join("mirror"), world.folder().join("earlier"));
    let hub = mirroring(&world, &mirror).await;
    visit(&world, 300).await;
    let (copy, folder) = (world.mirrors("north").join(world.month("north").to_string()), month_in(&world, &mirror));
    keep(&copy, &earlier);
    // A byte of an entry, and one of a hash, has rotted.
    for file in ["entries", "hashes-0"] {
        let mut bytes = fs::read(copy.join(file)).unwrap();
        bytes[40] ^= 1;
        fs::write(copy.join(file), bytes).unwrap();
        let error = hub.mirror_journals().await.unwrap_err();
        assert_says(&told(&error), &["main's copy of", "is damaged at tile/entries/000"]);
        assert!(files_below(&folder).is_empty(), "{file}: something is shown");
        keep(&earlier, &copy);
    }
    // The copy was put aside and taken anew from another log, of which nothing is cosigned yet.
    let log = JournalOnDisk::open(&world.state("north"), world.month("north"));
    let forged = world.folder().join("forged");
    let mut writer = JournalWriter::open(&forged, log.origin.clone(), log.signer.clone()).unwrap();
    writer.append(&[b"invented"; 300]).unwrap();
    writer.checkpoint().unwrap();
    keep(&forged, &copy);
    let error = hub.mirror_journals().await.unwrap_err();
    assert!(matches!(error, MirroringError::Unsigned(_)), "{error:?}");
    assert!(files_below(&folder).is_empty());
    keep(&earlier, &copy);
    hub.mirror_journals().await.unwrap();
    assert_eq!(assert_whole(&world, &folder), 300);
}

/// Copies a folder without folders in it.
fn keep(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_to_a_mirror_fails_what_it_shows_is_whole_and_it_goes_on() {
    let world = settled().await;
    let (mirror, nothing) = (world.folder().join("mirror"), world.folder().join("nothing"));
    let hub = mirroring(&world, &mirror).await;
    visit(&world, 255).await;
    hub.mirror_journals().await.unwrap();
    let folder = month_in(&world, &mirror);
    let (mut at, mut held) = (0, 255);
    for how in [How::NotDone, How::DoneYetFailed, How::FullFromThenOn].into_iter().cycle() {
        visit(&world, 257).await;
        held += 257;
        let laid = FailingWrites::lay(&mirror, &nothing, at, how);
        let mirrored = hub.mirror_journals().await;
        let failed = !laid.failed().is_empty();
        drop(laid);
        let shown = assert_whole(&world, &folder);
        if !failed {
            mirrored.unwrap();
            break;
        }
        let is_said = mirrored.is_err() && hub.mirror_standing().unwrap().unwrap().alarm().is_some();
        assert!(is_said, "write {at}, {how:?}: nobody was told");
        assert!(shown >= held - 257 && shown <= held, "write {at}, {how:?}: it shows {shown} of {held}");
        hub.mirror_journals().await.unwrap();
        assert_eq!(assert_whole(&world, &folder), held, "write {at}, {how:?}");
        for full in TilePath::grown(0, held).filter(|path| path.width() == TileWidth::FULL) {
            assert!(!folder.join(format!("{full}.p")).exists(), "write {at}, {how:?}: partial forms of {full} stay");
        }
        at += 1;
    }
    assert!(at > 30, "only {at} writes failed");
    verified(&world, &folder, &[]);
}

/// More entries than are mirrored in one stride.
const LONG: u64 = 66_000;

/// How many writes a stride takes: four for each file, and one for its folder.
const STRIDE_WRITES: usize = (256 + 256 + 2) * 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_month_that_was_cut_off_goes_on_where_it_was_if_that_is_still_there() {
    let world = settled().await;
    let (mirror, nothing) = (world.folder().join("mirror"), world.folder().join("nothing"));
    let hub = mirroring(&world, &mirror).await;
    visit(&world, LONG).await;
    let folder = month_in(&world, &mirror);
    let cut = || FailingWrites::lay(&mirror, &nothing, STRIDE_WRITES + 20, How::FullFromThenOn);
    let laid = cut();
    hub.mirror_journals().await.unwrap_err();
    drop(laid);
    assert!(!folder.join("checkpoint").exists());
    // A file that is written again is another one.
    let first = || fs::metadata(folder.join("tile/entries/000")).unwrap().ino();
    let before = first();
    hub.mirror_journals().await.unwrap();
    assert_eq!((assert_whole(&world, &folder), first()), (LONG, before));
    verified(&world, &folder, &[]);
    // Where somebody emptied the mirror meanwhile, it begins anew.
    fs::remove_dir_all(&mirror).unwrap();
    let laid = cut();
    mirroring(&world, &mirror).await.mirror_journals().await.unwrap_err();
    drop(laid);
    fs::remove_dir_all(&mirror).unwrap();
    hub.mirror_journals().await.unwrap();
    assert_eq!(assert_whole(&world, &folder), LONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_cannot_be_written_holds_up_nothing_is_told_and_is_written_later() {
    let contract = Contract::inherited();
    let plan = World::new().hub("journal: {mirror: ../mirror}\n").main_page("/about/", "We mend lamps.");
    let world = plan.contract("north", contract).start().await;
    // A file stands where the partner's folder should be.
    let (mirror, in_the_way) = (world.folder().join("mirror"), world.folder().join("mirror/north"));
    fs::create_dir_all(&mirror).unwrap();
    fs::write(&in_the_way, "something else").unwrap();
    world.go_live("north").await;
    world.get("north", "/about/").await;
    assert_eq!(world.daemon("north").return_journal(None).await.unwrap()[0].size, 1);
    let (began, alarm) = (Instant::now(), || world.hub().mirror_standing().unwrap().and_then(|stand| stand.alarm()));
    while alarm().is_none() {
        assert!(began.elapsed() < PATIENCE, "nobody is told");
        tokio::task::yield_now().await;
    }
    let mut status = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    let status = status.arg("--config").arg(config).arg("status").output().unwrap();
    assert_says(&String::from_utf8_lossy(&status.stdout), &["ALARM: journals are not mirrored to", "since"]);
    fs::remove_file(&in_the_way).unwrap();
    world.get("north", "/about/").await;
    assert_eq!(world.daemon("north").return_journal(None).await.unwrap()[0].size, 2);
    while assert_whole(&world, &month_in(&world, &mirror)) != 2 {
        assert!(began.elapsed() < PATIENCE, "it is never written");
        tokio::task::yield_now().await;
    }
    while alarm().is_some() {
        assert!(began.elapsed() < PATIENCE, "it is told for ever");
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

/// A server of others that speaks as S3 does.
struct Bucket {
    server: Child,
    address: String,
    python: String,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

impl Bucket {
    /// One with the empty bucket `logs`; none where the server cannot be had, but not in CI.
    fn stand() -> Option<Self> {
        let python = python::with(python::BUCKETS, env!("CARGO_TARGET_TMPDIR"))?;
        let mut command = Command::new(&python);
        command
            .arg(python::outside("s3/stand.py"))
            .arg("logs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://127.0.0.1:"), "the server does not stand: {address:?}");
        Some(Self { server, address: address.trim().to_owned(), python })
    }

    /// Runs `tieup log fetch` with a mirror in the bucket of whoever answers at `address`.
    fn fetch(world: &World, address: &str) -> (Option<i32>, String) {
        let own = world.hub().config.state.with_file_name("tieup.yaml");
        let config = own.with_file_name("mirrored.yaml");
        fs::write(&config, fs::read_to_string(own).unwrap() + "journal: {mirror: s3://logs/of}\n").unwrap();
        let secrets = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "not-to-be-told")];
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
        command.arg("--config").arg(config).args(["log", "fetch"]).envs(secrets);
        command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", address);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(!said.contains("not-to-be-told") && !said.contains("X-Amz-Signature"), "{said}");
        (status.code(), said)
    }

    /// Takes what is in the bucket into `folder`, and gives how it is served: `Content-Type` and `Cache-Control` by name.
    fn take(&self, folder: &Path) -> BTreeMap<String, (String, String)> {
        let mut command = Command::new(&self.python);
        command.arg(python::outside("s3/take.py")).args([self.address.as_str(), "logs", "of/"]).arg(folder);
        let taken = command.output().unwrap();
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let said = String::from_utf8(taken.stdout).unwrap();
        let served = said.lines().map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap());
        served.map(|[name, kind, caching]: [&str; 3]| (name.into(), (kind.into(), caching.into()))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_bucket_holds_the_same_as_a_folder_and_follows_the_journal() {
    let Some(bucket) = tokio::task::block_in_place(Bucket::stand) else { return };
    let world = settled().await;
    log_visits(&world, "north", 300).await;
    let fetch = |address: &str| tokio::task::block_in_place(|| Bucket::fetch(&world, address));
    let (code, said) = fetch(&bucket.address);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("mirror"), "{said}");
    let first = world.folder().join("taken");
    let month = month_in(&world, &first);
    let served = bucket.take(&first);
    assert_eq!(assert_whole(&world, &month), 300);
    assert_eq!(served.len(), 6, "{served:?}");
    for (name, (kind, caching)) in served {
        let expected = if name.ends_with("/checkpoint") {
            ("text/plain; charset=utf-8", "no-cache")
        } else {
            ("application/octet-stream", "public, max-age=31536000, immutable")
        };
        assert_eq!((kind.as_str(), caching.as_str()), expected, "{name}");
    }
    verified(&world, &month, &[]);
    log_visits(&world, "north", 700).await;
    // Nobody is there: it is told, and the journal is collected all the same.
    let (code, said) = fetch("http://127.0.0.1:1");
    assert_says(&said, &["1000 in all, cosigned", "the mirror cannot be written", "127.0.0.1:1 cannot be reached"]);
    assert_eq!(code, Some(0));
    let (code, said) = fetch(&bucket.address);
    assert_eq!(code, Some(0), "{said}");
    let second = world.folder().join("taken-again");
    bucket.take(&second);
    let again = month_in(&world, &second);
    assert_eq!(assert_whole(&world, &again), 1000);
    verified(&world, &again, &[&month.join("checkpoint")]);
    // A plain address of another machine is not spoken to.
    let (_, said) = fetch("http://192.0.2.1:9000");
    assert_says(&said, &["AWS_ENDPOINT_URL", "https://"]);
}
