//! Joining: the one-time token, the names in certificates and the code that two people compare.

use core::net::IpAddr; // a value, and no socket
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::SiteId;

/// What every token begins with.
const PREFIX: &str = "tieup1-";

/// Bytes of checksum at a token's end, so that a slip in copying is told from a refused token.
const CHECKSUM: usize = 4;

/// What main hands to a new partner, by a way that both trust: mail, a letter, a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Where main's hub answers joins: host and port.
    pub hub: String,
    /// The main site.
    pub main: SiteId,
    /// The partner that is invited.
    pub partner: SiteId,
    /// BLAKE3 of main's certificate authority (DER). The partner trusts no other.
    pub authority: Digest,
    /// What makes the token good for one use.
    pub secret: Secret,
}

/// 256 random bits. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(pub [u8; 32]);

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It does not begin as a token does.
    #[error("this is not a join token: one begins with `{PREFIX}`")]
    Prefix,
    /// A character was lost, added or changed.
    #[error("the token was damaged in copying: a character is missing or different")]
    Damaged,
}

/// How main reaches a partner's daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Reach {
    /// It listens at this address: host and port.
    Address(String),
    /// It has no address; it dials main and keeps lines open, over which main calls.
    Line,
}

/// For whom an address is good that is told to the other side: host and port, as a configuration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Nobody: `0.0.0.0` and `[::]` say to listen at every address, and lead whoever calls there back to themselves.
    Nobody,
    /// Programs on the same machine.
    ThisMachine,
    /// Others, as far as can be told.
    Others,
}

impl Range {
    /// That of `address`.
    pub fn of(address: &str) -> Self {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(ip) if ip.is_unspecified() => Self::Nobody,
            Ok(ip) if ip.is_loopback() => Self::ThisMachine,
            Err(_) if host.eq_ignore_ascii_case("localhost") => Self::ThisMachine,
            _ => Self::Others,
        }
    }
}

/// [`Reach::Line`] as text.
const LINE: &str = "line";

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let Self::Address(address) = self { address } else { LINE })
    }
}

impl From<String> for Reach {
    fn from(text: String) -> Self {
        if text == LINE { Self::Line } else { Self::Address(text) }
    }
}

impl From<Reach> for String {
    fn from(reach: Reach) -> Self {
        reach.to_string()
    }
}

impl Secret {
    /// What main keeps of the secret: enough to recognise it, useless to whoever reads it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl TryFrom<String> for Secret {
    type Error = InvalidToken;

    fn try_from(text: String) -> Result<Self, InvalidToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken::Damaged)?;
        bytes.try_into().map(Self).map_err(|_| InvalidToken::Damaged)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        URL_SAFE_NO_PAD.encode(secret.0)
    }
}

impl fmt::Display for Invitation {
    /// Writes the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(&digest.as_bytes()[..CHECKSUM]);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Invitation {
    type Err = InvalidToken;

    fn from_str(token: &str) -> Result<Self, InvalidToken> {
        let encoded = token.trim().strip_prefix(PREFIX).ok_or(InvalidToken::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidToken::Damaged)?;
        let split = bytes.len().checked_sub(CHECKSUM).ok_or(InvalidToken::Damaged)?;
        let (json, checksum) = bytes.split_at(split);
        if Digest::of(json).as_bytes()[..CHECKSUM] != *checksum {
            return Err(InvalidToken::Damaged);
        }
        serde_json::from_slice(json).map_err(|_| InvalidToken::Damaged)
    }
}

/// The DNS name in main's certificate. `.internal` is reserved for private use, so it never names a public host.
pub fn main_tls_name(main: &SiteId) -> String {
    format!("main.{main}.tieup.internal")
}

/// The DNS name in a partner's certificate.
pub fn partner_tls_name(main: &SiteId, partner: &SiteId) -> String {
    format!("{partner}.partner.{main}.tieup.internal")
}

/// The partner of `main` whose certificate has this DNS name; none where it is the name of something else.
pub fn partner_of_tls_name(main: &SiteId, name: &str) -> Option<SiteId> {
    name.strip_suffix(&format!(".partner.{main}.tieup.internal"))?.parse().ok()
}

/// The code that both ends show after a join, `481-902`: two people compare it to see that nobody stands between.
///
/// It depends on main's certificate authority and the partner's public key (its DER `SubjectPublicKeyInfo`).
pub fn compare_code(authority: Digest, partner_key: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tieup 2026 join compare code");
    hasher.update(authority.as_bytes()).update(partner_key);
    let bytes = *hasher.finalize().as_bytes();
    let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) % 1_000_000;
    format!("{:03}-{:03}", number / 1_000, number % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            hub: "127.0.0.1:4711".to_owned(),
            main: "nationwide".parse().unwrap(),
            partner: "sapporo".parse().unwrap(),
            authority: Digest::of(b"ca"),
            secret: Secret([9; 32]),
        }
    }

    #[test]
    fn a_token_survives_copying() {
        let token = invitation().to_string();
        assert_eq!(format!(" {token}\n").parse(), Ok(invitation()));
    }

    #[test]
    fn an_address_is_good_for_others_unless_it_names_every_address_or_this_machine() {
        let cases: [(Range, &[&str]); 3] = [
            (Range::Nobody, &["0.0.0.0:7440", "[::]:7440", "[::ffff:0.0.0.0]:7440"]),
            (Range::ThisMachine, &["127.0.0.1:7440", "127.8.0.1:1", "[::1]:7440", "localhost:7440", "LOCALHOST:1"]),
            (Range::Others, &["hub.example:7440", "10.0.0.1:7440", "[2001:db8::1]:7440", "localhost.example:1", ""]),
        ];
        for (range, addresses) in cases {
            for address in addresses {
                assert_eq!(Range::of(address), range, "{address}");
            }
        }
    }

    #[test]
    fn an_altered_token_is_refused() {
        let token = invitation().to_string();
        for at in PREFIX.len()..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(altered.parse::<Invitation>(), Err(InvalidToken::Damaged), "at {at}");
        }
        assert_eq!(token[..token.len() - 1].parse::<Invitation>(), Err(InvalidToken::Damaged));
        assert_eq!("hello".parse::<Invitation>(), Err(InvalidToken::Prefix));
    }

    #[test]
    fn a_partner_is_known_by_its_name_in_tls() {
        let (main, partner): (SiteId, SiteId) = ("main".parse().unwrap(), "north".parse().unwrap());
        assert_eq!(partner_of_tls_name(&main, &partner_tls_name(&main, &partner)), Some(partner.clone()));
        let other: SiteId = "other".parse().unwrap();
        for name in [partner_tls_name(&other, &partner), main_tls_name(&main), "a.b.partner.main.tieup.internal".into()]
        {
            assert_eq!(partner_of_tls_name(&main, &name), None, "{name}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", invitation());
        assert!(shown.contains("Secret(..)") && !shown.contains("9, 9"), "{shown}");
    }
}
