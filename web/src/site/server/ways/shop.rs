//! A site with files of many kinds, a visitor of it by either way, and all that can be seen of what they say to each other.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use tieup_protocol::access::Method;
use tieup_protocol::contract::{MeterClass, WebOrigin};
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::wire::Answered;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;

use super::super::{Connection, Ending, Guest, Pace, Paced, Protocol, run};
use crate::access_log::{AccessLog, Caller, NotLogged, Pending, Ticket, Visit};
use crate::listener::Shutdown;
use crate::metrics::{Refused, Traffic};
use crate::site::{BeaconDesk, LiveSite, Policy, PublicSite, ServedFile};
use crate::visitors::{Randomness, Remembered, Visitor, VisitorKey};

pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// By which way a connection is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the short way, and by the library what is not of it.
    Short,
    /// By the library alone.
    Library,
}

/// What becomes of visits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    #[default]
    Waits,
    Written,
    Fails,
}

/// A log that keeps what it was told, and writes when it is told to.
pub(super) struct Ears {
    key: VisitorKey,
    pub(super) heard: Mutex<Vec<String>>,
    pub(super) writing: watch::Sender<Writing>,
}

/// Always the same.
pub(super) struct Same;

impl Randomness for Same {
    fn draw(&self) -> [u8; 32] {
        [7; 32]
    }
}

impl Ears {
    pub(super) fn new(writing: Writing) -> Arc<Self> {
        let key = VisitorKey::new(0, &Same);
        Arc::new(Self { key, heard: Mutex::default(), writing: watch::Sender::new(writing) })
    }
}

impl AccessLog for Ears {
    fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered) -> Visitor {
        self.key.recognise(caller, remembered, &Same)
    }

    fn record(&self, visit: &Visit<'_>) -> Ticket {
        let Visit { time: _, visitor, path, class, method, status, bytes, purpose } = visit;
        let heard = format!("{visitor:?} {path} {class:?} {method:?} {status} {bytes} {purpose:?}");
        self.heard.lock().unwrap().push(heard);
        Ticket::new(Arc::new(HeardVisit(self.writing.subscribe())))
    }
}

/// A visit of [`Ears`].
pub(super) struct HeardVisit(watch::Receiver<Writing>);

impl Pending for HeardVisit {
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), NotLogged>> {
        match *self.0.borrow() {
            Writing::Waits => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Writing::Written => Poll::Ready(Ok(())),
            Writing::Fails => Poll::Ready(Err(NotLogged)),
        }
    }
}

/// A site with files of many kinds.
pub(super) struct Shop {
    pub(super) blobs: Arc<BlobStore>,
    pub(super) folder: tempfile::TempDir,
    pub(super) live: LiveSite,
    pub(super) named: String,
    /// What its second part serves, if it has one.
    pub(super) second: Option<LiveSite>,
    /// Who counts beacons there, if anybody does.
    pub(super) desk: Option<Arc<dyn BeaconDesk>>,
    /// What its door says of HTTPS.
    pub(super) hsts: Option<HeaderValue>,
}

/// What is at a path.
pub(super) fn file(blobs: &BlobStore, content: &[u8], media_type: &str, kind: EntryKind) -> ServedFile {
    let blob = blobs.put(content).unwrap();
    ServedFile { blob, media_type: media_type.into(), kind, class: MeterClass::Tieup }
}

impl Shop {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
        let words = "<p>words, and words again</p>\n".repeat(80);
        let leads = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0; url=/\">";
        let html = "text/html; charset=utf-8";
        let file = |content: &[u8], media_type, kind| file(&blobs, content, media_type, kind);
        let style = file(words.as_bytes(), "text/css; charset=utf-8", EntryKind::Layout);
        let named = format!("/theme/style.{}.css", &style.blob.digest.hex()[..10]);
        let own = ServedFile { class: MeterClass::Original, ..file(words.as_bytes(), html, EntryKind::Page) };
        let files = [
            ("/", file(words.as_bytes(), html, EntryKind::Page)),
            ("/same/", file(words.as_bytes(), html, EntryKind::Page)),
            ("/own/", own.clone()),
            ("/tiny/", file(b"<p>tiny</p>", html, EntryKind::Page)),
            ("/empty.txt", file(b"", "text/plain; charset=utf-8", EntryKind::Asset)),
            ("/theme/style.css", style.clone()),
            (&named, style),
            ("/words.txt", file(words.as_bytes(), "text/plain; charset=utf-8", EntryKind::Asset)),
            ("/picture.png", file(&[9; 5000], "image/png", EntryKind::Asset)),
            ("/large.png", file(&vec![8; 100_000], "image/png", EntryKind::Asset)),
            ("/huge.png", file(&vec![7; 1_100_000], "image/png", EntryKind::Asset)),
            // Of this its blob is gone.
            ("/lost.txt", ServedFile { blob: BlobRef::of(b"it is not here"), ..own.clone() }),
            ("/leads/", file(leads.as_bytes(), html, EntryKind::Redirect)),
            ("/404.html", file(b"<p>nothing</p>", html, EntryKind::Page)),
            ("/a%20b/", file(b"<p>odd</p>", html, EntryKind::Page)),
        ];
        let files = files.into_iter().map(|(path, file)| (path.parse().unwrap(), file)).collect();
        let beacons: WebOrigin = "https://main.example".parse().unwrap();
        let live = LiveSite { files, policy: Policy::with_beacons(&beacons), ..LiveSite::default() };
        let hsts = Some(HeaderValue::from_static("max-age=60"));
        Self { blobs: blobs.clone(), folder, live, named, second: None, desk: None, hsts }
    }

    /// The site with this log, of which nothing is in memory yet.
    pub(super) fn site(&self, log: Arc<dyn AccessLog>) -> Arc<PublicSite> {
        let mut site = PublicSite::new(self.blobs.clone(), log.clone(), Cache::at(self.folder.path().join("coded")));
        site.switch(self.live.clone());
        if let Some(second) = &self.second {
            site.add(self.blobs.clone(), log).switch(second.clone());
        }
        Arc::new(match &self.desk {
            Some(desk) => site.counting_beacons(desk.clone()),
            None => site,
        })
    }

    /// A connection to the site whose log is `ears`.
    pub(super) fn connect(&self, way: Way, ears: &Arc<Ears>) -> Client {
        Client::of(self.site(ears.clone()), somebody(), way, Pace::of(Protocol::Http1))
    }
}

/// Somebody who has no other connection.
pub(super) fn somebody() -> Guest {
    Guest::alone(SocketAddr::from(([192, 0, 2, 1], 1)))
}

/// A visitor's end of a connection, and what can be seen from outside.
pub(super) struct Client {
    pub(super) near: DuplexStream,
    pub(super) traffic: Arc<Traffic>,
    pub(super) shutdown: Shutdown,
}

impl Client {
    /// A connection of `guest`.
    pub(super) fn of(site: Arc<PublicSite>, guest: Guest, way: Way, pace: Pace) -> Self {
        Self::through(Some(HeaderValue::from_static("max-age=60")), site, guest, way, pace)
    }

    /// A connection through a door that says this of HTTPS.
    pub(super) fn through(
        hsts: Option<HeaderValue>,
        site: Arc<PublicSite>,
        guest: Guest,
        way: Way,
        pace: Pace,
    ) -> Self {
        let (traffic, shutdown): (Arc<Traffic>, _) = (Arc::default(), Shutdown::new());
        let connection = Connection { site, guest, hsts, traffic: traffic.clone() };
        let (near, far) = duplex(1 << 16);
        let until = shutdown.clone();
        tokio::spawn(async move {
            match way {
                Way::Short => connection.speak_http1(far, pace, until).await,
                Way::Library => by_library(connection, far, pace, until).await,
            }
        });
        Self { near, traffic, shutdown }
    }

    /// Sends all of `said` in these pieces, and that nothing more comes; what is answered until the end.
    pub(super) async fn say(self, said: &[u8], pieces: usize) -> Vec<u8> {
        let (mut reading, mut writing) = tokio::io::split(self.near);
        let saying = async {
            for piece in said.chunks(pieces) {
                // Where the other end has gone, it wants no more.
                let _ = writing.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = writing.shutdown().await;
        };
        let mut answers = Vec::new();
        let hearing = async { tokio::join!(saying, reading.read_to_end(&mut answers)).1 };
        tokio::time::timeout(PATIENCE, hearing).await.expect("it does not end").unwrap();
        answers
    }
}

/// What [`Connection::speak_http1`] does, but for the short way.
pub(super) async fn by_library(connection: Connection, stream: DuplexStream, pace: Pace, shutdown: Shutdown) {
    let (pace, traffic) = (Arc::new(pace), connection.traffic.clone());
    let watch = connection.watch(&pace, shutdown);
    let (stream, ending) = (Paced::new(stream, pace.clone()), Ending::default());
    run(pin!(connection.go_on(stream, pace, &ending)), |_| ending.set(), watch, &traffic).await;
}

/// Each answer with its headers in order and no date. No content begins as an answer does, so that the length need not be
/// believed.
pub(super) fn answers(mut said: &[u8]) -> Vec<(Vec<String>, Vec<u8>)> {
    let mut answers = Vec::new();
    while !said.is_empty() {
        let end = said.windows(4).position(|end| end == b"\r\n\r\n").map_or(said.len(), |end| end + 4);
        let head = String::from_utf8_lossy(&said[..end]).into_owned();
        let next = said[end..].windows(9).position(|begin| begin == b"HTTP/1.1 ").map_or(said.len(), |next| end + next);
        let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
        for line in &mut lines {
            if line.starts_with("date: ") {
                assert_eq!(line.len(), "date: Sun, 06 Nov 1994 08:49:37 GMT".len(), "{line}");
                "date: then".clone_into(line);
            }
        }
        lines[1..].sort();
        answers.push((lines, said[end..next].to_vec()));
        said = &said[next..];
    }
    answers
}

/// All that can be seen of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) answers: Vec<(Vec<String>, Vec<u8>)>,
    pub(super) heard: Vec<String>,
    /// What the hub is told of how much each part answered.
    pub(super) answered: Vec<Answered>,
    pub(super) counts: Vec<u64>,
    pub(super) refused: Vec<u64>,
    /// How many errors were logged.
    pub(super) errors: usize,
}

/// Counts the errors that are logged on a thread.
#[derive(Clone, Default)]
struct Errors(Arc<AtomicUsize>);

impl tracing::Subscriber for Errors {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        *of.level() == tracing::Level::ERROR
    }

    fn event(&self, _event: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _from: &tracing::span::Id) {}

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

impl Seen {
    /// The same without what the library refuses by itself. When it notices what is wrong depends on how it came in pieces, and
    /// it may come to its end unnoticed.
    fn but_for_refusals(mut self) -> Self {
        let is_ours = |head: &[String]| head.iter().any(|line| line.starts_with("content-security-policy: "));
        self.answers.retain(|(head, _)| is_ours(head) || !head[0].starts_with("HTTP/1.1 4"));
        self.refused.clear();
        self
    }
}

pub(super) async fn seen(shop: &Shop, way: Way, writing: Writing, said: &[u8], pieces: usize) -> Seen {
    let (ears, errors) = (Ears::new(writing), Errors::default());
    let _counting = tracing::subscriber::set_default(errors.clone());
    let site = shop.site(ears.clone());
    let visitor = Client::through(shop.hsts.clone(), site.clone(), somebody(), way, Pace::of(Protocol::Http1));
    let traffic = visitor.traffic.clone();
    let answers = answers(&visitor.say(said, pieces).await);
    // The end is seen a little before it is counted.
    while Arc::strong_count(&traffic) > 1 {
        tokio::task::yield_now().await;
    }
    let statuses = [
        StatusCode::OK,
        StatusCode::NOT_MODIFIED,
        StatusCode::NOT_FOUND,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let answered = [Method::Get, Method::Head, Method::Other]
        .into_iter()
        .flat_map(|method| statuses.map(|status| traffic.answers(method, status)));
    let refused = Refused::ALL.map(|why| traffic.refusals(why)).to_vec();
    let counts = answered.chain([traffic.bytes_sent()]).collect();
    let errors = errors.0.load(Ordering::Relaxed);
    let heard = ears.heard.lock().unwrap().clone();
    let answered = std::iter::once(&site.first).chain(&site.others).map(|part| part.answered.read()).collect();
    Seen { answers, heard, answered, counts, refused, errors }
}

/// Asserts that both ways are the same; what is seen.
pub(super) async fn compared(shop: &Shop, writing: Writing, said: &[u8], pieces: usize) -> Seen {
    let mut short = seen(shop, Way::Short, writing, said, pieces).await;
    let mut library = seen(shop, Way::Library, writing, said, pieces).await;
    if pieces < said.len() {
        (short, library) = (short.but_for_refusals(), library.but_for_refusals());
    }
    assert_eq!(short, library, "{:?} in pieces of {pieces}", String::from_utf8_lossy(said));
    short
}
