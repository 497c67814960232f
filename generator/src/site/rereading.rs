//! Reading a site again of which only some texts have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;

use crate::content::{Content, Reading};
use crate::source::Found;

use super::{Site, report};

impl Site {
    /// Reads the site in the folder `dir` again, of which only `files` have changed; false where that is not enough,
    /// and everything must be read.
    ///
    /// # Errors
    /// What is wrong with one of them. To tell all that is wrong, everything must be read too.
    pub(crate) fn reread(&mut self, dir: &Path, files: &[&PathBuf]) -> Result<bool, Report> {
        let mut enough = true;
        for file in files {
            enough = enough && self.reread_file(dir, file).map_err(report)?;
        }
        Ok(enough)
    }

    /// Whether this is `other`, of which at most some texts were read again.
    pub(super) fn is_reread_of(&self, other: &Self) -> bool {
        let same_themes = self.themes.len() == other.themes.len()
            && self.themes.iter().zip(&other.themes).all(|((_, one), (_, other))| Arc::ptr_eq(one, other));
        same_themes
            && Arc::ptr_eq(&self.config, &other.config)
            && Arc::ptr_eq(&self.sets, &other.sets)
            && Arc::ptr_eq(&self.statics, &other.statics)
            && Arc::ptr_eq(&self.pictures, &other.pictures)
    }

    fn reread_file(&mut self, dir: &Path, file: &Path) -> Result<bool, Vec<Diagnostic>> {
        let (content, partners) = (dir.join("content"), dir.join("partners"));
        if let Some(found) = find(&content, file) {
            let mut enough = self.reread_content(None, &found)?;
            // What a partner's file does not say is as main's says it.
            let varied = self.partners.iter().filter(|(_, partner)| partner.variations.has_file(&found.path));
            for id in varied.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                let found = Found::at(&partners.join(id.as_str()).join("content"), found.path.clone());
                enough = enough && found.map_or(Ok(false), |found| self.reread_content(Some(&id), &found))?;
            }
            return Ok(enough);
        }
        let of = |id: &&SiteId| file.starts_with(partners.join(id.as_str()));
        let Some(id) = self.partners.keys().find(of).cloned() else { return Ok(false) };
        let found = find(&partners.join(id.as_str()).join("content"), file);
        found.map_or(Ok(false), |found| self.reread_content(Some(&id), &found))
    }

    /// Reads a file of main's content again, or of what a partner has otherwise.
    fn reread_content(&mut self, partner: Option<&SiteId>, found: &Found) -> Result<bool, Vec<Diagnostic>> {
        let Self { config, data, content, pictures, partners, shown, progress, .. } = self;
        let nothing = Content::beneath(pictures);
        let (read, beneath) = match partner.map(|id| partners.get_mut(id)) {
            None => (content, &nothing),
            Some(Some(partner)) => (&mut partner.variations, &*content),
            Some(None) => return Ok(false),
        };
        read.reread(found, &Reading { config, data, beneath, drafts: shown.drafts, progress, earlier: None })
    }
}

/// The file `file`, if it is one of the folder `folder`.
fn find(folder: &Path, file: &Path) -> Option<Found> {
    let below = file.strip_prefix(folder).ok()?.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    Found::at(folder, below.parse().ok()?)
}
