//! What a visitor leaves behind: nothing that names it, in no byte of either end's state.

use std::net::SocketAddr;
use std::path::Path;

use tieup_tests::journal::files_below;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::settled;

/// The visitor's address: also this machine, but no other one's.
const ADDRESS: &str = "127.77.61.203";

/// What the visitor sends that must not be found again, header by header.
const HEADERS: [(&str, &str); 6] = [
    ("user-agent", "Mozilla/5.0 (Zanzibar; rv:140.0) PeculiarBrowser/7"),
    ("referer", "https://diary.example/entry-of-a-visitor"),
    ("cookie", "session=5e55102c"),
    ("x-forwarded-for", "203.0.113.77"),
    ("forwarded", "for=198.51.100.178"),
    ("authorization", "Basic V2lsaGVsbWluYQ=="),
];

/// Parts of it by which it would be found.
const MARKS: [&str; 9] = [
    ADDRESS,
    "Zanzibar",
    "PeculiarBrowser",
    "diary.example",
    "5e55102c",
    "203.0.113.77",
    "198.51.100.178",
    "V2lsaGVsbWluYQ",
    "Wilhelmina",
];

/// With what a zstd frame begins.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Asks for `target` as the marked visitor.
async fn visit(site: SocketAddr, method: &str, target: &str) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{ADDRESS}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(site).await.unwrap();
    let headers = HEADERS.map(|(name, value)| [name, ": ", value, "\r\n"].concat()).concat();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: {site}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "no answer to {method} {target}");
}

/// The bytes of a file, and what is compressed in it.
fn contents(bytes: &[u8]) -> Vec<Vec<u8>> {
    let frames = bytes.windows(ZSTD.len()).enumerate().filter(|(_, window)| *window == ZSTD);
    let unpacked = frames.filter_map(|(at, _)| {
        let mut content = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(&bytes[at..]).ok()?.single_frame();
        std::io::Read::read_to_end(&mut decoder, &mut content).ok()?;
        Some(content)
    });
    std::iter::once(bytes.to_vec()).chain(unpacked).collect()
}

/// Which mark is in these bytes.
fn mark_in(bytes: &[u8]) -> Option<&'static str> {
    let holds = |mark: &&str| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
    MARKS.into_iter().find(holds)
}

/// How many files lie below `folder`, none of which names the visitor.
fn assert_no_trace(folder: &Path) -> usize {
    let files = files_below(folder);
    for (path, bytes) in &files {
        let found = contents(bytes).iter().find_map(|content| mark_in(content));
        assert_eq!(found, None, "in {}", path.display());
    }
    files.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_either_ends_state_names_a_visitor() {
    let mut world = settled().await;
    world.show_main();
    let targets = ["/about/?name=Wilhelmina", "/nothing/?name=Wilhelmina", "/about?name=Wilhelmina", "/local/"];
    for site in [world.partner("north").public, world.main_public()] {
        for target in targets {
            visit(site, "GET", target).await;
            visit(site, "POST", target).await;
        }
    }
    world.collect("north").await;
    world.statement("north").await;
    let (hub, month) = (world.hub().config.state.clone(), world.month("north"));
    let halted = world.halt("north").await;
    assert!(assert_no_trace(&halted.config.state) > 10, "the partner's state was not read");
    assert!(assert_no_trace(&hub) > 10, "main's state was not read");
    for entries in [
        halted.config.state.join(format!("journal/{month}/entries")),
        hub.join(format!("journals/north/{month}/entries")),
    ] {
        let bytes = std::fs::read(&entries).unwrap();
        assert!(bytes.windows(7).any(|window| window == b"/about/"), "{} holds no visit", entries.display());
    }
    // The marks would be found, as they are and compressed.
    let packed = zstd::encode_all(HEADERS[0].1.as_bytes(), 3).unwrap();
    assert_eq!(
        contents(&[b"..", packed.as_slice()].concat()).iter().find_map(|content| mark_in(content)),
        Some("Zanzibar")
    );
}
