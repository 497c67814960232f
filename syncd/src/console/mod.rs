//! The operator's console: what is live, what waits, and a decision in ten seconds, in a browser.
//!
//! Each decision goes through the same steps of the publisher as the command line's, and names the manifest that was
//! read. Nothing changes on a GET. It never edits a page.

mod decision;
mod difference;
mod home;
mod originals;
mod release;
mod roll_back;
mod words;

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use jiff::Timestamp;
use tieup_web::console::{Frame, Gate, Sign, sign_in};
use tieup_web::listener::{Shutdown, serve_router};
use tieup_web::visitors::Randomness;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::daemon::Partner;
use crate::door::Opened;
use crate::prompt::Board;

/// The operator's own addresses, and how they were prompted.
pub struct Front {
    console: Option<(String, Arc<Gate>)>,
    preview: Option<String>,
    /// How the operator was told, way by way.
    pub board: Arc<Board>,
}

/// There is no console to sign in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no console: write `console: 127.0.0.1:7460` into syncd.yaml, and start the daemon again")]
pub struct NoConsole;

/// What the console's handlers share.
#[derive(Clone)]
pub struct Console {
    partner: Arc<Partner>,
    gate: Arc<Gate>,
    /// The clock that times are shown by.
    clock: Clock,
}

/// The random numbers of the operating system.
struct System;

impl Randomness for System {
    fn draw(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the operating system gave random numbers when the keys were made");
        bytes
    }
}

impl Front {
    /// What is open for the operator of the partner that `title` names, who signs in by what `command` gives.
    pub fn new(
        (title, command): (&str, &str),
        console: Option<&Opened>,
        preview: Option<&Opened>,
        board: Arc<Board>,
    ) -> Self {
        let gate = |door: &Opened| Gate::new(door.names.clone(), title, Box::new(System)).entered_by(command);
        Self {
            console: console.map(|door| (door.url.clone(), Arc::new(gate(door)))),
            preview: preview.map(|door| door.url.clone()),
            board,
        }
    }

    /// The console's address, if there is one.
    pub fn console(&self) -> Option<&str> {
        self.console.as_ref().map(|(url, _)| url.as_str())
    }

    /// The preview's address, if there is one.
    pub fn preview(&self) -> Option<&str> {
        self.preview.as_deref()
    }

    /// An address that signs in to the console whoever opens it first.
    ///
    /// # Errors
    /// When there is no console.
    pub fn sign_in_link(&self, now: Timestamp) -> Result<String, NoConsole> {
        let (url, gate) = self.console.as_ref().ok_or(NoConsole)?;
        Ok(sign_in::link(url, &gate.invite(now)))
    }
}

impl Console {
    /// Serves the console of `partner` until `shutdown`, if there is one.
    pub async fn serve(partner: Arc<Partner>, listener: TcpListener, shutdown: Shutdown) {
        let Some((_, gate)) = &partner.front().console else { return };
        let gate = gate.clone();
        let clock = Clock::of(&partner.identity());
        let console = Self { partner, gate, clock };
        serve_router(listener, router(console), shutdown).await;
    }

    fn frame(&self, sign: &Sign) -> Frame {
        Frame::of(&self.gate, Some(sign))
    }

    /// A time as the partner's clocks show it.
    fn clock(&self, time: Timestamp) -> String {
        self.clock.tell(time)
    }
}

impl FromRef<Console> for Arc<Gate> {
    fn from_ref(console: &Console) -> Self {
        console.gate.clone()
    }
}

fn router(console: Console) -> Router {
    let pages = Router::new()
        .route("/", get(home::page))
        .route("/releases/{version}", get(release::page))
        .route("/releases/{version}/approve", post(decision::approve))
        .route("/releases/{version}/schedule", post(decision::schedule))
        .route("/releases/{version}/hold", post(decision::hold))
        .route("/releases/{version}/reject", post(decision::reject))
        .route("/originals", get(originals::page).post(originals::approve))
        .route("/roll-back/{version}", get(roll_back::ask).post(roll_back::do_it));
    sign_in::router(pages, console)
}
