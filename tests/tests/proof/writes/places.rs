//! The places in the daemon's source, in main's, and in what they share, that write, each with what becomes of it when the
//! write fails: so that a new one is not forgotten.
//!
//! Whatever the daemon puts on a disk it puts there by `std::fs`, by `tieup_store::durable` or by a type of the store that
//! is made for a file or a folder. Those are looked for in the source, and what is found has to stand in the table. What
//! the table says is covered is among the kinds of files with which a write is known to have failed in these tests. Caches
//! are not looked for: what is lost of one is made anew, and it tells nobody of a write that failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tieup_store::durable::Step as Write;
use walkdir::WalkDir;

use super::beginnings::{AT_THE_START, IN_A_COLLECTION, IN_A_JOIN, IN_A_PROMPT, IN_NEW_KEYS};
use super::ledgers::{IN_A_DISPUTE, IN_A_REFUSAL, IN_A_STRIKE, IN_MAINS_TRAIL, OF_A_RECEIPT, OF_MAINS_LOG};
use super::main_site::{AFTER_A_SWEEP, AT_A_COLLECTION, IN_A_NEW_FOLDER, IN_A_PUBLICATION, IN_A_REQUEST, IN_A_SWEEP};
use super::records::IN_A_RECORD;
use super::step::Step;

/// How a place is seen to.
enum Seen {
    /// Writes to files of this kind fail in these tests.
    Fails(&'static str),
    /// They fail in a test of this name, which stands beside the code.
    FailsBeside(&'static str),
    /// They do not, and why that is enough.
    LeftOut(&'static str),
}
use Seen::{Fails, FailsBeside, LeftOut};

const READS: &str = "it is read and nothing else";
const BY_A_PERSON: &str = "a person asks for it at the terminal, is told, and nothing rests on it";
const SOCKET: &str = "a socket is made anew at each start, and one that cannot be made is a start that failed";
const REFUSED: &str = "a folder that a refused join leaves holds nothing";
const PROBE: &str = "it is written to learn whether the disk takes anything, and that it fails is the answer";
const TEST: &str = "it is a test";
const LOCK: &str = "a lock that cannot be taken is a command that has not begun";
const BUILT: &str = "it is built from the sources, as often as somebody asks";
const COPIED: &str = "a copy of what is kept elsewhere, which the next round completes; an alarm is given meanwhile";
const TOLD: &str = "the hub's log tells the same, and the next build puts it right";
const LEFT_OVER: &str = "what is left over goes with the next release that waits";
const AS_OTHERS: &str = "no test lets it fail yet: a document or a file of lines, whose own writes fail in the store's tests; who asked is told";
const SCRATCH: &str =
    "where the TUF client works: what lies there counts for nothing, and is put right before each use";

/// The places, by file and by what stands there.
const PLACES: &[(&str, &str, Seen)] = &[
    ("syncd/cli.rs", "durable::write_file(", LeftOut(BY_A_PERSON)),
    ("syncd/cli.rs", "AuditTrail::at(config.state.join(AUDIT)).entries()", LeftOut(READS)),
    ("syncd/cli/serving.rs", "StateLock::take(", LeftOut(LOCK)),
    ("syncd/cli/tie_ups.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("syncd/daemon/tie_up.rs", "durable::settle(folder)", Fails(".tmp-N-N")),
    ("syncd/daemon/tie_up.rs", "StateLock::take(&config.state)", Fails("lock")),
    ("syncd/daemon/tie_up.rs", "BlobStore::open(config.state.join(\"blobs\"))", Fails("blobs/N.blobs")),
    ("syncd/dispute.rs", "Document::at(", Fails("statements/N-N.dispute.json")),
    ("syncd/export.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("syncd/extents.rs", "Document::at(", Fails("extents.json")),
    ("syncd/main_journal/shown.rs", "Document::at(", Fails("main-journal/N-N.receipts.json")),
    ("syncd/pins.rs", "Document::at(", LeftOut(AS_OTHERS)),
    ("syncd/record.rs", "durable::create_dir_all(", Fails("statements")),
    ("syncd/record.rs", "Quarantine::at(", Fails("quarantine/*")),
    ("syncd/record/copy.rs", "durable::remove_file(", Fails("statements/record.jsonl")),
    ("syncd/strikes.rs", "durable::create_dir_all(", Fails("statements")),
    ("syncd/strikes.rs", "Document::at(", Fails("statements/strikes.json")),
    ("syncd/guard/mod.rs", "Quarantine::at(", Fails("quarantine/*")),
    ("syncd/identity.rs", "durable::create_dir_all(state)", Fails("")),
    ("syncd/identity.rs", "durable::remove_dir_all(state)", LeftOut(REFUSED)),
    ("syncd/identity.rs", "durable::write_private_file(&file", Fails("identity.json")),
    ("syncd/identity.rs", "durable::write_private_file(&state.join(BEGUN)", Fails("joining.json")),
    ("syncd/identity.rs", "durable::remove_file(&state.join(BEGUN))", Fails("joining.json")),
    ("syncd/intake.rs", "Document::at(state.join(\"trust.json\"))", Fails("trust.json")),
    ("syncd/main_journal.rs", "StateLock::take(&kept.folder)", Fails("main-journal")),
    ("syncd/main_journal.rs", "Document::at(self.folder.join(KEY))", Fails("main-journal/key.json")),
    ("syncd/main_journal.rs", "durable::write_private_file(", Fails("main-journal/cosigner.key")),
    ("syncd/prompt/ledger.rs", "Document::at(state.join(FILE))", Fails("prompts.json")),
    ("syncd/publisher.rs", "Releases::open(", Fails("releases/N/record.json")),
    ("syncd/publisher.rs", "Document::at(places.state.join(\"live.json\"))", Fails("live.json")),
    ("syncd/publisher.rs", "Document::at(places.state.join(\"withdrawn.json\"))", Fails("withdrawn.json")),
    ("syncd/publisher.rs", "Document::at(places.state.join(\"emergency.json\"))", Fails("emergency.json")),
    ("syncd/publisher.rs", "AuditTrail::at(", Fails("audit.jsonl")),
    ("syncd/publisher.rs", "Quarantine::at(", Fails("quarantine/*")),
    ("syncd/publisher/rebuilding.rs", "durable::remove_file(", Fails("emergency.json")),
    ("syncd/publisher/originals.rs", "durable::settle(state)", Fails("originals")),
    ("syncd/publisher/originals.rs", "durable::replace_dir(&self.approved_originals", Fails("originals")),
    ("syncd/publisher/originals.rs", "durable::remove_dir_all(&self.approved_originals)", Fails("originals")),
    ("syncd/publisher/rights.rs", "durable::remove_file(self.emergency_document.path())", Fails("emergency.json")),
    ("syncd/revocation.rs", "durable::write_file(first", Fails("revocations.pem")),
    ("syncd/revocation.rs", "durable::write_file(path", Fails("revocations-copy.pem")),
    ("syncd/statement.rs", "Document::at(state.join(STATEMENTS)", Fails("statements/N-N.json")),
    ("syncd/statement.rs", "durable::create_dir_all(folder)", Fails("statements")),
    ("syncd/trust.rs", "durable::create_dir_all(folder)", LeftOut(SCRATCH)),
    ("syncd/trust.rs", "durable::remove_file(&file)", LeftOut(SCRATCH)),
    ("syncd/trust.rs", "fs::write(file, text)", LeftOut(SCRATCH)),
    (
        "web/https/acme/kept.rs",
        "durable::",
        FailsBeside("whichever_write_fails_what_was_kept_before_is_there_or_what_was_to_be"),
    ),
    (
        "web/https/acme/kept.rs",
        "Document::at(",
        FailsBeside("whichever_write_fails_an_account_and_the_tries_are_whole_or_there_are_none"),
    ),
    ("web/listener.rs", "fs::", LeftOut(SOCKET)),
    ("web/site/server/half_closed.rs", "BlobStore::open(", LeftOut(TEST)),
    ("web/site/server/idle.rs", "BlobStore::open(", LeftOut(TEST)),
    ("web/site/server/ways/shop.rs", "BlobStore::open(", LeftOut(TEST)),
    ("web/site/server/lying.rs", "BlobStore::open(", LeftOut(TEST)),
    ("web/journal/keeper.rs", "JournalWriter::open_checked(", Fails("journal/N-N/entries")),
    ("web/journal/mod.rs", "durable::write_file(&self.setup.dir.join(PROBE)", LeftOut(PROBE)),
    ("web/journal/mod.rs", "durable::create_dir_all(&setup.dir)", Fails("journal")),
    ("web/journal/refusals.rs", "durable::", Fails("main-journal/refusals")),
    ("web/journal/refusals.rs", "Document::at(", Fails("main-journal/refusals/N-N.json")),
    ("hub/archive.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/archive.rs", "Document::at(", Fails("published/swept.json")),
    ("hub/archive.rs", "BlobStore::open(", Fails("published/N.blobs")),
    ("hub/audit/fetching.rs", "durable::create_dir_all(", Fails("journals")),
    ("hub/audit/fetching.rs", "durable::remove_file(", LeftOut(COPIED)),
    ("hub/audit/fetching.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/audit/fetching.rs", "AuditTrail::at(", LeftOut(COPIED)),
    ("hub/audit/mod.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/audit/mod.rs", "AuditTrail::at(", LeftOut(COPIED)),
    ("hub/audit/signature.rs", "AuditTrail::at(", LeftOut(READS)),
    ("hub/audit/signature.rs", "durable::", LeftOut(COPIED)),
    ("hub/cli/key.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("hub/cli/partners.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("hub/cli/site.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("hub/collect.rs", "Document::at(", Fails("journals/north/collected.json")),
    ("hub/collect.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/folder.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/folder.rs", "durable::write_file(", Fails("identity/folder")),
    ("hub/keys.rs", "durable::create_dir_all(&self.dir)", Fails("keys")),
    ("hub/keys.rs", "durable::create_dir_all(&self.dir.join(ROOTS))", LeftOut(BY_A_PERSON)),
    ("hub/keys.rs", "durable::write_private_file(", Fails("keys/authority.key")),
    ("hub/mirror/files.rs", "durable::", LeftOut(COPIED)),
    ("hub/mirror/mod.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/mirror/mod.rs", "Document::at(", LeftOut(COPIED)),
    ("hub/own_journal.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/partners.rs", "durable::create_dir_all(&config.state)", LeftOut(LOCK)),
    ("hub/rollups.rs", "durable::", LeftOut(BUILT)),
    ("hub/server.rs", "BlobStore::open(", LeftOut(BUILT)),
    ("hub/starter.rs", "durable::", LeftOut(BY_A_PERSON)),
    ("hub/trail.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/trail.rs", "AuditTrail::at(", Fails("trail/audit.jsonl")),
    ("hub/trust/freshness.rs", "StateLock::take(", LeftOut(LOCK)),
    ("hub/trust/key.rs", "durable::write_private_file(", LeftOut(BY_A_PERSON)),
    ("hub/trust/waiting.rs", "BlobStore::open(", Fails("signing/north/blobs/N.blobs")),
    ("hub/trust/waiting.rs", "durable::remove_dir_all(", LeftOut(LEFT_OVER)),
    ("hub/trust/waiting.rs", "durable::create_dir_all(folder)", Fails("signing/north")),
    ("hub/trust/waiting.rs", "durable::write_file(file", Fails("signing/north/N.json")),
    ("hub/unbuilt.rs", "Document::at(", LeftOut(TOLD)),
    ("hub/unbuilt.rs", "durable::remove_file(", LeftOut(TOLD)),
    ("hub/witnesses.rs", "Document::at(", Fails("receipts/north/N-N.json")),
    ("hub/witnesses.rs", "durable::create_dir_all(", Fails("receipts/north")),
];

/// The kinds of files with which writes fail outside of the steps.
const BESIDE_STEPS: &[&[&str]] = &[
    AT_THE_START,
    IN_A_COLLECTION,
    IN_A_JOIN,
    IN_A_PROMPT,
    IN_NEW_KEYS,
    OF_MAINS_LOG,
    OF_A_RECEIPT,
    IN_A_REFUSAL,
    IN_A_DISPUTE,
    IN_A_STRIKE,
    IN_A_RECORD,
    IN_A_NEW_FOLDER,
    IN_MAINS_TRAIL,
    IN_A_PUBLICATION,
    IN_A_REQUEST,
    AT_A_COLLECTION,
    IN_A_SWEEP,
    AFTER_A_SWEEP,
];

/// What writes where it stands, or makes what writes.
const WRITERS: &[&str] = &[
    "durable::create_dir_all(",
    "durable::remove_dir_all(",
    "durable::remove_file(",
    "durable::replace_dir(",
    "durable::settle(",
    "durable::write_file(",
    "durable::write_private_file(",
    "fs::copy(",
    "fs::create_dir",
    "fs::hard_link(",
    "fs::remove_",
    "fs::rename(",
    "fs::set_permissions(",
    "fs::write(",
    "File::create",
    "OpenOptions",
    "AuditTrail::at(",
    "BlobStore::open(",
    "Document::at(",
    "JournalMirror::",
    "JournalWriter::",
    "Quarantine::at(",
    "Releases::open(",
    "StateLock::take(",
    "Tree::",
];

/// The modules of the store that the daemon uses. What another one writes is not looked for yet.
const MODULES: &[&str] =
    &["audit", "blobs", "cache", "document", "durable", "journal", "lines", "lock", "look", "quarantine", "releases"];

/// The kind of a file below the folder `state` with which something failed: without its numbers, and without what is
/// quarantined. None for what has no name of its own yet, and for a folder of which the names are made durable.
pub(super) fn kind(state: &Path, (step, path): &(Write, PathBuf)) -> Option<String> {
    let below = path.strip_prefix(state).ok()?.to_str()?;
    if *step == Write::SyncDir || below.contains(".tmp-") && *step != Write::Remove {
        return None;
    }
    if below.starts_with("quarantine/") {
        return Some("quarantine/*".to_owned());
    }
    let mut kind = String::new();
    for letter in below.chars() {
        match letter {
            '0'..='9' if kind.ends_with('N') => {}
            '0'..='9' => kind.push('N'),
            other => kind.push(other),
        }
    }
    Some(kind)
}

/// Fails unless a write failed with each of the `expected` kinds of files.
pub(super) fn assert_kinds(context: &str, found: &BTreeSet<String>, expected: &[&str]) {
    println!("{context}: {found:?}");
    for kind in expected {
        assert!(found.contains(*kind), "{context}: no write to {kind} failed, but to {found:?}");
    }
}

#[test]
fn every_place_that_writes_is_known_and_fails_in_a_test_or_is_left_out_for_a_reason() {
    let found = places();
    let is_at =
        |place: &(String, String), (file, what, _): &(&str, &str, Seen)| place.0 == *file && place.1.contains(what);
    for place in &found {
        assert!(
            PLACES.iter().any(|known| is_at(place, known)),
            "{} writes, and no test is named: {}",
            place.0,
            place.1
        );
    }
    let steps = Step::ALL.iter().flat_map(|step| step.kinds());
    let failing: BTreeSet<&str> = steps.chain(BESIDE_STEPS.iter().copied().flatten()).copied().collect();
    for known in PLACES {
        assert!(found.iter().any(|place| is_at(place, known)), "{} does not hold {}", known.0, known.1);
        match known.2 {
            Fails(kind) => assert!(failing.contains(kind), "no test lets a write to {kind:?} fail"),
            FailsBeside(test) => assert!(beside(known.0).contains(&format!("fn {test}()")), "there is no {test}"),
            LeftOut(why) => assert!(!why.is_empty()),
        }
    }
}

#[test]
fn the_daemon_uses_no_module_of_the_store_whose_writes_are_not_looked_for() {
    for (file, text) in sources().into_iter().filter(|(file, _)| !file.starts_with("hub/")) {
        for part in text.split("tieup_store::").skip(1) {
            let module: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(MODULES.contains(&module.as_str()), "{file} uses tieup_store::{module}");
        }
    }
}

/// The whole text of a file, `web/listener.rs`, with its tests.
fn beside(file: &str) -> String {
    let (part, file) = file.split_once('/').unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(part).join("src").join(file)).unwrap()
}

/// Each line of the source that writes, with its file.
fn places() -> Vec<(String, String)> {
    let writes =
        |line: &str| WRITERS.iter().any(|writer| line.contains(writer)) && !line.trim_start().starts_with("use ");
    let lines = |(file, text): (String, String)| {
        let lines = text.lines().filter(|line| writes(line)).map(str::to_owned);
        lines.map(move |line| (file.clone(), line)).collect::<Vec<_>>()
    };
    sources().into_iter().flat_map(lines).collect()
}

/// The source without its tests: each file's name, `syncd/intake.rs`, and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for part in ["syncd", "web", "hub"] {
        let folder = root.join(part).join("src");
        let files = WalkDir::new(&folder).into_iter().map(|entry| entry.unwrap().into_path());
        let is_source = |file: &PathBuf| file.extension().is_some_and(|end| end == "rs") && !file.ends_with("tests.rs");
        for file in files.filter(is_source) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("mod tests {").next().unwrap_or_default().to_owned();
            sources.push((format!("{part}/{}", file.strip_prefix(&folder).unwrap().display()), code));
        }
    }
    assert!(sources.len() > 20, "{} is not the source", root.display());
    sources
}
