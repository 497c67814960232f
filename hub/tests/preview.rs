//! `tieup preview` over real HTTP: what a save does to a page that is open.

#![cfg(test)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long an answer may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A main site with one partner, in a theme of one template.
const SITE: [(&str, &str); 11] = [
    ("site.yaml", "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\n"),
    ("content/_index.md", "---\ntitle: Lamps\n---\nMended and new.\n"),
    ("content/about.md", "---\ntitle: About\n---\nSee the [lamps](/).\n"),
    ("content/draft.md", "---\ntitle: Draft\ndraft: true\n---\nNot yet.\n"),
    ("content/later.md", "---\ntitle: Later\npublish: 2999-12-01\n---\nLater on.\n"),
    ("static/style.css", "h1 { color: navy }"),
    ("partners/shop/slots/nav.md", "The shop's own way\n"),
    ("partners/shop/contract.yaml", include_str!("../starter/contract.yaml")),
    ("themes/plain/theme.yaml", "name: plain\napi: 1\nslots: [nav, banner, address, notices]\n"),
    (
        "themes/plain/templates/index.html",
        "<body>{% filter slot(name=\"nav\") %}main's way{% endfilter %}<h1>{{ page.title }}</h1>{{ page.content | safe }}</body>",
    ),
    ("themes/plain/templates/page.html", "{% extends \"index.html\" %}"),
];

/// A running preview of a site of its own.
struct Preview {
    folder: TempDir,
    child: Child,
    said: BufReader<ChildStdout>,
    address: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Preview {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in SITE {
            let robots = tieup_protocol::robots::list_digest().to_string();
            let text = text.replace("MAIN", "brand").replace("PARTNER", "shop").replace("FROM", "2026-11-01");
            write(&folder, file, &text.replace("ROBOTS", &robots));
        }
        for template in ["section", "404"] {
            write(&folder, &format!("themes/plain/templates/{template}.html"), "{% extends \"index.html\" %}");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup"));
        command.args(["preview", "--port", "0"]).current_dir(folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("no address in {first:?}")).to_owned();
        Self { folder, child, said, address }
    }

    fn write(&self, file: &str, text: &str) {
        write(&self.folder, file, text);
    }

    /// Sends a request, of which the head ends here, and gives the connection.
    fn send(&self, request: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // With HTTP/1.0 an answer ends with its connection.
        write!(stream, "{request}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    fn ask(&self, request: &str, body: &str) -> Answer {
        let mut text = String::new();
        self.send(request, body).read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.0\r\nHost: {}{headers}", self.address), "")
    }

    fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    fn post(&self, path: &str, kind: &str, body: &str) -> Answer {
        let address = &self.address;
        let head =
            format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Type: {kind}");
        self.ask(&head, body)
    }

    fn choose(&self, form: &str) -> Answer {
        self.post("/.preview/choice", "application/x-www-form-urlencoded", form)
    }

    /// Listens as an open page does.
    fn listen(&self, page: &Answer) -> Events {
        let request = format!("GET /.preview/events?state={} HTTP/1.0\r\nHost: {}", page.state(), self.address);
        let mut events = Events(BufReader::new(self.send(&request, "")));
        events.until(": watching");
        events
    }

    /// The next line on standard output.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The name of the site's state that the page shows.
    fn state(&self) -> &str {
        self.body.split("data-state=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap()
    }
}

/// What an open page hears.
struct Events(BufReader<TcpStream>);

impl Events {
    fn until(&mut self, start: &str) -> String {
        // What keeps the connection alive comes again and again.
        let latest = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < latest, "nothing was told that begins with {start}");
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the events ended");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    /// The next change: the new state and what to fetch.
    fn next(&mut self) -> (String, String) {
        let data: serde_json::Value = serde_json::from_str(&self.until("data: ")).unwrap();
        let text = |key: &str| data[key].as_str().unwrap().to_owned();
        (text("state"), text("effect"))
    }
}

fn write(folder: &TempDir, file: &str, text: &str) {
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Whole, since a test must not hang on how far a file was written when it was read.
    let whole = path.with_file_name(".whole");
    fs::write(&whole, text).unwrap();
    fs::rename(whole, path).unwrap();
}

#[test]
fn a_save_is_told_and_its_bytes_are_served() {
    let mut preview = Preview::start();
    let page = preview.get("/about/");
    assert!(page.body.contains("See the") && page.body.ends_with("</script></body>"), "{page:?}");
    let mut events = preview.listen(&page);
    preview.write("content/about.md", "---\ntitle: About\n---\nRead of the [lamps](/).\n");
    let (state, effect) = events.next();
    assert_eq!(effect, "page");
    let page = preview.get("/about/");
    assert!(page.body.contains("Read of the"));
    assert_eq!(page.state(), state);
    let receipt = format!("{{\"state\": \"{state}\", \"ago\": 0.5}}");
    let thanks = preview.post("/.preview/received", "application/json", &receipt);
    assert!(thanks.body.contains("ms from save to browser"), "{thanks:?}");
    let line = preview.says();
    assert!(line.starts_with("about.md saved: 1 page changed, ") && line.ends_with(" ms to the browser\n"), "{line}");
    assert!(preview.get("/").body.contains("ms from save to browser</output>"));
    // A page that comes from before the change hears of it at once.
    let old = Answer { body: page.body.replace(&state, "an-earlier-run"), ..page };
    assert_eq!(preview.listen(&old).next(), (state, "page".to_owned()));
}

#[test]
fn styles_alone_are_told_as_styles() {
    let preview = Preview::start();
    let mut events = preview.listen(&preview.get("/"));
    preview.write("static/style.css", "h1 { color: maroon }");
    assert_eq!(events.next().1, "styles");
    assert!(preview.get("/style.css").body.contains("maroon"));
    let tagged = preview.get("/style.css");
    let tag = tagged.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_eq!(preview.get_with("/style.css", &format!("\r\nIf-None-Match: {tag}")).status, 304);
}

#[test]
fn a_mistake_stands_over_the_last_good_page_and_goes() {
    let preview = Preview::start();
    let mut events = preview.listen(&preview.get("/about/"));
    preview.write("content/about.md", "---\ntilte: <About>\n---\nBad.\n");
    assert_eq!(events.next().1, "panel");
    let page = preview.get("/about/");
    assert_eq!(page.status, 200);
    for part in ["See the", "role=\"alertdialog\"", "content/about.md:2:1", "<mark>tilte</mark>: &lt;About&gt;"] {
        assert!(page.body.contains(part), "{part}\n{page:?}");
    }
    assert!(preview.get("/.preview/panel?path=/about/").body.contains("did you mean `title`?"));
    preview.write("content/about.md", "---\ntitle: About\n---\nMended.\n");
    assert_eq!(events.next().1, "page");
    let page = preview.get("/about/");
    assert!(page.body.contains("Mended.") && !page.body.contains("alertdialog"), "{page:?}");
    // A page that could never be made shows its mistakes alone.
    preview.write("themes/plain/templates/new.html", "{{ page.nothing.at_all }}");
    preview.write("content/new.md", "---\ntitle: New\ntemplate: new.html\n---\n");
    while preview.get("/new/").status != 500 {
        events.next();
    }
    let page = preview.get("/new/");
    assert!(page.body.contains("This page cannot be made") && page.body.contains("alertdialog"), "{page:?}");
}

#[test]
fn a_partner_is_seen_at_the_same_addresses() {
    let preview = Preview::start();
    assert!(preview.get("/about/").body.contains("main's way"));
    let chosen = preview.choose("audience=shop&slots=on&back=%2Fabout%2F");
    assert_eq!(chosen.status, 303);
    assert!(chosen.head.contains("location: /about/\r\n"), "{chosen:?}");
    let cookies = chosen.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    let cookies = format!("\r\nCookie: {}", cookies.collect::<Vec<_>>().join("; "));
    let page = preview.get_with("/about/", &cookies).body;
    assert!(page.contains("<!--slot nav sample--><p>The shop's own way</p>"), "{page}");
    let sample = preview.get_with("/local/map/", &cookies);
    assert!(sample.body.contains("sample: the partner writes this page"), "{sample:?}");
    assert_eq!(preview.get("/local/map/").status, 404);
    let outside = preview.choose("audience=shop&back=%2F%2Fevil.example%2F");
    assert!(outside.head.contains("location: /\r\n"), "{outside:?}");
}

#[test]
fn drafts_and_future_pages_come_when_they_are_asked_for() {
    let preview = Preview::start();
    let mut events = preview.listen(&preview.get("/"));
    for hidden in ["/draft/", "/later/"] {
        assert_eq!(preview.get(hidden).status, 404);
    }
    preview.choose("drafts=on&future=on&back=%2F");
    assert_eq!(events.next().1, "page");
    let (draft, later) = (preview.get("/draft/").body, preview.get("/later/").body);
    assert!(draft.contains("Not yet.") && draft.contains("<p class=\"mark\">draft</p>"), "{draft}");
    assert!(later.contains("Later on.") && later.contains("live from 1 December 2999"), "{later}");
}

#[test]
fn strangers_are_turned_away_and_nothing_is_written() {
    let preview = Preview::start();
    assert_eq!(preview.ask("GET / HTTP/1.0\r\nHost: evil.example", "").status, 421);
    let foreign = "\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site";
    for own in ["/.preview/events", "/.preview/panel"] {
        assert_eq!(preview.get_with(own, foreign).status, 403, "{own}");
    }
    let request = format!("POST /.preview/choice HTTP/1.0\r\nHost: {}", preview.address);
    assert_eq!(preview.ask(&request, "drafts=on").status, 403);
    assert_eq!(preview.choose("drafts=on&unknown=1").status, 422);
    let page = preview.get("/about");
    assert_eq!(page.status, 307);
    assert!(page.head.contains("location: /about/\r\n"));
    let mut found: Vec<_> = fs::read_dir(preview.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["content", "partners", "site.yaml", "static", "themes"]);
}
