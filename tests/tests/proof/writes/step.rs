//! What a daemon is asked to do while a write fails, what stands in the way of it, and how it is known to be done.

use std::fs;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::wire::StatementVerdict;
use tieup_syncd::control::{Answer, Command};
use tieup_syncd::identity::Identity;
use tieup_tests::marked::{self, Seen};
use tieup_tests::world::site_id;
use tieup_tests::{child, told};
use tieup_web::certificate::Certificate;

use super::Shop;

/// How long what happens by itself may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a certificate has been held when it is due.
const DUE: SignedDuration = SignedDuration::from_hours(24 * 21);

/// What is done while a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A release arrives, and waits or goes live as its contract says.
    Pushing,
    /// The operator approves the release that waits.
    Approving,
    /// The operator approves it for tomorrow.
    Scheduling,
    /// The operator puts the release that waits aside.
    Holding,
    /// The operator lets go of it.
    Releasing,
    /// The operator says no to it.
    Rejecting,
    /// Main says that what is live is still the newest.
    Freshening,
    /// The operator goes back to the release before.
    RollingBack,
    /// The partner's own page is merged anew.
    Merging,
    /// The operator approves a page of their own that changed.
    ApprovingOriginals,
    /// The operator declares an emergency.
    BeginningEmergency,
    /// The operator ends it.
    EndingEmergency,
    /// The guard finds damage, and mends it from what is here.
    Mending,
    /// Main sends what is lacking here.
    Restoring,
    /// The certificate is renewed.
    Renewing,
    /// Main revokes certificates.
    Revoking,
    /// Main hands over a statement.
    Stating,
    /// What older releases leave behind is swept.
    Sweeping,
}

impl Step {
    /// Every step.
    pub(super) const ALL: [Self; 18] = [
        Self::Pushing,
        Self::Approving,
        Self::Scheduling,
        Self::Holding,
        Self::Releasing,
        Self::Rejecting,
        Self::Freshening,
        Self::RollingBack,
        Self::Merging,
        Self::ApprovingOriginals,
        Self::BeginningEmergency,
        Self::EndingEmergency,
        Self::Mending,
        Self::Restoring,
        Self::Renewing,
        Self::Revoking,
        Self::Stating,
        Self::Sweeping,
    ];

    /// The kinds of files of which each is written at least once.
    pub(super) fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Pushing => {
                &["trust.json", "blobs/N.blobs", "releases/N", "audit.jsonl", "withdrawn.json", "live.json"]
            }
            Self::Approving | Self::RollingBack => {
                &["audit.jsonl", "withdrawn.json", "live.json", "releases/N/record.json"]
            }
            Self::Scheduling | Self::Holding | Self::Releasing | Self::Rejecting => {
                &["audit.jsonl", "releases/N/record.json"]
            }
            Self::Freshening => &["trust.json"],
            Self::Merging => &["blobs/N.blobs", "live.json", "extents.json"],
            Self::ApprovingOriginals => &["audit.jsonl", "originals", "live.json"],
            Self::BeginningEmergency | Self::EndingEmergency => &["audit.jsonl", "emergency.json", "live.json"],
            Self::Mending => &["quarantine", "quarantine/*", "releases/N/contract.yaml", "audit.jsonl"],
            Self::Restoring => &["blobs/N.blobs", "audit.jsonl"],
            Self::Renewing => &["identity.json"],
            Self::Revoking => &["revocations.pem", "revocations-copy.pem"],
            Self::Stating => &["statements", "statements/N-N.json"],
            Self::Sweeping => &["blobs/N.blobs", "releases/N"],
        }
    }

    /// Whether there has to be a release that waits.
    fn needs_an_open_release(self) -> bool {
        matches!(self, Self::Approving | Self::Scheduling | Self::Holding | Self::Releasing | Self::Rejecting)
    }

    /// Whether people are told no more than that the daemon failed, or what is still lacking.
    pub(super) fn is_told_briefly(self) -> bool {
        matches!(self, Self::Revoking | Self::Mending | Self::Restoring)
    }

    /// Whether a visitor may see `seen` at the end of a step, who saw `before`; `mark` is that of what was written last.
    pub(super) fn allows(self, seen: Seen, before: Seen, mark: u64) -> bool {
        match self {
            Self::Pushing | Self::Approving => [before.mark, mark].contains(&seen.mark),
            Self::RollingBack => seen.mark <= before.mark,
            _ => seen.mark == before.mark,
        }
    }
}

impl Shop {
    /// What stands in the way of the step is done; what is served then.
    pub(super) async fn prepare(&mut self, step: Step) -> Seen {
        if step == Step::Pushing || step.needs_an_open_release() {
            self.mark += 1;
            marked::write_release(&self.world, self.mark);
        }
        if step.needs_an_open_release() {
            self.world.publish("north").await;
        }
        match step {
            Step::Releasing => {
                let (version, manifest) = self.open_release();
                self.ask(&Command::Hold { version, manifest, reason: None }).unwrap();
            }
            Step::Merging => {
                self.note += 1;
                // Pages that are as long as before would be nothing new to note.
                let _ = fs::remove_file(self.world.state("north").join("extents.json"));
            }
            Step::ApprovingOriginals => self.stage_original(),
            Step::EndingEmergency => self.ask(&self.emergency()).unwrap(),
            Step::Restoring => self.damage_a_page_of_mains(),
            Step::Renewing => self.serial = Some(self.world.daemon("north").tls().certificate().serial),
            Step::Stating => self.forget_statements().await,
            _ => {}
        }
        let before = self.seen("before");
        if step == Step::Mending {
            self.damage_what_can_be_mended_here();
        }
        before
    }

    /// Does the step.
    pub(super) async fn take(&self, step: Step) -> Result<(), String> {
        let daemon = self.world.daemon("north");
        match step {
            Step::Pushing => self.world.try_publish("north").await.map(drop).map_err(|error| told(&error)),
            Step::Approving | Step::Scheduling | Step::Holding | Step::Releasing | Step::Rejecting => {
                self.ask(&self.decision(step))
            }
            Step::Freshening => {
                let row = self.world.hub().partner(&site_id("north")).await.unwrap();
                self.world.hub().refresh(&row, Timestamp::now()).await.map(drop).map_err(|error| told(&error))
            }
            Step::RollingBack => self.ask(&Command::RollBack { version: None }),
            Step::Merging => {
                marked::write_original(&self.world.partner("north").config.site, self.note);
                daemon.publisher().refresh_originals().map(drop).map_err(|error| told(&error))
            }
            Step::ApprovingOriginals => {
                let digest = daemon.publisher().waiting_originals().unwrap().digest;
                self.ask(&Command::ApproveOriginals { digest })
            }
            Step::BeginningEmergency => self.ask(&self.emergency()),
            Step::EndingEmergency => self.ask(&Command::EndEmergency),
            Step::Mending => self.ask(&Command::Guard).and_then(|()| self.said_to_be_lacking()),
            Step::Restoring => self.be_restored().await,
            Step::Renewing => {
                let renewed = daemon.renew_if_due(Timestamp::now() + DUE).await;
                renewed.map(drop).map_err(|error| told(&error))
            }
            Step::Revoking => {
                let untold = self.world.hub().revoke_tls(Timestamp::now()).await.unwrap();
                untold.first().map_or(Ok(()), |untold| Err(told(&untold.error)))
            }
            Step::Stating => self.state().await.map(drop),
            Step::Sweeping => {
                let intake = daemon.intake().await;
                let swept = daemon.guard().sweep(daemon, &intake, Timestamp::MAX);
                swept.map(drop).map_err(|error| told(&error))
            }
        }
    }

    /// A step that was told as done is done, at once and after a restart.
    pub(super) fn assert_done(&self, step: Step, before: Seen, seen: Seen, context: &str) {
        let stands = |word: &str| self.world.releases("north")[0].state.word() == word;
        let is_done = match step {
            Step::Pushing => seen.mark == self.mark || stands("staged"),
            Step::Approving => seen.mark == self.mark,
            Step::RollingBack => seen.mark < before.mark,
            Step::Merging | Step::ApprovingOriginals => seen.note == self.note,
            Step::Scheduling => stands("approved"),
            Step::Holding => stands("held"),
            Step::Releasing => stands("staged"),
            Step::Rejecting => stands("rejected"),
            Step::BeginningEmergency => self.shows_beside("Ours.") && self.is_declared(),
            Step::EndingEmergency => self.shows_beside("Main's.") && !self.is_declared(),
            Step::Mending => self.lacks_nothing() && self.is_contract_whole(),
            Step::Restoring => self.lacks_nothing() && self.shows_beside("Main's."),
            Step::Renewing => self.kept_serial() != self.serial,
            // The copy alone that cannot be written is mended at the next start.
            Step::Revoking => self.knows_what_is_revoked(&["revocations.pem"]),
            Step::Stating => self.world.state("north").join("statements").read_dir().unwrap().count() == 1,
            Step::Sweeping | Step::Freshening => true,
        };
        assert!(is_done, "{context}: told as done, and {seen:?}");
    }

    /// What the step left half done is done, or ended.
    pub(super) async fn end(&mut self, step: Step, context: &str) {
        match step {
            Step::BeginningEmergency if !self.is_declared() => self.ask(&self.emergency()).unwrap(),
            Step::Mending => self.ask(&Command::Guard).unwrap(),
            Step::Restoring => {
                // What was damaged may have been forgotten with the daemon's memory.
                self.ask(&Command::Guard).unwrap();
                self.be_restored().await.unwrap();
            }
            Step::Renewing => {
                let renewed = self.world.daemon("north").renew_if_due(Timestamp::now() + DUE).await;
                renewed.unwrap_or_else(|error| panic!("{context}: {}", told(&error)));
            }
            Step::Stating => assert!(matches!(self.state().await, Ok(StatementVerdict::Identical)), "{context}"),
            _ => {}
        }
        if self.is_declared() {
            // The daemon merges the originals by itself, soon after its start.
            let until = Instant::now() + PATIENCE;
            while !self.shows_beside("Ours.") {
                assert!(Instant::now() < until, "{context}: the emergency is declared, and main's page is there");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.ask(&Command::EndEmergency).unwrap();
        }
        assert!(self.lacks_nothing() && self.is_contract_whole(), "{context}: something is lacking");
        if step == Step::Revoking {
            // The call that brings the next release tells what is revoked first.
            self.world.publish_to_all().await;
            let both = ["revocations.pem", "revocations-copy.pem"];
            assert!(self.knows_what_is_revoked(&both), "{context}: what is revoked is not known");
        }
    }

    fn decision(&self, step: Step) -> Command {
        let (version, manifest) = self.open_release();
        match step {
            Step::Approving => Command::Approve { version, manifest },
            Step::Scheduling => {
                Command::Schedule { version, manifest, at: Timestamp::now() + SignedDuration::from_hours(24) }
            }
            Step::Holding => Command::Hold { version, manifest, reason: None },
            Step::Releasing => Command::Release { version, manifest },
            _ => Command::Reject { version, manifest, reason: "too dear".to_owned() },
        }
    }

    fn emergency(&self) -> Command {
        Command::BeginEmergency { reason: format!("the shop burns, {}", self.mark) }
    }

    /// The release that is open, and its manifest.
    fn open_release(&self) -> (ReleaseVersion, Digest) {
        let open = self.world.daemon("north").publisher().waiting().unwrap();
        (open.version, open.manifest)
    }

    /// Gives the daemon a command as its operator does.
    fn ask(&self, command: &Command) -> Result<(), String> {
        let socket = self.world.partner("north").config.control_socket();
        match tokio::task::block_in_place(|| child::ask(&socket, command)) {
            Ok(Answer::Refused { causes }) => Err(causes.join("\n")),
            Ok(_) => Ok(()),
            Err(error) => panic!("{command:?} was not answered: {error}"),
        }
    }

    fn stage_original(&mut self) {
        self.note += 1;
        marked::write_original(&self.world.partner("north").config.site, self.note);
        self.world.daemon("north").publisher().refresh_originals().unwrap();
    }

    fn is_declared(&self) -> bool {
        self.world.daemon("north").publisher().emergency().is_some()
    }

    /// Whether the page that both have says these words.
    fn shows_beside(&self, words: &str) -> bool {
        let page = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.world.get("north", "/beside/"))
        });
        page.status == 200 && page.text.contains(words)
    }

    /// The contract of the live release, and the partner's own page, of which both can be had here.
    fn damage_what_can_be_mended_here(&self) {
        fs::write(self.live_contract(), "damaged").unwrap();
        self.world.damage("north", &self.world.served("north", "/local/aside/"));
    }

    fn damage_a_page_of_mains(&self) {
        self.world.damage("north", &self.world.served("north", "/beside/"));
        self.ask(&Command::Guard).unwrap();
        assert!(!self.lacks_nothing(), "nothing is lacking");
    }

    fn live_contract(&self) -> std::path::PathBuf {
        let live = self.world.daemon("north").publisher().live_version().unwrap();
        self.world.state("north").join(format!("releases/{live}/contract.yaml"))
    }

    fn is_contract_whole(&self) -> bool {
        fs::read(self.live_contract()).is_ok_and(|text| text != b"damaged")
    }

    fn lacks_nothing(&self) -> bool {
        self.world.daemon("north").guard().report().drift.is_none()
    }

    fn said_to_be_lacking(&self) -> Result<(), String> {
        let report = self.world.daemon("north").guard().report();
        report.drift.map_or(Ok(()), |drift| Err(format!("still lacking: {drift:?}")))
    }

    /// Main reads how things stand, and sends what is lacking.
    async fn be_restored(&self) -> Result<(), String> {
        let row = self.world.hub().partner(&site_id("north")).await.unwrap();
        let status = self.world.hub().status(&row).await.map_err(|error| told(&error))?;
        status.guard.drift.map_or(Ok(()), |drift| Err(format!("still lacking: {drift:?}")))
    }

    fn kept_serial(&self) -> Option<tieup_web::certificate::Serial> {
        let kept = Identity::load(&self.world.state("north")).unwrap();
        Certificate::from_pem(&kept.certificate).ok().map(|certificate| certificate.serial)
    }

    /// Whether main's newest list of what is revoked is in force, and kept in these files.
    fn knows_what_is_revoked(&self, files: &[&str]) -> bool {
        let newest = self.world.hub().tls().revocations().current();
        let kept = |name: &&str| fs::read_to_string(self.world.state("north").join(name)).unwrap_or_default();
        let is_in_force = self.world.daemon("north").tls().revocations().current().number() == newest.number();
        is_in_force && files.iter().all(|name| kept(name) == newest.pem())
    }

    async fn forget_statements(&self) {
        self.world.collect("north").await;
        let _ = fs::remove_dir_all(self.world.state("north").join("statements"));
    }

    async fn state(&self) -> Result<StatementVerdict, String> {
        let row = self.world.hub().partner(&site_id("north")).await.unwrap();
        let stated = self.world.hub().statement(&row, self.world.month("north"), Timestamp::now()).await;
        stated.map(|delivered| delivered.verdict).map_err(|error| told(&error))
    }
}
