//! The spine end to end: what must work, what must be refused, and what must survive.

#![cfg(test)]

mod answers;
mod approval;
mod beacons;
mod benches;
mod catalogue;
mod clashes;
mod collecting;
mod commands;
mod console;
mod deafness;
mod disputes;
mod everything;
mod expiry;
mod feeds;
mod findings;
mod frauds;
mod guard;
mod hardening;
mod heartbeats;
mod hostile;
mod imports;
mod issues;
mod joining;
mod kinds;
mod lines;
mod mains;
mod mirrors;
mod outside;
mod parties;
mod periods;
mod pieces;
mod placements;
mod postgres;
mod prompts;
mod put_aside;
mod recovery;
mod rejoining;
mod renewal;
mod restyling;
mod returns;
mod revocation;
mod rights;
mod sales;
mod schedule;
mod searching;
mod signatures;
mod slowness;
mod statements;
mod strikes;
mod the_loop;
mod traces;
mod trust;
mod versions;
mod visitors;

use tieup_tests::{Contract, World};

/// Two partners that inherit pages; at `north` release 1 is live beside an original, and nothing waits.
async fn settled() -> World {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .contract("south", Contract::inherited())
        .start()
        .await;
    world.go_live("north").await;
    world
}
