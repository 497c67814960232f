//! What becomes of style sheets, scripts and pictures, and what templates can ask about them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use sha2::{Digest, Sha384};
use tieup_generator::{
    Framework, Loading, Menus, Originals, Output, Site, Surroundings, build_originals, build_originals_with, fill_slots,
};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

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
    let (plain, copy) = (&output.files["/style.css"], &output.files[&*path]);
    assert_ne!(path, "/style.css");
    assert_eq!((&copy.bytes, copy.kind, copy.media_type), (&plain.bytes, EntryKind::Layout, plain.media_type));
    let digest = STANDARD.encode(Sha384::digest(&copy.bytes));
    assert!(html(&output, "/").contains(&format!("integrity=\"sha384-{digest}\"")));
    // A site's own file takes the place of the theme's.
    small.write("site/static/style.css", "p {}");
    let output = small.main().unwrap();
    assert_ne!(style(&output, "/"), path);
    assert_eq!(&*output.files[&*style(&output, "/")].bytes, b"p {}");
}

#[test]
fn an_original_page_names_the_file_that_came_with_the_release() {
    let small = Small::new();
    small.contract("framework").write("themes/plain/templates/base.html", ASKS);
    let release = small.release().unwrap();
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = originals(&small, &framework);
    let path = style(&originals.output, "/");
    assert!(release.output.files.contains_key(&*path), "{path}");
    assert!(!originals.output.files.contains_key(&*path), "{path}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_what_was_meant() {
    let small = Small::new();
    small.write("themes/plain/templates/base.html", ASKS.replace("/style.css", "/styel.css"));
    let report = small.main().unwrap_err();
    assert!(
        report.contains("there is no file `/styel.css` in static/") && report.contains("did you mean `/style.css`?"),
        "{report}"
    );
    assert!(report.contains("themes/plain/templates/base.html:1:"), "{report}");
}

const SITE: &str = "title: Main\nbase_url: https://main.example\ntheme: plain\n";

#[test]
fn a_minified_site_says_the_same_in_fewer_bytes() {
    let small = Small::new();
    let base = format!(
        "<!-- no -->\n<div>\n  {ASKS}\n  <p>\n{{% filter slot(name=\"nav\") %}} our  <b>shop</b> {{% endfilter %}}</p>"
    );
    small
        .contract("inherited")
        .write("site/site.yaml", format!("{SITE}minify: true\n"))
        .write("themes/plain/templates/base.html", base)
        .write("themes/plain/static/style.css", "body {\n  margin: 0px;\n}\n")
        .write("site/static/cart.mjs", "// why\nexport const open = () => {\n  const first = 1;\n  return first;\n};\n")
        .write("site/static/old.min.js", "var  a = 1;")
        .page("about.md", "Words.\n\n```\na\n   b\n```\n");
    let release = small.release().unwrap();
    let page = &release.output.files["/about/"];
    let text = html(&release.output, "/about/");
    assert!(text.starts_with("<div><link"), "{text}");
    assert!(text.contains("<p>Words.</p><pre><code>a\n   b\n</code></pre><p> our <b>shop</b> </p>"), "{text}");
    let fills = BTreeMap::from([("nav".to_owned(), b"<i>theirs</i>".to_vec())]);
    let filled = String::from_utf8(fill_slots(&page.bytes, &page.slots, &fills)).unwrap();
    assert!(filled.contains("</pre><p><i>theirs</i></p>"), "{filled}");
    let bytes = |path: &str| String::from_utf8(release.output.files[path].bytes.to_vec()).unwrap();
    assert_eq!(bytes("/style.css"), "body{margin:0}");
    assert!(bytes("/cart.mjs").starts_with("export const open=()=>{"), "{}", bytes("/cart.mjs"));
    assert_eq!(bytes("/old.min.js"), "var  a = 1;");
    // The partner, who minifies nothing, renders from what came with the release.
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = originals(&small, &framework);
    assert_eq!(style(&originals.output, "/"), style(&release.output, "/about/"));
    small.write("themes/plain/static/style.css", "body {\n  margin: 0\n}\n} p").write("site/static/a.js", "let = = 1;");
    let report = small.main().unwrap_err();
    for told in ["bad-style", "style.css:4:4", "bad-script", "a.js:1:", "or name the file a.min.js"] {
        assert!(report.contains(told), "{told}: {report}");
    }
}

/// A picture of this size as a file of this format.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, y| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(pixels).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn variants(output: &Output) -> Vec<&SitePath> {
    output.files.iter().filter(|(_, file)| file.media_type == "image/webp").map(|(path, _)| path).collect()
}

#[test]
fn a_picture_comes_in_narrower_files_which_pages_name() {
    let small = Small::new();
    small
        .write("site/site.yaml", format!("{SITE}images: {{widths: [40, 80, 400]}}\n"))
        .write("site/static/pictures/loom.jpg", picture(120, 60, ImageFormat::Jpeg))
        .write("site/static/logo.svg", "<svg width=\"40\" height=\"20\"></svg>")
        .write(
            "themes/plain/templates/page.html",
            "{{ page.content }}{% set i = image(path=\"/pictures/loom.jpg\") %}{{ i.path }} {{ i.width }} {{ i.height }} {{ i.srcset }}\
             {% set i = image(path=\"/logo.svg\") %} {{ i.width }} {{ i.height }} {{ i.srcset or \"one\" }}",
        )
        .page("loom.md", "![A loom](/pictures/loom.jpg)\n");
    let output = small.main().unwrap();
    let variants = variants(&output);
    assert_eq!(variants.len(), 3);
    for (path, width) in variants.iter().zip([120, 40, 80]) {
        let file = &output.files[*path];
        assert!(path.as_str().starts_with("/pictures/loom."), "{path}");
        assert_eq!((file.kind, file.media_type), (EntryKind::Asset, "image/webp"));
        let size = image::load_from_memory_with_format(&file.bytes, ImageFormat::WebP).unwrap();
        assert_eq!((size.width(), size.height()), (width, width / 2), "{path}");
    }
    let page = html(&output, "/loom/");
    let srcset = format!("{} 40w, {} 80w, {} 120w", variants[1], variants[2], variants[0]);
    assert!(page.contains(&format!("width=\"120\" height=\"60\" srcset=\"{srcset}\"")), "{page}");
    assert!(page.contains(&format!("/pictures/loom.jpg 120 60 {srcset} 40 20 one")), "{page}");
    small.write("site/site.yaml", format!("{SITE}images: none\n"));
    let output = small.main().unwrap();
    assert!(self::variants(&output).is_empty());
    assert!(html(&output, "/loom/").contains("width=\"120\" height=\"60\""));
}

#[test]
fn a_picture_is_made_once_and_again_if_its_file_was_damaged() {
    let small = Small::new();
    small
        .write("site/site.yaml", format!("{SITE}images: {{widths: [40]}}\n"))
        .write("site/static/loom.png", picture(120, 60, ImageFormat::Png));
    let cache = Cache::at(small.path("cache"));
    let loading = Loading { pictures: Some(cache.clone()), ..Loading::default() };
    let load = || Site::load_as(&small.path("site"), &small.path("themes"), &loading).unwrap();
    let build = || load().build_main().unwrap();
    let kept = || fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let first = build();
    assert_eq!(first, small.main().unwrap(), "a cache changes nothing");
    let files = kept();
    assert_eq!(files.len(), 1);
    // What the cache holds is taken: another picture put in its place is served.
    let other = Cache::at(small.path("other"));
    let key = files[0].file_name().unwrap().to_str().unwrap();
    other.put(&format!("blake3:{key}").parse().unwrap(), b"taken");
    fs::copy(other.path().join(key), &files[0]).unwrap();
    let path = variants(&first)[0];
    assert_eq!(&*build().files[path].bytes, b"taken");
    fs::write(&files[0], b"damaged").unwrap();
    assert_eq!(build(), first);
    // Originals are made with the same settings and by the same maker.
    small
        .write("partner/static/loom.png", picture(120, 60, ImageFormat::Png))
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\nimages: {widths: [40]}\n");
    let framework = Framework::load(&small.path("themes"), "plain").unwrap();
    let among = Surroundings { inherited: &[], beside: &Menus::default(), mounts: None };
    let originals = build_originals_with(&cache, &small.path("partner"), &framework, &among).unwrap();
    assert_eq!(originals.output.files[path].bytes, first.files[path].bytes);
    assert_eq!(kept().len(), 1);
}

#[test]
fn a_file_that_is_no_picture_is_an_error_by_name() {
    let small = Small::new();
    let mut cut = picture(600, 60, ImageFormat::Png);
    cut.truncate(700);
    small.write("site/static/a.png", "x").write("site/static/cut.png", cut);
    let report = small.main().unwrap_err();
    assert!(report.contains("site/static/a.png"), "{report}");
    assert!(report.contains("the picture cannot be read: it is no PNG, JPEG or WebP picture"), "{report}");
    assert_eq!(report.matches("bad-image").count(), 2, "{report}");
}
