//! A partner's site by HTTPS, with a certificate from files.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{HandshakeKind, NamedGroup};
use tieup_hub::config::Config as HubConfig;
use tieup_hub::database::Location;
use tieup_hub::partners::Hub;
use tieup_hub::server::{Server, Sockets};
use tieup_syncd::config::Config;
use tieup_syncd::daemon::StartError;
use tieup_tests::secure::Secure;
use tieup_tests::{World, assert_says, raw, told};
use tokio::net::TcpListener;

use crate::{certify, eventually, free_port, settled, trusting};

/// A partner whose site is served by HTTPS for `shop.example`: its world, the address, and the certificate.
async fn served() -> (World, SocketAddr, String) {
    let mut world = settled().await;
    let (port, pem) = (free_port(), certify(world.folder(), "shop.example"));
    world.reconfigure("north", &https(&world, port)).await;
    (world, SocketAddr::from(([127, 0, 0, 1], port)), pem)
}

fn https(world: &World, port: u16) -> String {
    let folder = world.folder().display();
    format!(
        "https: {{listen: '127.0.0.1:{port}', certificate: '{folder}/fullchain.pem', key: '{folder}/privkey.pem', hsts: 180d}}\n"
    )
}

#[test]
fn the_configurations_in_the_documentation_are_ones() {
    let folder = tempfile::tempdir().unwrap();
    let page = include_str!("../../../docs/deploying.md");
    let texts: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [whole, files, main, database] = texts[..] else { panic!("{texts:?}") };
    for text in [whole.to_owned(), format!("public: 0.0.0.0:80\npeer: 0.0.0.0:7450\n{files}")] {
        let file = folder.path().join("syncd.yaml");
        std::fs::write(&file, format!("state: state\n{text}")).unwrap();
        let config = Config::load(&file).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(config.https.is_some());
    }
    let file = folder.path().join("tieup.yaml");
    std::fs::write(&file, format!("main: brand\nthemes: themes\nstate: state\n{main}{database}")).unwrap();
    let config = HubConfig::load(&file).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(config.address, "hub.example:7440");
    assert!(config.https.is_some() && config.admin.is_some());
    assert!(matches!(config.database, Location::Server(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_visitors_are_served_by_tls_and_led_there() {
    let (world, address, pem) = served().await;
    let browser = trusting(&pem, &[b"http/1.1"]);
    let mut connection = Secure::connect(&browser, "shop.example", address).await.unwrap();
    assert_eq!(connection.group(), Some(NamedGroup::X25519MLKEM768), "no hybrid key exchange");
    let (status, text) = connection.get("/about/").await.unwrap();
    assert_eq!(status, 200);
    assert_says(&text, &["We mend lamps."]);
    let mut again = Secure::connect(&browser, "shop.example", address).await.unwrap();
    again.get("/about/").await.unwrap();
    assert_eq!(again.kind(), Some(HandshakeKind::Resumed), "no ticket was given");

    let plain = world.partner("north").public;
    let answer = raw::request(plain, "GET", "/about/?from=mail", &[]).await;
    let location = format!("https://127.0.0.1:{}/about/?from=mail", address.port());
    assert_eq!((answer.status, answer.header("location")), (308, Some(location.as_str())));
    let twice = raw::request(plain, "GET", "/", &[("host", "evil.example")]).await;
    assert_eq!(twice.status, 400, "two hosts");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_browsers_are_told_to_come_back_by_tls() {
    let (world, address, pem) = served().await;
    let browser = trusting(&pem, &[b"http/1.1"]);
    let mut connection = Secure::connect(&browser, "shop.example", address).await.unwrap();
    connection.begin("POST", "/about/").await.unwrap();
    let answer = String::from_utf8_lossy(&connection.rest().await).to_ascii_lowercase();
    assert_says(&answer, &["strict-transport-security: max-age=15552000\r\n"]);
    let plain = raw::request(world.partner("north").public, "GET", "/", &[]).await;
    assert_eq!(plain.header("strict-transport-security"), None, "it means nothing on plain HTTP (RFC 6797, 7.2)");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let (world, address, _) = served().await;
    let new = certify(world.folder(), "shop.example");
    let browser = trusting(&new, &[b"h2", b"http/1.1"]);
    eventually("the new certificate is shown", async || {
        Secure::connect(&browser, "shop.example", address).await.is_ok()
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_pair_that_does_not_fit_is_an_error_at_start_with_its_files() {
    let (mut world, _, _) = served().await;
    let key = world.folder().join("privkey.pem");
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let halted = world.halt("north").await;
    let (error, halted) = world.try_resume(halted).await.unwrap_err();
    assert!(matches!(error, StartError::Entrance(_)), "{error:?}");
    assert_says(&told(&error), &["fullchain.pem and ", "privkey.pem do not belong together"]);
    certify(world.folder(), "shop.example");
    world.resume(halted).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_main_site_is_served_by_tls_and_watched_over_by_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, ports) = (certify(folder.path(), "brand.example"), [free_port(), free_port()]);
    let file = folder.path().join("tieup.yaml");
    let text = format!(
        "main: brand\nsite: site\nthemes: themes\nstate: state\njoin: 127.0.0.1:0\npublic: 127.0.0.1:0\n\
         https: {{listen: '127.0.0.1:{}', certificate: fullchain.pem, key: privkey.pem}}\nadmin: 127.0.0.1:{}\n",
        ports[0], ports[1]
    );
    std::fs::write(&file, text).unwrap();
    let hub = Arc::new(Hub::create(HubConfig::load(&file).unwrap()).await.unwrap());
    let [https, admin] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let bind = async |address: SocketAddr| TcpListener::bind(address).await.unwrap();
    let (join, public) =
        (bind(SocketAddr::from(([127, 0, 0, 1], 0))).await, bind(SocketAddr::from(([127, 0, 0, 1], 0))).await);
    let sockets = Sockets { join, public, https: Some(bind(https).await), admin: Some(bind(admin).await) };
    let server = Server::start_at(&hub, sockets).unwrap();
    let mut connection = Secure::connect(&trusting(&pem, &[b"http/1.1"]), "brand.example", https).await.unwrap();
    assert_eq!(connection.get("/").await.unwrap().0, 404, "no pages yet");
    let ready = raw::request(admin, "GET", "/readyz", &[]).await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the main site's pages are not served yet\n"));
    let metrics = raw::request(admin, "GET", "/metrics", &[]).await.body;
    assert_says(
        &metrics,
        &["tieup_requests_total{method=\"GET\",status=\"4xx\"} 1\n", "name=\"brand.example\"", "# EOF\n"],
    );
    drop(connection);
    server.stop().await;
}
