//! How a service keeps little memory that it does not use, and what it uses off the disk.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};

/// What tells the allocator (mimalloc) to give memory back to the system when it becomes free, and how. Without it that is done a
/// second later, by whoever then asks for memory: a service that rests keeps what its largest task took.
const GIVE_BACK: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// Why a service could not begin anew.
#[derive(Debug, thiserror::Error)]
#[error("this program may not be started by itself: set {} to {} in its environment, and it need not be", GIVE_BACK.0, GIVE_BACK.1)]
pub struct NotBegunAnew(#[source] io::Error);

/// Begins this program anew with `MIMALLOC_PURGE_DELAY=0` in its environment, unless the variable is there: the allocator reads it
/// before anything of ours runs. It is the same process, with the files and sockets that it was given. Where it was called by
/// another name than its file has, another program may have loaded it, and it goes on as it is.
///
/// To be called before anything is read or opened.
///
/// # Errors
/// When the system refuses. The process cannot go on then: it would end at the first pipe or connection that the other end closes.
pub fn give_back() -> Result<(), NotBegunAnew> {
    let (name, value) = GIVE_BACK;
    let mut arguments = env::args_os();
    let (Ok(program), Some(called)) = (env::current_exe(), arguments.next()) else { return Ok(()) };
    if env::var_os(name).is_some() || !is_called(&program, &called) {
        return Ok(());
    }
    Err(NotBegunAnew(Command::new(program).arg0(called).args(arguments).env(name, value).exec()))
}

/// Lets no core of this process be dumped: addresses of visitors and the key of their tokens are in its memory, and may not
/// reach the disk.
///
/// # Errors
/// When the system refuses.
pub fn dump_no_core() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Whether the file `program` has the name that the process was `called` by.
fn is_called(program: &Path, called: &OsStr) -> bool {
    program.file_name().is_some_and(|name| Path::new(called).file_name() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_loaded_or_is_not_there_any_more_is_not_begun_anew() {
        let is = |program: &str, called: &str| is_called(Path::new(program), OsStr::new(called));
        assert!(is("/usr/bin/syncd", "syncd") && is("/usr/bin/syncd", "./target/syncd"));
        assert!(!is("/usr/bin/syncd (deleted)", "/usr/bin/syncd"));
        assert!(!is("/lib64/ld-linux-x86-64.so.2", "/opt/syncd") && !is("/", "syncd"));
    }
}
