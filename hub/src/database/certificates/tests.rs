use super::*;
use crate::database::places::{self, places};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn certificate(partner: &str, serial: &[u8], expires: i64) -> CertificateRow {
    let owner = Owner::Partner(partner.parse().unwrap());
    CertificateRow { serial: Serial::from_bytes(serial), owner, key: Digest::of(b"key"), expires: at(expires) }
}

fn admission(partner: &str, secret: &[u8]) -> Admission {
    let (row, certificate) = (places::partner(partner), certificate(partner, secret, 1000));
    Admission { partner: row, certificate, fingerprint: Digest::of(secret) }
}

/// Admits whoever needs no new list of revoked certificates.
async fn admit(database: &Database, partner: &str, secret: &[u8], now: i64) -> Result<Redeemed, DatabaseError> {
    database.admit(&admission(partner, secret), at(now), |_, _| unreachable!("its key is the one before")).await
}

async fn revoke(database: &Database, owner: Owner, now: i64) -> (u64, Vec<Serial>) {
    let mut told = (0, Vec::new());
    let row = RevokedRow { since: at(now), reason: "stolen".to_owned() };
    let sign = |number, revoked: &[(Serial, Timestamp)]| {
        told = (number, revoked.iter().map(|(serial, _)| serial.clone()).collect());
        Ok::<_, DatabaseError>(format!("list {number}"))
    };
    database.revoke(&owner, &row, sign).await.unwrap();
    told
}

#[tokio::test]
async fn an_invitation_is_good_once_and_for_a_time() {
    for place in places() {
        let database = place.open().await;
        let partner: SiteId = "sapporo".parse().unwrap();
        for secret in [b"first", b"later"] {
            database.add_invitation(&partner, Digest::of(secret), at(100)).await.unwrap();
        }
        let admit = async |partner, secret, now| admit(&database, partner, secret, now).await.unwrap();
        assert_eq!(admit("otaru", b"first", 50).await, Redeemed::Unknown);
        assert_eq!(admit("sapporo", b"guess", 50).await, Redeemed::Unknown);
        assert_eq!(database.partners().await.unwrap(), []);
        assert_eq!(admit("sapporo", b"first", 50).await, Redeemed::Accepted);
        assert_eq!(admit("sapporo", b"first", 50).await, Redeemed::Used);
        assert_eq!(admit("sapporo", b"later", 100).await, Redeemed::Expired);
        assert_eq!(database.partner(&partner).await.unwrap(), Some(admission("sapporo", b"first").partner));
    }
}

#[tokio::test]
async fn a_join_by_another_key_revokes_the_certificates_of_those_before() {
    for place in places() {
        let database = place.open().await;
        for partner in ["sapporo", "otaru"] {
            database.add_invitation(&partner.parse().unwrap(), Digest::of(partner.as_bytes()), at(100)).await.unwrap();
            admit(&database, partner, partner.as_bytes(), 50).await.unwrap();
        }
        database.add_invitation(&"sapporo".parse().unwrap(), Digest::of(b"again"), at(100)).await.unwrap();
        let mut again = admission("sapporo", b"again");
        again.certificate.key = Digest::of(b"another key");
        let mut told = Vec::new();
        let sign = |number: u64, revoked: &[(Serial, Timestamp)]| {
            told = revoked.to_vec();
            Ok::<_, DatabaseError>(format!("list {number}"))
        };
        assert_eq!(database.admit(&again, at(60), sign).await.unwrap(), Redeemed::Accepted);
        assert_eq!(told, [(Serial::from_bytes(b"sapporo"), at(60))], "neither the new one nor another partner's");
        assert_eq!(database.revocation_list().await.unwrap().as_deref(), Some("list 1"));
        let is_revoked = async |key: &[u8]| database.is_key_revoked(Digest::of(key)).await.unwrap();
        assert!(is_revoked(b"key").await && !is_revoked(b"another key").await);
    }
}

#[tokio::test]
async fn a_key_whose_place_was_taken_is_not_certified_again_and_the_first_join_is_known() {
    for place in places() {
        let database = place.open().await;
        let partner: SiteId = "sapporo".parse().unwrap();
        assert_eq!(database.first_joined(&partner).await.unwrap(), None);
        for (secret, second) in [(b"first", 10), (b"again", 20)] {
            database.add_invitation(&partner, Digest::of(secret), at(100)).await.unwrap();
            let mut joining = admission("sapporo", secret);
            joining.partner.joined = at(second);
            let none = |_, _: &[_]| unreachable!("its key is the one before");
            database.admit::<DatabaseError>(&joining, at(second), none).await.unwrap();
        }
        // The same keys both times: the row knows of the second join alone.
        assert_eq!(database.partner(&partner).await.unwrap().unwrap().joined, at(20));
        assert_eq!(database.first_joined(&partner).await.unwrap(), Some(at(10)));

        let again = async |serial: &[u8]| database.certify_again(&certificate("sapporo", serial, 5000), None).await;
        assert!(again(b"renewed").await.unwrap());
        database.add_invitation(&partner, Digest::of(b"other"), at(100)).await.unwrap();
        let mut other = admission("sapporo", b"other");
        other.certificate.key = Digest::of(b"another key");
        let sign = |_, _: &[_]| Ok::<_, DatabaseError>("list".to_owned());
        database.admit(&other, at(30), sign).await.unwrap();
        assert!(!again(b"too late").await.unwrap());
        // It expires before the one that was renewed, and is the newest all the same.
        assert_eq!(database.newest_certificate(&partner).await.unwrap(), Some(other.certificate.clone()));
        revoke(&database, Owner::Partner(partner.clone()), 40).await;
        let revoked = CertificateRow { serial: Serial::from_bytes(b"revoked"), ..other.certificate };
        assert!(!database.certify_again(&revoked, None).await.unwrap());
    }
}

#[tokio::test]
async fn the_key_that_a_join_replaces_is_kept() {
    for place in places() {
        let database = place.open().await;
        let partner: SiteId = "sapporo".parse().unwrap();
        let keys = async |key: &str, joined| {
            let mut row = admission("sapporo", b"any").partner;
            (row.journal_key, row.joined) = (key.to_owned(), at(joined));
            database.put_partner(&row).await.unwrap();
            let row = database.partner(&partner).await.unwrap().unwrap();
            assert_eq!(database.partners().await.unwrap(), std::slice::from_ref(&row));
            (row.journal_key, row.earlier_keys)
        };
        let told = |now: &str, before: &[&str]| (now.to_owned(), before.iter().map(|&key| key.to_owned()).collect());
        assert_eq!(keys("a", 1).await, told("a", &[]));
        assert_eq!(keys("a", 2).await, told("a", &[]));
        assert_eq!(keys("b", 3).await, told("b", &["a"]));
        assert_eq!(keys("c", 4).await, told("c", &["b", "a"]));
        assert_eq!(keys("a", 5).await, told("a", &["c", "b"]), "a folder was brought back");
        assert_eq!(database.first_joined(&partner).await.unwrap(), Some(at(2)));
        assert_eq!(database.first_joined(&"otaru".parse().unwrap()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_join_that_cannot_be_kept_leaves_the_token_good() {
    for place in places() {
        let database = place.open().await;
        let partner: SiteId = "sapporo".parse().unwrap();
        database.add_invitation(&partner, Digest::of(b"first"), at(100)).await.unwrap();
        // The certificate's number is taken: the last write of a join fails.
        database.add_certificate(&certificate("otaru", b"first", 1000), at(1)).await.unwrap();
        assert!(admit(&database, "sapporo", b"first", 50).await.is_err());
        assert_eq!(database.partners().await.unwrap(), []);
        let found = database.look_up_invitation(&partner, Digest::of(b"first"), at(50)).await.unwrap();
        assert_eq!(found, Redeemed::Accepted);
    }
}

#[tokio::test]
async fn lists_grow_in_number_and_leave_out_what_has_expired() {
    for place in places() {
        let database = place.open().await;
        let partner: SiteId = "sapporo".parse().unwrap();
        for secret in [b"first", b"later"] {
            database.add_invitation(&partner, Digest::of(secret), at(100)).await.unwrap();
        }
        admit(&database, "sapporo", b"first", 50).await.unwrap();
        let newer = certificate("sapporo", &[9], 2000);
        database.add_certificate(&newer, at(60)).await.unwrap();
        assert_eq!(database.newest_certificate(&partner).await.unwrap(), Some(newer.clone()));
        assert_eq!(database.revocation_list().await.unwrap(), None);
        let both = vec![newer.serial.clone(), Serial::from_bytes(b"first")];
        let (number, mut revoked) = revoke(&database, Owner::Partner(partner.clone()), 90).await;
        revoked.sort();
        assert_eq!((number, revoked), (1, both));
        let row = database.partner(&partner).await.unwrap().unwrap();
        assert_eq!(row.revoked, Some(RevokedRow { since: at(90), reason: "stolen".to_owned() }));
        assert!(database.is_key_revoked(Digest::of(b"key")).await.unwrap());
        let void = admit(&database, "sapporo", b"later", 91).await.unwrap();
        assert_eq!(void, Redeemed::Unknown, "an invitation from before the revocation was good");
        assert_eq!(revoke(&database, Owner::Main, 1500).await, (2, vec![newer.serial]));
        assert_eq!(database.revocation_list().await.unwrap().as_deref(), Some("list 2"));
        let renew = async |before: &str| {
            let sign = |number, _: &[_]| Ok::<_, DatabaseError>(format!("list {number}"));
            database.renew_revocation_list(before, at(1600), sign).await.unwrap();
            database.revocation_list().await.unwrap()
        };
        assert_eq!(renew("list 2").await.as_deref(), Some("list 3"));
        assert_eq!(renew("list 2").await.as_deref(), Some("list 3"), "somebody else had done it");
    }
}
