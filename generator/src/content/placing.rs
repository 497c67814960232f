//! Where each file of a content folder stands on the site.

use std::collections::HashMap;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::config::SiteConfig;
use crate::page::Place;
use crate::parallel;
use crate::permalink::NoPath;

use super::Content;
use super::draft::{Draft, Name};

impl Content {
    /// Gives each file its path, sections before what lies in them.
    pub(super) fn place<'a>(
        &mut self,
        drafts: Vec<Box<Draft<'a>>>,
        files: &mut HashMap<SourcePath, SitePath>,
        config: &SiteConfig,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<(Box<Draft<'a>>, SitePath)> {
        let (mut sections, leaves): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|draft| draft.name.leaf.is_none());
        sections.sort_by_key(|draft| draft.name.place.depth());
        let mut placed = Vec::with_capacity(sections.len() + leaves.len());
        for section in sections {
            let path = self.path(&section, config).map_err(Box::new);
            if let Ok(path) = &path {
                self.folders.insert(section.name.place.clone(), path.clone());
            }
            placed.push((section, path));
        }
        placed.extend(parallel::map_owned(leaves, |draft| {
            let path = self.path(&draft, config).map_err(Box::new);
            (draft, path)
        }));
        let told = placed.into_iter().filter_map(|(draft, path)| match path {
            Ok(path) => {
                files.insert(draft.found.path.clone(), path.clone());
                Some((draft, path))
            }
            Err(problem) => {
                problems.push(*problem);
                None
            }
        });
        told.collect()
    }

    pub(super) fn path(&self, draft: &Draft<'_>, config: &SiteConfig) -> Result<SitePath, Diagnostic> {
        let Name { place, leaf, .. } = &draft.name;
        let front = &draft.front;
        let moved = ["path", "slug"].into_iter().zip([front.path.is_some(), front.slug.is_some()]).find(|key| key.1);
        if place.folder.is_empty() && leaf.is_none() {
            return match moved {
                None => Ok(config.home(&place.lang)),
                Some((key, _)) => Err(draft.wrong(key, format!("the first page cannot have a `{key}`"))),
            };
        }
        if let Some(path) = &front.path {
            return Ok(path.clone());
        }
        let (parent, segment) = match (leaf, place.parent()) {
            (None, Some((parent, segment))) => (self.folder(&parent, config), segment),
            (leaf, _) => (self.folder(place, config), leaf.as_deref().unwrap_or_default()),
        };
        let segment = front.slug.as_deref().unwrap_or(segment);
        if let Some(pattern) = leaf.as_ref().and_then(|_| config.pattern(&place.folder)) {
            let path = pattern.path(&config.home(&place.lang), &place.folder, segment, front.date);
            return path.map_err(|no_path| match no_path {
                NoPath::NoDate => Diagnostic::new(
                    "missing-key",
                    draft.origin.own.file.as_str(),
                    "the page has no `date`, which its path is made of",
                )
                .related(config.file.as_str(), None, "`permalinks` asks for it")
                .help("write a `date`, or a `path` of its own"),
                NoPath::Invalid => draft.wrong("slug", format!("`{segment}` cannot be part of a path")),
            });
        }
        let path: Result<SitePath, _> = parent.and_then(|parent| format!("{parent}{segment}/").parse());
        path.ok().filter(|_| !segment.contains('/')).ok_or_else(|| {
            let key = moved.map_or("", |moved| moved.0);
            draft.wrong(key, format!("`{segment}` cannot be the last segment of a path"))
        })
    }

    /// Where a folder stands: as its section says, or by its name below the folder around it.
    fn folder(&self, place: &Place, config: &SiteConfig) -> Result<SitePath, tieup_protocol::path::InvalidPath> {
        if let Some(path) = self.folders.get(place) {
            return Ok(path.clone());
        }
        match place.parent() {
            None => Ok(config.home(&place.lang)),
            Some((parent, segment)) => {
                self.folder(&parent, config).and_then(|parent| format!("{parent}{segment}/").parse())
            }
        }
    }
}
