//! The command `syncd` as an operator types it: what it says, what it leaves behind, and its exit status.

#![cfg(test)]

#[allow(dead_code, unreachable_pub, reason = "the tests of the other command take it in as well")]
#[path = "../../tests/src/typed.rs"]
mod typed;

use std::fs;
use std::net::TcpListener;

use tieup_protocol::digest::Digest;
use tieup_protocol::joining::{Invitation, Secret};

use self::typed::Folder;

impl Folder {
    fn empty() -> Self {
        Self::of(env!("CARGO_BIN_EXE_syncd"))
    }

    /// A folder in which `syncd init` has run, listening nowhere in particular.
    fn begun() -> Self {
        let folder = Self::empty();
        folder.run(&["init"]).done();
        let config = fs::read_to_string(folder.path("syncd.yaml")).unwrap();
        let config = ["8080", "7450", "7460", "7470"]
            .iter()
            .fold(config, |config, port| config.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"));
        fs::write(folder.path("syncd.yaml"), config).unwrap();
        folder
    }
}

/// An invitation by a hub that nobody runs.
fn invitation() -> Invitation {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Invitation {
        hub: nobody.to_string(),
        main: "lampworks".parse().unwrap(),
        partner: "north".parse().unwrap(),
        authority: Digest::of(b"an authority"),
        secret: Secret([7; 32]),
    }
}

#[test]
fn wrong_usage_is_status_2_and_changes_nothing() {
    let folder = Folder::begun();
    let long = "x".repeat(501);
    let cases: [(&[&str], &str); 15] = [
        (&[], "Usage: syncd"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["aprove"], "a similar subcommand exists: 'approve'"),
        (&["join"], "<TOKEN>"),
        (&["approve"], "<VERSION>"),
        (&["reject", "--reason", "the price is wrong"], "<VERSION>"),
        (&["reject", "5"], "--reason <REASON>"),
        (&["reject", "5", "--reason", " "], "say why"),
        (&["reject", "5", "--reason", &long], "it has 501 characters, and may have 500"),
        (&["approve", "first"], "invalid value 'first'"),
        (&["approve", "0"], "invalid value '0'"),
        (&["--format", "json", "log", "verify"], "this command has no answer for programs: leave out `--format json`"),
        (&["prompt", "--format", "json"], "this command has no answer for programs"),
        (&["run", "--format", "json"], "this command has no answer for programs"),
        (&["fee", "verify", "November"], "`November` is no month, and no days of one: write it like 2026-11"),
    ];
    folder.assert_wrong(&cases);
}

#[test]
fn help_teaches() {
    let folder = Folder::empty();
    let help = folder.run(&["--help"]).done();
    for line in ["syncd join TOKEN", "syncd run", "syncd diff", "syncd approve 5", "syncd reject 5 --reason"] {
        assert!(help.contains(line), "{line:?} is not taught:\n{help}");
    }
    assert!(folder.run(&["--version"]).done().starts_with("syncd "));
    assert!(folder.files().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_has_gone_ends_the_command_quietly() {
    Folder::empty().assert_quiet_without_reader(&["init"]);
}

#[test]
fn init_does_not_replace_what_is_there() {
    let folder = Folder::empty();
    fs::write(folder.path("site.yaml"), "title: Mine\nbase_url: https://mine.example/\n").unwrap();
    folder.run(&["init"]).done();
    let site = fs::read_to_string(folder.path("site.yaml")).unwrap();
    assert!(site.starts_with("title: Mine\n"), "{site}");
    folder.assert_fails(&["init"], "error: syncd.yaml is there already; it is not replaced\n");
}

#[test]
fn a_configuration_that_is_missing_or_wrong_is_named() {
    let folder = Folder::empty();
    let says = "error[unreadable]: the configuration cannot be read: No such file or directory (os error 2)
 --> syncd.yaml
  = help: make one with `syncd init`, or name it with --config

";
    folder.assert_fails(&["status"], says);
    let cases = [
        (
            "state: s\npublic: 127.0.0.1:0\npeers: 127.0.0.1:0\n",
            "error[unknown-key]: unknown key `peers`
 --> syncd.yaml:3:1
3 | peers: 127.0.0.1:0
  | ^^^^^
  = help: did you mean `peer`?

",
        ),
        (
            "state: s\npublic: 127.0.0.1:0\n",
            "error[missing-key]: it is not said how the daemon and the main site meet
 --> syncd.yaml
  = help: give `peer`, where the main site calls; or `dial: main` if it cannot reach this machine

",
        ),
        (
            "state: s\npublic: 127.0.0.1:0\npeer: 127.0.0.1:0\ndial: main\n",
            "error[wrong-value]: with `dial: main` no port is opened for the main site
 --> syncd.yaml
  = help: take out `peer` and `address`, or `dial`

",
        ),
    ];
    for (text, says) in cases {
        fs::write(folder.path("syncd.yaml"), text).unwrap();
        let commands: [&[&str]; 3] = [&["run"], &["status"], &["approve", "5"]];
        for command in commands {
            folder.assert_fails(command, says);
        }
        folder.assert_fails(&["join", &invitation().to_string()], says);
    }
}

#[test]
fn a_token_that_was_altered_is_told_from_something_else() {
    let folder = Folder::begun();
    let token = invitation().to_string();
    let damaged = "error: the token was damaged in copying: a character is missing or different\n";
    let middle = token.len() / 2;
    let other = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
    folder.assert_fails(&["join", &format!("{}{other}{}", &token[..middle], &token[middle + 1..])], damaged);
    folder.assert_fails(&["join", &token[..token.len() - 1]], damaged);
    folder.assert_fails(&["join", &format!("{token}A")], damaged);
    folder.assert_fails(&["join", "kittens"], "error: this is not a join token: one begins with `tieup1-`\n");
    assert!(!folder.path(".syncd").exists());
}

#[test]
fn a_main_site_that_cannot_be_reached_leaves_no_keys_behind() {
    let folder = Folder::begun();
    let before = folder.files();
    let ran = folder.run(&["join", &invitation().to_string()]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    for says in [
        "main site `lampworks` did not accept the join",
        "nobody answers at 127.0.0.1:",
        "refused",
        "hint: is `tieup hub` running there?",
    ] {
        assert!(ran.err.contains(says), "{says:?} is not said:\n{}", ran.err);
    }
    assert_eq!(ran.err.lines().count(), 4, "{}", ran.err);
    assert!(folder.files() == before, "a join that failed left files");
}

#[test]
fn an_address_that_leads_the_main_site_to_itself_is_turned_away() {
    let folder = Folder::begun();
    let config = fs::read_to_string(folder.path("syncd.yaml")).unwrap();
    fs::write(folder.path("syncd.yaml"), config.replace("peer: 127.0.0.1:0", "peer: 0.0.0.0:7450")).unwrap();
    let says = "error: `peer` listens at every address (0.0.0.0:7450): say in `address:` how the main site reaches it, such \
                as `address: shop.example:7450`\n";
    folder.assert_fails(&["join", &invitation().to_string()], says);
    let config = fs::read_to_string(folder.path("syncd.yaml")).unwrap();
    fs::write(folder.path("syncd.yaml"), config.replace("# address: ", "address: ")).unwrap();
    let ran = folder.run(&["join", &invitation().to_string()]);
    assert!(ran.err.contains("nobody answers at 127.0.0.1:"), "{ran:?}");
    fs::write(folder.path("syncd.yaml"), "state: s\npublic: 127.0.0.1:0\npeer: 127.0.0.1:7450\n").unwrap();
    let elsewhere = Invitation { hub: "hub.invalid:7440".to_owned(), ..invitation() };
    let ran = folder.run(&["join", &elsewhere.to_string()]);
    assert!(
        ran.out.starts_with("Note: the main site is told to call at 127.0.0.1:7450, which leads it to its own"),
        "{ran:?}"
    );
}

#[test]
fn the_line_for_https_can_be_taken_as_it_stands() {
    let folder = Folder::begun();
    let config = fs::read_to_string(folder.path("syncd.yaml")).unwrap();
    let config = config.replace("# https:  ", "https:  ").replace("#   {listen", "  {listen");
    assert!(config.contains("\n  {listen: 0.0.0.0:443, acme:"), "{config}");
    fs::write(folder.path("syncd.yaml"), config).unwrap();
    let ran = folder.run(&["status"]);
    assert!(ran.err.contains("has not joined a main site yet"), "{ran:?}");
}

#[test]
fn before_joining_the_next_step_is_told() {
    let folder = Folder::begun();
    let says = "error: this partner has not joined a main site yet: ask it for a token, then `syncd join TOKEN`\n";
    let commands: [&[&str]; 10] = [
        &["run"],
        &["log", "verify"],
        &["log", "verify", "2026-11"],
        &["status"],
        &["diff"],
        &["approve", "5"],
        &["reject", "5", "--reason", "the price is wrong"],
        &["rollback"],
        &["fee", "verify", "2026-11"],
        &["--format", "json", "status"],
    ];
    for command in commands {
        folder.assert_fails(command, says);
    }
    assert!(!folder.path(".syncd").exists());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::begun();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("state: .syncd\npublic: {address}\npeer: 127.0.0.1:0\n");
    fs::write(folder.path("syncd.yaml"), config).unwrap();
    let ran = folder.run(&["run"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains(&format!("error: cannot listen on {address}\n")), "{}", ran.err);
}
