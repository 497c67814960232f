//! `tieup log rollups`: the counts that are kept of fetched journals, compared with the journals.

use anyhow::bail;
use clap::Args;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use super::logs::{chosen, meant};
use super::progress::Watched;
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::rollups::Standing;
use crate::statements::StatementFailure;

#[derive(Args)]
pub(super) struct RollupsArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11; else every month that was fetched.
    #[arg(long)]
    month: Option<Month>,
}

/// Counts anew what was fetched, and compares. What differs is replaced, and is a failure: somebody should know.
pub(super) async fn rollups(hub: &Hub, arguments: &RollupsArguments) -> anyhow::Result<()> {
    let (mut failed, watched) = (0, Watched::begin(hub));
    for partner in meant(hub, arguments.partner.as_ref()).await? {
        for month in chosen(&hub.mirrors(&partner), arguments.month)? {
            match verify(hub, &watched, &partner, month).await {
                Ok(differ) => failed += differ,
                Err(error) => {
                    failed += 1;
                    watched.say(|| {
                        eprintln!("{} {month}:", partner.id);
                        terminal::complain(&error);
                    });
                }
            }
        }
    }
    drop(watched);
    if failed > 0 {
        bail!(counted(failed, "rollup was not as its journal", "rollups were not as their journals"));
    }
    Ok(())
}

/// Verifies the counts of each period of a month, and returns how many differ.
async fn verify(hub: &Hub, watched: &Watched, partner: &PartnerRow, month: Month) -> Result<usize, StatementFailure> {
    let mut differ = 0;
    for period in hub.periods(partner, month).await? {
        let standing = hub.verify_rollup(partner, period).await?;
        differ += usize::from(matches!(standing, Standing::Differs(_)));
        watched.say(|| say!("{} {period}: {}", partner.id, sentence(standing)));
    }
    Ok(differ)
}

fn sentence(standing: Standing) -> String {
    match standing {
        Standing::Agrees(size) => {
            format!("the counts kept of {} are those of the journal", counted(size, "entry", "entries"))
        }
        Standing::Missing => "no counts were kept that can be used; the journal was counted anew".to_owned(),
        Standing::Differs(size) => {
            let entries = counted(size, "entry", "entries");
            format!("the counts kept of {entries} were NOT those of the journal; they were replaced")
        }
    }
}
