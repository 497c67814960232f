//! What the operator may do to main's pages, and what is left of pages that were withdrawn.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::Override;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::merge::Standing;
use tieup_protocol::path::SitePath;
use tieup_protocol::wire::{DeclaredEmergency, OverriddenPage, OverrideState};
use tieup_store::durable;
use tieup_web::site::{LiveSite, Policy};

use super::{Live, PublishError, Publisher};
use crate::candidate::Candidate;

/// How many withdrawn paths are remembered. Those go first that were withdrawn first.
const MOST_WITHDRAWN: usize = 10_000;

/// The most paths that the sentence names.
const MOST_NAMED: usize = 3;

/// Pages that stood once and do not now, with the release with which they went.
pub(super) type Withdrawn = BTreeMap<SitePath, ReleaseVersion>;

/// An original that takes the place of main's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overridden {
    /// Main's content when the operator last wrote the original.
    then: BlobRef,
    /// Main's content now.
    now: BlobRef,
}

impl Live {
    /// This document with what follows from the one `before` it: withdrawn paths, and what stood beneath overrides.
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.withdrawn = withdrawn(before, &self);
        let overrides = self.site.beneath.iter().map(|(path, now)| {
            let known = before.overrides.get(path).filter(|_| same_original(&before.site, &self.site, path));
            (path.clone(), Overridden { then: known.map_or(*now, |known| known.then), now: *now })
        });
        self.overrides = overrides.collect();
        self
    }

    /// The site as the public server takes it.
    pub(super) fn shown(&self) -> LiveSite {
        let policy = self.beacons.as_ref().map_or_else(Policy::default, Policy::with_beacons);
        LiveSite { gone: self.withdrawn.keys().cloned().collect(), policy, ..self.site.to_live() }
    }
}

/// Pages that stood before and do not now, each with the release with which it went.
fn withdrawn(before: &Live, now: &Live) -> Withdrawn {
    let Some(version) = now.version else { return Withdrawn::new() };
    // Both are in order, so that one walk finds what is in the one and not in the other.
    let mut standing = now.site.files.keys().peekable();
    let mut is_gone = |path: &SitePath| {
        while standing.next_if(|next| *next < path).is_some() {}
        standing.peek() != Some(&path)
    };
    let pages = before.site.files.iter().filter(|(path, file)| is_gone(path) && file.kind.is_visited());
    let mut withdrawn: Withdrawn = pages.map(|(path, _)| (path.clone(), version)).collect();
    let earlier = before.withdrawn.iter().filter(|(path, _)| !now.site.files.contains_key(*path));
    withdrawn.extend(earlier.map(|(path, version)| (path.clone(), *version)));
    if withdrawn.len() > MOST_WITHDRAWN {
        let mut order: Vec<(ReleaseVersion, SitePath)> = withdrawn.into_iter().map(|(path, v)| (v, path)).collect();
        order.sort();
        withdrawn = order.into_iter().rev().take(MOST_WITHDRAWN).map(|(version, path)| (path, version)).collect();
    }
    withdrawn
}

fn same_original(before: &Candidate, now: &Candidate, path: &SitePath) -> bool {
    before.files.get(path).map(|file| file.blob) == now.files.get(path).map(|file| file.blob)
}

impl Publisher {
    /// The emergency that the operator has declared.
    pub fn emergency(&self) -> Option<&DeclaredEmergency> {
        self.emergency.as_ref()
    }

    /// Declares an emergency: the partner's own pages take the place of main's where both have one.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the contract does not let it, or the originals cannot be built: then it is declared, and the site as it was.
    pub fn begin_emergency(&mut self, reason: String, now: Timestamp) -> Result<(), PublishError> {
        let allowed = self.contract()?.is_some_and(|contract| contract.rights.replace == Override::Emergency);
        if !allowed {
            return Err(PublishError::NoEmergencyRight);
        }
        self.note_emergency(Event::EmergencyBegun, Some(reason.clone()), now)?;
        let declared = DeclaredEmergency { reason, since: now };
        self.emergency_document.write(&declared)?;
        self.emergency = Some(declared);
        self.refresh_originals().map(drop)
    }

    /// Ends the emergency: main's pages come back.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When none is declared, or the originals cannot be built: then it is ended, and the site as it was.
    pub fn end_emergency(&mut self, now: Timestamp) -> Result<(), PublishError> {
        if self.emergency.is_none() {
            return Err(PublishError::NoEmergency);
        }
        self.note_emergency(Event::EmergencyEnded, None, now)?;
        durable::remove_file(self.emergency_document.path())?;
        self.emergency = None;
        self.refresh_originals().map(drop)
    }

    /// Main's pages that an original takes the place of, or would in an emergency.
    pub fn overrides(&self) -> Vec<OverriddenPage> {
        let state = |known: &Overridden| {
            if known.then == known.now { OverrideState::Current } else { OverrideState::Changed }
        };
        let live = self.live.overrides.iter().map(|(path, known)| (path, state(known)));
        let aside = self.live.site.set_aside.iter().map(|path| (path, OverrideState::SetAside));
        live.chain(aside).map(|(path, state)| OverriddenPage { path: path.clone(), state }).collect()
    }

    /// What a sentence says of pages that main changes beneath the operator's own; nothing where it changes none.
    pub(super) fn changed_beneath(&self, candidate: &Candidate) -> String {
        let is_changed = |path: &&SitePath| {
            let known = self.live.overrides.get(*path);
            known.is_some_and(|known| candidate.beneath.get(*path).is_some_and(|now| *now != known.now))
        };
        let changed: Vec<&str> = candidate.beneath.keys().filter(is_changed).map(SitePath::as_str).collect();
        let named = changed.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        match changed.len() {
            0 => String::new(),
            few if few <= MOST_NAMED => format!("; main changes its page beneath your own {named}"),
            more => format!("; main changes {more} pages beneath your own, such as {named}"),
        }
    }

    /// Keeps the withdrawn paths of what is about to be `live` beside the live document too, which may be damaged one day.
    /// Durable on return.
    ///
    /// What is on disk counts, and not what was live before: a switch that failed may have left its paths there.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn keep_withdrawn(&self, live: &Live) -> Result<(), PublishError> {
        let kept = self.withdrawn_document.read().map(Option::unwrap_or_default);
        if !kept.is_ok_and(|kept| kept == live.withdrawn) {
            self.withdrawn_document.write_dense(&live.withdrawn)?;
        }
        Ok(())
    }

    /// Puts right, when the daemon starts, what is kept beside the live document. Where that is gone and cannot be made anew,
    /// what is kept is all that is known of withdrawn paths, and the next release goes on from it.
    pub(super) fn settle_withdrawn(&mut self) {
        if self.live.version.is_none() {
            let kept = self.withdrawn_document.read();
            let kept = kept.inspect_err(|error| {
                tracing::error!(error = error as &dyn std::error::Error, "some withdrawn paths may be forgotten");
            });
            self.live.withdrawn = kept.ok().flatten().unwrap_or_default();
        } else if let Err(error) = self.keep_withdrawn(&self.live) {
            tracing::error!(error = &error as &dyn std::error::Error, "withdrawn paths stand in live.json alone");
        }
    }

    /// Whether an emergency is declared.
    pub(super) fn standing(&self) -> Standing {
        if self.emergency.is_some() { Standing::Emergency } else { Standing::Usual }
    }

    fn note_emergency(&mut self, what: Event, reason: Option<String>, now: Timestamp) -> Result<(), PublishError> {
        Ok(self.audit.append(&[Happening { who: Actor::Operator, what, release: None, reason }], now)?)
    }
}
