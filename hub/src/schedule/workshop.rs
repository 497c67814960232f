//! Where releases are built: on threads of their own, so that no push waits because another release is being built.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tieup_generator::{Releases, Site};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tokio::sync::{mpsc, oneshot};

use crate::publish::PublishError;
use crate::release::{BuiltRelease, SharedDigests};

/// One site's releases, built when they are asked for; what partners share is built once.
///
/// Its threads end when it is dropped.
pub struct Workshop {
    releases: Arc<Releases>,
    orders: mpsc::Sender<Order>,
}

/// A release that somebody waits for.
struct Order {
    partner: SiteId,
    version: ReleaseVersion,
    done: oneshot::Sender<Result<BuiltRelease, Report>>,
}

impl Workshop {
    /// A workshop for these releases. What `digests` knows of the bytes that they share is not computed again.
    pub fn open(releases: Arc<Releases>, digests: Arc<SharedDigests>) -> Self {
        let (orders, waiting) = mpsc::channel(1);
        let wanted = releases.clone();
        tokio::task::spawn_blocking(move || work(&wanted, &digests, waiting));
        Self { releases, orders }
    }

    /// The site.
    pub fn site(&self) -> &Site {
        self.releases.site()
    }

    /// Builds the release `version` to one partner.
    ///
    /// # Errors
    /// What is wrong with the site; [`PublishError::NotBuilt`] where the thread that built it is gone.
    pub async fn build(&self, partner: &SiteId, version: ReleaseVersion) -> Result<BuiltRelease, PublishError> {
        let (done, built) = oneshot::channel();
        // Where nobody takes the order, nobody answers it either.
        let _ = self.orders.send(Order { partner: partner.clone(), version, done }).await;
        let built = built.await.map_err(|_| PublishError::NotBuilt(partner.clone()))?;
        built.map_err(PublishError::Site)
    }
}

/// Builds what is ordered, on all processors, until nobody can order any more.
fn work(releases: &Arc<Releases>, digests: &SharedDigests, orders: mpsc::Receiver<Order>) {
    let orders = Mutex::new(orders);
    let next = || orders.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                while let Some(Order { partner, version, done }) = next() {
                    // Nobody may wait any more, since a push is given up after a time.
                    if !done.is_closed() {
                        // Of a site that has changed meanwhile nobody needs a release any more.
                        let built = BuiltRelease::build_with(digests, releases.newest(), &partner);
                        let built = built.map(|built| built.numbered(version));
                        // Somebody needs it soon, and this is where the time is.
                        let _ = built.as_ref().map(BuiltRelease::text);
                        let _ = done.send(built);
                    }
                }
            });
        }
    });
}
