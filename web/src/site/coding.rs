//! In which coding content travels: which codings a visitor takes, and content in each (RFC 9110, sections 8.4 and 12.5.3).

use std::io::{self, Write as _};

use axum::http::{HeaderMap, header};
use brotli::enc::BrotliEncoderParams;

/// Below this length nothing is gained by a coding.
const WORTHWHILE: u64 = 256;

/// Above this length making a coding takes longer than a visitor should wait.
const BEARABLE: u64 = 4 << 20;

/// Up to this length content is coded as well as can be; beyond it, faster.
const SMALL: usize = 128 << 10;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    /// As it is.
    Identity,
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
    /// `br`.
    Brotli,
}

impl Coding {
    /// The codings, by how much we like them: where a visitor takes several equally well, the first makes it smallest.
    const PREFERRED: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its registered name; none for content as it is.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Brotli => Some("br"),
        }
    }

    /// The coding to send where the visitor's request has these headers.
    ///
    /// Where nothing is acceptable, content travels as it is (RFC 9110, section 12.5.3).
    pub(super) fn asked_for(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let Some(first) = values.next() else { return Self::Identity };
        Self::best_of(std::iter::once(first).chain(values))
    }

    /// The coding to send to a visitor who says so in `Accept-Encoding`.
    pub(super) fn best_of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        Accepted::read(values).best()
    }

    /// `content` in this coding; none where that is no smaller.
    ///
    /// # Errors
    /// When the encoder fails.
    pub(super) fn encode(self, content: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let coded = match self {
            Self::Identity => return Ok(None),
            Self::Gzip => gzip(content)?,
            Self::Zstd => zstd::bulk::compress(content, if content.len() <= SMALL { 19 } else { 9 })?,
            Self::Brotli => brotli(content)?,
        };
        Ok(Some(coded).filter(|coded| coded.len() < content.len()))
    }
}

/// Whether content of this length is worth a coding.
pub(super) fn is_worthwhile(length: u64) -> bool {
    (WORTHWHILE..=BEARABLE).contains(&length)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let quality = if content.len() <= SMALL { 9 } else { 5 };
    let params = BrotliEncoderParams { quality, size_hint: content.len(), ..BrotliEncoderParams::default() };
    let (mut from, mut coded) = (content, Vec::new());
    brotli::BrotliCompress(&mut from, &mut coded, &params)?;
    Ok(coded)
}

/// How well a visitor takes each coding, in thousandths; none where nothing is said of it.
#[derive(Debug, Default)]
struct Accepted {
    gzip: Option<u16>,
    zstd: Option<u16>,
    brotli: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Accepted {
    fn read<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut accepted = Self::default();
        for listed in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = listed.split_once(';').unwrap_or((listed, ""));
            let name = name.trim().to_ascii_lowercase();
            let place = match name.as_str() {
                "gzip" | "x-gzip" => &mut accepted.gzip,
                "zstd" => &mut accepted.zstd,
                "br" => &mut accepted.brotli,
                "identity" => &mut accepted.identity,
                "*" => &mut accepted.others,
                _ => continue,
            };
            *place = Some(weight(parameters));
        }
        accepted
    }

    fn best(&self) -> Coding {
        let weight = |coding| self.weight(coding);
        // Of several that weigh the same, `max_by_key` gives the last.
        let best = Coding::PREFERRED.into_iter().rev().max_by_key(|coding| weight(*coding)).unwrap_or(Coding::Identity);
        let least = weight(Coding::Identity);
        if weight(best) > 0 && weight(best) >= least { best } else { Coding::Identity }
    }

    fn weight(&self, coding: Coding) -> u16 {
        match coding {
            Coding::Gzip => self.gzip.or(self.others).unwrap_or(0),
            Coding::Zstd => self.zstd.or(self.others).unwrap_or(0),
            Coding::Brotli => self.brotli.or(self.others).unwrap_or(0),
            // It is acceptable where nothing is said of it, but not wished for.
            Coding::Identity => self.identity.unwrap_or(0),
        }
    }
}

/// The weight among a coding's parameters, in thousandths. One that cannot be read counts as none.
fn weight(parameters: &str) -> u16 {
    let given = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(given) = given else { return 1000 };
    let (whole, part) = given.split_once('.').unwrap_or((given, ""));
    let is_short = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, format!("{part:0<3}").parse::<u16>()) {
        ("0", Ok(thousandths)) if is_short => thousandths,
        ("1", Ok(0)) if is_short => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;

    use super::*;

    fn sent_for(accept: &'static str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
        Coding::asked_for(&headers)
    }

    #[test]
    fn the_best_coding_that_is_taken_is_sent() {
        assert_eq!(Coding::asked_for(&HeaderMap::new()), Coding::Identity);
        let cases = [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip, zstd", Coding::Zstd),
            ("GZIP", Coding::Gzip),
            ("br;q=0.5, gzip;q=0.8", Coding::Gzip),
            ("br;q=0, *", Coding::Zstd),
            ("*;q=0", Coding::Identity),
            ("identity, br;q=0.9", Coding::Identity),
            ("identity;q=0.5, br;q=0.9", Coding::Brotli),
            ("br;q=0, gzip;q=0.000, zstd; Q=0", Coding::Identity),
            ("br;q=1.5, zstd;q=0.0001, gzip;q=x", Coding::Identity),
            ("", Coding::Identity),
            ("deflate, compress", Coding::Identity),
        ];
        for (accept, coding) in cases {
            assert_eq!(sent_for(accept), coding, "{accept}");
        }
    }

    #[test]
    fn content_comes_back_from_each_coding() {
        let content = "<p>a page with the same words and the same words</p>\n".repeat(40);
        let coded = |coding: Coding| coding.encode(content.as_bytes()).unwrap().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*coded(Coding::Gzip)).read_to_string(&mut text).unwrap();
        assert_eq!(text, content);
        assert_eq!(zstd::bulk::decompress(&coded(Coding::Zstd), content.len()).unwrap(), content.as_bytes());
        let mut bytes = Vec::new();
        brotli::BrotliDecompress(&mut &*coded(Coding::Brotli), &mut bytes).unwrap();
        assert_eq!(bytes, content.as_bytes());
        assert_eq!(Coding::Brotli.encode(b"x").unwrap(), None, "what becomes no smaller stays as it is");
    }

    #[test]
    fn what_is_tiny_or_huge_stays_as_it_is() {
        assert!(is_worthwhile(6000));
        assert!(!is_worthwhile(10));
        assert!(!is_worthwhile(BEARABLE + 1));
    }
}
