use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::ids::ReleaseVersion;
use crate::manifest::ContractRef;
use crate::manifest::{Entry, FORMAT, Manifest};
use crate::patch;

/// A release of pages with these contents, by path.
fn release(version: u64, pages: &BTreeMap<String, Vec<u8>>) -> Manifest {
    let entry = |bytes: &Vec<u8>| Entry {
        blob: BlobRef::of(bytes),
        kind: EntryKind::Page,
        media_type: "text/html".to_owned(),
        slots: vec![SlotRange { name: "nav".to_owned(), at: bytes.len() as u64 / 2, length: 0 }],
    };
    Manifest {
        format: FORMAT,
        main: "nationwide".parse().unwrap(),
        partner: "harbor-shop".parse().unwrap(),
        version: ReleaseVersion::new(version).unwrap(),
        contract: ContractRef { id: "nationwide/harbor-shop@3".parse().unwrap(), digest: Digest::of(b"") },
        theme: "storefront".to_owned(),
        entries: pages.iter().map(|(path, bytes)| (path.parse().unwrap(), entry(bytes))).collect(),
        framework: pages
            .iter()
            .map(|(path, bytes)| (format!("templates{path}x").parse().unwrap(), BlobRef::of(bytes)))
            .collect(),
        index: BlobRef::of(format!("{pages:?}").as_bytes()),
        emergency: None,
    }
}

fn pages(named: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    named.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

/// Content by name, as each end has it.
fn contents(pages: &BTreeMap<String, Vec<u8>>) -> HashMap<BlobRef, Vec<u8>> {
    pages.values().map(|bytes| (BlobRef::of(bytes), bytes.clone())).collect()
}

fn steps(base: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Vec<Step> {
    let (old, next) = (release(1, base), release(2, new));
    let (before, after) = (contents(base), contents(new));
    let mut steps = Vec::new();
    let patch = |old: &BlobRef, new: &BlobRef| Some(patch::between(before.get(old)?, after.get(new)?));
    difference(Some((&Digest::of(&old.to_bytes()), &old)), &next, patch, |step| steps.push(step));
    steps
}

fn assemble(base: &BTreeMap<String, Vec<u8>>, steps: Vec<Step>) -> Result<Manifest, InvalidDelta> {
    let contents = contents(base);
    let mut steps = steps.into_iter();
    let first = steps.next().ok_or(InvalidDelta::Unfinished)?;
    let base = release(1, base);
    let mut assembly = Assembly::begin(&first, Some(&base))?;
    for step in steps {
        let last = assembly.take(step, |old, patch| {
            let made = patch::apply(&contents[old], patch, 1 << 20).map_err(|_| InvalidDelta::Unreadable)?;
            Ok::<_, InvalidDelta>(BlobRef::of(&made))
        })?;
        if last {
            return Ok(assembly.finish());
        }
    }
    Err(InvalidDelta::Unfinished)
}

#[test]
fn a_release_is_put_together_from_what_differs() {
    let base = pages(&[("/a/", "the first page"), ("/b/", "the second page"), ("/c/", "the third page")]);
    let new = pages(&[("/a/", "the first page"), ("/b/", "the other page"), ("/d/", "one more")]);
    let steps = steps(&base, &new);
    assert!(matches!(steps[1], Step::Keep(1)) && matches!(steps[2], Step::Change { .. }), "{steps:?}");
    assert!(matches!(steps[3], Step::Drop(1)) && matches!(steps[4], Step::Add { .. }), "{steps:?}");
    assert_eq!(assemble(&base, steps).unwrap().to_bytes(), release(2, &new).to_bytes());
}

#[test]
fn a_patched_file_travels_without_its_digest() {
    let base = pages(&[("/a/", "a page of some length")]);
    let new = pages(&[("/a/", "a page of any length")]);
    let digest = BlobRef::of(&new["/a/"]).digest;
    let travels: Vec<u8> = steps(&base, &new).iter().flat_map(Step::encode).collect();
    assert!(!travels.windows(32).any(|window| window == digest.as_bytes()));
}

#[test]
fn more_than_a_manifest_can_hold_is_not_listened_to() {
    let base = pages(&[("/a/", "one")]);
    let begin = steps(&base, &base).remove(0);
    let about = About { kind: EntryKind::Page, media_type: "x".repeat(40 << 20) };
    let add = |path: &str| Step::Add {
        place: Place::Entry(path.to_owned()),
        about: about.clone(),
        slots: Vec::new(),
        content: BlobRef::of(b"").into(),
    };
    let refused = assemble(&base, vec![begin, add("/b/"), add("/c/"), Step::End]).unwrap_err();
    assert!(matches!(refused, InvalidDelta::TooMuchSaid));
}

#[test]
fn steps_that_do_not_fit_the_base_are_refused() {
    let base = pages(&[("/a/", "one"), ("/b/", "two")]);
    let begin = steps(&base, &base).remove(0);
    let with = |more: Step| assemble(&base, vec![begin.clone(), more, Step::End]).unwrap_err();
    assert!(matches!(with(Step::Keep(6)), InvalidDelta::BeyondBase));
    assert!(matches!(with(Step::Drop(u64::MAX)), InvalidDelta::BeyondBase));
    assert!(matches!(with(begin.clone()), InvalidDelta::BeginsAgain));
    assert!(matches!(with(Step::Keep(0)), InvalidDelta::Idle));
    assert!(matches!(with(Step::Drop(0)), InvalidDelta::Idle));
    let content = Content::Named(BlobRef::of(b"").into());
    let change = |slots| Step::Change { about: None, slots, content: content.clone() };
    assert!(matches!(with(change(Slots::Moved(Vec::new()))), InvalidDelta::Slot));
    assert!(matches!(with(change(Slots::Moved(vec![(-9, 0)]))), InvalidDelta::Slot));
    let about = About { kind: EntryKind::Page, media_type: String::new() };
    let place = Place::Entry("/../etc/".to_owned());
    let add = Step::Add { place, about, slots: Vec::new(), content: BlobRef::of(b"").into() };
    assert!(matches!(with(add), InvalidDelta::Path(_)));
    assert!(matches!(assemble(&base, vec![Step::End]), Err(InvalidDelta::NoBeginning)));
    assert!(matches!(assemble(&base, vec![begin]), Err(InvalidDelta::Unfinished)));
}

fn any_pages() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    proptest::collection::btree_map("/[a-d]{1,2}/", proptest::collection::vec(0_u8..3, 0..40), 0..8)
}

proptest! {
    #[test]
    fn any_release_is_put_together_from_any_other(base in any_pages(), new in any_pages()) {
        let steps = steps(&base, &new).iter().map(|step| Step::decode(&step.encode()[STEP_HEAD..]).unwrap()).collect();
        let assembled = assemble(&base, steps).unwrap();
        prop_assert_eq!(assembled.to_bytes(), release(2, &new).to_bytes());
        prop_assert_eq!(&Manifest::parse(&assembled.to_bytes()).unwrap(), &assembled);
        prop_assert!(assembled.check().is_ok());
    }

    #[test]
    fn any_bytes_are_a_step_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(step) = Step::decode(&bytes) {
            let base = pages(&[("/a/", "one"), ("/b/", "two")]);
            let begin = steps(&base, &base).remove(0);
            let _ = assemble(&base, vec![begin, step, Step::End]);
        }
    }
}
