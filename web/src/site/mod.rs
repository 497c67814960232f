//! The public site: one index in memory, swapped whole, over content-addressed blobs.
//!
//! What is served is looked up in the index and never in the file system. Each answer to a path is logged before it
//! ends; what is no path at all is turned away.
//!
//! Main's own site answers the beacons of partners' pages too, where there is a desk that counts them; they are visits
//! to no page of it, and are not logged.
//!
//! A site may have several parts, each with an index, blobs and a log of its own. Of a path that two have, the first
//! part's stands. A visit is logged by the part whose path it is, and by no other.

mod answer;
mod beacon;
mod body;
mod coding;
mod condition;
mod content;
mod crowd;
mod gather;
mod guest;
mod household;
mod live;
mod media_type;
mod pace;
mod server;
mod short_way;
mod socket;
mod turns;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{Request, Response, StatusCode, Version, header};
use jiff::Timestamp;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_protocol::wire::Answered;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;

pub use self::answer::CONTENT_SECURITY_POLICY;
use self::answer::{Answer, Asked};
pub use self::beacon::{BeaconDesk, Heard};
pub use self::body::SiteBody;
use self::coding::Coding;
use self::content::{Contents, Representation};
pub use self::crowd::{Admission, network_of};
pub(crate) use self::crowd::{Come, Crowd};
pub use self::guest::Guest;
use self::household::Held;
use self::live::Standing;
pub use self::live::{Files, LiveSite, Policy, ServedFile};
pub use self::media_type::MediaType;
pub(crate) use self::server::Door;
pub use crate::access_log::{AccessLog, Caller, Introduction, NoLog, NotLogged, Pending, Ticket, Visit};
use crate::visitors::Visitor;

/// What is said where nothing stands: the status, the site's pages for it, and words where it has none.
type Nothing = (StatusCode, &'static [&'static str], &'static str);

/// Where nothing ever stood.
const NOT_FOUND: Nothing = (StatusCode::NOT_FOUND, &["/404.html"], "There is no page at this address.\n");

/// Where something stood that was withdrawn.
const GONE: Nothing = (StatusCode::GONE, &["/410.html", "/404.html"], "This page was withdrawn.\n");

/// A public site.
pub struct PublicSite {
    first: Arc<Part>,
    others: Vec<Arc<Part>>,
    contents: Arc<Contents>,
    /// Who counts beacons, where this is the site that they are sent to.
    beacons: Option<Arc<dyn BeaconDesk>>,
}

/// A part of a public site.
struct Part {
    live: RwLock<Arc<LiveSite>>,
    blobs: Arc<BlobStore>,
    log: Arc<dyn AccessLog>,
    /// How many answers were logged.
    answered: Answers,
}

/// A visit that is recorded and not yet written.
struct Recorded<'a> {
    part: &'a Part,
    ticket: Ticket,
    class: Option<MeterClass>,
}

impl Recorded<'_> {
    /// Waits until it is written, and counts it.
    async fn written(self) -> Result<(), NotLogged> {
        self.ticket.await?;
        self.part.answered.count(self.class);
        Ok(())
    }
}

/// A part and what it serves while one request is answered.
struct Serving<'a> {
    part: &'a Part,
    live: Arc<LiveSite>,
}

/// What every part serves while one request is answered. Most sites have one.
struct Parts<'a> {
    first: Serving<'a>,
    others: Vec<Serving<'a>>,
}

impl<'a> Parts<'a> {
    /// All of them, the first part first.
    fn iter(&self) -> impl Iterator<Item = &Serving<'a>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// One part of a public site, to be replaced apart from the others.
#[derive(Clone)]
pub struct SitePart(Arc<Part>);

impl SitePart {
    /// Replaces everything that the part serves, in one step.
    pub fn switch(&self, site: impl Into<Arc<LiveSite>>) {
        self.0.switch(site.into());
    }

    /// What it serves now.
    pub fn live(&self) -> Arc<LiveSite> {
        self.0.live()
    }

    /// How many requests it has answered and logged since it was made. Who asks later is never told less.
    pub fn answered(&self) -> Answered {
        self.0.answered.read()
    }
}

/// Counts of answers, by whose page it was.
#[derive(Default)]
struct Answers {
    tieup: AtomicU64,
    original: AtomicU64,
    nothing: AtomicU64,
}

impl Answers {
    fn count(&self, class: Option<MeterClass>) {
        let count = match class {
            Some(MeterClass::Tieup) => &self.tieup,
            Some(MeterClass::Original) => &self.original,
            None => &self.nothing,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Answered {
        let [tieup, original, nothing] =
            [&self.tieup, &self.original, &self.nothing].map(|count| count.load(Ordering::Relaxed));
        Answered { tieup, original, nothing }
    }
}

impl Part {
    fn new(blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>) -> Self {
        Self { live: RwLock::default(), blobs, log, answered: Answers::default() }
    }

    fn live(&self) -> Arc<LiveSite> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the visit of `guest`, who says this of themselves.
    fn record(&self, guest: &Guest, introduction: Introduction<'_>, visit: Visit<'_>) -> Recorded<'_> {
        let caller = Caller { time: visit.time, address: guest.peer.ip(), introduction };
        let visitor = self.log.recognise(&caller, &mut guest.remembered());
        let ticket = self.log.record(&Visit { visitor, ..visit });
        Recorded { part: self, ticket, class: visit.class }
    }

    fn switch(&self, site: Arc<LiveSite>) {
        let before = std::mem::replace(&mut *self.live.write().unwrap_or_else(PoisonError::into_inner), site);
        // Freeing a large index takes a while, in which everybody may read the new one.
        drop(before);
    }
}

impl PublicSite {
    /// A site of one part that serves nothing yet. Codings of its content that were made once are kept in `coded`.
    pub fn new(blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>, coded: Cache) -> Self {
        let (first, contents) = (Arc::new(Part::new(blobs, log)), Contents::new(coded));
        Self { first, others: Vec::new(), contents, beacons: None }
    }

    /// The same site, which hands beacons to `desk` to be counted.
    #[must_use]
    pub fn counting_beacons(self, desk: Arc<dyn BeaconDesk>) -> Self {
        Self { beacons: Some(desk), ..self }
    }

    /// Adds a part that serves nothing yet.
    pub fn add(&mut self, blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>) -> SitePart {
        let part = Arc::new(Part::new(blobs, log));
        self.others.push(part.clone());
        SitePart(part)
    }

    /// The part that every site has.
    pub fn first(&self) -> SitePart {
        SitePart(self.first.clone())
    }

    /// Replaces everything that the first part serves, in one step.
    pub fn switch(&self, site: LiveSite) {
        self.first.switch(site.into());
    }

    /// What the first part serves now.
    pub fn live(&self) -> Arc<LiveSite> {
        self.first.live()
    }

    /// What every part serves now.
    fn parts(&self) -> Parts<'_> {
        let serving = |part| Serving { live: Part::live(part), part };
        Parts { first: serving(&self.first), others: self.others.iter().map(|part| serving(part)).collect() }
    }

    /// Answers one request of `guest`, once there is room for the answer, and logs it. What its body holds is not looked
    /// at.
    pub async fn answer<B: Sync>(&self, guest: &Guest, request: &Request<B>) -> Response<SiteBody> {
        let path = SitePath::from_request(request.uri().path()).ok().filter(|_| names_host(request));
        let Some(path) = path else {
            return answer::plain(StatusCode::BAD_REQUEST, "This is not an address on this site.\n");
        };
        if let Some(answer) = self.beacons.as_ref().and_then(|desk| beacon::answer(&**desk, guest.peer, &path, request))
        {
            return answer;
        }
        let method = method_of(request);
        let (part, answer) = self.find_with_room(guest, &path, request).await;
        let time = Timestamp::now();
        let introduction = request.headers().into();
        let visit = Visit {
            time,
            visitor: Visitor::NOBODY,
            path: &path,
            class: answer.class,
            method,
            status: answer.response.status(),
            bytes: answer.response.body().length(),
            purpose: answer.purpose,
        };
        match part.record(guest, introduction, visit).written().await {
            Ok(()) => answer.response,
            Err(NotLogged) => answer::not_logged(),
        }
    }

    /// The answer with the room that it needs, and the part whose it is.
    ///
    /// While there is no room, nothing is kept of the answer: it is looked up again afterwards.
    async fn find_with_room<B: Sync>(&self, guest: &Guest, path: &SitePath, request: &Request<B>) -> (&Part, Answer) {
        let mut room: Option<Held> = None;
        loop {
            let (part, mut answer) = self.find(path, request).await;
            let body = answer.response.body_mut();
            body.draw_on(&guest.share);
            let Some(needed) = household::needed(body.in_memory()) else { return (part, answer) };
            let had = room.take().filter(|held| held.is_for(needed));
            if let Some(held) = had.or_else(|| guest.share.take(needed)) {
                body.hold(held);
                return (part, answer);
            }
            drop(answer);
            room = guest.share.wait(needed).await;
        }
    }

    /// The answer, and the part whose it is. Whatever page is sent, it is under the policy of the part that has it.
    async fn find<B: Sync>(&self, path: &SitePath, request: &Request<B>) -> (&Part, Answer) {
        let parts = self.parts();
        let (serving, standing) = look(path, &parts);
        let part = serving.part;
        let method = match request.method().as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => return (part, Answer::unclassed(answer::options())),
            _ => return (part, Answer::unclassed(answer::not_allowed())),
        };
        let query = request.uri().query();
        let asked = |policy, file| Asked { method, headers: request.headers(), query, path, file, policy };
        let policy = &serving.live.policy;
        let answer = match standing {
            Standing::File(file) if file.kind == EntryKind::Redirect => {
                self.lead(part, &asked(policy, file), &parts).await
            }
            Standing::File(file) => self.send(part, &asked(policy, file)).await,
            Standing::Below(page) => Answer::unclassed(answer::redirected(&page, query)),
            Standing::Gone => self.nothing(GONE, &parts.first, asked).await,
            Standing::Nothing => self.nothing(NOT_FOUND, &parts.first, asked).await,
        };
        (part, answer)
    }

    /// The content of a file.
    async fn send(&self, part: &Part, asked: &Asked<'_>) -> Answer {
        match self.content(part, asked).await {
            Some(content) => answer::content(asked, &content),
            None => answer::damaged(),
        }
    }

    /// Sends people on from a page that leads to another one; where that is not here, they get the page itself.
    async fn lead(&self, part: &Part, asked: &Asked<'_>, parts: &Parts<'_>) -> Answer {
        let page = self.contents.get(&part.blobs, asked.file.blob, Coding::Identity).await;
        match page.as_deref().and_then(Representation::leads).filter(|to| is_page(to, parts)) {
            Some(to) => Answer {
                response: answer::redirected(to, asked.query),
                class: Some(asked.file.class),
                purpose: Purpose::Resource,
            },
            None => self.send(part, asked).await,
        }
    }

    /// What is answered where nothing stands: the page of the first part for it.
    async fn nothing<'a>(
        &self,
        (status, pages, text): Nothing,
        first: &'a Serving<'_>,
        asked: impl Fn(&'a Policy, &'a ServedFile) -> Asked<'a>,
    ) -> Answer {
        let page = pages.iter().find_map(|page| first.live.files.get(&page.parse::<SitePath>().ok()?));
        let Some(page) = page else { return Answer::unclassed(answer::plain(status, text)) };
        let asked = asked(&first.live.policy, page);
        match self.content(first.part, &asked).await {
            Some(content) => answer::explanation(&asked, &content, status),
            None => Answer::unclassed(answer::plain(status, text)),
        }
    }

    /// A file's content in the coding that is asked for.
    async fn content(&self, part: &Part, asked: &Asked<'_>) -> Option<Arc<Representation>> {
        let coding = asked.file.coding(|| Coding::asked_for(asked.headers));
        self.contents.get(&part.blobs, asked.file.blob, coding).await
    }
}

/// What stands at `path`, and in which part.
fn look<'l, 'a>(path: &SitePath, parts: &'l Parts<'a>) -> (&'l Serving<'a>, Standing<'l>) {
    if let Some((serving, file)) = parts.iter().find_map(|serving| Some((serving, serving.live.files.get(path)?))) {
        return (serving, Standing::File(file));
    }
    let page = path.with_slash();
    if let Some(serving) = parts.iter().find(|serving| serving.live.files.contains_key(&page)) {
        return (serving, Standing::Below(page));
    }
    let gone = parts.iter().find(|Serving { live, .. }| live.gone.contains(path) || live.gone.contains(&page));
    match gone {
        Some(serving) => (serving, Standing::Gone),
        None => (owner(path, parts), Standing::Nothing),
    }
}

/// The part that logs visits to a path where nothing stands: one whose main site owns it, or else the first.
fn owner<'l, 'a>(path: &SitePath, parts: &'l Parts<'a>) -> &'l Serving<'a> {
    parts.iter().find(|serving| serving.live.owns(path)).unwrap_or(&parts.first)
}

/// Whether a page or file stands at `path` that does not lead on, so that nobody is sent in circles.
fn is_page(path: &SitePath, parts: &Parts<'_>) -> bool {
    matches!(look(path, parts).1, Standing::File(file) if file.kind != EntryKind::Redirect)
}

/// Whether a request by HTTP/1.1 says once which host it is for, as it must (RFC 9112, section 3.2).
fn names_host<B>(request: &Request<B>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(header::HOST).iter().count() == 1
}

/// How the log tells methods apart.
pub(crate) fn method_of<B>(request: &Request<B>) -> Method {
    match request.method().as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    }
}

#[cfg(test)]
mod tests;
