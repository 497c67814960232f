//! TLS identities of those who should not get in: from another authority, out of date, of another name, of nobody.

use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tieup_protocol::joining::partner_tls_name;
use tieup_web::authority::{Authority, CERTIFICATE_LIFETIME, KeyRequest, PemPair};
use tieup_web::client::PeerClient;
use tieup_web::tls::{TlsIdentity, joining_client};

use crate::world::{World, site_id};

impl World {
    /// A client that calls `partner` as main does.
    pub async fn call(&self, partner: &str) -> PeerClient {
        let config = self.hub().tls().client().unwrap_or_else(|error| panic!("main's TLS client: {error}"));
        self.call_with(config, partner).await
    }

    /// A client that calls `partner` showing `identity`.
    pub async fn call_as(&self, identity: &TlsIdentity, partner: &str) -> PeerClient {
        let config = identity.client().unwrap_or_else(|error| panic!("the stranger's TLS client: {error}"));
        self.call_with(config, partner).await
    }

    /// A client that calls `partner` showing no certificate.
    pub async fn call_as_nobody(&self, partner: &str) -> PeerClient {
        let authority = self.authority().digest().unwrap_or_else(|error| panic!("main's authority: {error}"));
        let config = joining_client(authority).unwrap_or_else(|error| panic!("a TLS client: {error}"));
        self.call_with(config, partner).await
    }

    /// Main's identity by its own authority, issued at `now` and so valid for a time from then on.
    pub fn main_issued_at(&self, now: SystemTime) -> TlsIdentity {
        let authority = self.authority();
        let pair = authority.issue_main(now).unwrap_or_else(|error| panic!("an identity of main: {error}"));
        identity(&pair, authority.certificate())
    }

    /// Main's identity, expired for an hour.
    pub fn expired_main(&self) -> TlsIdentity {
        self.main_issued_at(long_ago())
    }

    /// An identity in main's name by an authority in main's name that is not main's. It trusts main's, so that it is
    /// the partner who refuses.
    pub fn foreign_main(&self) -> TlsIdentity {
        let pair = foreign_authority(self).issue_main(SystemTime::now());
        let pair = pair.unwrap_or_else(|error| panic!("a foreign identity: {error}"));
        identity(&pair, self.authority().certificate())
    }

    /// The identity of a partner that has joined.
    pub fn partner_identity(&self, partner: &str) -> TlsIdentity {
        let kept = self.daemon(partner).identity();
        kept.tls().unwrap_or_else(|error| panic!("the identity of `{partner}`: {error}"))
    }

    /// A certificate for `partner` by main's authority that expired an hour ago, and its key.
    pub fn expired_partner(&self, partner: &str) -> PemPair {
        issue(&self.authority(), partner, long_ago())
    }

    /// A certificate for `partner` by an authority that is not main's, and its key.
    pub fn foreign_partner(&self, partner: &str) -> PemPair {
        issue(&foreign_authority(self), partner, SystemTime::now())
    }

    fn authority(&self) -> Authority {
        self.hub().keys.authority().unwrap_or_else(|error| panic!("main's authority: {error}"))
    }

    async fn call_with(&self, config: ClientConfig, partner: &str) -> PeerClient {
        let name = partner_tls_name(&self.hub().config.main, &site_id(partner));
        let address = self.peer(partner).to_string();
        PeerClient::new(config, name, &address)
            .await
            .unwrap_or_else(|error| panic!("a client for `{partner}`: {error}"))
    }
}

/// When a certificate was issued that expired an hour ago.
fn long_ago() -> SystemTime {
    SystemTime::now() - CERTIFICATE_LIFETIME - Duration::from_hours(1)
}

/// A new authority in the name of the world's main site.
fn foreign_authority(world: &World) -> Authority {
    let main = &world.hub().config.main;
    let pair = Authority::create(main, SystemTime::now()).unwrap_or_else(|error| panic!("a new authority: {error}"));
    Authority::load(main, &pair).unwrap_or_else(|error| panic!("a new authority: {error}"))
}

fn issue(authority: &Authority, partner: &str, now: SystemTime) -> PemPair {
    let partner = site_id(partner);
    let request = KeyRequest::create(&partner).unwrap_or_else(|error| panic!("a key for `{partner}`: {error}"));
    let issued = authority.issue_partner(&partner, &request.csr, now);
    let issued = issued.unwrap_or_else(|error| panic!("a certificate for `{partner}`: {error}"));
    PemPair { certificate: issued.certificate, key: request.key }
}

fn identity(pair: &PemPair, trusted: &str) -> TlsIdentity {
    TlsIdentity::from_pem(pair, trusted).unwrap_or_else(|error| panic!("a TLS identity: {error}"))
}
