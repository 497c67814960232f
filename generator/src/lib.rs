//! Content, theme and contract become a release.
//!
//! [`Site`] is a main site as it stands on disk; from it come the main site's own tree and each partner's release.
//! [`build_originals`] renders a partner's own pages inside the framework that came with its release. A [`Workbench`]
//! holds a site for somebody who works on it. The crate reads files and never writes one: what it makes are bytes by path, in an [`Output`]. It reads no clock, so that equal
//! sources make equal bytes.

mod anchors;
mod asking;
mod assets;
mod besides;
mod build;
mod components;
mod config;
mod content;
mod data;
mod dates;
mod dependents;
mod discovery;
mod edition;
mod feed;
mod filters;
mod front_matter;
mod head;
mod highlight;
mod json_feed;
mod json_ld;
mod known;
mod links;
mod lookalike;
mod maker;
mod markdown;
mod menu;
mod minify;
mod offer;
mod order;
mod organization;
mod originals;
mod output;
mod overrides;
mod page;
mod pager;
mod parallel;
mod permalink;
mod picture;
mod plan;
mod print;
mod progress;
mod rack;
mod rebuild;
mod redirect;
mod related;
mod sample;
mod schedule;
mod search;
mod shown;
mod site;
mod sitemap;
mod slots;
mod source;
mod spanning;
mod statics;
mod taxonomy;
mod template_error;
mod templates;
mod text;
mod theme;
mod toc;
mod unique;
mod url;
mod uses;
mod variation;
mod view;
mod watch;
mod workbench;
mod xml;

pub use originals::{Originals, build_originals, build_originals_with};
pub use output::{Output, OutputFile, Sink, media_type};
pub use progress::{Progress, Stand, Step};
pub use rebuild::{Findings, Rebuild, Rebuilt, Tree, Verified};
pub use search::{PageWords, Search};
pub use shown::{Drafts, Future, Shown};
pub use site::{Difference, Loading, ReleaseOutput, Releases, Site};
pub use slots::fill_slots;
pub use spanning::spanning;
pub use theme::{Framework, THEME_API};
pub use watch::Watch;
pub use workbench::{Audience, Effect, Mark, Refreshed, Workbench};
