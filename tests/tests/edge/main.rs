//! The edge to the public: HTTPS, a certificate authority that is asked, a service manager, and those who watch over it.

#![cfg(test)]

mod acme;
mod admin;
mod https;
mod limits;
mod outside;
mod service;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tieup_tests::{Contract, World};

/// A partner with a page that is live.
async fn settled() -> World {
    let plan = World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited());
    let world = plan.start().await;
    world.go_live("north").await;
    world
}

/// A port of loopback that is free for a daemon to listen at.
fn free_port() -> u16 {
    tieup_examples::port::listen().unwrap().local_addr().unwrap().port()
}

/// A certificate for `host` that certifies itself, as files in `folder`; and the PEM of it.
fn certify(folder: &Path, host: &str) -> String {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    std::fs::write(folder.join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

/// A browser that trusts the certificates in `pem`, and speaks these protocols.
fn trusting(pem: &str, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Waits until `holds`, and fails after a minute.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !holds().await {
        assert!(std::time::Instant::now() < end, "it did not come to be that {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The program `name`, or none where it is not installed; CI must have it.
fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} is not installed");
        eprintln!("NOT checked: {name} is not installed");
    }
    found
}
