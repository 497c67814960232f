//! What an authority is to find at this host, to see that it is ours.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The challenges that stand now. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<Mutex<HashMap<String, String>>>);

/// A challenge that is answered until this is dropped.
#[derive(Debug)]
pub struct Challenge {
    token: String,
    among: Challenges,
}

impl Challenges {
    /// Lets `token` be answered by `answer`.
    #[must_use = "it is answered only as long as this is kept"]
    pub fn put(&self, token: String, answer: String) -> Challenge {
        self.all().insert(token.clone(), answer);
        Challenge { token, among: self.clone() }
    }

    /// The answer to `token`, if it stands.
    pub fn answer(&self, token: &str) -> Option<String> {
        self.all().get(token).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Challenge {
    fn drop(&mut self) {
        self.among.all().remove(&self.token);
    }
}
