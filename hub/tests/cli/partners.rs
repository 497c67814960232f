//! Partners: what they are given, and what is said without any.

use std::fs;

use tieup_generator::{Framework, Site, build_originals};
use tieup_protocol::joining::Invitation;

use crate::Folder;

#[test]
fn without_a_hub_the_next_step_is_told() {
    let folder = Folder::with_site();
    let says = "error[unreadable]: the configuration cannot be read: No such file or directory (os error 2)
 --> tieup.yaml
  = help: make one with `tieup init`, or name it with --config

";
    folder.assert_fails(&["status"], says);
    let folder = Folder::begun();
    fs::rename(folder.path(".tieup"), folder.path("elsewhere")).unwrap();
    let says = "error: .tieup/keys holds no keys: make them with `tieup init`, or put back your copy of them\n";
    folder.assert_fails(&["publish"], says);
}

#[test]
fn without_partners_every_command_says_so() {
    let folder = Folder::begun();
    let commands: [&[&str]; 5] =
        [&["status"], &["publish"], &["partner", "list"], &["log", "fetch"], &["log", "verify"]];
    for command in commands {
        let told = folder.run(command).done();
        let expected = "No partner has joined yet: invite one with `tieup partner invite NAME`.\n";
        assert_eq!(told, expected, "tieup {command:?}");
    }
    folder.assert_fails(&["publish", "north"], "error: `north` has not joined\n");
    folder.assert_fails(&["fee", "statement", "north", "2026-11"], "error: `north` has not joined\n");
}

#[test]
fn a_partner_is_added_then_invited() {
    let folder = Folder::begun();
    let no_contract =
        "error: there is no contract with `north`: `tieup partner add north` writes ./partners/north/contract.yaml\n";
    folder.assert_fails(&["partner", "invite", "north"], no_contract);
    folder.run(&["partner", "add", "north"]).done();
    let again = "error: ./partners/north/contract.yaml is there already; it is not replaced\n";
    folder.assert_fails(&["partner", "add", "north"], again);
    let checked = folder.run(&["check"]).done();
    assert!(checked.starts_with("north: ") && checked.contains(" paths under brand/north@1\n"), "{checked}");
    let ran = folder.run(&["partner", "invite", "north"]);
    assert!(ran.err.contains("It is good once, within a week"), "{ran:?}");
    let token: Invitation = ran.done().trim_end().parse().expect("standard output holds the token and nothing else");
    assert_eq!((token.main.as_str(), token.partner.as_str()), ("brand", "north"));
    assert_eq!(token.hub, "127.0.0.1:7440");
    for command in ["publish", "status"] {
        let told = folder.run(&[command]).done();
        assert_eq!(told, "Invited and not joined yet: north. Each joins with its token: `syncd join`.\n", "{command}");
    }
}

#[test]
fn a_token_leads_others_to_this_machine_or_that_it_does_not_is_said() {
    let folder = Folder::begun();
    folder.run(&["partner", "add", "north"]).done();
    let told = folder.run(&["partner", "invite", "north"]).err;
    assert!(told.contains("Note: it leads to 127.0.0.1:7440, so only a partner on this machine can use it."), "{told}");
    folder.replace("tieup.yaml", "join: 127.0.0.1:7440", "join: 0.0.0.0:7440");
    let says = "error: `0.0.0.0:7440` says to listen at every address, and a token has to say how a partner reaches this \
                machine: write `address: hub.example:7440` in tieup.yaml\n";
    folder.assert_fails(&["partner", "invite", "north"], says);
    folder.replace("tieup.yaml", "# address: ", "address: ");
    let ran = folder.run(&["partner", "invite", "north"]);
    assert!(!ran.err.contains("Note"), "{ran:?}");
    assert_eq!(ran.done().parse::<Invitation>().unwrap().hub, "hub.example:7440");
}

#[test]
fn what_is_revoked_is_said() {
    let folder = Folder::begun();
    folder.assert_fails(&["partner", "revoke", "north"], "error: `north` has not joined\n");
    let said = "Revoked every TLS certificate that this main site has used so far; a new one is in use.\n";
    for _ in 0..2 {
        assert_eq!(folder.run(&["key", "revoke-tls"]).done(), said);
    }
    let ran = folder.run(&["partner", "revoke", "north", "--reason", &"x".repeat(501)]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
}

#[test]
fn a_kit_is_written_once_and_its_originals_build() {
    let folder = Folder::begun();
    let no_contract =
        "error: there is no contract with `north`: `tieup partner add north` writes ./partners/north/contract.yaml\n";
    folder.assert_fails(&["partner", "kit", "north"], no_contract);
    folder.run(&["partner", "add", "north"]).done();
    let told = folder.run(&["partner", "kit", "north"]).done();
    assert_eq!(told, "Wrote north-kit: 8 files. Give the folder to `north`; its README.md says how to go on.\n");
    let again = "error: north-kit is there already; it is not replaced: remove it, or name another with --out\n";
    folder.assert_fails(&["partner", "kit", "north"], again);
    folder.run(&["partner", "kit", "north", "--out", "kits/north"]).done();
    let site = Site::load(&folder.path("."), &folder.path("themes")).unwrap();
    let release = site.build_release(&"north".parse().unwrap()).unwrap();
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = build_originals(&folder.path("kits/north"), &framework, &release.output.index);
    let originals = originals.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(originals.slots.keys().collect::<Vec<_>>(), ["address", "nav", "notices"]);
    assert!(originals.output.files.contains_key("/local/"));
}
