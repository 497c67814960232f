//! A site of two parts: whose page is sent, under whose policy, and whose visit it is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::{Request, Response, StatusCode, Version, header};
use tieup_protocol::contract::{Contract, MeterClass};
use tieup_protocol::manifest::EntryKind;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;

use super::{CONTENT_SECURITY_POLICY, LiveSite, NoLog, Policy, PublicSite, ServedFile, SiteBody};

const CONTRACT: &str = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");

/// Pages of main's at these paths, which may show pictures from `beacons`.
fn live(blobs: &BlobStore, paths: &[&str], beacons: &str) -> LiveSite {
    let files = paths.iter().map(|path| {
        let blob = blobs.put(path.as_bytes()).unwrap();
        let media_type = "text/html; charset=utf-8".to_owned();
        (path.parse().unwrap(), ServedFile { blob, media_type, kind: EntryKind::Page, class: MeterClass::Tieup })
    });
    LiveSite { files: files.collect(), policy: Policy::with_beacons(&beacons.parse().unwrap()), ..LiveSite::default() }
}

async fn ask(site: &PublicSite, path: &str) -> Response<SiteBody> {
    let request = Request::builder().version(Version::HTTP_2).uri(path).body(()).unwrap();
    site.answer(SocketAddr::from(([192, 0, 2, 1], 1)), &Mutex::default(), &request).await
}

#[tokio::test]
async fn each_page_is_sent_under_the_policy_of_the_part_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = |name: &str| Arc::new(BlobStore::open(folder.path().join(name)).unwrap());
    let (first, second) = (blobs("first"), blobs("second"));
    let mut site = PublicSite::new(first.clone(), Arc::new(NoLog), Cache::at(folder.path().join("coded")));
    let other = site.add(second.clone(), Arc::new(NoLog));
    site.switch(live(&first, &["/", "/404.html"], "https://one.example"));
    let contract = Contract::parse("contract.yaml", CONTRACT).unwrap();
    let mounts = Some(contract.mounts);
    other.switch(LiveSite { mounts, ..live(&second, &["/south/"], "https://other.example") });

    for (path, status, origin) in [
        ("/", StatusCode::OK, "https://one.example"),
        ("/south/", StatusCode::OK, "https://other.example"),
        // The second part owns the path, and the page is the first one's.
        ("/south/nothing/", StatusCode::NOT_FOUND, "https://one.example"),
    ] {
        let answer = ask(&site, path).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert!(policy.contains(&format!("data: {origin};")), "{path}: {policy}");
        assert_ne!(policy, CONTENT_SECURITY_POLICY);
    }
}
