//! What a service manager is told: that the program is ready, how it stands, that it stops, that it still runs.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::listener::Shutdown;

/// The line to the service manager; where there is none, nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notice;

impl Notice {
    /// Says that the site is served, and how it stands, in a sentence.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(&in_a_line(status))]);
    }

    /// Says how it stands, in a sentence.
    pub fn status(self, status: &str) {
        tell(&[NotifyState::Status(&in_a_line(status))]);
    }

    /// Says that the program finishes what it has begun, and ends.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was begun")]);
    }

    /// Says twice within the time that the service manager allows that the program still runs, until `shutdown`. It is
    /// said by a task among the others: where those no longer get their turn, neither does it.
    pub async fn keep_alive(self, shutdown: Shutdown) {
        let Some(allowed) = sd_notify::watchdog_enabled().filter(|allowed| !allowed.is_zero()) else { return };
        let mut times = tokio::time::interval((allowed / 2).max(Duration::from_millis(1)));
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                _ = times.tick() => tell(&[NotifyState::Watchdog]),
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// The message is lines of `KEY=value`, so that a line break in a sentence would begin another key.
fn in_a_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_one_line() {
        assert_eq!(in_a_line("live\nMAINPID=1"), "live MAINPID=1");
    }
}
