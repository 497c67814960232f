//! One visit in the journal, and its bytes.
//!
//! An entry never holds an address, a raw user agent or a raw query: there is no field for them.

use std::borrow::Borrow;

use jiff::Timestamp;

use crate::contract::MeterClass;
use crate::path::SitePath;

/// The version of the entry's own encoding: the first byte of every entry.
pub const CODEC: u8 = 1;

/// Bytes before the path in an encoded entry.
const HEADER: usize = 42;

/// The most bytes an encoded entry can have; a C2SP entry bundle allows 65,535.
pub const MAX_ENTRY: usize = HEADER + crate::path::MAX_PATH;

/// One answered request; `P` is what is known of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEntry<P = SitePath> {
    /// When the answer began, to the millisecond.
    pub time: Timestamp,
    /// Whose page it was; none where nothing stands at the path.
    pub class: Option<MeterClass>,
    /// How it was asked for.
    pub method: Method,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// What the visitor's browser wanted it for.
    pub purpose: Purpose,
    /// Who, as far as the log can tell.
    pub visitor: VisitorToken,
    /// The kind of program that asked.
    pub agent: AgentClass,
    /// The number of the robot rule that matched, from 1; 0 where none did.
    pub robot: u16,
    /// Where the visitor came from.
    pub referrer: ReferrerClass,
    /// The path, without query.
    pub path: P,
}

/// 128 bits of keyed BLAKE3 over address and user agent. The key is random, changes every day and is then destroyed,
/// so tokens of two days cannot be joined and none can be turned back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorToken(pub [u8; 16]);

impl VisitorToken {
    /// The token of one visitor under the key of the day.
    pub fn new(key: &[u8; 32], address: &str, agent: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&(address.len() as u64).to_le_bytes()).update(address.as_bytes()).update(agent);
        let mut token = [0; 16];
        hasher.finalize_xof().fill(&mut token);
        Self(token)
    }
}

/// Why bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// Fewer bytes than the header has.
    #[error("an entry of {0} bytes is too short")]
    Short(usize),
    /// A later encoding.
    #[error("the entry has encoding {0}; this version reads {CODEC}")]
    Codec(u8),
    /// A byte that stands for nothing.
    #[error("the entry's {field} has the unknown value {value}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// The path is not one.
    #[error("the entry's path is not valid")]
    Path,
}

/// Defines an enum whose variants are single bytes in the journal.
macro_rules! byte_enum {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$variant_doc:meta])* $variant:ident = $byte:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            fn to_byte(self) -> u8 {
                match self {
                    $(Self::$variant => $byte),+
                }
            }

            fn from_byte(byte: u8) -> Result<Self, InvalidEntry> {
                match byte {
                    $($byte => Ok(Self::$variant),)+
                    other => Err(InvalidEntry::Value { field: $field, value: other.into() }),
                }
            }
        }
    };
}

byte_enum! {
    /// How a page was asked for.
    Method, "method" {
        /// GET.
        Get = 0,
        /// HEAD.
        Head = 1,
        /// Any other.
        Other = 2,
    }
}

byte_enum! {
    /// What the browser wanted the answer for.
    Purpose, "purpose" {
        /// To show it to a person.
        Document = 0,
        /// To have it ready in case a person asks.
        Prefetch = 1,
        /// As a part of a document: a style sheet, a picture.
        Resource = 2,
    }
}

byte_enum! {
    /// The kind of program that asked, all that is kept of the user agent.
    AgentClass, "agent class" {
        /// A browser on a desk.
        Desktop = 0,
        /// A browser on a phone or tablet.
        Mobile = 1,
        /// A robot of the list.
        Robot = 2,
        /// Anything else, and nothing said.
        Other = 3,
    }
}

byte_enum! {
    /// Where the visitor came from, all that is kept of the referrer.
    ReferrerClass, "referrer class" {
        /// Not said.
        None = 0,
        /// A page of the same site.
        Same = 1,
        /// Another site.
        Other = 2,
    }
}

impl<P: Borrow<SitePath>> AccessEntry<P> {
    /// The entry's bytes, at most [`MAX_ENTRY`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.path.borrow().as_str().len());
        self.encode_into(&mut bytes);
        bytes
    }

    /// Appends the entry's bytes, at most [`MAX_ENTRY`].
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        bytes.push(CODEC);
        bytes.extend_from_slice(&self.time.as_millisecond().to_be_bytes());
        bytes.push(class_to_byte(self.class));
        bytes.push(self.method.to_byte());
        bytes.extend_from_slice(&self.status.to_be_bytes());
        bytes.extend_from_slice(&self.bytes.to_be_bytes());
        bytes.push(self.purpose.to_byte());
        bytes.extend_from_slice(&self.visitor.0);
        bytes.push(self.agent.to_byte());
        bytes.push(self.referrer.to_byte());
        bytes.extend_from_slice(&self.robot.to_be_bytes());
        bytes.extend_from_slice(self.path.borrow().as_str().as_bytes());
    }
}

impl AccessEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// See [`InvalidEntry`]. Every entry that decodes encodes to the same bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidEntry> {
        Self::decode_with(bytes, path_of)
    }
}

impl<P> AccessEntry<P> {
    /// Reads an entry like [`AccessEntry::decode`]; what its path is comes from `path`, which is given the path's bytes. So
    /// whoever knows a path already need neither check nor copy it again.
    ///
    /// # Errors
    /// See [`InvalidEntry`], and those of `path`, which must refuse what [`path_of`] refuses.
    pub fn decode_with(
        bytes: &[u8],
        path: impl FnOnce(&[u8]) -> Result<P, InvalidEntry>,
    ) -> Result<Self, InvalidEntry> {
        let mut fields = Fields { rest: bytes, whole: bytes.len() };
        let [codec] = fields.take()?;
        if codec != CODEC {
            return Err(InvalidEntry::Codec(codec));
        }
        let millisecond = i64::from_be_bytes(fields.take()?);
        let time = Timestamp::from_millisecond(millisecond)
            .map_err(|_| InvalidEntry::Value { field: "time", value: millisecond.unsigned_abs() })?;
        let [class] = fields.take()?;
        let [method] = fields.take()?;
        let status = u16::from_be_bytes(fields.take()?);
        let length = u64::from_be_bytes(fields.take()?);
        let [purpose] = fields.take()?;
        let visitor = VisitorToken(fields.take()?);
        let [agent, referrer, robot_high, robot_low] = fields.take()?;
        let path = path(fields.rest)?;
        Ok(Self {
            time,
            class: class_from_byte(class)?,
            method: Method::from_byte(method)?,
            status,
            bytes: length,
            purpose: Purpose::from_byte(purpose)?,
            visitor,
            agent: AgentClass::from_byte(agent)?,
            robot: u16::from_be_bytes([robot_high, robot_low]),
            referrer: ReferrerClass::from_byte(referrer)?,
            path,
        })
    }
}

/// The path that these bytes of an entry are.
///
/// # Errors
/// [`InvalidEntry::Path`].
pub fn path_of(bytes: &[u8]) -> Result<SitePath, InvalidEntry> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidEntry::Path)?;
    text.parse().map_err(|_| InvalidEntry::Path)
}

struct Fields<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], InvalidEntry> {
        let (field, rest) = self.rest.split_first_chunk().ok_or(InvalidEntry::Short(self.whole))?;
        self.rest = rest;
        Ok(*field)
    }
}

fn class_to_byte(class: Option<MeterClass>) -> u8 {
    match class {
        None => 0,
        Some(MeterClass::Tieup) => 1,
        Some(MeterClass::Original) => 2,
    }
}

fn class_from_byte(byte: u8) -> Result<Option<MeterClass>, InvalidEntry> {
    match byte {
        0 => Ok(None),
        1 => Ok(Some(MeterClass::Tieup)),
        2 => Ok(Some(MeterClass::Original)),
        other => Err(InvalidEntry::Value { field: "class", value: other.into() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> AccessEntry {
        AccessEntry {
            time: Timestamp::from_millisecond(1_795_000_000_123).unwrap(),
            class: Some(MeterClass::Tieup),
            method: Method::Get,
            status: 200,
            bytes: 6_144,
            purpose: Purpose::Document,
            visitor: VisitorToken::new(&[7; 32], "192.0.2.1", b"Example/1.0"),
            agent: AgentClass::Mobile,
            robot: 300,
            referrer: ReferrerClass::Same,
            path: "/products/kettle/".parse().unwrap(),
        }
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        let bytes = entry().encode();
        assert_eq!(bytes.len(), HEADER + "/products/kettle/".len());
        assert_eq!(AccessEntry::decode(&bytes), Ok(entry()));
    }

    #[test]
    fn a_path_is_what_its_reader_makes_of_it() {
        let read = AccessEntry::decode_with(&entry().encode(), |path| Ok(path.len()));
        assert_eq!(read.map(|read| (read.path, read.visitor)), Ok((entry().path.as_str().len(), entry().visitor)));
        let refused = AccessEntry::<()>::decode_with(&entry().encode(), |_| Err(InvalidEntry::Path));
        assert_eq!(refused, Err(InvalidEntry::Path));
    }

    #[test]
    fn visitors_are_told_apart_and_keys_unlink_them() {
        let token = |key: u8, address, agent: &str| VisitorToken::new(&[key; 32], address, agent.as_bytes());
        assert_ne!(token(1, "192.0.2.1", "a"), token(1, "192.0.2.2", "a"));
        assert_ne!(token(1, "192.0.2.1", "a"), token(2, "192.0.2.1", "a"));
        assert_ne!(token(1, "192.0.2.1", "1a"), token(1, "192.0.2.11", "a"));
    }

    proptest! {
        #[test]
        fn decoding_never_panics_and_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(entry) = AccessEntry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }

        #[test]
        fn one_changed_byte_is_refused_or_another_entry(at in 0..59_usize, with in any::<u8>()) {
            let good = entry().encode();
            let mut bytes = good.clone();
            bytes[at] = with;
            if let Ok(read) = AccessEntry::decode(&bytes) {
                prop_assert_eq!(read == entry(), bytes == good);
            }
        }
    }
}
