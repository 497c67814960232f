//! Beacons: the contract's word on whether main counts visits to tie-up pages by itself, and between which addresses.
//!
//! A page with a beacon asks main for a picture that is none, and names its own address; which partner's copy it is on
//! main learns from the origin that browsers send along. So the page is the same at all partners that send to one place.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Document, Partnership};
use crate::decimal::Decimal;
use crate::diagnostic::Diagnostic;
use crate::path::SitePath;

/// The folder of main's public site below which beacons are answered: `/tieup-beacon/news/` is that of `/news/`.
pub const BEACON: &str = "/tieup-beacon";

/// The most origins that one partner's pages may be shown under.
const MOST_ORIGINS: usize = 20;

/// Where beacons go, and whose they are. A contract that has this says how far they may differ from the journal, too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacons {
    /// Main's public site, which answers and counts them. Visitors' browsers ask it for each tie-up page.
    pub to: WebOrigin,
    /// Where the partner's visitors are: a beacon that comes from elsewhere is not this partner's.
    pub from: Vec<WebOrigin>,
}

/// An origin as browsers tell it: scheme, host, and the port unless it is the scheme's own: `https://shop.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebOrigin(String);

/// Why a text is not a [`WebOrigin`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the origin of a site: write scheme and host alone, such as https://shop.example")]
pub struct InvalidOrigin(String);

/// The page that the beacon at `path` of main's public site is of; none where that is no beacon's.
pub fn beacon_page(path: &SitePath) -> Option<SitePath> {
    path.as_str().strip_prefix(BEACON)?.parse().ok()
}

impl WebOrigin {
    /// The origin as it stands in a header, which any policy may hold: letters, digits and `:/.-` alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for WebOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let origin = text.to_ascii_lowercase();
        let parse = || {
            let (scheme, authority) = origin.split_once("://")?;
            let usual = match scheme {
                "https" => ":443",
                "http" => ":80",
                _ => return None,
            };
            let (host, port) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
            let is_right = is_host(host) && (port.is_empty() || is_port(port));
            is_right.then(|| format!("{scheme}://{host}{}", if port == usual { "" } else { port }))
        };
        parse().map(Self).ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

/// Whether this is a host's name or an IPv4 address. A content security policy cannot name others.
fn is_host(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed)
}

/// Whether this is a colon and the number of a port, written as short as can be.
fn is_port(port: &str) -> bool {
    let digits = &port[1..];
    !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

impl TryFrom<String> for WebOrigin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl From<WebOrigin> for String {
    fn from(origin: WebOrigin) -> Self {
        origin.0
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Holds what a contract says of beacons against the rest of it.
pub(super) fn check(document: &Document, file: &str, text: &str) -> Result<(), Diagnostic> {
    let Some(beacons) = &document.beacons else { return Ok(()) };
    let at = |problem: Diagnostic, word: &str| Err(problem.at_word(text, "\nbeacons:", word));
    let problem = |code, message: String| Diagnostic::new(code, file, message);
    if document.partnership != Partnership::Inherited {
        let message = "beacons are on tie-up pages, and this partnership has none".to_owned();
        return at(problem("no-beacons", message).help("leave `beacons` out, or write `partnership: inherited`"), "to");
    }
    let Some(dispute) = &document.dispute else {
        let message = "beacons are compared with the journal, and nothing says how far they may differ".to_owned();
        let help = "add `dispute: {window: 30d, beacon_tolerance: \"2%\"}`";
        return at(problem("no-tolerance", message).help(help), "to");
    };
    let tolerance = dispute.beacon_tolerance;
    if tolerance.hundredths().is_negative() || tolerance.hundredths().is_above(Decimal::whole(100)) {
        let message = format!("{tolerance} does not lie between 0% and 100%");
        return Err(problem("bad-percentage", message).at_word(text, "\ndispute:", &tolerance.to_string()));
    }
    if !(1..=MOST_ORIGINS).contains(&beacons.from.len()) {
        let message = format!("`from` names {} origins; it may name 1 to {MOST_ORIGINS}", beacons.from.len());
        return at(problem("bad-origins", message), "from");
    }
    check_origins(beacons).or_else(|(message, origin)| at(problem("bad-origins", message), &origin))
}

/// What is wrong with the origins by themselves, and the one to point at.
fn check_origins(Beacons { to, from }: &Beacons) -> Result<(), (String, String)> {
    let told = |message: String, origin: &WebOrigin| Err((message, origin.to_string()));
    for (number, origin) in from.iter().enumerate() {
        if from[..number].contains(origin) {
            return told(format!("`from` names {origin} twice"), origin);
        }
        if origin == to {
            return told(format!("{origin} is main's own site: beacons from there are no partner's"), origin);
        }
        if origin.is_secure() && !to.is_secure() {
            return told(format!("pages of {origin} cannot ask {to}: browsers let HTTPS pages ask HTTPS alone"), to);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Contract;
    use super::*;

    const CONTRACT: &str = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");

    /// A contract with this line about beacons, and `from` replaced by `to` elsewhere.
    fn parse(line: &str, from: &str, to: &str) -> Result<Contract, Diagnostic> {
        assert!(CONTRACT.contains(from), "{from}");
        Contract::parse("contract.yaml", &format!("{}beacons: {line}\n", CONTRACT.replacen(from, to, 1)))
    }

    #[test]
    fn origins_are_written_as_browsers_tell_them() {
        for (text, origin) in [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443", "https://shop.example"),
            ("http://shop.example:80", "http://shop.example"),
            ("https://shop.example:8443", "https://shop.example:8443"),
            ("http://127.0.0.1:7000", "http://127.0.0.1:7000"),
        ] {
            assert_eq!(text.parse::<WebOrigin>().map(|origin| origin.to_string()), Ok(origin.to_owned()), "{text}");
        }
        for bad in [
            "",
            "shop.example",
            "ftp://shop.example",
            "https://",
            "https://shop.example/",
            "https://me@shop.example",
            "https://shop.example:",
            "https://shop.example:0",
            "https://shop.example:0443",
            "https://shop.example:99999",
            "https://shop.example; script-src *",
            "https://shop example",
            "https://*.example",
            "https://[::1]",
            "https://店.example",
        ] {
            assert!(bad.parse::<WebOrigin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_beacon_names_its_page() {
        for (path, page) in [
            ("/tieup-beacon/", Some("/")),
            ("/tieup-beacon/news/opening/", Some("/news/opening/")),
            ("/tieup-beacon", None),
            ("/tieup-beacons/", None),
            ("/news/", None),
        ] {
            let found = beacon_page(&path.parse().unwrap());
            assert_eq!(found.as_ref().map(SitePath::as_str), page, "{path}");
        }
    }

    #[test]
    fn a_contract_says_where_beacons_go_and_whose_they_are() {
        let line = "{to: https://nationwide.example, from: [https://harbor.example, https://www.harbor.example]}";
        let contract = parse(line, "x", "x").unwrap();
        let beacons = contract.beacons.as_ref().unwrap();
        assert_eq!((beacons.to.as_str(), beacons.from.len()), ("https://nationwide.example", 2));
        assert!(!contract.not_acted_on().contains(&"beacon_tolerance of dispute"));
        assert_eq!(Contract::parse("contract.yaml", CONTRACT).unwrap().beacons, None, "no third party by default");
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        let good = "{to: https://n.example, from: [https://h.example]}";
        let dispute = "dispute: {window: 30d, beacon_tolerance: \"2%\"}\n";
        for (line, from, to, code, word) in [
            (good, "partnership: inherited", "partnership: framework", "no-beacons", "to"),
            (good, dispute, "", "no-tolerance", "to"),
            (good, "\"2%\"}", "\"102%\"}", "bad-percentage", "102%"),
            ("{to: https://n.example, from: []}", "x", "x", "bad-origins", "from"),
            (
                "{to: https://n.example, from: [https://a.example, https://a.example]}",
                "x",
                "x",
                "bad-origins",
                "https://a.example",
            ),
            ("{to: https://n.example, from: [https://n.example]}", "x", "x", "bad-origins", "https://n.example"),
            ("{to: http://n.example, from: [https://h.example]}", "x", "x", "bad-origins", "http://n.example"),
        ] {
            let problem = parse(line, from, to).unwrap_err();
            let span = problem.span.clone().unwrap();
            let pointed: String = span.text.chars().skip(span.column - 1).take(span.length).collect();
            assert_eq!((problem.code, pointed.as_str()), (code, word), "{line}: {problem}");
        }
        for bad in ["{to: n.example, from: [https://h.example]}", "{to: https://n.example}", "{on: yes}"] {
            assert!(parse(bad, "x", "x").is_err(), "{bad}");
        }
    }
}
