//! What becomes of style sheets, scripts and pictures, and what templates can ask about them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha384};
use tieup_generator::{Framework, Originals, Output, build_originals};
use tieup_protocol::manifest::EntryKind;

use crate::small::{Small, html};

const ASKS: &str = "{% set style = asset(path=\"/style.css\") %}<link rel=stylesheet href=\"{{ style.path }}\" \
                    integrity=\"{{ style.integrity }}\">{% block main %}{% endblock main %}";

/// Where the page at `path` finds its style sheet.
fn style(output: &Output, path: &str) -> String {
    html(output, path).split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn originals(small: &Small, framework: &Framework) -> Originals {
    small
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/content/_index.md", "---\ntitle: Home\n---\n");
    build_originals(&small.path("partner"), framework, &[]).unwrap()
}

#[test]
fn a_style_sheet_is_linked_by_its_fingerprint_with_its_digest() {
    let small = Small::new();
    small.write("themes/plain/templates/base.html", ASKS);
    let output = small.main().unwrap();
    let path = style(&output, "/");
    let (plain, copy) = (&output.files[&"/style.css".parse().unwrap()], &output.files[&path.parse().unwrap()]);
    assert_ne!(path, "/style.css");
    assert_eq!((&copy.bytes, copy.kind, copy.media_type), (&plain.bytes, EntryKind::Layout, plain.media_type));
    let digest = STANDARD.encode(Sha384::digest(&copy.bytes));
    assert!(html(&output, "/").contains(&format!("integrity=\"sha384-{digest}\"")));
    // A site's own file takes the place of the theme's.
    small.write("site/static/style.css", "p {}");
    let output = small.main().unwrap();
    assert_ne!(style(&output, "/"), path);
    assert_eq!(&*output.files[&style(&output, "/").parse().unwrap()].bytes, b"p {}");
}

#[test]
fn an_original_page_names_the_file_that_came_with_the_release() {
    let small = Small::new();
    small.contract("framework").write("themes/plain/templates/base.html", ASKS);
    let release = small.release().unwrap();
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = originals(&small, &framework);
    let path = style(&originals.output, "/").parse().unwrap();
    assert!(release.output.files.contains_key(&path), "{path}");
    assert!(!originals.output.files.contains_key(&path), "{path}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_what_was_meant() {
    let small = Small::new();
    small.write("themes/plain/templates/base.html", ASKS.replace("/style.css", "/styel.css"));
    let report = small.main().unwrap_err();
    assert!(report.contains("there is no file `/styel.css` in static/; did you mean `/style.css`?"), "{report}");
    assert!(report.contains("themes/plain/templates/base.html:1:"), "{report}");
}
