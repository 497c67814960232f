//! The raster pictures of a site, as pages show them. What makes the narrower files stands elsewhere.

use tieup_protocol::path::SitePath;

use crate::url;

/// A raster picture of the site, as pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// How many pixels wide it is.
    pub(crate) width: u32,
    /// How many pixels high it is.
    pub(crate) height: u32,
    /// The files that show it, the narrowest first.
    pub(crate) variants: Vec<Variant>,
}

impl Picture {
    /// The files with their widths, as an attribute `srcset` holds them; not yet escaped.
    pub(crate) fn srcset(&self) -> String {
        let files = self.variants.iter().map(|file| format!("{} {}w", url::encode(&file.path), file.width));
        files.collect::<Vec<_>>().join(", ")
    }
}

/// A file that shows a picture at some width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Where it stands.
    pub(crate) path: SitePath,
    /// How many pixels wide it is.
    pub(crate) width: u32,
}
