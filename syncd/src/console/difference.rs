//! The difference as the console shows it: what is new or gone by name, and edits word by word.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use tieup_protocol::difference::{Difference, EditGroup, Hunk, HunkLine};
use tieup_web::console::Html;
use tieup_web::html;

/// The most groups of edits that are shown, and the most names of each kind.
const MOST_PARTS: usize = 60;

/// The most edits of a group that are shown.
const MOST_EDITS: usize = 12;

/// The most bytes of an edit that are compared word by word.
const MOST_BYTES: usize = 8_000;

/// How many characters of what stays are shown beside what changes.
const BESIDE: usize = 60;

/// Lines that go and lines that come in their place.
#[derive(Default)]
struct Edit {
    old: String,
    new: String,
    /// Whether a line that stays came after it.
    ended: bool,
}

/// A difference in HTML; `everything` is the command that shows all of it.
pub(super) fn shown(difference: &Difference, everything: &str) -> Html {
    let contract =
        if difference.contract.is_empty() { Html::default() } else { card("The contract", &difference.contract) };
    let groups: Html = difference.groups.iter().take(MOST_PARTS).map(group).collect();
    let binary =
        difference.binary.iter().map(|file| format!("{} ({} bytes, before {})", file.path, file.after, file.before));
    let new = difference.new.iter().map(|file| format!("{} ({} bytes)", file.path, file.bytes));
    let kinds = [
        names("New", new),
        names("Changed files", binary),
        names("Gone", difference.removed.iter().map(ToString::to_string)),
    ];
    let names: Html = kinds.into_iter().collect();
    let rest = if is_cut(difference) {
        html!("<p>Not all of it is shown here. On the machine of the daemon: <code>{}</code></p>", everything)
    } else {
        Html::default()
    };
    html!("{}{}{}{}", contract, groups, names, rest)
}

fn is_cut(difference: &Difference) -> bool {
    let kinds = [difference.groups.len(), difference.new.len(), difference.binary.len(), difference.removed.len()];
    kinds.into_iter().any(|count| count > MOST_PARTS)
        || difference.groups.iter().any(|group| edits(&group.hunks).len() > MOST_EDITS)
}

fn names(title: &str, all: impl ExactSizeIterator<Item = String>) -> Html {
    if all.len() == 0 {
        return Html::default();
    }
    let (count, items) = (all.len(), all.take(MOST_PARTS).map(|name| html!("<li>{}</li>", name)).collect::<Html>());
    html!("<details><summary>{} ({})</summary><ul class=\"paths\">{}</ul></details>", title, count, items)
}

fn group(group: &EditGroup) -> Html {
    let title = match group.paths.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first} and {} more in the same way", others.len()),
    };
    card(&title, &group.hunks)
}

fn card(title: &str, hunks: &[Hunk]) -> Html {
    let edits: Html = edits(hunks).iter().take(MOST_EDITS).map(Edit::shown).collect();
    html!("<section class=\"card\"><h3>{}</h3><div class=\"lines\">{}</div></section>", title, edits)
}

/// The edits of hunks: what goes, with what comes in its place.
fn edits(hunks: &[Hunk]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for hunk in hunks {
        end(&mut edits);
        for line in &hunk.lines {
            match line {
                HunkLine::Kept(_) => end(&mut edits),
                HunkLine::Removed(text) => {
                    if edits.last().is_none_or(|edit| edit.ended || !edit.new.is_empty()) {
                        edits.push(Edit::default());
                    }
                    edits.last_mut().into_iter().for_each(|edit| edit.old.extend([text, "\n"]));
                }
                HunkLine::Added(text) => {
                    if edits.last().is_none_or(|edit| edit.ended) {
                        edits.push(Edit::default());
                    }
                    edits.last_mut().into_iter().for_each(|edit| edit.new.extend([text, "\n"]));
                }
            }
        }
    }
    edits
}

fn end(edits: &mut [Edit]) {
    if let Some(edit) = edits.last_mut() {
        edit.ended = true;
    }
}

impl Edit {
    fn shown(&self) -> Html {
        let (old, new) = if self.old.len() + self.new.len() > MOST_BYTES {
            (cut(&self.old, Kept::Begin), cut(&self.new, Kept::Begin))
        } else {
            self.words()
        };
        let line = |class: &str, label: &str, text: Html| {
            html!("<div class=\"{}\"><span class=\"hidden\">{}</span>{}</div>", class, label, text)
        };
        let old = if self.old.is_empty() { Html::default() } else { line("old", "before: ", old) };
        let new = if self.new.is_empty() { Html::default() } else { line("new", "after: ", new) };
        html!("{}{}", old, new)
    }

    /// Both sides, with the words marked that are not on the other.
    fn words(&self) -> (Html, Html) {
        let (old, new) = (tokens(&self.old), tokens(&self.new));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let steps = capture_diff_slices(Algorithm::Myers, &old, &new);
        let last = steps.len().saturating_sub(1);
        for (place, step) in steps.into_iter().enumerate() {
            let (gone, come) = (old[step.old_range()].concat(), new[step.new_range()].concat());
            if let DiffOp::Equal { .. } = step {
                let kept = match place {
                    0 if last == 0 => Kept::Begin,
                    0 => Kept::End,
                    place if place == last => Kept::Begin,
                    _ => Kept::Both,
                };
                before.push(cut(&gone, kept));
                after.push(cut(&gone, kept));
                continue;
            }
            before.extend(Some(gone).filter(|gone| !gone.is_empty()).map(|gone| html!("<del>{}</del>", gone)));
            after.extend(Some(come).filter(|come| !come.is_empty()).map(|come| html!("<ins>{}</ins>", come)));
        }
        (before.into_iter().collect(), after.into_iter().collect())
    }
}

/// Which end of a long text is shown.
#[derive(Clone, Copy)]
enum Kept {
    Begin,
    End,
    Both,
}

/// `text`, or its ends where it is long.
fn cut(text: &str, kept: Kept) -> Html {
    let length = text.chars().count();
    let begin = || text.chars().take(BESIDE).collect::<String>();
    let end = || text.chars().skip(length - BESIDE).collect::<String>();
    if length <= 2 * BESIDE + 3 {
        return html!("{}", text);
    }
    match kept {
        Kept::Begin => html!("{} …", begin()),
        Kept::End => html!("… {}", end()),
        Kept::Both => html!("{} … {}", begin(), end()),
    }
}

/// `text` in tags, words of Latin letters and digits, and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '<' => rest.find('>').map_or(1, |end| end + 1),
            c if c.is_ascii_alphanumeric() => rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        found.push(token);
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(difference: &Difference) -> String {
        shown(difference, "syncd diff 1").as_str().to_owned()
    }

    fn edit(paths: &[&str], lines: Vec<HunkLine>) -> Difference {
        let paths = paths.iter().map(|path| path.parse().unwrap()).collect();
        let group = EditGroup { hunks: vec![Hunk { before: 1, after: 1, lines }], paths };
        Difference { groups: vec![group], ..Difference::default() }
    }

    fn replaced(old: &str, new: &str) -> Difference {
        edit(&["/a/"], vec![HunkLine::Removed(old.to_owned()), HunkLine::Added(new.to_owned())])
    }

    #[test]
    fn an_edit_is_shown_word_by_word() {
        let kept = HunkLine::Kept("<header>".to_owned());
        let (old, new) = ("<p>We mend lamps.</p>".to_owned(), "<p>We mend 灯り.</p>".to_owned());
        let lines = vec![kept.clone(), HunkLine::Removed(old), HunkLine::Added(new), kept];
        let html = of(&edit(&["/about/", "/b/", "/c/"], lines));
        for says in [
            "<h3>/about/ and 2 more in the same way</h3>",
            "&lt;p&gt;We mend <del>lamps</del>.&lt;/p&gt;",
            "&lt;p&gt;We mend <ins>灯り</ins>.&lt;/p&gt;",
        ] {
            assert!(html.contains(says), "{says:?} is not shown:\n{html}");
        }
        assert!(!html.contains("header"), "lines that stay are shown:\n{html}");
    }

    #[test]
    fn nothing_in_a_page_becomes_markup() {
        let html = of(&replaced("<script>x()</script>", "<ins>\u{202e}</ins>"));
        assert!(!html.contains("<script>") && !html.contains("<ins>\u{202e}") && !html.contains('\u{202e}'), "{html}");
    }

    #[test]
    fn what_is_too_much_is_cut_and_said() {
        let long = "long ".repeat(100);
        let html = of(&replaced(&format!("{long}a{long}"), &format!("{long}b{long}")));
        assert!(html.len() < 1_000 && html.contains("…"), "{html}");
        let huge = of(&replaced(&"ab ".repeat(10_000), ""));
        assert!(huge.len() < 1_000, "{}", huge.len());
        let removed = (0..100).map(|number| format!("/{number}/").parse().unwrap()).collect();
        let many = of(&Difference { removed, ..Difference::default() });
        assert!(many.contains("syncd diff 1") && many.contains("Gone (100)") && !many.contains("/99/"), "{many}");
    }
}
