//! The steps from one release to another.

use super::file::{File, Files, frame};
use super::{About, Content, Slots, Step};
use crate::digest::Digest;
use crate::manifest::{BlobRef, Manifest, SlotRange};

/// The steps from `base`, a manifest and the digest of its bytes, to `release`.
///
/// `patch` is asked for the patch between two versions of a file, and says none where it is better told whole.
pub fn difference(
    base: Option<(&Digest, &Manifest)>,
    release: &Manifest,
    mut patch: impl FnMut(&BlobRef, &BlobRef) -> Option<Vec<u8>>,
    step: impl FnMut(Step),
) {
    let frame = serde_json::to_string(&frame(release)).expect("a manifest has text keys and no float");
    let mut steps = Steps { run: None, step };
    steps.take(Step::Begin { base: base.map(|(digest, _)| *digest.as_bytes()), frame });
    let mut old = base.into_iter().flat_map(|(_, manifest)| Files::of(manifest)).peekable();
    for file in Files::of(release) {
        while old.next_if(|base| base.at < file.at).is_some() {
            steps.lengthen(Run::Drop);
        }
        match old.next_if(|base| base.at == file.at) {
            Some(base) if base == file => steps.lengthen(Run::Keep),
            Some(base) => steps.take(change(&base, &file, &mut patch)),
            None => steps.take(add(&file)),
        }
    }
    old.for_each(|_| steps.lengthen(Run::Drop));
    steps.finish();
}

/// What happens to files one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Keep,
    Drop,
}

/// Steps, of which those that are alike become one.
struct Steps<F> {
    run: Option<(Run, u64)>,
    step: F,
}

impl<F: FnMut(Step)> Steps<F> {
    fn lengthen(&mut self, run: Run) {
        match &mut self.run {
            Some((same, length)) if *same == run => *length += 1,
            _ => {
                self.end_run();
                self.run = Some((run, 1));
            }
        }
    }

    fn take(&mut self, step: Step) {
        self.end_run();
        (self.step)(step);
    }

    fn end_run(&mut self) {
        match self.run.take() {
            Some((Run::Keep, files)) => (self.step)(Step::Keep(files)),
            Some((Run::Drop, files)) => (self.step)(Step::Drop(files)),
            None => {}
        }
    }

    fn finish(mut self) {
        // What is left of the base is kept without a word.
        self.run = self.run.filter(|(run, _)| *run == Run::Drop);
        self.take(Step::End);
    }
}

fn change(base: &File<'_>, file: &File<'_>, patch: &mut impl FnMut(&BlobRef, &BlobRef) -> Option<Vec<u8>>) -> Step {
    let about = About::of(&file.entry);
    let (old, new) = (base.entry.blob, file.entry.blob);
    let patch = if old == new { None } else { patch(&old, &new) };
    Step::Change {
        about: (about != About::of(&base.entry)).then_some(about),
        slots: slots(&base.entry.slots, &file.entry.slots),
        content: patch.map_or_else(|| Content::Named(new.into()), Content::Patch),
    }
}

fn add(file: &File<'_>) -> Step {
    let entry = &file.entry;
    let (place, about) = (file.at.into(), About::of(entry));
    Step::Add { place, about, slots: entry.slots.clone(), content: entry.blob.into() }
}

fn slots(base: &[SlotRange], slots: &[SlotRange]) -> Slots {
    let are_the_same = base.len() == slots.len() && base.iter().zip(slots).all(|(a, b)| a.name == b.name);
    if !are_the_same {
        return Slots::Other(slots.to_vec());
    }
    let moved = base.iter().zip(slots).map(|(a, b)| (b.at.wrapping_sub(a.at), b.length.wrapping_sub(a.length)));
    Slots::Moved(moved.map(|(at, length)| (at.cast_signed(), length.cast_signed())).collect())
}
