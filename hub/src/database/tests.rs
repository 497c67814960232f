//! Several processes at one database, what a server refuses, and what both kinds of database must do alike.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row as _;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, Decision, Dispute, Ruling};
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::period::Period;
use tieup_protocol::strike::{Checkpoint, KeptStrike, Party, Strike, StrikeAnswer};
use tieup_protocol::wire::StatementVerdict;
use tieup_web::certificate::Serial;
use tieup_web::complaint;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::counting::Counting;
use super::places::{Place, encrypted, guard, partner, places, server};
use super::{Admission, CertificateRow, Database, DatabaseError, Location, Owner, Redeemed, ReleaseRow, RevokedRow};

/// How many do one thing at the same moment, by two processes' connections.
const RIVALS: u8 = 12;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn certificate(partner: &SiteId, serial: u8) -> CertificateRow {
    CertificateRow {
        serial: Serial::from_bytes(&[serial]),
        owner: Owner::Partner(partner.clone()),
        key: Digest::of(&[serial]),
        expires: at(1000),
    }
}

fn release(version: u64, state: &str) -> ReleaseRow {
    ReleaseRow {
        version: ReleaseVersion::new(version).unwrap(),
        contract: String::new(),
        state: state.to_owned(),
        detail: String::new(),
        since: at(1),
    }
}

/// What comes of `act` when all rivals do it at once; each is given its number.
async fn at_once<T, F>(place: &Place, act: impl Fn(Database, u8) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let hubs = [place.open().await, place.open().await];
    let (start, mut rivals) = (Arc::new(Barrier::new(RIVALS.into())), JoinSet::new());
    for number in 0..RIVALS {
        let (start, act) = (start.clone(), act(hubs[usize::from(number) % hubs.len()].clone(), number));
        rivals.spawn(async move {
            start.wait().await;
            act.await
        });
    }
    rivals.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_show_one_token_at_once_one_is_admitted() {
    for place in places() {
        let (database, joining) = (place.open().await, partner("otaru"));
        database.add_invitation(&joining.id, Digest::of(b"token"), at(100)).await.unwrap();
        let admit = |database: Database, number: u8| {
            let certificate = certificate(&joining.id, number);
            let admission = Admission { partner: joining.clone(), certificate, fingerprint: Digest::of(b"token") };
            let sign = |_, _: &[_]| Ok::<_, DatabaseError>("list".to_owned());
            async move { database.admit(&admission, at(50), sign).await.unwrap() }
        };
        let mut found = at_once(&place, admit).await;
        let accepted = found.iter().position(|found| *found == Redeemed::Accepted).unwrap();
        found.remove(accepted);
        assert_eq!(found, vec![Redeemed::Used; usize::from(RIVALS) - 1]);
        let row = sqlx::query("SELECT COUNT(*) AS number FROM certificates").fetch_one(&database.pool).await.unwrap();
        assert_eq!(row.get::<i64, _>("number"), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lists_of_revoked_certificates_that_are_made_at_once_follow_one_another_and_each_holds_those_before() {
    for place in places() {
        let database = place.open().await;
        for number in 0..RIVALS {
            let joining = partner(&format!("shop-{number}"));
            database.put_partner(&joining).await.unwrap();
            database.add_certificate(&certificate(&joining.id, number), at(1)).await.unwrap();
        }
        let revoke = |database: Database, number: u8| async move {
            let owner = Owner::Partner(format!("shop-{number}").parse().unwrap());
            let row = RevokedRow { since: at(90), reason: String::new() };
            let mut told = (0, 0);
            let sign = |number: u64, revoked: &[(Serial, Timestamp)]| {
                told = (number, revoked.len());
                Ok::<_, DatabaseError>(format!("list {number}"))
            };
            database.revoke(&owner, &row, sign).await.unwrap();
            told
        };
        let mut told = at_once(&place, revoke).await;
        told.sort_unstable();
        let expected: Vec<_> = (1..=RIVALS).map(|number| (u64::from(number), usize::from(number))).collect();
        assert_eq!(told, expected);
        let newest = database.revocation_list().await.unwrap();
        assert_eq!(newest, Some(format!("list {RIVALS}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_number_a_release_alike_one_has_the_number_and_counters_give_none_twice() {
    for place in places() {
        let (database, otaru) = (place.open().await, partner("otaru"));
        database.put_partner(&otaru).await.unwrap();
        let id = &otaru.id;
        let add = |database: Database, number: u8| {
            let (id, release) = (id.clone(), release(1, "signed"));
            async move { database.add_release(&id, &release, Some(&number.to_string())).await }
        };
        let added = at_once(&place, add).await;
        let refused: Vec<_> = added.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), usize::from(RIVALS) - 1);
        assert!(refused.iter().all(|error| matches!(error, DatabaseError::NumberTaken(_))), "{refused:?}");
        assert_eq!(database.kept_manifests(id).await.unwrap().len(), 1);

        let count = |database: Database, _| {
            let id = id.clone();
            async move { database.next_freshness(&id).await.unwrap().get() }
        };
        let mut counted = at_once(&place, count).await;
        counted.sort_unstable();
        assert_eq!(counted, (2..2 + u64::from(RIVALS)).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hubs_that_begin_at_once_make_the_tables_once() {
    let location = server();
    let mut openings = JoinSet::new();
    for _ in 0..RIVALS {
        let location = location.clone();
        openings.spawn(async move { Database::open(&location).await.unwrap() });
    }
    for database in openings.join_all().await {
        assert_eq!(database.partners().await.unwrap(), []);
    }
}

#[tokio::test]
async fn names_come_in_the_order_of_their_bytes_whatever_the_language_of_the_server() {
    for place in places() {
        let database = place.open().await;
        for name in ["ab", "a-c", "aa"] {
            database.put_partner(&partner(name)).await.unwrap();
        }
        let names: Vec<_> = database.partners().await.unwrap().into_iter().map(|row| row.id.to_string()).collect();
        assert_eq!(names, ["a-c", "aa", "ab"]);
    }
}

#[tokio::test]
async fn words_of_a_partner_are_kept_whatever_is_in_them_and_numbers_are_kept_whole() {
    for place in places() {
        let (database, otaru) = (place.open().await, partner("otaru"));
        database.put_partner(&otaru).await.unwrap();
        database.add_release(&otaru.id, &release(1 << 40, "signed"), None).await.unwrap();
        let said =
            ReleaseRow { detail: "no\0thing 小樽".to_owned(), since: at(1 << 35), ..release(1 << 40, "rejected") };
        database.set_release_state(&otaru.id, &said).await.unwrap();
        let kept = ReleaseRow { detail: "no\u{fffd}thing 小樽".to_owned(), ..said };
        assert_eq!(database.newest_release(&otaru.id).await.unwrap(), Some(kept));
    }
}

/// A strike of `otaru`'s for the reason, nobody's answer to it yet.
fn proposed(reason: &str) -> KeptStrike {
    let (month, log) = ("2026-11".parse().unwrap(), "main/otaru/2026-11".to_owned());
    let checkpoint = Some(Checkpoint { size: 9, root: "root".to_owned() });
    let (entries, reason, by) = ("3,7-8".parse().unwrap(), reason.to_owned(), Party::Partner);
    KeptStrike::proposed(Strike { month, log, checkpoint, entries, reason, by, proposed: at(1 << 33) })
}

/// The same, agreed on by main.
fn agreed(kept: &KeptStrike) -> KeptStrike {
    let (strike, answer) = (kept.strike.digest(), "so do we".to_owned());
    let answer = StrikeAnswer { strike, decision: Decision::Accepted, answer, decided: at(2) };
    kept.answered(&answer, Party::Main).unwrap()
}

#[tokio::test]
async fn a_strike_changes_only_from_what_was_known_and_what_was_counted_is_forgotten_once_it_takes_effect() {
    for place in places() {
        let (database, otaru) = (place.open().await, partner("otaru").id);
        database.put_partner(&partner("otaru")).await.unwrap();
        let (first, second) = (proposed("a robot 小樽\0"), proposed("another"));
        assert!(database.change_strike(&otaru, None, &first).await.unwrap());
        assert!(!database.change_strike(&otaru, None, &first).await.unwrap(), "it is there already");
        assert!(database.change_strike(&otaru, None, &second).await.unwrap());
        let answered = agreed(&first);
        assert!(!database.change_strike(&otaru, Some(&answered), &answered).await.unwrap(), "it was not so");
        assert!(database.change_strike(&otaru, Some(&first), &answered).await.unwrap());

        // A day of its month and one of the month after are counted.
        let (counting, locks) = (database.counting("folder".to_owned()), tempfile::tempdir().unwrap());
        for (month, day) in [("2026-11", "2026-11-30"), ("2026-12", "2026-12-01")] {
            let (period, day) = (month.parse().unwrap(), day.parse().unwrap());
            counting.plan_counting(&otaru, period, &[(day, 9)]).await.unwrap();
        }
        for day in counting.due_counting().await.unwrap() {
            let claim = counting.claim(&day, locks.path()).await.unwrap().unwrap();
            claim.finish(&Counting { begun: 0, counter: "one".to_owned(), at: at(3) }).await.unwrap();
        }
        let settled = answered.clone().settled(at(4));
        assert!(database.change_strike(&otaru, Some(&answered), &settled).await.unwrap());
        let mut planning = counting.begin_planning(&otaru).await.unwrap();
        for (month, is_known) in [("2026-11", false), ("2026-12", true)] {
            assert_eq!(!planning.planned(month.parse().unwrap()).await.unwrap().is_empty(), is_known, "{month}");
        }
        planning.commit().await.unwrap();

        let again = place.open().await;
        let known = again.strikes_of(&otaru).await.unwrap();
        assert_eq!(known.len(), 2);
        assert!(known.contains(&second) && known.iter().any(KeptStrike::takes_effect));
        assert!(again.strikes_of(&partner("hakodate").id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_ruling_is_kept_with_the_strike_that_it_answers_or_not_at_all() {
    for place in places() {
        let (database, otaru) = (place.open().await, partner("otaru").id);
        database.put_partner(&partner("otaru")).await.unwrap();
        let (period, statement) = (Period::whole("2026-11".parse().unwrap()), Digest::of(b"statement"));
        let kept = proposed("a robot");
        let (reason, strike) = ("too much".to_owned(), Some(kept.strike.clone()));
        let verdict = StatementVerdict::Identical;
        let claim = Claim { period, statement, reason, verdict, located: None, strike };
        let dispute = Dispute::opened(claim, at(1));
        assert!(database.add_dispute(&otaru, &dispute).await.unwrap());
        let other = Dispute { opened: at(2), ..dispute.clone() };
        assert!(!database.add_dispute(&otaru, &other).await.unwrap(), "it is disputed already");
        let (decision, answer) = (Decision::Accepted, "so do we".to_owned());
        let ruling = Ruling { period, statement, decision, answer, decided: at(2) };
        let answered = agreed(&kept);
        // Somebody has proposed it meanwhile: neither is kept.
        assert!(database.change_strike(&otaru, None, &kept).await.unwrap());
        assert!(!database.put_ruling(&otaru, &dispute, &ruling, Some((None, &answered))).await.unwrap());
        assert_eq!(database.disputes_of(&otaru).await.unwrap(), std::slice::from_ref(&dispute));
        assert!(!database.put_ruling(&otaru, &other, &ruling, Some((Some(&kept), &answered))).await.unwrap());
        assert_eq!(database.strikes_of(&otaru).await.unwrap(), std::slice::from_ref(&kept));
        assert!(database.put_ruling(&otaru, &dispute, &ruling, Some((Some(&kept), &answered))).await.unwrap());
        assert_eq!(database.strikes_of(&otaru).await.unwrap(), [answered]);
        let ruled = Dispute { ruling: Some(ruling), ..dispute };
        assert_eq!(database.disputes().await.unwrap(), [(otaru, ruled)]);
    }
}

#[tokio::test]
async fn what_was_said_of_a_finding_last_counts() {
    for place in places() {
        let (database, otaru) = (place.open().await, partner("otaru").id);
        database.put_partner(&partner("otaru")).await.unwrap();
        let (month, findings) = ("2026-11".parse().unwrap(), [Digest::of(b"1"), Digest::of(b"2")]);
        for (finding, reason) in [(findings[0], "a kiosk"), (findings[1], "our staff"), (findings[0], "展示用")] {
            database.put_review(&otaru, month, (finding, reason), at(1 << 33)).await.unwrap();
        }
        let reviews = place.open().await.reviews(&otaru).await.unwrap();
        let said = findings.map(|finding| reviews.get(&finding).map(String::as_str));
        assert_eq!((said, reviews.len()), ([Some("展示用"), Some("our staff")], 2));
        assert!(database.reviews(&partner("hakodate").id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_is_committed_is_on_the_disk_whatever_the_server_would_do() {
    let location = server();
    let Database { pool, .. } = Database::open(&location).await.unwrap();
    for off in ["synchronous_commit = off", "default_transaction_isolation = 'serializable'"] {
        let sql = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
            off.replace('\'', "''")
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
    let database = Database::open(&location).await.unwrap();
    for (setting, expected) in [("synchronous_commit", "on"), ("default_transaction_isolation", "read committed")] {
        let asked = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
        let found: String = asked.fetch_one(&database.pool).await.unwrap();
        assert_eq!(found, expected, "{setting}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_told_with_what_to_do_and_without_the_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("postgres://tieup:s3cret@127.0.0.1:{port}/hub");
    let [wrong, nowhere, foreign] = guard("s3cret");
    for (address, expected) in [
        (nobody, "does not answer: see whether it runs"),
        (wrong, "does not let this user in: see user and password"),
        (nowhere, "has no such database: make it with `createdb`"),
        (foreign, "does not let this user make tables: the database should be the user's own"),
    ] {
        let location = Location::Server(address.parse().unwrap());
        let error = Database::open(&location).await.unwrap_err();
        let told = complaint::render(&error);
        assert!(told.starts_with("error: PostgreSQL at ") && told.contains(expected), "{told}");
        assert!(!format!("{told} {error:?}").contains("s3cret"), "{told} {error:?}");
    }
}

#[tokio::test]
async fn a_server_is_spoken_to_by_tls_and_must_show_a_certificate_for_its_name() {
    let (address, certificate) = encrypted();
    let open = async |address: &str, more: &str| {
        let location = Location::Server(format!("{address}?{more}").parse().unwrap());
        Database::open(&location).await
    };
    let verified = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    let database = open(&address, &verified).await.unwrap();
    let asked = sqlx::query_scalar("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let version: String = asked.fetch_one(&database.pool).await.unwrap();
    assert_eq!(version, "TLSv1.3");
    let numbered = address.replace("localhost", "127.0.0.1");
    for (address, more) in [(&address, "sslmode=verify-full"), (&numbered, verified.as_str())] {
        let told = complaint::render(&open(address, more).await.unwrap_err());
        assert!(told.contains("was not spoken to by TLS") && told.contains("certificate"), "{told}");
    }
    assert!(open(&address, "sslmode=disable").await.is_err());
}
