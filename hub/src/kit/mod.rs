//! A partner's kit: the folder that its operator begins with, made from the contract, so that it names what is theirs.
//!
//! Makes the files; writing them, and whether they may be written, is the caller's.

mod manual;
mod templates;

use std::collections::BTreeMap;

use tieup_generator::{Framework, Site};
use tieup_protocol::contract::{Contract, Owner, Partnership};
use tieup_protocol::ids::SiteId;
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_protocol::schedule::Schedule;
use tieup_web::starter;

/// The files of a kit, by path in its folder.
pub type Files = BTreeMap<SourcePath, Vec<u8>>;

/// What a kit is made from.
struct Kit<'a> {
    contract: &'a Contract,
    text: &'a str,
    framework: &'a Framework,
    /// When main pushes; whenever its site changes, where nothing says when.
    schedule: Option<&'a Schedule>,
    /// The main site's title and address.
    main: (&'a str, &'a str),
}

/// The kit for `partner`; none where `site` has no contract with it.
pub fn files(site: &Site, partner: &SiteId) -> Option<Files> {
    let contract = site.partners().find(|contract| contract.id.partner == *partner)?;
    let (text, framework) = (site.contract_text(partner)?, site.framework_for(partner)?);
    let (schedule, main) = (site.schedule_for(partner), (site.title(), site.base_url()));
    Some(Kit { contract, text, framework, schedule, main }.files())
}

impl Kit<'_> {
    fn files(&self) -> Files {
        let mut files = Files::new();
        put(&mut files, "README.md", self.manual());
        put(&mut files, "contract.yaml", self.text);
        if self.contract.partnership == Partnership::Link {
            files.extend(self.pictures().map(|(name, bytes)| (name, bytes.to_vec())));
            return files;
        }
        put(&mut files, "syncd.yaml", starter::CONFIGURATION);
        put(&mut files, "site.yaml", starter::site(&self.quoted_title()));
        if let Some((file, path)) = self.first_page() {
            let text = format!("---\ntitle: {}\n---\nThis is your first page, at {path}.\n", self.quoted_title());
            files.insert(file, text.into_bytes());
        }
        for slot in &self.contract.slots {
            put(&mut files, &format!("slots/{slot}.md"), self.sample(slot));
        }
        if self.contract.partnership == Partnership::Framework {
            for (path, bytes) in self.framework.files() {
                put(&mut files, &format!("theme/{path}"), bytes.as_slice());
            }
        }
        files
    }

    /// The partner as a title: `harbor-shop` is `Harbor shop`.
    fn title(&self) -> String {
        let name = self.contract.id.partner.as_str().replace('-', " ");
        let (first, rest) = name.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    }

    /// The title as YAML reads it back, also where the name is `true` or a number. Names hold nothing to be escaped.
    fn quoted_title(&self) -> String {
        format!("\"{}\"", self.title())
    }

    /// The partner's first mount: a file below `content/` and the path that it becomes.
    fn first_page(&self) -> Option<(SourcePath, &SitePath)> {
        let (path, _) = self.contract.mounts.iter().find(|(_, owner)| *owner == Owner::Partner)?;
        let file = format!("content{}_index.md", path.as_str()).parse().ok()?;
        Some((file, path))
    }

    fn sample(&self, slot: &str) -> String {
        match self.first_page().filter(|_| slot == "nav") {
            Some((_, path)) => format!("[{}]({path})\n", self.title()),
            None => format!("{}: put your own words into `slots/{slot}.md`.\n", self.title()),
        }
    }

    /// The theme's logos and banners.
    fn pictures(&self) -> impl Iterator<Item = (SourcePath, &[u8])> {
        let is_meant = |name: &str| name.contains("logo") || name.contains("banner");
        self.framework.pictures().filter(move |(path, _)| is_meant(path.as_str())).filter_map(|(path, bytes)| {
            let name = path.as_str().trim_start_matches('/');
            Some((format!("pictures/{name}").parse().ok()?, bytes))
        })
    }
}

fn put(files: &mut Files, path: &str, bytes: impl Into<Vec<u8>>) {
    // Names of slots may be anything; one that is no file's name gets no sample.
    if let Ok(path) = path.parse() {
        files.insert(path, bytes.into());
    }
}

#[cfg(test)]
mod tests;
