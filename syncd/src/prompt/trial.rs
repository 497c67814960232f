//! `syncd prompt`: by which ways the operator is told, and whether they arrive.

use anyhow::bail;
use jiff::Timestamp;
use tieup_web::{complaint, say};

use super::notice::{Notice, Others, Subject};
use crate::config::Config;
use crate::door::Host;
use crate::identity::Identity;

/// Says by which ways the operator is told.
pub fn show(config: &Config) {
    let ways: Vec<String> = config.prompts.all().map(|way| format!("  {way}")).collect();
    if ways.is_empty() {
        say!("You are told by nothing but `syncd run` and the console: set ways under `prompts:` in syncd.yaml.");
    } else {
        say!("When a release waits for your word, you are told by:\n{}", ways.join("\n"));
        say!("Try them: syncd prompt --test");
    }
}

/// Sends a test by every way, and says what came of each.
///
/// # Errors
/// When the partner has not joined, or a way failed.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let ways: Vec<_> = config.prompts.all().collect();
    if ways.is_empty() {
        show(config);
        return Ok(());
    }
    let notice = notice(config)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut failed = 0;
    for way in &ways {
        match runtime.block_on(way.tell(&notice)) {
            Ok(()) => say!("{way}: done"),
            Err(error) => {
                failed += 1;
                say!("{way}: FAILED: {}", complaint::in_one_line(&error));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} ways failed", ways.len());
    }
    Ok(())
}

fn notice(config: &Config) -> anyhow::Result<Notice> {
    let Identity { main, partner, .. } = Identity::load(&config.state)?;
    let link = config.console.as_ref().map(|door| door.address(door.listen.port(), Host::Name));
    Ok(Notice { main, others: Others::None, partner, subject: Subject::Test, link, time: Timestamp::now() })
}
