//! Several main sites on one partner whose files on its disk are not as they were left: what is told, and that nobody
//! takes what is another's.

use std::fs;
use std::process::Command;

use tieup_tests::child::Program;
use tieup_tests::{Neighbour, World, assert_says, told};

use crate::mains::{HOME, SOUTH, assert_all_stand, inherited, joined, live};

/// The partner of two main sites, where the contract of the further one's live release is damaged while no daemon runs;
/// and that contract.
async fn with_damaged_terms() -> (World, Neighbour, Vec<u8>) {
    let (mut world, southern) = live().await;
    let mut contract = Vec::new();
    world
        .restart_after("north", |state| {
            let file = state.join("mains/southern/releases/1/contract.yaml");
            contract = fs::read(&file).unwrap();
            fs::write(&file, "damaged").unwrap();
        })
        .await;
    (world, southern, contract)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_cannot_be_read_what_belongs_to_one_main_site_no_other_takes_a_path() {
    let (world, _southern, contract) = with_damaged_terms().await;
    assert_all_stand(&world).await;
    let unknown = "the contract under which main site `southern` is live here cannot be read";
    for main in ["lampworks", "southern"] {
        let status = world.beside("north", main).status().unwrap();
        assert_says(&status.clashes.join("\n"), &[unknown]);
    }
    // A page of the partner's own in the mount of southern, where southern has none.
    let refused = world.edit_original("north", "/south/inn/", "Our own inn.").unwrap_err();
    assert_says(&told(&refused), &[unknown]);
    world.edit("/nw/lamps/", "We mend everything.");
    let refused = world.try_publish("north").await.unwrap_err();
    assert_says(&told(&refused), &[unknown, "hint: publish again once the partner's daemon has mended it"]);
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
