//! Prompts: the operator is told once of each release that waits, by mail, webhook and command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiff::Timestamp;
use tieup_examples::interactive::PROMPTS;
use tieup_generator::{Patience, Watch};
use tieup_syncd::config::Config;
use tieup_syncd::control::{Answer, Command, ask};
use tieup_syncd::prompt::{Board, Notice, Others, Prompter, Retries, Stand, Subject, Ways};
use tieup_tests::hook::Receiver;
use tieup_tests::mailbox::{Mailbox, Offers};
use tieup_tests::{World, assert_says};
use tieup_web::listener::Shutdown;

use crate::settled;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The ways that `prompts`, the value of that key, describes, with `secret` and whatever else the caller wrote there.
fn ways(folder: &std::path::Path, prompts: &str) -> Ways {
    fs::write(folder.join("secret"), SECRET).unwrap();
    let file = folder.join("syncd.yaml");
    fs::write(&file, format!("state: s\npublic: a:1\npeer: b:1\nprompts: {prompts}\n")).unwrap();
    Config::load(&file).unwrap_or_else(|error| panic!("{error}")).prompts
}

fn test_notice() -> Notice {
    let (main, partner) = ("lampworks".parse().unwrap(), "north".parse().unwrap());
    Notice { main, partner, others: Others::None, subject: Subject::Test, link: None, time: Timestamp::now() }
}

/// Waits until every way stands so.
async fn wait_for(board: &Board, stands: impl Fn(&Stand) -> bool) {
    let mut ways = board.watch();
    let all = ways.wait_for(|ways| ways.values().all(|prompt| stands(&prompt.stand)));
    let found = tokio::time::timeout(Duration::from_secs(20), all).await.map(drop);
    found.unwrap_or_else(|_| panic!("it came otherwise: {:?}", board.all()));
}

/// Waits until the file has `lines` lines, and gives it.
async fn wait_for_lines(file: &std::path::Path, lines: usize) -> String {
    let (sender, mut changed) = tokio::sync::mpsc::channel(1);
    let folder = file.parent().unwrap();
    let _watch = Watch::start(
        &[folder],
        |_| true,
        Patience::Eager,
        move |_| {
            let _ = sender.try_send(());
        },
    );
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            if text.lines().count() >= lines {
                return text;
            }
            changed.recv().await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{} did not come to {lines} lines", file.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_18_the_operator_is_told_once_by_every_way_and_not_again_after_a_restart() {
    let mut world = settled().await;
    let (hook, mailbox) = (Receiver::start(0).await, Mailbox::start(Offers::Plain).await);
    let folder = world.partner("north").config_file.parent().unwrap().to_owned();
    fs::write(folder.join("secret"), SECRET).unwrap();
    let heard = folder.join("heard");
    fs::create_dir(&heard).unwrap();
    let lines = format!(
        "prompts:\n  mail: {{to: [Shop <shop@north.example>], from: syncd@north.example, server: '{}'}}\n  \
         webhook: {{url: '{}', secret: secret}}\n  command: [sh, -c, 'cat >> heard/it; echo \"$TIEUP_RELEASE\" >> heard/it']\n",
        mailbox.address,
        hook.url()
    );
    world.reconfigure("north", &lines).await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let mails = mailbox.wait(1).await;
    assert_eq!((&*mails[0].from, &*mails[0].to.concat()), ("syncd@north.example", "shop@north.example"));
    let console = world.daemon("north").front().console().unwrap().to_owned();
    let link = format!("{console}releases/2");
    let says = ["Subject: Release 2 from lampworks waits for your word", "text/plain", &link, "decides nothing"];
    assert_says(&mails[0].text, &says);
    let posted = hook.wait(1).await;
    assert!(posted[0].is_signed_by(SECRET) && !posted[0].is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let body = posted[0].json();
    assert_eq!((body["type"].as_str(), body["data"]["release"].as_u64()), (Some("release.waiting"), Some(2)));
    assert_eq!(body["data"]["link"].as_str(), Some(&*link));
    let spoken = wait_for_lines(&heard.join("it"), 2).await;
    assert_says(&spoken, &["Release 2 from lampworks waits for your word. 1 changed.", "Signature valid.", "\n2\n"]);

    // Whether the mail was noted is seen at the next start: what was not noted would be told again.
    wait_for(&world.daemon("north").front().board, |stand| matches!(stand, Stand::Told { .. })).await;
    let socket = world.partner("north").config.control_socket();
    let answer = tokio::task::spawn_blocking(move || ask(&socket, &Command::Status)).await.unwrap().unwrap();
    let Answer::Status { prompts, .. } = answer else { panic!("{answer:?}") };
    assert!(prompts.len() == 3 && prompts[1].stand.to_string().starts_with("told of release 2"), "{prompts:?}");
    world.restart("north").await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    let (mails, posted) = (mailbox.wait(2).await, hook.wait(2).await);
    assert_says(&mails[1].text, &["Subject: Release 3"]);
    assert_ne!(posted[0].header("webhook-id"), posted[1].header("webhook-id"));
    assert_says(&wait_for_lines(&heard.join("it"), 4).await, &["\n2\n", "\n3\n"]);
    assert_eq!((mailbox.mails().len(), hook.posted().len()), (2, 2), "release 2 was told of again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_lets_through_is_nothing_to_prompt_about() {
    let auto = tieup_tests::Contract::inherited().auto(r#"[{paths: "/**", only: text}]"#);
    let mut world = World::new().main_page("/about/", "We mend lamps.").contract("north", auto).start().await;
    world.go_live("north").await;
    let hook = Receiver::start(0).await;
    fs::write(world.partner("north").config_file.with_file_name("secret"), SECRET).unwrap();
    let lines = format!("prompts: {{webhook: {{url: '{}', secret: secret}}}}\n", hook.url());
    world.reconfigure("north", &lines).await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    world.edit("/about/", "[a link](/)");
    world.publish("north").await;
    let posted = hook.wait(1).await;
    assert_eq!(posted[0].json()["data"]["release"].as_u64(), Some(3), "{posted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_tried_again_with_the_same_id() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let folder = tempfile::tempdir().unwrap();
    let hook = Receiver::start(2).await;
    let ways = ways(folder.path(), &format!("{{webhook: {{url: '{}', secret: secret}}}}", hook.url()));
    let parties = ("lampworks".parse().unwrap(), "north".parse().unwrap());
    let retries = Retries(vec![Duration::ZERO; 2]);
    let prompter = Prompter::open(parties, None, &ways, folder.path(), retries).unwrap();
    let (board, shutdown) = (prompter.board(), Shutdown::new());
    let tasks = prompter.start(&world.daemon("north").publisher().watch(), &shutdown);
    let posted = hook.wait(3).await;
    let ids: Vec<&str> = posted.iter().map(|posted| posted.header("webhook-id")).collect();
    assert_eq!((ids[0], ids[1]), (ids[1], ids[2]));
    assert!(posted.iter().all(|posted| posted.is_signed_by(SECRET)));
    wait_for(&board, |stand| matches!(stand, Stand::Told { .. })).await;
    shutdown.begin();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(hook.posted().len(), 3, "told again after it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_succeeds_is_given_up_and_said() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let folder = tempfile::tempdir().unwrap();
    let ways = ways(folder.path(), "{command: [sh, -c, 'echo no loudspeaker >&2; exit 3']}");
    let parties = ("lampworks".parse().unwrap(), "north".parse().unwrap());
    let prompter = Prompter::open(parties, None, &ways, folder.path(), Retries(vec![Duration::ZERO])).unwrap();
    let (board, shutdown) = (prompter.board(), Shutdown::new());
    let tasks = prompter.start(&world.daemon("north").publisher().watch(), &shutdown);
    wait_for(&board, |stand| matches!(stand, Stand::GivenUp { .. })).await;
    let says = ["FAILED to tell of release 2", "exit status: 3", "no loudspeaker"];
    assert_says(&board.all()[0].stand.to_string(), &says);
    shutdown.begin();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_prompts_in_the_demo_is_spoken_where_there_is_a_voice_and_written_down_in_any_case() {
    let folder = tempfile::tempdir().unwrap();
    let (voice, heard) = (folder.path().join("voice"), folder.path().join("heard.txt"));
    fs::write(&voice, "#!/bin/sh\n[ \"$*\" = --stdin ] && exec cat > heard.txt\n").unwrap();
    fs::set_permissions(&voice, fs::Permissions::from_mode(0o755)).unwrap();
    let notice = test_notice();
    for (voice, times) in [("./none", 1), ("./voice", 2)] {
        assert!(!heard.exists(), "nothing speaks yet");
        let ways = ways(folder.path(), &PROMPTS.replace("espeak-ng", voice));
        ways.all().next().unwrap().tell(&notice).await.unwrap_or_else(|error| panic!("{error:?}"));
        let written = fs::read_to_string(folder.path().join("spoken.txt")).unwrap();
        assert_eq!(written.matches("This is a test.").count(), times, "{written}");
    }
    let (written, heard) = (fs::read(folder.path().join("spoken.txt")).unwrap(), fs::read(heard).unwrap());
    assert!(!heard.is_empty());
    assert_eq!(written, heard.repeat(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_starttls_with_a_login_and_never_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::start(Offers::Starttls).await;
    fs::write(folder.path().join("pass"), "open sesame\n").unwrap();
    fs::write(folder.path().join("ca.pem"), &mailbox.certificate).unwrap();
    let mail = |more: &str, port: u16| {
        let from = "to: [a@north.example, b@north.example], from: c@north.example";
        format!("{{mail: {{{from}, server: 'localhost:{port}', security: starttls, user: u, password: pass{more}}}}}")
    };
    let trusting = ways(folder.path(), &mail(", trust: ca.pem", mailbox.address.port()));
    trusting.all().next().unwrap().tell(&test_notice()).await.unwrap_or_else(|error| panic!("{error:?}"));
    let mails = mailbox.wait(1).await;
    assert_eq!((mails[0].over_tls, mails[0].login.as_deref()), (true, Some("u:open sesame")));
    assert_eq!(mails[0].to, ["a@north.example", "b@north.example"]);
    let strange = ways(folder.path(), &mail("", mailbox.address.port()));
    assert!(strange.all().next().unwrap().tell(&test_notice()).await.is_err(), "an unknown authority was trusted");
    let plain = Mailbox::start(Offers::Plain).await;
    let stripped = ways(folder.path(), &mail(", trust: ca.pem", plain.address.port()));
    assert!(stripped.all().next().unwrap().tell(&test_notice()).await.is_err(), "sent without TLS");
    assert_eq!((mailbox.mails().len(), plain.mails().len()), (1, 0));
}
