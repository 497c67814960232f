//! SIGKILL at random moments of a partner with two main sites, while both publish and are approved.
//!
//! `TIEUP_KILLS=1000 cargo test -p tieup-tests --test proof kills_beside -- --nocapture` kills so often; `TIEUP_SEED`
//! repeats a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use tieup_hub::publish::Rejected;
use tieup_protocol::approval::ReleaseState;
use tieup_store::audit::AuditTrail;
use tieup_syncd::control::{Answer, Command};
use tieup_tests::child::{self, Process, Program};
use tieup_tests::keep_alive::KeepAlive;
use tieup_tests::marked::mark;
use tieup_tests::neighbour::free_address;
use tieup_tests::world::{Halted, site_id};
use tieup_tests::{Contract, Neighbour, World, told};

use crate::kills::approve_open;
use crate::setting;

/// How often the daemon is killed unless `TIEUP_KILLS` says otherwise.
const KILLS: u64 = 16;

/// How many pages each main site has beside its first one and the one that a single release has.
const PAGES: usize = 3;

/// What stands around every page of a main site, and says of which release it is.
const FRAME: &str = "<!doctype html>\n<html lang=\"{{ lang }}\">\n<title>{{ page.title }}</title>\n\
    <nav>{% filter slot(name=\"nav\") %}a menu{% endfilter %}</nav>\n\
    <main>{% block main %}{% endblock main %}</main>\n<footer>MARK</footer>\n</html>\n";

/// One of the two main sites, at the partner and where it is written.
struct Side {
    /// What its marks are called, and where its part of the site begins.
    name: &'static str,
    /// Where the partner's own page beside it stands.
    original: &'static str,
    /// Its sitemap.
    sitemap: &'static str,
    /// The state folder of its tie-up.
    state: PathBuf,
    /// The operator's socket.
    socket: PathBuf,
    site: PathBuf,
    themes: PathBuf,
}

/// A partner of two main sites whose daemon is a process.
struct Shop {
    world: World,
    southern: Neighbour,
    sides: [Side; 2],
    halted: Halted,
    program: Program,
    process: Process,
    /// The number of the newest release of both.
    newest: u64,
    /// How long both take to publish and be approved where nobody is killed.
    takes: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_each_main_sites_part_is_wholly_of_one_release_and_the_next_pushes_work() {
    let kills = setting("TIEUP_KILLS").unwrap_or(KILLS);
    let seed = setting("TIEUP_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, TIEUP_SEED={seed}");
    let (mut rng, mut found) = (Rng::with_seed(seed), BTreeMap::new());
    let mut shop = Shop::open().await;
    for _ in 0..kills {
        let after = shop.takes.mul_f64(rng.f64() * 1.1);
        *found.entry(shop.kill_once(after).await).or_insert(0_u64) += 1;
    }
    println!("after {kills} kills, TIEUP_SEED={seed}:");
    for (served, times) in found {
        println!("  {times:5} {served}");
    }
}

impl Side {
    /// Writes the main site and its theme as they are in release `number`.
    fn write(&self, number: u64) {
        let Self { name, site, themes, .. } = self;
        let tag = format!("{name}-{number}-");
        put(&themes.join("plain/templates/base.html"), &FRAME.replace("MARK", &tag));
        let page = format!("---\ntitle: page {tag}\n---\nWords {tag}.\n");
        let folder = site.join("content").join(name);
        put(&folder.join("_index.md"), &page);
        (0..PAGES).for_each(|page_number| put(&folder.join(format!("p{page_number}.md")), &page));
        let _ = fs::remove_file(folder.join(format!("only-{}.md", number - 1)));
        put(&folder.join(format!("only-{number}.md")), &page);
    }

    /// Which release's part of the site is served, wholly.
    fn look(&self, line: &mut KeepAlive) -> Result<u64, String> {
        let name = self.name;
        let mut ask = |path: &str| line.get(path).map_err(|error| format!("GET {path}: {error}"));
        let first = mark("/", &ask(&format!("/{name}/"))?, name)?;
        let pages = (0..PAGES).map(|number| format!("/{name}/p{number}/")).chain([self.original.to_owned()]);
        for path in pages {
            let found = mark(&path, &ask(&path)?, name)?;
            if found != first {
                return Err(format!("{path} is of release {found}, /{name}/ of {first}"));
            }
        }
        for number in first.saturating_sub(2)..first + 3 {
            let path = format!("/{name}/only-{number}/");
            let status = ask(&path)?.status;
            if (status == 200) != (number == first) {
                return Err(format!("{path} answers {status}, yet /{name}/ is of release {first}"));
            }
        }
        let map = ask(self.sitemap)?;
        if map.text.matches("/only-").count() != 1 || !map.text.contains(&format!("/{name}/only-{first}/")) {
            return Err(format!("{} ({}) is not that of release {first}:\n{}", self.sitemap, map.status, map.text));
        }
        Ok(first)
    }

    /// Records and live document of this tie-up agree, and its audit trail continues itself.
    fn check_records(&self) {
        let live: Value = serde_json::from_slice(&fs::read(self.state.join("live.json")).unwrap()).unwrap();
        let status = match child::ask(&self.socket, &Command::Status) {
            Ok(Answer::Status { status, .. }) => status,
            other => panic!("no status of the tie-up `{}` but {other:?}", self.name),
        };
        let is_live = |state: &ReleaseState| *state == ReleaseState::Live;
        let said: Vec<u64> =
            status.releases.iter().filter(|r| is_live(&r.state)).map(|release| release.version.get()).collect();
        assert_eq!(said, [live["version"].as_u64().unwrap()], "{}: the records and live.json", self.name);
        assert!(status.releases.iter().filter(|release| release.state.is_open()).count() <= 1, "{status:?}");
        let trail = AuditTrail::at(self.state.join(tieup_syncd::publisher::AUDIT)).entries();
        trail.unwrap_or_else(|error| panic!("the audit trail of `{}`: {}", self.name, told(&error)));
    }
}

impl Shop {
    /// Both main sites are live.
    async fn open() -> Self {
        let contract = |main: &str, mounts: &str| {
            let text = Contract::inherited().mounts(mounts).between(main, "north");
            Contract::raw(&text.replacen("\nslots:", "\nindex: unique\nslots:", 1))
        };
        let mut world = World::new()
            .contract("north", contract("lampworks", r#"{"/": partner, "/nw/**": main}"#))
            .original("north", "/local/", "Our own shelf.")
            .start()
            .await;
        let south = contract("southern", r#"{"/": partner, "/south/**": main}"#);
        let plan = World::new().contract_alone("north", south).original("north", "/tea-room/", "Our own tea room.");
        let southern = world.neighbour("southern", &plan).await;
        world.join_too("north", &southern, &format!("peer: '{}'", free_address())).await;
        let halted = world.halt("north").await;
        let sides = sides(&world, &southern, &halted);
        let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
        let process = program.start();
        let mut shop = Self { world, southern, sides, halted, program, process, newest: 0, takes: Duration::default() };
        shop.write_next();
        shop.publish_both().await;
        // The home sitemap is made anew for the further main site, which is told once it is.
        shop.write_next();
        let began = Instant::now();
        shop.publish_both().await;
        shop.takes = began.elapsed();
        shop.assert_newest();
        shop
    }

    /// Kills the daemon while both publish and are approved, starts it again, looks at everything, and lets both finish.
    async fn kill_once(&mut self, after: Duration) -> &'static str {
        let before = self.newest;
        self.write_next();
        self.killed_while_both_publish(after).await;
        self.process = self.program.start();
        let seen = self.look();
        assert!(seen.iter().all(|number| [before, self.newest].contains(number)), "{seen:?} after {before}");
        self.sides.iter().for_each(Side::check_records);
        self.publish_both().await;
        self.assert_newest();
        self.sides.iter().for_each(Side::check_records);
        match seen.map(|number| number == before) {
            [true, true] => "the old release of both was served",
            [false, false] => "the new release of both was served",
            _ => "the new release of one was served, and the old one of the other",
        }
    }

    fn write_next(&mut self) {
        self.newest += 1;
        self.sides.iter().for_each(|side| side.write(self.newest));
    }

    async fn killed_while_both_publish(&mut self, after: Duration) {
        let (site, sockets) = (self.world.site(), self.sides.each_ref().map(|side| side.socket.clone()));
        let home = async {
            let _ = self.world.hub().publish(&site, &[site_id("north")], Rejected::Skip).await;
            tokio::task::block_in_place(|| approve_open(&sockets[0]));
        };
        let south = async {
            let _ = self.southern.publish("north").await;
            tokio::task::block_in_place(|| approve_open(&sockets[1]));
        };
        let process = &mut self.process;
        let kill = async {
            tokio::time::sleep(after).await;
            process.kill();
        };
        tokio::join!(home, south, kill);
    }

    /// Publishes what both are now, and approves what waits.
    async fn publish_both(&self) {
        let (home, south) = tokio::join!(self.world.try_publish("north"), self.southern.publish("north"));
        if let Err(error) = home.map(drop).and(south) {
            panic!("a push: {}\n{}", told(&error), self.program.logged());
        }
        self.sides.iter().for_each(|side| approve_open(&side.socket));
    }

    /// Of which releases the two parts of the site are.
    fn look(&self) -> [u64; 2] {
        let mut line = KeepAlive::open(self.halted.public).unwrap();
        self.sides
            .each_ref()
            .map(|side| side.look(&mut line).unwrap_or_else(|error| panic!("{error}\n{}", self.program.logged())))
    }

    fn assert_newest(&self) {
        assert_eq!(self.look(), [self.newest; 2], "after all was finished");
    }
}

fn sides(world: &World, southern: &Neighbour, halted: &Halted) -> [Side; 2] {
    let further = &halted.config.mains[&site_id("southern")];
    let (home, south) = (&world.hub().config, &southern.hub().config);
    [
        Side {
            name: "nw",
            original: "/local/",
            sitemap: "/sitemap-1.xml",
            state: halted.config.state.clone(),
            socket: halted.config.control_socket(),
            site: home.site.clone(),
            themes: home.themes.clone(),
        },
        Side {
            name: "south",
            original: "/tea-room/",
            sitemap: "/sitemap-southern.xml",
            state: further.state.clone(),
            socket: further.control_socket(),
            site: south.site.clone(),
            themes: south.themes.clone(),
        },
    ]
}

/// Writes a file and the folder it lies in.
fn put(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
