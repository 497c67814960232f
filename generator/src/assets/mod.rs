//! The files of a theme and of a site that are no pages: what is served of them, and what pages can ask about them.
//!
//! Everything here is a function of the files' bytes and the site's settings, and is settled before a template runs.

pub(crate) mod fingerprint;
pub(crate) mod pictures;
mod raster;
pub(crate) mod settings;
mod svg;

use std::collections::BTreeMap;
use std::sync::Arc;

use tera::{Map, Value};
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use self::pictures::Pictures;
use self::raster::Size;
use crate::config::SiteConfig;
use crate::minify;
use crate::output::OutputFile;
use crate::picture::Picture;

/// The files of one build, as its templates can ask for them.
#[derive(Debug)]
pub(crate) struct Assets {
    files: BTreeMap<SitePath, Asset>,
    pictures: Arc<Pictures>,
    others: Others,
}

/// What is said of files that are not in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// There are none.
    Refused,
    /// Another party may serve them, so they are answered by their plain path.
    Perhaps,
}

/// One file.
#[derive(Debug)]
struct Asset {
    /// Where pages should look for it: under its fingerprint, if it has one.
    path: SitePath,
    permalink: String,
    /// Its content.
    bytes: Arc<[u8]>,
    /// The value of an `integrity` attribute, for what browsers check.
    integrity: Option<String>,
    media_type: &'static str,
}

/// Makes of the files in a site's `static/` what is served of them, and tells what its pictures are.
pub(crate) fn finish(
    files: &mut BTreeMap<SitePath, OutputFile>,
    config: &SiteConfig,
    cache: Option<&Cache>,
    problems: &mut Vec<Diagnostic>,
) -> Pictures {
    if config.minify {
        minify::files(files, problems);
    }
    let pictures = Pictures::make(files, &config.images, cache, problems);
    fingerprint::add(files);
    pictures
}

impl Assets {
    /// The files in `layout`, and those in `statics`, which take their place at the same path.
    pub(crate) fn new(
        config: &SiteConfig,
        layout: &BTreeMap<SitePath, OutputFile>,
        statics: &BTreeMap<SitePath, OutputFile>,
        pictures: &Arc<Pictures>,
        others: Others,
    ) -> Self {
        let known = |path: &SitePath| layout.contains_key(path) || statics.contains_key(path);
        let files = layout.iter().chain(statics).map(|(plain, file)| {
            let finger = fingerprint::path(plain, &file.bytes).filter(known);
            let integrity = finger.as_ref().map(|_| fingerprint::integrity(&file.bytes));
            let path = finger.unwrap_or_else(|| plain.clone());
            let permalink = config.permalink(&path);
            let (bytes, media_type) = (file.bytes.clone(), file.media_type);
            (plain.clone(), Asset { path, permalink, bytes, integrity, media_type })
        });
        Self { files: files.collect(), pictures: pictures.clone(), others }
    }

    /// The file at `path` as templates see it: `{path, permalink, integrity, media_type}`.
    ///
    /// # Errors
    /// That there is none, with one that was probably meant.
    pub(crate) fn asset(&self, path: &str) -> Result<Value, String> {
        let mut map = Map::new();
        match path.parse::<SitePath>().ok().and_then(|path| self.files.get(&path)) {
            Some(asset) => {
                map.insert("path".into(), Value::from(asset.path.as_str()));
                map.insert("permalink".into(), Value::from(asset.permalink.as_str()));
                map.insert("integrity".into(), asset.integrity.as_deref().map_or_else(Value::none, Value::from));
                map.insert("media_type".into(), Value::from(asset.media_type));
            }
            None => drop(map.insert("path".into(), Value::from(self.elsewhere(path)?))),
        }
        Ok(Value::from(map))
    }

    /// The picture at `path` as templates see it: what [`Assets::asset`] answers with `{width, height, srcset}`, each
    /// none where it is not known.
    ///
    /// # Errors
    /// That there is none, with one that was probably meant.
    pub(crate) fn image(&self, path: &str) -> Result<Value, String> {
        let mut map = self.asset(path)?.into_map().unwrap_or_default();
        let found = path.parse::<SitePath>().ok();
        let picture = found.as_ref().and_then(|path| self.pictures.get(path));
        let size = match picture {
            Some(picture) => Some(Size { width: picture.width, height: picture.height }),
            None => found.and_then(|path| self.files.get(&path)).and_then(Asset::size),
        };
        map.insert("width".into(), size.map_or_else(Value::none, |size| Value::from(size.width)));
        map.insert("height".into(), size.map_or_else(Value::none, |size| Value::from(size.height)));
        let srcset = picture.filter(|picture| !picture.variants.is_empty()).map(Picture::srcset);
        map.insert("srcset".into(), srcset.map_or_else(Value::none, Value::from));
        Ok(Value::from(map))
    }

    /// The path itself, where another party may serve it.
    fn elsewhere<'a>(&self, path: &'a str) -> Result<&'a str, String> {
        if self.others == Others::Perhaps && path.starts_with('/') {
            return Ok(path);
        }
        let missing = format!("there is no file `{path}` in static/");
        Err(match nearest(path, self.files.keys().map(SitePath::as_str)) {
            Some(near) => format!("{missing}; did you mean `{near}`?"),
            None => missing,
        })
    }
}

impl Asset {
    /// How large it is, if it is a picture that says so.
    fn size(&self) -> Option<Size> {
        match self.media_type {
            "image/svg+xml" => svg::size(&self.bytes),
            _ => raster::size(&self.bytes).ok(),
        }
    }
}
