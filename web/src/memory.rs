//! How a service keeps little memory that it does not use.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What tells the allocator (mimalloc) to give memory back to the system when it becomes free, and how. Without it that is done a
/// second later, by whoever then asks for memory: a service that rests keeps what its largest task took.
const GIVE_BACK: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// Begins this program anew with [`GIVE_BACK`] in its environment, unless it is there: the allocator reads it before anything of
/// ours runs. It is the same process, with the files and sockets that it was given; where that cannot be done, it goes on as it is.
///
/// To be called before there is anything to be lost.
pub fn give_back() {
    let (name, value) = GIVE_BACK;
    if env::var_os(name).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let (Ok(program), Some(called)) = (env::current_exe(), arguments.next()) else { return };
    let error = Command::new(program).arg0(called).args(arguments).env(name, value).exec();
    tracing::debug!(%error, "memory that becomes free is given back later");
}
