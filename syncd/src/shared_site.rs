//! The public site that all tie-ups of a partner share: one address, at which each path is served by one of them.
//!
//! The home tie-up comes first: what speaks for a whole site (the sitemap, `robots.txt`, the page for where nothing
//! stands, the search index) is its own; its sitemap names those of the others, its search finds their pages, and its menus
//! and feeds of the whole site have them. What two tie-ups claim is a conflict. That is found out when a release is staged, and
//! again when it goes live, in a turn that one tie-up at a time has, so that no two take the same path at the same moment.

mod beside;
mod clashes;
mod mirror;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tieup_generator::{sitemap_beside, speaks_for_site};
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::path::SitePath;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tieup_web::site::{AccessLog, LiveSite, PublicSite, ServedFile, SitePart};
use tokio::sync::Notify;

pub use self::beside::{Beside, OtherPages, SearchBeside};
use self::clashes::Other;
pub use self::clashes::{Clash, Clashes, Terms};
pub use self::mirror::Mirror;

/// Where a further tie-up's merged site has the list of its pages, which the home one's search reads. It is not served.
pub const LISTED_PAGES: &str = "/search/pages.json";

/// Where it has its menus, which those of the home one name. They are not served.
pub const LISTED_MENUS: &str = "/search/menus.json";

/// One tie-up before it has a share: whose it is, where its content lies, and who logs its visits.
pub struct TieUp {
    /// The main site.
    pub main: SiteId,
    /// Its content.
    pub blobs: Arc<BlobStore>,
    /// Its journal.
    pub log: Arc<dyn AccessLog>,
}

/// The site of all tie-ups.
struct SharedSite {
    public: Arc<PublicSite>,
    /// Codings of content that were made once.
    coded: Cache,
    /// The parts in their order, the home tie-up's first.
    parts: Vec<Part>,
    /// How each part stands. Held from the check of what goes live until it is.
    standing: Mutex<Vec<Standing>>,
    /// Whether something clashed when the daemon started, or could not be read.
    clashed: AtomicBool,
    /// Told when something else is public of another tie-up than the home one.
    others: Notify,
}

/// How a part stands, besides what it serves.
#[derive(Clone, Default)]
struct Standing {
    /// Under which terms it is live.
    terms: InForce,
    /// What it tells the home tie-up.
    told: Told,
}

/// What a further tie-up tells the home one: lists that are among its blobs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    pages: Option<BlobRef>,
    menus: Option<BlobRef>,
}

impl Told {
    /// What stands in a merged site.
    fn of(whole: &LiveSite) -> Self {
        let list =
            |path: &str| path.parse().ok().and_then(|path: SitePath| whole.files.get(&path).map(|file| file.blob));
        Self { pages: list(LISTED_PAGES), menus: list(LISTED_MENUS) }
    }
}

/// The terms under which a part is live.
#[derive(Clone, Default)]
enum InForce {
    /// None: nothing of main's is live there.
    #[default]
    None,
    /// These.
    Known(Terms),
    /// Some that cannot be read: nobody may take a path, as it could be that part's.
    Unreadable,
}

impl InForce {
    fn known(&self) -> Option<&Terms> {
        match self {
            Self::Known(terms) => Some(terms),
            Self::None | Self::Unreadable => None,
        }
    }
}

/// A tie-up's part of the site.
struct Part {
    main: SiteId,
    blobs: Arc<BlobStore>,
    shown: SitePart,
}

/// One tie-up's share in the public site.
#[derive(Clone)]
pub struct Share {
    site: Arc<SharedSite>,
    number: usize,
}

/// The time in which one tie-up alone may change what is public.
pub struct Turn<'a> {
    share: &'a Share,
    standing: MutexGuard<'a, Vec<Standing>>,
}

impl Share {
    /// The public site of `home` and `others`, which serves nothing yet, and the share of each, in that order. Codings of
    /// content that were made once are kept in `coded`.
    pub fn open(home: TieUp, others: Vec<TieUp>, coded: Cache) -> (Arc<PublicSite>, Vec<Self>) {
        let mut public = PublicSite::new(home.blobs.clone(), home.log, coded.clone());
        let mut parts = vec![Part { main: home.main, blobs: home.blobs, shown: public.first() }];
        for TieUp { main, blobs, log } in others {
            let shown = public.add(blobs.clone(), log);
            parts.push(Part { main, blobs, shown });
        }
        let public = Arc::new(public);
        let standing = Mutex::new(vec![Standing::default(); parts.len()]);
        let (numbers, clashed) = (0..parts.len(), AtomicBool::default());
        let site =
            Arc::new(SharedSite { public: public.clone(), coded, parts, standing, clashed, others: Notify::new() });
        (public, numbers.map(|number| Self { site: site.clone(), number }).collect())
    }

    /// Its part of the site, which counts what it answers.
    pub fn part(&self) -> &SitePart {
        &self.site.parts[self.number].shown
    }

    /// Whether the partner has no other tie-up.
    pub fn is_alone(&self) -> bool {
        self.site.parts.len() == 1
    }

    /// Keeps in mind that something clashed when the daemon started, so that it is looked for from then on.
    pub fn note_clash(&self) {
        self.site.clashed.store(true, Ordering::Release);
    }

    /// Whether something clashed when the daemon started.
    pub fn has_clashed(&self) -> bool {
        self.site.clashed.load(Ordering::Acquire)
    }

    /// Whether the terms of this tie-up could not be read when it was last shown.
    pub fn is_unread(&self) -> bool {
        matches!(self.site.standing()[self.number].terms, InForce::Unreadable)
    }

    /// Begins this tie-up's turn, waiting until no other has one.
    pub fn turn(&self) -> Turn<'_> {
        Turn { share: self, standing: self.site.standing() }
    }

    /// The sitemaps of all tie-ups but the home one.
    fn sitemaps(&self) -> Vec<SitePath> {
        let mut found = Vec::new();
        for number in 1..self.site.parts.len() {
            found.extend(self.site.sitemaps_of(number, &self.site.live(number)));
        }
        found.sort();
        found
    }

    /// Waits until [`Share::beside`] gives something else than before.
    pub async fn others_changed(&self) {
        if self.is_home() {
            self.site.others.notified().await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    fn is_home(&self) -> bool {
        self.number == 0
    }

    fn main(&self) -> &SiteId {
        &self.site.parts[self.number].main
    }

    /// What of a tie-up's merged site is served beside that of others: without what speaks for a whole site, unless it
    /// is the home one's; its sitemap stands under a name of its own.
    fn part_of(&self, mut whole: LiveSite) -> LiveSite {
        if self.is_home() {
            return whole;
        }
        let sitemaps = sitemap_beside(self.main(), whole.files.keys());
        let sitemaps = sitemaps.into_iter().filter_map(|(from, to)| Some((to, whole.files.get(&from)?.clone())));
        let sitemaps: Vec<(SitePath, ServedFile)> = sitemaps.collect();
        whole.files.retain(|path, _| !speaks_for_site(path));
        whole.gone.retain(|path| !speaks_for_site(path));
        whole.files.extend(sitemaps);
        whole
    }
}

impl SharedSite {
    fn standing(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, number: usize) -> Arc<LiveSite> {
        self.parts[number].shown.live()
    }

    /// The sitemaps of part `number` among what it serves.
    fn sitemaps_of(&self, number: usize, live: &LiveSite) -> Vec<SitePath> {
        let begin = format!("/sitemap-{}", self.parts[number].main);
        let is_own = |path: &SitePath| {
            let number = path.as_str().strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".xml"));
            number.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number))
        };
        let mut own: Vec<SitePath> = live.files.keys().filter(|path| is_own(path)).cloned().collect();
        own.sort();
        own
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Turn<'_> {
    /// Whether no other tie-up has claimed what `whole`, this one's merged site, would serve under `terms`.
    ///
    /// A layout's file that is the same in both is no conflict.
    ///
    /// # Errors
    /// Every path that another tie-up serves or owns by contract; or where the two contracts give the same paths to
    /// both main sites, those alone; or that it is not known what another one owns.
    pub fn check(&self, whole: LiveSite, terms: &Terms) -> Result<(), Clashes> {
        if self.share.is_alone() {
            return Ok(());
        }
        let site = self.share.part_of(whole);
        let mut clashes = Vec::new();
        for number in (0..self.share.site.parts.len()).filter(|number| *number != self.share.number) {
            let main = &self.share.site.parts[number].main;
            if matches!(self.standing[number].terms, InForce::Unreadable) {
                return Err(Clashes::Unknown(main.clone()));
            }
            let other = Other { main, terms: self.standing[number].terms.known(), live: &self.share.site.live(number) };
            clashes.extend(other.clashes(self.share.main(), &site, terms));
        }
        clashes.sort_by(|one, other| one.path.cmp(&other.path));
        if clashes.is_empty() { Ok(()) } else { Err(Clashes::Paths(clashes)) }
    }

    /// Puts this tie-up's merged site before the public in one step, and ends the turn.
    pub fn show(self, whole: LiveSite, terms: Option<Terms>) {
        self.put(whole, terms.map_or(InForce::None, InForce::Known));
    }

    /// The same where its terms cannot be read. Until it is shown with terms, no other tie-up takes a path.
    pub fn show_unread(self, whole: LiveSite) {
        self.put(whole, InForce::Unreadable);
    }

    fn put(mut self, whole: LiveSite, terms: InForce) {
        let Share { site, number } = self.share;
        if self.share.is_alone() {
            return site.public.switch(whole);
        }
        let told = Told::of(&whole);
        let mut part = self.share.part_of(whole);
        part.mounts = terms.known().map(|terms| terms.mounts.clone());
        let differs = part != *site.live(*number) || told != self.standing[*number].told;
        site.parts[*number].shown.switch(part);
        self.standing[*number] = Standing { terms, told };
        if differs && !self.share.is_home() {
            site.others.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::contract::{Contract, MeterClass};
    use tieup_protocol::ids::ReleaseVersion;
    use tieup_protocol::manifest::EntryKind;
    use tieup_web::site::NoLog;

    use super::clashes::MOST_NAMED;
    use super::*;

    const CONTRACT: &str = include_str!("../../sites/nationwide/partners/harbor-shop/contract.yaml");
    const MOUNTS: &str = "mounts: {\"/\": main, \"/local/**\": partner}";

    /// Terms of `main` with these mounts.
    fn terms(main: &str, mounts: &str) -> Terms {
        assert!(CONTRACT.contains(MOUNTS), "{CONTRACT}");
        let text = CONTRACT.replace(MOUNTS, &format!("mounts: {mounts}"));
        let text = text.replace("nationwide/harbor-shop", &format!("{main}/harbor-shop"));
        Terms::new(ReleaseVersion::FIRST, &Contract::parse("contract.yaml", &text).unwrap())
    }

    fn site(files: &[(&str, &str, EntryKind, MeterClass)]) -> LiveSite {
        let served = |(path, bytes, kind, class): &(&str, &str, EntryKind, MeterClass)| {
            let file = ServedFile {
                blob: BlobRef::of(bytes.as_bytes()),
                media_type: "text/html".into(),
                kind: *kind,
                class: *class,
            };
            (path.parse().unwrap(), file)
        };
        LiveSite { files: files.iter().map(served).collect(), ..LiveSite::default() }
    }

    fn page(path: &str) -> (&str, &str, EntryKind, MeterClass) {
        (path, path, EntryKind::Page, MeterClass::Tieup)
    }

    fn original(path: &str) -> (&str, &str, EntryKind, MeterClass) {
        (path, path, EntryKind::Page, MeterClass::Original)
    }

    fn asset<'a>(path: &'a str, bytes: &'a str) -> (&'a str, &'a str, EntryKind, MeterClass) {
        (path, bytes, EntryKind::Layout, MeterClass::Tieup)
    }

    const HOME: &str = "{\"/\": partner, \"/nw/**\": main}";
    const SOUTH: &str = "{\"/\": partner, \"/south/**\": main}";

    /// The shares of `nationwide`, which is live with `home`, and of `southern`.
    fn shares(folder: &tempfile::TempDir, home: LiveSite) -> (Share, Share) {
        let tieup = |main: &str| TieUp {
            main: main.parse().unwrap(),
            blobs: Arc::new(BlobStore::open(folder.path().join(main)).unwrap()),
            log: Arc::new(NoLog),
        };
        let (_, mut shares) = Share::open(tieup("nationwide"), vec![tieup("southern")], Cache::at(folder.path()));
        let south = shares.pop().unwrap();
        let first = shares.pop().unwrap();
        first.turn().show(home, Some(terms("nationwide", HOME)));
        (first, south)
    }

    fn check(home: LiveSite, south: LiveSite, mounts: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (_, share) = shares(&folder, home);
        let checked = share.turn().check(south, &terms("southern", mounts));
        checked.err().map(|clashes| clashes.to_string()).unwrap_or_default()
    }

    #[test]
    fn pages_in_mounts_of_their_own_and_a_shared_layout_are_no_conflict() {
        let home = site(&[page("/nw/"), original("/"), asset("/style.css", "same"), original("/robots.txt")]);
        let south =
            site(&[page("/south/"), original("/south-of-here/"), asset("/style.css", "same"), original("/robots.txt")]);
        assert_eq!(check(home, south, SOUTH), "");
    }

    #[test]
    fn a_path_that_two_serve_is_told_with_both_names() {
        let home = site(&[page("/nw/"), original("/map/"), asset("/style.css", "one")]);
        let south = site(&[page("/south/"), original("/map"), asset("/style.css", "other"), original("/nw/mine/")]);
        assert_eq!(
            check(home, south, SOUTH),
            "/map/ is claimed by the partner's own page beside main site `southern` and by the partner's own page beside \
             main site `nationwide`\n\
             /nw/mine/ is claimed by the partner's own page beside main site `southern` and by main site `nationwide` \
             (mounts of contract nationwide/harbor-shop@3)\n\
             /style.css is claimed by main site `southern` (release 1) and by main site `nationwide` (release 1)"
        );
    }

    #[test]
    fn a_layout_stays_out_of_the_part_that_is_another_main_sites() {
        let told = check(site(&[]), site(&[asset("/nw/news.html", "x"), asset("/style.css", "x")]), SOUTH);
        assert_eq!(
            told,
            "/nw/news.html is claimed by main site `southern` (release 1) and by main site `nationwide` (mounts of \
             contract nationwide/harbor-shop@3)"
        );
    }

    #[test]
    fn an_original_of_one_keeps_the_main_site_of_the_other_away() {
        let told = check(site(&[original("/south/old/")]), site(&[page("/south/")]), SOUTH);
        assert_eq!(
            told,
            "/south/old/ is claimed by main site `southern` (mounts of contract southern/harbor-shop@3) and by the \
             partner's own page beside main site `nationwide`"
        );
    }

    #[test]
    fn contracts_that_give_the_same_paths_to_two_are_told_before_any_page() {
        let both = "{\"/\": partner, \"/nw/news/**\": main, \"/south/**\": main}";
        let told = check(site(&[page("/nw/")]), site(&[page("/nw/news/")]), both);
        assert_eq!(
            told,
            "/nw/news/ is claimed by main site `southern` (mounts of contract southern/harbor-shop@3) and by main site \
             `nationwide` (mounts of contract nationwide/harbor-shop@3)"
        );
        assert_ne!(check(site(&[]), site(&[]), "{\"/\": main}"), "");
        let apart = "{\"/\": main, \"/nw/**\": partner}";
        assert_eq!(check(site(&[]), site(&[]), apart), "");
    }

    #[test]
    fn many_conflicts_are_counted() {
        let paths: Vec<String> = (0..MOST_NAMED + 2).map(|number| format!("/local/{number:02}/")).collect();
        let pages: Vec<_> = paths.iter().map(|path| original(path)).collect();
        let told = check(site(&pages), site(&pages), SOUTH);
        assert_eq!((told.lines().count(), told.lines().last()), (MOST_NAMED + 1, Some("and 2 more")));
    }

    #[tokio::test]
    async fn what_speaks_for_the_whole_site_is_homes_and_names_the_others_sitemaps() {
        let folder = tempfile::tempdir().unwrap();
        let (home, south) = shares(&folder, site(&[original("/sitemap.xml"), original("/404.html")]));
        assert_eq!(home.beside().sitemaps, []);
        let whole =
            site(&[page("/south/"), original("/sitemap.xml"), original("/404.html"), original("/search/en.json")]);
        south.turn().show(whole, Some(terms("southern", SOUTH)));
        home.others_changed().await;
        assert_eq!(home.beside().sitemaps, ["/sitemap-southern.xml".parse().unwrap()]);
        assert_eq!(south.beside().sitemaps, []);
        let live = south.site.live(1);
        let mut paths: Vec<&str> = live.files.keys().map(SitePath::as_str).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/sitemap-southern.xml", "/south/"]);
    }
}
