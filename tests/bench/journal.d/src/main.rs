//! Measures journals on one core: recording, verifying, counting, closing a month. Prints one JSON object.
//!
//! `count ENTRIES CONTRACT` counts made-up entries that never stand in memory all at once; `log FOLDER ENTRIES CONTRACT`
//! verifies and counts a log of them; `close FOLDER PARTNERS CONTRACT` closes a month for partners whose rollups are kept;
//! `append FOLDER SECONDS` records visits, if built with the feature of that name.

#[cfg(feature = "append")]
mod append;
mod close;
mod count;
mod measure;
mod visits;

use std::fs;
use std::path::Path;

use tieup_protocol::contract::Contract;
use tieup_protocol::period::Month;

const USAGE: &str =
    "count ENTRIES CONTRACT, log FOLDER ENTRIES CONTRACT, close FOLDER PARTNERS CONTRACT, or append FOLDER SECONDS";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figures = match arguments.as_slice() {
        ["count", entries, contract] => count::count(entries.parse().unwrap(), &read(contract)),
        ["log", folder, entries, contract] => count::log(Path::new(folder), entries.parse().unwrap(), &read(contract)),
        ["close", folder, partners, contract] => {
            close::close(Path::new(folder), partners.parse().unwrap(), &read(contract), contract)
        }
        #[cfg(feature = "append")]
        ["append", folder, seconds] => append::append(Path::new(folder), seconds.parse().unwrap()),
        _ => panic!("{USAGE}"),
    };
    println!("{figures}");
}

fn read(contract: &str) -> Contract {
    Contract::parse("contract.yaml", &fs::read_to_string(contract).unwrap()).unwrap()
}

/// The month that is counted.
fn november() -> Month {
    "2026-11".parse().unwrap()
}
