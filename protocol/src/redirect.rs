//! Where a page leads that only sends people on.
//!
//! Such a page is a file like others, so that a site can be served by anything that serves files. Who knows better sends
//! people on by a redirect, to where the page itself leads.

use html5gum::{Token, Tokenizer};

use crate::path::SitePath;

/// How much of a page is searched.
const SEARCHED: usize = 8 << 10;

/// Where the page leads: what its first `<meta http-equiv="refresh">` names, if that is a path of the same site.
pub fn target(page: &[u8]) -> Option<SitePath> {
    let head = &page[..page.len().min(SEARCHED)];
    let refresh = Tokenizer::new(head).find_map(|token| match token {
        Ok(Token::StartTag(tag)) if *tag.name == b"meta" => {
            let is_refresh = tag.attributes.get(&b"http-equiv"[..]).is_some_and(|v| v.eq_ignore_ascii_case(b"refresh"));
            tag.attributes.get(&b"content"[..]).filter(|_| is_refresh).map(|value| value.to_vec())
        }
        _ => None,
    })?;
    SitePath::from_request(address(str::from_utf8(&refresh).ok()?)?).ok()
}

/// The address in the `content` of a refresh, where it is written as we write it: `0; url=/there/`. What browsers read
/// beside that is passed over.
pub(crate) fn address(content: &str) -> Option<&str> {
    content.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("; url=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_where_its_refresh_says_and_never_to_another_site() {
        let page =
            |to: &str| format!("<!DOCTYPE html><meta charset=utf-8><meta http-equiv=\"Refresh\" content=\"{to}\">");
        let leads = |to: &str| target(page(to).as_bytes()).map(|path| path.as_str().to_owned());
        assert_eq!(leads("0; url=/a%20b/&amp;c/").as_deref(), Some("/a b/&c/"));
        for bad in ["0", "0; url=https://evil.example/", "0; url=//evil.example/", "0; url=a/", "0; url=/%2e%2e/x", ""]
        {
            assert_eq!(leads(bad), None, "{bad}");
        }
        assert_eq!(target(b"<p>no refresh</p>\xff"), None);
    }
}
