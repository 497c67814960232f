//! The public server, as browsers, robots and those who pry see it.

use std::time::Duration;

use tieup_examples::visitor::BROWSER;
use tieup_protocol::digest::Digest;
use tieup_tests::raw::{self, RawAnswer};
use tieup_tests::{Contract, World};

use crate::settled;

async fn ask(world: &World, method: &str, target: &str, headers: &[(&str, &str)]) -> RawAnswer {
    raw::request(world.partner("north").public, method, target, headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_with_its_type_its_tag_and_a_strict_policy() {
    let world = settled().await;
    let page = ask(&world, "GET", "/about/", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("We mend lamps."), "{}", page.body);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("content-length"), Some(&*page.body.len().to_string()));
    let style = ask(&world, "GET", "/style.css", &[]).await;
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
    let nothing = ask(&world, "GET", "/nothing/", &[]).await;
    let not_allowed = ask(&world, "POST", "/about/", &[("content-length", "0")]).await;
    let redirect = ask(&world, "GET", "/about", &[]).await;
    for answer in [&page, &style, &nothing, &not_allowed, &redirect] {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'self'") && policy.contains("object-src 'none'"), "{}", answer.head);
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.head);
        assert_eq!(answer.header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{}", answer.head);
        assert_eq!(answer.header("server"), None, "{}", answer.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let world = settled().await;
    for target in ["/about/", "/style.css", "/nothing/", "/about"] {
        let (get, head) = (ask(&world, "GET", target, &[]).await, ask(&world, "HEAD", target, &[]).await);
        let lines = |answer: &RawAnswer| -> Vec<String> {
            let mut lines: Vec<_> = answer.head.lines().map(str::to_owned).collect();
            // The server names the length of an empty body to GET alone; both are right.
            lines.retain(|line| !line.starts_with("date:") && line != "content-length: 0");
            lines.sort();
            lines
        };
        assert_eq!(lines(&head), lines(&get), "{target}");
        assert_eq!(head.body, "", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let world = settled().await;
    let tag = ask(&world, "GET", "/about/", &[]).await.header("etag").unwrap().to_owned();
    let (weak, listed) = (format!("W/{tag}"), format!("\"x\", {tag}"));
    for known in [&*tag, &*weak, &*listed, "*"] {
        let answer = ask(&world, "GET", "/about/", &[("if-none-match", known)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(&*tag), "{known}");
    }
    assert_eq!(ask(&world, "GET", "/about/", &[("if-none-match", "\"x\"")]).await.status, 200);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let changed = ask(&world, "GET", "/about/", &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, 200);
    assert!(changed.body.contains("We mend everything."));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_its_last_slash_leads_on() {
    let world = settled().await;
    for (target, location) in [
        ("/about", "/about/"),
        ("/about?from=mail&to=x", "/about/?from=mail&to=x"),
        ("/about?for=é%2B", "/about/?for=%C3%A9%2B"),
        ("/%61bout", "/about/"),
    ] {
        let answer = ask(&world, "GET", target, &[]).await;
        assert_eq!((answer.status, answer.header("location")), (308, Some(location)), "{target}");
    }
    assert_eq!(ask(&world, "GET", "/nothing", &[]).await.status, 404);
    assert_eq!(ask(&world, "GET", "/style.css/", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stands_at_a_wrong_address_and_the_page_says_so() {
    let world = World::new().contract("north", Contract::inherited()).start().await;
    let before = ask(&world, "GET", "/", &[]).await;
    assert_eq!((before.status, before.body.as_str()), (404, "There is no page at this address.\n"));
    world.go_live("north").await;
    let after = ask(&world, "GET", "/nothing/", &[]).await;
    assert_eq!(after.status, 404);
    assert!(after.body.contains("<footer>plain footer</footer>"), "{}", after.body);
    assert_eq!(ask(&world, "GET", "/nothing/", &[("if-none-match", "*")]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_head_and_options_are_answered() {
    let world = settled().await;
    let options = ask(&world, "OPTIONS", "/about/", &[]).await;
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = ask(&world, method, "/about/", &[("content-length", "0"), ("x-secret", "s3cr3t")]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
        assert!(!answer.body.contains("s3cr3t"), "{method} echoes its request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_leads_out_of_the_site() {
    let world = settled().await;
    let targets = [
        "/../identity.json",
        "/../../../../../../etc/passwd",
        "/local/../../state/identity.json",
        "/%2e%2e/identity.json",
        "/%2E%2E/%2E%2E/state/identity.json",
        "/..%2fidentity.json",
        "/..%5cidentity.json",
        "/..\\identity.json",
        "/%252e%252e/identity.json",
        "//etc/passwd",
        "/./identity.json",
        "/about/%00/",
        "/identity.json",
        "/live.json",
        "/state/trust.json",
        "/%ff%fe/",
        "/%",
        "*",
        "identity.json",
        "http://elsewhere.example/../identity.json",
    ];
    for target in targets {
        let answer = ask(&world, "GET", target, &[]).await;
        assert!([400, 404].contains(&answer.status), "{target} answers {}: {}", answer.status, answer.body);
        for secret in ["PRIVATE KEY", "root:", "journal_key", "\"signed\""] {
            assert!(!answer.body.contains(secret), "{target} gives away {secret:?}");
        }
    }
    let long = format!("/{}/", "a".repeat(100_000));
    let answer = ask(&world, "GET", &long, &[]).await;
    assert!([400, 404, 414, 431].contains(&answer.status), "a long address answers {}", answer.status);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_visitors_at_once_are_all_logged() {
    const VISITORS: usize = 64;
    let world = settled().await;
    let public = world.partner("north").public;
    let visits: Vec<_> = (0..VISITORS)
        .map(|number| {
            let agent = format!("{BROWSER} {number}");
            tokio::spawn(async move { raw::request(public, "GET", "/about/", &[("user-agent", &agent)]).await.status })
        })
        .collect();
    for visit in visits {
        assert_eq!(visit.await.unwrap(), 200);
    }
    assert_eq!(world.collect("north").await[0].size, VISITORS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_judged_by_its_conditions_in_their_order() {
    let world = settled().await;
    let tag = ask(&world, "GET", "/about/", &[]).await.header("etag").unwrap().to_owned();
    let status = async |headers: &[(&str, &str)]| ask(&world, "GET", "/about/", headers).await.status;
    assert_eq!(status(&[("if-match", &tag)]).await, 200);
    assert_eq!(status(&[("if-match", "\"other\"")]).await, 412);
    assert_eq!(status(&[("if-match", "\"other\""), ("if-none-match", &tag)]).await, 412);
    assert_eq!(status(&[("if-none-match", &tag), ("range", "bytes=0-3")]).await, 304);
    assert_eq!(status(&[("range", "bytes=0-3"), ("if-range", "\"other\"")]).await, 200);
    assert_eq!(ask(&world, "GET", "/nothing/", &[("if-match", "*")]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_page_is_sent_where_a_part_is_asked_for() {
    let world = settled().await;
    let whole = ask(&world, "GET", "/about/", &[]).await;
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap();
    let length = whole.body.len();
    let part = ask(&world, "GET", "/about/", &[("range", "bytes=5-14"), ("if-range", tag)]).await;
    assert_eq!((part.status, part.header("content-length")), (206, Some("10")));
    assert_eq!(part.header("content-range"), Some(&*format!("bytes 5-14/{length}")));
    assert_eq!((part.body.as_str(), part.header("etag")), (&whole.body[5..15], Some(tag)));
    let last = ask(&world, "GET", "/about/", &[("range", "bytes=-7")]).await;
    assert_eq!((last.status, last.body.as_str()), (206, &whole.body[length - 7..]));
    let beyond = ask(&world, "GET", "/about/", &[("range", "bytes=100000-")]).await;
    assert_eq!((beyond.status, beyond.body.as_str()), (416, ""));
    assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{length}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_travels_in_the_coding_that_the_browser_takes() {
    let text = "We mend lamps, and the same words stand here again and again. ".repeat(30);
    let world = settled().await;
    world.edit("/about/", &text);
    world.go_live("north").await;
    let plain = ask(&world, "GET", "/about/", &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let mut tags = vec![plain.header("etag").unwrap().to_owned()];
    for coding in ["br", "zstd", "gzip"] {
        let coded = ask(&world, "GET", "/about/", &[("accept-encoding", coding)]).await;
        assert_eq!((coded.status, coded.header("content-encoding")), (200, Some(coding)));
        let length: usize = coded.header("content-length").unwrap().parse().unwrap();
        assert!(length < plain.body.len() / 2, "{coding}: {length} of {} bytes", plain.body.len());
        let tag = coded.header("etag").unwrap().to_owned();
        let known = ask(&world, "GET", "/about/", &[("accept-encoding", coding), ("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.header("vary")), (304, Some("accept-encoding")));
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "each coding has a tag of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_by_its_content_may_be_kept_for_good() {
    let world = settled().await;
    let style = ask(&world, "GET", "/style.css", &[]).await;
    assert_eq!(style.header("cache-control"), Some("no-cache"));
    let named = format!("/style.{}.css", &Digest::of(style.body.as_bytes()).hex()[..10]);
    let kept = ask(&world, "GET", &named, &[]).await;
    assert_eq!((kept.status, &kept.body), (200, &style.body), "{named}");
    assert_eq!(kept.header("cache-control"), Some("public, max-age=31536000, immutable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_is_told_so() {
    let world = settled().await;
    let many = "x".repeat(60_000);
    let answer = ask(&world, "GET", "/about/", &[("cookie", &many)]).await;
    assert_eq!(answer.status, 431);
    let address = format!("/{}/", "a".repeat(60_000));
    assert!([414, 431].contains(&ask(&world, "GET", &address, &[]).await.status));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_must_say_once_which_host_it_is_for() {
    let world = settled().await;
    let public = world.partner("north").public;
    let status = async |hosts: &str, version: &str| {
        let text = format!("GET /about/ HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
        raw::send(public, &text).await.status
    };
    assert_eq!(status("host: shop.example\r\n", "1.1").await, 200);
    assert_eq!(status("", "1.1").await, 400);
    assert_eq!(status("host: shop.example\r\nhost: other.example\r\n", "1.1").await, 400);
    assert_eq!(status("", "1.0").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_read_in_pieces_and_any_part_of_it_is_served() {
    let world = settled().await;
    let lines = "All of us mend lamps, kettles and clocks.\n".repeat(70_000);
    let folder = world.partner("north").config.site.join("static/local");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("large.bin"), &lines).unwrap();
    // What is seen while it is still being written is served as it is then.
    let length = lines.len().to_string();
    let served = async {
        while ask(&world, "HEAD", "/local/large.bin", &[]).await.header("content-length") != Some(&length) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), served).await.expect("the file is not served");
    let whole = ask(&world, "GET", "/local/large.bin", &[]).await;
    assert_eq!((whole.status, whole.body.len()), (200, lines.len()));
    assert!(whole.body == lines, "the file comes as it is");
    let (from, to) = (700_001, 1_900_000);
    let part = ask(&world, "GET", "/local/large.bin", &[("range", &format!("bytes={from}-{to}"))]).await;
    assert_eq!(part.header("content-range"), Some(&*format!("bytes {from}-{to}/{}", lines.len())));
    assert!(part.status == 206 && part.body == lines[from..=to], "the part is that of the file");
}
