//! What partners have agreed on by the record of the site's hub, as far as a command that needs no hub can see it.

use std::collections::BTreeMap;
use std::time::Duration;

use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_web::complaint;
use tokio::time::timeout;

use super::with_environment;
use crate::config::Config;
use crate::database::{Database, DatabaseError, ReleaseRow};
use crate::terms::not_later;

/// How long the hub's database may take to say it.
const PATIENCE: Duration = Duration::from_secs(6);

/// What is live at partners, and what waits there.
#[derive(Default)]
pub(super) struct Agreed {
    releases: BTreeMap<SiteId, Vec<ReleaseRow>>,
    /// Why that is not known, where there is a hub.
    pub(super) unknown: Option<String>,
}

impl Agreed {
    /// What the database of the hub of `config` says; nothing where there is no hub yet.
    pub(super) fn by(config: Option<&Config>) -> Self {
        let Some(config) = config else { return Self::default() };
        let config = match with_environment(config.clone()) {
            Ok(config) => config,
            Err(problem) => return Self::unknown(&problem.message),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime.map(|runtime| runtime.block_on(async { timeout(PATIENCE, standing(&config)).await })) {
            Ok(Ok(Ok(releases))) => Self { releases, unknown: None },
            Ok(Ok(Err(error))) => Self::unknown(&complaint::in_one_line(&error)),
            Ok(Err(_)) => Self::unknown("the hub's database does not answer"),
            Err(error) => Self::unknown(&complaint::in_one_line(&error)),
        }
    }

    /// What is wrong with `contract`, which is written as `text` in `file`, beside what its partner has agreed on.
    pub(super) fn problem(&self, contract: &Contract, file: &str, text: &str) -> Option<Diagnostic> {
        not_later(file, text, self.releases.get(&contract.id.partner)?)
    }

    /// What should be known of `contract` where other terms wait for the partner under its version or a higher one.
    pub(super) fn note(&self, contract: &Contract) -> Option<String> {
        let newest = self.releases.get(&contract.id.partner)?.first()?;
        let sent = Contract::parse("contract.yaml", &newest.contract).ok()?;
        let is_other = sent.digest() != contract.digest() && contract.id.version <= sent.id.version;
        (is_other && newest.state != ReleaseState::Live.word()).then(|| {
            let (version, release) = (sent.id.version, newest.version);
            let next = version.saturating_add(1);
            format!("release {release} brought other terms as version {version}: if it was approved, write `@{next}`")
        })
    }

    fn unknown(why: &str) -> Self {
        let note = format!("whether terms changed under a version that partners agreed on is not known: {why}");
        Self { releases: BTreeMap::new(), unknown: Some(note) }
    }
}

/// The releases that the partners of this main site have, or that wait there.
async fn standing(config: &Config) -> Result<BTreeMap<SiteId, Vec<ReleaseRow>>, DatabaseError> {
    let Some(database) = Database::look(&config.database).await? else { return Ok(BTreeMap::new()) };
    match database.bound().await? {
        Some((main, _)) if main == config.main.as_str() => database.standing_releases().await,
        _ => Ok(BTreeMap::new()),
    }
}
