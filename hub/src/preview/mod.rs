//! `tieup preview`: a site in the browser as it is written, for each audience, with its mistakes. Works for any site's
//! folder, answers this machine alone, and writes nothing.

mod bar;
mod choice;
mod desk;
mod events;
mod guard;
mod html;
mod overlay;
mod pace;
mod panel;
mod server;
mod slots;

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use jiff::Timestamp;
use tieup_generator::{Change, Patience, Shown, Sources, Watch, Workbench};
use tieup_store::cache::Cache;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::desk::Desk;
use self::pace::GRACE;
use crate::waking;

/// A site that is watched and shown.
pub struct Preview {
    desk: Arc<Desk>,
    changes: mpsc::UnboundedReceiver<Change>,
    _watch: Watch,
}

impl Preview {
    /// Opens the main site in the folder `site`, with its themes in the folder `themes` and narrower pictures from
    /// `pictures`. Mistakes in it are shown.
    ///
    /// # Errors
    /// When the folder is missing or the operating system refuses to watch it.
    pub fn open(site: &Path, themes: &Path, shown: Shown, pictures: &Cache) -> Result<Self, notify::Error> {
        let (sender, changes) = mpsc::unbounded_channel();
        let sources = Sources::new(site, themes);
        let watch = Watch::start(
            &[site, themes],
            move |file| sources.has(file),
            Patience::Eager,
            move |change| {
                // Whoever listens ends together with this watch.
                let _ = sender.send(change);
            },
        )?;
        let bench = Workbench::open_with(pictures, site, themes, shown, Timestamp::now());
        Ok(Self { desk: Arc::new(Desk::new(site, bench)), changes, _watch: watch })
    }

    /// The site's title, where the site can be read.
    pub fn title(&self) -> Option<String> {
        self.desk.bench().title().map(str::to_owned)
    }

    /// Serves the preview until `ended`. Runs on a runtime with several threads.
    ///
    /// # Errors
    /// When the listener fails, and what `ended` fails with.
    pub async fn serve(mut self, listener: TcpListener, ended: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        let router = server::router(self.desk.clone());
        let listener = listener.tap_io(|stream| {
            // An answer that waits for the next packet would be counted against the save.
            let _ = stream.set_nodelay(true);
        });
        self.desk.complain();
        let mut served = pin!(axum::serve(listener, router).into_future());
        let mut ended = pin!(ended);
        loop {
            let next_change = self.desk.bench().next_change();
            tokio::select! {
                ended = ended.as_mut() => return ended,
                served = served.as_mut() => return served,
                Some(change) = self.changes.recv() => tokio::task::block_in_place(|| self.desk.take_up(&change)),
                () = waking::reached(next_change, Timestamp::now) => {
                    tokio::task::block_in_place(|| self.desk.look_again());
                }
                () = tokio::time::sleep(GRACE), if self.desk.pace().is_waiting() => self.desk.pace().give_up(),
            }
        }
    }
}
