//! What things cost, in CPU time and memory.

use std::fs;
use std::time::Duration;

/// The CPU time that something takes, in seconds: the machine may be busy with other things.
pub fn timed(action: impl FnOnce()) -> f64 {
    let begin = cpu_time();
    action();
    (cpu_time() - begin).as_secs_f64()
}

/// The CPU time of this process so far.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// So many entries in so many seconds, as a rate.
#[allow(clippy::cast_precision_loss)]
pub fn rate(entries: u64, seconds: f64) -> f64 {
    (entries as f64 / seconds).round()
}

/// Bytes of memory in use.
#[cfg(feature = "append")]
pub fn resident() -> u64 {
    field("VmRSS:")
}

/// The most bytes of memory that were in use.
pub fn peak() -> u64 {
    field("VmHWM:")
}

fn field(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
