//! `tieup key`: who signs what, new keys, new roots, and signatures that people give on other machines.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::Timestamp;
use tieup_store::durable;
use tieup_web::{say, terminal};
use tough::schema::{Root, Signed};

use super::revoke;
use super::site::describe;
use crate::partners::Hub;
use crate::trust::{Installed, PublicKey, Role, RootDraft, SigningKey, SigningRequest, id_text};

#[derive(Subcommand)]
pub(super) enum KeyAction {
    /// Show who signs what, how many signatures are needed, and which keys are on this machine.
    Show,
    /// Make a key of your own. This needs no hub: do it on the machine where the key shall stay.
    Create {
        /// The file for the private key; give it to nobody.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft a new version of the root, which says who signs what. Without options it is only renewed.
    #[command(after_help = "\
Two people who sign releases together, with no release key on the hub:
  tieup key create --out sato.key                   (each on their own machine; it prints PUBLIC)
  tieup key rotate --add release=PUBLIC --add release=PUBLIC --remove ID --threshold release=2
  tieup key install root-2.json
The role `release` signs releases, `root` signs new roots, and `freshness` says that nothing newer is out;
the key for that stays on the hub.")]
    Rotate {
        /// Give a key to a role: `release=PUBLIC`.
        #[arg(long, value_name = "ROLE=PUBLIC")]
        add: Vec<Assignment<PublicKey>>,
        /// Take a key from every role; the beginning of its id is enough.
        #[arg(long, value_name = "ID")]
        remove: Vec<String>,
        /// How many signatures a role needs: `release=2`.
        #[arg(long, value_name = "ROLE=N")]
        threshold: Vec<Assignment<NonZeroU64>>,
        /// The draft's file; by default root-N.json here.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Draft a root without a key that was lost or stolen: as `rotate --remove ID`.
    Revoke {
        /// The beginning of the key's id.
        id: String,
        /// Give another key to a role in its place: `release=PUBLIC`.
        #[arg(long, value_name = "ROLE=PUBLIC")]
        add: Vec<Assignment<PublicKey>>,
        /// The draft's file; by default root-N.json here.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Revoke every TLS certificate that the hub has used so far, because its key may be stolen, and tell the partners.
    RevokeTls,
    /// Read what a file asks you to sign, and sign it. This needs no hub.
    Sign {
        /// The drafted root or the release that waits for signatures.
        file: PathBuf,
        /// Your key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Put a root in force, or send a release, once enough people have signed it.
    Install {
        /// The signed file; several copies of one, where people signed at the same time.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Something for a role, `ROLE=WHAT`.
#[derive(Clone, Debug)]
pub(super) struct Assignment<T> {
    role: Role,
    what: T,
}

impl<T: FromStr> FromStr for Assignment<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, what) = text.split_once('=').context("write ROLE=WHAT, such as release=2")?;
        Ok(Self { role: role.parse()?, what: what.parse()? })
    }
}

/// A file that people sign.
enum Signable {
    Root(Box<RootDraft>),
    Release(Box<SigningRequest>),
}

impl Signable {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        if let Ok(draft) = RootDraft::parse(&text) {
            return Ok(Self::Root(Box::new(draft)));
        }
        let request = SigningRequest::parse(&text);
        let request = request.with_context(|| format!("{} is neither a drafted root nor a release", file.display()))?;
        Ok(Self::Release(Box::new(request)))
    }
}

/// Makes a person's key.
pub(super) fn create(out: &Path) -> anyhow::Result<()> {
    let key = SigningKey::create(out)?;
    say!("Wrote {}: keep it to yourself, and a copy of it in a safe place.", out.display());
    say!("public: {}", key.public());
    say!("id:     {}", id_text(&key.public().id()));
    say!("Give the public part to whoever runs the hub: tieup key rotate --add release={}", key.public());
    Ok(())
}

/// Shows what a file asks for, and signs it.
pub(super) fn sign(file: &Path, key: &Path) -> anyhow::Result<()> {
    let key = SigningKey::read(key)?;
    let text = match Signable::read(file)? {
        Signable::Root(mut draft) => {
            say!("This is root version {}, which says who signs what:", draft.version());
            show_roles(draft.root(), &[]);
            draft.sign(&key)?;
            draft.text()
        }
        Signable::Release(mut request) => {
            show_release(&request)?;
            request.sign(&key)?;
            for tally in request.tallies() {
                say!("{tally}");
            }
            request.text()
        }
    };
    durable::write_file(file, text.as_bytes())?;
    say!(
        "Signed with {}. Send {} on, or back to the hub: tieup key install",
        id_text(&key.public().id()),
        file.display()
    );
    Ok(())
}

/// What a person has to know of a release before they sign it.
fn show_release(request: &SigningRequest) -> anyhow::Result<()> {
    let label = request.label()?;
    let (sha256, length) = request.manifest().context("the request names no manifest: do not sign it")?;
    say!("Release {} from {} for {}, under contract {}:", label.version, label.main, label.partner, label.contract.id);
    if let Some(reason) = &label.emergency {
        say!("  EMERGENCY ({reason}): where the contract lets it, it goes live without anybody's approval");
    }
    say!("  {} paths, {} bytes", label.entries, label.bytes);
    say!("  manifest {} ({length} bytes, sha256:{sha256})", label.manifest);
    say!("  signatures hold until {}", request.expires().strftime("%Y-%m-%d"));
    Ok(())
}

/// What needs a hub.
pub(super) async fn key(hub: &Hub, action: &KeyAction) -> anyhow::Result<()> {
    match action {
        KeyAction::Show => show(hub),
        KeyAction::Rotate { add, remove, threshold, out } => draft(hub, add, remove, threshold, out.as_deref()),
        KeyAction::Revoke { id, add, out } => draft(hub, add, std::slice::from_ref(id), &[], out.as_deref()),
        KeyAction::Install { files } => install(hub, files).await,
        KeyAction::RevokeTls => revoke::tls(hub).await,
        KeyAction::Create { out } => create(out),
        KeyAction::Sign { file, key } => sign(file, key),
    }
}

fn show(hub: &Hub) -> anyhow::Result<()> {
    let root: Signed<Root> = serde_json::from_str(&hub.keys.root()?)?;
    let here: Vec<(String, PathBuf)> =
        hub.keys.signing_keys()?.into_iter().map(|(file, key)| (id_text(&key.public().id()), file)).collect();
    let expires = root.signed.expires.strftime("%Y-%m-%d");
    say!("Root version {}, good until {expires}; it says who signs what:", root.signed.version);
    show_roles(&root.signed, &here);
    let named: Vec<String> = root.signed.keys.keys().map(id_text).collect();
    for (id, file) in here.iter().filter(|(id, _)| !named.contains(id)) {
        say!("  no role    {id}  {}", file.display());
    }
    Ok(())
}

/// Shows the roles of `root`, and of each key where it is on this machine.
fn show_roles(root: &Root, here: &[(String, PathBuf)]) {
    for role in Role::ALL {
        let Some(keys) = role.types().first().and_then(|kind| root.roles.get(kind)) else { continue };
        say!("  {:<10} needs {} of {}", role.name(), keys.threshold, keys.keyids.len());
        for id in keys.keyids.iter().map(id_text) {
            let place = here.iter().find(|(other, _)| *other == id).map(|(_, file)| file.display().to_string());
            say!("    {id}  {}", place.unwrap_or_default());
        }
    }
}

fn draft(
    hub: &Hub,
    add: &[Assignment<PublicKey>],
    remove: &[String],
    threshold: &[Assignment<NonZeroU64>],
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let current = hub.keys.root()?;
    let mut draft = RootDraft::after(&current, Timestamp::now())?;
    for id in remove {
        draft.remove(id)?;
    }
    for Assignment { role, what } in add {
        draft.add(*role, what);
    }
    for Assignment { role, what } in threshold {
        draft.set_threshold(*role, *what);
    }
    draft.check()?;
    for (_, key) in hub.keys.signing_keys()? {
        if draft.has_say(&current, key.public())? {
            draft.sign(&key)?;
        }
    }
    if !hub.keys.signing_keys()?.iter().any(|(_, key)| draft.may_sign(Role::Freshness, key.public())) {
        say!("CAUTION: under this root the hub has no key for `freshness`, and could publish nothing.");
    }
    let usual = PathBuf::from(format!("root-{}.json", draft.version()));
    let file = out.unwrap_or(&usual);
    if file.exists() {
        bail!("{} is there already; it is not replaced", file.display());
    }
    durable::write_file(file, draft.text().as_bytes())?;
    say!("Wrote {}, a draft of root version {}:", file.display(), draft.version());
    show_roles(draft.root(), &[]);
    let tallies = draft.tallies(&current)?;
    for tally in &tallies {
        say!("  {tally}");
    }
    if tallies.iter().all(crate::trust::Tally::is_met) {
        say!("Put it in force: tieup key install {}", file.display());
    } else {
        say!("Send it to whoever holds the other keys: tieup key sign {} --key THEIRS", file.display());
    }
    Ok(())
}

async fn install(hub: &Hub, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut root: Option<RootDraft> = None;
    for file in files {
        match (Signable::read(file)?, &mut root) {
            (Signable::Root(copy), Some(draft)) => draft.merge(*copy)?,
            (Signable::Root(copy), None) => root = Some(*copy),
            (Signable::Release(request), _) => install_release(hub, *request).await?,
        }
    }
    match root {
        Some(draft) => install_root(hub, draft).await,
        None => Ok(()),
    }
}

async fn install_root(hub: &Hub, draft: RootDraft) -> anyhow::Result<()> {
    let version = hub.keys.install_root(draft)?;
    say!("Root version {version} is in force. Keep a copy of {}.", hub.keys.dir().join("roots").display());
    for (partner, outcome) in hub.refresh_due(Timestamp::now()).await? {
        match outcome {
            Ok(refreshed) => say!("{partner}: {refreshed}"),
            Err(error) => {
                terminal::complain(&error);
                say!("{partner}: not told yet; `tieup hub` tries again, and the next release carries the root too.");
            }
        }
    }
    Ok(())
}

async fn install_release(hub: &Hub, request: SigningRequest) -> anyhow::Result<()> {
    let label = request.label()?;
    let (partner, version) = (label.partner, label.version);
    match hub.install_signatures(request).await? {
        Installed::Waiting(tallies) => {
            for tally in tallies {
                say!("{partner}: release {version}: {tally}");
            }
        }
        Installed::Sent(outcome) => say!("{partner}: {}", describe(&outcome)),
        Installed::Refreshed(refreshed) => say!("{partner}: {refreshed}"),
    }
    Ok(())
}
