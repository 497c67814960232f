//! What a new main site begins with: a small site and theme that build as they are, and a contract to fill in.

use std::path::Path;

use jiff::civil::Date;
use tieup_protocol::ids::SiteId;
use tieup_protocol::robots;
use tieup_store::durable::{self, DiskError};

/// The starter site, by path in the site's folder.
const SITE: [(&str, &str); 11] = [
    ("site.yaml", include_str!("../starter/site.yaml")),
    ("content/_index.md", include_str!("../starter/content/_index.md")),
    ("content/news/_index.md", include_str!("../starter/content/news/_index.md")),
    ("content/news/first-day.md", include_str!("../starter/content/news/first-day.md")),
    ("themes/plain/theme.yaml", include_str!("../starter/themes/plain/theme.yaml")),
    ("themes/plain/templates/base.html", include_str!("../starter/themes/plain/templates/base.html")),
    ("themes/plain/templates/index.html", include_str!("../starter/themes/plain/templates/index.html")),
    ("themes/plain/templates/section.html", include_str!("../starter/themes/plain/templates/section.html")),
    ("themes/plain/templates/page.html", include_str!("../starter/themes/plain/templates/page.html")),
    ("themes/plain/templates/404.html", include_str!("../starter/themes/plain/templates/404.html")),
    ("themes/plain/static/plain.css", include_str!("../starter/themes/plain/static/plain.css")),
];

/// The starter contract.
const CONTRACT: &str = include_str!("../starter/contract.yaml");

/// Writes the starter site into `folder`. The caller has seen that there is no `site.yaml`; other files that are
/// there already are left as they are.
///
/// # Errors
/// When the disk fails.
pub fn write_site(folder: &Path, main: &SiteId) -> Result<(), DiskError> {
    for (name, text) in SITE {
        write_new(&folder.join(name), &text.replace("MAIN", main.as_str()))?;
    }
    Ok(())
}

/// Writes a contract with `partner` for the editor to fill in, effective from `from`; nothing where there is one.
///
/// # Errors
/// When the disk fails.
pub fn write_contract(file: &Path, main: &SiteId, partner: &SiteId, from: Date) -> Result<(), DiskError> {
    let text = CONTRACT
        .replace("MAIN", main.as_str())
        .replace("PARTNER", partner.as_str())
        .replace("FROM", &from.to_string())
        .replace("ROBOTS", &robots::list_digest().to_string());
    write_new(file, &text)
}

fn write_new(file: &Path, text: &str) -> Result<(), DiskError> {
    if file.exists() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        durable::create_dir_all(folder)?;
    }
    durable::write_file(file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use tieup_generator::Site;
    use tieup_protocol::contract::{Contract, Owner, Partnership};

    use super::*;

    #[test]
    fn the_starter_builds_and_its_contract_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (main, partner): (SiteId, SiteId) = ("brand".parse().unwrap(), "shop".parse().unwrap());
        write_site(folder.path(), &main).unwrap();
        let contract = folder.path().join("partners/shop/contract.yaml");
        write_contract(&contract, &main, &partner, "2026-11-01".parse().unwrap()).unwrap();
        let site = Site::load(folder.path(), &folder.path().join("themes")).unwrap();
        assert!(site.build_main().unwrap().index.len() >= 3);
        assert!(!site.build_release(&partner).unwrap().output.files.is_empty());
    }

    /// The starter contract with the commented lines that begin with `keys` in place of those that say otherwise.
    fn with_alternatives(keys: &[&str]) -> String {
        let text = CONTRACT.replace("FROM", "2026-11-01").replace("ROBOTS", &robots::list_digest().to_string());
        let text = text.replace("MAIN", "brand").replace("PARTNER", "shop");
        let replaced = |line: &&str| !keys.iter().any(|key| line.starts_with(key));
        let kept: Vec<&str> = text.lines().filter(replaced).collect();
        let uncomment = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if keys.iter().any(|key| rest.starts_with(key)) => rest.to_owned(),
            _ => line.to_owned(),
        };
        kept.into_iter().map(|line| uncomment(line) + "\n").collect()
    }

    #[test]
    fn every_alternative_of_the_contract_works_in_its_place() {
        let ruled = Contract::parse("contract.yaml", &with_alternatives(&["approval: "])).unwrap();
        assert_eq!(ruled.approval.auto.len(), 1);
        let framework = with_alternatives(&["partnership: ", "mounts: "]);
        let framework = Contract::parse("contract.yaml", &framework).unwrap();
        assert_eq!(framework.partnership, Partnership::Framework);
        assert_eq!(framework.mounts.owner(&"/any/".parse().unwrap()).0, Owner::Partner);
    }

    #[test]
    fn what_is_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("content/_index.md");
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, "mine").unwrap();
        write_site(folder.path(), &"brand".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&page).unwrap(), "mine");
    }
}
