//! What a request asks for only under a condition, and which part of the content (RFC 9110, sections 13 and 14).
//!
//! A site knows no dates of its content: what depends on one is passed over, as the specification says.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tieup_protocol::access::Method;

/// What becomes of a request for content that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it is sent.
    Whole,
    /// These bytes of it are sent: never none, and never beyond its length.
    Part(Range<u64>),
    /// The visitor has it already.
    NotModified,
    /// It is not what the request was meant for.
    Failed,
    /// It has none of the bytes that were asked for.
    Unsatisfiable,
}

/// Judges a GET or HEAD of `length` bytes under `tag`, in the order of RFC 9110, section 13.2.2.
pub(super) fn judge(method: Method, headers: &HeaderMap, tag: &HeaderValue, length: u64) -> Verdict {
    const CONDITIONS: [HeaderName; 3] = [header::IF_MATCH, header::IF_NONE_MATCH, header::RANGE];
    // Most requests have none.
    if !CONDITIONS.iter().any(|name| headers.contains_key(name)) {
        return Verdict::Whole;
    }
    let lists = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    if names(lists(header::IF_MATCH), tag, Comparison::Strong) == Some(false) {
        return Verdict::Failed;
    }
    if is_known(lists(header::IF_NONE_MATCH), tag) {
        return Verdict::NotModified;
    }
    // One tag, which must be strong. A date names no version that is known here.
    let is_other = headers.get(header::IF_RANGE).is_some_and(|condition| condition != tag);
    if method != Method::Get || is_other {
        return Verdict::Whole;
    }
    part(headers.get(header::RANGE), length)
}

/// Whether whoever sends these lists of tags as `If-None-Match` has the content under `tag` already.
pub(super) fn is_known<'a>(lists: impl Iterator<Item = &'a [u8]>, tag: &HeaderValue) -> bool {
    names(lists, tag, Comparison::Weak) == Some(true)
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// A weak tag is equal to none.
    Strong,
    /// That a tag is weak does not count.
    Weak,
}

/// Whether the lists of a condition name `tag`, which is strong, or anything that there is; none where there is no list.
fn names<'a>(lists: impl Iterator<Item = &'a [u8]>, tag: &HeaderValue, comparison: Comparison) -> Option<bool> {
    let mut lists = lists.peekable();
    lists.peek()?;
    Some(lists.any(|list| list.trim_ascii() == b"*" || lists_tag(list, tag, comparison)))
}

/// Whether a list of entity tags has `tag` among them. What is no tag is passed over.
fn lists_tag(list: &[u8], tag: &HeaderValue, comparison: Comparison) -> bool {
    let mut rest = list;
    // A comma may stand in a tag, so the list is read from quote to quote.
    while let Some(begin) = rest.iter().position(|byte| *byte == b'"') {
        let Some(length) = rest[begin + 1..].iter().position(|byte| *byte == b'"') else { return false };
        let end = begin + length + 2;
        let is_weak = rest[..begin].ends_with(b"W/");
        if rest[begin..end] == *tag.as_bytes() && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

/// The part that `range` means. What is no range is passed over, and so are several at once, which nobody needs of a
/// site and which cost more than the whole.
fn part(range: Option<&HeaderValue>, length: u64) -> Verdict {
    let asked = range.and_then(|range| range.to_str().ok()).map(http_range_header::parse_range_header);
    let Some(Ok(asked)) = asked else { return Verdict::Whole };
    if asked.len() > 1 {
        return Verdict::Whole;
    }
    match asked.validate(length).map(|ranges| ranges.into_iter().next()) {
        Ok(Some(part)) => Verdict::Part(*part.start()..part.end() + 1),
        // The last bytes of nothing.
        Ok(None) => Verdict::Whole,
        Err(_) => Verdict::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: HeaderValue = HeaderValue::from_static("\"a\"");

    fn judged(method: Method, given: &[(&'static str, &'static str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        judge(method, &headers, &TAG, 10)
    }

    #[test]
    fn tags_decide_whether_anything_is_sent() {
        let get = |name, value| judged(Method::Get, &[(name, value)]);
        for (value, verdict) in [
            ("\"a\"", Verdict::NotModified),
            ("\"b\", W/\"a\"", Verdict::NotModified),
            ("*", Verdict::NotModified),
            ("\"b\"", Verdict::Whole),
            ("a", Verdict::Whole),
            ("\"a", Verdict::Whole),
            ("\"b, \", \"a\"", Verdict::NotModified),
            ("\"b c\", ,,\"\"", Verdict::Whole),
            ("", Verdict::Whole),
        ] {
            assert_eq!(get("if-none-match", value), verdict, "{value}");
        }
        for (value, verdict) in [
            ("\"a\"", Verdict::Whole),
            ("*", Verdict::Whole),
            ("W/\"a\"", Verdict::Failed),
            ("\"b\", \"c\"", Verdict::Failed),
            ("W/\"a\", \"a\"", Verdict::Whole),
            ("a", Verdict::Failed),
        ] {
            assert_eq!(get("if-match", value), verdict, "{value}");
        }
        assert_eq!(get("if-modified-since", "Sun, 29 Nov 2026 00:00:00 GMT"), Verdict::Whole);
        assert_eq!(get("if-unmodified-since", "Sun, 29 Nov 1998 00:00:00 GMT"), Verdict::Whole);
    }

    #[test]
    fn the_first_condition_decides() {
        let failed = judged(Method::Get, &[("if-match", "\"b\""), ("if-none-match", "\"a\""), ("range", "bytes=0-1")]);
        assert_eq!(failed, Verdict::Failed);
        let fresh = judged(Method::Get, &[("if-none-match", "\"a\""), ("range", "bytes=0-1")]);
        assert_eq!(fresh, Verdict::NotModified);
    }

    #[test]
    fn a_range_gives_a_part() {
        let get = |range| judged(Method::Get, &[("range", range)]);
        for (range, verdict) in [
            ("bytes=0-3", Verdict::Part(0..4)),
            ("bytes=9-", Verdict::Part(9..10)),
            ("bytes=-3", Verdict::Part(7..10)),
            ("bytes=-30", Verdict::Part(0..10)),
            ("bytes=4-400", Verdict::Part(4..10)),
            ("bytes=10-", Verdict::Unsatisfiable),
            ("bytes=-0", Verdict::Unsatisfiable),
            ("bytes=0-1,4-5", Verdict::Whole),
            ("bytes=5-4", Verdict::Whole),
            ("pages=1-2", Verdict::Whole),
            ("bytes=a-b", Verdict::Whole),
        ] {
            assert_eq!(get(range), verdict, "{range}");
        }
        assert_eq!(judged(Method::Head, &[("range", "bytes=0-3")]), Verdict::Whole);
    }

    #[test]
    fn a_range_of_something_else_gives_the_whole() {
        let of = |tag| judged(Method::Get, &[("range", "bytes=0-3"), ("if-range", tag)]);
        assert_eq!(of("\"a\""), Verdict::Part(0..4));
        assert_eq!(of("\"b\""), Verdict::Whole);
        assert_eq!(of("W/\"a\""), Verdict::Whole);
        assert_eq!(of("a"), Verdict::Whole, "what is no tag names no version");
        assert_eq!(of("Sun, 29 Nov 2026 00:00:00 GMT"), Verdict::Whole);
    }
}
