//! A certificate that is asked of a real authority: Pebble, by the makers of Let's Encrypt's, with its own root.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tieup_tests::secure::Secure;
use tieup_tests::{World, assert_says, raw};

use crate::{eventually, free_port, program, settled, trusting};

/// A running authority, which looks for challenges at one port of this machine, whatever the name.
struct Authority {
    processes: Vec<Child>,
    directory: String,
    management: SocketAddr,
    /// The certificate of its own TLS.
    root: String,
}

impl Drop for Authority {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended by itself is as dead.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Authority {
    /// Starts one that has its files in `folder` and its directory at `port`; none where it is not installed.
    async fn start(folder: &Path, port: u16, challenges: u16) -> Option<Self> {
        let (pebble, names) = (program("pebble")?, program("pebble-challtestsrv")?);
        let (management, dns) = (free_port(), free_port());
        let root = root(folder);
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.join("pebble.pem"),
            "privateKey": folder.join("pebble.key"),
            "httpPort": challenges,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let file = folder.join("pebble.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut resolver = Command::new(names);
        resolver.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        resolver.args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{}", free_port())]);
        let mut authority = Command::new(pebble);
        authority.arg("-config").arg(&file).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        authority.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "5"), ("PEBBLE_AUTHZREUSE", "0")]);
        let start = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let processes = vec![start(&mut resolver), start(&mut authority)];
        let (directory, management) = (format!("https://localhost:{port}/dir"), ([127, 0, 0, 1], management).into());
        let started = Self { processes, directory, management, root };
        let answers = async || Secure::connect(&trusting(&started.root, &[]), "localhost", management).await.is_ok();
        eventually("the authority answers", answers).await;
        Some(started)
    }

    /// The root of the certificates that it gives.
    async fn gives(&self) -> String {
        let mut connection = Secure::connect(&trusting(&self.root, &[]), "localhost", self.management).await.unwrap();
        connection.get("/roots/0").await.unwrap().1
    }
}

/// The certificate of an authority's own TLS, for `localhost`, in files; and the PEM of it.
fn root(folder: &Path) -> String {
    let file = folder.join("pebble.pem");
    if let Ok(made) = std::fs::read_to_string(&file) {
        return made;
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&file, made.cert.pem()).unwrap();
    std::fs::write(folder.join("pebble.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

/// The lines of `syncd.yaml` by which a certificate for `hosts` is asked for.
fn acme(world: &World, https: u16, directory: &str, hosts: &str) -> String {
    let root = world.folder().join("pebble.pem");
    format!(
        "https: {{listen: '127.0.0.1:{https}', acme: {{hosts: [{hosts}], contact: me@shop.example, agree: true, \
         directory: '{directory}', root: '{}'}}}}\n",
        root.display()
    )
}

fn warnings(world: &World) -> String {
    let config = &world.partner("north").config;
    config.https.as_ref().unwrap().warnings(&config.state, jiff::Timestamp::now()).join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_certificate_is_had_of_a_real_authority_and_asked_for_anew_for_another_name() {
    let mut world = settled().await;
    let (plain, port, directory) = (world.partner("north").public, free_port(), free_port());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    root(world.folder());
    let named = format!("https://localhost:{directory}/dir");
    world.reconfigure("north", &acme(&world, port, &named, "shop.example")).await;

    // Nobody is there yet: the site is served plainly, and the failure is told.
    eventually("a try has failed", async || warnings(&world).contains("no new certificate")).await;
    assert_says(&warnings(&world), &["there is no certificate for visitors yet", &named]);
    let page = raw::request(plain, "GET", "/about/", &[]).await;
    assert_eq!(page.status, 200);
    assert_says(&page.body, &["We mend lamps."]);

    let Some(authority) = Authority::start(world.folder(), directory, plain.port()).await else { return };
    assert_eq!(authority.directory, named);
    world.restart("north").await;
    let browser = trusting(&authority.gives().await, &[b"http/1.1"]);
    let shows = async |name: &str| Secure::connect(&browser, name, address).await.is_ok();
    eventually("a certificate is shown", async || shows("shop.example").await).await;
    let mut connection = Secure::connect(&browser, "shop.example", address).await.unwrap();
    assert_says(&connection.get("/about/").await.unwrap().1, &["We mend lamps."]);
    let first = connection.peer().serial;
    assert_eq!(raw::request(plain, "GET", "/about/", &[]).await.status, 308, "now there is HTTPS");
    eventually("the failure is past", async || warnings(&world).is_empty()).await;
    for file in ["account.json", "certificate.pem"] {
        let about = std::fs::metadata(world.state("north").join("acme").join(file)).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777, 0o600, "{file}");
    }

    // It is kept, and shown again from the first moment.
    world.restart("north").await;
    let connection = Secure::connect(&browser, "shop.example", address).await.unwrap();
    assert_eq!(connection.peer().serial, first);
    drop(connection);

    // The old one goes on being shown until there is one with the other name.
    let file = world.partner("north").config_file.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("hosts: [shop.example]", "hosts: [shop.example, www.shop.example]")).unwrap();
    world.reconfigure("north", "").await;
    eventually("the other name is certified", async || shows("www.shop.example").await).await;
    assert!(shows("shop.example").await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_an_authority_that_does_not_find_the_site_is_told_with_what_to_do() {
    let mut world = settled().await;
    let (port, directory) = (free_port(), free_port());
    let Some(authority) = Authority::start(world.folder(), directory, free_port()).await else { return };
    world.reconfigure("north", &acme(&world, port, &authority.directory, "shop.example")).await;
    eventually("a try has failed", async || warnings(&world).contains("did not find shop.example here")).await;
    assert_says(&warnings(&world), &["port 80 is open to the internet"]);
    let again = raw::request(world.partner("north").public, "GET", "/.well-known/acme-challenge/x", &[]).await;
    assert_eq!(again.status, 404);
    world.stop().await;
}
