//! Main's record of what fees go by besides visits. It only grows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row as _, Transaction};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::record::{Entry, Holdings, MAX_RECORD};

use super::{Database, DatabaseError};

/// What is done with an entry whose subject the record has with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is added.
    Refuse,
    /// It is added, and counts from then on.
    Correct,
}

/// When entries are not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unless {
    /// They are, whatever stands already; a payment of what was issued is not.
    Never,
    /// The record has what they are about with other content.
    Differing,
    /// A statement for this period has been issued.
    Issued(Period),
    /// One has been issued for a period that this day is in or before.
    IssuedFrom(Date),
}

impl From<Existing> for Unless {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Refuse => Self::Differing,
            Existing::Correct => Self::Never,
        }
    }
}

/// What becomes of entries.
#[derive(Debug)]
pub(crate) enum Adding {
    /// They fit, and are in the record once they are kept.
    Ready(Addition),
    /// None is added: those at these places have other content than the record.
    Differing(Vec<usize>),
    /// None is added: this partner's record would have more entries than a record may have.
    Full(SiteId),
    /// None is added: one would change a statement that has been issued for this period.
    Issued(Late, Period),
}

/// What comes after a statement that goes by it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// A payment that would be noted now.
    Payment,
    /// One that was noted before, and would be moved out of the statement.
    MovedPayment,
    /// Something else, which is not said to correct what was.
    Said,
}

/// Entries that fit. Nobody else writes until they are kept, or this is dropped and none of them is in the record.
#[derive(Debug)]
pub(crate) struct Addition {
    change: Transaction<'static, Any>,
    tally: Tally,
    added: BTreeMap<SiteId, (u64, Vec<Entry>)>,
}

/// How many entries became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They are new.
    pub new: usize,
    /// They count in place of earlier ones.
    pub corrected: usize,
    /// The record has them.
    pub unchanged: usize,
}

impl Addition {
    /// What is added, by partner: the number of the first entry, and the entries that follow one another.
    pub(crate) fn added(&self) -> impl Iterator<Item = (&SiteId, u64, &[Entry])> {
        self.added.iter().map(|(partner, (from, entries))| (partner, *from, entries.as_slice()))
    }

    /// Puts the entries into the record. Durable on return.
    ///
    /// # Errors
    /// When the database fails; it is not known then whether they are there.
    pub(crate) async fn keep(self) -> Result<Tally, DatabaseError> {
        self.change.commit().await?;
        Ok(self.tally)
    }
}

impl Database {
    /// Begins to add entries to the records of partners, all of them or none. What a record says already is not added again.
    /// A statement that is issued meanwhile waits until they are kept, and goes by all of them or is refused.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin_adding(
        &self,
        entries: &[(SiteId, Entry)],
        unless: Unless,
        now: Timestamp,
    ) -> Result<Adding, DatabaseError> {
        let mut change = self.begin_writing().await?;
        let (mut added, mut tally, mut differing) = (BTreeMap::new(), Tally::default(), Vec::new());
        for (place, (partner, entry)) in entries.iter().enumerate() {
            let before = newest(&mut change, partner, entry).await?;
            match &before {
                Some(before) if before == entry => {
                    tally.unchanged += 1;
                    continue;
                }
                Some(_) if unless == Unless::Differing => differing.push(place),
                Some(_) => tally.corrected += 1,
                None => tally.new += 1,
            }
            if let Some((late, period)) = too_late(&mut change, partner, (entry, before.as_ref()), unless).await? {
                return Ok(Adding::Issued(late, period));
            }
            if !added.contains_key(partner) {
                added.insert(partner.clone(), (end_of(&mut change, partner).await?, Vec::new()));
            }
            let (from, follow) = added.get_mut(partner).expect("it was put there where it was missing");
            let number = *from + follow.len() as u64;
            if number >= MAX_RECORD {
                return Ok(Adding::Full(partner.clone()));
            }
            insert(&mut change, partner, number, entry, now).await?;
            follow.push(entry.clone());
        }
        if !differing.is_empty() {
            return Ok(Adding::Differing(differing));
        }
        Ok(Adding::Ready(Addition { change, tally, added }))
    }

    /// What a partner's record says last of what `entry` is about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_recorded(&self, partner: &SiteId, entry: &Entry) -> Result<Option<Entry>, DatabaseError> {
        newest(&mut *self.pool.acquire().await?, partner, entry).await
    }

    /// How many entries a partner's record has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_size(&self, partner: &SiteId) -> Result<u64, DatabaseError> {
        end_of(&mut *self.pool.acquire().await?, partner).await
    }

    /// At most `most` entries of a partner's record, from number `from` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(&self, partner: &SiteId, from: u64, most: u64) -> Result<Vec<Entry>, DatabaseError> {
        let page = "SELECT entry FROM recorded WHERE partner = $1 AND number >= $2 ORDER BY number LIMIT $3";
        let rows = sqlx::query(page).bind(partner.as_str()).bind(to_sql(from)).bind(to_sql(most));
        rows.fetch_all(&self.pool).await?.iter().map(entry_from).collect()
    }

    /// All that a partner's record says of how much its site held, in the order in which it was noted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holdings(&self, partner: &SiteId) -> Result<Vec<Holdings>, DatabaseError> {
        // What stands beside all others has no subject, and is little: no sale is read.
        let beside = "SELECT entry FROM recorded WHERE partner = $1 AND subject IS NULL ORDER BY number";
        let rows = sqlx::query(beside).bind(partner.as_str()).fetch_all(&self.pool).await?;
        let entries = rows.iter().map(entry_from).collect::<Result<Vec<_>, _>>()?;
        let holdings = |entry| if let Entry::Holdings(holdings) = entry { Some(holdings) } else { None };
        Ok(entries.into_iter().filter_map(holdings).collect())
    }

    /// Of the first `until` entries of a partner's record all that can say something of the time from `start` on and before
    /// `end`, in their order: what is about a sale that was ever said to be of that time, and what is about no sale.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_of(
        &self,
        partner: &SiteId,
        until: u64,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Vec<Entry>, DatabaseError> {
        // Times are kept in whole seconds, so the last one may hold a little more.
        let of = "SELECT entry FROM recorded WHERE partner = $1 AND number < $2 AND (of_sale = 0 OR subject IN \
                  (SELECT subject FROM recorded WHERE partner = $1 AND sold >= $3 AND sold <= $4)) ORDER BY number";
        let rows = sqlx::query(of)
            .bind(partner.as_str())
            .bind(to_sql(until))
            .bind(start.as_second())
            .bind(end.as_second())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(entry_from).collect()
    }
}

/// What the record says last of what `entry` is about.
async fn newest(
    connection: &mut AnyConnection,
    partner: &SiteId,
    entry: &Entry,
) -> Result<Option<Entry>, DatabaseError> {
    let Some(subject) = entry.subject() else { return Ok(None) };
    let newest = "SELECT entry FROM recorded WHERE partner = $1 AND subject = $2 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(newest).bind(partner.as_str()).bind(subject).fetch_optional(connection).await?;
    row.as_ref().map(entry_from).transpose()
}

/// The issued period that an `entry`, in place of what was said `before`, comes too late for. A payment that was taken back
/// counts in no statement.
async fn too_late(
    connection: &mut AnyConnection,
    partner: &SiteId,
    (entry, before): (&Entry, Option<&Entry>),
    unless: Unless,
) -> Result<Option<(Late, Period)>, DatabaseError> {
    let is_of = |period: &Period| match unless {
        Unless::Never | Unless::Differing => false,
        Unless::Issued(asked) => *period == asked,
        Unless::IssuedFrom(day) => day <= period.last(),
    };
    let paid = |entry: &Entry| if let Entry::Payment(payment) = entry { Some(payment.clone()) } else { None };
    let (now, before) = (paid(entry), before.and_then(paid).filter(|before| before.amount.parts().0 != 0));
    if now.is_none() && matches!(unless, Unless::Never | Unless::Differing) {
        return Ok(None);
    }
    let issued = issued_periods(connection, partner).await?;
    let holding = |day: Date| issued.iter().find(|period| (period.first()..=period.last()).contains(&day)).copied();
    let payments = [now.map(|now| (Late::Payment, now.day)), before.map(|before| (Late::MovedPayment, before.day))];
    let payment = payments.into_iter().flatten().find_map(|(late, day)| Some((late, holding(day)?)));
    Ok(payment.or_else(|| Some((Late::Said, issued.iter().copied().filter(is_of).max()?))))
}

/// The periods of which something was issued to a partner.
async fn issued_periods(connection: &mut AnyConnection, partner: &SiteId) -> Result<Vec<Period>, DatabaseError> {
    let issued = "SELECT month FROM issued_statements WHERE partner = $1 ORDER BY month";
    let rows = sqlx::query(issued).bind(partner.as_str()).fetch_all(connection).await?;
    let period = |row: &AnyRow| {
        let key: String = row.try_get("month")?;
        key.parse().map_err(|_| DatabaseError::Damaged(key, "period"))
    };
    rows.iter().map(period).collect()
}

/// The number that a partner's next entry gets.
pub(super) async fn end_of(connection: &mut AnyConnection, partner: &SiteId) -> Result<u64, DatabaseError> {
    let last = "SELECT number FROM recorded WHERE partner = $1 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(last).bind(partner.as_str()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(0) };
    let number: i64 = row.try_get("number")?;
    let number = u64::try_from(number).map_err(|_| DatabaseError::Damaged(number.to_string(), "number of an entry"))?;
    Ok(number + 1)
}

async fn insert(
    connection: &mut AnyConnection,
    partner: &SiteId,
    number: u64,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO recorded (partner, number, subject, of_sale, sold, entered, entry) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(partner.as_str())
    .bind(to_sql(number))
    .bind(entry.subject())
    .bind(i64::from(entry.is_of_sale()))
    .bind(entry.sold().map(Timestamp::as_second))
    .bind(now.as_second())
    .bind(entry.line())
    .execute(connection)
    .await?;
    Ok(())
}

fn entry_from(row: &AnyRow) -> Result<Entry, DatabaseError> {
    let entry: String = row.try_get("entry")?;
    serde_json::from_str(&entry).map_err(|_| DatabaseError::Damaged(entry, "entry of the record"))
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tieup_protocol::record::{Payment, Withdrawal};
    use tieup_protocol::wire::StatementNotice;

    use super::*;
    use crate::database::places::{Place, places};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn otaru() -> SiteId {
        "otaru".parse().unwrap()
    }

    fn sale(id: &str, amount: &str, time: &str) -> (SiteId, Entry) {
        let json =
            format!(r#"{{"entry":"sale","id":"{id}","kind":"order","amount":"{amount}","units":1,"time":"{time}"}}"#);
        (otaru(), serde_json::from_str(&json).unwrap())
    }

    async fn joined(database: &Database) {
        sqlx::query("INSERT INTO partners VALUES ('otaru', '', '', '', 0)").execute(&database.pool).await.unwrap();
    }

    async fn ready(database: &Database, entries: &[(SiteId, Entry)], existing: Existing) -> Addition {
        match database.begin_adding(entries, existing.into(), NOW).await.unwrap() {
            Adding::Ready(addition) => addition,
            other => panic!("{other:?}"),
        }
    }

    fn paid(day: i8, reference: &str, amount: &str) -> [(SiteId, Entry); 1] {
        let (day, reference) = (jiff::civil::date(2026, 11, day), reference.parse().unwrap());
        [(otaru(), Entry::Payment(Payment { day, reference, amount: amount.parse().unwrap() }))]
    }

    fn notice(period: &str) -> StatementNotice {
        serde_json::from_str(&format!(r#"{{"month":"{period}","size":3,"record":0,"status":"final","statement":"a"}}"#))
            .unwrap()
    }

    /// A process that waits for no turn: where another has it, it fails at once.
    async fn without_patience(place: &Place) -> Database {
        let database = place.open().await;
        let sql = if place.is_server() { "SET lock_timeout = '1ms'" } else { "PRAGMA busy_timeout = 0" };
        let mut connections = Vec::new();
        for _ in 0..database.pool.options().get_max_connections() {
            let mut connection = database.pool.acquire().await.unwrap();
            sqlx::query(sql).execute(&mut *connection).await.unwrap();
            connections.push(connection);
        }
        database
    }

    /// Whether it failed since another had the turn to write.
    fn is_not_its_turn(error: &DatabaseError) -> bool {
        let DatabaseError::Sql(sqlx::Error::Database(error)) = error else { return false };
        // SQLITE_BUSY, and PostgreSQL's `lock_not_available`.
        matches!(error.code().as_deref(), Some("5" | "55P03"))
    }

    const FIRST: &str = "2026-11-01_2026-11-15";

    #[tokio::test]
    async fn a_record_grows_by_what_is_new_and_by_what_is_called_a_correction() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            let day = "2026-11-10T00:00:00Z";
            let add = async |entries: &[(SiteId, Entry)], existing| {
                let Tally { new, corrected, unchanged } =
                    ready(&database, entries, existing).await.keep().await.unwrap();
                [new, corrected, unchanged]
            };
            let first = [sale("a", "10", day), sale("b", "20", day)];
            assert_eq!(add(&first, Existing::Refuse).await, [2, 0, 0]);
            assert_eq!(add(&first, Existing::Refuse).await, [0, 0, 2]);
            let other = [sale("c", "30", day), sale("b", "25", day)];
            let refused = database.begin_adding(&other, Unless::Differing, NOW).await.unwrap();
            assert!(matches!(&refused, Adding::Differing(places) if *places == [1]), "{refused:?}");
            drop(refused);
            assert_eq!(database.record_size(&otaru()).await.unwrap(), 2, "something was kept");
            assert_eq!(add(&other, Existing::Correct).await, [1, 1, 0]);
            let withdrawn = (otaru(), Entry::Withdrawn(Withdrawal { id: "a".parse().unwrap() }));
            assert_eq!(add(std::slice::from_ref(&withdrawn), Existing::Correct).await, [0, 1, 0]);
            let all = database.record(&otaru(), 0, 10).await.unwrap();
            let expected = [&first[0], &first[1], &other[0], &other[1], &withdrawn].map(|(_, entry)| entry.clone());
            assert_eq!(all, expected);
            assert_eq!(database.record(&otaru(), 1, 2).await.unwrap(), expected[1..3]);
        }
    }

    #[tokio::test]
    async fn a_month_reads_what_is_about_its_sales_alone() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            let (october, november) = ("2026-10-10T00:00:00Z", "2026-11-10T00:00:00Z");
            let entries = [sale("a", "10", october), sale("b", "20", november), sale("a", "10", november)];
            let moved = sale("b", "20", october);
            ready(&database, &entries, Existing::Correct).await.keep().await.unwrap();
            ready(&database, std::slice::from_ref(&moved), Existing::Correct).await.keep().await.unwrap();
            let span = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-12-01T00:00:00Z".parse().unwrap());
            let of = async |until| database.record_of(&otaru(), until, span).await.unwrap();
            let [a, b, again] = entries.clone().map(|(_, entry)| entry);
            assert_eq!(of(2).await, [a.clone(), b.clone()]);
            assert_eq!(of(4).await, [a, b, again, moved.1]);
            let span = ("2026-12-01T00:00:01Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
            assert_eq!(database.record_of(&otaru(), 4, span).await.unwrap(), []);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_payment_is_in_the_statement_or_is_refused_whoever_is_first() {
        for place in places() {
            // Two processes of the hub, and one that tells whether it would have to wait.
            let (noting, issuing, hasty) = (place.open().await, place.open().await, without_patience(&place).await);
            joined(&noting).await;
            ready(&noting, &paid(20, "BANK-1", "70"), Existing::Refuse).await.keep().await.unwrap();
            // The record was read with one entry in it, and a payment is being noted before the statement is kept.
            let payment = ready(&noting, &paid(1, "BANK-7", "400"), Existing::Refuse).await;
            let issued = hasty.put_issued(&otaru(), &notice(FIRST), 1).await;
            assert!(is_not_its_turn(&issued.unwrap_err()), "it was issued while a payment was being noted");
            let (partner, statement) = (otaru(), notice(FIRST));
            let (issued, kept) = tokio::join!(issuing.put_issued(&partner, &statement, 1), payment.keep());
            kept.unwrap();
            assert_eq!(issued.unwrap(), None, "a payment was left out of the statement");

            // The statement is being kept, and a payment is noted before it is.
            let mut change = issuing.begin_writing().await.unwrap();
            let statement = "INSERT INTO issued_statements (partner, month, notice) VALUES ('otaru', $1, $2)";
            let text = serde_json::to_string(&notice(FIRST)).unwrap();
            sqlx::query(statement).bind(FIRST).bind(text).execute(&mut *change).await.unwrap();
            let entries = paid(2, "BANK-9", "30");
            let noted = hasty.begin_adding(&entries, Unless::Never, NOW).await;
            assert!(is_not_its_turn(&noted.unwrap_err()), "it was noted while the statement was being kept");
            let (came, kept) = tokio::join!(noting.begin_adding(&entries, Unless::Never, NOW), change.commit());
            kept.unwrap();
            let came = came.unwrap();
            assert!(matches!(came, Adding::Issued(Late::Payment, _)), "a payment came after its statement: {came:?}");
            drop(came);

            // Nobody notes anything of it after it.
            let refused = async |entries: &[(SiteId, Entry)]| match noting
                .begin_adding(entries, Unless::Never, NOW)
                .await
                .unwrap()
            {
                Adding::Issued(late, period) => (late, period.key()),
                other => panic!("{other:?}"),
            };
            assert_eq!(refused(&paid(3, "BANK-8", "50")).await, (Late::Payment, FIRST.to_owned()));
            assert_eq!(refused(&paid(20, "BANK-7", "400")).await, (Late::MovedPayment, FIRST.to_owned()));
            ready(&noting, &paid(20, "BANK-8", "50"), Existing::Refuse).await.keep().await.unwrap();
            assert_eq!(noting.record_size(&otaru()).await.unwrap(), 3);
        }
    }

    #[tokio::test]
    async fn what_is_said_of_a_period_that_was_issued_meanwhile_is_refused_in_the_same_turn() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            database.put_issued(&otaru(), &notice(FIRST), 0).await.unwrap().unwrap();
            let json = r#"{"entry":"offered","since":"2026-11-01","goods":"lantern","units":40}"#;
            let entries = [(otaru(), serde_json::from_str(json).unwrap())];
            let late = async |unless| match database.begin_adding(&entries, unless, NOW).await.unwrap() {
                Adding::Issued(late, period) => Some((late, period.key())),
                Adding::Ready(_) => None,
                other => panic!("{other:?}"),
            };
            let (refused, day) = (Some((Late::Said, FIRST.to_owned())), |day| jiff::civil::date(2026, 11, day));
            assert_eq!(late(Unless::Issued(FIRST.parse().unwrap())).await, refused);
            assert_eq!(late(Unless::Issued("2026-11".parse().unwrap())).await, None);
            assert_eq!(
                (late(Unless::IssuedFrom(day(15))).await, late(Unless::IssuedFrom(day(16))).await),
                (refused, None)
            );
            assert_eq!(late(Unless::Never).await, None);
        }
    }

    #[tokio::test]
    async fn a_payment_that_was_taken_back_before_the_issue_can_be_for_another_period() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            ready(&database, &paid(1, "BANK-7", "400"), Existing::Refuse).await.keep().await.unwrap();
            ready(&database, &paid(1, "BANK-7", "0"), Existing::Correct).await.keep().await.unwrap();
            database.put_issued(&otaru(), &notice(FIRST), 2).await.unwrap().unwrap();
            ready(&database, &paid(20, "BANK-7", "400"), Existing::Correct).await.keep().await.unwrap();
        }
    }
}
