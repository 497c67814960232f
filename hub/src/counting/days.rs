//! Where days end in a journal: how far is counted in one go.

use jiff::Timestamp;
use jiff::civil::Date;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::period::{Period, Zone};
use tieup_store::journal::{JournalReader, ReadError};

/// How many entries the journal has by the end of each day of `period`, from entry `from` to entry `size`, by the clock of
/// the entries; a day on which nothing came is left out.
///
/// Entries stand in the order of their times, nearly. Where they do not, a day may begin some entries early or late, which
/// changes no count: a day is how far is counted in one go, and no more.
pub(super) fn days(
    reader: &JournalReader,
    (zone, period): (&Zone, Period),
    from: u64,
    size: u64,
) -> Result<Vec<(Date, u64)>, ReadError> {
    let (mut days, mut from) = (Vec::new(), from);
    while from < size {
        let begins = time_of(reader, from)?.map_or(period.last(), |time| zone.local(time).date());
        let day = begins.clamp(period.first(), period.last());
        // What stands at the end is of a later day, so that no journal has more days than its period.
        let end = match day.tomorrow() {
            Ok(next) if day < period.last() => first_from(reader, zone.instant(next.into()), from + 1, size)?,
            _ => size,
        };
        days.push((day, end));
        from = end;
    }
    Ok(days)
}

/// The first of the entries from `low` to `high` that is not before `time`; `high` where all are.
fn first_from(reader: &JournalReader, time: Timestamp, low: u64, high: u64) -> Result<u64, ReadError> {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(reader, middle)?.is_some_and(|at| at < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// When an entry was written; none where that cannot be read, which whoever counts will tell.
fn time_of(reader: &JournalReader, number: u64) -> Result<Option<Timestamp>, ReadError> {
    let entry = reader.entries(number..number + 1)?.next().transpose()?;
    Ok(entry.and_then(|entry| AccessEntry::decode(&entry).ok()).map(|entry| entry.time))
}

#[cfg(test)]
mod tests {
    use tieup_protocol::access::{AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
    use tieup_protocol::contract::MeterClass;
    use tieup_protocol::path::SitePath;
    use tieup_protocol::period::Month;
    use tieup_store::journal::{JournalWriter, LogSigner, Origin};

    use super::*;

    fn visit(time: &str) -> Vec<u8> {
        AccessEntry {
            time: time.parse().unwrap(),
            class: Some(MeterClass::Tieup),
            method: Method::Get,
            status: 200,
            bytes: 1,
            purpose: Purpose::Document,
            visitor: VisitorToken([1; 16]),
            agent: AgentClass::Desktop,
            robot: 0,
            referrer: ReferrerClass::None,
            path: SitePath::root(),
        }
        .encode()
    }

    /// The days of a journal with visits at these times, from entry `from` on, as `day: entries`.
    fn cut(times: &[&str], from: u64) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let month: Month = "2026-11".parse().unwrap();
        let origin = Origin::new(&"nationwide".parse().unwrap(), &"north".parse().unwrap(), month);
        let mut writer =
            JournalWriter::open(&dir.path().join("journal"), origin, LogSigner::from_seed("north", &[1; 32]).unwrap())
                .unwrap();
        writer.append(&times.iter().map(|time| visit(time)).collect::<Vec<_>>()).unwrap();
        let of = (&"Asia/Tokyo".parse().unwrap(), Period::whole(month));
        let days = days(&writer.reader(), of, from, writer.reader().size()).unwrap();
        days.into_iter().map(|(day, entries)| format!("{}: {entries}", day.day())).collect()
    }

    #[test]
    fn a_journal_is_cut_where_days_end_in_the_zone_of_the_contract() {
        // Midnight in Tokyo is 15:00 UTC.
        let times = [
            "2026-11-02T14:59:59Z",
            "2026-11-02T15:00:00Z",
            "2026-11-03T02:00:00Z",
            "2026-11-06T02:00:00Z",
            "2026-11-06T15:30:00Z",
        ];
        assert_eq!(cut(&times, 0), ["2: 1", "3: 3", "6: 4", "7: 5"]);
        assert_eq!(cut(&times, 2), ["3: 3", "6: 4", "7: 5"], "what was planned before");
        assert_eq!(cut(&times, 5), [""; 0]);
    }

    #[test]
    fn a_journal_out_of_order_or_of_other_months_has_no_more_days_than_its_period() {
        let times: Vec<&str> =
            ["2026-11-20T03:00:00Z", "2026-11-02T03:00:00Z", "2026-12-24T03:00:00Z", "2026-10-01T03:00:00Z"].repeat(25);
        let days = cut(&times, 0);
        assert!(days.len() <= 30 && days.last().unwrap().ends_with(": 100"), "{days:?}");
        let mut entries: Vec<u64> = days.iter().map(|day| day.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(entries.is_sorted());
        entries.dedup();
        assert_eq!(entries.len(), days.len(), "a day without entries");
    }
}
