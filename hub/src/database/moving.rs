//! Moving: all that is in one database is written into another one, of the same kind or not, in one transaction.
//!
//! Which tables and columns there are is read from the schema, so that none can be forgotten.

use futures_util::TryStreamExt as _;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::dialect::{Dialect, SCHEMA};
use super::{Database, DatabaseError};

/// Why nothing was moved. Both databases are as they were.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// One of the two failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is something in the other one already.
    #[error("the database that everything would go to is not empty: its table `{0}` holds something")]
    NotEmpty(String),
    /// Not all of it arrived.
    #[error("of {expected} rows of `{table}` {arrived} arrived")]
    Incomplete {
        /// The table.
        table: String,
        /// How many rows it has.
        expected: u64,
        /// How many came.
        arrived: u64,
    },
}

impl From<sqlx::Error> for MoveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many tables there are.
    pub tables: usize,
    /// How many rows they have, together.
    pub rows: u64,
}

/// A table of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    name: &'static str,
    columns: Vec<Column>,
}

/// One of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: &'static str,
    kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bytes,
}

impl Database {
    /// Writes all that is in this database into `other`, which must be empty. While that lasts nobody writes here. What a
    /// command of the same main site leaves in a database that it was told to use by mistake counts as nothing: whose the
    /// database is, and main's own certificates, which stay.
    ///
    /// Whole or not at all; durable on return. This database stays as it is.
    ///
    /// # Errors
    /// See [`MoveError`].
    pub async fn move_to(&self, other: &Self) -> Result<Moved, MoveError> {
        let tables = tables();
        let mut source = self.begin_reading_all(&tables).await?;
        let mut target = other.begin_writing().await?;
        make_way(&mut source, &mut target, &tables).await?;
        let mut moved = Moved { tables: tables.len(), rows: 0 };
        // A table stands behind those that it refers to.
        for table in &tables {
            moved.rows += copy(&mut source, &mut target, table).await?;
        }
        target.commit().await?;
        Ok(moved)
    }

    /// Begins a transaction that sees one state of all tables, and during which nobody writes.
    async fn begin_reading_all(&self, tables: &[Table]) -> Result<Transaction<'static, Any>, DatabaseError> {
        let mut transaction = self.begin_writing().await?;
        if self.dialect == Dialect::Postgres {
            let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
            let lock = format!("LOCK TABLE {} IN SHARE MODE", names.join(", "));
            sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }
}

/// Makes sure that nothing is in `target` that would be mixed with what is in `source`.
async fn make_way(
    source: &mut Transaction<'static, Any>,
    target: &mut Transaction<'static, Any>,
    tables: &[Table],
) -> Result<(), MoveError> {
    let owners = owners(source).await?;
    let is_ours = !owners.is_empty() && owners == self::owners(target).await?;
    for table in tables {
        let held = match table.name {
            "belongs" if is_ours => 0,
            "certificates" if is_ours => {
                let of_partners = "SELECT COUNT(*) FROM certificates WHERE partner IS NOT NULL";
                sqlx::query_scalar::<_, i64>(of_partners).fetch_one(&mut **target).await?.unsigned_abs()
            }
            _ => count(target, table).await?,
        };
        if held > 0 {
            return Err(MoveError::NotEmpty(table.name.to_owned()));
        }
    }
    // What takes its place is the same.
    sqlx::query("DELETE FROM belongs").execute(&mut **target).await?;
    Ok(())
}

/// Whose a database is, with the digest of the certificate authority.
async fn owners(transaction: &mut Transaction<'static, Any>) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT main, authority FROM belongs ORDER BY only_row").fetch_all(&mut **transaction).await
}

async fn count(transaction: &mut Transaction<'static, Any>, table: &Table) -> Result<u64, sqlx::Error> {
    let query = AssertSqlSafe(format!("SELECT COUNT(*) FROM {}", table.name));
    let rows: i64 = sqlx::query_scalar(query).fetch_one(&mut **transaction).await?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// Copies the rows of a table one by one, since manifests are large, and gives how many there are.
async fn copy(
    source: &mut Transaction<'static, Any>,
    target: &mut Transaction<'static, Any>,
    table: &Table,
) -> Result<u64, MoveError> {
    let (expected, before) = (count(source, table).await?, count(target, table).await?);
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let places: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let insert = format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), places.join(", "));
    let select = AssertSqlSafe(format!("SELECT {} FROM {}", names.join(", "), table.name));
    let mut rows = sqlx::query(select).fetch(&mut **source);
    while let Some(row) = rows.try_next().await? {
        insert_row(target, &insert, table, &row).await?;
    }
    drop(rows);
    let arrived = count(target, table).await? - before;
    if arrived == expected {
        Ok(expected)
    } else {
        Err(MoveError::Incomplete { table: table.name.to_owned(), expected, arrived })
    }
}

async fn insert_row(
    target: &mut Transaction<'static, Any>,
    insert: &str,
    table: &Table,
    row: &AnyRow,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(insert.to_owned()));
    for column in &table.columns {
        query = match column.kind {
            Kind::Text => query.bind(row.try_get::<Option<String>, _>(column.name)?),
            Kind::Number => query.bind(row.try_get::<Option<i64>, _>(column.name)?),
            Kind::Bytes => query.bind(row.try_get::<Option<Vec<u8>>, _>(column.name)?),
        };
    }
    query.execute(&mut **target).await?;
    Ok(())
}

/// The tables of the schema with their columns, in its order.
fn tables() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in SCHEMA.lines() {
        let line = line.split("--").next().unwrap_or_default();
        if let Some(rest) = line.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            let name = rest.split([' ', '(']).next().unwrap_or_default();
            tables.push(Table { name, columns: Vec::new() });
        } else if let (Some(table), Some(column)) = (tables.last_mut(), column_of(line)) {
            table.columns.push(column);
        }
    }
    tables
}

/// The column that an indented line of a table is about; none for its keys.
fn column_of(line: &'static str) -> Option<Column> {
    let mut words = line.strip_prefix("    ")?.split([' ', ',']).filter(|word| !word.is_empty());
    let name = words.next()?;
    let kind = match words.next()? {
        "TEXT" => Kind::Text,
        "INTEGER" => Kind::Number,
        "BLOB" => Kind::Bytes,
        _ => return None,
    };
    Some(Column { name, kind })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tieup_protocol::joining::Reach;

    use super::*;
    use crate::database::PartnerRow;
    use crate::database::places::{Place, partner, places};

    /// Every row of every table, as text, in order.
    async fn content(database: &Database) -> Vec<String> {
        let mut found = Vec::new();
        for table in tables() {
            let query = AssertSqlSafe(format!("SELECT * FROM {}", table.name));
            for row in sqlx::query(query).fetch_all(&database.pool).await.unwrap() {
                let mut line = table.name.to_owned();
                for column in &table.columns {
                    let value = match column.kind {
                        Kind::Text => format!("{:?}", row.get::<Option<String>, _>(column.name)),
                        Kind::Number => format!("{:?}", row.get::<Option<i64>, _>(column.name)),
                        Kind::Bytes => format!("{:?}", row.get::<Option<Vec<u8>>, _>(column.name)),
                    };
                    line = format!("{line} {}={value}", column.name);
                }
                found.push(line);
            }
        }
        found.sort();
        found
    }

    /// Puts two rows into every table, one of them with as many empty columns as it may have.
    async fn fill(database: &Database) {
        for name in ["harbor", "north"] {
            let row = PartnerRow {
                address: Reach::Address("127.0.0.1:1".to_owned()),
                journal_key: "小樽 'key'".to_owned(),
                compare_code: "1-2".to_owned(),
                joined: Timestamp::from_second(1 << 35).unwrap(),
                ..partner(name)
            };
            database.put_partner(&row).await.unwrap();
        }
        for table in tables().iter().filter(|table| table.name != "partners") {
            for (number, name) in ["harbor", "north"].into_iter().enumerate() {
                // Versions 1 and 2 exist of each partner's releases, so that manifests may name them.
                let value = |column: &Column| match (column.name, column.kind) {
                    ("partner", _) => format!("'{name}'"),
                    (_, Kind::Text) => format!("'{}-{number}'", column.name),
                    (_, Kind::Number) => number.to_string(),
                    (_, Kind::Bytes) => unreachable!("no table has bytes yet"),
                };
                let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
                let values: Vec<String> = table.columns.iter().map(value).collect();
                let sql = format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), values.join(", "));
                sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
            }
        }
        database.set_heard(&"north".parse().unwrap(), Timestamp::from_second(7).unwrap()).await.unwrap();
        sqlx::query("UPDATE queue SET why = NULL, retry = NULL WHERE partner = 'north'")
            .execute(&database.pool)
            .await
            .unwrap();
    }

    #[test]
    fn every_table_and_column_of_the_schema_is_known() {
        let tables = tables();
        assert_eq!(tables.len(), SCHEMA.matches("CREATE TABLE").count());
        let words =
            |word: &str| SCHEMA.lines().filter(|line| line.split("--").next().unwrap_or("").contains(word)).count();
        let columns: usize = tables.iter().map(|table| table.columns.len()).sum();
        assert_eq!(columns, words(" TEXT") + words(" INTEGER") + words(" BLOB"));
        let partners = tables.iter().find(|table| table.name == "partners").unwrap();
        let names: Vec<_> = partners.columns.iter().map(|column| column.name).collect();
        assert_eq!(names, ["id", "address", "journal_key", "compare_code", "joined"]);
    }

    #[tokio::test]
    async fn all_that_is_in_a_file_is_moved_to_a_server_and_back() {
        let [file, server] = places();
        let (file, server) = (file.open().await, server.open().await);
        fill(&file).await;
        let before = content(&file).await;
        let moved = file.move_to(&server).await.unwrap();
        assert_eq!((moved.rows, moved.tables), (u64::try_from(before.len()).unwrap(), tables().len()));
        assert_eq!(content(&server).await, before);
        assert_eq!(content(&file).await, before, "what was moved from has changed");
        let [back, _] = places();
        let back = back.open().await;
        server.move_to(&back).await.unwrap();
        assert_eq!(content(&back).await, before);
    }

    #[tokio::test]
    async fn what_a_command_of_the_same_main_site_left_is_no_hindrance_and_what_another_left_is() {
        let own = "INSERT INTO certificates (serial, key, expires) VALUES ('01', 'a key', 9)";
        let turned = |[file, server]: [Place; 2]| [server, file];
        for [from, to] in [places(), turned(places())] {
            let (from, to) = (from.open().await, to.open().await);
            from.bind("lampworks", "an authority").await.unwrap();
            for database in [&from, &to] {
                sqlx::query(own).execute(&database.pool).await.unwrap();
            }
            assert!(matches!(from.move_to(&to).await, Err(MoveError::NotEmpty(table)) if table == "certificates"));
            sqlx::query("UPDATE certificates SET serial = '02'").execute(&to.pool).await.unwrap();
            to.bind("otherworks", "an authority").await.unwrap();
            assert!(matches!(from.move_to(&to).await, Err(MoveError::NotEmpty(table)) if table == "belongs"));

            sqlx::query("DELETE FROM belongs").execute(&to.pool).await.unwrap();
            to.bind("lampworks", "an authority").await.unwrap();
            from.move_to(&to).await.unwrap();
            assert_eq!(to.bound().await.unwrap(), Some(("lampworks".to_owned(), "an authority".to_owned())));
            let serials: Vec<(String,)> =
                sqlx::query_as("SELECT serial FROM certificates ORDER BY serial").fetch_all(&to.pool).await.unwrap();
            assert_eq!(serials, [("01".to_owned(),), ("02".to_owned(),)]);
            assert!(from.move_to(&to).await.is_err(), "moved twice");
        }
    }

    #[tokio::test]
    async fn nothing_is_moved_into_what_is_not_empty_or_by_halves() {
        let turned = |[file, server]: [Place; 2]| [server, file];
        for [from, to] in [places(), turned(places())] {
            let (from, to) = (from.open().await, to.open().await);
            fill(&from).await;
            to.add_invitation(
                &"otaru".parse().unwrap(),
                tieup_protocol::digest::Digest::of(b"a"),
                Timestamp::UNIX_EPOCH,
            )
            .await
            .unwrap();
            let before = content(&to).await;
            let error = from.move_to(&to).await.unwrap_err();
            assert!(matches!(&error, MoveError::NotEmpty(table) if table == "invitations"), "{error}");
            assert_eq!(content(&to).await, before);

            // A row that the other one cannot take stops the move, and what came before it is not there.
            sqlx::query("DELETE FROM invitations").execute(&to.pool).await.unwrap();
            sqlx::query("CREATE UNIQUE INDEX strict ON heartbeats (journals)").execute(&to.pool).await.unwrap();
            sqlx::query("UPDATE heartbeats SET journals = 'the same'").execute(&from.pool).await.unwrap();
            assert!(from.move_to(&to).await.is_err());
            assert_eq!(content(&to).await, [""; 0]);
        }
    }
}
