//! What is done when a key is stolen or a partner leaves: revoke, and tell.

use anyhow::bail;
use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_web::{say, terminal};

use crate::partners::Hub;

/// The most characters of a reason; it is shown in a line of the status.
const MAX_REASON: usize = 500;

/// A person's reason: not too much of it.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0..=MAX_REASON => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_REASON}")),
    }
}

pub(super) async fn partner(hub: &Hub, partner: &SiteId, reason: &str) -> anyhow::Result<()> {
    hub.revoke_partner(partner, reason, Timestamp::now()).await?;
    say!("Revoked `{partner}`: its certificates are accepted no more, and nothing is sent to it.");
    say!("Its own site stays as it is. To let it join again: tieup partner invite {partner}");
    Ok(())
}

pub(super) async fn tls(hub: &Hub) -> anyhow::Result<()> {
    let untold = hub.revoke_tls(Timestamp::now()).await?;
    say!("Revoked every TLS certificate that this main site has used so far; a new one is in use.");
    for untold in &untold {
        eprintln!("{}:", untold.partner);
        terminal::complain(&untold.error);
    }
    if !untold.is_empty() {
        bail!(
            "{} of the partners do not know yet; they are told with the next call, and ask by themselves every hour",
            untold.len()
        );
    }
    Ok(())
}
