//! The hub's database at a PostgreSQL server: the loop is the same, two hubs share it, and it is moved there and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tieup_hub::config::{Config, DATABASE_VARIABLE};
use tieup_hub::database::Location;
use tieup_hub::keys::KeyFolder;
use tieup_hub::lead::Lead;
use tieup_hub::partners::Hub;
use tieup_hub::server::Server;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::joining::{Invitation, Reach};
use tieup_protocol::wire::StatementVerdict;
use tieup_syncd::identity::Identity;
use tieup_tests::postgres::{new_database, run_sql};
use tieup_tests::world::{self, MAIN, site_id};
use tieup_tests::{Contract, World, assert_says, told};

/// What [`crate::settled`] is, with the database at `address`; and a contract with `later`, which has not joined.
async fn settled(address: &str) -> World {
    let world = World::new()
        .hub(&format!("database: {address}\n"))
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .contract("south", Contract::inherited())
        .contract_alone("later", Contract::inherited())
        .start()
        .await;
    world.go_live("north").await;
    world
}

/// Runs `tieup` with the configuration `config`.
fn tieup(config: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    command.envs(environment.iter().copied()).arg("--config").arg(config).args(arguments).output().unwrap()
}

/// What `tieup status` says to programs, but for what is different at every moment.
fn status(config: &Path) -> Value {
    let output = tieup(config, &[], &["status", "--all", "--format", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut status: Value = serde_json::from_slice(&output.stdout).unwrap();
    for partner in status.as_array_mut().unwrap() {
        let heard = partner.as_object_mut().unwrap().remove("heard");
        assert!(heard.is_some_and(|heard| heard.is_string()), "a partner that was asked was heard");
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_is_the_same_with_a_server_and_survives_the_loss_of_its_connections() {
    let address = new_database();
    let mut world = settled(&address).await;
    assert!(!world.hub().config.state.join("hub.sqlite").exists(), "there is a file as well");
    for path in ["/", "/about/", "/local/", "/about/"] {
        world.get("north", path).await;
    }
    world.collect("north").await;
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical);
    assert_says(&delivered.notice.statement, &["status:          draft", "total:           50001 JPY"]);

    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_ne!(run_sql(&address, &format!("SELECT count(pg_terminate_backend(pid)) {others}")), "0");
    world.edit("/about/", "We mend everything.");
    assert_eq!(world.publish("north").await.version.get(), 2);
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend everything.").await;
    assert_eq!(world.roll_back("north").version, ReleaseVersion::FIRST);
    let kept = "SELECT string_agg(version || ' ' || (manifest <> ''), ', ' ORDER BY version) FROM manifests";
    assert_eq!(run_sql(&address, kept), "1 true, 2 true");

    world.hub().revoke_partner(&site_id("south"), "the laptop was stolen", Timestamp::now()).await.unwrap();
    let error = world.try_publish("south").await.unwrap_err();
    assert_says(&told(&error), &["`south` is revoked since", "the laptop was stolen"]);
    world.join("later", &world.folder().join("sources/partners/later")).await;
    world.go_live("later").await;
    world.assert_shows("later", "/about/", "We mend everything.").await;
}

/// `.ci/run` runs the tests of statements, and of what they are made from, a second time so.
#[tokio::test(flavor = "multi_thread")]
async fn every_world_has_its_database_where_the_environment_says() {
    let started = World::new().main_page("/about/", "We mend lamps.").start().await;
    let config = &started.hub().config;
    let is_at_server = matches!(config.database, Location::Server(_));
    assert_eq!(is_at_server, std::env::var(world::DATABASE_VARIABLE).as_deref() == Ok("postgres"));
    assert_ne!(is_at_server, config.file_of_database().exists());
}

/// The configuration of a second hub of the same main site in `folder`, with the keys of the first.
fn second(world: &World, address: &str, folder: &Path, join: &str) -> PathBuf {
    let (first, keys) = (&world.hub().config, folder.join("state/keys"));
    for entry in walkdir::WalkDir::new(first.state.join("keys")) {
        let entry = entry.unwrap();
        let copy = keys.join(entry.path().strip_prefix(first.state.join("keys")).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&copy).unwrap();
        } else {
            fs::copy(entry.path(), &copy).unwrap();
        }
    }
    let (site, themes, file) = (first.site.display(), first.themes.display(), folder.join("tieup.yaml"));
    let text = format!(
        "main: {MAIN}\nsite: {site}\nthemes: {themes}\nstate: state\ndatabase: {address}\njoin: {join}\npublic: {join}\n"
    );
    fs::write(&file, text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_share_a_server_and_a_token_that_both_are_shown_at_once_is_good_once() {
    let address = new_database();
    let world = settled(&address).await;
    let (join, public) = (listen().await, listen().await);
    let joining = join.local_addr().unwrap().to_string();
    let file = second(&world, &address, &world.folder().join("second"), &joining);
    let hub = Arc::new(Hub::open(Config::load(&file).unwrap()).await.unwrap());
    let server = Server::start(&hub, join, public).unwrap();

    let first = world.hub().config.state.with_file_name("tieup.yaml");
    let status_there = status(&file);
    assert_eq!(status(&first), status_there);
    assert_says(&status_there.to_string(), &["\"north\"", "\"south\"", "\"live\""]);

    for round in 0..5 {
        let at_first = world.hub().invite(&site_id("later"), Timestamp::now()).await.unwrap();
        let at_second = Invitation { hub: joining.clone(), ..at_first.clone() };
        let folder = |name: &str| world.folder().join(format!("later-{name}-{round}"));
        let (one, other) = (folder("one"), folder("other"));
        let (one, other) = tokio::join!(
            Identity::join(&one, &at_first, &Reach::Line),
            Identity::join(&other, &at_second, &Reach::Line),
        );
        let (joined, refused) = match (one, other) {
            (Ok(joined), Err(refused)) | (Err(refused), Ok(joined)) => (joined, refused),
            (one, other) => panic!("both or none joined: {:?}, {:?}", one.err(), other.err()),
        };
        assert_says(&told(&refused), &["this token has been used already"]);
        for hub in [world.hub(), &hub] {
            assert_eq!(hub.partner(&site_id("later")).await.unwrap().compare_code, joined.compare_code);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_told_with_what_to_do_and_the_environment_wins() {
    let world = World::new().start().await;
    let file = world.hub().config.state.with_file_name("tieup.yaml");
    let port = listen().await.local_addr().unwrap().port();
    let nobody = format!("postgres://tieup:s3cret@127.0.0.1:{port}/hub");
    let output = tieup(&file, &[(DATABASE_VARIABLE, &nobody)], &["partner", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_says(&said, &[&format!("error: PostgreSQL at 127.0.0.1:{port}/hub does not answer"), "TIEUP_DATABASE"]);
    assert!(!said.contains("s3cret"), "{said}");
    let empty = new_database();
    let output = tieup(&file, &[(DATABASE_VARIABLE, &empty)], &["partner", "list"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run_sql(&empty, "SELECT count(*) FROM certificates"), "1", "the hub's own");
}

async fn listen() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_moved_to_a_server_and_back_while_no_hub_pushes() {
    let world = World::new().contract("north", Contract::inherited()).start().await;
    world.go_live("north").await;
    let config = world.hub().config.clone();
    let (file, address) = (config.state.with_file_name("tieup.yaml"), new_database());
    let move_to = |to: &str, environment: &[(&str, &str)]| tieup(&file, environment, &["database", "move", to]);
    let lead = Lead::take(&config).await.unwrap().unwrap();
    let refused = move_to(&address, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&refused.stderr), &["a hub of `lampworks` is running: stop it"]);
    drop(lead);

    let keys = config.state.join("keys");
    fs::rename(&keys, config.state.join("our-keys")).unwrap();
    KeyFolder::new(&config.state, &config.main).create().unwrap();
    let refused = move_to(&address, &[]);
    assert_says(&String::from_utf8_lossy(&refused.stderr), &["a main site `lampworks` with other keys"]);
    fs::remove_dir_all(&keys).unwrap();
    fs::rename(config.state.join("our-keys"), &keys).unwrap();

    let before = status(&file);
    // Told of the server too early, a command leaves there whose it is, and its own certificate.
    assert!(tieup(&file, &[(DATABASE_VARIABLE, &address)], &["partner", "list"]).status.success());
    let moved = move_to(&address, &[]);
    assert_says(&String::from_utf8_lossy(&moved.stdout), &["Moved ", "Now write its address as `database:`"]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(run_sql(&address, "SELECT main FROM belongs"), MAIN);
    let there: &[(&str, &str)] = &[(DATABASE_VARIABLE, &address)];
    let again = move_to(&address, &[]);
    assert_eq!(again.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&again.stderr), &["nothing was moved to PostgreSQL", "is not empty"]);

    let occupied = move_to("file", there);
    assert_says(&String::from_utf8_lossy(&occupied.stderr), &["is not empty"]);
    for name in ["hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"] {
        // Those that SQLite keeps beside it are there or not.
        let _ = fs::rename(config.state.join(name), config.state.join(format!("before-{name}")));
    }
    let back = move_to("file", there);
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    assert_says(&String::from_utf8_lossy(&back.stdout), &["Now take `database:` out of tieup.yaml"]);
    assert_eq!(status(&file), before);
    let wrong = move_to("mysql://elsewhere", &[]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}
