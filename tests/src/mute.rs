//! Partners that take a call and never answer it.

use std::sync::Arc;

use axum::Router;
use tieup_protocol::joining::{Reach, main_tls_name};
use tieup_web::listener::{Shutdown, serve_tls};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::world::{MAIN, World, site_id};

impl World {
    /// Lets main call `partner` at a port that completes the handshake, reads what is asked, and answers only once
    /// the test says so, with nonsense.
    pub async fn mute(&self, partner: &str) -> Arc<Notify> {
        let identity = self.partner_identity(partner);
        let config = identity.server_for(&main_tls_name(&site_id(MAIN)));
        let config = config.unwrap_or_else(|error| panic!("the TLS of `{partner}`: {error}"));
        let (listener, speak) = (self.move_partner(partner).await, Arc::new(Notify::new()));
        let wait = speak.clone();
        let router = Router::new().fallback(async move || {
            wait.notified().await;
            "what?"
        });
        tokio::spawn(serve_tls(listener, config, identity.revocations().clone(), router, Shutdown::new()));
        speak
    }

    /// Lets main call `partner` at a port that takes connections and never says a byte. It does so while the listener
    /// is kept.
    pub async fn deaden(&self, partner: &str) -> TcpListener {
        self.move_partner(partner).await
    }

    async fn move_partner(&self, partner: &str) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let row = self.hub().partner(&site_id(partner)).await;
        let mut row = row.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"));
        row.address = Reach::Address(address.to_string());
        let put = self.hub().database.put_partner(&row).await;
        put.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"));
        listener
    }
}
