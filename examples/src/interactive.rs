//! The loop with a person in it: the demo stays up, publishes every save, and asks about each release.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tieup_generator::Watch;
use tieup_hub::cli::describe;
use tieup_hub::publish::{Outcome, Rejected};
use tieup_web::complaint;
use tieup_web::listener::told_to_end;
use tokio::io::{AsyncBufReadExt as _, BufReader, Stdin};
use tokio::sync::mpsc;

use crate::deployment::{Deployment, RunningPartner};
use crate::smoke::{Cast, Sources, approve_waiting, current_month};

/// How often journals are fetched and statements made while the demo is up.
const COLLECT_INTERVAL: Duration = Duration::from_secs(10);

/// Sets everything up in `root`, and stays until Ctrl-C.
///
/// # Errors
/// When a part cannot be set up.
pub async fn run(root: &Path) -> Result<()> {
    let (sources, cast) = (Sources::of_repository(), Cast::new()?);
    let mut deployment = Deployment::start(root, &cast.main, &sources.site(&cast.main), &sources.themes).await?;
    for partner in [&cast.shop, &cast.region] {
        deployment.add_partner(partner, &sources.site(partner)).await?;
        println!("{partner} joined; both ends show the code {}", deployment.partner(partner)?.compare_code);
    }
    publish(&deployment).await;
    // The region's operator lets the first release through here, so that its rule can show itself afterwards.
    approve_waiting(deployment.partner(&cast.region)?)?;
    explain(&deployment, &cast)?;
    let result = attend(&deployment, &cast).await;
    deployment.stop().await;
    result
}

/// Publishes saves, answers keys, and collects journals, until Ctrl-C.
async fn attend(deployment: &Deployment, cast: &Cast) -> Result<()> {
    let (sender, mut saves) = mpsc::channel(1);
    let config = &deployment.hub.config;
    let _watch = Watch::start(&[&config.site, &config.themes], &config.state, move || {
        // A full channel already holds a message that will cover this change too.
        let _ = sender.try_send(());
    })?;
    let mut keys = Some(BufReader::new(tokio::io::stdin()).lines());
    let mut collecting = tokio::time::interval(COLLECT_INTERVAL);
    // One future for all rounds: a signal that comes while something is published is not lost.
    let mut ended = pin!(told_to_end());
    loop {
        tokio::select! {
            ended = ended.as_mut() => return Ok(ended?),
            Some(()) = saves.recv() => publish(deployment).await,
            line = next_line(&mut keys) => match line {
                Some(line) => press(deployment, cast, line.trim()).await,
                None => keys = None,
            },
            _ = collecting.tick() => collect(deployment).await,
        }
    }
}

/// The next line from the keyboard; `None` once when it is closed, and then never again.
async fn next_line(keys: &mut Option<tokio::io::Lines<BufReader<Stdin>>>) -> Option<String> {
    match keys {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

async fn publish(deployment: &Deployment) {
    if let Err(error) = try_publish(deployment).await {
        print!("{}", complaint::render(error.as_ref()));
    }
}

async fn try_publish(deployment: &Deployment) -> Result<()> {
    let site = tokio::task::block_in_place(|| deployment.site())?;
    tokio::task::block_in_place(|| deployment.server.show(&site))?;
    for (partner, outcome) in deployment.hub.publish(&site, &[], Rejected::Skip).await? {
        match outcome {
            Ok(Outcome::Unchanged(_)) => {}
            Ok(outcome) => {
                println!("  published to {partner}: {}", describe(&outcome));
                show_waiting(deployment.partner(&partner)?);
            }
            Err(error) => print!("{}", complaint::render(&error)),
        }
    }
    Ok(())
}

fn show_waiting(partner: &RunningPartner) {
    if let Ok(waiting) = partner.daemon.partner().publisher().staged() {
        println!("\n  {}.", waiting.sentence);
        println!("  Press a to approve, r to refuse, d to see the difference; then Enter.");
    }
}

async fn press(deployment: &Deployment, cast: &Cast, key: &str) {
    let shop = match deployment.partner(&cast.shop) {
        Ok(shop) => shop,
        Err(error) => return println!("{error}"),
    };
    let result = match key {
        "a" => tokio::task::block_in_place(|| approve_waiting(shop))
            .map(|release| format!("release {} is live", release.version)),
        "r" => refuse(shop),
        "d" => tokio::task::block_in_place(|| Ok(shop.daemon.partner().publisher().diff(None)?)),
        "b" => tokio::task::block_in_place(|| {
            let release = shop.daemon.partner().publisher().roll_back(None, Timestamp::now())?;
            Ok(format!("release {} is live again", release.version))
        }),
        "s" => statements(deployment).await,
        _ => Ok("keys: a approve, r refuse, d difference, b roll back, s statements; Ctrl-C ends".to_owned()),
    };
    match result {
        Ok(told) => println!("  {told}"),
        Err(error) => print!("{}", complaint::render(error.as_ref())),
    }
}

fn refuse(partner: &RunningPartner) -> Result<String> {
    let mut publisher = partner.daemon.partner().publisher();
    let waiting = publisher.staged()?;
    publisher.reject(waiting.version, waiting.manifest, "refused in the demo".to_owned(), Timestamp::now())?;
    Ok(format!("release {} is refused; the public site is as it was", waiting.version))
}

async fn collect(deployment: &Deployment) {
    for id in deployment.partners.keys() {
        let collected = async { anyhow::Ok(deployment.hub.collect(&deployment.hub.partner(id).await?).await?) };
        match collected.await {
            Ok(months) => {
                for month in months.iter().filter(|month| month.added > 0) {
                    println!(
                        "  journal of {id}: {} new entries verified and cosigned, {} in all",
                        month.added, month.size
                    );
                }
            }
            Err(error) => print!("{}", complaint::render(error.as_ref())),
        }
    }
}

async fn statements(deployment: &Deployment) -> Result<String> {
    let mut text = String::new();
    for (id, partner) in &deployment.partners {
        let row = deployment.hub.partner(id).await?;
        deployment.hub.collect(&row).await?;
        let delivered = deployment.hub.statement(&row, current_month(partner)?, Timestamp::now()).await?;
        text.push_str(&delivered.statement.text);
        text.push_str(&tieup_syncd::cli::describe(&delivered.verdict));
        text.push_str("\n\n");
    }
    Ok(text)
}

fn explain(deployment: &Deployment, cast: &Cast) -> Result<()> {
    let (shop, region) = (deployment.partner(&cast.shop)?, deployment.partner(&cast.region)?);
    let site = &deployment.hub.config.site;
    println!("\nOpen");
    println!("  http://{}/   {}, the main site", deployment.public, cast.main);
    println!("  http://{}/   {}, once you have approved its first release", shop.public, cast.shop);
    println!("  http://{}/   {}, live", region.public, cast.region);
    println!("Try");
    println!("  a, Enter                    approve what waits at {}", cast.shop);
    println!("  edit {}", site.join("content/company/repair.md").display());
    println!("                              and watch it arrive, then approve it (a) or roll it back (b)");
    println!("  edit words in {}", deployment.hub.config.themes.join("storefront/templates/base.html").display());
    println!("                              and watch it go live at {} by rule", cast.region);
    println!("  s, Enter                    fetch the journals and make both statements");
    println!("  the operator's own command, in another terminal:");
    println!("  cargo syncd --config {} status", shop.config_file.display());
    println!("Ctrl-C ends the demo and removes its folder.");
    Ok(())
}
