//! How main's copy of a partner's audit trail follows it.

use tieup_protocol::audit::TrailEnd;
use tieup_protocol::wire::AUDIT;
use tieup_store::audit::{AuditError, AuditTrail, SignedEnd};
use tieup_store::durable;
use tieup_store::lock::StateLock;
use tieup_web::client::PeerClient;
use tieup_web::complaint;

use super::{Contradiction, FetchAuditError};
use crate::database::PartnerRow;
use crate::partners::Hub;

/// What a partner shows where main's copy was lost, until it is known to be what was signed.
const SHOWN: &str = "audit.shown.jsonl";

impl Hub {
    /// Fetches what is new in a partner's audit trail, and keeps it if it continues what main has and begins with what the
    /// partner signed.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the partner cannot be reached, or its trail is shorter or another one.
    pub async fn fetch_trail(&self, partner: &PartnerRow) -> Result<TrailEnd, FetchAuditError> {
        let fetching = Fetching::begin(self, partner).await?;
        let (mut copy, _) = fetching.follow().await?;
        fetching.end_of(&mut copy)
    }

    /// The same, and has the partner sign all of it.
    ///
    /// # Errors
    /// The same, and when the partner does not sign it; the new lines are kept then, and what it signed before.
    pub async fn fetch_audit(&self, partner: &PartnerRow) -> Result<TrailEnd, FetchAuditError> {
        let fetching = Fetching::begin(self, partner).await?;
        let (mut copy, signed) = fetching.follow().await?;
        fetching.have_signed(&mut copy, signed.as_ref()).await?;
        fetching.end_of(&mut copy)
    }

    /// The same where nobody waits for it: what fails is in the log.
    pub(crate) async fn follow_audit(&self, partner: &PartnerRow) {
        match self.fetch_audit(partner).await {
            // Somebody else is at it.
            Ok(_) | Err(FetchAuditError::Busy(..)) => {}
            Err(error) => {
                let words = complaint::render(&error);
                tracing::warn!(partner = %partner.id, "its audit trail was not taken\n{words}");
            }
        }
    }
}

/// One partner's trail while main's copy of it is brought up to date.
pub(super) struct Fetching<'a> {
    pub(super) hub: &'a Hub,
    pub(super) partner: &'a PartnerRow,
    pub(super) client: PeerClient,
    _lock: StateLock,
}

impl<'a> Fetching<'a> {
    async fn begin(hub: &'a Hub, partner: &'a PartnerRow) -> Result<Self, FetchAuditError> {
        let client = hub.call(partner).await?;
        let folder = hub.mirrors(partner);
        durable::create_dir_all(&folder)?;
        let lock = StateLock::take(&folder).map_err(|error| FetchAuditError::Busy(partner.id.clone(), error))?;
        Ok(Self { hub, partner, client, _lock: lock })
    }

    pub(super) fn end_of(&self, trail: &mut AuditTrail) -> Result<TrailEnd, FetchAuditError> {
        trail.end().map_err(|error| FetchAuditError::Copy(self.partner.id.clone(), error))
    }

    /// Main's copy, with all that the partner has now, and what the partner signed of it before.
    async fn follow(&self) -> Result<(AuditTrail, Option<SignedEnd>), FetchAuditError> {
        let (mut copy, signed) = (self.hub.audit_copy(self.partner), self.signed()?);
        match &signed {
            Some(signed) if signed.end().lines > self.end_of(&mut copy)?.lines => {
                self.restore(&mut copy, signed).await?;
            }
            signed => {
                signed.as_ref().map_or(Ok(()), |signed| self.check(&mut copy, signed))?;
                self.extend(&mut copy).await?;
            }
        }
        Ok((copy, signed))
    }

    /// Adds to `trail` what the partner has after its last line.
    async fn extend(&self, trail: &mut AuditTrail) -> Result<(), FetchAuditError> {
        loop {
            let held = self.end_of(trail)?;
            // The last line that is here comes again, to show that it is still the same there.
            let from = held.lines.saturating_sub(1);
            let bytes = self.client.get_bytes(&format!("{AUDIT}?from={from}")).await?;
            let text = String::from_utf8(bytes).map_err(|_| FetchAuditError::NoText(self.partner.id.clone()))?;
            self.add(trail, &text)?;
            if self.end_of(trail)? == held {
                return Ok(());
            }
        }
    }

    /// Fills a copy that has fewer lines than were signed. What the partner shows is not in it before it is known to be what was
    /// signed.
    async fn restore(&self, copy: &mut AuditTrail, signed: &SignedEnd) -> Result<(), FetchAuditError> {
        let place = self.hub.mirrors(self.partner).join(SHOWN);
        durable::remove_file(&place)?;
        let mut shown = AuditTrail::at(&place);
        self.extend(&mut shown).await?;
        self.check(&mut shown, signed)?;
        let from = self.end_of(copy)?.lines.saturating_sub(1);
        let text = shown.lines(from, usize::MAX);
        self.add(copy, &text.map_err(|error| FetchAuditError::Copy(self.partner.id.clone(), error))?)?;
        Ok(durable::remove_file(&place)?)
    }

    /// Refuses a trail that does not begin with what the partner signed.
    fn check(&self, trail: &mut AuditTrail, signed: &SignedEnd) -> Result<(), FetchAuditError> {
        let (id, lines) = (&self.partner.id, signed.end().lines);
        let found = trail.end_after(lines).map_err(|error| FetchAuditError::Copy(id.clone(), error))?;
        if found == Some(signed.end()) {
            return Ok(());
        }
        let before = Contradiction::Signed { lines, time: signed.time(), note: self.note() };
        Err(FetchAuditError::Refused(id.clone(), before))
    }

    fn add(&self, trail: &mut AuditTrail, text: &str) -> Result<(), FetchAuditError> {
        let id = &self.partner.id;
        trail.extend(&text.lines().collect::<Vec<_>>()).map_err(|error| match error {
            AuditError::Disk(_) | AuditError::Broken(..) => FetchAuditError::Copy(id.clone(), error),
            AuditError::NotContinued(..) | AuditError::Rewritten { .. } => {
                FetchAuditError::Refused(id.clone(), Contradiction::Copy(error))
            }
        })
    }
}
