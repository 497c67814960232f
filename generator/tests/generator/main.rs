//! The generator seen from outside: small sites written for each test, and the sites of this repository.

#![cfg(test)]

mod assets;
mod builds;
mod components;
mod content;
mod errors;
mod feeds;
mod metadata;
mod overrides;
mod press;
mod rebuilds;
mod releases;
mod search;
mod sites;
mod small;
mod variations;
mod workbench;
