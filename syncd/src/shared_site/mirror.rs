//! The shared site for the operator's eyes: as it is public, with another site in the place of one tie-up's.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{Request, Response};
use hyper::body::Incoming;
use tieup_web::site::{Guest, LiveSite, NoLog, PublicSite, SiteBody, SitePart};

use super::Share;

/// A site like the public one. Nothing of what is asked of it is logged.
pub struct Mirror {
    share: Share,
    site: PublicSite,
    parts: Vec<SitePart>,
}

impl Share {
    /// The site as it is public, without this tie-up's part.
    pub fn mirror(&self) -> Mirror {
        let log = Arc::new(NoLog);
        let mut blobs = self.site.parts.iter().map(|part| part.blobs.clone());
        let first = blobs.next().expect("a shared site has the home tie-up's part");
        let mut site = PublicSite::new(first, log.clone(), self.site.coded.clone());
        let mut parts = vec![site.first()];
        for blobs in blobs {
            parts.push(site.add(blobs, log.clone()));
        }
        Mirror { share: self.clone(), site, parts }
    }
}

impl Mirror {
    /// Shows `whole`, a merged site of this tie-up, in the place of its part.
    pub fn show(&self, whole: LiveSite) {
        self.parts[self.share.number].switch(self.share.part_of(whole));
    }

    /// Answers one request, with the other tie-ups' parts as they are public now.
    pub async fn answer(&self, peer: SocketAddr, request: &Request<Incoming>) -> Response<SiteBody> {
        for (number, part) in self.parts.iter().enumerate().filter(|(number, _)| *number != self.share.number) {
            part.switch(self.share.site.live(number));
        }
        self.site.answer(&Guest::alone(peer), request).await
    }
}
