//! `tieup log count`: what was fetched is counted, together with every other process that counts.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tieup_fees::Ungoverned;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_web::listener::Shutdown;
use tieup_web::{say, terminal};

use super::logs::{chosen, meant};
use super::progress::Watched;
use crate::counting::{Counted, Scope};
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// How long those that others are counting are waited for before it is looked again whether they still do.
const REST: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(super) struct CountArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11; else every month that was fetched.
    #[arg(long)]
    month: Option<Month>,
}

/// Counts until nothing is left to count. What another process counts is waited for, and taken over should that die.
pub(super) async fn count(hub: &Hub, arguments: &CountArguments) -> anyhow::Result<()> {
    let mut failed = plan(hub, arguments).await?;
    let scope = Scope { partner: arguments.partner.clone(), month: arguments.month };
    let (mut days, mut entries) = (0_u64, 0_u64);
    let watched = Watched::begin(hub);
    loop {
        let left = hub
            .share_counting(&scope, &Shutdown::new(), &mut |counted| {
                (days, entries) = (days + 1, entries + counted.entries);
                watched.say(|| tell(&counted));
            })
            .await?;
        if left.with_others == 0 {
            for (day, error) in &left.failed {
                failed += 1;
                eprintln!("{} {}:", day.partner, day.day);
                terminal::complain(error);
            }
            break;
        }
        tokio::time::sleep(REST).await;
    }
    drop(watched);
    if failed > 0 {
        bail!("{} not counted", terminal::counted(failed, "journal was", "journals were"));
    }
    say!("All is counted: {entries} entries of {days} days here.");
    Ok(())
}

/// Plans what is meant, and gives how much of it failed.
async fn plan(hub: &Hub, arguments: &CountArguments) -> anyhow::Result<usize> {
    let mut failed = 0;
    for partner in meant(hub, arguments.partner.as_ref()).await? {
        for month in chosen(&hub.mirrors(&partner), arguments.month)? {
            match hub.plan_counting(&partner, month).await {
                // Nothing is charged by it yet.
                Ok(())
                | Err(StatementFailure::Ungoverned(Ungoverned::NoContract) | StatementFailure::NotCollected(_)) => {}
                Err(error) => {
                    failed += 1;
                    eprintln!("{} {month}:", partner.id);
                    terminal::complain(&error);
                }
            }
        }
    }
    Ok(failed)
}

fn tell(Counted { day, entries }: &Counted) {
    say!("{} {}: {entries} entries were counted", day.partner, day.day);
}
