//! A site held for somebody who publishes it: whatever happened before, the newest site is what is published.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use tieup_generator::{Output, Press, Progress, ReleaseOutput, Releases, Site, Sources};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::SiteId;
use tieup_protocol::path::SourcePath;
use tieup_store::cache::Cache;

use crate::rebuilds::{Edit, connected, edit, saves};
use crate::small::Small;

/// Who gets releases: two that share everything but a page, and one whose copies are not for search engines.
const PARTNERS: [&str; 3] = ["shop", "varied", "hidden"];

/// Something that happens before the next look at the site.
#[derive(Clone, Debug)]
enum Happening {
    Saved(Edit),
    /// A contract says otherwise how search engines shall treat its pages.
    Agreed(usize, bool),
    /// A partner has a page otherwise.
    Varied(u8),
    /// A file of the site's own comes to stand where the theme makes one, or goes.
    Replaced(bool),
    /// Time passes.
    Waited,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => edit().prop_map(Happening::Saved),
        1 => (0..3usize, any::<bool>()).prop_map(|(at, is_hidden)| Happening::Agreed(at, is_hidden)),
        1 => (0..5u8).prop_map(Happening::Varied),
        1 => any::<bool>().prop_map(Happening::Replaced),
        1 => Just(Happening::Waited),
    ]
}

fn start() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

fn agree(small: &Small, partner: &str, is_hidden: bool) {
    let index = if is_hidden { "index: noindex\n" } else { "" };
    small.contract_with(partner, &format!("partnership: inherited\n{index}"));
}

fn sources(small: &Small) -> Sources {
    Sources::new(&small.path("site"), &small.path("themes"))
}

fn press(small: &Small) -> Press {
    Press::new(sources(small), Cache::at(small.path("pictures")))
}

fn partner(name: &str) -> SiteId {
    name.parse().unwrap()
}

fn fresh(small: &Small, now: Timestamp) -> Result<Site, Report> {
    Ok(Site::load(&small.path("site"), &small.path("themes"))?.at(now))
}

/// A release: its files, and those of its framework.
type Published = (Output, BTreeMap<SourcePath, Vec<u8>>);

/// What each partner gets, or what is wrong with it.
fn published(releases: &Releases) -> Vec<Result<Published, String>> {
    let taken = |release: ReleaseOutput| (release.output, release.framework.files().clone());
    let build = |name: &&str| releases.build(&partner(name)).map(taken);
    PARTNERS.iter().map(|name| build(name).map_err(|report| report.to_string())).collect()
}

#[test]
fn what_is_no_source_is_told_apart() {
    let small = Small::new();
    let has = |file: &str| sources(&small).has(&small.path(file));
    assert!(!has("site/public/index.html") && !has("site/content/.about.md.swp") && !has("site/tieup.log"));
    assert!(has("site/content/about.md") && has("site/site.yaml") && has("themes/plain/static/style.css"));
}

#[test]
fn a_text_is_made_alone() {
    let small = Small::new();
    small.page("about.md", "one").page("other.md", "one");
    agree(&small, "shop", false);
    let mut press = press(&small);
    let progress = Arc::new(Progress::default());
    press.refresh(&[], &progress, start()).unwrap().build(&partner("shop")).unwrap();
    press.own(&progress).unwrap();
    small.page("about.md", "two");
    let progress = Arc::new(Progress::default());
    let releases = press.refresh(&[small.path("site/content/about.md")], &progress, start()).unwrap();
    releases.build(&partner("shop")).unwrap();
    press.own(&progress).unwrap();
    assert_eq!(progress.rendered(), 2, "the page for the partner, and main's own");
}

#[test]
fn a_mistake_is_told_until_it_is_mended_and_what_was_asked_before_can_still_be_made() {
    let small = Small::new();
    small.page("about.md", "one");
    agree(&small, "shop", false);
    let (mut press, progress) = (press(&small), Arc::default());
    let first = press.refresh(&[], &progress, start()).unwrap();
    let of_first = first.build(&partner("shop")).unwrap().output;
    small.page("about.md", "[nowhere](/nowhere/)");
    let file = small.path("site/content/about.md");
    let second = press.refresh(std::slice::from_ref(&file), &progress, start()).unwrap();
    assert!(second.build(&partner("shop")).is_err() && press.own(&progress).is_err());
    // Another text alone is read; the mistake stays.
    small.page("index.md", "Home, too");
    let third = press.refresh(&[small.path("site/content/index.md")], &progress, start()).unwrap();
    assert!(third.build(&partner("shop")).is_err() && press.own(&progress).is_err());
    assert_eq!(first.build(&partner("shop")).unwrap().output, of_first);
    small.write("site/content/about.md", "---\ntilte: About\n---\n");
    assert!(press.refresh(std::slice::from_ref(&file), &progress, start()).is_err());
    small.page("about.md", "two");
    let last = press.refresh(&[file], &progress, start()).unwrap();
    let expected = fresh(&small, start()).unwrap();
    assert_eq!(last.build(&partner("shop")).unwrap().output, expected.build_release(&partner("shop")).unwrap().output);
    assert_eq!(press.own(&progress).unwrap(), expected.build_main().unwrap().files);
}

#[test]
fn whoever_still_holds_the_releases_of_a_site_that_has_passed_finds_the_newest() {
    let small = Small::new();
    for partner in PARTNERS {
        agree(&small, partner, false);
    }
    let mut press = press(&small);
    let mut say = |words: &str| {
        small.page("about.md", words);
        press.refresh(&[small.path("site/content/about.md")], &Arc::default(), start())
    };
    let passed = ["one", "two"].map(|words| say(words).unwrap());
    let third = say("three").unwrap();
    for held in &passed {
        assert!(Arc::ptr_eq(held.newest(), &third), "an order that was overtaken is made from a site that has passed");
    }
    assert!(Arc::ptr_eq(third.newest(), &third));
    assert_eq!(published(passed[0].newest()), published(&fresh(&small, start()).unwrap().releases()));
    // Where a site cannot be read, the one that was good last stays the newest.
    small.write("site/content/broken.md", "---\ntilte: Broken\n---\n");
    assert!(press.refresh(&[], &Arc::default(), start()).is_err());
    assert!(Arc::ptr_eq(passed[0].newest(), &third));
    std::fs::remove_file(small.path("site/content/broken.md")).unwrap();
    let mended = press.refresh(&[], &Arc::default(), start()).unwrap();
    assert!(passed.iter().chain([&third]).all(|held| Arc::ptr_eq(held.newest(), &mended)));
}

#[test]
fn a_mistake_that_was_read_with_an_earlier_site_is_not_lost() {
    for publishes in [true, false] {
        let small = Small::new();
        small.page("about.md", "one");
        agree(&small, "shop", false);
        let (mut press, progress) = (press(&small), Arc::default());
        press.refresh(&[], &progress, start()).unwrap().build(&partner("shop")).unwrap();
        press.own(&progress).unwrap();
        small.page("about.md", "[nowhere](/nowhere/)");
        let second = press.refresh(&[], &progress, start()).unwrap();
        assert!(!publishes || second.build(&partner("shop")).is_err() && press.own(&progress).is_err());
        small.write("themes/plain/static/style.css", "body { color: navy }");
        let third = press.refresh(&[], &progress, start()).unwrap();
        assert!(third.build(&partner("shop")).is_err() && press.own(&progress).is_err());
    }
}

#[test]
fn what_the_theme_makes_comes_back_where_the_sites_own_file_goes() {
    let small = Small::new();
    agree(&small, "shop", false);
    let (mut press, progress) = (press(&small), Arc::default());
    let file = small.path("site/static/404.html");
    let mut made = Vec::new();
    for comes in [false, true, false] {
        if comes {
            small.write("site/static/404.html", "Nothing is here.");
        } else {
            let _ = std::fs::remove_file(&file);
        }
        press.refresh(std::slice::from_ref(&file), &progress, start()).unwrap();
        made.push(press.own(&progress).unwrap().remove("/404.html").unwrap().bytes);
    }
    assert!(made[0] == made[2] && made[0] != made[1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_the_newest_site_is_published(
        happenings in proptest::collection::vec((happening(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let small = connected();
        (0..6).for_each(|number| {
            let text = format!("---\ntitle: First\ndate: 2026-11-1{number}\n---\n## H\n\nOne.");
            small.write(&format!("site/content/news/page-{number}.md"), text);
        });
        small.write("site/content/soon.md", "---\ntitle: Soon\npublish: 2026-11-21T00:30:00Z\n---\nHere.");
        for partner in PARTNERS {
            agree(&small, partner, partner == "hidden");
        }
        let (mut press, mut now, progress) = (press(&small), start(), Arc::default());
        press.refresh(&[], &progress, now).unwrap();
        for (count, (happening, publishes, shows)) in happenings.iter().enumerate() {
            let changed = match happening {
                Happening::Saved(edit) => saves(&small, edit, count + 1),
                Happening::Agreed(at, is_hidden) => {
                    agree(&small, PARTNERS[*at], *is_hidden);
                    vec![small.path(&format!("site/partners/{}/contract.yaml", PARTNERS[*at]))]
                }
                Happening::Varied(page) => {
                    let file = format!("site/partners/varied/content/news/page-{page}.md");
                    small.write(&file, format!("---\ntitle: Varied\n---\nOtherwise.{}", " ".repeat(count)));
                    vec![small.path(&file)]
                }
                Happening::Replaced(comes) => {
                    let file = small.path("site/static/404.html");
                    if *comes {
                        small.write("site/static/404.html", "Nothing is here.");
                    } else {
                        let _ = std::fs::remove_file(&file);
                    }
                    vec![file]
                }
                Happening::Waited => {
                    now += jiff::SignedDuration::from_mins(20);
                    Vec::new()
                }
            };
            let refreshed = press.refresh(&changed, &progress, now);
            let site = match fresh(&small, now) {
                Ok(site) => site,
                Err(report) => {
                    prop_assert_eq!(refreshed.err().map(|report| report.to_string()), Some(report.to_string()));
                    continue;
                }
            };
            let releases = refreshed.unwrap();
            if *publishes {
                prop_assert_eq!(published(&releases), published(&site.releases()));
            }
            if *shows {
                let told = |report: Report| report.to_string();
                prop_assert_eq!(press.own(&progress).map_err(told), site.build_main().map(|output| output.files).map_err(told));
            }
        }
    }
}
