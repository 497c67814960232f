//! The admin address of a partner and of a main site.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tieup_tests::{assert_says, python, raw};

use crate::{free_port, settled};

#[tokio::test(flavor = "multi_thread")]
async fn row_003_62_a_daemon_says_whether_it_is_ready_and_tells_its_numbers() {
    let mut world = settled().await;
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
    world.reconfigure("north", &format!("admin: {admin}\n")).await;
    for _ in 0..3 {
        world.get("north", "/about/").await;
    }
    world.get("north", "/nothing/").await;
    world.collect("north").await;
    let ready = raw::request(admin, "GET", "/readyz", &[]).await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    assert_eq!(raw::request(admin, "GET", "/healthz", &[]).await.status, 200);
    assert_eq!(raw::request(admin, "POST", "/healthz", &[("content-length", "0")]).await.status, 405);
    let metrics = raw::request(admin, "GET", "/metrics", &[]).await;
    assert_says(
        &metrics.body,
        &[
            "tieup_requests_total{method=\"GET\",status=\"2xx\"} 3\n",
            "tieup_requests_total{method=\"GET\",status=\"4xx\"} 1\n",
            "tieup_live_release{main=\"lampworks\"} 1.0\n",
            "tieup_releases_waiting{main=\"lampworks\"} 0.0\n",
            "tieup_journal_entries{main=\"lampworks\"} 4.0\n",
            "tieup_journal_unsigned_entries{main=\"lampworks\"} 0.0\n",
            "tieup_damaged_files{main=\"lampworks\"} 0.0\n",
            "tieup_main_heard_timestamp_seconds{main=\"lampworks\"} 1",
            "tieup_trust_expires_timestamp_seconds{main=\"lampworks\",role=\"root\"} ",
            "# EOF\n",
        ],
    );
    for unseen in ["127.0.0.1", "/about/", "Mozilla"] {
        assert!(!metrics.body.contains(unseen), "{unseen} is told");
    }
    check_from_outside(&metrics.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_62_a_daemon_without_a_release_is_up_and_not_ready() {
    let plan = tieup_tests::World::new().main_page("/about/", "We mend lamps.");
    let mut world = plan.contract("north", tieup_tests::Contract::inherited()).start().await;
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
    world.reconfigure("north", &format!("admin: {admin}\n")).await;
    assert_eq!(raw::request(admin, "GET", "/healthz", &[]).await.status, 200);
    let ready = raw::request(admin, "GET", "/readyz", &[]).await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "no release is live yet\n"));
    world.go_live("north").await;
    assert_eq!(raw::request(admin, "GET", "/readyz", &[]).await.status, 200);
    world.stop().await;
}

/// Fails unless a parser that is not ours reads `metrics`.
fn check_from_outside(metrics: &str) {
    let Some(python) = tokio::task::block_in_place(|| python::with(python::VERIFYING, env!("CARGO_TARGET_TMPDIR")))
    else {
        return;
    };
    let mut command = Command::new(python);
    command.arg(python::outside("check_metrics.py"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{metrics}");
    assert_says(&String::from_utf8_lossy(&output.stdout), &["read: ", " samples"]);
}
