//! A bucket of S3, or of what speaks like it.
//!
//! Requests are signed by `rusty-s3` (Signature Version 4, in the address); where the bucket is and who may write there
//! comes from the environment alone, by the names that Amazon's own tools have for it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;
use rusty_s3::{Bucket as Address, BucketError as InvalidAddress, Credentials, S3Action as _, UrlStyle};
use tieup_web::destination::confidential;
use url::Url;

/// The names in the environment.
const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const REGION: &str = "AWS_REGION";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// How long a signature is good: for the request that it is made for, and the clocks of two machines.
const SIGNED_FOR: Duration = Duration::from_mins(5);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take. A bundle of entries has at most a few hundred kilobytes.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The most bytes that are read: a checkpoint or a bundle.
const LONGEST: usize = 32 << 20;

/// Why a bucket could not be read or written. No address is told: it holds a signature.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The environment does not say what it must.
    #[error("the environment does not say {0}, which a mirror in a bucket needs")]
    Unset(&'static str),
    /// The address in the environment is none.
    #[error("{ENDPOINT} is `{0}`: write it like https://s3.example.com; plain HTTP is for this machine alone")]
    Endpoint(String),
    /// The name and the address do not make a bucket.
    #[error("the bucket `{0}` cannot be addressed")]
    Address(String, #[source] InvalidAddress),
    /// TLS could not be set up.
    #[error("TLS for the bucket could not be set up")]
    Tls(#[source] rustls::Error),
    /// It cannot be reached.
    #[error("the bucket at {place} cannot be reached")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// It answers with something else than success.
    #[error("the bucket at {place} answered {status}{}{}", said(code.as_ref()), needed(*status))]
    Answer {
        /// Host and port.
        place: String,
        /// The HTTP status.
        status: u16,
        /// The code of S3's error, if it gave one.
        code: Option<String>,
    },
}

fn said(code: Option<&String>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// What a key must be allowed, where something was forbidden. To one that may not list, what is not there is forbidden too.
fn needed(status: u16) -> &'static str {
    if status == StatusCode::FORBIDDEN.as_u16() {
        ": the key needs s3:GetObject and s3:PutObject for what is in it, and s3:ListBucket, without which nobody is told that \
         something is not there yet"
    } else {
        ""
    }
}

/// How an object is served to readers: c2sp.org/tlog-tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// A checkpoint, which the next one takes the place of.
    Checkpoint,
    /// A tile or a bundle, whole or partial, which a log never changes. Another has its name only where a log that was settled
    /// begins anew.
    Tile,
}

impl Served {
    /// Its `Content-Type` and `Cache-Control`.
    fn headers(self) -> [(HeaderName, &'static str); 2] {
        let (kind, caching) = match self {
            Self::Checkpoint => ("text/plain; charset=utf-8", "no-cache"),
            Self::Tile => ("application/octet-stream", "public, max-age=31536000, immutable"),
        };
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, caching)]
    }
}

/// A bucket that can be written.
pub(super) struct Bucket {
    address: Address,
    credentials: Credentials,
    prefix: String,
    client: Client,
    /// Host and port, for people.
    place: String,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("place", &self.place).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Bucket {
    /// The bucket `name`, where and as whom the environment says. Names in it begin with `prefix`.
    pub(super) fn of_environment(name: &str, prefix: &str) -> Result<Self, BucketError> {
        let needed = |variable| set(variable).ok_or(BucketError::Unset(variable));
        let (region, token) = (needed(REGION)?, set(TOKEN));
        let (endpoint, style) = endpoint(&region, set(ENDPOINT))?;
        let place = format!("{}{}", endpoint.host_str().unwrap_or_default(), port(&endpoint));
        let address = Address::new(endpoint, style, name.to_owned(), region);
        let address = address.map_err(|error| BucketError::Address(name.to_owned(), error))?;
        let credentials = match token {
            Some(token) => Credentials::new_with_token(needed(KEY)?, needed(SECRET)?, token),
            None => Credentials::new(needed(KEY)?, needed(SECRET)?),
        };
        let client = client(&place)?;
        Ok(Self { address, credentials, prefix: prefix.to_owned(), client, place })
    }

    /// The object `name`; none where there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        let url = self.address.get_object(Some(&self.credentials), &self.named(name)).sign(SIGNED_FOR);
        match self.ask(self.client.get(url)).await {
            Ok(bytes) => Ok(Some(bytes)),
            // That the bucket is not there is another thing than that nothing of this name is in it.
            Err(BucketError::Answer { status: 404, code, .. }) if code.as_deref() != Some("NoSuchBucket") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts an object there, in place of the one before. Durable on return, as S3 is.
    pub(super) async fn put(&self, name: &str, served: Served, bytes: Vec<u8>) -> Result<(), BucketError> {
        let (name, headers) = (self.named(name), served.headers());
        let mut action = self.address.put_object(Some(&self.credentials), &name);
        for (header, value) in &headers {
            action.headers_mut().insert(header.as_str(), *value);
        }
        let request = self.client.put(action.sign(SIGNED_FOR)).body(bytes);
        let request = headers.into_iter().fold(request, |request, (header, value)| request.header(header, value));
        self.ask(request).await.map(drop)
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, BucketError> {
        let unreachable =
            |error: reqwest::Error| BucketError::Unreachable { place: self.place.clone(), source: error.without_url() };
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, mut bytes) = (response.status(), Vec::new());
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LONGEST {
                return Err(self.answered(StatusCode::PAYLOAD_TOO_LARGE, &[]));
            }
        }
        if status.is_success() { Ok(bytes) } else { Err(self.answered(status, &bytes)) }
    }

    fn answered(&self, status: StatusCode, body: &[u8]) -> BucketError {
        let (place, code) = (self.place.clone(), code(&String::from_utf8_lossy(body)));
        BucketError::Answer { place, status: status.as_u16(), code }
    }
}

fn set(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Where requests go: to Amazon, unless the environment names another address. That may be plain HTTP on this machine alone.
fn endpoint(region: &str, named: Option<String>) -> Result<(Url, UrlStyle), BucketError> {
    let is_named = named.is_some();
    let text = named.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let url = confidential(&text).ok_or(BucketError::Endpoint(text))?;
    Ok((url, if is_named { UrlStyle::Path } else { UrlStyle::VirtualHost }))
}

fn port(url: &Url) -> String {
    url.port().map(|port| format!(":{port}")).unwrap_or_default()
}

/// The code in S3's description of an error, `<Code>NoSuchBucket</Code>`.
fn code(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 60 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

/// A client that trusts the authorities of this machine.
fn client(place: &str) -> Result<Client, BucketError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(provider.clone()).map_err(BucketError::Tls)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(BucketError::Tls)?.dangerous();
    let config = builder.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build();
    client.map_err(|source| BucketError::Unreachable { place: place.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_to_amazon_unless_another_address_is_named_which_is_safe() {
        let to = |named: Option<&str>| endpoint("eu-west-1", named.map(str::to_owned)).map(|(url, _)| url.to_string());
        assert_eq!(to(None).unwrap(), "https://s3.eu-west-1.amazonaws.com/");
        assert_eq!(to(Some("https://s3.example.com")).unwrap(), "https://s3.example.com/");
        assert_eq!(to(Some("http://127.0.0.1:5000")).unwrap(), "http://127.0.0.1:5000/");
        for bad in ["http://s3.example.com", "http://192.0.2.1", "ftp://localhost", "s3.example.com", "x"] {
            let error = to(Some(bad)).unwrap_err();
            assert!(error.to_string().contains("plain HTTP is for this machine alone"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_a_key_must_be_allowed_is_told_where_something_is_forbidden() {
        let told = |status| BucketError::Answer { place: "s3".to_owned(), status, code: None }.to_string();
        assert!(told(403).contains("answered 403: the key needs s3:GetObject and s3:PutObject"), "{}", told(403));
        assert!(told(403).contains("s3:ListBucket"));
        assert_eq!(told(503), "the bucket at s3 answered 503");
    }

    #[test]
    fn what_a_bucket_says_is_told_in_its_own_word() {
        assert_eq!(code("<Error><Code>AccessDenied</Code></Error>").as_deref(), Some("AccessDenied"));
        for odd in ["", "<Code>", "<Code></Code", "<Code>two words</Code>"] {
            assert_eq!(code(odd), None, "{odd}");
        }
    }
}
