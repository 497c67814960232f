//! The edits of one text, and the groups of pages that have edits in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};
use tieup_protocol::difference::{EditGroup, Hunk, HunkLine, LAYOUT_PAGES};
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SitePath;
use tieup_protocol::shape::PageShape;

/// Unchanged lines shown around an edit.
const CONTEXT: usize = 2;

/// From how many bytes on a line of markup is shown tag by tag; a page without line ends would be one edit else.
const LONG_LINE: usize = 200;

/// The most changed lines that are compared one by one. Beyond it they are shown as replaced, so that no text can
/// hold up the daemon.
const MOST_COMPARED: usize = 8_000;

/// The most lines replaced by as many others that are taken for edits of one line each.
const MOST_SPLIT: usize = 40;

/// Elements at which a long line is not broken: marks around words.
const INLINE: [&str; 14] =
    ["a", "abbr", "b", "br", "code", "em", "i", "mark", "s", "small", "span", "strong", "sub", "sup"];

/// How a text is cut into lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines end where the text says.
    Text,
    /// Long lines are also cut before tags.
    Markup,
}

/// One edit of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The lines that go and come: equal edits have equal digests, wherever they stand.
    digest: Digest,
    hunk: Hunk,
}

/// The edits that make `new` of `old`, in order.
pub fn edits(old: &str, new: &str, kind: Kind) -> Vec<Edit> {
    let (old, new) = (lines(old, kind), lines(new, kind));
    let prefix = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
    let suffix = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - suffix], &new_rest[..new_rest.len() - suffix]);
    let shift = |range: Range<usize>| range.start + prefix..range.end + prefix;
    let changed = changed_ranges(old_middle, new_middle).into_iter();
    let changed = changed.map(|(removed, added)| (shift(removed), shift(added)));
    let changed: Vec<Ranges> = changed.flat_map(line_by_line).collect();
    let edit = |number: usize| {
        // The lines around an edit reach to the next ones and no further.
        let from = number.checked_sub(1).map_or(0, |earlier| changed[earlier].0.end);
        let to = changed.get(number + 1).map_or(old.len(), |later| later.0.start);
        Edit::new(&old, &new, &changed[number], from..to)
    };
    (0..changed.len()).map(edit).collect()
}

/// The edits of a text as hunks.
pub fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let hunks = edits(old, new, Kind::Text).into_iter().map(|edit| edit.hunk);
    side_by_side(hunks.enumerate().collect())
}

/// Lines before the change, and lines after it.
type Ranges = (Range<usize>, Range<usize>);

/// The runs of lines that differ, before and after.
fn changed_ranges(old: &[&str], new: &[&str]) -> Vec<Ranges> {
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    if old.is_empty() || new.is_empty() || old.len() + new.len() > MOST_COMPARED {
        return vec![(0..old.len(), 0..new.len())];
    }
    let mut ranges: Vec<Ranges> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (old_range, new_range) = (op.old_range(), op.new_range());
        match ranges.last_mut() {
            Some(last) if last.0.end == old_range.start && last.1.end == new_range.start => {
                (last.0.end, last.1.end) = (old_range.end, new_range.end);
            }
            _ => ranges.push((old_range, new_range)),
        }
    }
    ranges
}

/// Lines that replace as many others are edits of their own: a line of the layout beside one of the page's own would
/// belong to no group else.
fn line_by_line((removed, added): Ranges) -> Vec<Ranges> {
    if removed.len() != added.len() || removed.len() > MOST_SPLIT {
        return vec![(removed, added)];
    }
    removed.zip(added).map(|(old, new)| (old..old + 1, new..new + 1)).collect()
}

fn is_kept(line: &HunkLine) -> bool {
    matches!(line, HunkLine::Kept(_))
}

/// Puts edits together that stand side by side in a text, and in the same ones.
fn side_by_side(hunks: Vec<(usize, Hunk)>) -> Vec<Hunk> {
    let mut joined: Vec<(usize, Hunk)> = Vec::new();
    for (order, hunk) in hunks {
        let touches = |last: &Hunk| !last.lines.last().is_some_and(is_kept) && !hunk.lines.first().is_some_and(is_kept);
        match joined.last_mut() {
            Some((last_order, last)) if *last_order + 1 == order && touches(last) => {
                *last_order = order;
                let (kept, edited): (Vec<_>, Vec<_>) = hunk.lines.into_iter().partition(is_kept);
                let at = last.lines.iter().rposition(|line| matches!(line, HunkLine::Removed(_)));
                let (gone, come): (Vec<_>, Vec<_>) =
                    edited.into_iter().partition(|line| matches!(line, HunkLine::Removed(_)));
                // What goes stands before what comes.
                let at = at.map_or(0, |at| at + 1);
                last.lines.splice(at..at, gone);
                last.lines.extend(come);
                last.lines.extend(kept);
            }
            _ => joined.push((order, hunk)),
        }
    }
    joined.into_iter().map(|(_, hunk)| hunk).collect()
}

impl Edit {
    fn new(old: &[&str], new: &[&str], (removed, added): &Ranges, within: Range<usize>) -> Self {
        let before = removed.start.saturating_sub(CONTEXT).max(within.start)..removed.start;
        let after = removed.end..(removed.end + CONTEXT).min(within.end);
        let digest = digest(&old[removed.clone()], &new[added.clone()]);
        let line = |make: fn(String) -> HunkLine| move |text: &&str| make((*text).to_owned());
        let (kept, gone, come) = (line(HunkLine::Kept), line(HunkLine::Removed), line(HunkLine::Added));
        let starts = (before.start + 1, added.start - before.len() + 1);
        let lines = old[before].iter().map(kept);
        let lines = lines.chain(old[removed.clone()].iter().map(gone)).chain(new[added.clone()].iter().map(come));
        let lines = lines.chain(old[after].iter().map(line(HunkLine::Kept))).collect();
        Self { digest, hunk: Hunk { before: starts.0, after: starts.1, lines } }
    }
}

fn digest(removed: &[&str], added: &[&str]) -> Digest {
    // A byte that ends no UTF-8 text keeps lines and sides apart.
    let mut bytes = removed.join("\n").into_bytes();
    bytes.push(0xff);
    bytes.extend_from_slice(added.join("\n").as_bytes());
    Digest::of(&bytes)
}

/// A text's lines without their ends. Long lines of markup are cut before tags that are no marks around words.
fn lines(text: &str, kind: Kind) -> Vec<&str> {
    let mut lines = Vec::new();
    for line in text.lines() {
        if kind == Kind::Text || line.len() <= LONG_LINE {
            lines.push(line);
            continue;
        }
        let mut from = 0;
        for (at, _) in line.match_indices('<') {
            if at > from && begins_block(&line[at + 1..]) {
                lines.push(&line[from..at]);
                from = at;
            }
        }
        lines.push(&line[from..]);
    }
    lines
}

/// Whether the tag whose `<` stands before `rest` is no mark around words.
fn begins_block(rest: &str) -> bool {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    !name.is_empty() && !INLINE.contains(&name)
}

/// Collects the edits of many texts into groups.
#[derive(Default)]
pub struct Groups {
    edits: HashMap<Digest, Place>,
    paths: Vec<SitePath>,
}

/// One edit, and the texts that it stands in, by their numbers.
struct Place {
    hunk: Hunk,
    /// Which edit of its first text it is.
    order: usize,
    texts: Vec<usize>,
}

impl Groups {
    /// Adds the edits of the text at `path`. Texts come in the order of their paths.
    pub fn add(&mut self, path: &SitePath, edits: Vec<Edit>) {
        let text = self.paths.len();
        self.paths.push(path.clone());
        for (order, edit) in edits.into_iter().enumerate() {
            let place = self.edits.entry(edit.digest);
            let place = place.or_insert_with(|| Place { hunk: edit.hunk, order, texts: Vec::new() });
            if place.texts.last() != Some(&text) {
                place.texts.push(text);
            }
        }
    }

    /// The groups, and how many of the texts have an edit of the layout: one that stands in several and is more than
    /// words.
    pub fn finish(self) -> (Vec<EditGroup>, usize) {
        let mut grouped: BTreeMap<Vec<usize>, Vec<(usize, Hunk)>> = BTreeMap::new();
        for place in self.edits.into_values() {
            grouped.entry(place.texts).or_default().push((place.order, place.hunk));
        }
        let mut layout = BTreeSet::new();
        let mut groups: Vec<(Vec<usize>, Vec<Hunk>)> = Vec::new();
        for (texts, mut hunks) in grouped {
            hunks.sort_by_key(|(order, _)| *order);
            let hunks = side_by_side(hunks);
            if texts.len() >= LAYOUT_PAGES && !hunks.iter().all(is_of_words) {
                layout.extend(texts.iter().copied());
            }
            groups.push((texts, hunks));
        }
        groups.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let named = |texts: Vec<usize>| texts.into_iter().filter_map(|text| self.paths.get(text).cloned()).collect();
        let groups = groups.into_iter().map(|(texts, hunks)| EditGroup { hunks, paths: named(texts) });
        (groups.collect(), layout.len())
    }
}

/// Whether an edit changes words alone.
fn is_of_words(hunk: &Hunk) -> bool {
    let side = |mark: char| {
        let lines = hunk.lines.iter().map(HunkLine::marked).filter(|(found, _)| *found == mark);
        lines.map(|(_, text)| text).collect::<Vec<_>>().join("\n")
    };
    let (before, after) = (side('-'), side('+'));
    PageShape::of(&before).step(&before, &after).in_words_alone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str, footer: &str, extra: &str) -> String {
        format!("<html>\n<head>\n<title>{title}</title>\n</head>\n{extra}<p>{title}</p>\n{footer}\n</html>\n")
    }

    fn group(pages: &[(&str, String, String)]) -> (Vec<(usize, usize)>, usize) {
        let mut groups = Groups::default();
        for (path, old, new) in pages {
            groups.add(&path.parse().unwrap(), edits(old, new, Kind::Markup));
        }
        let (groups, layout) = groups.finish();
        (groups.iter().map(|group| (group.paths.len(), group.hunks.len())).collect(), layout)
    }

    #[test]
    fn an_edit_is_shown_with_the_lines_around_it() {
        let hunks = hunks("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\ne\nf\n");
        assert_eq!(hunks.len(), 1);
        assert_eq!(hunks[0].to_string(), "@@ -2,5 +2,5 @@\n b\n c\n-d\n+X\n e\n f\n");
        let added = super::hunks("", "a\nb\n");
        assert_eq!(added[0].to_string(), "@@ -1,0 +1,2 @@\n+a\n+b\n");
        assert!(super::hunks("a\n", "a\n").is_empty());
        let beside = super::hunks("a\nb\nc\nd\n", "a\nB\nC\nd\n");
        assert_eq!(beside[0].to_string(), "@@ -1,4 +1,4 @@\n a\n-b\n-c\n+B\n+C\n d\n");
        let near = super::hunks("x\ny\na\nb\n", "a\nB\n");
        let near: Vec<String> = near.iter().map(ToString::to_string).collect();
        assert_eq!(near, ["@@ -1,3 +1,1 @@\n-x\n-y\n a\n", "@@ -3,2 +1,2 @@\n a\n-b\n+B\n"]);
    }

    #[test]
    fn a_layout_edit_is_one_group_wherever_it_stands_and_own_edits_are_others() {
        let pages: Vec<_> = ["/a/", "/b/", "/c/", "/d/"]
            .iter()
            .enumerate()
            .map(|(number, path)| {
                let extra = "<hr>\n".repeat(number * 7);
                let old = page(path, "<footer>x</footer>", &extra);
                let title = if number == 3 { "Other" } else { path };
                (*path, old, page(title, "<footer class=y>x</footer>", &extra))
            })
            .collect();
        // The footer on all pages, and the title and the line beside the footer on one alone.
        assert_eq!(group(&pages), (vec![(4, 1), (1, 2)], 4));
    }

    #[test]
    fn edits_on_the_same_pages_are_one_group_and_words_are_no_layout() {
        let pages: Vec<_> = ["/a/", "/b/", "/c/"]
            .iter()
            .map(|path| {
                let footer = |year: &str| format!("<p>{path} is kept</p>\n<footer>{year}</footer>");
                let [old, new] = ["2025", "2026"].map(|year| page("x", &footer(year), &format!("<b>{year}</b>\n")));
                (*path, old, new)
            })
            .collect();
        assert_eq!(group(&pages), (vec![(3, 2)], 0));
    }

    #[test]
    fn a_page_in_one_line_is_cut_at_its_tags() {
        let line = |class: &str| {
            let words = "word ".repeat(50);
            format!("<html><body class={class}><p>{words}<b>bold</b></p><footer>x</footer></body></html>")
        };
        let hunks: Vec<String> =
            edits(&line("a"), &line("b"), Kind::Markup).iter().map(|edit| edit.hunk.to_string()).collect();
        assert_eq!(hunks.len(), 1);
        assert!(hunks[0].contains("-<body class=a>\n+<body class=b>\n <p>word"), "{}", hunks[0]);
    }

    #[test]
    fn a_text_that_is_too_long_is_shown_as_replaced() {
        let text = |with: &str| format!("{with}\n").repeat(MOST_COMPARED);
        assert_eq!(edits(&text("a"), &text("b"), Kind::Text).len(), 1);
    }
}
