//! The metadata that came with an offer, as a TUF client asks for it. Nothing is fetched from anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream;
use tieup_protocol::wire::Metadata;
use tough::{Bytes, Transport, TransportError, TransportErrorKind, TransportStream, async_trait};
use url::Url;

/// The metadata files of one offer, by name.
#[derive(Clone, Debug)]
pub(super) struct OfferedFiles(Arc<BTreeMap<String, Bytes>>);

impl OfferedFiles {
    /// The files of `metadata`. The first of its roots has version 2.
    pub(super) fn new(metadata: &Metadata) -> Self {
        let mut files = BTreeMap::from([
            ("timestamp.json".to_owned(), Bytes::from(metadata.timestamp.clone())),
            ("snapshot.json".to_owned(), Bytes::from(metadata.snapshot.clone())),
            ("targets.json".to_owned(), Bytes::from(metadata.targets.clone())),
        ]);
        for (version, root) in (2_u64..).zip(&metadata.roots) {
            files.insert(format!("{version}.root.json"), Bytes::from(root.clone()));
        }
        Self(Arc::new(files))
    }
}

#[async_trait]
impl Transport for OfferedFiles {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match self.0.get(url.path().trim_start_matches('/')) {
            Some(bytes) => Ok(Box::pin(stream::iter([Ok(bytes.clone())]))),
            None => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
        }
    }
}
