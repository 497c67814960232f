//! Which state folder this is, among all hubs that share a database: results lie in folders, and what stands in the
//! database about them is of one folder alone.

use std::path::Path;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use tieup_store::durable::{self, DiskError};
use tieup_store::lock::{LockError, StateLock};

use crate::partners::HubError;

/// Where the name is kept, below the state folder.
const IDENTITY: &str = "identity";

/// How many characters it has.
const LENGTH: usize = 32;

/// The name of the state folder: a random number, made when it is first asked for. Durable on return.
///
/// # Errors
/// When the disk fails, or the operating system gives no random numbers.
pub(crate) fn folder_name(state: &Path) -> Result<String, HubError> {
    let (folder, file) = (state.join(IDENTITY), state.join(IDENTITY).join("folder"));
    loop {
        if let Some(name) = read(&file)? {
            return Ok(name);
        }
        let _lock = match StateLock::take(&folder) {
            Ok(lock) => lock,
            // Another process is making it.
            Err(LockError::Taken(_)) => continue,
            Err(LockError::Disk(error)) => return Err(error.into()),
        };
        if read(&file)?.is_none() {
            let mut number = [0; LENGTH / 2];
            SystemRandom::new().fill(&mut number).map_err(|_| HubError::Randomness)?;
            durable::write_file(&file, format!("{:0LENGTH$x}\n", u128::from_be_bytes(number)).as_bytes())?;
        }
    }
}

/// The name that is kept; one that is damaged is none, and what was counted is counted anew.
fn read(file: &Path) -> Result<Option<String>, DiskError> {
    let bytes = durable::read_file(file)?.unwrap_or_default();
    let name = String::from_utf8(bytes).unwrap_or_default().trim_end().to_owned();
    Ok(Some(name).filter(|name| name.len() == LENGTH))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_state_folder_has_one_name_however_many_ask_at_once_and_no_other_has_it() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let names: Vec<String> = thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| folder_name(one.path()).unwrap())).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0] && name.len() == LENGTH), "{names:?}");
        assert_ne!(folder_name(other.path()).unwrap(), names[0]);
    }
}
