//! What commands do and say where the partner has tie-ups with several main sites.

use std::fmt;

use anyhow::{Context as _, bail};
use tieup_protocol::ids::SiteId;
use tieup_store::durable;
use tieup_web::{complaint, say};

use super::arguments::Format;
use super::told::show;
use super::{ask_daemon, with_warnings};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, Command};
use crate::mains::Mains;

/// The file that a partner's site begins with.
const SITE_FILE: &str = "site.yaml";

/// How the main site that a command is about is named in it: nothing where there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meant(pub(super) Option<SiteId>);

impl Meant {
    /// How `main` is named in the commands of the partner that `config` describes.
    pub(super) fn of(config: &Config, main: &SiteId) -> Self {
        Self((!config.mains.is_empty()).then(|| main.clone()))
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |main| write!(f, " --main {main}"))
    }
}

/// Writes a `site.yaml` for the pages beside a further main site, where there is none: title and address are those of
/// the home site, since all stand under one address.
pub(super) fn begin_originals(config: &Config, seat: &Config) -> anyhow::Result<()> {
    let (file, home) = (seat.site.join(SITE_FILE), config.site.join(SITE_FILE));
    if file.exists() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&home).with_context(|| format!("{} cannot be read", home.display()))?;
    let is_shared = |line: &&str| ["title:", "base_url:", "language:"].iter().any(|key| line.starts_with(key));
    let lines: Vec<&str> = text.lines().filter(is_shared).collect();
    durable::create_dir_all(&seat.site)?;
    durable::write_file(&file, format!("{}\n", lines.join("\n")).as_bytes())?;
    say!("Wrote {}: your own pages beside this main site go below {}.", file.display(), seat.site.display());
    Ok(())
}

/// How every tie-up stands. One that does not answer is said to, and keeps none of the others from being shown.
pub(super) fn show_all(config: &Config, format: Format) -> anyhow::Result<()> {
    let mains = Mains::of(config)?;
    let mut stands = Vec::new();
    for (main, config) in mains.all() {
        let answer = ask_daemon(config, &Command::Status).map(|answer| with_warnings(config, answer));
        stands.push((main.cloned(), Clock::in_state(&config.state), answer));
    }
    if format == Format::Json {
        let told = |(main, _, stand): &(Option<SiteId>, Clock, anyhow::Result<Answer>)| {
            let stand = stand.as_ref().map_err(|error| complaint::in_one_line(error.as_ref()));
            serde_json::json!({"main": main, "status": stand.as_ref().ok(), "error": stand.as_ref().err()})
        };
        say!("{}", serde_json::to_string_pretty(&stands.iter().map(told).collect::<Vec<_>>())?);
    } else {
        for (number, (main, clock, stand)) in stands.iter().enumerate() {
            let before = if number == 0 { "" } else { "\n" };
            say!(
                "{before}{}",
                main.as_ref().map_or("no main site joined yet".to_owned(), |main| format!("with {main}:"))
            );
            match stand {
                Ok(answer) => show(None, answer, &Meant(main.clone()), clock),
                Err(error) => say!("{}", complaint::in_one_line(error.as_ref())),
            }
        }
    }
    if stands.iter().any(|(_, _, stand)| stand.is_err()) {
        bail!("not every tie-up is running");
    }
    Ok(())
}
