//! `prompts:` of `syncd.yaml`: by which ways the operator is told, checked and with the files they name read.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;

use super::command::{Argv, Program};
use super::mail::{Address, Login, Mail, Security, Server};
use super::notice::Notice;
use super::trust::Authorities;
use super::webhook::{HookUrl, Secret, Webhook};

/// The ways by which the operator is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    mail: Option<Mail>,
    webhook: Option<Webhook>,
    command: Option<Program>,
}

/// One way to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A mail.
    Mail(Mail),
    /// A signed HTTP request.
    Webhook(Webhook),
    /// A program that is run here: one that speaks, say.
    Command(Program),
}

/// Why the operator was not told by a way.
#[derive(Debug, thiserror::Error)]
pub enum NotTold {
    /// The mail server did not take the mail, or could not be reached.
    #[error("the mail was not taken")]
    Mail(#[source] lettre::transport::smtp::Error),
    /// The mail cannot be written.
    #[error("the mail cannot be written")]
    Letter(#[source] lettre::error::Error),
    /// The other end could not be reached.
    #[error("the webhook cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The other end answered, and not with success.
    #[error("the webhook answered {0}")]
    Answer(u16),
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The program cannot be run.
    #[error("the program `{0}` cannot be run")]
    Run(String, #[source] std::io::Error),
    /// The program failed.
    #[error("the program ended with {0}")]
    Failed(String),
    /// It took too long.
    #[error("it took longer than {0} seconds")]
    TooSlow(u64),
}

/// As it stands in the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    mail: Option<MailDocument>,
    webhook: Option<WebhookDocument>,
    command: Option<Argv>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailDocument {
    to: Vec<Address>,
    from: Address,
    server: Server,
    security: Option<Security>,
    user: Option<String>,
    password: Option<PathBuf>,
    trust: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookDocument {
    url: HookUrl,
    secret: PathBuf,
    trust: Option<PathBuf>,
}

/// The document that is being read: problems point into it.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
    folder: &'a Path,
}

impl Ways {
    /// Checks what the document says, and reads the files that it names. They are relative to `folder`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub(crate) fn of((file, text): (&str, &str), folder: &Path, document: Document) -> Result<Self, Diagnostic> {
        let source = Source { file, text, folder };
        Ok(Self {
            mail: document.mail.map(|mail| source.mail(mail)).transpose()?,
            webhook: document.webhook.map(|webhook| source.webhook(webhook)).transpose()?,
            command: document.command.map(|argv| source.command(argv)).transpose()?,
        })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Way> {
        let mail = self.mail.clone().map(Way::Mail);
        mail.into_iter().chain(self.webhook.clone().map(Way::Webhook)).chain(self.command.clone().map(Way::Command))
    }
}

impl Way {
    /// The key under which it stands in `syncd.yaml`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    /// Tells the operator, once, within a bounded time.
    ///
    /// # Errors
    /// When they may not have been told.
    pub async fn tell(&self, notice: &Notice) -> Result<(), NotTold> {
        match self {
            Self::Mail(mail) => mail.send(notice).await,
            Self::Webhook(webhook) => webhook.post(notice).await,
            Self::Command(program) => program.run(notice).await,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(mail) => mail.fmt(f),
            Self::Webhook(webhook) => webhook.fmt(f),
            Self::Command(program) => program.fmt(f),
        }
    }
}

impl Source<'_> {
    fn mail(&self, document: MailDocument) -> Result<Mail, Diagnostic> {
        let security = document.security.unwrap_or_else(|| document.server.usual_security());
        if document.to.is_empty() {
            return Err(self.wrong("to", "the mail goes to nobody").help("write `to: [shop@example.com]`"));
        }
        if security == Security::None && !document.server.is_loopback() {
            let problem = self.wrong("security", "the mail would go to another machine without TLS");
            return Err(problem.help("write `security: starttls`, or `security: tls`"));
        }
        let login = match (document.user, document.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some(Login { user, password: self.password(&password)? }),
            (Some(_), None) => return Err(self.wrong("user", "`user` stands without `password`").help(PASSWORD)),
            (None, Some(_)) => return Err(self.wrong("password", "`password` stands without `user`")),
        };
        let authorities = self.authorities(document.trust)?;
        Ok(Mail { to: document.to, from: document.from, server: document.server, security, login, authorities })
    }

    fn webhook(&self, document: WebhookDocument) -> Result<Webhook, Diagnostic> {
        let (name, text) = self.read(&document.secret, SECRET)?;
        let secret = text.trim().parse::<Secret>();
        let secret = secret.map_err(|error| self.wrong(&name, &format!("{name}: {error}")).help(SECRET))?;
        Ok(Webhook { url: document.url, secret, authorities: self.authorities(document.trust)? })
    }

    fn command(&self, argv: Argv) -> Result<Program, Diagnostic> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { self.folder };
        let program = Program { argv, folder: folder.to_owned() };
        if program.is_missing() {
            let message = format!("there is no program `{}`", program.argv.name());
            let help = "put it there, relative to this file, and let it be run: `chmod +x`";
            return Err(self.wrong(program.argv.name(), &message).help(help));
        }
        Ok(program)
    }

    fn password(&self, file: &Path) -> Result<super::mail::Password, Diagnostic> {
        let (name, text) = self.read(file, PASSWORD)?;
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() || line.contains(['\r', '\n']) {
            return Err(self.wrong(&name, &format!("the file `{name}` does not hold one password")).help(PASSWORD));
        }
        Ok(super::mail::Password(line.to_owned()))
    }

    fn authorities(&self, file: Option<PathBuf>) -> Result<Authorities, Diagnostic> {
        let Some(file) = file else { return Ok(Authorities::default()) };
        let (name, text) = self.read(&file, TRUST)?;
        let read = Authorities::from_pem(&text);
        read.ok_or_else(|| self.wrong(&name, &format!("the file `{name}` holds no certificate")).help(TRUST))
    }

    /// A file that the document names, with its name there.
    fn read(&self, file: &Path, help: &str) -> Result<(String, String), Diagnostic> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(self.folder.join(file));
        let problem = |error| self.wrong(&name, &format!("the file `{name}` cannot be read: {error}")).help(help);
        text.map_err(problem).map(|text| (name.clone(), text))
    }

    /// A problem at `word`, where that stands below `prompts`.
    fn wrong(&self, word: &str, message: &str) -> Diagnostic {
        Diagnostic::new("wrong-value", self.file, message).at_word(self.text, "prompts", word)
    }
}

const PASSWORD: &str = "write the password alone into a file that only you can read, and name it: `password: FILE`";
const SECRET: &str = "put the receiver's signing secret there; it begins with `whsec_`";
const TRUST: &str = "it holds the certificate of an authority besides the usual ones, as PEM text";
