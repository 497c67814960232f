//! `syncd.yaml`: where the partner's site is, where the daemon keeps its state, and where it listens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::Reach;
use tieup_protocol::yaml;
use tieup_web::admin::AdminAddress;
use tieup_web::https::{self, Https};
use tieup_web::service::ListenAddress;
use tieup_web::site::Admission;

use crate::door::{Door, Listen, PublicUrl};
use crate::flow::Limits;
use crate::guard::Pace;
use crate::prompt::settings::{self, Ways};

/// A daemon's configuration, with paths made absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The partner's own site: originals, slot fills, `site.yaml`.
    pub site: PathBuf,
    /// The folder that the daemon alone writes.
    pub state: PathBuf,
    /// Where visitors are served, host and port.
    pub public: String,
    /// How visitors are served by HTTPS, if they are.
    pub https: Option<Https>,
    /// How many visitors are let in.
    pub visitors: Admission,
    /// Where those who watch over the daemon ask how it stands, if anywhere.
    pub admin: Option<AdminAddress>,
    /// Where main calls, host and port; none where the daemon dials main.
    pub peer: Option<String>,
    /// How main reaches the daemon.
    pub address: Reach,
    /// Where the operator's console is, if there is to be one.
    pub console: Option<Door>,
    /// Where the site is shown as the waiting release would make it, if it is to be.
    pub preview: Option<Door>,
    /// How the operator is told that a release waits.
    pub prompts: Ways,
    /// Whether changes of the partner's own pages wait for the operator.
    pub originals: OriginalsApproval,
    /// At which pace everything that is stored is read and checked.
    pub guard: Pace,
    /// How slowly a main site may send.
    pub transfer: Limits,
    /// Further main sites whose pages stand under the same public address, each configured as a daemon of its own would
    /// be, with a state folder below the home one's.
    pub mains: BTreeMap<SiteId, Config>,
}

/// The folder of the further main sites' folders, in the state folder and beside `syncd.yaml`.
const MAINS: &str = "mains";

/// What happens when the partner's own pages change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginalsApproval {
    /// They go live at once.
    #[default]
    Auto,
    /// They wait until the operator approves them.
    Ask,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "here")]
    site: PathBuf,
    state: PathBuf,
    public: ListenAddress,
    https: Option<https::Document>,
    #[serde(default)]
    visitors: Admission,
    admin: Option<AdminAddress>,
    peer: Option<ListenAddress>,
    address: Option<String>,
    console: Option<Listen>,
    console_url: Option<PublicUrl>,
    preview: Option<Listen>,
    preview_url: Option<PublicUrl>,
    #[serde(default)]
    prompts: settings::Document,
    #[serde(default)]
    originals: OriginalsApproval,
    #[serde(default)]
    guard: Pace,
    #[serde(default)]
    transfer: Limits,
    dial: Option<Dial>,
    #[serde(default)]
    mains: BTreeMap<SiteId, Section>,
}

/// What is said of a further main site.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    site: Option<PathBuf>,
    peer: Option<ListenAddress>,
    address: Option<String>,
    dial: Option<Dial>,
    console: Option<Listen>,
    console_url: Option<PublicUrl>,
    preview: Option<Listen>,
    preview_url: Option<PublicUrl>,
    originals: Option<OriginalsApproval>,
}

/// Whom the daemon dials.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Dial {
    Main,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

impl Config {
    /// Reads `file`. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// When the file cannot be read or a key is missing, unknown or wrong.
    pub fn load(file: &Path) -> Result<Self, Diagnostic> {
        Self::parse(file, &read(file)?)
    }

    /// The same for a daemon, which needs the partner's own site to be there.
    ///
    /// # Errors
    /// As [`Config::load`], and when there is no such folder.
    pub fn load_to_run(file: &Path) -> Result<Self, Diagnostic> {
        let text = read(file)?;
        let config = Self::parse(file, &text)?;
        if config.site.is_dir() {
            return Ok(config);
        }
        let message = format!("there is no folder {}", config.site.display());
        let written = config.site.file_name().unwrap_or_default().to_string_lossy();
        let help = "name the folder with your own `site.yaml` and pages, seen from the folder of this file";
        Err(Diagnostic::new("wrong-value", file.display().to_string(), message)
            .at_word(&text, "site:", &written)
            .help(help))
    }

    fn parse(file: &Path, text: &str) -> Result<Self, Diagnostic> {
        let name = file.display().to_string();
        let document: Document = yaml::parse(&name, text)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let (peer, address) = meeting(&name, document.dial, document.peer, document.address)?;
        let source = (name.as_str(), text);
        let home = Self {
            console: Door::of(source, "console", document.console, document.console_url)?,
            preview: Door::of(source, "preview", document.preview, document.preview_url)?,
            prompts: Ways::of(source, folder, document.prompts)?,
            site: folder.join(document.site),
            state: folder.join(document.state),
            public: document.public.0,
            https: document.https.map(|https| Https::of(source, folder, https)).transpose()?,
            visitors: document.visitors,
            admin: document.admin,
            peer,
            address,
            originals: document.originals,
            guard: document.guard,
            transfer: document.transfer,
            mains: BTreeMap::new(),
        };
        let mut mains = BTreeMap::new();
        for (main, section) in document.mains {
            let further = home.further(source, folder, &main, section);
            let further = further.map_err(|problem| problem.at_text(text, &format!("{main}:")))?;
            mains.insert(main, further);
        }
        Ok(Self { mains, ..home })
    }

    /// What `section` says of `main`; where it says nothing, this configuration's word stands.
    fn further(
        &self,
        source: (&str, &str),
        folder: &Path,
        main: &SiteId,
        section: Section,
    ) -> Result<Self, Diagnostic> {
        let (peer, address) = meeting(source.0, section.dial, section.peer, section.address)?;
        let own = Path::new(MAINS).join(main.as_str());
        Ok(Self {
            console: Door::of(source, "console", section.console, section.console_url)?,
            preview: Door::of(source, "preview", section.preview, section.preview_url)?,
            site: folder.join(section.site.as_deref().unwrap_or(&own)),
            state: self.state.join(own),
            peer,
            address,
            originals: section.originals.unwrap_or(self.originals),
            // The public address is the home one's matter.
            https: None,
            admin: None,
            ..self.clone()
        })
    }

    /// The socket by which the operator's commands reach the running daemon.
    pub fn control_socket(&self) -> PathBuf {
        self.state.join("control.sock")
    }
}

fn read(file: &Path) -> Result<String, Diagnostic> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format!("the configuration cannot be read: {error}");
        Diagnostic::new("unreadable", file.display().to_string(), message)
            .help("make one with `syncd init`, or name it with --config")
    })
}

/// Where the daemon waits for main, if it does, and how main reaches it.
fn meeting(
    file: &str,
    dial: Option<Dial>,
    peer: Option<ListenAddress>,
    address: Option<String>,
) -> Result<(Option<String>, Reach), Diagnostic> {
    match (dial, peer, address) {
        (Some(Dial::Main), None, None) => Ok((None, Reach::Line)),
        (Some(Dial::Main), ..) => {
            let title = "with `dial: main` no port is opened for the main site";
            Err(Diagnostic::new("wrong-value", file, title).help("take out `peer` and `address`, or `dial`"))
        }
        (None, Some(ListenAddress(peer)), address) => {
            let address = address.unwrap_or_else(|| peer.clone());
            Ok((Some(peer), Reach::Address(address)))
        }
        (None, None, _) => {
            let title = "it is not said how the daemon and the main site meet";
            let help = "give `peer`, where the main site calls; or `dial: main` if it cannot reach this machine";
            Err(Diagnostic::new("missing-key", file, title).help(help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Diagnostic> {
        load_in(&tempfile::tempdir().unwrap(), text)
    }

    fn load_in(folder: &tempfile::TempDir, text: &str) -> Result<Config, Diagnostic> {
        let file = folder.path().join("syncd.yaml");
        std::fs::write(&file, text).unwrap();
        Config::load(&file)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = load("state: s\npublic: 127.0.0.1:1\npeer: 127.0.0.1:2\n").unwrap();
        assert!(config.state.is_absolute() && config.state.ends_with("s"));
        assert_eq!(config.address, Reach::Address("127.0.0.1:2".to_owned()));
        assert_eq!(config.originals, OriginalsApproval::Auto);
        let asked = load("state: s\npublic: a:1\npeer: b:1\noriginals: ask\n").unwrap();
        assert_eq!(asked.originals, OriginalsApproval::Ask);
        assert_eq!(asked.guard, Pace::default());
        let slow = load("state: s\npublic: a:1\npeer: b:1\nguard: {mib_per_second: 1, grace_hours: 0}\n").unwrap();
        assert_eq!(asked.visitors, Admission::of(4096, 256));
        let few = load("state: s\npublic: a:1\npeer: b:1\nvisitors: {of_one_address: 8}\n").unwrap();
        assert_eq!(few.visitors, Admission::of(4096, 8));
        assert!(load("state: s\npublic: a:1\npeer: b:1\nvisitors: {connections: 0}\n").is_err());
        assert_eq!(slow.guard, Pace { every_hours: 6, mib_per_second: 1, grace_hours: 0 });
    }

    #[test]
    fn a_daemon_listens_for_main_or_dials_it() {
        let config = load("state: s\npublic: a:1\ndial: main\n").unwrap();
        assert_eq!((config.peer, config.address), (None, Reach::Line));
        let config = load("state: s\npublic: a:1\npeer: 0.0.0.0:2\naddress: b:3\n").unwrap();
        let address = Reach::Address("b:3".to_owned());
        assert_eq!((config.peer.as_deref(), config.address), (Some("0.0.0.0:2"), address));
        for (text, code) in [
            ("state: s\npublic: a:1\n", "missing-key"),
            ("state: s\npublic: a:1\npeer: a:2\ndial: main\n", "wrong-value"),
            ("state: s\npublic: a:1\naddress: a:2\ndial: main\n", "wrong-value"),
        ] {
            assert_eq!(load(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn row_003_05_further_main_sites_have_sections_and_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let text = "site: s\nstate: .syncd\npublic: a:1\npeer: b:1\noriginals: ask\nmains:\n  \
                    southern: {peer: 0.0.0.0:7453, address: shop.example:7453, originals: auto}\n  \
                    western: {dial: main, site: ../west, console: 127.0.0.1:7463}\n";
        let config = load_in(&folder, text).unwrap();
        let (southern, western) =
            (&config.mains[&"southern".parse().unwrap()], &config.mains[&"western".parse().unwrap()]);
        assert_eq!(southern.site, folder.path().join("mains/southern"));
        assert_eq!(southern.state, folder.path().join(".syncd/mains/southern"));
        assert_eq!((southern.public.as_str(), southern.originals), ("a:1", OriginalsApproval::Auto));
        assert_eq!(southern.address, Reach::Address("shop.example:7453".to_owned()));
        assert_eq!((&western.site, &western.peer), (&folder.path().join("../west"), &None));
        assert_eq!((western.originals, western.console.is_some()), (OriginalsApproval::Ask, true));
        assert!(southern.mains.is_empty() && southern.console.is_none());
    }

    #[test]
    fn the_configuration_in_the_documentation_is_one() {
        let page = include_str!("../../docs/several-mains.md");
        let text = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = load(text).unwrap();
        let names: Vec<&str> = config.mains.keys().map(SiteId::as_str).collect();
        assert_eq!(names, ["southern", "western"]);
    }

    #[test]
    fn a_further_main_site_is_held_to_the_same_rules_and_its_section_is_pointed_at() {
        for (section, code) in [
            ("southern: {site: x}", "missing-key"),
            ("southern: {peer: 'a:2', dial: main}", "wrong-value"),
            ("southern: {dial: main, console: 0.0.0.0:7460}", "wrong-value"),
        ] {
            let problem = load(&format!("{BEGIN}mains:\n  {section}\n")).unwrap_err();
            assert_eq!((problem.code, problem.span.map(|span| span.line)), (code, Some(5)), "{section}");
        }
        let problem = load(&format!("{BEGIN}mains: {{southern: {{dial: main, state: x}}}}\n")).unwrap_err();
        assert_eq!((problem.code, problem.message.as_str()), ("unknown-key", "unknown key `state`"));
        assert!(load(&format!("{BEGIN}mains: {{../x: {{dial: main}}}}\n")).is_err());
    }

    #[test]
    fn an_address_that_nobody_can_listen_at_is_pointed_at() {
        for (text, wrong, line) in [
            ("state: s\npublic: a:1\npeer: localhost\n", "localhost", 3),
            ("state: s\npublic: a:99999\npeer: b:1\n", "a:99999", 2),
            ("state: s\npublic: a:1\ndial: main\nmains:\n  southern: {peer: '7453'}\n", "7453", 5),
        ] {
            let problem = load(text).unwrap_err();
            assert!(problem.message.contains(&format!("`{wrong}` is not an address to listen at")), "{problem}");
            assert_eq!(problem.help.as_deref(), Some("write it like 127.0.0.1:8080"));
            assert_eq!(problem.span.as_ref().map(|span| span.line), Some(line), "{problem}");
        }
    }

    #[test]
    fn a_daemon_needs_the_folder_of_its_site() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("syncd.yaml");
        std::fs::write(&file, format!("{BEGIN}site: pages/nofolder\n")).unwrap();
        assert!(Config::load(&file).is_ok());
        let problem = Config::load_to_run(&file).unwrap_err();
        assert!(problem.message.ends_with("pages/nofolder"), "{problem}");
        assert_eq!(problem.span.as_ref().map(|span| (span.line, span.column)), Some((4, 13)), "{problem}");
        std::fs::create_dir_all(folder.path().join("pages/nofolder")).unwrap();
        assert!(Config::load_to_run(&file).is_ok());
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = load("state: s\npublic: a:1\npeers: b:1\n").unwrap_err();
        assert_eq!(error.code, "unknown-key");
        assert_eq!(error.help.as_deref(), Some("did you mean `peer`?"));
    }

    const BEGIN: &str = "state: s\npublic: a:1\npeer: b:1\n";

    #[test]
    fn what_the_operator_is_told_by_may_be_left_out() {
        let config = load(BEGIN).unwrap();
        assert_eq!((config.console, config.preview, config.prompts), (None, None, Ways::default()));
    }

    #[test]
    fn ways_are_read_with_the_files_they_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hook"), "whsec_bm90IGEgdmVyeSBnb29kIHNlY3JldA==\n").unwrap();
        std::fs::write(folder.path().join("pass"), "open sesame\n").unwrap();
        let text = format!(
            "{BEGIN}console: localhost:7460\npreview: 0.0.0.0:7470\npreview_url: https://preview.example/\nprompts:
  mail: {{to: [Shop <shop@example.com>], from: syncd@example.com, server: mail.example:465, user: u, password: pass}}
  webhook: {{url: https://hooks.example/x, secret: hook}}
  command: [espeak-ng, --stdin]\n"
        );
        let config = load_in(&folder, &text).unwrap();
        assert_eq!(config.console.unwrap().listen, "127.0.0.1:7460".parse().unwrap());
        let told: Vec<String> = config.prompts.all().map(|way| way.to_string()).collect();
        let all = [
            "mail to Shop <shop@example.com> by mail.example:465",
            "webhook https://hooks.example/x",
            "command espeak-ng --stdin",
        ];
        assert_eq!(told, all);
        assert!(!format!("{:?}", config.prompts).contains("sesame"), "a password is shown");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_to_do() {
        let mail = "to: [a@b.example], from: c@d.example, server:";
        let cases = [
            ("console: 7460", "`7460` is not an address to listen at", "write it like 127.0.0.1:7460"),
            ("console: 0.0.0.0:7460", "plain HTTP to other machines", "`console_url: https://...`"),
            ("preview_url: https://p.example/", "`preview_url` stands without `preview`", "write `preview: 127"),
            ("console_url: http://c.example/", "is not an address of a host", "write it like https://"),
            ("prompts: {command: []}", "the command is empty", "[espeak-ng, --stdin]"),
            ("prompts: {command: [./no/such/program]}", "there is no program `./no/such/program`", "chmod"),
            ("prompts: {sms: x}", "unknown key `sms`", "mail, webhook, command"),
            (
                "prompts: {webhook: {url: 'http://hooks.example/', secret: x}}",
                "`http://hooks.example/` is no",
                "https://",
            ),
            (
                "prompts: {webhook: {url: 'https://hooks.example/', secret: nofile}}",
                "`nofile` cannot be read",
                "whsec_",
            ),
            (
                "prompts: {mail: {to: [nobody], from: a@b.example, server: x:25}}",
                "`nobody` is no mail address",
                "write it",
            ),
            (
                &format!("prompts: {{mail: {{{mail} mail.example}}}}"),
                "`mail.example` is no mail server",
                "write it like",
            ),
            (
                &format!("prompts: {{mail: {{{mail} 'm.example:25', security: none}}}}"),
                "to another machine",
                "starttls",
            ),
            (&format!("prompts: {{mail: {{{mail} 'm.example:25', user: u}}}}"), "`user` stands without `password`", ""),
            (&format!("prompts: {{mail: {{{mail} 'm.example:25', trust: nofile}}}}"), "`nofile` cannot be read", "PEM"),
        ];
        for (line, says, helps) in cases {
            let problem = load(&format!("{BEGIN}{line}\n")).unwrap_err();
            assert!(problem.message.contains(says), "{line}: {problem}");
            assert!(problem.help.as_deref().unwrap_or_default().contains(helps), "{line}: {problem}");
            assert_eq!(problem.span.as_ref().map(|span| span.line), Some(4), "{line}: {problem}");
        }
    }
}
