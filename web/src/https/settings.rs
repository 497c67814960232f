//! What `syncd.yaml` and `tieup.yaml` say about HTTPS, under the key `https`.

use std::path::{Path, PathBuf};

use rustls::pki_types::DnsName;
use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;

use super::acme::FOLDER;
use super::hsts::Hsts;
use super::pair::PairFiles;

/// The key.
const KEY: &str = "https:";

/// The directory of Let's Encrypt, which gives certificates to anybody at no charge.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The most host names in one certificate that authorities commonly give.
const MOST_HOSTS: usize = 100;

/// The key as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    listen: String,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    acme: Option<AcmeDocument>,
    #[serde(default)]
    hsts: Hsts,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcmeDocument {
    hosts: Vec<String>,
    contact: Option<String>,
    directory: Option<String>,
    root: Option<PathBuf>,
    #[serde(default)]
    agree: bool,
}

/// HTTPS for visitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// Where it is served, host and port.
    pub listen: String,
    /// Where the certificate comes from.
    pub source: Source,
    /// For how long browsers are told to come by HTTPS alone.
    pub hsts: Hsts,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From files that somebody else renews.
    Files(PairFiles),
    /// From an authority that is asked for it.
    Acme(Acme),
}

/// An authority that gives certificates by ACME (RFC 8555), and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The host names of the site, all of which lead to this machine.
    pub hosts: Vec<String>,
    /// Where the authority writes to, `mailto:`.
    pub contact: Option<String>,
    /// The address of the authority's directory.
    pub directory: String,
    /// The certificate that the directory's own TLS is certified by, PEM, where no public authority did.
    pub root: Option<PathBuf>,
}

impl Https {
    /// What `document` says, which stands in the file of `source`: its name and its text. Relative paths are relative to
    /// `folder`.
    ///
    /// # Errors
    /// When something is missing, too much or wrong.
    pub fn of(source: (&str, &str), folder: &Path, document: Document) -> Result<Self, Diagnostic> {
        let Document { listen, certificate, key, acme, hsts } = document;
        let problem = |message: &str, help: &str| wrong(source, "", message).help(help);
        if listen.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            let message = format!("`{listen}` is not an address to listen at");
            return Err(wrong(source, &listen, &message).help("write it like 0.0.0.0:443"));
        }
        let source = match (certificate, key, acme) {
            (Some(certificate), Some(key), None) => {
                Source::Files(PairFiles { certificate: folder.join(certificate), key: folder.join(key) })
            }
            (None, None, Some(acme)) => Source::Acme(Acme::of(source, folder, acme)?),
            (None, None, None) => {
                let help = "name the files as `certificate` and `key`; or let one be made and renewed: \
                            `acme: {hosts: [shop.example], contact: me@shop.example, agree: true}`";
                return Err(problem("it is not said where the certificate for visitors comes from", help));
            }
            (_, _, Some(_)) => {
                return Err(problem("`acme` stands beside files", "take out `certificate` and `key`, or `acme`"));
            }
            _ => {
                let help = "give both files: the certificate with its chain, and its key";
                return Err(problem("`certificate` and `key` belong together, and one is missing", help));
            }
        };
        Ok(Self { listen, source, hsts })
    }

    /// The files of the certificate, where the state folder is `state`.
    pub fn files(&self, state: &Path) -> PairFiles {
        match &self.source {
            Source::Files(files) => files.clone(),
            Source::Acme(_) => super::acme::files(&state.join(FOLDER)),
        }
    }
}

impl Acme {
    fn of(source: (&str, &str), folder: &Path, document: AcmeDocument) -> Result<Self, Diagnostic> {
        let AcmeDocument { hosts, contact, directory, root, agree } = document;
        if hosts.is_empty() || hosts.len() > MOST_HOSTS {
            let help = format!("write between 1 and {MOST_HOSTS} names: `hosts: [shop.example, www.shop.example]`");
            return Err(wrong(source, "hosts", "the certificate has no host name, or too many").help(help));
        }
        let hosts: Result<Vec<_>, _> = hosts.iter().map(|name| host(source, name)).collect();
        let directory = directory.unwrap_or_else(|| LETS_ENCRYPT.to_owned());
        if !directory.starts_with("https://") {
            let message = format!("`{directory}` is not the address of an ACME directory");
            return Err(wrong(source, &directory, &message).help("it begins with https://"));
        }
        if !agree {
            let message = "the certificate authority's terms have to be agreed to";
            let help = format!("read them: {directory} names them; then write `agree: true` beside `hosts`");
            return Err(wrong(source, "acme", message).help(help));
        }
        let contact = contact.map(|contact| mailbox(source, &contact)).transpose()?;
        Ok(Self { hosts: hosts?, contact, directory, root: root.map(|root| folder.join(root)) })
    }
}

/// A host name that an authority can look up.
fn host(source: (&str, &str), name: &str) -> Result<String, Diagnostic> {
    let lower = name.to_ascii_lowercase();
    let is_name = DnsName::try_from(lower.as_str()).is_ok() && !lower.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if is_name && !lower.ends_with('.') {
        return Ok(lower);
    }
    let help = "write it like shop.example, without https:// and without *; a name with other letters in its xn-- form";
    Err(wrong(source, name, &format!("`{name}` is no host name that a certificate can be had for")).help(help))
}

/// A mail address as a URI, with or without `mailto:` before it.
fn mailbox(source: (&str, &str), text: &str) -> Result<String, Diagnostic> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let is_address = address.split_once('@').is_some_and(|(who, place)| !who.is_empty() && !place.contains('@'));
    if is_address
        && !address.contains([' ', ',', '?'])
        && DnsName::try_from(address.rsplit('@').next().unwrap_or("")).is_ok()
    {
        return Ok(format!("mailto:{address}"));
    }
    Err(wrong(source, text, &format!("`{text}` is no mail address")).help("write it like me@shop.example"))
}

fn wrong((file, text): (&str, &str), at: &str, message: &str) -> Diagnostic {
    let problem = Diagnostic::new("wrong-value", file, message);
    if at == KEY { problem.at_text(text, KEY) } else { problem.at_word(text, KEY, at) }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::yaml;

    use super::*;

    #[derive(Deserialize)]
    struct Whole {
        https: Document,
    }

    fn read(https: &str) -> Result<Https, Diagnostic> {
        let text = format!("https: {https}\n");
        let whole: Whole = yaml::parse("syncd.yaml", &text)?;
        Https::of(("syncd.yaml", &text), Path::new("/etc/tieup"), whole.https)
    }

    #[test]
    fn files_are_relative_to_the_configuration() {
        let https = read("{listen: '0.0.0.0:443', certificate: full.pem, key: /k.pem, hsts: 180d}").unwrap();
        let files = PairFiles { certificate: "/etc/tieup/full.pem".into(), key: "/k.pem".into() };
        assert_eq!(https.files(Path::new("/state")), files);
        assert_eq!(https.source, Source::Files(files));
        assert_eq!(https.hsts.header(), "max-age=15552000");
    }

    #[test]
    fn an_authority_is_lets_encrypt_unless_another_is_named() {
        let https =
            read("{listen: ':443', acme: {hosts: [Shop.Example], contact: me@shop.example, agree: true}}").unwrap();
        let Source::Acme(acme) = https.source else { panic!("{https:?}") };
        assert_eq!(
            (acme.hosts, acme.contact.as_deref()),
            (vec!["shop.example".to_owned()], Some("mailto:me@shop.example"))
        );
        assert_eq!((acme.directory.as_str(), acme.root), (LETS_ENCRYPT, None));
        let own = "directory: 'https://ca.example/dir', root: ca.pem, contact: 'mailto:a@b.example'";
        let https = read(&format!("{{listen: ':443', acme: {{hosts: [a.example], agree: true, {own}}}}}")).unwrap();
        let Source::Acme(acme) = https.source else { panic!("{https:?}") };
        assert_eq!(acme.root, Some("/etc/tieup/ca.pem".into()));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let acme = |inside: &str| format!("{{listen: ':443', acme: {{{inside}}}}}");
        for (text, says, helps) in [
            ("{listen: '0.0.0.0'}".to_owned(), "not an address to listen at", "0.0.0.0:443"),
            ("{listen: ':443'}".to_owned(), "not said where the certificate", "`acme: {hosts:"),
            ("{listen: ':443', key: k}".to_owned(), "one is missing", "both files"),
            ("{listen: ':443', key: k, acme: {hosts: [a.example]}}".to_owned(), "stands beside files", "take out"),
            (acme("hosts: [a.example]"), "terms have to be agreed to", "`agree: true`"),
            (acme("hosts: [], agree: true"), "no host name", "hosts: [shop"),
            (acme("hosts: ['*.a.example'], agree: true"), "`*.a.example` is no host name", "without *"),
            (acme("hosts: [10.0.0.1], agree: true"), "`10.0.0.1` is no host name", ""),
            (acme("hosts: ['https://a.example'], agree: true"), "is no host name", "without https://"),
            (acme("hosts: [a.example], agree: true, directory: 'http://x/'"), "not the address of an", "https://"),
            (acme("hosts: [a.example], agree: true, contact: nobody"), "`nobody` is no mail address", "me@shop"),
            ("{listen: ':443', hsts: 5}".to_owned(), "", ""),
            ("{listen: ':443', hsts: 180}".to_owned(), "", ""),
        ] {
            let problem = read(&text).unwrap_err();
            assert!(problem.message.contains(says), "{text}: {problem}");
            assert!(problem.help.as_deref().unwrap_or_default().contains(helps), "{text}: {problem}");
            assert_eq!(problem.span.map(|span| span.line), Some(1), "{text}");
        }
    }
}
