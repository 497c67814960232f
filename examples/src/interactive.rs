//! The loop with a person in it: the demo stays up, publishes every save, and asks about each release.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tieup_generator::{self as generator, Patience, Watch};
use tieup_hub::cli::describe;
use tieup_hub::publish::{Outcome, PublishError, Rejected};
use tieup_protocol::ids::SiteId;
use tieup_web::complaint;
use tieup_web::listener::told_to_end;
use tieup_web::terminal::{Unheard, try_say};
use tokio::io::{AsyncBufReadExt as _, BufReader, Stdin};
use tokio::sync::mpsc;

use crate::deployment::{Deployment, RunningPartner};
use crate::smoke::{Cast, Sources, approve_waiting, current_month};

/// How often journals are fetched and statements made while the demo is up.
const COLLECT_INTERVAL: Duration = Duration::from_secs(10);

/// The most lines of a difference that are shown.
const MOST_LINES: usize = 40;

/// How operators are prompted: it is spoken where `espeak-ng` is installed, and written down in any case. An operator who
/// only listens writes `{command: [espeak-ng, --stdin]}`.
pub const PROMPTS: &str =
    "{command: [sh, -c, 'tee -a spoken.txt | { espeak-ng --stdin 2> /dev/null || cat > /dev/null; }']}";

/// By what visits to tie-up pages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// The partner's journal alone.
    Journal,
    /// Beacons that the main site counts, too.
    Beacons,
}

/// Sets everything up in `root`, and stays until Ctrl-C.
///
/// # Errors
/// When a part cannot be set up.
pub async fn run(root: &Path, counting: Counting) -> Result<()> {
    let (sources, cast) = (Sources::of_repository(), Cast::new()?);
    let mut deployment = Deployment::start(root, &cast.main, &sources.site(&cast.main), &sources.themes).await?;
    deployment.prompts = Some(PROMPTS.to_owned());
    for partner in [&cast.shop, &cast.region] {
        deployment.add_partner(partner, &sources.site(partner)).await?;
    }
    if counting == Counting::Beacons {
        deployment.ask_for_beacons(&cast.shop)?;
    }
    let result = play(&deployment, &cast).await;
    deployment.stop().await;
    result
}

/// The first release of each partner, then whatever the person does.
async fn play(deployment: &Deployment, cast: &Cast) -> Result<()> {
    for (partner, running) in &deployment.partners {
        line(&format!("{partner} joined; both ends show the code {}", running.compare_code))?;
    }
    publish(deployment, cast).await?;
    // The region's operator lets the first release through here, so that its rule can show itself afterwards.
    approve_waiting(deployment.partner(&cast.region)?)?;
    explain(deployment, cast)?;
    attend(deployment, cast).await
}

/// Publishes saves, answers keys, and collects journals, until Ctrl-C.
async fn attend(deployment: &Deployment, cast: &Cast) -> Result<()> {
    let (sender, mut saves) = mpsc::channel(1);
    let config = &deployment.hub.config;
    let sources = generator::Sources::new(&config.site, &config.themes);
    let folders = [config.site.as_path(), &config.themes];
    let _watch = Watch::start(
        &folders,
        move |file| sources.has(file),
        Patience::Whole,
        move |_| {
            // A full channel already holds a message that will cover this change too.
            let _ = sender.try_send(());
        },
    )?;
    let mut keys = Some(BufReader::new(tokio::io::stdin()).lines());
    let mut collecting = tokio::time::interval(COLLECT_INTERVAL);
    // One future for all rounds: a signal that comes while something is published is not lost.
    let mut ended = pin!(told_to_end());
    loop {
        tokio::select! {
            ended = ended.as_mut() => return Ok(ended?),
            Some(()) = saves.recv() => publish(deployment, cast).await?,
            line = next_line(&mut keys) => match line {
                Some(line) => press(deployment, cast, line.trim()).await?,
                None => keys = None,
            },
            _ = collecting.tick() => collect(deployment).await?,
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

/// Says a line; the demo ends where nobody hears it.
fn line(text: &str) -> Result<(), Unheard> {
    try_say(&format!("{text}\n"))
}

fn complain(error: &anyhow::Error) -> Result<(), Unheard> {
    try_say(&complaint::render(error.as_ref()))
}

async fn publish(deployment: &Deployment, cast: &Cast) -> Result<(), Unheard> {
    let outcomes = match try_publish(deployment).await {
        Ok(outcomes) => outcomes,
        Err(error) => return complain(&error),
    };
    for (partner, outcome) in outcomes {
        match outcome {
            Ok(Outcome::Unchanged(_)) => {}
            Ok(outcome) => line(&format!("  published to {partner}: {}", describe(&outcome)))?,
            Err(error) => try_say(&complaint::render(&error))?,
        }
    }
    show_waiting(deployment, cast)
}

/// What became of publishing to each partner. A mistake in the site is an error once, not once a partner.
async fn try_publish(deployment: &Deployment) -> Result<Vec<(SiteId, Result<Outcome, PublishError>)>> {
    let site = tokio::task::block_in_place(|| deployment.site())?;
    tokio::task::block_in_place(|| deployment.show(&site))?;
    let mut outcomes = deployment.hub.publish(&site, &[], Rejected::Skip).await?;
    let mistake = outcomes.iter().position(|(_, outcome)| matches!(outcome, Err(PublishError::Site(_))));
    if let Some((_, Err(error))) = mistake.map(|at| outcomes.swap_remove(at)) {
        return Err(error.into());
    }
    Ok(outcomes)
}

/// Shows what waits at each partner, and the keys where they decide.
fn show_waiting(deployment: &Deployment, cast: &Cast) -> Result<(), Unheard> {
    for (id, partner) in &deployment.partners {
        if let Ok(waiting) = partner.daemon.partner().publisher().staged() {
            line(&format!("\n  {id}: {}.", waiting.sentence))?;
            if *id == cast.shop {
                line("  Press a to approve, r to refuse, d to see the difference; then Enter.")?;
            }
        }
    }
    Ok(())
}

async fn press(deployment: &Deployment, cast: &Cast, key: &str) -> Result<(), Unheard> {
    match act(deployment, cast, key).await {
        Ok(told) => line(&format!("  {told}")),
        Err(error) => complain(&error),
    }
}

async fn act(deployment: &Deployment, cast: &Cast, key: &str) -> Result<String> {
    let shop = deployment.partner(&cast.shop)?;
    match key {
        "a" => tokio::task::block_in_place(|| approve_waiting(shop))
            .map(|release| format!("{}: release {} is live", cast.shop, release.version)),
        "r" => tokio::task::block_in_place(|| refuse(shop)),
        "d" => tokio::task::block_in_place(|| difference(shop)),
        "b" => tokio::task::block_in_place(|| {
            let release = shop.daemon.partner().publisher().roll_back(None, Timestamp::now())?;
            Ok(format!("{}: release {} is live again", cast.shop, release.version))
        }),
        "s" => statements(deployment).await,
        _ => Ok(format!(
            "keys, for {}: a approve, r refuse, d difference, b roll back; s statements of all; Ctrl-C ends",
            cast.shop
        )),
    }
}

/// The beginning of what the waiting release would change, and how to see the rest.
fn difference(partner: &RunningPartner) -> Result<String> {
    let text = partner.daemon.partner().publisher().diff(None)?;
    let all = text.lines().count();
    if all <= MOST_LINES {
        return Ok(text);
    }
    let shown: Vec<&str> = text.lines().take(MOST_LINES).collect();
    let command = format!("cargo syncd --config {} diff", partner.config_file.display());
    Ok(format!("{}\n  ... {MOST_LINES} of {all} lines; all of them: {command}", shown.join("\n")))
}

fn refuse(partner: &RunningPartner) -> Result<String> {
    let mut publisher = partner.daemon.partner().publisher();
    let waiting = publisher.staged()?;
    publisher.reject(waiting.version, waiting.manifest, "refused in the demo".to_owned(), Timestamp::now())?;
    Ok(format!("release {} is refused; the public site is as it was", waiting.version))
}

async fn collect(deployment: &Deployment) -> Result<(), Unheard> {
    for id in deployment.partners.keys() {
        let collected = async { anyhow::Ok(deployment.hub.collect(&deployment.hub.partner(id).await?).await?) };
        match collected.await {
            Ok(months) => {
                for month in months.iter().filter(|month| month.added > 0) {
                    let (added, size) = (month.added, month.size);
                    line(&format!("  journal of {id}: {added} new entries verified and cosigned, {size} in all"))?;
                }
            }
            Err(error) => complain(&error)?,
        }
    }
    Ok(())
}

async fn statements(deployment: &Deployment) -> Result<String> {
    let mut text = String::new();
    for (id, partner) in &deployment.partners {
        let row = deployment.hub.partner(id).await?;
        deployment.hub.collect(&row).await?;
        let delivered = deployment.hub.statement(&row, current_month(partner)?, Timestamp::now()).await?;
        text.push_str(&delivered.notice.statement);
        text.push_str(&tieup_syncd::cli::describe(&delivered.verdict));
        text.push_str("\n\n");
    }
    Ok(text)
}

fn explain(deployment: &Deployment, cast: &Cast) -> Result<()> {
    let (shop, region) = (deployment.partner(&cast.shop)?, deployment.partner(&cast.region)?);
    let config = &deployment.hub.config;
    let (main_at, shop_at, region_at) = (deployment.public, shop.public, region.public);
    let (main, shop_name, region_name) = (&cast.main, &cast.shop, &cast.region);
    let page = config.site.join("content/company/repair.md").display().to_string();
    let template = config.themes.join("storefront/templates/base.html").display().to_string();
    let daemon = shop.config_file.display();
    let front = shop.daemon.partner().front();
    let console = front.sign_in_link(Timestamp::now())?;
    let preview = front.preview().unwrap_or_default();
    let spoken = shop.config_file.with_file_name("spoken.txt").display().to_string();
    line(&format!(
        "
Open
  http://{main_at}/   {main}, the main site
  http://{shop_at}/   {shop_name}, once you have approved its first release
  http://{region_at}/   {region_name}, live
  {preview}   as {shop_name} would be with the release that waits
  {console}
                              the console of {shop_name}: read, see and decide there; the link works once
Try
  a, Enter                    approve what waits at {shop_name}
  edit {page}
                              and watch it arrive, then approve it (a) or roll it back (b)
  edit words in {template}
                              and watch it go live at {region_name} by rule
  read {spoken}
                              what its operator is told of each release that waits; you hear it with espeak-ng installed
  s, Enter                    fetch the journals and make both statements
  the operator's own command, in another terminal:
  cargo syncd --config {daemon} status
Ctrl-C ends the demo and removes its folder."
    ))?;
    Ok(())
}
