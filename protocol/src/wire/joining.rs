//! How a partner joins, and renews its certificate.

use serde::{Deserialize, Serialize};

use crate::ids::SiteId;
use crate::joining::Reach;

/// A new partner's request to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The partner's name, as in the invitation.
    pub partner: SiteId,
    /// The token's secret.
    pub secret: crate::joining::Secret,
    /// A PKCS #10 request in PEM for the key that the partner has just made.
    pub csr: String,
    /// How hub reaches the partner's daemon.
    pub address: Reach,
    /// The key that signs the partner's journal, as a C2SP verifier key.
    pub journal_key: String,
}

/// What a partner has joined with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinGrant {
    /// The partner's certificate in PEM.
    pub certificate: String,
    /// Main's certificate authority in PEM.
    pub authority: String,
    /// Main's TUF root metadata.
    pub root: String,
    /// The contract, word for word.
    pub contract: String,
    /// The key with which main cosigns journals, as a C2SP verifier key.
    pub cosigner_key: String,
}

/// A partner's request for a new certificate for the key that it joined with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The partner.
    pub partner: SiteId,
    /// A PKCS #10 request in PEM; its signature shows that the partner has the key.
    pub csr: String,
}

/// A new certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewGrant {
    /// The partner's certificate in PEM.
    pub certificate: String,
}

/// The kind of the problem that a join with a revoked key gets; its token stays good.
pub const REVOKED_KEY: &str = "revoked-key";

/// The most bytes of a list of revoked certificates.
pub const MAX_REVOCATIONS: usize = 8 << 20;
