//! The console and the preview, over real HTTP: what an operator does there, and what nobody else may.

use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::{Kept, World, assert_says};

use crate::settled;

/// Release 2 waits at `north`: a page changes, another is new and leads to another host.
async fn waiting() -> World {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.edit("/prices/", "Nothing is free, see [the other shop](https://elsewhere.example/).");
    world.publish("north").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_18_19_20_an_operator_signs_in_reads_and_approves() {
    let world = waiting().await;
    let operator = world.operator("north").await;
    let start = operator.get("/").await;
    assert_says(&start.body, &["Release 2 waits for your word", "href=\"/releases/2\"", "Release 1 is live"]);
    let page = operator.get("/releases/2").await;
    assert_says(
        &page.body,
        &[
            "Release 2 from lampworks: 1 changed, 1 new; NEW external host: elsewhere.example; signature valid.",
            "You are asked because: the contract has no rule for automatic approval",
            "Something outside of your site, linked or loaded: <strong>elsewhere.example</strong>",
            "<li>1 page changes in its words alone</li><li>1 page or file is new</li>",
            "&lt;p&gt;We mend <del>lamps</del>.&lt;/p&gt;",
            "&lt;p&gt;We mend <ins>everything</ins>.&lt;/p&gt;",
            "See your site as it would be",
        ],
    );
    let done = operator.press("/releases/2", "/releases/2/approve", &[]).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/?about=2")), "{done:?}");
    assert_says(&operator.get("/?about=2").await.body, &["Release 2 is live", "Your visitors see it now."]);
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_21_an_operator_says_no_with_a_reason() {
    let world = waiting().await;
    let operator = world.operator("north").await;
    let empty = operator.press("/releases/2", "/releases/2/reject", &[("reason", " ")]).await;
    assert_eq!(empty.status, 422, "{empty:?}");
    assert_says(&empty.body, &["Nothing was decided", "say why: the main site reads it"]);
    let done = operator.press("/releases/2", "/releases/2/reject", &[("reason", "too <dear> & late")]).await;
    assert_eq!(done.status, 303, "{done:?}");
    let says = ["You said no to release 2", "“too &lt;dear&gt; &amp; late”"];
    assert_says(&operator.get("/?about=2").await.body, &says);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_21_an_operator_goes_back_after_one_more_look() {
    let world = waiting().await;
    world.approve("north");
    let operator = world.operator("north").await;
    assert_says(&operator.get("/").await.body, &["href=\"/roll-back/1\""]);
    let page = operator.get("/roll-back/1").await;
    assert_says(
        &page.body,
        &["Go back to release 1?", "1 page changes in its words alone", "1 page or file goes away"],
    );
    world.assert_shows("north", "/about/", "We mend everything.").await;
    let done = operator.press("/roll-back/1", "/roll-back/1", &[]).await;
    assert_eq!(done.status, 303, "{done:?}");
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.roll_back("north");
    let fresh = operator.fields("/roll-back/1", "/roll-back/1").await;
    world.roll_back("north");
    let fresh: Vec<(&str, &str)> = fresh.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let stale = operator.post("/roll-back/2", &fresh).await;
    assert_eq!(stale.status, 409, "another release had gone live: {stale:?}");
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_read_is_not_approved() {
    let world = waiting().await;
    let operator = world.operator("north").await;
    let read = operator.fields("/releases/2", "/releases/2/approve").await;
    let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    let before = world.face("north").await;
    let stale = operator.post("/releases/2/approve", &read).await;
    assert_eq!(stale.status, 409, "{stale:?}");
    assert_says(&stale.body, &["Nothing was decided", "Release 3 waits for your word", "<ins>nothing</ins>"]);
    let other = operator.post("/releases/3/approve", &read).await;
    assert_eq!(other.status, 409, "{other:?}");
    assert_says(&other.body, &["The main site has changed this release since you opened the page."]);
    world.assert_unchanged("north", &before, Kept::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_once_and_looking_at_it_uses_nothing_up() {
    let world = settled().await;
    let mut first = world.stranger("north");
    let socket = world.partner("north").config.control_socket();
    let answer = tokio::task::spawn_blocking(move || ask(&socket, &Command::SignIn)).await.unwrap().unwrap();
    let Answer::SignIn { link, minutes: 10 } = answer else { panic!("{answer:?}") };
    assert!(link.starts_with("http://localhost:"), "{link}");
    let path = format!("/sign-in?link={}", link.split_once("link=").unwrap().1);
    for _ in 0..2 {
        let look = first.get(&path).await;
        assert_eq!((look.status, look.header("set-cookie")), (200, None), "{look:?}");
    }
    assert_eq!(first.get("/").await.status, 401);
    assert_eq!(first.enter(&path).await.status, 303);
    assert_eq!(first.get("/").await.status, 200);
    let mut second = world.stranger("north");
    let replayed = second.enter(&path).await;
    assert_eq!((replayed.status, &second.cookie), (403, &None), "{replayed:?}");
    let out = first.press("/", "/sign-out", &[]).await;
    assert_eq!(out.status, 200, "{out:?}");
    assert_eq!(first.get("/").await.status, 401, "the session is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_decides_and_nothing_changes_on_a_get() {
    let world = waiting().await;
    let before = world.face("north").await;
    let (operator, other, stranger) =
        (world.operator("north").await, world.operator("north").await, world.stranger("north"));
    let read = operator.fields("/releases/2", "/releases/2/approve").await;
    let field = |name: &str| read.iter().find(|(found, _)| found == name).unwrap().1.clone();
    let (token, manifest) = (field("token"), field("manifest"));
    let good = [("token", &*token), ("manifest", &*manifest)];
    let approve = "/releases/2/approve";
    for path in [approve, "/releases/2/approve?token=x", "/releases/2/reject", "/sign-out"] {
        assert_eq!(operator.get(path).await.status, 405, "GET {path}");
    }
    for path in ["/", "/releases/2", "/roll-back/1", "/releases/2?about=2"] {
        operator.get(path).await;
        assert_eq!(stranger.get(path).await.status, 401, "{path}");
    }
    assert_eq!(stranger.post(approve, &good).await.status, 401, "without a session");
    assert_eq!(operator.post(approve, &[("manifest", &manifest)]).await.status, 403, "without a token");
    assert_eq!(other.post(approve, &good).await.status, 403, "with the token of another session");
    let preview = format!("http://{}", world.preview("north"));
    for origin in [&*preview, "https://evil.example", "null"] {
        assert_eq!(operator.post_from(origin, approve, &good).await.status, 403, "from {origin}");
    }
    let body = format!("token={token}&manifest={manifest}");
    assert_eq!(operator.ask("POST", approve, &[], &body).await.status, 403, "from nowhere");
    assert_eq!(operator.ask("POST", approve, &[("sec-fetch-site", "same-site")], &body).await.status, 403);
    for host in ["evil.example", "evil.example:7460"] {
        let answer = operator.ask("GET", "/", &[("host", host)], "").await;
        assert_eq!(answer.status, 421, "{host}");
        assert!(!answer.body.contains("Release"), "{answer:?}");
    }
    world.assert_unchanged("north", &before, Kept::All).await;
    assert_eq!(operator.post(approve, &good).await.status, 303, "and yet the operator can");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_the_console_may_load_run_or_keep_anything() {
    let world = waiting().await;
    let operator = world.operator("north").await;
    for path in ["/", "/releases/2", "/no/such/page", "/sign-in?link=%22%3E%3Cscript%3E"] {
        let page = operator.get(path).await;
        let says = |name: &str| page.header(name).unwrap_or_default();
        assert_says(says("content-security-policy"), &["default-src 'none'", "frame-ancestors 'none'"]);
        assert_eq!(says("cache-control"), "no-store", "{path}");
        assert_eq!(says("x-content-type-options"), "nosniff", "{path}");
        assert!(!page.body.contains("<script"), "{path}: {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_19_the_preview_shows_what_visitors_would_see_and_is_no_visit() {
    let world = waiting().await;
    let preview = world.preview("north");
    let look = |path: &'static str| async move { tieup_tests::raw::request(preview, "GET", path, &[]).await };
    let page = look("/about/").await;
    assert_says(&page.body, &["We mend everything."]);
    for (name, value) in
        [("tieup-preview", "release 2"), ("cache-control", "no-store"), ("x-robots-tag", "noindex, nofollow")]
    {
        assert_eq!(page.header(name), Some(value), "{page:?}");
    }
    assert_eq!((page.header("etag"), page.header("set-cookie")), (None, None));
    assert_says(&look("/local/").await.body, &["Our own shelf."]);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    assert_says(&look("/about/").await.body, &["We mend nothing."]);
    world.reject("north", "we do mend");
    let nothing = look("/about/").await;
    assert_eq!((nothing.status, nothing.header("tieup-preview")), (404, Some("nothing")));
    assert_says(&nothing.body, &["Nothing is waiting"]);
    let foreign = "GET /about/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let foreign = tieup_tests::raw::send(preview, foreign).await;
    assert_eq!(foreign.status, 421, "{foreign:?}");
    let collected = world.collect("north").await;
    assert_eq!(collected.iter().map(|month| month.size).sum::<u64>(), 1, "looking at the preview was logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_back_and_approves_for_later() {
    let world = waiting().await;
    let operator = world.operator("north").await;
    let held = operator.press("/releases/2", "/releases/2/hold", &[]).await;
    assert_eq!(held.status, 303, "{held:?}");
    assert_says(&operator.get("/?about=2").await.body, &["You hold release 2 back", "you are not asked again"]);
    let schedule = "/releases/2/schedule";
    for wrong in ["2001-01-01T09:00", "soon", ""] {
        let answer = operator.press("/releases/2", schedule, &[("at", wrong)]).await;
        assert_eq!(answer.status, 422, "{wrong}: {answer:?}");
    }
    let done = operator.press("/releases/2", schedule, &[("at", "2999-12-01T09:00")]).await;
    assert_eq!(done.status, 303, "{done:?}");
    assert_says(
        &operator.get("/?about=2").await.body,
        &["Release 2 is approved for later", "2999-12-01 09:00 (Asia/Tokyo)"],
    );
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}
