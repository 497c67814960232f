//! Every parser that a peer reaches, and all that a visitor's request reaches, given what real messages become when bytes of
//! them are changed at random.
//!
//! Stable Rust has no coverage to steer by (`cargo fuzz` and what is like it need a nightly compiler or instrumented
//! builds), so the seeds are the messages of a real push and the changes are those of the usual fuzzers. Of each target
//! it must hold that it never panics, that it never allocates more than its stated bound, and that what it reads comes
//! out of it again.
//!
//! `TIEUP_FUZZ_SECONDS=600 cargo test -p tieup-tests --test fuzz -- --nocapture` runs each target that long;
//! `TIEUP_SEED` repeats a run.

#![cfg(test)]

mod calls;
mod corpus;
mod mutation;
mod records;
mod targets;
mod visits;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;
use peak_alloc::PeakAlloc;

use self::corpus::Corpus;
use self::targets::{Target, targets};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How long each target is run unless `TIEUP_FUZZ_SECONDS` says otherwise.
const MILLISECONDS: u64 = 1_500;

/// What a target may allocate whatever its input is: buffers of fixed size, tables.
const BASE: usize = 4 << 20;

/// A finding: what happened, and the input that made it happen.
#[derive(Debug)]
struct Finding {
    what: String,
    input: Vec<u8>,
}

#[test]
fn no_parser_panics_swells_or_reads_what_it_would_not_write() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let corpus = runtime.block_on(Corpus::of_a_push());
    let seed = setting("TIEUP_SEED").unwrap_or_else(|| fastrand::u64(..));
    let time = setting("TIEUP_FUZZ_SECONDS").map_or(Duration::from_millis(MILLISECONDS), Duration::from_secs);
    println!("TIEUP_SEED={seed}");
    let mut found = Vec::new();
    for target in targets(&corpus) {
        match run(&target, seed, time) {
            Ok((runs, read)) => println!("  {runs:8} inputs, {read:7} were read: {}", target.name),
            Err(finding) => found.push(format!("{}: {} with {:?}", target.name, finding.what, shown(&finding.input))),
        }
    }
    assert!(found.is_empty(), "TIEUP_SEED={seed}\n{}", found.join("\n"));
    let breaks = [
        Target::new("panics", 8, vec![b"abcdef".to_vec()], |bytes| {
            assert!(bytes.len() < 4 || bytes[3] != 0xff, "a byte that was not expected");
            Some(bytes.to_vec())
        }),
        Target::new("swells", 8, vec![vec![0, 0, 0, 0, 9]], |bytes| {
            let length = bytes.first_chunk().map_or(0, |head| u32::from_be_bytes(*head) >> 4) as usize;
            let room: Vec<u8> = Vec::with_capacity(length);
            (room.capacity() < 1 << 29).then(|| bytes.to_vec())
        }),
        Target::new("forgets", 8, vec![b"abc".to_vec()], |bytes| Some([bytes, b"x"].concat())),
    ];
    for broken in breaks {
        let finding = run(&broken, seed, Duration::from_mins(1));
        assert!(finding.is_err(), "a parser that {} was not found out", broken.name);
    }
}

/// Runs one target for a time: how many inputs it had, and how many of them it read.
fn run(target: &Target<'_>, seed: u64, time: Duration) -> Result<(u64, u64), Finding> {
    let mut rng = Rng::with_seed(seed);
    let until = Instant::now() + time;
    let (mut runs, mut read) = (0, 0);
    for input in &target.seeds {
        read += u64::from(check(target, input)?);
    }
    assert!(read > 0, "{}: not one seed is read", target.name);
    while Instant::now() < until {
        // A clock is asked seldom, for it costs as much as a small parser.
        for _ in 0..16 {
            let input = mutation::mutated(&target.seeds, &mut rng);
            read += u64::from(check(target, &input)?);
            runs += 1;
        }
    }
    Ok((runs, read))
}

/// Gives one input to a target: whether it was read.
fn check(target: &Target<'_>, input: &[u8]) -> Result<bool, Finding> {
    let finding = |what: String| Finding { what, input: input.to_vec() };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let written = catch_unwind(AssertUnwindSafe(|| (target.parse)(input)));
    let used = MEMORY.peak_usage().saturating_sub(before);
    let written = written.map_err(|_| finding("it panics".to_owned()))?;
    let most = BASE + target.growth * input.len();
    if used > most {
        return Err(finding(format!("it allocates {used} bytes, more than {most}")));
    }
    let Some(written) = written else { return Ok(false) };
    match catch_unwind(AssertUnwindSafe(|| (target.parse)(&written))) {
        Ok(Some(again)) if again == written => Ok(true),
        Ok(again) => Err(finding(format!("what it writes is not what it reads: {:?}", again.map(|a| shown(&a))))),
        Err(_) => Err(finding("it panics at what it has written".to_owned())),
    }
}

/// Bytes as text, for whoever puts them into a test of their own.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
