//! The sentence by which a person is told what was seen.

use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

use super::finding::{Figure, Seen};
use super::hour::{RATE, RELOADS};

/// What was seen, as a sentence.
pub(super) fn sentence(seen: &Seen) -> String {
    match seen {
        Seen::Gap { hours, usual } => gap(*hours, *usual),
        Seen::Spike { class, views, usual, .. } => {
            format!("{views} views of {} pages in an hour that usually has {}.", pages(*class), usual.decimal())
        }
        Seen::Rate { visitors, views, most, of } => rate(*visitors, *views, *most, *of),
        Seen::Reloads { visitors, reloads, most } => reload_words(*visitors, *reloads, *most),
        Seen::FewVisitors { views, few, visitors } => {
            format!("{few} of the hour's {views} views of original pages are from {visitors} visitors or fewer.")
        }
        Seen::NothingElse { views, alone, elsewhere, elsewhere_alone } => format!(
            "{alone} of the hour's {views} views of original pages are from visitors who asked for nothing else; in all \
             other hours it is {elsewhere_alone} of {elsewhere}."
        ),
        Seen::Backwards { steps, seconds } => backwards(*steps, *seconds),
        Seen::Robots { robots, documents } => {
            format!("Robots got {robots} of {documents} documents; they are not counted.")
        }
        Seen::FewerServed { beacons, served, tolerance } => format!(
            "Main counted {beacons} beacons of tie-up pages, and by the journal {served} were served: {} fewer, where \
             {tolerance} may differ.",
            beacons.saturating_sub(*served)
        ),
        Seen::UnloggedHours { hours, beacons } => unlogged_hours(*hours, *beacons),
        Seen::UnloggedPages { pages, beacons, most } => unlogged_pages(*pages, *beacons, most),
        Seen::FewerLogged { answered, missing } => format!(
            "The partner's daemon told of {answered} answers, and the journal has no entry of {missing} of them."
        ),
        Seen::ShorterThanTold { told, held } => {
            format!("The partner's daemon told of {told} entries, and main holds {held}.")
        }
        Seen::Silence { hours, entries } => silence(*hours, *entries),
        Seen::Restarts { times } => format!(
            "The partner's daemon was started {times} times; a visitor of before a start is another one after it."
        ),
    }
}

fn gap(hours: u64, usual: Figure) -> String {
    let usual = usual.decimal();
    match hours {
        1 => format!("No entry at all in an hour that usually has {usual} visitors."),
        _ => format!("No entry at all in {hours} hours, which usually have {usual} visitors or more each."),
    }
}

fn rate(visitors: u64, views: u64, most: u64, of: u64) -> String {
    match visitors {
        1 => format!(
            "One visitor viewed {views} pages, more than the {RATE} a person can in an hour: {views} of the hour's {of} \
             views."
        ),
        _ => format!(
            "{visitors} visitors each viewed more than the {RATE} pages a person can in an hour, one of them {most}: \
             {views} of the hour's {of} views."
        ),
    }
}

fn reload_words(visitors: u64, reloads: u64, most: u64) -> String {
    match visitors {
        1 => format!(
            "One visitor asked {reloads} times again for the page they had just got, more than the {RELOADS} times of once a \
             minute."
        ),
        _ => format!(
            "{visitors} visitors each asked more than {RELOADS} times again for the page they had just got, {reloads} times \
             together, one of them {most}."
        ),
    }
}

fn backwards(steps: u64, seconds: u64) -> String {
    match steps {
        1 => format!("Times step back to this hour, by {seconds} seconds; counting allows for 600."),
        _ => {
            format!("Times step back to this hour {steps} times, by up to {seconds} seconds; counting allows for 600.")
        }
    }
}

fn unlogged_hours(hours: u64, beacons: u64) -> String {
    let hours = if hours == 1 { "an hour".to_owned() } else { format!("{hours} hours") };
    format!("Main counted {beacons} beacons of tie-up pages in {hours} in which the journal has served none.")
}

fn unlogged_pages(pages: u64, beacons: u64, most: &SitePath) -> String {
    match pages {
        1 => format!("Main counted {beacons} beacons of {most}, of which the journal has no entry in this month."),
        _ => format!(
            "Main counted {beacons} beacons of {pages} tie-up pages of which the journal has no entry in this month, most \
             of {most}."
        ),
    }
}

fn silence(hours: u64, entries: u64) -> String {
    match hours {
        1 => format!("No heartbeat of the partner's daemon in an hour that has {entries} entries."),
        _ => format!("No heartbeat of the partner's daemon in {hours} hours, which have {entries} entries."),
    }
}

fn pages(class: MeterClass) -> &'static str {
    match class {
        MeterClass::Tieup => "tie-up",
        MeterClass::Original => "original",
    }
}
