//! The commands and their arguments, and what `--help` says of them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::period::Month;
use tieup_web::journal::export::Layout;

use super::fees;
use super::values::{GoesLive, Subject, parse_reason};

/// The partner's daemon: takes in what the main site publishes, asks you, and serves your site.
#[derive(Parser)]
#[command(
    name = "syncd",
    version,
    arg_required_else_help = true,
    after_help = "\
Begin in an empty folder, with the token that the main site gave you:
  syncd init
  syncd join TOKEN
  syncd run
and when a release is waiting:
  syncd diff
  syncd approve 5      (or: syncd reject 5 --reason \"the price of the kettle is wrong\", or syncd hold 5)
where 5 is the release that you have read about;
or decide in a browser, with the link that this gives you:
  syncd console"
)]
pub(super) struct Cli {
    /// The daemon's configuration.
    #[arg(long, global = true, default_value = "syncd.yaml")]
    pub(super) config: PathBuf,
    /// How answers are written.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// The main site whose tie-up is meant, where you have several.
    #[arg(long, global = true, value_name = "ID")]
    pub(super) main: Option<SiteId>,
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

#[derive(Subcommand)]
pub(super) enum Action {
    /// Write `syncd.yaml` and a `site.yaml` for your own pages, for you to change.
    Init,
    /// Join a main site with the one-time token it gave you.
    Join {
        /// The token; it begins with `tieup1-`.
        token: String,
    },
    /// Run the daemon until Ctrl-C.
    Run,
    /// Show what is live, what waits, and what was decided.
    Status,
    /// Show what a waiting release would change, or your own changed pages.
    Diff {
        /// The release, or `originals`; the waiting release if left out.
        #[arg(value_name = "VERSION")]
        what: Option<Subject>,
    },
    /// Make a waiting release live, now or at a time; or your own changed pages, where they wait.
    Approve {
        /// The release that you have read about, such as 5, or `originals`.
        #[arg(value_name = "VERSION")]
        what: Subject,
        /// When it goes live: `18:30`, the next time it is that in the contract's time zone; `2026-12-01 09:00`
        /// there; or an instant such as 2026-12-01T09:00:00+09:00. Until then `hold` and `reject` cancel it.
        #[arg(long, value_name = "TIME")]
        at: Option<GoesLive>,
    },
    /// Put a waiting release aside: you are not asked again, and no rule approves it, until you release or approve it.
    Hold {
        /// The release that you have read about, such as 5.
        version: ReleaseVersion,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: Option<String>,
    },
    /// Let go of a held release: it is decided on as if it came now.
    Release {
        /// The release, such as 5.
        version: ReleaseVersion,
    },
    /// Refuse a waiting release. Your site stays as it is, and the main site reads your reason.
    Reject {
        /// The release that you have read about, such as 5.
        version: ReleaseVersion,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
    },
    /// Go back to the release that was live before.
    Rollback {
        /// The release to go back to; the last one if left out.
        version: Option<ReleaseVersion>,
    },
    /// Write a release into a folder, with its signatures and every file, for others to verify.
    Export {
        /// The release; the live one if left out.
        #[arg(long)]
        release: Option<ReleaseVersion>,
        /// The folder; it must not be there yet.
        #[arg(long)]
        to: PathBuf,
    },
    /// Declare an emergency, in which your own pages take the place of the main site's, or end it. The main site is told.
    #[command(subcommand)]
    Emergency(EmergencyAction),
    /// List the main site's pages that your own take the place of, and which of them it has changed since.
    Overrides,
    /// Read everything that is stored, restore what is damaged, and say what is lacking.
    Guard,
    /// Show who decided what and when, and verify that nothing of it was changed.
    Audit,
    /// Get a link that signs you in to the console, once, in the browser that opens it.
    Console,
    /// Show how you are told that a release waits.
    Prompt(PromptArguments),
    /// The access log.
    #[command(subcommand)]
    Log(LogAction),
    /// The fee.
    #[command(subcommand)]
    Fee(fees::FeeAction),
}

impl Action {
    /// Whether what it says can be had as one JSON document.
    pub(super) fn has_document(&self) -> bool {
        let for_people = matches!(self, Self::Init | Self::Join { .. } | Self::Run | Self::Prompt(_));
        let of_a_log =
            matches!(self, Self::Log(LogAction::Verify(_) | LogAction::Settle { .. } | LogAction::Export { .. }));
        !for_people && !of_a_log
    }
}

#[derive(Subcommand)]
pub(super) enum EmergencyAction {
    /// From now on your own pages stand where the main site has pages at the same addresses.
    Begin {
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
    },
    /// The main site's pages come back.
    End,
}

#[derive(Subcommand)]
pub(super) enum LogAction {
    /// Hash every entry again and compare with the signed checkpoint.
    Verify(MonthArgument),
    /// Return what is new to the main site now, which verifies and cosigns it. The daemon does so when the contract says.
    Push {
        /// Only this month, such as 2026-11.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Fetch the main site's own log now, verify it and cosign it, where the contract lets the main site write. The daemon
    /// does so when the contract says.
    Fetch,
    /// Settle that the main site's own log was refused for good, for a reason that is kept with the evidence.
    Settle {
        /// The month, such as 2026-11.
        month: Month,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        /// Put your copy aside, and take the main site's log from its beginning. Else it must continue your copy.
        #[arg(long)]
        put_aside: bool,
    },
    /// Write out the visits of a month.
    Export {
        /// The month, such as 2026-11.
        month: Month,
        /// How.
        #[arg(long = "as", value_enum, default_value_t = Layout::Ndjson)]
        layout: Layout,
    },
}

#[derive(Args)]
pub(super) struct PromptArguments {
    /// Send a test by every way, and say what came of each.
    #[arg(long)]
    pub(super) test: bool,
}

#[derive(Args)]
pub(super) struct MonthArgument {
    /// The month, such as 2026-11; every month if left out.
    pub(super) month: Option<Month>,
}
