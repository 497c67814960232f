//! The media type of what is served, ready to be sent.

use axum::http::HeaderValue;

/// What most of a site is: its memory is shared by all pages.
const PAGE: &str = "text/html; charset=utf-8";

/// Types besides text whose content becomes smaller in a coding.
const CODED_BESIDES_TEXT: [&str; 6] =
    ["application/json", "application/xml", "application/wasm", "font/ttf", "font/otf", "image/x-icon"];

/// A media type as a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// What is sent.
    pub(super) value: HeaderValue,
    /// Whether content of this type becomes smaller in a coding.
    pub(super) can_be_coded: bool,
}

impl From<&str> for MediaType {
    /// What may not stand in a header becomes bytes of no type.
    fn from(text: &str) -> Self {
        let kind = text.split(';').next().unwrap_or_default().trim();
        let is_text = kind.starts_with("text/") || kind.ends_with("+xml") || kind.ends_with("+json");
        let value = match text {
            PAGE => HeaderValue::from_static(PAGE),
            _ => HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream")),
        };
        Self { value, can_be_coded: is_text || CODED_BESIDES_TEXT.contains(&kind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_coded_and_pictures_cannot() {
        let coded = |text: &str| MediaType::from(text).can_be_coded;
        assert!(coded("text/html; charset=utf-8") && coded("image/svg+xml") && coded("application/wasm"));
        assert!(!coded("image/jpeg") && !coded(""));
    }

    #[test]
    fn what_may_not_stand_in_a_header_is_bytes() {
        assert_eq!(MediaType::from("text/html\r\nx: y").value, "application/octet-stream");
        assert_eq!(MediaType::from("text/css; charset=utf-8").value, "text/css; charset=utf-8");
    }
}
