//! Several main sites on one partner whose files on its disk are not as they were left: what is told, and that nobody
//! takes what is another's.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tieup_tests::child::Program;
use tieup_tests::{Neighbour, World, assert_says, told};

use crate::mains::{HOME, SOUTH, assert_all_stand, inherited, joined, live};

/// What is said where the contract of the further main site cannot be read.
const UNKNOWN: &str = "the contract under which main site `southern` is live here cannot be read";

/// How long the daemon may take to notice that a file is whole again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The partner of two main sites, where `file` of the further one's live release is damaged while no daemon runs; and
/// what the file held.
async fn with_damaged(file: &str) -> (World, Neighbour, Vec<u8>) {
    let (mut world, southern) = live().await;
    let mut whole = Vec::new();
    world
        .restart_after("north", |state| {
            let file = state.join("mains/southern/releases/1").join(file);
            whole = fs::read(&file).unwrap();
            fs::write(&file, "damaged").unwrap();
        })
        .await;
    (world, southern, whole)
}

/// Waits until neither tie-up has a clash to tell of.
async fn until_nothing_clashes(world: &World) {
    let told = |main| world.beside("north", main).status().unwrap().clashes;
    let nothing = async {
        while ["lampworks", "southern"].into_iter().any(|main| !told(main).is_empty()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, nothing)
        .await
        .unwrap_or_else(|_| panic!("it clashes still: {:?}", told("southern")));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_cannot_be_read_what_belongs_to_one_main_site_no_other_takes_a_path() {
    let (world, _southern, contract) = with_damaged("contract.yaml").await;
    assert_all_stand(&world).await;
    for main in ["lampworks", "southern"] {
        let status = world.beside("north", main).status().unwrap();
        assert_says(&status.clashes.join("\n"), &[UNKNOWN]);
    }
    // A page of the partner's own in the mount of southern, where southern has none.
    let refused = world.edit_original("north", "/south/inn/", "Our own inn.").unwrap_err();
    assert_says(&told(&refused), &[UNKNOWN]);
    world.edit("/nw/lamps/", "We mend everything.");
    let refused = world.try_publish("north").await.unwrap_err();
    assert_says(&told(&refused), &[UNKNOWN, "hint: publish again once the partner's daemon has mended it"]);
    assert_all_stand(&world).await;

    world.beside("north", "southern").publisher().restore_document(&contract).unwrap();
    for main in ["lampworks", "southern"] {
        assert!(world.beside("north", main).status().unwrap().clashes.is_empty());
    }
    let refused = world.daemon("north").publisher().refresh_originals().unwrap_err();
    assert_says(&told(&refused), &["/south/inn/ is claimed by", "(mounts of contract southern/north@1)"]);
    fs::remove_file(world.partner("north").config.site.join("content/south/inn.md")).unwrap();
    world.go_live("north").await;
    world.assert_shows("north", "/nw/lamps/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_somebody_put_back_on_the_disk_are_in_force_without_a_restart() {
    let (world, southern, whole) = with_damaged("contract.yaml").await;
    let refused = world.edit_original("north", "/south/inn/", "Our own inn.").unwrap_err();
    assert_says(&told(&refused), &[UNKNOWN]);
    fs::write(world.state("north").join("mains/southern/releases/1/contract.yaml"), &whole).unwrap();
    until_nothing_clashes(&world).await;
    assert_both_go_on(&world, &southern).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_made_anew_leaves_no_moment_in_which_anothers_paths_are_free() {
    let (world, southern, _) = with_damaged("record.json").await;
    for main in ["lampworks", "southern"] {
        assert!(world.beside("north", main).status().unwrap().clashes.is_empty());
    }
    world.edit_original("north", "/south/inn/", "Our own inn.").unwrap_err();
    assert_both_go_on(&world, &southern).await;
}

/// The partner's page in the mount of southern is refused; without it releases of both main sites go live.
async fn assert_both_go_on(world: &World, southern: &Neighbour) {
    let refused = world.daemon("north").publisher().refresh_originals().unwrap_err();
    assert_says(&told(&refused), &["/south/inn/ is claimed by", "(mounts of contract southern/north@1)"]);
    fs::remove_file(world.partner("north").config.site.join("content/south/inn.md")).unwrap();
    world.edit("/nw/lamps/", "We mend everything.");
    world.go_live("north").await;
    southern.edit("/south/tea/", "We roast tea.");
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    world.assert_shows("north", "/nw/lamps/", "We mend everything.").await;
    world.assert_shows("north", "/south/tea/", "We roast tea.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_at_the_start_of_paths_that_two_serve() {
    let both = r#"{"/": partner, "/nw/**": main, "/south/**": main}"#;
    let (mut world, southern) = joined(inherited(both), inherited(SOUTH)).await;
    world.go_live("north").await;
    let live = world.state("north").join("live.json");
    let backup = fs::read(&live).unwrap();
    world.write_main("partners/north/contract.yaml", &inherited(HOME).version(2).text("north"));
    world.go_live("north").await;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();

    // Somebody puts back a file from before the two had agreed on paths.
    let halted = world.halt("north").await;
    let newest = fs::read(&live).unwrap();
    fs::write(&live, backup).unwrap();
    let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
    let mut process = program.start();
    let clash = "/south/ is claimed by main site `lampworks` (mounts of contract lampworks/north@1) and by main site \
                 `southern` (mounts of contract southern/north@1)";
    assert_eq!(process.status().clashes, [clash]);
    assert_says(&program.logged(), &["what is live of `lampworks` cannot stand beside the other main sites", clash]);
    let mut command = Command::new(&program.command[0]);
    let shown = command.arg("--config").arg(&halted.config_file).arg("status").output().unwrap();
    assert_says(&String::from_utf8(shown.stdout).unwrap(), &["CONFLICT: /south/ is claimed by main site `lampworks`"]);
    process.kill();
    fs::write(&live, newest).unwrap();
    world.resume(halted).await;
    assert!(world.daemon("north").status().unwrap().clashes.is_empty());
    assert_all_stand(&world).await;
}
