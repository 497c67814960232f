//! Pushes over a line that is cut, bent, slow or stalled: nothing half is served, and the next push arrives.

use std::time::Duration;

use tieup_hub::publish::{Outcome, Rejected};
use tieup_tests::marked::{self, Seen};
use tieup_tests::proxy::{Fault, Proxy};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World};

/// How long a push may hang before the test fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// At how many places of a push the line is cut.
const CUTS: u64 = 24;

/// At how many places each other fault happens.
const OTHERS: u64 = 8;

/// A world of marked releases whose line goes through a proxy, and how many bytes a push takes.
struct Pushed {
    world: World,
    proxy: Proxy,
    mark: u64,
    bytes: u64,
}

impl Pushed {
    async fn start() -> Self {
        let mut world = marked::start(Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#)).await;
        world.go_live("north").await;
        let proxy = world.proxy("north").await;
        let mut pushed = Self { world, proxy, mark: 1, bytes: 0 };
        pushed.change();
        pushed.proxy.clear();
        pushed.push().await.unwrap();
        pushed.bytes = pushed.proxy.passed();
        pushed
    }

    /// The main site becomes another.
    fn change(&mut self) {
        self.mark += 1;
        marked::write_release(&self.world, self.mark);
    }

    async fn push(&self) -> Result<Outcome, String> {
        let outcome = tokio::time::timeout(PATIENCE, self.world.try_publish("north")).await;
        outcome.expect("a push hangs").map_err(|error| tieup_tests::told(&error))
    }

    fn seen(&self) -> Seen {
        let public = self.world.partner("north").public;
        tokio::task::block_in_place(|| marked::look(public)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One push with a fault in it: what is served is wholly of before or after, and the next push arrives.
    async fn survive(&mut self, fault: Fault, at: u64) {
        let before = self.seen().mark;
        self.change();
        let happened = self.proxy.happened();
        self.proxy.lay(fault, at);
        let outcome = self.push().await;
        let seen = self.seen().mark;
        assert!(seen == before || seen == self.mark, "{fault:?} at {at}: {seen} after {before}");
        assert!(outcome.is_err() || seen == self.mark, "{fault:?} at {at}: told as delivered, and not served");
        assert!(self.proxy.happened() > happened || at > self.bytes / 2, "{fault:?} at {at} did not happen");
        self.proxy.clear();
        let again = self.push().await;
        assert!(again.is_ok(), "{fault:?} at {at}: {again:?}");
        assert_eq!(self.seen().mark, self.mark, "{fault:?} at {at}: after the push that followed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_cut_anywhere_changes_nothing_or_all_and_the_next_one_arrives() {
    let mut pushed = Pushed::start().await;
    for number in 0..CUTS {
        pushed.survive(Fault::Cut, number * pushed.bytes / CUTS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_bent_doubled_or_in_another_order_change_nothing_and_the_next_push_arrives() {
    let mut pushed = Pushed::start().await;
    for fault in [Fault::Corrupt, Fault::Duplicate, Fault::Reorder] {
        for number in 0..OTHERS {
            pushed.survive(fault, number * pushed.bytes / OTHERS + number).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_brings_the_release_all_the_same() {
    let mut pushed = Pushed::start().await;
    pushed.change();
    pushed.proxy.lay(Fault::Slow, 0);
    pushed.push().await.unwrap();
    assert_eq!(pushed.seen().mark, pushed.mark);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_whose_line_is_stalled_holds_up_no_other_and_is_served_later() {
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#))
        .contract("south", Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#))
        .start()
        .await;
    world.go_live("north").await;
    world.go_live("south").await;
    let proxy = world.proxy("north").await;
    world.edit("/about/", "We mend a lot.");
    proxy.clear();
    world.try_publish("north").await.unwrap();
    let bytes = proxy.passed();
    world.edit("/about/", "We mend everything.");
    let before = world.face("north").await;
    // Behind the handshake and the question how things stand, and before the end.
    proxy.lay(Fault::Stall, bytes * 3 / 4);
    let site = world.site();
    let push = world.hub().publish(&site, &[], Rejected::Skip);
    let south = async {
        while !world.get("south", "/about/").await.text.contains("We mend everything.") {
            tokio::task::yield_now().await;
        }
        while proxy.happened() == 0 {
            tokio::task::yield_now().await;
        }
        world.assert_unchanged("north", &before, tieup_tests::Kept::AllButTrust).await;
        proxy.let_go();
    };
    let both = async { tokio::join!(push, south) };
    let (outcomes, ()) = tokio::time::timeout(PATIENCE, both).await.expect("one stalled line holds up the other");
    let outcomes = outcomes.unwrap();
    let north = outcomes.iter().find(|(partner, _)| *partner == site_id("north")).unwrap();
    assert!(north.1.is_err(), "{north:?}");
    world.try_publish("north").await.unwrap();
    world.assert_shows("north", "/about/", "We mend everything.").await;
}
