//! What is kept of candidates changes none: after any edits each is the one that is built without knowing anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::{ContractRef, FORMAT, SlotRange};
use tieup_protocol::path::SourcePath;

use super::*;
use crate::trust;

const CONTRACT: &str = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");

/// One change to what a candidate is made from. The numbers choose among a few, so that edits come back.
#[derive(Clone, Debug)]
enum Edit {
    /// An original says something else, or is gone.
    Original(u8, Option<u8>),
    /// So does what fills a slot.
    Slot(u8, Option<u8>),
    /// So does a file among the originals that is no page.
    Static(Option<u8>),
    /// The partner's site has another title, address or search.
    Site(u8),
    /// A page of main's says something else, or is gone.
    Page(u8, Option<u8>),
    /// It is of another kind of file.
    MediaType(u8, u8),
    /// A file of main's stands where the partner may have one too, as one of the theme's or as one of the site's, or is gone.
    Logo(Option<u8>),
    /// The index of main's pages says something else.
    Title(u8),
    /// A template of the framework does.
    Template(u8),
    /// The contract lets the partner do something else.
    Terms(u8),
    /// An emergency begins or ends.
    Emergency,
    /// Another tie-up has nothing, a sitemap, a page that is found and stands in feeds and menus, the same with other words;
    /// or it is the home one, which is told of everything.
    Beside(u8),
    /// What was made of the merged site is swept: all of it, or but for the partner's own pages.
    Sweep(u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let gone = || prop_oneof![1 => Just(None), 3 => (0_u8..3).prop_map(Some)];
    prop_oneof![
        (0_u8..3, gone()).prop_map(|(which, says)| Edit::Original(which, says)),
        (0_u8..2, gone()).prop_map(|(which, says)| Edit::Slot(which, says)),
        gone().prop_map(Edit::Static),
        (0_u8..4).prop_map(Edit::Site),
        (0_u8..4, gone()).prop_map(|(which, says)| Edit::Page(which, says)),
        (0_u8..4, 0_u8..2).prop_map(|(which, what)| Edit::MediaType(which, what)),
        gone().prop_map(Edit::Logo),
        (0_u8..3).prop_map(Edit::Title),
        (0_u8..3).prop_map(Edit::Template),
        (0_u8..4).prop_map(Edit::Terms),
        Just(Edit::Emergency),
        (0_u8..5).prop_map(Edit::Beside),
        (0_u8..2).prop_map(Edit::Sweep),
    ]
}

/// A partner, and a release to it.
struct Shop {
    folder: TempDir,
    blobs: BlobStore,
    pictures: Cache,
    manifest: Manifest,
    contract: String,
    standing: Standing,
    beside: u8,
    /// What another tie-up has.
    others: Arc<BlobStore>,
    /// The partner's own pages as they were built last.
    own: Option<Arc<OwnPages>>,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path().join("blobs")).unwrap();
        let pictures = Cache::at(folder.path().join("pictures"));
        let manifest = Manifest {
            format: FORMAT,
            main: "nationwide".parse().unwrap(),
            partner: "harbor-shop".parse().unwrap(),
            version: ReleaseVersion::FIRST,
            contract: ContractRef { id: "nationwide/harbor-shop@3".parse().unwrap(), digest: BlobRef::of(b"").digest },
            theme: "plain".to_owned(),
            entries: BTreeMap::new(),
            framework: BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        };
        let others = Arc::new(BlobStore::open(folder.path().join("others")).unwrap());
        let (contract, standing, beside) = (CONTRACT.to_owned(), Standing::Usual, 0);
        let mut shop = Self { folder, blobs, pictures, manifest, contract, standing, beside, others, own: None };
        shop.framework("theme.yaml", "name: plain\napi: 1\nslots: [nav, banner]\n");
        for edit in
            [Edit::Site(0), Edit::Template(0), Edit::Title(0), Edit::Page(0, Some(0)), Edit::Original(0, Some(0))]
        {
            shop.edit(&edit);
        }
        shop
    }

    fn framework(&mut self, file: &str, text: &str) {
        let path: SourcePath = format!("plain/{file}").parse().unwrap();
        self.manifest.framework.insert(path, self.blobs.put(text.as_bytes()).unwrap());
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Writes a file of the partner's site, or removes it.
    fn write(&self, file: &str, text: Option<String>) {
        let path = self.site().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }

    fn edit(&mut self, edit: &Edit) {
        match *edit {
            Edit::Original(which, says) => {
                // The last stands where main may have a page too.
                let name = ["local/a", "local/b", "page-1"][usize::from(which)];
                let page = says.map(|says| format!("---\ntitle: Own {says}\n---\nWe say {says}.\n"));
                self.write(&format!("content/{name}.md"), page);
            }
            Edit::Slot(which, says) => {
                let name = ["nav", "banner"][usize::from(which)];
                // Long, so that most of what a segment holds is of filled pages, and is swept with them.
                let fill = says.map(|says| format!("<b>{says}</b>").repeat(2000));
                self.write(&format!("slots/{name}.html"), fill);
            }
            Edit::Static(says) => self.write("static/local/price.txt", says.map(|says| says.to_string())),
            Edit::Site(says) => {
                let search = if says % 2 == 0 { "" } else { "search: true\n" };
                let text = format!("title: Shop {says}\nbase_url: https://shop-{says}.example\n{search}");
                self.write("site.yaml", Some(text));
            }
            Edit::Page(which, says) => self.page(which, says),
            Edit::MediaType(which, what) => {
                let media_type = ["text/html", "text/html; charset=utf-8"][usize::from(what)].to_owned();
                if let Some(entry) = self.manifest.entries.get_mut(&page_path(which)) {
                    entry.media_type = media_type;
                }
            }
            Edit::Logo(says) => self.logo(says),
            Edit::Title(says) => {
                let page = |which| IndexedPage::new(page_path(which), format!("Page {says}"), "en".to_owned());
                let index: Vec<IndexedPage> = (0..4).map(page).collect();
                self.manifest.index = self.blobs.put(&serde_json::to_vec(&index).unwrap()).unwrap();
            }
            Edit::Template(says) => {
                let text = format!("<p>{says}</p>{{{{ page.title }}}} in {{{{ site.title }}}} {{{{ page.content }}}}");
                for name in ["index", "section", "page", "404"] {
                    self.framework(&format!("templates/{name}.html"), &text);
                }
            }
            Edit::Terms(says) => self.terms(says),
            Edit::Emergency if self.standing == Standing::Usual => self.standing = Standing::Emergency,
            Edit::Emergency => self.standing = Standing::Usual,
            Edit::Beside(what) => self.beside = what,
            Edit::Sweep(what) => {
                let own = self.own.iter().flat_map(|own| own.files.values()).filter(|_| what == 1);
                let own = own.map(|own| own.file.blob);
                let kept = self.manifest.all_blobs().chain(own).map(|blob| blob.digest).collect();
                self.blobs.sweep(&kept, SystemTime::now() + Duration::from_mins(1)).unwrap();
            }
        }
    }

    /// A page of main's, whose first bytes are a slot.
    fn page(&mut self, which: u8, says: Option<u8>) {
        let path = page_path(which);
        let Some(says) = says else { return drop(self.manifest.entries.remove(&path)) };
        let blob =
            self.blobs.put(format!("<i></i><main><p>Main says word{says} on {which}.</p></main>").as_bytes()).unwrap();
        let slots = vec![SlotRange { name: "nav".to_owned(), at: 3, length: 0 }];
        let entry = Entry { blob, kind: EntryKind::Page, media_type: "text/html".to_owned(), slots };
        self.manifest.entries.insert(path, entry);
    }

    fn logo(&mut self, says: Option<u8>) {
        let path: SitePath = "/local/logo.txt".parse().unwrap();
        let Some(says) = says else { return drop(self.manifest.entries.remove(&path)) };
        let kind = if says == 2 { EntryKind::Asset } else { EntryKind::Layout };
        let blob = self.blobs.put(&[says]).unwrap();
        let entry = Entry { blob, kind, media_type: "text/plain".to_owned(), slots: Vec::new() };
        self.manifest.entries.insert(path, entry);
    }

    fn terms(&mut self, says: u8) {
        let (from, to) = [
            ("override: never", "override: never"),
            ("override: never", "override: always"),
            ("override: never", "override: emergency"),
            ("slots: [nav, banner", "slots: [nav"),
        ][usize::from(says)];
        assert!(CONTRACT.contains(from));
        self.contract = CONTRACT.replace(from, to);
    }

    /// What release and originals make, or why they make nothing.
    fn candidate(&self, parts: &Parts) -> Result<Arc<Candidate>, String> {
        self.candidate_beside(self.beside(), parts)
    }

    fn candidate_beside(&self, beside: Beside, parts: &Parts) -> Result<Arc<Candidate>, String> {
        let contract = Contract::parse("contract.yaml", &self.contract).unwrap();
        let under = ContractRef { id: contract.id.clone(), digest: contract.digest() };
        let bytes = Manifest { contract: under, ..self.manifest.clone() }.to_bytes();
        let release = trust::reread(&bytes, &self.contract, BlobRef::of(&bytes).digest).unwrap();
        let at = Workplace { blobs: &self.blobs, pictures: &self.pictures, parts };
        let built = Candidate::build(&release, &self.site(), at, self.standing, beside);
        built.map_err(|error| error.to_string())
    }

    /// What stands beside it.
    fn beside(&self) -> Beside {
        if self.beside == 4 {
            return Beside { search: SearchBeside::Home, ..Beside::default() };
        }
        let mut beside = Beside::default();
        if self.beside > 0 {
            beside.sitemaps.push("/sitemap-south.xml".parse().unwrap());
        }
        if self.beside > 1 {
            beside.search = SearchBeside::Own(self.other_pages());
            let menus = r#"{"nav": [{"title": "Tea", "path": "/south/tea/"}]}"#;
            beside.menus = Menus::from_json(menus.as_bytes()).unwrap();
        }
        beside
    }

    /// One page, which says something else each time it is another.
    fn other_pages(&self) -> OtherPages {
        let page = IndexedPage::new("/south/tea/".parse().unwrap(), "Tea".to_owned(), "en".to_owned());
        let page = IndexedPage { date: "2026-03-05".parse().ok(), ..page };
        let text = format!("<main><p>We pick tea{}.</p></main>", self.beside);
        let blob = self.others.put(text.as_bytes()).unwrap();
        let mut pages = OtherPages::default();
        pages.add(page, blob, self.others.clone());
        pages
    }
}

fn page_path(which: u8) -> SitePath {
    format!("/page-{which}/").parse().unwrap()
}

/// Builds after each edit, and again, with what is known and without.
fn check(edits: &[Edit]) {
    let (mut shop, parts) = (Shop::open(), Parts::default());
    shop.candidate(&parts).unwrap();
    for edit in edits {
        shop.edit(edit);
        let kept = shop.candidate(&parts);
        if let Ok(candidate) = &kept {
            let files = candidate.files.values().chain(candidate.search.values());
            for file in files {
                assert!(shop.blobs.read(&file.blob).is_ok(), "{edit:?} of {edits:?}: content is missing");
            }
        }
        assert_eq!(kept, shop.candidate(&Parts::default()), "{edit:?} of {edits:?}");
        assert_eq!(kept, shop.candidate(&parts), "{edit:?} of {edits:?}, asked again");
        let index = parts.index(&shop.manifest.index, &shop.blobs).unwrap();
        let at = Workplace { blobs: &shop.blobs, pictures: &shop.pictures, parts: &parts };
        let (beside, contract) = (shop.beside().menus, Contract::parse("contract.yaml", &shop.contract).unwrap());
        let among = Surroundings { inherited: &index, beside: &beside, mounts: Some(&contract.mounts) };
        let own = parts.originals(&shop.site(), &shop.manifest, &among, at);
        shop.own = own.ok();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_known_changes_no_candidate(edits in proptest::collection::vec(any_edit(), 1..10)) {
        check(&edits);
    }
}

#[test]
fn every_kind_of_edit_is_seen_and_taken_back() {
    let back_and_forth = [
        [Edit::Original(0, Some(1)), Edit::Original(0, Some(0))],
        [Edit::Original(2, Some(1)), Edit::Original(2, None)],
        [Edit::Slot(0, Some(1)), Edit::Slot(0, None)],
        [Edit::Static(Some(1)), Edit::Static(None)],
        [Edit::Site(1), Edit::Site(0)],
        [Edit::Page(0, Some(1)), Edit::Page(0, Some(0))],
        [Edit::Page(1, Some(1)), Edit::Page(1, None)],
        [Edit::MediaType(0, 1), Edit::MediaType(0, 0)],
        [Edit::Logo(Some(0)), Edit::Logo(Some(1))],
        [Edit::Logo(Some(1)), Edit::Logo(Some(2))],
        [Edit::Title(1), Edit::Title(0)],
        [Edit::Template(1), Edit::Template(0)],
        [Edit::Terms(1), Edit::Terms(0)],
        [Edit::Emergency, Edit::Emergency],
        [Edit::Beside(1), Edit::Beside(0)],
        [Edit::Beside(2), Edit::Beside(3)],
        [Edit::Beside(4), Edit::Beside(0)],
        [Edit::Sweep(0), Edit::Sweep(1)],
    ];
    for there_and_back in back_and_forth {
        check(&there_and_back);
    }
    let both = [Edit::Terms(2), Edit::Original(2, Some(0)), Edit::Emergency, Edit::Emergency, Edit::Beside(1)];
    check(&[Edit::Page(1, Some(0))].iter().chain(&both).cloned().collect::<Vec<_>>());
    for beside in [2, 4] {
        check(&[Edit::Beside(beside), Edit::Page(0, Some(1)), Edit::Site(1), Edit::Page(0, Some(2)), Edit::Sweep(1)]);
    }
    let beneath = [Edit::Terms(1), Edit::Original(2, Some(0)), Edit::Page(1, Some(0)), Edit::Page(1, Some(1))];
    check(&beneath);
    let filled = [Edit::Slot(0, Some(1)), Edit::Page(1, Some(1)), Edit::Sweep(1), Edit::Page(0, Some(1))];
    check(&filled);
    let terms = [Edit::Terms(1), Edit::Original(2, Some(0)), Edit::Page(1, Some(0)), Edit::Terms(2), Edit::Terms(0)];
    check(&terms);
    check(&[Edit::Site(1), Edit::Page(0, Some(1)), Edit::Page(0, Some(2))]);
}

#[test]
fn what_did_not_change_is_the_same_candidate_whatever_stands_beside() {
    for beside in 0..5 {
        let (mut shop, parts) = (Shop::open(), Parts::default());
        shop.edit(&Edit::Beside(beside));
        let first = shop.candidate(&parts).unwrap();
        assert!(Arc::ptr_eq(&first, &shop.candidate(&parts).unwrap()), "{beside}");
        shop.edit(&Edit::Page(0, Some(1)));
        let second = shop.candidate(&parts).unwrap();
        assert_ne!(first, second);
        shop.edit(&Edit::Page(0, Some(0)));
        let again = shop.candidate(&parts).unwrap();
        assert!(Arc::ptr_eq(&first, &again), "{beside}: the live one is kept beside one that waits");
    }
}

#[test]
fn what_was_made_without_a_page_of_another_tie_up_that_is_damaged_is_made_anew_once_it_is_mended() {
    let (mut shop, parts) = (Shop::open(), Parts::default());
    shop.edit(&Edit::Site(1));
    shop.edit(&Edit::Beside(2));
    let (whole, damaged) = (shop.candidate(&Parts::default()).unwrap(), shop.beside());
    shop.others.sweep(&[].into(), SystemTime::now() + Duration::from_mins(1)).unwrap();
    assert_ne!(shop.candidate_beside(damaged, &parts).unwrap().search, whole.search);
    assert_eq!(shop.candidate(&parts).unwrap(), whole);
}
