//! `tieup preview`: what it takes and where it listens.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tieup_generator::{Drafts, Future, Shown};
use tieup_web::listener::told_to_end;
use tieup_web::say;
use tokio::net::TcpListener;

use super::site::{find_themes, pictures, state};
use crate::preview::Preview;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder with `site.yaml`.
    #[arg(long, default_value = ".")]
    site: PathBuf,
    /// The folder with the themes; looked for beside the site and above it if left out.
    #[arg(long)]
    themes: Option<PathBuf>,
    /// The port on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 8010)]
    port: u16,
    /// Show drafts too.
    #[arg(long)]
    drafts: bool,
    /// Show pages too that are not yet published.
    #[arg(long)]
    future: bool,
}

pub(super) async fn preview(config: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let site = &arguments.site;
    let themes = arguments.themes.clone().unwrap_or_else(|| find_themes(site));
    let shown = Shown {
        drafts: if arguments.drafts { Drafts::Shown } else { Drafts::LeftOut },
        future: if arguments.future { Future::Shown } else { Future::LeftOut },
    };
    let address = (Ipv4Addr::LOCALHOST, arguments.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on 127.0.0.1:{}; take another port with --port, or a free one with --port 0", address.1)
    })?;
    let pictures = pictures(&state(config, site)?);
    let preview = tokio::task::block_in_place(|| Preview::open(site, &themes, shown, &pictures))
        .with_context(|| format!("{} cannot be watched", site.display()))?;
    let title = preview.title().unwrap_or_else(|| site.display().to_string());
    say!("Preview of {title} on http://{}/; Ctrl-C ends it.", listener.local_addr()?);
    Ok(preview.serve(listener, told_to_end()).await?)
}
