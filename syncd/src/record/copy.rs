//! The file with the entries that main told, and what the audit trail says of them.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tieup_protocol::audit::{AuditEntry, Event};
use tieup_protocol::record::{Entry, MAX_PAGE, MAX_RECORD, RecordHeld, RecordPage, Span};
use tieup_store::audit::AuditError;
use tieup_store::durable::{self, DiskError};
use tieup_store::lines::Lines;
use tieup_store::quarantine::Quarantine;

use super::RecordError;
use crate::statement::STATEMENTS;

/// The file among main's statements, an entry a line.
const FILE: &str = "record.jsonl";

/// In how many pages main can tell its record, each a line of the audit trail: ten times as many as the longest record has
/// where all of them are full.
pub(super) const MOST_PAGES: usize = 20_000;

/// The copy.
#[derive(Debug)]
pub struct RecordCopy(Mutex<Kept>);

/// What is in the file, and what was told of it.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    lines: Lines,
    /// None until it was read from the audit trail. The trail is read once: nothing else writes pages into it.
    told: Option<Told>,
}

/// What main has told by the audit trail: the pages, by the numbers of their first entries. No entry is in two.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<u64, Span>);

impl RecordCopy {
    /// The copy in a state folder.
    pub fn in_state(state: &Path) -> Self {
        let path = state.join(STATEMENTS).join(FILE);
        Self(Mutex::new(Kept { lines: Lines::at(path.clone()), path, told: None }))
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// What was told by these entries of the trail.
    pub(super) fn of(trail: Vec<AuditEntry>) -> Self {
        let told = trail.into_iter().filter(|entry| entry.what == Event::RecordTold);
        let spans = told.filter_map(|entry| entry.reason?.parse::<Span>().ok());
        Self(spans.map(|span| (span.first, span)).collect())
    }

    /// How many entries were told: the number after the last.
    fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, span)| span.last + 1)
    }

    /// How many of the first `held` entries are in whole pages.
    fn whole(&self, held: u64) -> u64 {
        let before = self.0.range(..held).next_back();
        before.filter(|(_, span)| span.last >= held).map_or(held, |(first, _)| *first)
    }

    /// Those of the first `held` entries that are in no page.
    fn gaps(&self, held: u64) -> Vec<Range<u64>> {
        let firsts = self.0.keys().copied().chain([held]);
        let ends = iter::once(0).chain(self.0.values().map(|span| span.last + 1));
        let gaps = ends.zip(firsts).map(|(end, first)| end..first.min(held));
        gaps.filter(|gap| !gap.is_empty()).collect()
    }
}

impl Kept {
    pub(super) fn knows_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn learn_told(&mut self, told: Told) {
        self.told = Some(told);
    }

    /// How many entries main has told, as far as that was learned.
    pub(super) fn told_end(&self) -> u64 {
        self.told.as_ref().map_or(0, Told::end)
    }

    /// How many entries are here.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn count(&mut self) -> Result<u64, DiskError> {
        self.lines.count()
    }

    /// The first `until` entries, in their order; fewer where there are fewer.
    ///
    /// # Errors
    /// When the file cannot be opened; then each, when it cannot be read.
    pub(super) fn first(
        &mut self,
        until: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, RecordError>> + use<>, RecordError> {
        let entry = |(number, line): (u64, Result<String, DiskError>)| {
            serde_json::from_str(&line?).map_err(|_| RecordError::Damaged(number))
        };
        Ok((0..).zip(self.lines.first(until)?).map(entry))
    }

    /// Takes a page where it follows what is here, and is what main told before where it did; `note` writes down what of it
    /// is told for the first time. Durable on return.
    ///
    /// # Errors
    /// When it is too much, makes no sense, was told otherwise before, or cannot be written down.
    pub(super) fn take(
        &mut self,
        page: &RecordPage,
        note: impl FnOnce(Span) -> Result<(), AuditError>,
    ) -> Result<RecordHeld, RecordError> {
        let held = self.lines.count()?;
        if page.from != held {
            return Ok(RecordHeld { held });
        }
        check_page(page)?;
        let coming: Vec<String> = page.entries.iter().map(Entry::line).collect();
        self.check_told(&coming)?;
        let first_new = self.told_end().max(held);
        let known = usize::try_from(first_new - held).unwrap_or(usize::MAX);
        if let Some(span) = Span::of(first_new, coming.get(known..).unwrap_or_default()) {
            self.note(span, note)?;
        }
        self.lines.append(&coming)?;
        Ok(RecordHeld { held: held + coming.len() as u64 })
    }

    fn note(&mut self, span: Span, note: impl FnOnce(Span) -> Result<(), AuditError>) -> Result<(), RecordError> {
        let told = self.told.get_or_insert_default();
        if told.0.len() >= MOST_PAGES {
            return Err(RecordError::TooManyPages);
        }
        note(span)?;
        told.0.insert(span.first, span);
        Ok(())
    }

    /// Looks whether what main told before of the entries that are `coming` now, after those here, is the same again.
    fn check_told(&mut self, coming: &[String]) -> Result<(), RecordError> {
        let held = self.lines.count()?;
        let ends_now = |span: &&Span| (held..held + coming.len() as u64).contains(&span.last);
        let told = self.told.iter().flat_map(|told| told.0.values());
        let again: Vec<Span> = told.filter(ends_now).copied().collect();
        let Some(from) = again.first().map(|span| span.first.min(held)) else { return Ok(()) };
        let mut all = Vec::new();
        if from < held {
            let before = self.lines.first(held)?.skip(usize::try_from(from).unwrap_or(usize::MAX));
            all = before.collect::<Result<_, _>>()?;
        }
        all.extend_from_slice(coming);
        let at = |number: u64| usize::try_from(number - from).unwrap_or(usize::MAX);
        let is_same = |span: &Span| Span::of(span.first, &all[at(span.first)..=at(span.last)]) == Some(*span);
        again.into_iter().find(|span| !is_same(span)).map_or(Ok(()), |span| Err(RecordError::Otherwise(span)))
    }

    /// The number of the first entry that cannot be read or, by its page, is not what main told.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn damaged(&mut self) -> Result<Option<u64>, RecordError> {
        let held = self.lines.count()?;
        let mut open: Option<(Span, Vec<String>)> = None;
        for (number, line) in (0..).zip(self.lines.first(held)?) {
            let Some(line) = line.ok().filter(|line| serde_json::from_str::<Entry>(line).is_ok()) else {
                return Ok(Some(number));
            };
            if let Some(span) = self.told.as_ref().and_then(|told| told.0.get(&number)) {
                open = Some((*span, Vec::new()));
            }
            let Some((span, page)) = &mut open else { continue };
            page.push(line);
            if span.last == number {
                if Span::of(span.first, page) != Some(*span) {
                    return Ok(Some(span.first));
                }
                open = None;
            }
        }
        Ok(None)
    }

    /// Where there is less here than main told, goes back to the end of a page, so that none is put together of what lay here
    /// and what is told anew. Gives how many entries lay here and how many were told.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn back_to_page(&mut self) -> Result<Option<(u64, u64)>, DiskError> {
        let (held, told) = (self.lines.count()?, self.told_end());
        if held >= told {
            return Ok(None);
        }
        let whole = self.told.as_ref().map_or(held, |told| told.whole(held));
        self.lines.go_back_to(whole)?;
        Ok(Some((held, told)))
    }

    /// Notes with `note` those that are here and that no page was noted of: main told them before pages were noted. Where it
    /// ended half way, it goes on from there.
    ///
    /// # Errors
    /// When they cannot be read or written down.
    pub(super) fn note_older(&mut self, note: impl Fn(Span) -> Result<(), AuditError>) -> Result<(), RecordError> {
        let held = self.lines.count()?;
        for Range { start, end } in self.told.get_or_insert_default().gaps(held) {
            let lines = self.lines.first(end)?.skip(usize::try_from(start).unwrap_or(usize::MAX));
            let (mut first, mut page) = (start, Vec::new());
            for (number, line) in (start + 1..).zip(lines) {
                page.push(line?);
                if page.len() as u64 == MAX_PAGE || number == end {
                    let span = Span::of(first, &std::mem::take(&mut page));
                    span.map_or(Ok(()), |span| self.note(span, &note))?;
                    first = number;
                }
            }
        }
        Ok(())
    }

    /// Sets the copy aside in `quarantine`, and says where it is. Nothing is here then. Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn set_aside(&mut self, quarantine: &Quarantine, now: Timestamp) -> Result<PathBuf, RecordError> {
        let bytes = durable::read_file(&self.path)?.unwrap_or_default();
        let aside = quarantine.keep(FILE, &bytes, now)?;
        let removed = durable::remove_file(&self.path);
        // A removal can fail after it was done: what is there is looked at anew.
        self.lines = Lines::at(self.path.clone());
        removed?;
        Ok(aside)
    }
}

/// Whether a page is no longer than a page may be, nor its record, and makes sense.
fn check_page(RecordPage { from, entries }: &RecordPage) -> Result<(), RecordError> {
    let more = entries.len() as u64;
    if more > MAX_PAGE {
        return Err(RecordError::LongPage(more));
    }
    if from + more > MAX_RECORD {
        return Err(RecordError::TooLong);
    }
    let unsound = (*from..).zip(entries).find(|(_, entry)| !entry.is_sound());
    unsound.map_or(Ok(()), |(number, _)| Err(RecordError::Unsound(number)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::io::ErrorKind;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use tieup_store::durable::Step;

    fn sale(id: u64, amount: &str) -> Entry {
        let json = format!(
            r#"{{"entry":"sale","id":"A-{id}","kind":"order","amount":"{amount}","units":1,"time":"2026-11-05T03:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn sales(ids: Range<u64>) -> Vec<Entry> {
        ids.map(|id| sale(id, "900")).collect()
    }

    /// A copy of which `told` was told.
    fn copy(told: &[Span]) -> (TempDir, RecordCopy) {
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join(STATEMENTS)).unwrap();
        let copy = RecordCopy::in_state(dir.path());
        copy.kept().learn_told(Told(told.iter().map(|span| (span.first, *span)).collect()));
        (dir, copy)
    }

    fn take(kept: &mut Kept, from: u64, entries: Vec<Entry>) -> Result<u64, RecordError> {
        kept.take(&RecordPage { from, entries }, |_| Ok(())).map(|held| held.held)
    }

    #[test]
    fn a_copy_that_ends_within_a_page_goes_back_to_its_beginning_and_main_is_not_blamed() {
        let (_dir, copy) = copy(&[]);
        let mut kept = copy.kept();
        assert_eq!(take(&mut kept, 0, sales(0..2)).unwrap(), 2);
        assert_eq!(take(&mut kept, 2, sales(2..5)).unwrap(), 5);
        assert_eq!(kept.back_to_page().unwrap(), None);
        // The disk lost the last line, and changed one before it.
        let text = fs::read_to_string(&kept.path).unwrap();
        let lines: Vec<String> = text.lines().take(4).map(|line| line.replace("A-2", "A-7")).collect();
        fs::write(&kept.path, lines.join("\n") + "\n").unwrap();
        kept.lines = Lines::at(kept.path.clone());
        assert_eq!(kept.damaged().unwrap(), None, "nothing tells of a page that is not whole");
        assert_eq!(kept.back_to_page().unwrap(), Some((4, 5)));
        assert_eq!(take(&mut kept, 2, sales(2..5)).unwrap(), 5);
        assert_eq!(fs::read_to_string(&kept.path).unwrap(), text);
    }

    #[test]
    fn what_was_told_before_pages_were_noted_cannot_be_told_otherwise_either() {
        let (_dir, copy) = copy(&[]);
        let mut kept = copy.kept();
        let lines: Vec<String> = sales(0..MAX_PAGE + 2).iter().map(Entry::line).collect();
        kept.lines.append(&lines).unwrap();
        let noted = RefCell::new(Vec::new());
        let note = |span: Span| {
            noted.borrow_mut().push((span.first, span.last));
            Ok(())
        };
        kept.note_older(note).unwrap();
        kept.note_older(note).unwrap();
        assert_eq!(*noted.borrow(), [(0, MAX_PAGE - 1), (MAX_PAGE, MAX_PAGE + 1)]);
        kept.lines.go_back_to(MAX_PAGE).unwrap();
        let other = vec![sale(MAX_PAGE, "1"), sale(MAX_PAGE + 1, "900")];
        let refused = take(&mut kept, MAX_PAGE, other).unwrap_err();
        assert!(matches!(refused, RecordError::Otherwise(span) if span.first == MAX_PAGE), "{refused}");
        assert_eq!(take(&mut kept, MAX_PAGE, sales(MAX_PAGE..MAX_PAGE + 2)).unwrap(), MAX_PAGE + 2);
        // Of a later page the older entries are noted as well.
        kept.learn_told(Told::of(Vec::new()));
        assert_eq!(take(&mut kept, MAX_PAGE + 2, sales(0..1)).unwrap(), MAX_PAGE + 3);
        noted.borrow_mut().clear();
        kept.note_older(note).unwrap();
        assert_eq!(*noted.borrow(), [(0, MAX_PAGE - 1), (MAX_PAGE, MAX_PAGE + 1)]);
    }

    #[test]
    fn noting_what_was_told_before_goes_on_where_it_ended_half_way() {
        let (_dir, copy) = copy(&[]);
        let mut kept = copy.kept();
        let (second, third, end) = (MAX_PAGE, 2 * MAX_PAGE, 2 * MAX_PAGE + 3);
        let lines: Vec<String> = sales(0..end).iter().map(Entry::line).collect();
        kept.lines.append(&lines).unwrap();
        let noted = RefCell::new(Vec::new());
        let note_until = |full: usize| {
            let noted = &noted;
            move |span: Span| {
                if noted.borrow().len() == full {
                    let (step, path, source) =
                        (Step::Write, PathBuf::from("audit.jsonl"), ErrorKind::StorageFull.into());
                    return Err(DiskError { step, path, source }.into());
                }
                noted.borrow_mut().push((span.first, span.last));
                Ok(())
            }
        };
        kept.note_older(note_until(1)).unwrap_err();
        // Main goes on before all is noted, and a page of its own comes behind what is not.
        assert_eq!(take(&mut kept, end, sales(0..1)).unwrap(), end + 1);
        kept.note_older(note_until(2)).unwrap_err();
        kept.note_older(note_until(9)).unwrap();
        kept.note_older(note_until(9)).unwrap();
        assert_eq!(*noted.borrow(), [(0, second - 1), (second, third - 1), (third, end - 1)]);
        kept.lines.go_back_to(third).unwrap();
        let other = [vec![sale(third, "1")], sales(third + 1..end)].concat();
        let refused = take(&mut kept, third, other).unwrap_err();
        assert!(matches!(refused, RecordError::Otherwise(span) if span.first == third), "{refused}");
    }

    #[test]
    fn main_cannot_fill_the_trail_with_pages_of_one_entry() {
        let most = MOST_PAGES as u64;
        let line = sale(0, "900").line();
        let page = Span::of(0, std::slice::from_ref(&line)).unwrap();
        let told: Vec<Span> = (0..most).map(|number| Span { first: number, last: number, ..page }).collect();
        let (_dir, copy) = copy(&told);
        let mut kept = copy.kept();
        kept.lines.append(&vec![line; MOST_PAGES]).unwrap();
        let refused = take(&mut kept, most, sales(0..1)).unwrap_err();
        assert!(matches!(refused, RecordError::TooManyPages), "{refused}");
        assert!(refused.to_string().ends_with("by another partner's name, whose record begins anew"), "{refused}");
        assert_eq!(kept.count().unwrap(), most);
    }
}
