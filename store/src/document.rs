//! A small JSON document on disk, read and written as a whole.

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable::{self, DiskError};

/// Where a value of type `T` is kept as JSON.
///
/// Two writers at once do not mix: one of the two values stands at the end.
#[derive(Debug)]
pub struct Document<T> {
    path: PathBuf,
    value: PhantomData<fn() -> T>,
}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The text is not JSON of the expected shape, or the value has none.
    #[error("{} is not a valid document", path.display())]
    Json {
        /// The document.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl<T: Serialize + DeserializeOwned> Document<T> {
    /// The document at `path`. Nothing is read or made yet; the folder must be there when it is written.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), value: PhantomData }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value, or `None` where none has been written.
    pub fn read(&self) -> Result<Option<T>, DocumentError> {
        let Some(bytes) = durable::read_file(&self.path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| self.invalid(source))
    }

    /// Writes the value in place of the one before.
    ///
    /// Durable on return.
    pub fn write(&self, value: &T) -> Result<(), DocumentError> {
        let bytes = encode(value).map_err(|source| self.invalid(source))?;
        Ok(durable::write_file(&self.path, &bytes)?)
    }

    /// Writes the value in place of the one before, without the blanks that people read by: for what is large.
    ///
    /// Durable on return.
    pub fn write_dense(&self, value: &T) -> Result<(), DocumentError> {
        // It is about as long as the one before.
        let before = fs::metadata(&self.path).map_or(0, |about| about.len());
        let mut bytes = Vec::with_capacity(usize::try_from(before + before / 8).unwrap_or_default());
        serde_json::to_writer(&mut bytes, value).map_err(|source| self.invalid(source))?;
        bytes.push(b'\n');
        Ok(durable::write_file(&self.path, &bytes)?)
    }

    fn invalid(&self, source: serde_json::Error) -> DocumentError {
        DocumentError::Json { path: self.path.clone(), source }
    }
}

/// The bytes of a document that holds `value`.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::tempdir;

    use super::*;
    use crate::fault::at_every_step;

    type Stock = BTreeMap<String, u64>;

    fn stock(count: u64) -> Stock {
        BTreeMap::from([("kettle".to_owned(), count)])
    }

    #[test]
    fn a_document_is_none_then_what_was_written_last() {
        let dir = tempdir().unwrap();
        let document = Document::<Stock>::at(dir.path().join("stock.json"));
        assert_eq!(document.read().unwrap(), None);
        document.write(&stock(1)).unwrap();
        document.write(&stock(2)).unwrap();
        assert_eq!(document.read().unwrap(), Some(stock(2)));
        assert_eq!(fs::read_to_string(document.path()).unwrap(), "{\n  \"kettle\": 2\n}\n");
    }

    #[test]
    fn a_dense_document_is_read_like_any_other() {
        let dir = tempdir().unwrap();
        let document = Document::<Stock>::at(dir.path().join("stock.json"));
        document.write_dense(&stock(1)).unwrap();
        assert_eq!(document.read().unwrap(), Some(stock(1)));
        assert_eq!(fs::read_to_string(document.path()).unwrap(), "{\"kettle\":1}\n");
    }

    #[test]
    fn a_document_is_the_old_one_or_the_new_one_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let document = Document::<Stock>::at(dir.path().join("stock.json"));
            document.write(&stock(1)).unwrap();
            let result = fault.during(|| document.write(&stock(2)));
            let found = document.read().unwrap().unwrap();
            assert!(found == stock(2) || (found == stock(1) && result.is_err()), "{fault:?}");
        });
    }

    #[test]
    fn other_text_is_refused_by_name() {
        let dir = tempdir().unwrap();
        let document = Document::<Stock>::at(dir.path().join("stock.json"));
        for bad in ["", "[]", "{\"kettle\": -1}", "{} {}"] {
            fs::write(document.path(), bad).unwrap();
            let error = document.read().unwrap_err().to_string();
            assert!(error.contains("stock.json"), "{bad}: {error}");
        }
    }
}
