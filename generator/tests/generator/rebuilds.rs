//! A site that is built again after edits has, byte for byte, what a clean build has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use proptest::prelude::*;
use tieup_generator::{Loading, Progress, Rebuild, Site, Tree};
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::small::Small;

/// A tree in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<SitePath, Vec<u8>>>);

impl Tree for Memory {
    fn read(&self, path: &SitePath) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(path).cloned()
    }

    fn write(&self, path: &SitePath, bytes: &[u8]) {
        self.0.lock().unwrap().insert(path.clone(), bytes.to_vec());
    }

    fn remove(&self, path: &SitePath) {
        self.0.lock().unwrap().remove(path);
    }
}

impl Memory {
    fn digest(&self) -> Option<Digest> {
        let files = self.0.lock().unwrap();
        let told: Vec<u8> = files.iter().flat_map(|(path, bytes)| [path.as_str().as_bytes(), bytes].concat()).collect();
        (!files.is_empty()).then(|| Digest::of(&told))
    }
}

/// What one build did.
struct Done {
    rendered: usize,
    problems: Option<String>,
}

fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

/// Builds again into `tree`. Files that were written a moment ago count as settled: no test writes one twice within a
/// tick of the clock without another length.
fn rebuild(small: &Small, tree: &Memory) -> Done {
    let cache = Cache::at(small.path("cache"));
    let begun = SystemTime::now() + Duration::from_mins(1);
    let built = tree.digest();
    let mut rebuild = Rebuild::begin(&small.path("site"), &small.path("themes"), cache, "tree", begun);
    if rebuild.current(built, now()).is_some() {
        return Done { rendered: 0, problems: None };
    }
    let progress = Arc::new(Progress::default());
    let before = tree.0.lock().unwrap().clone();
    if !rebuild.goes_on(built) {
        tree.0.lock().unwrap().clear();
    }
    match rebuild.run(tree, built, now(), &Loading { progress: progress.clone(), ..Loading::default() }) {
        Ok(findings) => {
            rebuild.keep(&findings, tree.digest());
            Done { rendered: progress.rendered(), problems: None }
        }
        Err(report) => {
            // A build that fails leaves the tree as it was.
            *tree.0.lock().unwrap() = before;
            Done { rendered: progress.rendered(), problems: Some(report.to_string()) }
        }
    }
}

/// What a clean build makes.
fn clean(small: &Small) -> Result<BTreeMap<SitePath, Vec<u8>>, String> {
    let site = Site::load(&small.path("site"), &small.path("themes")).map_err(|report| report.to_string())?;
    let output = site.at(now()).build_main().map_err(|report| report.to_string())?;
    Ok(output.files.iter().map(|(path, file)| (path.clone(), file.bytes.to_vec())).collect())
}

/// A site in which pages depend on each other in every way there is.
pub(crate) fn connected() -> Small {
    let small = Small::new();
    small.write(
        "site/site.yaml",
        "title: Main\nbase_url: https://main.example\ntheme: plain\nlanguages: [{code: ja, name: 日本語}]\n\
         taxonomies: [{name: tags, paginate_by: 2, feed: true}]\nfeeds: {site: [rss, json], sections: [atom], limit: 3}\n\
         menus: {main: [{title: News, path: /news/}]}\n",
    );
    for (name, text) in [
        (
            "base",
            "<title>{% block title %}{{ page.title }}{% endblock title %}</title>{{ head_meta() }}\
             {% set style = asset(path=\"/style.css\") %}<link href=\"{{ style.path }}\">\
             {% for item in menus.main %}<a href=\"{{ item.path }}\">{{ item.title }}</a>{% endfor %}\
             {% block main %}{% endblock main %}",
        ),
        (
            "page",
            "{% extends \"base.html\" %}{% block main %}{{ page.content }}{{ page.word_count }}\
             {% if page.prev %}<{{ page.prev.title }}{% endif %}{% if page.next %}>{{ page.next.title }}{% endif %}\
             {% for tag in page.taxonomies.tags %}{{ tag.name }}{{ tag.count }}{% endfor %}\
             {{ page.extra?.mood or \"\" }}{% for step in page.ancestors %}{{ step.title }}{% endfor %}\
             {% for other in page.translations %}{% set there = get_page(path=other.path) %}{{ there.title }}{% endfor %}\
             {% for other in related(limit=2) %}{{ other.title }}{% endfor %}{% endblock main %}",
        ),
        (
            "section",
            "{% extends \"base.html\" %}{% block main %}{{ page.content }}{% if paginator %}{{ paginator.number }}/{{ paginator.total }}\
             {% for p in paginator.pages %}{{ p.title }} {{ p.date }}{{ p.summary }}{% endfor %}\
             {% else %}{% for p in section.pages %}{{ p.title }}{{ p.description }}{% endfor %}{% endif %}\
             {% for s in section?.subsections or [] %}{{ s.title }}{% endfor %}{% endblock main %}",
        ),
        (
            "index",
            "{% extends \"base.html\" %}{% block main %}{% set news = get_section(path=\"/news/\") %}{% for p in news.pages %}{{ p.title }}\
             {{ p.word_count }}{% endfor %}{{ data.facts.motto }}{% endblock main %}",
        ),
        ("term", "{% extends \"section.html\" %}"),
        (
            "components",
            "{% component card(path: string) %}{% set there = get_page(path=path) %}[{{ there.title }}{{ there.word_count }}]\
             {% endcomponent card %}",
        ),
        (
            "taxonomy",
            "{% extends \"base.html\" %}{% block main %}{% for term in taxonomy.terms %}{{ term.name }} {{ term.count }}\
             {% endfor %}{% endblock main %}",
        ),
    ] {
        small.write(&format!("themes/plain/templates/{name}.html"), text);
    }
    small.write("site/data/facts.yaml", "motto: Slowly\n");
    small.write("site/content/_index.md", "---\ntitle: Home\n---\n");
    small.write("site/content/_index.ja.md", "---\ntitle: ホーム\n---\n");
    small.write("site/content/news/_index.md", "---\ntitle: News\nsort_by: date\npaginate_by: 2\n---\n");
    assert_eq!(clean(&small).map(|_| ()), Ok(()));
    small
}

/// A page of news as the edits write it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    title: u8,
    day: u8,
    tag: u8,
    words: u8,
    link: Option<u8>,
    cut: bool,
    card: bool,
    menu: bool,
}

impl Written {
    pub(crate) fn text(&self) -> String {
        let Self { title, day, tag, words, link, cut, card, menu } = self;
        let card = if *card { "\n\n{{ <card path=\"/news/\" /> }}" } else { "" };
        let menu = if *menu { "menus: [main]\n" } else { "" };
        let link = link.map_or(String::new(), |link| format!("[a](page-{link}.md) [b](/news/page-{link}/#h)"));
        let (cut, body) = (if *cut { "\n\n<!-- more -->\n\n" } else { "" }, "word ".repeat(usize::from(*words)));
        format!(
            "---\ntitle: Title {title}\ndate: 2026-11-0{day}\ntaxonomies: {{tags: [t{tag}]}}\n{menu}---\n\
             ## H\n\nBody {body}{cut}{link}{card}"
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Page(u8, Written),
    /// Another text below the same front matter, of so many words, which may begin with a card.
    Body(u8, u8, bool),
    Translate(u8),
    Delete(u8),
    Rename(u8, u8),
    /// What stood there before the last edit of the page.
    Back(u8),
    /// Its title, whether it is cut into pages, and what it gives to those below it.
    Section(u8, bool, u8),
    Settings(u8),
    Data(u8),
    OtherData(u8),
    Style(u8),
    Template(u8, u8),
    Title(u8),
    Alias(u8, u8),
    Static(u8, bool),
}

pub(crate) fn written() -> impl Strategy<Value = Written> {
    let rare = || proptest::bool::weighted(0.2);
    (0..3u8, 1..5u8, 0..4u8, 0..4u8, proptest::option::of(0..6u8), any::<bool>(), rare(), rare()).prop_map(
        |(title, day, tag, words, link, cut, card, menu)| Written { title, day, tag, words, link, cut, card, menu },
    )
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (0..6u8, written()).prop_map(|(page, written)| Edit::Page(page, written)),
        1 => (0..6u8).prop_map(Edit::Translate),
        1 => (0..6u8).prop_map(Edit::Delete),
        1 => (0..6u8, 0..6u8).prop_map(|(from, to)| Edit::Rename(from, to)),
        6 => (0..3u8, 0..4u8, any::<bool>()).prop_map(|(page, words, card)| Edit::Body(page, words, card)),
        3 => (0..3u8).prop_map(Edit::Back),
        2 => (0..3u8, any::<bool>(), 0..3u8).prop_map(|(title, paged, gives)| Edit::Section(title, paged, gives)),
        1 => (0..4u8).prop_map(Edit::Settings),
        1 => (0..3u8).prop_map(Edit::Data),
        1 => (0..3u8).prop_map(Edit::OtherData),
        1 => (0..3u8).prop_map(Edit::Style),
        1 => (0..3u8, 0..3u8).prop_map(|(template, text)| Edit::Template(template, text)),
        1 => (0..2u8).prop_map(Edit::Title),
        1 => (0..6u8, 0..3u8).prop_map(|(page, alias)| Edit::Alias(page, alias)),
        1 => (0..3u8, any::<bool>()).prop_map(|(file, there)| Edit::Static(file, there)),
    ]
}

fn news(page: u8) -> String {
    format!("site/content/news/page-{page}.md")
}

/// Keeps what a page says, to be brought back.
fn keep(small: &Small, page: u8) {
    let _ = fs::copy(small.path(&news(page)), small.path(&format!("page-{page}.before")));
}

/// What the files below a folder hold.
fn snapshot(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            snapshot(&entry.path(), files);
        } else {
            files.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
}

/// The sources, as a watch on them sees what changes.
fn sources(small: &Small) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["site", "themes"] {
        snapshot(&small.path(folder), &mut files);
    }
    files
}

/// Makes an edit, and gives the files that it changed.
pub(crate) fn saves(small: &Small, edit: &Edit, count: usize) -> Vec<PathBuf> {
    let before = sources(small);
    apply(small, edit, count);
    let after = sources(small);
    let differs = |file: &&PathBuf| before.get(*file) != after.get(*file);
    let files: BTreeSet<PathBuf> = before.keys().chain(after.keys()).filter(differs).cloned().collect();
    files.into_iter().collect()
}

/// Makes an edit. Every text gets another length than any before, so that a change within one tick of the clock shows.
pub(crate) fn apply(small: &Small, edit: &Edit, count: usize) {
    let mark = " ".repeat(count);
    let comment = |text: &str| format!("{text}#{mark}\n");
    let replace = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(small.path(file)).unwrap();
        small.write(file, text.replace(from, to) + &mark);
    };
    match edit {
        Edit::Section(title, paged, gives) => {
            let paged = if *paged { "paginate_by: 2\n" } else { "" };
            let gives = ["", "cascade: {extra: {mood: calm}}\n", "cascade: {taxonomies: {tags: [given]}, weight: 3}\n"]
                [usize::from(*gives)];
            let text = format!("---\ntitle: News {title}\nsort_by: date\n{paged}{gives}---\n{mark}");
            small.write("site/content/news/_index.md", text);
        }
        Edit::Settings(settings) => {
            let text = fs::read_to_string(small.path("site/site.yaml")).unwrap();
            let others = text.lines().filter(|line| !line.starts_with("search:") && !line.starts_with("permalinks:"));
            let others: String = others.flat_map(|line| [line, "\n"]).collect();
            let line = ["", "", "search: true\n", "permalinks: {news: \"/:section/:year/:slug/\"}\n"];
            small.write("site/site.yaml", others + line[usize::from(*settings)] + &comment(""));
        }
        Edit::Data(motto) => _ = small.write("site/data/facts.yaml", comment(&format!("motto: Motto {motto}\n"))),
        Edit::OtherData(more) => _ = small.write("site/data/more.yaml", comment(&format!("more: {more}\n"))),
        Edit::Style(size) => _ = small.write("themes/plain/static/style.css", format!("a{{margin:{size}px}}{mark}")),
        Edit::Template(template, text) => {
            let name = ["page", "section", "base"][usize::from(*template)];
            replace(
                &format!("themes/plain/templates/{name}.html"),
                "{{ page.title }}",
                &format!("{{{{ page.title }}}}{text}"),
            );
            replace(
                &format!("themes/plain/templates/{name}.html"),
                "{{ page.content }}",
                &format!("{text}{{{{ page.content }}}}"),
            );
        }
        Edit::Title(title) => replace("site/site.yaml", "title: Main\n", &format!("title: Main {title}\n")),
        Edit::Static(file, there) => {
            let path = format!("site/static/file-{file}.txt");
            if *there {
                small.write(&path, format!("file{mark}"));
            } else {
                let _ = fs::remove_file(small.path(&path));
            }
        }
        Edit::Page(page, _)
        | Edit::Body(page, ..)
        | Edit::Translate(page)
        | Edit::Delete(page)
        | Edit::Rename(page, _)
        | Edit::Back(page)
        | Edit::Alias(page, _) => apply_to_page(small, *page, edit, &mark),
    }
}

fn apply_to_page(small: &Small, page: u8, edit: &Edit, mark: &str) {
    let file = news(page);
    match edit {
        Edit::Page(_, written) => {
            keep(small, page);
            small.write(&file, written.text() + mark);
        }
        Edit::Body(_, words, card) => {
            keep(small, page);
            let text = fs::read_to_string(small.path(&file)).unwrap_or_default();
            let Some(end) = text.find("\n---\n") else { return };
            let card = if *card { "{{ <card path=\"/news/\" /> }}\n\n" } else { "" };
            let body = format!("{card}## H\n\nOther {}", "word ".repeat(usize::from(*words)));
            small.write(&file, text[..end + 5].to_owned() + &body + mark);
        }
        Edit::Back(_) => drop(fs::copy(small.path(&format!("page-{page}.before")), small.path(&file))),
        Edit::Translate(_) => {
            small.write(&format!("site/content/news/page-{page}.ja.md"), format!("---\ntitle: 訳\n---\n{mark}"));
        }
        Edit::Delete(_) => drop(fs::remove_file(small.path(&file))),
        Edit::Rename(_, to) => drop(fs::rename(small.path(&file), small.path(&news(*to)))),
        Edit::Alias(_, alias) => {
            let text = format!("---\ntitle: Aliased\ndate: 2026-11-01\naliases: [/old-{alias}/]\n---\n{mark}");
            small.write(&file, text);
        }
        _ => {}
    }
}

/// The first file in which two trees differ, as each of them has it.
fn differs(one: &BTreeMap<SitePath, Vec<u8>>, other: &BTreeMap<SitePath, Vec<u8>>) -> Option<[String; 3]> {
    let mut paths = one.keys().chain(other.keys());
    let first = paths.find(|path| one.get(*path) != other.get(*path))?;
    let text = |files: &BTreeMap<SitePath, Vec<u8>>| {
        files.get(first).map_or_else(|| "nothing".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    Some([first.to_string(), text(one), text(other)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_edits_gives_the_bytes_of_a_clean_build(edits in proptest::collection::vec(edit(), 1..14)) {
        let (small, tree) = (connected(), Memory::default());
        (0..6).for_each(|number| page(&small, number, "First", "## H\n\nOne."));
        rebuild(&small, &tree);
        for (count, edit) in edits.iter().enumerate() {
            apply(&small, edit, count + 1);
            let done = rebuild(&small, &tree);
            match clean(&small) {
                Ok(files) => {
                    prop_assert_eq!(done.problems, None);
                    prop_assert_eq!(differs(&tree.0.lock().unwrap(), &files), None);
                }
                Err(problems) => prop_assert_eq!(done.problems, Some(problems)),
            }
        }
    }
}

fn page(small: &Small, number: u8, title: &str, body: &str) {
    let text = format!("---\ntitle: {title}\ndate: 2026-11-1{number}\n---\n{body}");
    small.write(&news(number), text);
}

#[test]
fn work_follows_the_change() {
    let (small, tree) = (connected(), Memory::default());
    // Titles alone are shown in listings, so that a body is of no concern to them.
    small.write("themes/plain/templates/index.html", "{{ page.title }}");
    small.write("themes/plain/templates/section.html", "{% for p in paginator.pages %}{{ p.title }}{% endfor %}");
    (1..=5).for_each(|number| page(&small, number, "Old", "Body"));
    assert!(rebuild(&small, &tree).rendered > 9);
    assert_eq!(rebuild(&small, &tree).rendered, 0, "nothing has changed");
    page(&small, 1, "Old", "Another body");
    assert_eq!(rebuild(&small, &tree).rendered, 1, "a body is of no concern to others");
    page(&small, 3, "New title", "Body");
    assert_eq!(rebuild(&small, &tree).rendered, 1 + 2 + 1, "the page, its neighbours, and its part of the listing");
    small.write("site/data/other.yaml", "none: asked");
    assert_eq!(rebuild(&small, &tree).rendered, 0, "no template asks for this");
    small.write("themes/plain/templates/index.html", "{{ page.title }}!");
    assert_eq!(rebuild(&small, &tree).rendered, 2, "the first pages of both languages");
}

#[test]
fn a_draft_of_a_section_gives_to_those_below_it() {
    let (small, tree) = (connected(), Memory::default());
    let section = |mood: &str| {
        let text = format!("---\ntitle: Notes\ndraft: true\ncascade: {{extra: {{mood: {mood}}}}}\n---\n");
        small.write("site/content/notes/_index.md", text);
    };
    section("calm");
    small.write("site/content/notes/a.md", "---\ntitle: A\n---\n");
    rebuild(&small, &tree);
    section("stormy");
    rebuild(&small, &tree);
    assert_eq!(differs(&tree.0.lock().unwrap(), &clean(&small).unwrap()), None);
    assert!(String::from_utf8(tree.read(&"/notes/a/".parse().unwrap()).unwrap()).unwrap().contains("stormy"));
}

#[test]
fn a_text_with_components_may_move_within_its_file() {
    let (small, tree) = (connected(), Memory::default());
    let write = |title: &str| {
        let text = format!("---\ntitle: {title}\n---\n会社案内 {{{{ <card path=\"/news/\" /> }}}} 会社案内会社案内\n");
        small.write(&news(1), text);
    };
    write("A title that is long enough to reach into the text");
    rebuild(&small, &tree);
    for title in ["A", "AB", "ABC", "会社"] {
        write(title);
        assert_eq!(rebuild(&small, &tree).problems, None);
        assert_eq!(differs(&tree.0.lock().unwrap(), &clean(&small).unwrap()), None);
    }
}

#[test]
fn a_tree_that_somebody_changed_is_made_anew() {
    let (small, tree) = (connected(), Memory::default());
    rebuild(&small, &tree);
    let home: SitePath = "/".parse().unwrap();
    tree.write(&home, b"mine");
    assert!(rebuild(&small, &tree).rendered > 0);
    assert_ne!(tree.read(&home).unwrap(), b"mine");
}

#[test]
fn what_a_crash_left_of_an_older_build_is_not_trusted() {
    let (small, tree) = (connected(), Memory::default());
    (0..5).for_each(|number| page(&small, number, "Old", "Body"));
    rebuild(&small, &tree);
    let entries = || -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(small.path("cache")).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    };
    let older = entries();
    page(&small, 1, "A longer title", "Body");
    page(&small, 5, "Another page", "Body");
    rebuild(&small, &tree);
    let (newer, standing) = (entries(), tree.0.lock().unwrap().clone());
    page(&small, 1, "Old", "Body");
    fs::remove_file(small.path(&news(5))).unwrap();
    let fresh = clean(&small).unwrap();
    let changed: Vec<&PathBuf> =
        newer.iter().filter(|(file, new)| older.get(*file) != Some(new)).map(|it| it.0).collect();
    assert!(changed.len() > 3, "{changed:?}");
    for file in changed {
        for left in [older.get(file), None] {
            for (file, bytes) in &newer {
                fs::write(file, bytes).unwrap();
            }
            *tree.0.lock().unwrap() = standing.clone();
            match left {
                Some(old) => fs::write(file, old).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            rebuild(&small, &tree);
            assert_eq!(differs(&tree.0.lock().unwrap(), &fresh), None);
        }
    }
}

#[test]
fn a_link_that_breaks_is_told_even_where_its_page_is_known() {
    let (small, tree) = (connected(), Memory::default());
    page(&small, 1, "To", "## H");
    page(&small, 2, "From", "[a](/news/page-1/#h)");
    rebuild(&small, &tree);
    page(&small, 1, "To", "## Other");
    assert!(rebuild(&small, &tree).problems.unwrap().contains("broken-anchor"));
    fs::remove_file(small.path(&news(1))).unwrap();
    assert!(rebuild(&small, &tree).problems.unwrap().contains("broken-link"));
    small.write("site/static/list.txt", "a");
    page(&small, 2, "From", "[a](/list.txt)");
    assert_eq!(rebuild(&small, &tree).problems, None);
    fs::remove_file(small.path("site/static/list.txt")).unwrap();
    assert!(rebuild(&small, &tree).problems.unwrap().contains("broken-link"));
}

#[test]
fn a_page_whose_time_comes_is_built_though_no_file_changed() {
    let (small, tree) = (connected(), Memory::default());
    small.write("site/content/soon.md", "---\ntitle: Soon\npublish: 2026-11-22\n---\n");
    rebuild(&small, &tree);
    assert_eq!(tree.read(&"/soon/".parse().unwrap()), None);
    let begin = || {
        let begun = SystemTime::now() + Duration::from_mins(1);
        Rebuild::begin(&small.path("site"), &small.path("themes"), Cache::at(small.path("cache")), "tree", begun)
    };
    let later: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
    let mut rebuild = begin();
    assert!(rebuild.current(tree.digest(), now()).is_some());
    assert!(rebuild.current(tree.digest(), later).is_none());
    let built = tree.digest();
    let findings = rebuild.run(&tree, built, later, &Loading::default()).unwrap();
    rebuild.keep(&findings, tree.digest());
    assert!(tree.read(&"/soon/".parse().unwrap()).is_some());
}

#[test]
fn a_sample_is_compared_with_a_fresh_build() {
    let (small, tree) = (connected(), Memory::default());
    rebuild(&small, &tree);
    let begun = SystemTime::now() + Duration::from_mins(1);
    let rebuild =
        Rebuild::begin(&small.path("site"), &small.path("themes"), Cache::at(small.path("cache")), "tree", begun);
    let verified = rebuild.verify(&tree, now(), 1).unwrap();
    assert!(verified.compared > 5 && verified.different.is_empty(), "{verified:?}");
    let home: SitePath = "/".parse().unwrap();
    tree.write(&home, b"mine");
    assert_eq!(rebuild.verify(&tree, now(), 1).unwrap().different, [home]);
}
