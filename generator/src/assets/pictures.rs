//! A site's raster pictures: what narrower files are made of them, where these stand, and what pages know of both.
//!
//! A file's path comes from the picture and the settings, so that it is known before the file is made.

use std::collections::BTreeMap;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use super::fingerprint::digits;
use super::raster::{self, Raster};
use super::settings::Images;
use crate::output::{OutputFile, media_type};
use crate::parallel;
use crate::picture::{Picture, Variant};

/// Names the way in which files are made. Another way makes other files of the same picture, so it has another name.
const MAKER: &str = "webp/1";

/// The pictures of a site by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pictures(BTreeMap<SitePath, Picture>);

/// What was made of one picture: what pages know of it, and its files.
type Made = (Picture, Vec<(SitePath, OutputFile)>);

impl Pictures {
    /// Makes the narrower files of every raster picture among `files`, puts them beside it, and tells what there is.
    ///
    /// What `cache` holds is not made again.
    pub(crate) fn make(
        files: &mut BTreeMap<SitePath, OutputFile>,
        images: &Images,
        cache: Option<&Cache>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let found: Vec<_> = files.iter().filter(|(path, _)| is_raster(path)).collect();
        let made = parallel::map_few(&found, |(path, file)| {
            let made = make(path, file, images, cache);
            made.map(|made| ((*path).clone(), made)).map_err(|why| {
                let message = format!("the picture cannot be read: {why}");
                Diagnostic::new("bad-image", file.source.as_str(), message)
            })
        });
        let mut pictures = BTreeMap::new();
        for made in made {
            match made {
                Ok((path, (picture, variants))) => {
                    pictures.insert(path, picture);
                    files.extend(variants);
                }
                Err(problem) => problems.push(problem),
            }
        }
        Self(pictures)
    }

    /// What pages know of the picture at `path`.
    pub(crate) fn get(&self, path: &SitePath) -> Option<&Picture> {
        self.0.get(path)
    }
}

/// Whether a file's name says that it is a picture whose narrower files are made.
fn is_raster(path: &SitePath) -> bool {
    ["image/png", "image/jpeg", "image/webp"].contains(&media_type(path))
}

fn make(path: &SitePath, file: &OutputFile, images: &Images, cache: Option<&Cache>) -> Result<Made, String> {
    let size = raster::size(&file.bytes)?;
    let mut maker = Maker { bytes: &file.bytes, digest: Digest::of(&file.bytes), images, cache, whole: None };
    let (mut variants, mut files) = (Vec::new(), Vec::new());
    for width in widths(size.width, images) {
        if width == size.width && raster::is_webp(&file.bytes) {
            variants.push(Variant { path: path.clone(), width });
            continue;
        }
        let (key, bytes) = maker.make(width)?;
        let served = variant_path(path, &key, width)?;
        let (kind, media_type, source) = (EntryKind::Asset, media_type(&served), file.source.clone());
        variants.push(Variant { path: served.clone(), width });
        files.push((served, OutputFile { bytes: bytes.into(), kind, media_type, slots: Vec::new(), source }));
    }
    Ok((Picture { width: size.width, height: size.height, variants }, files))
}

/// Makes the files of one picture, which is read only if one of them is not in the cache.
struct Maker<'a> {
    bytes: &'a [u8],
    digest: Digest,
    images: &'a Images,
    cache: Option<&'a Cache>,
    whole: Option<Raster>,
}

impl Maker<'_> {
    /// The file that is `width` wide, and what stands for everything it was made from.
    fn make(&mut self, width: u32) -> Result<(Digest, Vec<u8>), String> {
        let (digest, quality) = (&self.digest, self.images.quality);
        let key = Digest::of(format!("{MAKER} {digest} {width} {quality}").as_bytes());
        if let Some(kept) = self.cache.and_then(|cache| cache.get(&key)) {
            return Ok((key, kept));
        }
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => Raster::read(self.bytes)?,
        };
        let bytes = self.whole.insert(whole).webp(width, quality)?;
        if let Some(cache) = self.cache {
            cache.put(&key, &bytes);
        }
        Ok((key, bytes))
    }
}

/// The widths below a picture's own, and its own where no wider one is asked for. None where it is narrower than all.
fn widths(own: u32, images: &Images) -> Vec<u32> {
    let mut widths: Vec<u32> = images.widths.iter().copied().filter(|width| *width < own).collect();
    if !widths.is_empty() && images.widths.iter().any(|width| *width >= own) {
        widths.push(own);
    }
    widths
}

/// `/pictures/name.<fingerprint>.480.webp` for `/pictures/name.jpg`.
fn variant_path(path: &SitePath, key: &Digest, width: u32) -> Result<SitePath, String> {
    let stem = path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
    let path = format!("{stem}.{}.{width}.webp", digits(key.as_bytes()));
    path.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_never_made_wider() {
        let images = Images::default();
        for (own, known) in [
            (300, vec![]),
            (480, vec![]),
            (481, vec![480, 481]),
            (1200, vec![480, 960, 1200]),
            (1440, vec![480, 960, 1440]),
            (4000, vec![480, 960, 1440]),
        ] {
            assert_eq!(widths(own, &images), known, "{own}");
        }
        assert!(widths(4000, &Images { widths: Vec::new(), quality: 80 }).is_empty());
    }
}
