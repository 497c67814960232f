//! The lines that a partner behind NAT keeps to the hub: it dials, and main calls over them.
//!
//! A line that ended is dialed anew, after half a second at most the first time, then after growing pauses.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::Router;
use tieup_protocol::joining::main_tls_name;
use tieup_web::client::CallError;
use tieup_web::complaint;
use tieup_web::line::DialedLine;
use tieup_web::listener::{Shutdown, serve_line};
use tieup_web::tls::TlsError;

use crate::daemon::Partner;

/// How many lines are kept: one may be busy with a release while main asks something over the other.
pub(crate) const LINES: usize = 2;

/// How long main may ask nothing before a line counts as dead; the hub asks for a sign of life much more often.
const SILENCE: Duration = Duration::from_secs(100);

/// How long an answer may take to be finished when a line is given up.
const DRAIN: Duration = Duration::from_secs(5);

/// The longest pause before the first attempt to dial anew; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Why a line could not be dialed.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("it is not known where the main site answers: join again with a new token")]
    NoHub,
    #[error("the line cannot be secured")]
    Tls(#[from] TlsError),
    #[error("the main site cannot be reached")]
    Call(#[from] CallError),
}

/// Keeps the line with this `number` open until `shutdown`.
pub(crate) async fn keep(number: usize, partner: Arc<Partner>, router: Router, shutdown: Shutdown) {
    let mut failures = 0;
    loop {
        let line = tokio::select! {
            () = shutdown.wait() => return,
            line = dial(&partner) => line,
        };
        match line {
            Ok(line) => {
                failures = 0;
                tracing::info!("line {} of {LINES} to the main site is open", number + 1);
                hold(&partner, line, router.clone(), shutdown.clone()).await;
            }
            Err(error) => {
                failures += 1;
                tracing::warn!("line {} to the main site is not open\n{}", number + 1, complaint::render(&error));
                ask_why(&partner, &shutdown).await;
            }
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(pause(failures, random())) => {}
        }
    }
}

/// Asks main whether it has revoked this partner, which may be why there is no line: it says so to whoever asks.
async fn ask_why(partner: &Partner, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.wait() => {}
        _ = partner.fetch_revocations() => {}
    }
}

async fn dial(partner: &Partner) -> Result<DialedLine, DialError> {
    let identity = partner.identity();
    let hub = identity.hub.as_deref().ok_or(DialError::NoHub)?;
    let config = partner.tls().client()?;
    Ok(DialedLine::dial(config, &main_tls_name(&identity.main), hub).await?)
}

/// Answers main over a line until it ends, or until this partner has a new certificate to dial with.
async fn hold(partner: &Partner, line: DialedLine, router: Router, shutdown: Shutdown) {
    let (shown, ending) = (partner.tls().certificate().serial, Shutdown::new());
    let revocations = partner.tls().revocations().clone();
    let served = serve_line(line.stream, line.peer, revocations, router, SILENCE, ending.clone());
    let end = async {
        tokio::select! {
            () = shutdown.wait() => {}
            () = partner.tls().replaced(&shown) => {}
        }
        // What is being answered may be finished.
        ending.begin();
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = served => {}
        () = end => {}
    }
}

/// How long to wait after so many failures: twice as long after each, of which a random half or more, so that the
/// partners of a hub that restarts do not all come at once.
fn pause(failures: u32, random: u8) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    longest / 2 + longest / 2 * u32::from(random) / u32::from(u8::MAX)
}

/// A random number; the pauses are only less spread where the operating system gives none.
fn random() -> u8 {
    let mut byte = [0];
    let _ = SystemRandom::new().fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread() {
        assert_eq!(pause(0, 0), FIRST_PAUSE / 2);
        assert_eq!(pause(0, u8::MAX), FIRST_PAUSE);
        assert_eq!(pause(3, u8::MAX), FIRST_PAUSE * 8);
        for failures in [20, u32::MAX] {
            assert_eq!(pause(failures, 0), LONGEST_PAUSE / 2);
            assert_eq!(pause(failures, u8::MAX), LONGEST_PAUSE);
        }
    }
}
