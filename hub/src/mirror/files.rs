//! What a mirror is written to: files by their names, whole or not at all.

use std::path::PathBuf;

use tieup_store::durable::{self, DiskError};
use tokio::task::block_in_place;

pub(super) use super::bucket::Served;
use super::bucket::{Bucket, BucketError};
use super::place::MirrorPlace;

/// Why a mirror could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// A folder or a bucket.
#[derive(Debug)]
pub(super) enum Files {
    Folder(PathBuf),
    Bucket(Box<Bucket>),
}

impl Files {
    /// Those at `place`. A folder is made where it is missing; a bucket is not.
    pub(super) fn open(place: &MirrorPlace) -> Result<Self, FilesError> {
        match place {
            MirrorPlace::Folder(folder) => {
                durable::create_dir_all(folder)?;
                Ok(Self::Folder(folder.clone()))
            }
            MirrorPlace::Bucket { bucket, prefix } => {
                Ok(Self::Bucket(Box::new(Bucket::of_environment(bucket, prefix)?)))
            }
        }
    }

    /// The file `name`; none where there is none.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        match self {
            Self::Folder(folder) => Ok(block_in_place(|| durable::read_file(&folder.join(name)))?),
            Self::Bucket(bucket) => Ok(bucket.get(name).await?),
        }
    }

    /// Puts a file there, whole, in place of the one before. Durable on return. How it is `served` is for a bucket alone to say.
    pub(super) async fn put(&self, name: &str, served: Served, bytes: Vec<u8>) -> Result<(), FilesError> {
        match self {
            Self::Folder(folder) => Ok(block_in_place(|| {
                let path = folder.join(name);
                durable::create_dir_all(path.parent().unwrap_or(folder))?;
                durable::write_file(&path, &bytes)
            })?),
            Self::Bucket(bucket) => Ok(bucket.put(name, served, bytes).await?),
        }
    }

    /// Removes the partial forms of the tile `name`, which is full now. In a bucket they stay, as the specification lets
    /// them.
    pub(super) fn drop_partials(&self, name: &str) -> Result<(), FilesError> {
        match self {
            Self::Folder(folder) => {
                let partials = folder.join(format!("{name}.p"));
                if partials.is_dir() {
                    block_in_place(|| durable::remove_dir_all(&partials))?;
                }
                Ok(())
            }
            Self::Bucket(_) => Ok(()),
        }
    }
}
