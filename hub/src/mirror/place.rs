//! Where the mirror of journals lies: the key `journal: {mirror: ...}` of `tieup.yaml`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How the address of a bucket begins.
const S3: &str = "s3://";

/// Where a mirror lies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MirrorPlace {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3, or of what speaks like it. Who may write there, and where it is, comes from the environment.
    Bucket {
        /// Its name.
        bucket: String,
        /// What the names in it begin with; empty, or with a slash at its end.
        prefix: String,
    },
}

impl MirrorPlace {
    /// The same with a relative folder taken to be in `folder`.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(folder.join(path)),
            bucket @ Self::Bucket { .. } => bucket,
        }
    }
}

impl TryFrom<String> for MirrorPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let help = "write a folder, or a bucket like s3://bucket/prefix";
        let Some(rest) = text.strip_prefix(S3) else {
            if text.is_empty() || text.contains("://") {
                return Err(format!("`{text}` is no place for a mirror: {help}"));
            }
            return Ok(Self::Folder(text.into()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(format!("`{bucket}` cannot be the name of a bucket: {help}"));
        }
        let prefix = prefix.trim_end_matches('/');
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        if !prefix.is_empty() && !prefix.split('/').all(plain) {
            return Err(format!("`{prefix}` cannot begin the names in a bucket: {help}"));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self::Bucket { bucket: bucket.to_owned(), prefix })
    }
}

impl fmt::Display for MirrorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket { bucket, prefix } => write!(f, "{S3}{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_in_a_folder_or_in_a_bucket() {
        let read = |text: &str| MirrorPlace::try_from(text.to_owned());
        let bucket = |prefix: &str| MirrorPlace::Bucket { bucket: "logs".to_owned(), prefix: prefix.to_owned() };
        assert_eq!(read("s3://logs"), Ok(bucket("")));
        assert_eq!(read("s3://logs/"), Ok(bucket("")));
        assert_eq!(read("s3://logs/of/2026/"), Ok(bucket("of/2026/")));
        let folder = read("mirror").unwrap().within(Path::new("/srv/site"));
        assert_eq!(folder, MirrorPlace::Folder("/srv/site/mirror".into()));
        assert_eq!(read("/mnt/mirror").unwrap().within(Path::new("/srv")).to_string(), "/mnt/mirror");
        for bad in ["", "gs://logs", "https://x/y", "s3://", "s3://a", "s3://Logs", "s3://logs/a//b", "s3://logs/a b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
