//! Content that is ready to be sent: what was asked for lately in memory, as it is and in the codings it was asked for
//! in; what is large on the disk.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::HeaderValue;
use hyper::body::Bytes;
use quick_cache::sync::{Cache as Kept, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Options, OptionsBuilder, Weighter};
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::path::SitePath;
use tieup_protocol::redirect;
use tieup_store::blobs::{BlobReader, BlobStore, ReadBlobError};
use tieup_store::cache::Cache;
use tokio::sync::{Semaphore, watch};

use super::body::SiteBody;
use super::coding::Coding;
use super::short_way::Heads;

/// How many bytes of content are kept in memory.
const MEMORY: u64 = 32 << 20;

/// How many representations that is, about.
const REPRESENTATIONS: usize = 8 << 10;

/// In how many parts, of which each is locked by itself.
const PARTS: usize = 4;

/// Content larger than this is read from the disk in pieces whenever it is sent.
const LARGE: u64 = 1 << 20;

/// How many blobs are read and coded at once.
const CONCURRENT_READS: usize = 16;

/// After how many codings those that are old are looked for.
const SWEEP_EVERY: usize = 1000;

/// For how long a coding is kept on the disk. One that is still asked for is made anew after that.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// Bytes that a representation takes besides its content, about: mostly the heads that it is sent with.
const OVERHEAD: u64 = 1 << 10;

/// Content in one coding.
#[derive(Debug)]
pub(super) struct Representation {
    /// Its strong entity tag: the digest of the content, and the coding.
    pub(super) tag: HeaderValue,
    /// The coding.
    pub(super) coding: Coding,
    bytes: Stored,
    /// Where it leads, if it is a page that only sends people on; worked out when it is first asked.
    leads: OnceLock<Option<SitePath>>,
    /// The heads that it is sent with by the short way.
    pub(super) heads: Heads,
}

#[derive(Debug)]
enum Stored {
    Memory(Bytes),
    Disk(Arc<BlobReader>),
}

impl Representation {
    fn new(digest: &Digest, coding: Coding, bytes: Stored) -> Self {
        let suffix = coding.name().map(|name| format!("-{name}")).unwrap_or_default();
        let tag = HeaderValue::from_str(&format!("\"{}{suffix}\"", digest.hex()));
        let tag = tag.expect("hexadecimal digits and the name of a coding may stand in a header");
        Self { tag, coding, bytes, leads: OnceLock::new(), heads: Heads::default() }
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        match &self.bytes {
            Stored::Memory(bytes) => bytes.len() as u64,
            Stored::Disk(reader) => reader.length(),
        }
    }

    /// All of it, where it is in memory.
    pub(super) fn in_memory(&self) -> Option<&Bytes> {
        match &self.bytes {
            Stored::Memory(bytes) => Some(bytes),
            Stored::Disk(_) => None,
        }
    }

    /// All of it, to be sent.
    pub(super) fn whole(&self) -> SiteBody {
        match &self.bytes {
            Stored::Memory(bytes) => SiteBody::from(bytes.clone()),
            Stored::Disk(reader) => SiteBody::pieces(reader.clone(), 0..reader.length()),
        }
    }

    /// A part of it, which must lie within it, to be sent.
    pub(super) fn part(&self, part: Range<u64>) -> SiteBody {
        match &self.bytes {
            Stored::Memory(bytes) => {
                let [from, to] = [part.start, part.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
                SiteBody::from(bytes.slice(from.min(bytes.len())..to.min(bytes.len())))
            }
            Stored::Disk(reader) => SiteBody::pieces(reader.clone(), part),
        }
    }

    /// Where it leads, if it is a page that only sends people on.
    pub(super) fn leads(&self) -> Option<&SitePath> {
        let Stored::Memory(bytes) = &self.bytes else { return None };
        self.leads.get_or_init(|| redirect::target(bytes)).as_ref()
    }

    fn is_good(&self) -> bool {
        match &self.bytes {
            Stored::Memory(_) => true,
            Stored::Disk(reader) => reader.is_as_checked(),
        }
    }
}

/// What a representation weighs.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Arc<Representation>> for Weight {
    fn weight(&self, _: &Key, representation: &Arc<Representation>) -> u64 {
        OVERHEAD
            + match &representation.bytes {
                Stored::Memory(bytes) => bytes.len() as u64,
                Stored::Disk(_) => 0,
            }
    }
}

/// How so many bytes are kept. What is larger than the part that it falls into is not, so there are few parts, however many
/// cores there are.
fn options(memory: u64) -> Options {
    let mut options = OptionsBuilder::new();
    options.shards(PARTS).estimated_items_capacity(REPRESENTATIONS).weight_capacity(memory);
    options.build().expect("what is left out has values of its own")
}

/// What stands for a representation.
type Key = (Digest, Coding);

/// What became of a representation that is being made: nothing yet, or that it is there, or that it cannot be had.
type Making = watch::Receiver<Option<Option<Arc<Representation>>>>;

/// The content of a site. What is in memory was checked against its digest when it was read, so it is good whatever
/// becomes of the disk.
#[derive(Debug)]
pub(super) struct Contents {
    kept: Kept<Key, Arc<Representation>, Weight>,
    /// What is being made, each once however many wait for it, and to its end though nobody does any more.
    making: Mutex<HashMap<Key, Making>>,
    coded: Cache,
    /// How many codings were made since the cache was last swept.
    made: AtomicUsize,
    reads: Arc<Semaphore>,
}

impl Contents {
    /// Content of which codings that were made once are kept in `coded`.
    pub(super) fn new(coded: Cache) -> Arc<Self> {
        Self::within(MEMORY, coded)
    }

    /// The same, of which so many bytes are kept in memory.
    pub(super) fn within(memory: u64, coded: Cache) -> Arc<Self> {
        Arc::new(Self {
            kept: Kept::with_options(
                options(memory),
                Weight,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            making: Mutex::default(),
            coded,
            made: AtomicUsize::new(0),
            reads: Arc::new(Semaphore::new(CONCURRENT_READS)),
        })
    }

    /// Nothing is read until what is returned is dropped.
    #[cfg(test)]
    pub(super) async fn hold(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(CONCURRENT_READS).unwrap();
        self.reads.clone().acquire_many_owned(all).await.unwrap()
    }

    /// The content of `blob` in `coding`, where it was asked for lately and is good.
    pub(super) fn kept(&self, blob: &BlobRef, coding: Coding) -> Option<Arc<Representation>> {
        let key = (blob.digest, coding);
        let kept = self.kept.get(&key)?;
        if !kept.is_good() {
            self.kept.remove(&key);
            return None;
        }
        Some(kept)
    }

    /// The content of `blob` in `coding`, or as it is where that is no larger; none where it is damaged, which is logged.
    pub(super) async fn get(
        self: &Arc<Self>,
        blobs: &Arc<BlobStore>,
        blob: BlobRef,
        coding: Coding,
    ) -> Option<Arc<Representation>> {
        if let Some(kept) = self.kept(&blob, coding) {
            return Some(kept);
        }
        let mut making = self.begin(blobs, (blob.digest, coding), blob);
        making.wait_for(Option::is_some).await.ok()?.clone().flatten()
    }

    /// Begins to make a representation, unless somebody has.
    fn begin(self: &Arc<Self>, blobs: &Arc<BlobStore>, key: Key, blob: BlobRef) -> Making {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = making.get(&key) {
            return begun.clone();
        }
        let (sender, receiver) = watch::channel(None);
        making.insert(key, receiver.clone());
        let (contents, blobs) = (self.clone(), blobs.clone());
        // A task of its own: whoever asked may leave, and what was begun for them serves the next.
        tokio::spawn(async move {
            let made = contents.clone().make(blobs, blob, key.1).await;
            if let Some(made) = &made {
                contents.kept.insert(key, made.clone());
            }
            contents.making.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            sender.send_replace(Some(made));
        });
        receiver
    }

    async fn make(
        self: Arc<Self>,
        blobs: Arc<BlobStore>,
        blob: BlobRef,
        coding: Coding,
    ) -> Option<Arc<Representation>> {
        let reading = self.reads.clone().acquire_owned().await;
        let making = move || {
            let _reading = reading;
            match coding {
                Coding::Identity => read(&blobs, &blob),
                _ => self.encoded(&blobs, &blob, coding),
            }
        };
        match tokio::task::spawn_blocking(making).await {
            Ok(Ok(made)) => Some(Arc::new(made)),
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(digest = %blob.digest, error, "a live blob cannot be served");
                None
            }
            Err(error) => {
                tracing::error!(digest = %blob.digest, %error, "a live blob was not read");
                None
            }
        }
    }

    /// Content in `coding`, made now or before; as it is where that is no larger.
    fn encoded(&self, blobs: &BlobStore, blob: &BlobRef, coding: Coding) -> Result<Representation, ReadBlobError> {
        let name = coding.name().unwrap_or_default();
        let key = Digest::of(format!("{} {name}", blob.digest).as_bytes());
        let bytes = if let Some(kept) = self.coded.get(&key) {
            kept
        } else {
            let made = coding.encode(&blobs.read(blob)?).unwrap_or_else(|error| {
                tracing::error!(digest = %blob.digest, name, %error, "content could not be coded");
                None
            });
            // No bytes stand for what becomes no smaller.
            let made = made.unwrap_or_default();
            self.keep(&key, &made);
            made
        };
        let as_it_is = bytes.is_empty();
        if as_it_is {
            read(blobs, blob)
        } else {
            Ok(Representation::new(&blob.digest, coding, Stored::Memory(bytes.into())))
        }
    }

    /// Keeps a coding, and at times forgets those that were made long ago.
    fn keep(&self, key: &Digest, made: &[u8]) {
        self.coded.put(key, made);
        if self.made.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            self.coded.forget_before(SystemTime::now() - KEPT_FOR);
        }
    }
}

/// Content as it is.
fn read(blobs: &BlobStore, blob: &BlobRef) -> Result<Representation, ReadBlobError> {
    let on_disk = if blob.length > LARGE { blobs.open_checked(blob)? } else { None };
    let bytes = match on_disk {
        Some(reader) => Stored::Disk(Arc::new(reader)),
        None => Stored::Memory(blobs.read(blob)?.into()),
    };
    Ok(Representation::new(&blob.digest, Coding::Identity, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whatever_is_not_large_is_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
        let contents = Contents::new(Cache::at(folder.path().join("coded")));
        for byte in 0..4 {
            let blob = blobs.put(&vec![byte; usize::try_from(LARGE).unwrap()]).unwrap();
            assert!(contents.get(&blobs, blob, Coding::Identity).await.unwrap().in_memory().is_some());
            assert!(contents.kept(&blob, Coding::Identity).is_some(), "{byte}");
        }
    }
}
