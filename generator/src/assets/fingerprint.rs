//! Names that change with the content: a style sheet or script also stands under its fingerprint, so that whoever
//! keeps a copy can keep it for good, and a browser can tell that it got what was meant.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha384};
use tieup_protocol::path::SitePath;

use crate::output::OutputFile;

/// How many hexadecimal digits a fingerprint has.
const DIGITS: usize = 10;

/// Puts a copy of each style sheet and script beside it, under its fingerprint.
pub(crate) fn add(files: &mut BTreeMap<SitePath, OutputFile>) {
    let copies = files.iter().filter_map(|(plain, file)| Some((path(plain, &file.bytes)?, file.clone())));
    let copies: Vec<_> = copies.collect();
    files.extend(copies);
}

/// The path of a style sheet or script under its fingerprint, such as `/style.0123456789.css`; none for other files.
pub(crate) fn path(plain: &SitePath, bytes: &[u8]) -> Option<SitePath> {
    let (stem, extension) = plain.as_str().rsplit_once('.')?;
    let has_one = ["css", "js", "mjs"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    has_one.then(|| format!("{stem}.{}.{extension}", digits(bytes)).parse().ok())?
}

/// The fingerprint of `bytes`.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut digits = blake3::hash(bytes).to_hex();
    digits.truncate(DIGITS);
    digits.to_string()
}

/// What an `integrity` attribute says about `bytes` (W3C Subresource Integrity).
pub(crate) fn integrity(bytes: &[u8]) -> String {
    format!("sha384-{}", STANDARD.encode(Sha384::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheets_and_scripts_have_a_name_of_their_content() {
        let name = |path: &str, bytes: &[u8]| super::path(&path.parse().unwrap(), bytes).map(|path| path.to_string());
        let hash = &blake3::hash(b"body {}").to_hex()[..10];
        assert_eq!(name("/a/style.min.css", b"body {}"), Some(format!("/a/style.min.{hash}.css")));
        assert_ne!(name("/x.mjs", b"1"), name("/x.mjs", b"2"));
        assert_eq!((name("/css", b""), name("/a.css/", b""), name("/logo.svg", b"")), (None, None, None));
    }

    #[test]
    fn integrity_is_what_browsers_compute() {
        // The example of section 3.1 of the specification.
        let known = "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO";
        assert_eq!(integrity(b"alert('Hello, world.');"), known);
    }
}
