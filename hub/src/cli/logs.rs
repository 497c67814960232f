//! `tieup log`: journals are fetched, verified, proven, written out, and settled.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::Timestamp;
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::contract::Side;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalReader, Origin, SignedCheckpoint, month_dir, months};
use tieup_web::journal::export::{Layout, export_to_stdout};
use tieup_web::terminal::counted;
use tieup_web::{complaint, say, terminal};
use tokio::task::{JoinError, JoinSet};

use super::Format;
use super::count::{CountArguments, count};
use super::findings::{FindingsArguments, findings};
use super::partners::joined;
use super::proving::{ProofArguments, prove, verify_proof};
use super::rollups::{RollupsArguments, rollups};
use super::verifying::verify;
use crate::collect::{CollectError, Collected};
use crate::collecting::{CONCURRENT_COLLECTIONS, PATIENCE};
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::refusals::Settlement;
use crate::signers::signer_of;

/// The most characters of a reason.
const MAX_REASON: usize = 500;

#[derive(Subcommand)]
pub(super) enum LogAction {
    /// Fetch what is new from every partner, verify it and cosign it. What was cut off goes on where it was.
    #[command(visible_alias = "collect")]
    Fetch {
        /// Only from this partner.
        partner: Option<SiteId>,
        /// Only this month, such as 2026-11.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Hash every fetched entry again and compare with the checkpoints that were signed and cosigned.
    Verify {
        /// Only this partner's; your own name for visits to your own pages.
        partner: Option<SiteId>,
        /// Only this month, such as 2026-11.
        month: Option<Month>,
    },
    /// Look for what is not as visits by people usually are: gaps, spikes, rates that no person has, fewer visits than
    /// beacons told of, and more. A finding is a question to ask, and no proof.
    Findings(FindingsArguments),
    /// Count what was fetched and is not counted yet, day by day, together with every other process that does the same at
    /// this moment. Fetching does so by itself; this is for much at once.
    Count(CountArguments),
    /// Count fetched journals anew and compare with the counts that are kept of them, which statements go by.
    Rollups(RollupsArguments),
    /// Prove that one entry is in the journal that a partner is charged by, for whoever has the keys and nothing else.
    Prove {
        /// The partner; where your own log is what it is charged by, the entry is of that, as far as it has cosigned it.
        partner: SiteId,
        /// The month, such as 2026-11.
        month: Month,
        /// The entry's number, from 0.
        entry: u64,
        /// How it is written: text is of the form c2sp.org/tlog-proof.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Check such a proof, with nothing but the keys: no hub is needed for it.
    VerifyProof(ProofArguments),
    /// Write out the visits of a fetched journal, up to what its checkpoint covers. `verify` tells whether they are those that
    /// were logged.
    Export {
        /// The partner; your own name for visits to your own pages.
        partner: SiteId,
        /// The month, such as 2026-11.
        month: Month,
        /// How.
        #[arg(long = "as", value_enum, default_value_t = Layout::Ndjson)]
        layout: Layout,
    },
    /// Settle that a journal was refused for good, for a reason that is kept with the evidence.
    Settle {
        /// The partner.
        partner: SiteId,
        /// The month, such as 2026-11.
        month: Month,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        /// Put your own copy aside, and take the partner's journal from its beginning. Else it must continue your copy.
        #[arg(long)]
        put_aside: bool,
    },
}

/// What fetching came to: how many months were looked at, and how much was not taken.
#[derive(Default)]
struct Fetched {
    months: usize,
    failed: usize,
}

pub(super) async fn log(hub: &Arc<Hub>, action: &LogAction) -> anyhow::Result<()> {
    match action {
        LogAction::Fetch { partner, month } => fetch(hub, partner.as_ref(), *month).await,
        LogAction::Verify { partner, month } => verify(hub, partner.as_ref(), *month).await,
        LogAction::Findings(arguments) => findings(hub, arguments).await,
        LogAction::Count(arguments) => count(hub, arguments).await,
        LogAction::Rollups(arguments) => rollups(hub, arguments).await,
        LogAction::Prove { partner, month, entry, format } => prove(hub, partner, *month, *entry, *format).await,
        LogAction::VerifyProof(arguments) => verify_proof(arguments),
        LogAction::Export { partner, month, layout } => export(hub, partner, *month, (*layout).into()).await,
        LogAction::Settle { partner, month, reason, put_aside } => {
            let copy = if *put_aside { Settlement::PutAside } else { Settlement::Kept };
            settle(hub, &hub.partner(partner).await?, *month, (copy, reason)).await
        }
    }
}

/// Settles what stands against a partner's journal, and says what becomes of what was issued by it.
async fn settle(
    hub: &Hub,
    partner: &PartnerRow,
    month: Month,
    (copy, reason): (Settlement, &str),
) -> anyhow::Result<()> {
    hub.settle_journal(&partner.id, month, copy, reason, Timestamp::now())?;
    say!("The journal of {month} of `{}` is settled; fetch it again: tieup log fetch {0}", partner.id);
    if copy == Settlement::Kept {
        return Ok(());
    }
    hub.counting.forget_counting(&partner.id, month).await?;
    let issued = hub.issued_in(&partner.id, month).await?;
    if issued.is_empty() {
        return Ok(());
    }
    let becomes = match hub.books(partner).await?.writer(month) {
        Ok(Side::Main) => "it stays as it is, since it is charged by your own log".to_owned(),
        Ok(Side::Partner | Side::Both) => "the next one corrects it to what the new log comes to".to_owned(),
        Err(error) => format!("whether the next one corrects it cannot be told: {error}"),
    };
    for period in issued {
        say!("The statement for {period} was issued: {becomes}.");
    }
    Ok(())
}

/// Why a refusal is settled: something to read, and not too much of it.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0 => Err("say why: it is kept with the evidence".to_owned()),
        1..=MAX_REASON => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_REASON}")),
    }
}

async fn fetch(hub: &Arc<Hub>, only: Option<&SiteId>, month: Option<Month>) -> anyhow::Result<()> {
    let mut partners = meant(hub, only).await?;
    partners.retain(|partner| partner.revoked.is_none());
    let asked = partners.len();
    let fetch = |partner: PartnerRow| {
        let hub = hub.clone();
        async move { fetch_in_time(&hub, &partner, month).await }
    };
    let fetched = side_by_side(partners, CONCURRENT_COLLECTIONS, fetch).await;
    let fetched: Vec<Fetched> =
        fetched.into_iter().collect::<Result<_, _>>().context("fetching ended by a fault of ours")?;
    // Told, and no failure: the running hub tries it again.
    if let Err(error) = hub.mirror_journals().await {
        terminal::complain(&error);
    }
    let failed: usize = fetched.iter().map(|fetched| fetched.failed).sum();
    if failed > 0 {
        let one = "journal or audit trail of a partner was not taken";
        bail!("{}", counted(failed, one, "journals or audit trails of partners were not taken"));
    }
    if asked > 0 && fetched.iter().all(|fetched| fetched.months == 0) {
        return nothing_to_fetch(only, month);
    }
    Ok(())
}

/// Says that nobody has logged anything. Where a month was named, that is a mistake.
fn nothing_to_fetch(only: Option<&SiteId>, month: Option<Month>) -> anyhow::Result<()> {
    match (only, month) {
        (Some(partner), Some(month)) => bail!("`{partner}` has no journal of {month}, and none was fetched before"),
        (None, Some(month)) => bail!("no partner has a journal of {month}, and none was fetched before"),
        (Some(partner), None) => say!("`{partner}` has logged no visit yet."),
        (None, None) => say!("No partner has logged a visit yet."),
    }
    Ok(())
}

/// Does `work` with each of `items`, with so many at once: each a task of its own, so that none waits while another hashes.
async fn side_by_side<I, F: Future<Output: Send> + Send + 'static>(
    items: impl IntoIterator<Item = I>,
    at_once: usize,
    work: impl Fn(I) -> F,
) -> Vec<Result<F::Output, JoinError>> {
    let (mut items, mut tasks, mut done) = (items.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while tasks.len() < at_once
            && let Some(item) = items.next()
        {
            tasks.spawn(work(item));
        }
        match tasks.join_next().await {
            Some(ended) => done.push(ended),
            None => return done,
        }
    }
}

/// Fetches from one partner as far as there is time for it.
async fn fetch_in_time(hub: &Hub, partner: &PartnerRow, month: Option<Month>) -> Fetched {
    tokio::time::timeout(PATIENCE, fetch_from(hub, partner, month)).await.unwrap_or_else(|_| {
        let minutes = PATIENCE.as_secs() / 60;
        eprintln!("{}: it took longer than {minutes} minutes; fetch it again to go on there", partner.id);
        Fetched { failed: 1, ..Fetched::default() }
    })
}

/// Fetches from one partner.
async fn fetch_from(hub: &Hub, partner: &PartnerRow, month: Option<Month>) -> Fetched {
    let (mut fetched, mut told) = (Fetched::default(), None);
    if let Err(error) = hub.fetch_audit(partner).await {
        fetched.failed += 1;
        eprintln!("{}:", partner.id);
        terminal::complain(&error);
        told = Some(complaint::render(&error));
    }
    let collected = match month {
        Some(month) => hub.collect_month(partner, month).await,
        None => hub.collect(partner).await,
    };
    match collected {
        Ok(months) => {
            fetched.months = months.len();
            for month in &months {
                show(partner, month);
            }
        }
        // A partner that is not reached is told of once.
        Err(error) if told.as_ref() == Some(&complaint::render(&error)) => {}
        Err(error) => {
            fetched.failed += 1;
            eprintln!("{}:", partner.id);
            terminal::complain(&error);
            show_way_out(hub, partner, &error);
        }
    }
    fetched
}

fn show(partner: &PartnerRow, Collected { month, added, size }: &Collected) {
    say!("{} {month}: {}, {size} in all, cosigned", partner.id, counted(*added, "new entry", "new entries"));
}

/// What a person can do about a journal that is refused for good.
fn show_way_out(hub: &Hub, partner: &PartnerRow, error: &CollectError) {
    let month = match error {
        CollectError::Refused { month, source } if source.is_contradiction() => *month,
        CollectError::Stands { refused, .. } => refused.month,
        _ => return,
    };
    // Where what is kept of it cannot be read, it says so when it is settled.
    let standing = hub.refused_journal(&partner.id, month).ok().flatten();
    let is_gone = standing.is_some_and(|refused| refused.shown.is_none());
    eprintln!(
        "hint: what was signed is kept as evidence; when it is settled: tieup log settle {} {month} --reason \"...\"",
        partner.id
    );
    if !is_gone {
        eprintln!(
            "and, where it will not continue your copy again, with --put-aside: your copy is put aside, and it is taken anew"
        );
    }
}

/// The months of `folder` that are meant.
pub(super) fn chosen(folder: &Path, only: Option<Month>) -> anyhow::Result<Vec<Month>> {
    let mut months = months(folder)?;
    months.retain(|month| only.is_none_or(|only| only == *month));
    Ok(months)
}

async fn export(hub: &Hub, of: &SiteId, month: Month, format: ExportFormat) -> anyhow::Result<()> {
    let (reader, origin, key) = if *of == hub.config.main {
        let dir = month_dir(&hub.own_journals(), month);
        (JournalReader::open(dir)?, hub.own_origin(month), hub.keys.journal()?.verifier())
    } else {
        let partner = hub.partner(of).await?;
        let origin = Origin::new(&hub.config.main, &partner.id, month);
        let reader = open_copy(hub, &partner, month)?;
        let note = reader.checkpoint()?.map(String::into_bytes);
        let key = signer_of(&partner, &origin, note.as_deref())?;
        (reader, origin, key)
    };
    let note = reader.checkpoint()?.with_context(|| format!("nothing of {origin} was signed for yet"))?;
    let size = SignedCheckpoint::open(note.as_bytes(), &origin, &key)?.size();
    Ok(export_to_stdout(&reader, 0..size, format)?)
}

pub(super) fn open_copy(hub: &Hub, partner: &PartnerRow, month: Month) -> anyhow::Result<JournalReader> {
    let dir = month_dir(&hub.mirrors(partner), month);
    if !dir.is_dir() {
        bail!("no journal of {month} of `{}` has been fetched: tieup log fetch {0}", partner.id);
    }
    Ok(JournalReader::open(dir)?)
}

/// The partners that are meant: one, or all that have joined.
pub(super) async fn meant(hub: &Hub, only: Option<&SiteId>) -> anyhow::Result<Vec<PartnerRow>> {
    match only {
        Some(partner) => Ok(vec![hub.partner(partner).await?]),
        None => joined(hub).await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use tokio::task::block_in_place;

    use super::*;

    /// Two ends that each wait for a word of the other.
    fn pair() -> [(Sender<()>, Mutex<Receiver<()>>); 2] {
        let ((to_one, one), (to_other, other)) = (channel(), channel());
        [(to_other, Mutex::new(one)), (to_one, Mutex::new(other))]
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_works_holds_up_no_other() {
        let meet = |(to, from): (Sender<()>, Mutex<Receiver<()>>)| async move {
            block_in_place(|| {
                to.send(()).unwrap();
                from.into_inner().unwrap().recv_timeout(Duration::from_secs(10)).is_ok()
            })
        };
        let both: Result<Vec<bool>, _> = side_by_side(pair(), 2, meet).await.into_iter().collect();
        assert_eq!(both.unwrap(), [true, true]);
    }

    #[tokio::test]
    async fn no_more_are_at_work_than_may_be() {
        let at_work = Arc::new(Mutex::new((0, 0)));
        let work = |_| {
            let at_work = at_work.clone();
            async move {
                let now = |change: i32| {
                    let mut at_work = at_work.lock().unwrap();
                    at_work.0 += change;
                    at_work.1 = at_work.1.max(at_work.0);
                };
                now(1);
                tokio::task::yield_now().await;
                now(-1);
            }
        };
        assert_eq!(side_by_side(0..20, 3, work).await.len(), 20);
        assert_eq!(*at_work.lock().unwrap(), (0, 3));
    }
}
