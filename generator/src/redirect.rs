//! The page at an old address, which sends people on.

use tieup_protocol::path::SitePath;

use crate::url;
use crate::xml::escape;

/// The page that leads to `to` without a script; `canonical` is that page's absolute address.
///
/// It names the path alone, so that the same bytes lead a partner's visitors to the partner's copy.
pub(crate) fn page(lang: &str, to: &SitePath, canonical: &str) -> Vec<u8> {
    let (lang, to, canonical) = (escape(lang), escape(&url::encode(to)), escape(canonical));
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{canonical}</title>\n\
         <link rel=\"canonical\" href=\"{canonical}\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={to}\">\n</head>\n\
         <body><p><a href=\"{to}\">{canonical}</a></p></body>\n</html>\n"
    )
    .into_bytes()
}
