//! `tieup fee strikes`.

use jiff::Timestamp;
use tieup_hub::config::Config;
use tieup_hub::database::{Database, PartnerRow, ReleaseRow};
use tieup_protocol::dispute::Decision;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Reach;
use tieup_protocol::strike::{KeptStrike, Party, Strike, StrikeAnswer};

use crate::Folder;

/// A partner that proposed two strikes, one of which main has accepted, and that has approved a release under the contract
/// `text`.
async fn add_partner(database: &Database, name: &str, text: &str) {
    let id: SiteId = name.parse().unwrap();
    let partner = PartnerRow {
        id: id.clone(),
        address: Reach::Line,
        journal_key: String::new(),
        earlier_keys: Vec::new(),
        compare_code: String::new(),
        joined: Timestamp::UNIX_EPOCH,
        revoked: None,
    };
    database.put_partner(&partner).await.unwrap();
    let release = ReleaseRow {
        version: ReleaseVersion::FIRST,
        contract: text.to_owned(),
        state: "live".to_owned(),
        detail: String::new(),
        since: Timestamp::UNIX_EPOCH,
    };
    database.add_release(&id, &release, None).await.unwrap();
    let strike = |entries: &str| Strike {
        month: "2026-11".parse().unwrap(),
        log: format!("tieup/brand/{name}/2026-11"),
        checkpoint: None,
        entries: entries.parse().unwrap(),
        reason: format!("tests at {name}"),
        by: Party::Partner,
        proposed: "2026-12-01T00:00:00Z".parse().unwrap(),
    };
    let (open, agreed) = (KeptStrike::proposed(strike("3")), KeptStrike::proposed(strike("7-9")));
    let answer = StrikeAnswer {
        strike: agreed.strike.digest(),
        decision: Decision::Accepted,
        answer: "yes".to_owned(),
        decided: "2026-12-02T00:00:00Z".parse().unwrap(),
    };
    let agreed = agreed.answered(&answer, Party::Main).unwrap().settled(answer.decided);
    for kept in [open, agreed] {
        assert!(database.change_strike(&id, None, &kept).await.unwrap());
    }
}

#[tokio::test]
async fn where_the_books_of_one_partner_are_broken_the_strikes_of_all_are_told() {
    let folder = Folder::begun();
    assert_eq!(folder.run(&["fee", "strikes"]).done(), "Nothing is proposed to be struck out.\n");
    let config = Config::load(&folder.path("tieup.yaml")).unwrap();
    let database = Database::open(&config.database).await.unwrap();
    folder.run(&["partner", "add", "south"]).done();
    let contract = std::fs::read_to_string(folder.path("partners/south/contract.yaml")).unwrap();
    add_partner(&database, "north", "no contract").await;
    add_partner(&database, "south", &contract).await;

    let ran = folder.run(&["fee", "strikes"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for said in [
        "north: strike ",
        "tests at north",
        "  whether it has effect cannot be told: the partner's books cannot be read\n",
        "south: strike ",
        "tests at south",
        "  answer: tieup fee strikes south --strike ",
    ] {
        assert!(ran.out.contains(said), "{said:?} is not said here:\n{}", ran.out);
    }
    for said in ["the books of `north` cannot be read", "the strikes of `north`: mend what is named above"] {
        assert!(ran.err.contains(said), "{said:?} is not said here:\n{}", ran.err);
    }
    assert!(!ran.err.contains("south"), "{}", ran.err);

    let ran = folder.run(&["fee", "strikes", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, told.as_array().unwrap().len()), (Some(1), 4), "{ran:?}");
    let told = folder.run(&["fee", "strikes", "south", "--month", "2026-11"]).done();
    assert!(told.contains("tests at south") && !told.contains("north"), "{told}");
}
