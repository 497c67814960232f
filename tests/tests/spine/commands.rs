//! The commands of fees and counts as people type them: what they say, and their exit status.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::period::Month;
use tieup_store::journal::month_dir;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says};

use crate::disputes::{falsify, visited};

/// What a command left on the screen, and its exit status.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// Fails unless the command ended with `status`, and said each of `words` on standard output.
    #[track_caller]
    fn says(self, status: i32, words: &[&str]) -> String {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_says(&self.out, words);
        self.out
    }

    /// Fails unless the command failed in words that hold each of `words`.
    #[track_caller]
    fn fails(self, words: &[&str]) {
        assert_eq!(self.status, Some(1), "{self:?}");
        assert_says(&self.err, words);
    }
}

fn run(binary: &str, config: PathBuf, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary);
    let output = command.arg("--config").arg(config).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn tieup(world: &World, arguments: &[&str]) -> Ran {
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    run(env!("CARGO_BIN_EXE_tieup-to-call"), config, arguments)
}

fn syncd(world: &World, arguments: &[&str]) -> Ran {
    run(env!("CARGO_BIN_EXE_syncd-to-kill"), world.partner("north").config_file.clone(), arguments)
}

fn words(month: Month) -> (String, String) {
    (month.to_string(), format!("north {month}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_counted_stated_issued_verified_disputed_and_answered() {
    let (world, month) = visited().await;
    let ((month, of), now) = (words(month), world.month("north").to_string());
    let counts = [&format!("{of}: the counts kept of 6 entries are those of the journal"), "of 1 entry are those"];
    tieup(&world, &["log", "rollups"]).says(0, &counts);
    fs::remove_dir_all(world.hub().config.state.join("rollups/north")).unwrap();
    tieup(&world, &["log", "count", "north", "--month", &month])
        .says(0, &["All is counted: 6 entries of 1 days here."]);
    let missing = "no counts were kept that can be used; the journal was counted anew";
    tieup(&world, &["log", "rollups", "--month", &now]).says(0, &[missing]);

    let draft = tieup(&world, &["fee", "statement", "north", &month]);
    draft.says(0, &["status:          draft", "a draft of a month that is closed", &format!("{of}: identical")]);
    tieup(&world, &["fee", "issue"]).says(0, &[&format!("{of}: issued;"), "60 JPY", &format!("{of}: identical")]);
    tieup(&world, &["fee", "issue"]).says(0, &["Nothing is due."]);
    tieup(&world, &["fee", "issue", "north", "--month", &now])
        .fails(&["is not closed yet", "1 statement was not issued"]);
    let issued = tieup(&world, &["fee", "statement", "north", "--month", &month]);
    issued.says(0, &["status:          final", "issued and signed"]);

    syncd(&world, &["fee", "verify", &month]).says(0, &["status:          final", "issued, and signed", "identical: "]);
    let dispute = syncd(&world, &["fee", "dispute", "--month", &month, "--reason", "we count fewer"]);
    dispute.says(0, &["we count fewer", "The main site has taken the dispute."]);
    syncd(&world, &["fee", "dispute", "--month", &month, "--reason", "again"]).fails(&["disputed already"]);
    tieup(&world, &["fee", "disputes"]).says(0, &[&of, "we count fewer", "answer: tieup fee disputes north"]);
    let answer = ["fee", "disputes", "north", "--month", &month, "--decision", "rejected", "--answer", "we count six"];
    tieup(&world, &answer).says(0, &[&format!("{of}: rejected, and the partner is told")]);
    syncd(&world, &["fee", "verify", &month]).says(0, &["we count six"]);
    let told = tieup(&world, &["fee", "disputes", "--format", "json"]).says(0, &[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[0]["partner"], &told[0]["ruling"]["decision"]), (&"north".into(), &"rejected".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_differs_is_a_failure_at_both_ends() {
    let (world, month) = visited().await;
    falsify(&month_dir(&world.mirrors("north"), month), &world.state("north"), month, 2);
    let (month, of) = words(month);
    tieup(&world, &["fee", "issue"]).fails(&[&of, "`north` computes another statement: line", "1 statement was not"]);
    let ran = syncd(&world, &["fee", "verify", &month]);
    assert_says(&ran.err, &["the statements differ"]);
    ran.says(1, &["DIFFERENT from line", "is number 2"]);
    syncd(&world, &["fee", "verify", "2019-01"]).fails(&["2019-01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_from_a_copy_that_is_not_what_was_cosigned() {
    let (world, month) = visited().await;
    falsify(&month_dir(&world.mirrors("north"), month), &world.state("north"), month, 2);
    // What was counted of it before is lost, so that it is read again.
    fs::remove_dir_all(world.hub().config.state.join("rollups/north")).unwrap();
    let damaged = "are not those that were cosigned: put it back from a backup";
    tieup(&world, &["fee", "issue"]).fails(&[damaged, "1 statement was not issued"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_written_out_simulated_and_reported_in_every_form() {
    let (world, month) = visited().await;
    let (month, _) = words(month);
    let statement = |layout: &str| tieup(&world, &["fee", "statement", "north", &month, "--as", layout]);
    statement("html").says(0, &["<!doctype html>", "<svg role=\"img\"", "Views by class and day", "</html>"]);
    statement("csv")
        .says(0, &["line,kind,exact,rounded,currency\n", "access,charge,60,60,JPY\n", "due,sum,60,60,JPY\n"]);
    let json: Value = serde_json::from_str(&statement("json").says(0, &[])).unwrap();
    assert_eq!((&json["partner"], &json["due"], &json["status"]), (&"north".into(), &"60".into(), &"draft".into()));

    let simulated = tieup(&world, &["fee", "simulate", "north", "--originals", "+20%"]);
    simulated.says(0, &[&format!("{month}: lampworks/north@1 as it is"), "visits to originals +20%", "total"]);
    tieup(&world, &["fee", "simulate", "nobody", "--originals", "+20%"]).fails(&["`nobody` has not joined"]);

    let report = |layout: &str| tieup(&world, &["fee", "report", "--month", &month, "--as", layout]);
    report("text").says(0, &["tie-up", "north", "60 JPY", "together"]);
    report("html").says(0, &["<!doctype html>", "Views by class and partner", "in JPY", "</html>"]);
    report("csv")
        .says(0, &["partner,contract,status,", "north,lampworks/north@1,draft,6,0,6,", ",JPY,0,0,60,0,0,60,60\n"]);
    let json: Value = serde_json::from_str(&report("json").says(0, &[])).unwrap();
    assert_eq!((&json["partners"][0]["parts"]["accesses"], &json["month"]), (&"60".into(), &month.clone().into()));
    tieup(&world, &["fee", "report", "--month", "2019-01"])
        .fails(&["no partner has a statement for 2019-01", "north: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_cannot_do_is_said_with_what_can_be_done() {
    let (mut world, _) = visited().await;
    syncd(&world, &["diff", "1"]).says(0, &["Release 1 is live: there is nothing to compare."]);
    world.edit("/about/", "We mend everything.");
    let second = world.publish("north").await.version.to_string();
    let audience = "Release 2 from lampworks: 1 changed";
    syncd(&world, &["approve", &second]).says(0, &[audience, "Release 2 is live."]);
    syncd(&world, &["rollback"]).says(0, &["Release 1 is live."]);
    syncd(&world, &["approve", &second])
        .fails(&["release 2 is not waiting for a decision: it is retired; to go back to it: syncd rollback 2"]);

    let invited = tieup(&world, &["partner", "invite", "north"]);
    let code = world.hub().partner(&"north".parse().unwrap()).await.unwrap().compare_code;
    assert_says(&invited.err, &["`north` joined on ", &code, ": whoever uses this token takes its place."]);
    let beside = syncd(&world, &["join", invited.out.trim()]);
    beside.says(0, &["Joined `lampworks` as `north`.", "A daemon is running: end it, and start it again"]);
    let halted = world.halt("north").await;
    let unreached = tieup(&world, &["log", "fetch"]);
    assert_eq!(unreached.err.matches("nobody answers at").count(), 1, "{unreached:?}");
    unreached.fails(&["1 journal or audit trail of a partner was not taken"]);
    world.resume(halted).await;
    tieup(&world, &["partner", "revoke", "north", "--reason", "they have left"]).says(0, &[]);
    tieup(&world, &["publish"]).says(0, &["`north` is revoked: nothing is sent to it until it joins again."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_terms_under_the_version_in_force_are_a_mistake_before_anything_is_sent() {
    let world = crate::settled().await;
    let (site, themes) = (world.hub().config.site.clone(), world.hub().config.themes.clone());
    let check = ["check", "--site", site.to_str().unwrap(), "--themes", themes.to_str().unwrap()];
    let file = "partners/north/contract.yaml";
    let greedy = Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#);
    tieup(&world, &check).says(0, &["No mistakes in"]);
    world.write_main(file, &greedy.text("north"));
    // Main has not heard yet that the release is live.
    tieup(&world, &check)
        .says(0, &["note: release 1 brought other terms as version 1: if it was approved, write `@2`"]);
    tieup(&world, &["status"]).says(0, &["north", "live"]);
    let told = [
        "error[same-version]: these are not the terms that `north` agreed on as version 1",
        "contract.yaml:1:11",
        "help: write `lampworks/north@2`, or",
    ];
    tieup(&world, &check).fails(&told);
    for _ in 0..2 {
        let ran = tieup(&world, &["publish"]);
        assert_says(&ran.out, &["south: "]);
        ran.fails(&[&told[..], &["1 of the partners did not get the release"]].concat());
    }
    let north = site_id("north");
    assert_eq!(world.hub().database.releases(&north).await.unwrap().len(), 1, "a number was taken");
    tieup(&world, &["status"]).says(0, &["north", "not built", "contract.yaml: these are not the terms"]);
    world.write_main(file, &greedy.version(2).text("north"));
    tieup(&world, &check).says(0, &["No mistakes in"]);
    tieup(&world, &["publish", "north"]).says(0, &["north: release 2 is staged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_of_the_first_and_not_of_its_ports() {
    let world = crate::settled().await;
    let north = world.partner("north");
    let (taken, state) = (north.public, north.config.state.display());
    let file = north.config_file.with_file_name("second.yaml");
    fs::write(&file, format!("state: {state}\npublic: {taken}\npeer: 127.0.0.1:0\n")).unwrap();
    let ran = run(env!("CARGO_BIN_EXE_syncd-to-kill"), file, &["run"]);
    ran.fails(&["error: a daemon runs here already, with ", "`syncd status` says how it stands"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_site_cannot_be_built_is_an_alarm_for_people_and_programs() {
    let world = crate::settled().await;
    let mistakes = [("about.md", "unknown key `titel`"), ("other.md", "nothing stands at `/x/`")];
    let mistakes =
        mistakes.map(|(file, message)| Diagnostic::new("unknown-key", file, message).at_line("titel: x", 1, 1));
    let report = Report::check(mistakes.to_vec()).unwrap_err();
    let (first, later) = ("2026-11-30T17:42:00Z".parse().unwrap(), "2026-11-30T18:00:00Z".parse().unwrap());
    world.hub().keep_build(Some(&report), first).unwrap();
    world.hub().keep_build(Some(&report), later).unwrap();
    let alarm = "ALARM: the site cannot be built since 2026-11-30 17:42 UTC, and its changes reach nobody: \
                 about.md:1:1: unknown key `titel` (2 mistakes; `tieup check` tells all)";
    let told = tieup(&world, &["status"]).says(0, &[]);
    assert_eq!(told.lines().next(), Some(alarm));
    let told = tieup(&world, &["status", "--format", "json"]).says(0, &[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[0]["alarms"][0], &told[1]["alarms"][0]), (&alarm.into(), &alarm.into()));
    world.hub().keep_build(None, later).unwrap();
    assert!(!tieup(&world, &["status"]).says(0, &[]).contains("ALARM"));
}
