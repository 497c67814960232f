//! Builds the sites of this repository: the main site, a release for each partner, and the partners' originals.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tieup_generator::{Framework, Output, Site, build_originals};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn told<T>(result: Result<T, Report>) -> T {
    result.unwrap_or_else(|report| panic!("\n{report}"))
}

fn nationwide() -> Site {
    told(Site::load(&root().join("sites/nationwide"), &root().join("themes")))
}

/// Every path that the HTML of `output` links to or shows, with the page it stands on.
fn addresses(output: &Output) -> BTreeSet<(String, SitePath)> {
    let mut found = BTreeSet::new();
    for (page, file) in output.files.iter().filter(|(_, file)| file.kind == EntryKind::Page) {
        let html = std::str::from_utf8(&file.bytes).unwrap();
        for attribute in [" href=\"/", " src=\"/"] {
            for rest in html.split(attribute).skip(1) {
                let address = rest.split('"').next().unwrap_or_default();
                found.insert((page.to_string(), SitePath::from_request(&format!("/{address}")).unwrap()));
            }
        }
        for files in html.split(" srcset=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            for file in files.split(", ").filter_map(|file| file.split(' ').next()) {
                found.insert((page.to_string(), SitePath::from_request(file).unwrap()));
            }
        }
    }
    found
}

#[test]
fn the_main_site_builds_and_no_link_is_broken() {
    let output = told(nationwide().build_main());
    for path in ["/", "/ja/", "/404.html", "/sitemap.xml", "/news/atom.xml", "/style.css", "/products/enamel-milk-pan/"]
    {
        assert!(output.files.contains_key(path), "{path}");
    }
    let found = addresses(&output);
    let broken: Vec<_> = found.iter().filter(|(_, to)| !output.files.contains_key(to)).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let narrow = |(page, to): &&(String, SitePath)| page == "/company/" && to.as_str().contains(".480.");
    assert_eq!(found.iter().filter(narrow).count(), 1, "the canal comes in the width that suits");
}

#[test]
fn each_partner_gets_what_its_contract_says() {
    let site = nationwide();
    let inherited = told(site.build_release(&"harbor-shop".parse().unwrap()));
    assert!(inherited.output.files.contains_key("/products/enamel-milk-pan/"));
    assert!(!inherited.output.files.contains_key("/sitemap.xml"));
    assert!(inherited.output.files.keys().all(|path| !path.as_str().starts_with("/local/")));
    assert!(inherited.framework.files().contains_key("data/products.yaml"));
    let framework = told(site.build_release(&"sapporo".parse().unwrap()));
    assert!(framework.output.files.values().all(|file| file.kind == EntryKind::Layout));
    assert!(framework.output.index.is_empty());
    assert_eq!(framework.theme, "region");
}

#[test]
fn partners_render_their_originals_from_the_release_alone() {
    let site = nationwide();
    for partner in ["harbor-shop", "sapporo"] {
        let release = told(site.build_release(&partner.parse().unwrap()));
        let framework = told(Framework::from_files(&release.theme, release.framework.files().clone()));
        let dir = root().join("sites").join(partner);
        let originals = told(build_originals(&dir, &framework, &release.output.index));
        assert!(originals.slots.contains_key("nav"), "{partner}");
        let served = |path: &SitePath| {
            originals.output.files.contains_key(path)
                || release.output.files.contains_key(path)
                || path.as_str() == "/sitemap.xml"
        };
        let broken: Vec<_> = addresses(&originals.output).into_iter().filter(|(_, to)| !served(to)).collect();
        assert_eq!(broken, [], "{partner}");
    }
}

#[test]
fn equal_sources_make_equal_bytes() {
    let (one, other) = (told(nationwide().build_main()), told(nationwide().build_main()));
    assert_eq!(one, other);
}
