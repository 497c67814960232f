//! The list of robots: programs that visit pages and are not people.
//!
//! A contract pins a version of the list by digest, so both ends leave out the same visits. The words are public facts,
//! the names that such programs give themselves.
//!
//! The list is refreshed by words at its end, and by the number of its words then in `VERSIONS`. So each version is
//! the beginning of every later one, a rule keeps its number, and what a journal says by the newest list says what each
//! earlier one would have said: rules with higher numbers than that has did not match. A contract that pins an earlier
//! version is counted by it.

use crate::digest::Digest;

const LIST: &str = include_str!("robots.txt");

/// How many words each version has, in their order. The words of a version never change.
const VERSIONS: [u16; 2] = [42, 73];

/// The digest of the newest version.
pub fn list_digest() -> Digest {
    Digest::of(LIST.as_bytes())
}

/// How many words the version with this digest has, and so the number of its last rule; none where it is not known
/// here, and nothing can be counted by it.
pub fn words_of(digest: Digest) -> Option<u16> {
    VERSIONS.into_iter().find(|words| Digest::of(version(*words).as_bytes()) == digest)
}

/// The version that has so many words: the list up to the end of the last of them.
fn version(words: u16) -> &'static str {
    let lines = LIST.split_inclusive('\n');
    let ends = lines.scan((0, 0), |(words, length), line| {
        *words += u16::from(!line.starts_with('#'));
        *length += line.len();
        Some((*words, *length))
    });
    let end = ends.into_iter().find(|(passed, _)| *passed == words).map_or(LIST.len(), |(_, length)| length);
    &LIST[..end]
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn robots_are_matched_and_people_are_not() {
        assert_eq!(matching_rule("Mozilla/5.0 (compatible; Googlebot/2.1)"), Some(1));
        assert_eq!(matching_rule("curl/8.5.0"), Some(14));
        assert_eq!(matching_rule("Mozilla/5.0; compatible; ChatGPT-User/1.0"), Some(43));
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 \
                      Safari/537.36";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/26.1 Mobile/15E148 Safari/604.1";
        for person in [firefox, chrome, safari, ""] {
            assert_eq!(matching_rule(person), None, "{person}");
        }
    }

    #[test]
    fn every_version_that_was_ever_pinned_is_known() {
        let pinned = [
            ("blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a", 42),
            ("blake3:b7ccaa1956467b671d781f4ac2978e63b725eb8c6d7ce3f16aa2e000a2a9ee70", 73),
        ];
        for (digest, words) in pinned {
            assert_eq!(words_of(digest.parse().unwrap()), Some(words));
        }
        assert_eq!(list_digest().to_string(), pinned[1].0);
        assert_eq!(words_of(Digest::of(b"another")), None);
    }

    #[test]
    fn each_word_can_be_the_first_that_matches() {
        let words: Vec<&str> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(words.len(), usize::from(VERSIONS[VERSIONS.len() - 1]));
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        for (word, number) in words.iter().zip(1..) {
            assert_eq!(matching_rule(word), Some(number), "{word}");
        }
    }
}
