//! A release put together from steps, by whoever holds the base.

use super::file::{At, File, Files};
use super::{About, Content, Place, Slots, Step};
use crate::digest::Digest;
use crate::manifest::{BlobRef, Entry, MAX_FILES, MAX_MANIFEST, MAX_RELEASE, Manifest, SlotRange};
use crate::path::{InvalidPath, SitePath, SourcePath};

/// A release that is being put together.
///
/// What it trusts is the base alone. What comes out is a manifest that nobody vouches for yet.
#[derive(Debug)]
pub struct Assembly<'a> {
    /// What is left of the base.
    base: Option<Files<'a>>,
    /// The manifest without its files, but for the page index.
    frame: Manifest,
    /// What is served. Of two at one path the later counts.
    entries: Vec<(SitePath, Entry)>,
    framework: Vec<(SourcePath, BlobRef)>,
    count: u64,
    patched: u64,
    /// How many bytes of paths, types and slots have been told.
    told: u64,
}

/// Why steps do not make a release.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDelta {
    /// Bytes that are no step.
    #[error("a step cannot be read")]
    Unreadable,
    /// The first step is another.
    #[error("the steps do not begin with the manifest's frame")]
    NoBeginning,
    /// A beginning among the steps.
    #[error("the steps begin twice")]
    BeginsAgain,
    /// Steps after the last.
    #[error("steps follow the last one")]
    AfterEnd,
    /// No last step.
    #[error("the steps break off")]
    Unfinished,
    /// The frame is no manifest.
    #[error("the manifest's frame does not parse")]
    Frame(#[source] serde_json::Error),
    /// More files are kept, dropped or changed than the base has.
    #[error("the steps go beyond the files of the base")]
    BeyondBase,
    /// A path that is none.
    #[error("a path in the steps is none")]
    Path(#[from] InvalidPath),
    /// A slot outside of any file.
    #[error("a slot in the steps lies outside of its file")]
    Slot,
    /// More files than a release may have.
    #[error("the steps make more than {MAX_FILES} files")]
    TooManyFiles,
    /// A step that does nothing, of which there could be any number.
    #[error("a step keeps or drops no file")]
    Idle,
    /// More said of the files than a manifest can hold.
    #[error("the steps say more than a manifest of {MAX_MANIFEST} bytes can hold")]
    TooMuchSaid,
    /// More content than a release may have.
    #[error("the patches make more than {MAX_RELEASE} bytes")]
    TooLarge,
}

impl<'a> Assembly<'a> {
    /// The digest of the base's manifest that a first step names.
    ///
    /// # Errors
    /// When it is no first step.
    pub fn base(first: &Step) -> Result<Option<Digest>, InvalidDelta> {
        match first {
            Step::Begin { base, .. } => Ok(base.map(Digest::from_bytes)),
            _ => Err(InvalidDelta::NoBeginning),
        }
    }

    /// Begins with the first step, and the base that it names.
    ///
    /// # Errors
    /// When the frame cannot be read.
    pub fn begin(first: &Step, base: Option<&'a Manifest>) -> Result<Self, InvalidDelta> {
        let Step::Begin { frame, .. } = first else { return Err(InvalidDelta::NoBeginning) };
        let told = frame.len() as u64;
        if told > MAX_MANIFEST {
            return Err(InvalidDelta::TooMuchSaid);
        }
        let mut frame: Manifest = serde_json::from_str(frame).map_err(InvalidDelta::Frame)?;
        let entries = std::mem::take(&mut frame.entries).into_iter().collect();
        let framework = std::mem::take(&mut frame.framework).into_iter().collect();
        Ok(Self { base: base.map(Files::of), frame, entries, framework, count: 0, patched: 0, told })
    }

    /// Takes one step. `patched` is given a blob of the base and a patch, and says what that makes.
    ///
    /// Returns whether it was the last step.
    ///
    /// # Errors
    /// When the step does not fit the base, or `patched` fails.
    pub fn take<E: From<InvalidDelta>>(
        &mut self,
        step: Step,
        patched: impl FnOnce(&BlobRef, &[u8]) -> Result<BlobRef, E>,
    ) -> Result<bool, E> {
        self.hear(&step)?;
        match step {
            Step::Begin { .. } => return Err(InvalidDelta::BeginsAgain.into()),
            Step::Keep(0) | Step::Drop(0) => return Err(InvalidDelta::Idle.into()),
            Step::Keep(count) => self.next(count)?.try_for_each(|file| self.keep(file))?,
            Step::Drop(count) => drop(self.next(count)?),
            Step::Change { about, slots, content } => {
                let base = self.base.as_mut().and_then(Iterator::next).ok_or(InvalidDelta::BeyondBase)?;
                let blob = match content {
                    Content::Named(blob) => blob.into(),
                    Content::Patch(patch) => self.count_bytes(patched(&base.entry.blob, &patch)?)?,
                };
                self.put(base.at, changed(&base.entry, about, slots, blob)?)?;
            }
            Step::Add { place, about, slots, content } => {
                let About { kind, media_type } = about;
                self.add(place, Entry { blob: content.into(), kind, media_type, slots })?;
            }
            Step::End => {
                self.base.take().into_iter().flatten().try_for_each(|file| self.keep(file))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The manifest that the steps made.
    pub fn finish(self) -> Manifest {
        let (entries, framework) = (self.entries.into_iter().collect(), self.framework.into_iter().collect());
        Manifest { entries, framework, ..self.frame }
    }

    /// Counts what is said of files, so that no stream of steps fills the memory.
    fn hear(&mut self, step: &Step) -> Result<(), InvalidDelta> {
        let said = match step {
            Step::Add { place, about, slots, .. } => place.length() + about.media_type.len() + size_of_slots(slots),
            Step::Change { about, slots, .. } => {
                let about = about.as_ref().map_or(0, |about| about.media_type.len());
                about + if let Slots::Other(slots) = slots { size_of_slots(slots) } else { 0 }
            }
            _ => 0,
        };
        self.told = self.told.saturating_add(said as u64);
        if self.told > MAX_MANIFEST { Err(InvalidDelta::TooMuchSaid) } else { Ok(()) }
    }

    /// The next `count` files of the base, which is beyond them from then on.
    fn next(&mut self, count: u64) -> Result<impl Iterator<Item = File<'a>> + use<'a>, InvalidDelta> {
        let base = self.base.as_mut().ok_or(InvalidDelta::BeyondBase)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= base.len());
        let count = count.ok_or(InvalidDelta::BeyondBase)?;
        let files = base.clone().take(count);
        base.by_ref().take(count).for_each(drop);
        Ok(files)
    }

    fn keep(&mut self, file: File<'a>) -> Result<(), InvalidDelta> {
        self.put(file.at, file.entry.into_owned())
    }

    /// Takes a file to where one of the base was.
    fn put(&mut self, at: At<'_>, entry: Entry) -> Result<(), InvalidDelta> {
        self.count_file()?;
        match at {
            At::Entry(path) => self.entries.push((path.clone(), entry)),
            At::Framework(path) => self.framework.push((path.clone(), entry.blob)),
            At::Index => self.frame.index = entry.blob,
        }
        Ok(())
    }

    /// Takes a file to a place that was told.
    fn add(&mut self, place: Place, entry: Entry) -> Result<(), InvalidDelta> {
        self.count_file()?;
        match place {
            Place::Entry(path) => self.entries.push((path.parse()?, entry)),
            Place::Framework(path) => self.framework.push((path.parse()?, entry.blob)),
            Place::Index => self.frame.index = entry.blob,
        }
        Ok(())
    }

    fn count_file(&mut self) -> Result<(), InvalidDelta> {
        self.count += 1;
        if self.count > MAX_FILES { Err(InvalidDelta::TooManyFiles) } else { Ok(()) }
    }

    fn count_bytes(&mut self, blob: BlobRef) -> Result<BlobRef, InvalidDelta> {
        self.patched = self.patched.saturating_add(blob.length);
        if self.patched > MAX_RELEASE { Err(InvalidDelta::TooLarge) } else { Ok(blob) }
    }
}

/// How many bytes a slot takes in a manifest beside its name.
const SLOT: usize = 28;

/// At most as many bytes as the slots take in a manifest.
fn size_of_slots(slots: &[SlotRange]) -> usize {
    slots.iter().map(|slot| slot.name.len() + SLOT).sum()
}

fn changed(base: &Entry, about: Option<About>, slots: Slots, blob: BlobRef) -> Result<Entry, InvalidDelta> {
    let About { kind, media_type } = about.unwrap_or_else(|| About::of(base));
    let slots = match slots {
        Slots::Other(slots) => slots,
        Slots::Moved(by) if by.len() == base.slots.len() => {
            base.slots.iter().cloned().zip(by).map(|(slot, by)| moved(slot, by)).collect::<Result<_, _>>()?
        }
        Slots::Moved(_) => return Err(InvalidDelta::Slot),
    };
    Ok(Entry { blob, kind, media_type, slots })
}

fn moved(slot: SlotRange, (at, length): (i64, i64)) -> Result<SlotRange, InvalidDelta> {
    let at = slot.at.checked_add_signed(at).ok_or(InvalidDelta::Slot)?;
    let length = slot.length.checked_add_signed(length).ok_or(InvalidDelta::Slot)?;
    Ok(SlotRange { at, length, ..slot })
}
