//! The list of robots: programs that visit pages and are not people.
//!
//! A contract pins the list by digest, so both ends leave out the same visits. The words are public facts, the names
//! that such programs give themselves.

use crate::digest::Digest;

const LIST: &str = include_str!("robots.txt");

/// The digest of the list that this version was built with.
pub fn list_digest() -> Digest {
    Digest::of(LIST.as_bytes())
}

/// Whether this version has the list that a contract pins, and so can count under that contract.
pub fn has_list(digest: Digest) -> bool {
    digest == list_digest()
}

/// The number of the first rule that matches a user agent, counted from 1; `None` for what seems to be a person.
///
/// A request without a user agent is matched by no rule.
pub fn matching_rule(user_agent: &str) -> Option<u16> {
    let agent = user_agent.to_ascii_lowercase();
    let words = LIST.lines().filter(|line| !line.starts_with('#'));
    words.zip(1..).find(|(word, _)| agent.contains(word)).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_matched_and_people_are_not() {
        assert_eq!(matching_rule("Mozilla/5.0 (compatible; Googlebot/2.1)"), Some(1));
        assert_eq!(matching_rule("curl/8.5.0"), Some(14));
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(matching_rule(firefox), None);
        assert_eq!(matching_rule(""), None);
    }
}
