//! What a site serves at one moment: its index.

use std::collections::HashSet;

use axum::http::{HeaderMap, HeaderValue};
use tieup_protocol::contract::{MeterClass, Mounts, Owner, WebOrigin};
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::path::SitePath;

use super::answer::{CONTENT_SECURITY_POLICY, headers_of_files, policy_with_pictures_of};
use super::coding::{self, Coding};
use super::media_type::MediaType;

/// One path as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedFile {
    /// The content.
    pub blob: BlobRef,
    /// The media type.
    pub media_type: MediaType,
    /// Page, asset or layout.
    pub kind: EntryKind,
    /// Whose page it is.
    pub class: MeterClass,
}

impl ServedFile {
    /// Whether its content is worth a coding.
    pub(super) fn is_worth_coding(&self) -> bool {
        self.media_type.can_be_coded && coding::is_worthwhile(self.blob.length)
    }

    /// The coding in which it is sent to whoever likes what `asked` says best.
    pub(super) fn coding(&self, asked: impl FnOnce() -> Coding) -> Coding {
        if self.is_worth_coding() { asked() } else { Coding::Identity }
    }

    /// Whether `path`, where it stands, names its content, so that nothing else ever stands there: the last part of its
    /// name before the extension is the beginning of the content's digest.
    pub(super) fn is_named_by_content(&self, path: &SitePath) -> bool {
        const DIGITS: usize = 10;
        if path.is_page() {
            return false;
        }
        let finger = path.as_str().rsplit_once('.').and_then(|(stem, _)| stem.rsplit_once('.'));
        finger.is_some_and(|(_, finger)| finger.len() >= DIGITS && self.blob.digest.hex().starts_with(finger))
    }
}

/// What stands at each path.
///
/// The hashes are quick rather than cryptographic: whoever asks for paths adds none.
pub type Files = foldhash::HashMap<SitePath, ServedFile>;

/// Everything a site serves at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSite {
    /// What stands at each path.
    pub files: Files,
    /// Where something stood once and was withdrawn.
    pub gone: HashSet<SitePath>,
    /// Whose paths are whose by contract, where the site has several parts: a visit to where nothing stands is logged by
    /// the part whose main site owns the path.
    pub mounts: Option<Mounts>,
    /// What its pages may load, and from where.
    pub policy: Policy,
}

/// What the pages of a site may load: everything from the site itself, and where main's pages have beacons, those. It stands
/// among the headers that files have under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For the partner's own pages, and everywhere where there are no beacons.
    own: Rule,
    /// For main's pages.
    tieup: Rule,
}

/// What the pages of one side may load.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    value: HeaderValue,
    /// The headers that files have under it.
    headers: HeaderMap,
}

impl Rule {
    fn of(value: HeaderValue) -> Self {
        Self { headers: headers_of_files(&value), value }
    }
}

impl Policy {
    /// The policy of a site whose tie-up pages may show pictures from `origin`, which answers their beacons.
    pub fn with_beacons(origin: &WebOrigin) -> Self {
        Self { tieup: Rule::of(policy_with_pictures_of(origin)), ..Self::default() }
    }

    /// The policy for files of a class.
    pub(super) fn of(&self, class: MeterClass) -> &HeaderValue {
        &self.rule(class).value
    }

    /// The headers of files of a class.
    pub(super) fn headers_of(&self, class: MeterClass) -> &HeaderMap {
        &self.rule(class).headers
    }

    fn rule(&self, class: MeterClass) -> &Rule {
        match class {
            MeterClass::Tieup => &self.tieup,
            MeterClass::Original => &self.own,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let usual = Rule::of(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        Self { own: usual.clone(), tieup: usual }
    }
}

impl LiveSite {
    /// Whether its main site owns `path` by contract.
    pub(super) fn owns(&self, path: &SitePath) -> bool {
        self.mounts.as_ref().is_some_and(|mounts| mounts.owner(path).0 == Owner::Main)
    }
}

/// What stands at a path.
pub(super) enum Standing<'a> {
    /// A file.
    File(&'a ServedFile),
    /// Nothing, but a page whose path has one slash more.
    Below(SitePath),
    /// Nothing any more.
    Gone,
    /// Nothing.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_made_of_the_content_is_known() {
        let blob = BlobRef::of(b"body {}");
        let file =
            ServedFile { blob, media_type: "text/css".into(), kind: EntryKind::Layout, class: MeterClass::Tieup };
        let named = |path: String| file.is_named_by_content(&path.parse().unwrap());
        let digits = &blob.digest.hex()[..10];
        assert!(named(format!("/theme/style.{digits}.css")));
        assert!(!named("/theme/style.css".to_owned()));
        assert!(!named(format!("/theme/style.{}.css", &digits[..9])));
        assert!(!named("/theme/style.0123456789.css".to_owned()));
        assert!(!named(format!("/theme/{digits}")));
    }
}
