//! The mirror: main's verified and cosigned copies of journals under the paths of c2sp.org/tlog-tiles, for whoever reads
//! those, in a folder or in a bucket of S3.
//!
//! ```text
//! harbor-shop/2026-11/checkpoint               signed by the partner, cosigned by main
//! harbor-shop/2026-11/tile/<L>/<N>[.p/<W>]     hashes
//! harbor-shop/2026-11/tile/entries/<N>[.p/<W>] entries
//! nationwide/2026-11/...                       main's own log, signed by main, cosigned by a partner
//! ```
//! Of main's own log there is what a partner has verified and cosigned: a checkpoint that main alone has signed tells others
//! nothing that main could not change.
//!
//! Tiles come first, then the checkpoint that covers them: whoever has a checkpoint finds what it covers. Each tile is hashed
//! before it is written, and what does not give the root that was signed is not shown. It goes on where it was, never goes
//! back, and never contradicts what it showed before. What it is doing holds up no collection.

mod bucket;
mod files;
mod hashing;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, Hash, InvalidKey, JournalReader, LogVerifier, Origin, ReadError, SignedCheckpoint, TilePath,
    TileWidth, cosigned_note, month_dir, months,
};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::task::block_in_place;

pub use self::bucket::BucketError;
pub use self::files::FilesError;
use self::files::{Files, Served};
pub use self::place::MirrorPlace;
use crate::database::{DatabaseError, PartnerRow};
use crate::keys::KeyError;
use crate::partners::Hub;
use crate::signers::signers;
use crate::witnesses::Receipt;

/// After how many entries it is noted how far a month has come: a whole tile of the second level.
const STRIDE: u64 = 1 << 16;

/// How often it is looked whether another process has collected something.
const LOOK: Duration = Duration::from_mins(1);

/// Why the mirror was not brought up to what main holds. What it shows is whole.
#[derive(Debug, thiserror::Error)]
pub enum MirroringError {
    /// The partners cannot be listed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Main's copies cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Main's copy cannot be read.
    #[error("main's copy of the journal cannot be read")]
    Read(#[from] ReadError),
    /// A partner's key is damaged in the database.
    #[error("the partner's journal key cannot be used")]
    Key(#[from] InvalidKey),
    /// Main's own receipt is damaged.
    #[error("main's copy of the journal has a damaged checkpoint")]
    Held(#[source] CheckpointError),
    /// What stands in the mirror is not a checkpoint of this log.
    #[error("what stands as checkpoint of {0} in the mirror is none")]
    Shown(Origin, #[source] CheckpointError),
    /// The mirror shows more than main holds.
    #[error("the mirror shows {shown} entries of {origin}, and main holds {held}: it is left as it is")]
    Ahead {
        /// The log.
        origin: Origin,
        /// How many it shows.
        shown: u64,
        /// How many main holds.
        held: u64,
    },
    /// The mirror shows another log than main holds.
    #[error("the mirror shows another log of {0} than main holds: it is left as it is, until somebody moves it away")]
    Other(Origin),
    /// Main's copy is another than the one that the receipt is for: it is damaged, or was put aside at this moment.
    #[error("what main holds of {0} is not what its cosigned checkpoint says: nothing more of it is mirrored")]
    Unsigned(Origin),
    /// A part of main's copy is not what was hashed.
    #[error(
        "main's copy of {origin} is damaged at {path}: nothing more of it is mirrored (tieup log verify says more)"
    )]
    Damaged {
        /// The log.
        origin: Origin,
        /// The tile or the bundle.
        path: TilePath,
    },
    /// It cannot be read or written.
    #[error("the mirror cannot be written")]
    Files(#[from] FilesError),
    /// The key of main's own log cannot be read.
    #[error(transparent)]
    OwnKey(#[from] KeyError),
    /// How it stands cannot be kept, or what partners have cosigned cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Another process is at it.
    #[error("another process is writing the mirror at this moment")]
    Busy(#[from] LockError),
}

/// How the mirror stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorStanding {
    /// Where it lies.
    pub place: String,
    /// When it was up to what main held last.
    pub mirrored: Option<Timestamp>,
    /// Why it is not, and since when.
    pub failing: Option<Failing>,
    /// How far each month has come that is not whole yet.
    #[serde(default)]
    progress: BTreeMap<String, u64>,
    /// From how many entries on each month may have partial forms of full tiles, which go when its checkpoint is shown.
    #[serde(default)]
    partials: BTreeMap<String, u64>,
}

/// That the mirror could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Why, the last time.
    pub reason: String,
}

impl MirrorStanding {
    /// What somebody should know of it.
    pub fn alarm(&self) -> Option<String> {
        let failing = self.failing.as_ref()?;
        let since = failing.since.strftime("%Y-%m-%d %H:%M UTC");
        Some(format!("journals are not mirrored to {} since {since}: {}", self.place, failing.reason))
    }
}

/// The receipts up to which months were mirrored by this process, so that a mirror that is whole is not asked.
pub(crate) type Done = BTreeMap<(SiteId, Month), Vec<u8>>;

impl Hub {
    /// How the mirror stands; none where there is none, or nothing was mirrored yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn mirror_standing(&self) -> Result<Option<MirrorStanding>, DocumentError> {
        if self.config.mirror.is_none() { Ok(None) } else { self.mirror_document().read() }
    }

    /// Brings the mirror up to what main has cosigned, if there is a mirror, and keeps how it went. A month that fails holds
    /// up no other.
    ///
    /// # Errors
    /// See [`MirroringError`].
    pub async fn mirror_journals(&self) -> Result<(), MirroringError> {
        self.mirror_what_is_new(&mut Done::new()).await
    }

    async fn mirror_what_is_new(&self, done: &mut Done) -> Result<(), MirroringError> {
        let Some(place) = &self.config.mirror else { return Ok(()) };
        let _lock = block_in_place(|| StateLock::take(&self.mirror_folder()))?;
        let mut standing = block_in_place(|| self.mirror_document().read())?.unwrap_or_default();
        if standing.place != place.to_string() {
            standing = MirrorStanding { place: place.to_string(), ..MirrorStanding::default() };
        }
        let mirrored = self.mirror_all(place, &mut standing, done).await;
        match &mirrored {
            Ok(()) => (standing.mirrored, standing.failing) = (Some(Timestamp::now()), None),
            Err(error) => {
                let since = standing.failing.map_or_else(Timestamp::now, |failing| failing.since);
                standing.failing = Some(Failing { since, reason: complaint::in_one_line(error) });
            }
        }
        block_in_place(|| self.mirror_document().write(&standing))?;
        mirrored
    }

    async fn mirror_all(
        &self,
        place: &MirrorPlace,
        standing: &mut MirrorStanding,
        done: &mut Done,
    ) -> Result<(), MirroringError> {
        let files = block_in_place(|| Files::open(place))?;
        let (partners, mut logs) = (self.database.partners().await?, Vec::new());
        for partner in &partners {
            logs.extend(
                block_in_place(|| months(&self.mirrors(partner)))?.into_iter().map(|month| (Some(partner), month)),
            );
        }
        logs.extend(block_in_place(|| months(&self.own_journals()))?.into_iter().map(|month| (None, month)));
        let mut failed = None;
        for (partner, month) in logs {
            // The receipt is read when it is the log's turn: it would be old by then.
            let (site, cosigned) = match partner {
                Some(partner) => (&partner.id, self.held_copy(partner, month)),
                None => (&self.config.main, self.witnessed_own(&partners, month)),
            };
            let mirrored = match cosigned {
                Ok(Some(log)) => self.mirror_month(&files, ((site.clone(), month), log), standing, done).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            match mirrored {
                // The next month would wait for the same.
                Err(error @ MirroringError::Files(_)) => return Err(error),
                mirrored => failed = failed.or(mirrored.err()),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Main's copy of a month of a partner's journal; none where nothing is cosigned.
    fn held_copy(&self, partner: &PartnerRow, month: Month) -> Result<Option<Cosigned>, MirroringError> {
        let dir = month_dir(&self.mirrors(partner), month);
        let Some(note) = block_in_place(|| cosigned_note(&dir))? else { return Ok(None) };
        let origin = Origin::new(&self.config.main, &partner.id, month);
        Ok(Some(Cosigned { dir, note, origin, keys: signers(partner)? }))
    }

    /// A month of main's own journal, as far as the partner that is ahead of the others has cosigned it; none where nobody has.
    fn witnessed_own(&self, partners: &[PartnerRow], month: Month) -> Result<Option<Cosigned>, MirroringError> {
        let receipts = partners.iter().map(|partner| block_in_place(|| self.receipt(&partner.id, month)));
        let receipts: Vec<Option<Receipt>> = receipts.collect::<Result<_, _>>()?;
        let Some(receipt) = receipts.into_iter().flatten().max_by_key(|receipt| receipt.size) else { return Ok(None) };
        let (dir, keys) = (month_dir(&self.own_journals(), month), vec![self.keys.journal()?.verifier()]);
        Ok(Some(Cosigned { dir, note: receipt.note.into_bytes(), origin: self.own_origin(month), keys }))
    }

    /// Brings a month of the mirror up to what is cosigned of it.
    async fn mirror_month(
        &self,
        files: &Files,
        (key, log): ((SiteId, Month), Cosigned),
        standing: &mut MirrorStanding,
        done: &mut Done,
    ) -> Result<(), MirroringError> {
        if done.get(&key) == Some(&log.note) {
            return Ok(());
        }
        let (site, month) = &key;
        let held = Held {
            name: format!("{site}/{month}"),
            reader: block_in_place(|| JournalReader::open(log.dir))?,
            origin: log.origin,
            keys: log.keys,
        };
        let keep = |progress: &MirrorStanding| block_in_place(|| self.mirror_document().write(progress));
        held.bring(files, &log.note, standing, keep).await?;
        done.insert(key, log.note);
        Ok(())
    }

    fn mirror_folder(&self) -> PathBuf {
        self.config.state.join("mirror")
    }

    fn mirror_document(&self) -> Document<MirrorStanding> {
        Document::at(self.mirror_folder().join("standing.json"))
    }
}

/// One month of a log here, and the checkpoint up to which somebody else has cosigned it.
struct Cosigned {
    dir: PathBuf,
    note: Vec<u8>,
    origin: Origin,
    keys: Vec<LogVerifier>,
}

/// One month of a log here.
struct Held {
    /// What its names in the mirror begin with.
    name: String,
    reader: JournalReader,
    origin: Origin,
    keys: Vec<LogVerifier>,
}

impl Held {
    /// Writes what the mirror lacks up to the receipt `note`, then the receipt as its checkpoint.
    async fn bring(
        &self,
        files: &Files,
        note: &[u8],
        standing: &mut MirrorStanding,
        keep: impl Fn(&MirrorStanding) -> Result<(), DocumentError>,
    ) -> Result<(), MirroringError> {
        let signed = SignedCheckpoint::open_by_any(note, &self.origin, &self.keys).map_err(MirroringError::Held)?;
        let (size, root) = (signed.size(), signed.root());
        self.check_root(size, root)?;
        let shown = self.shown(files, size).await?;
        let mut from = self.resumed(files, shown, size, standing.progress.get(&self.name).copied()).await?;
        while from < size {
            let to = (from / STRIDE + 1).saturating_mul(STRIDE).min(size);
            self.write_tiles(files, from, to).await?;
            // Whether this was still the log that was cosigned.
            self.check_root(size, root)?;
            if to < size {
                standing.progress.insert(self.name.clone(), to);
                keep(standing)?;
            }
            from = to;
        }
        let since = standing.partials.get(&self.name).map_or(shown, |since| shown.min(*since));
        let filled: Vec<TilePath> =
            TilePath::grown(since, size).filter(|path| path.width() == TileWidth::FULL).collect();
        if !filled.is_empty() {
            // They are found again, whatever happens before they are gone.
            standing.partials.insert(self.name.clone(), since);
            keep(standing)?;
        }
        files.put(&format!("{}/checkpoint", self.name), Served::Checkpoint, note.to_vec()).await?;
        standing.progress.remove(&self.name);
        for full in filled {
            files.drop_partials(&format!("{}/{full}", self.name))?;
        }
        standing.partials.remove(&self.name);
        Ok(())
    }

    /// Fails unless the hashes that are held give `root` for `size` entries.
    fn check_root(&self, size: u64, root: Hash) -> Result<(), MirroringError> {
        let held = block_in_place(|| self.reader.root_at(size))?;
        if held == root { Ok(()) } else { Err(MirroringError::Unsigned(self.origin.clone())) }
    }

    /// How many entries the mirror shows, which are the first ones that main holds.
    async fn shown(&self, files: &Files, held: u64) -> Result<u64, MirroringError> {
        let Some(note) = files.read(&format!("{}/checkpoint", self.name)).await? else { return Ok(0) };
        let shown = SignedCheckpoint::open_by_any(&note, &self.origin, &self.keys);
        let shown = shown.map_err(|error| MirroringError::Shown(self.origin.clone(), error))?;
        if shown.size() > held {
            return Err(MirroringError::Ahead { origin: self.origin.clone(), shown: shown.size(), held });
        }
        if block_in_place(|| self.reader.root_at(shown.size()))? != shown.root() {
            return Err(MirroringError::Other(self.origin.clone()));
        }
        Ok(shown.size())
    }

    /// From which entry on tiles are written: where it was noted last, if what the mirror has up to there is of this log.
    async fn resumed(&self, files: &Files, shown: u64, size: u64, noted: Option<u64>) -> Result<u64, MirroringError> {
        let Some(noted) = noted.filter(|noted| shown < *noted && *noted <= size) else { return Ok(shown) };
        for last in TilePath::bundles(noted - 1, noted).chain(edge(noted)) {
            let is_there = files.read(&format!("{}/{last}", self.name)).await?;
            if is_there != Some(block_in_place(|| self.reader.resource(last))?) {
                return Ok(shown);
            }
        }
        Ok(noted)
    }

    async fn write_tiles(&self, files: &Files, from: u64, to: u64) -> Result<(), MirroringError> {
        for path in TilePath::grown(from, to) {
            let bytes = block_in_place(|| self.checked(path))?;
            files.put(&format!("{}/{path}", self.name), Served::Tile, bytes).await?;
        }
        Ok(())
    }

    /// The bytes of a tile or bundle: of entries that give the hashes above them, or of hashes that do. The last hashes of each
    /// level are what the root is made of, and are checked with it.
    fn checked(&self, path: TilePath) -> Result<Vec<u8>, MirroringError> {
        let bytes = self.reader.resource(path)?;
        let is_sound = match path {
            TilePath::Entries { index, width } => {
                hashing::leaves(&bytes).ok() == Some(self.reader.tile(0, index, width)?)
            }
            TilePath::Hashes { level, index, width: TileWidth::FULL } => {
                hashing::root(&bytes).map(Hash) == Some(self.hash(level + 1, index)?)
            }
            TilePath::Hashes { .. } => true,
        };
        if is_sound { Ok(bytes) } else { Err(MirroringError::Damaged { origin: self.origin.clone(), path }) }
    }

    /// Hash `number` of a level.
    fn hash(&self, level: u8, number: u64) -> Result<Hash, MirroringError> {
        let full = TileWidth::FULL.get();
        let width = TileWidth::new(number % full + 1).unwrap_or(TileWidth::FULL);
        let tile = self.reader.tile(level, number / full, width)?;
        Ok(tile.last_chunk().copied().map(Hash).unwrap_or_default())
    }
}

/// The last tile of each level of a log of `size` entries, which no other log has.
fn edge(size: u64) -> impl Iterator<Item = TilePath> {
    let full = TileWidth::FULL.get();
    (0..8).map_while(move |level: u8| {
        let last = (size >> (8 * level)).checked_sub(1)?;
        let width = TileWidth::new(last % full + 1)?;
        Some(TilePath::Hashes { level, index: last / full, width })
    })
}

/// Mirrors what is collected, until `shutdown`. What failed is tried again.
pub(crate) async fn keep_mirrored(hub: Arc<Hub>, shutdown: Shutdown) {
    if hub.config.mirror.is_none() {
        return;
    }
    let (mut done, mut told) = (Done::new(), None);
    loop {
        let mirrored = tokio::select! {
            // It goes on where it was cut off.
            () = shutdown.wait() => return,
            mirrored = hub.mirror_what_is_new(&mut done) => mirrored,
        };
        told = tell(mirrored, told.as_ref());
        tokio::select! {
            () = shutdown.wait() => return,
            () = hub.collected.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Says what failed, once, and that it works again.
fn tell(mirrored: Result<(), MirroringError>, told: Option<&String>) -> Option<String> {
    let said = match mirrored {
        Ok(()) | Err(MirroringError::Busy(_)) => None,
        Err(error) => Some(complaint::render(&error)),
    };
    match (&said, told) {
        (Some(said), told) if told != Some(said) => tracing::error!("journals are not mirrored\n{said}"),
        (None, Some(_)) => tracing::info!("journals are mirrored again"),
        _ => {}
    }
    said
}

#[cfg(test)]
mod tests {
    use tieup_store::journal::{JournalWriter, LogSigner};

    use super::*;

    /// A log whose first entry is `first`, and all others alike.
    fn log(folder: PathBuf, first: &[u8]) -> Held {
        let [main, north] = ["nationwide", "north"].map(|id| id.parse().unwrap());
        let origin = Origin::new(&main, &north, "2026-11".parse().unwrap());
        let signer = LogSigner::from_seed("north", &[1; 32]).unwrap();
        let mut writer = JournalWriter::open(&folder, origin.clone(), signer).unwrap();
        writer.append(&[first]).unwrap();
        writer.append(&vec![b"a visit"; usize::try_from(STRIDE).unwrap()]).unwrap();
        writer.checkpoint().unwrap();
        let reader = JournalReader::open(folder).unwrap();
        Held { name: "north/2026-11".to_owned(), reader, origin, keys: Vec::new() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_month_goes_on_where_it_was_if_that_was_of_the_same_log_from_its_first_entry_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [ours, other] = [("ours", b"first"), ("other", b"other")].map(|(name, first)| log(at(name), first));
        let files = Files::open(&MirrorPlace::Folder(at("mirror"))).unwrap();
        for path in TilePath::bundles(STRIDE - 1, STRIDE).chain(edge(STRIDE)) {
            files.put(&format!("{}/{path}", ours.name), Served::Tile, ours.checked(path).unwrap()).await.unwrap();
        }
        assert_eq!(ours.resumed(&files, 0, STRIDE + 1, Some(STRIDE)).await.unwrap(), STRIDE);
        assert_eq!(other.resumed(&files, 0, STRIDE + 1, Some(STRIDE)).await.unwrap(), 0);
        assert_eq!(ours.resumed(&files, 0, STRIDE + 1, None).await.unwrap(), 0);
    }

    #[test]
    fn the_edge_of_a_log_is_the_last_tile_of_each_level() {
        let edge = |size| edge(size).map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(edge(0), Vec::<String>::new());
        assert_eq!(edge(300), ["tile/0/001.p/44", "tile/1/000.p/1"]);
        assert_eq!(edge(STRIDE * 300), ["tile/0/x076/799", "tile/1/299", "tile/2/001.p/44", "tile/3/000.p/1"]);
    }
}
