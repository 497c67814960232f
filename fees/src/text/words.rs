//! The words of a statement.

use tieup_protocol::contract::{
    Advertiser, Classes, Extent, Measure, Meter, MeterClass, Money as MoneyTerms, Quantity, RoundAt, Rounding, RuleSet,
    Sales, Session,
};
use tieup_protocol::path::SitePath;

use crate::money::Exact;
use crate::statement::Status;
use crate::tariff::{Band, Reading, TierPart};

pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Final => "final",
    }
}

pub(super) fn rule_set_word(rules: RuleSet) -> &'static str {
    match rules {
        RuleSet::PageView1 => "page-view/1",
    }
}

pub(super) fn session_words(session: Session) -> &'static str {
    match session {
        Session::Hour => "one visitor in one hour of the clock",
    }
}

/// The values of a band.
pub(super) fn range<T>(band: &Band<T>) -> String {
    let from = &band.from;
    band.until.as_ref().map_or_else(|| format!("from {from}"), |until| format!("from {from} to below {until}"))
}

/// The units of a tier: by their numbers where those are whole.
pub(super) fn tier_words(TierPart { above, up_to, units, .. }: &TierPart) -> String {
    let is_whole = above.is_whole() && units.is_whole() && up_to.as_ref().is_none_or(Exact::is_whole);
    let first = above.clone() + &Exact::one();
    match up_to {
        Some(last) if is_whole => format!("{first} to {last}"),
        None if is_whole => format!("from {first}"),
        Some(last) => format!("above {above} to {last}"),
        None => format!("above {above}"),
    }
}

pub(super) fn reading_words(reading: &Reading) -> String {
    match reading {
        Reading::Count { meter, .. } => meter_words(meter),
        Reading::Ratio { numerator, above, denominator, below, .. } => {
            format!("{numerator} / {denominator} = {above} / {below}")
        }
    }
}

fn meter_words(meter: &Meter) -> String {
    match meter {
        Meter::Counted { quantity, class, paths } => {
            let within: Vec<&str> = paths.iter().map(SitePath::as_str).collect();
            let within = if within.is_empty() { String::new() } else { format!(" in {}", within.join(", ")) };
            format!("{} of {}{within}", quantity_word(*quantity), class_words(*class))
        }
        Meter::Published { extent: Extent::Pages, class } => format!("how many {} there are", class_words(*class)),
        Meter::Published { extent: Extent::Bytes, class } => format!("how many bytes {} have", class_words(*class)),
        Meter::Advertisements(Advertiser::Main) => "advertisements of main".to_owned(),
        Meter::Advertisements(Advertiser::Partner) => "advertisements of the partner".to_owned(),
        Meter::Advertisements(Advertiser::Both) => "advertisements".to_owned(),
        Meter::Offered(goods) => format!("units of {goods} offered"),
        Meter::Sold { measure, of } => format!("{} of {}", measure_word(*measure), sales_words(of)),
        Meter::Ratio { numerator, denominator, .. } => format!("{numerator} / {denominator}"),
    }
}

pub(super) fn sales_words(Sales { event, goods, via }: &Sales) -> String {
    let goods = goods.as_ref().map(|goods| format!(" of {goods}")).unwrap_or_default();
    let via = match via {
        None => "",
        Some(MeterClass::Tieup) => " from tie-up pages",
        Some(MeterClass::Original) => " from original pages",
    };
    format!("{event}{goods}{via}")
}

fn measure_word(measure: Measure) -> &'static str {
    match measure {
        Measure::Number => "number",
        Measure::Units => "units",
        Measure::Amount => "amount",
    }
}

fn quantity_word(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Views => "views",
        Quantity::UniqueViews => "unique views",
        Quantity::Bytes => "bytes",
        Quantity::Sessions => "sessions",
        Quantity::Visitors => "visitors",
    }
}

fn class_words(class: Classes) -> &'static str {
    match class {
        Classes::Tieup => "tie-up pages",
        Classes::Original => "original pages",
        Classes::Both => "all pages",
    }
}

pub(super) fn rounding_words(money: &MoneyTerms) -> String {
    let place = match money.at {
        RoundAt::Line => "each line",
        RoundAt::Total => "the total alone",
    };
    let halves = match money.round {
        Rounding::HalfUp => "to the nearest, halves away from zero",
        Rounding::HalfEven => "to the nearest, halves to the even neighbour",
        Rounding::Down => "towards zero",
        Rounding::Up => "away from zero",
    };
    format!("{place}, {halves}")
}
