//! What a build makes: bytes by path, with kind, media type and slots. Nothing here reads or writes files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{EntryKind, SlotRange};
use tieup_protocol::path::{SitePath, SourcePath};

/// The files of one site or release, and the index of its pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Every file by the path it is served at.
    pub files: BTreeMap<SitePath, OutputFile>,
    /// The pages, section by section; the pages of one section stand in that section's order.
    pub index: Vec<IndexedPage>,
}

/// One file of an [`Output`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// The content, with every slot holding its default.
    pub bytes: Arc<[u8]>,
    /// What it is.
    pub kind: EntryKind,
    /// The media type, with charset where it is text.
    pub media_type: &'static str,
    /// The slots in it, in order of position.
    pub slots: Vec<SlotRange>,
    /// The file it was made from, as a person knows it.
    pub source: String,
}

impl OutputFile {
    /// A file at `path` that is no page and was made from `source`.
    pub(crate) fn asset(path: &SitePath, bytes: Vec<u8>, source: &str) -> Self {
        let (kind, media_type) = (EntryKind::Asset, media_type(path));
        Self { bytes: bytes.into(), kind, media_type, slots: Vec::new(), source: source.to_owned() }
    }
}

/// Takes each file as it is made, from several threads, in no order.
pub type Sink<'a> = &'a (dyn Fn(SitePath, OutputFile) + Sync);

impl Output {
    /// Keeps every file that `make` hands over, with the index that it returns.
    pub(crate) fn gather<E>(make: impl FnOnce(Sink<'_>) -> Result<Vec<IndexedPage>, E>) -> Result<Self, E> {
        let files = Mutex::new(BTreeMap::new());
        let keep = |path, file| drop(files.lock().unwrap_or_else(PoisonError::into_inner).insert(path, file));
        let index = make(&keep)?;
        Ok(Self { files: files.into_inner().unwrap_or_else(PoisonError::into_inner), index })
    }

    /// The files as a browsable folder holds them: a page is `index.html` in a folder of its own.
    pub fn tree(&self) -> impl Iterator<Item = (SourcePath, &[u8])> {
        self.files.iter().map(|(path, file)| (path.to_file(), &*file.bytes))
    }
}

/// The media type that a path's extension stands for; a page's is HTML.
pub fn media_type(path: &SitePath) -> &'static str {
    if path.is_page() {
        return "text/html; charset=utf-8";
    }
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "xml" => "application/xml",
        "txt" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "pdf" => "application/pdf",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
