//! Answers to strikes and disputes that the other side did not hear: told again by themselves, or dropped where it knows
//! nothing of what they answer any more.

use std::path::Path;

use jiff::Timestamp;
use tieup_hub::strikes::StrikeError;
use tieup_protocol::audit::Event;
use tieup_protocol::dispute::Decision;
use tieup_protocol::strike::{KeptStrike, Party, Strike, StrikeAnswer, StrikeRefused, TELLING, Untaken};
use tieup_syncd::identity::Identity;
use tieup_syncd::strikes::StrikeError as Refused;
use tieup_tests::issuing::{issue, row};
use tieup_tests::{World, assert_says, told};

use crate::strikes::{main_strikes, mains, numbers, visited};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_main_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    let north = row(&world, "north").await;
    let proposed = world.hub().propose_strike(&north, month, (&numbers("2"), "x"), Timestamp::now()).await.unwrap();
    let name = proposed.digest().to_string();
    let kept = std::fs::read(world.state("north").join("identity.json")).unwrap();
    // Where nobody answers.
    let nowhere = |state: &Path| {
        let identity = Identity { hub: Some("127.0.0.1:1".to_owned()), ..Identity::load(state).unwrap() };
        std::fs::write(state.join("identity.json"), serde_json::to_vec(&identity).unwrap()).unwrap();
    };
    Box::pin(world.restart_after("north", nowhere)).await;
    let words = (Decision::Accepted, "as you say");
    let error = world.daemon("north").answer_strike(&name, words, Timestamp::now()).await.unwrap_err();
    assert!(matches!(error, Refused::Call(_)), "{error}");
    assert!(world.daemon("north").tell_answers(&mut Untaken::default(), Timestamp::now()).await.is_err());
    assert!(!mains(&world).await[0].is_agreed());
    let back = |state: &Path| std::fs::write(state.join("identity.json"), kept).unwrap();
    Box::pin(world.restart_after("north", back)).await;
    let untold = world.daemon("north").strikes().unwrap();
    for _ in 0..2 {
        world.daemon("north").tell_answers(&mut Untaken::default(), Timestamp::now()).await.unwrap();
        let (here, there) = (world.daemon("north").strikes().unwrap(), mains(&world).await);
        assert!(there[0].takes_effect() && here[0].takes_effect() && here[0].answer == untold[0].answer);
    }
    let trail = world.hub().own_trail().unwrap();
    assert_eq!(trail.iter().filter(|entry| entry.what == Event::StrikeAnswered).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_partner_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    let proposed = world.daemon("north").propose_strike(month, (&numbers("0"), "x"), Timestamp::now()).await.unwrap();
    let asked = ("our own test", Some(&numbers("1")));
    world.daemon("north").dispute_striking(month, asked, Timestamp::now()).await.unwrap();
    let name = proposed.strike.digest().to_string();
    let halted = world.halt("north").await;
    let accepted = (Decision::Accepted, "as you say");
    let error = world.hub().answer_strike(&north, &name, accepted, Timestamp::now()).await.unwrap_err();
    assert!(matches!(error, StrikeError::Call(_)), "{error}");
    assert!(world.hub().rule(&north, month, accepted, Timestamp::now()).await.is_err());
    assert!(world.hub().tell_answers(&north, &mut Untaken::default(), Timestamp::now()).await.is_err());
    assert!(mains(&world).await.iter().all(|kept| kept.is_agreed() && !kept.takes_effect()));
    Box::pin(world.resume(halted)).await;
    assert!(!world.daemon("north").strikes().unwrap()[0].is_agreed());
    for _ in 0..2 {
        world
            .hub()
            .tell_answers(&north, &mut Untaken::default(), Timestamp::now())
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        let (mut here, mut there) = (world.daemon("north").strikes().unwrap(), mains(&world).await);
        assert!(there.len() == 2 && there.iter().chain(&here).all(KeptStrike::takes_effect), "{there:?} {here:?}");
        let by_digest = |kept: &KeptStrike| kept.strike.digest();
        here.sort_by_key(by_digest);
        there.sort_by_key(by_digest);
        assert!(here.iter().zip(&there).all(|(here, there)| here.answer == there.answer));
    }
    let trail = world.daemon("north").publisher().audit_entries().unwrap();
    let answers = [Event::StrikeAnswered, Event::DisputeAnswered];
    assert_eq!(answers.map(|what| trail.iter().filter(|entry| entry.what == what).count()), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_proposal_that_was_replaced_is_dropped_and_the_new_one_waits() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let file = world.state("north").join("statements/strikes.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (entries, by) in [("0", Party::Main), ("1", Party::Partner)] {
        // Both have kept it from before, one has answered it, and the other has not heard that.
        let (log, words, reason) = (format!("lampworks/north/{month}"), numbers(entries), "x".to_owned());
        let strike =
            Strike { month, log, checkpoint: None, entries: words.clone(), reason: reason.clone(), by, proposed: now };
        let stale = KeptStrike::proposed(strike);
        let strike = stale.strike.digest();
        let answer = StrikeAnswer { strike, decision: Decision::Accepted, answer: "yes".to_owned(), decided: now };
        let answered = KeptStrike { answer: Some(answer), ..stale.clone() };
        let (here, there) = if by == Party::Main { (&answered, &stale) } else { (&stale, &answered) };
        assert!(world.hub().database.change_strike(&north.id, None, there).await.unwrap());
        let known = [daemon.strikes().unwrap(), vec![here.clone()]].concat();
        std::fs::write(&file, serde_json::to_vec(&known).unwrap()).unwrap();
        // The other renews its proposal. The answer to the first finds nothing there.
        let mut untaken = Untaken::default();
        match by {
            Party::Main => {
                world.hub().propose_strike(&north, month, (&words, &reason), now).await.unwrap();
                daemon.tell_answers(&mut untaken, now).await.unwrap();
            }
            Party::Partner => {
                daemon.propose_strike(month, (&words, &reason), now).await.unwrap();
                let told = world.hub().tell_answers(&north, &mut untaken, now).await;
                told.unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let of = |known: Vec<KeptStrike>| known.into_iter().filter(|kept| kept.strike.entries == words).collect();
        let (here, there): (Vec<_>, Vec<_>) = (of(daemon.strikes().unwrap()), of(mains(&world).await));
        assert_eq!(here, there);
        assert!(matches!(here.as_slice(), [kept] if kept.answer.is_none()), "{here:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_dropped_is_told_once_in_the_trail() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let yes = (Decision::Accepted, "yes");
    // Main has lost its proposal, and the operator's answer is told twice at once.
    let by_main = world.hub().propose_strike(&north, month, (&numbers("0"), "x"), now).await.unwrap();
    world.hub().database.drop_strike(&north.id, &KeptStrike::proposed(by_main.clone())).await.unwrap();
    let name = by_main.digest().to_string();
    let (one, other) = tokio::join!(daemon.answer_strike(&name, yes, now), daemon.answer_strike(&name, yes, now));
    // Whoever comes when it was dropped already finds no strike of that name.
    let errors = [one.unwrap_err(), other.unwrap_err()];
    let is_gone =
        |error: &Refused| matches!(error, Refused::Withdrawn(_) | Refused::Refused(StrikeRefused::Unknown(_)));
    assert!(
        errors.iter().all(is_gone) && errors.iter().any(|error| matches!(error, Refused::Withdrawn(_))),
        "{errors:?}"
    );
    assert!(daemon.strikes().unwrap().is_empty());
    let trail = daemon.publisher().audit_entries().unwrap();
    let told = trail.iter().filter_map(|entry| entry.reason.as_ref());
    assert_eq!(told.filter(|reason| reason.contains("the answer is dropped")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_dispute_that_the_partner_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    world.daemon("north").dispute(month, "too much", Timestamp::now()).await.unwrap();
    let halted = world.halt("north").await;
    let words = (Decision::Rejected, "it is what you have signed");
    assert!(world.hub().rule(&north, month, words, Timestamp::now()).await.is_err());
    Box::pin(world.resume(halted)).await;
    let answered = |world: &World| world.daemon("north").disputed(month).unwrap().unwrap().ruling;
    assert_eq!(answered(&world), None);
    // What was told in vain waits until it is due; what was told is not told again.
    let (mut untaken, now) = (Untaken::default(), Timestamp::now());
    let statement = world.daemon("north").disputed(month).unwrap().unwrap().claim.statement;
    untaken.told(statement, now);
    world.hub().tell_answers(&north, &mut untaken, now).await.unwrap();
    assert_eq!(answered(&world), None);
    world.hub().tell_answers(&north, &mut untaken, now + TELLING).await.unwrap();
    assert_eq!(answered(&world).map(|ruling| ruling.answer).as_deref(), Some(words.1));
    let disputes = world.hub().database.disputes_of(&north.id).await.unwrap();
    assert!(disputes[0].untold().is_none(), "{disputes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_effect_is_not_dropped_where_the_other_side_has_lost_it() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let by_main = main_strikes(&world, month, "1", Decision::Accepted).await.to_string();
    let proposed = daemon.propose_strike(month, (&numbers("2"), "x"), now).await.unwrap();
    let by_partner = proposed.strike.digest().to_string();
    let accepted = (Decision::Accepted, "as you say");
    world.hub().answer_strike(&north, &by_partner, accepted, now).await.unwrap();
    let (here, there) = (daemon.strikes().unwrap(), mains(&world).await);
    assert!(there.len() == 2 && there.iter().all(KeptStrike::takes_effect));
    // The partner has lost its state, and the operators give their answers once more.
    let file = world.state("north").join("statements/strikes.json");
    std::fs::remove_file(&file).unwrap();
    let error = world.hub().answer_strike(&north, &by_partner, accepted, now).await.unwrap_err();
    assert!(matches!(error, StrikeError::Call(_)), "{error}");
    assert_eq!(mains(&world).await, there);
    // And so has main.
    std::fs::write(&file, serde_json::to_vec(&here).unwrap()).unwrap();
    for kept in &there {
        world.hub().database.drop_strike(&north.id, kept).await.unwrap();
    }
    let error = daemon.answer_strike(&by_main, accepted, now).await.unwrap_err();
    assert!(matches!(error, Refused::Call(_)), "{error}");
    assert_eq!(daemon.strikes().unwrap(), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_dispute_that_the_partner_has_lost_is_not_told_for_ever() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    world.daemon("north").dispute(month, "too much", Timestamp::now()).await.unwrap();
    let halted = world.halt("north").await;
    assert!(world.hub().rule(&north, month, (Decision::Rejected, "no"), Timestamp::now()).await.is_err());
    std::fs::remove_file(halted.config.state.join(format!("statements/{month}.dispute.json"))).unwrap();
    Box::pin(world.resume(halted)).await;
    let mut untaken = Untaken::default();
    // The claim is there, and is enough: main's answer to that may have been lost alone.
    let claim = world.state("north").join(format!("statements/{month}.claim.json"));
    world.hub().tell_answers(&north, &mut untaken, Timestamp::now()).await.unwrap();
    let known = world.daemon("north").disputed(month).unwrap().unwrap();
    assert_eq!(known.ruling.map(|ruling| ruling.answer).as_deref(), Some("no"));
    // Neither is.
    std::fs::remove_file(&claim).unwrap();
    std::fs::remove_file(world.state("north").join(format!("statements/{month}.dispute.json"))).unwrap();
    let error = world.hub().rule(&north, month, (Decision::Rejected, "no"), Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["has lost what it knew of its dispute"]);
    let disputes = world.hub().database.disputes_of(&north.id).await.unwrap();
    assert!(disputes[0].untold().is_none(), "{disputes:?}");
}
