//! The loop.
use tieup_tests::{Contract, World};

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let start = std::time::Instant::now();
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    println!("started {:?}", start.elapsed());
    world.go_live("north").await;
    println!("live {:?}", start.elapsed());
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    let face = world.face("north").await;
    println!("{face:#?} {:?}", start.elapsed());
    world.collect("north").await;
    let s = world.statement("north").await;
    println!("{} {:?}", s.statement.text, s.verdict);
    println!("{:?}", start.elapsed());
    println!("{}", world.folder().display());
    std::process::Command::new("find").arg(world.folder()).status().unwrap();
    std::process::Command::new("grep").arg("-ral").arg("127.0.0.1").arg(world.folder()).status().unwrap();
    world.stop().await;
    println!("stopped {:?}", start.elapsed());
}
