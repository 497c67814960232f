//! A prompt by webhook: a POST of JSON that the receiver can verify, after Standard Webhooks 1.0.
//!
//! The signature is HMAC-SHA256 over `id.timestamp.body` under a secret that both ends have.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Client, redirect};
use serde::Deserialize;
use tieup_web::destination::confidential;
use url::Url;

use super::notice::Notice;
use super::settings::NotTold;
use super::trust::Authorities;

/// With what a secret in text begins.
const PREFIX: &str = "whsec_";

/// How many bytes a secret may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub(super) url: HookUrl,
    pub(super) secret: Secret,
    pub(super) authorities: Authorities,
}

/// Where a webhook is: HTTPS, or plain HTTP on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HookUrl(Url);

/// The secret that both ends have. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Vec<u8>);

impl TryFrom<String> for HookUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        confidential(&text).map(Self).ok_or_else(|| {
            format!("`{text}` is no address of a webhook: write it like https://hooks.example.com/tieup")
        })
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or("a webhook's secret begins with `whsec_`")?;
        let bytes = BASE64.decode(encoded).map_err(|_| "what follows `whsec_` is not Base64")?;
        if LENGTHS.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err("a webhook's secret has 16 to 64 bytes") }
    }
}

impl Webhook {
    /// Posts `notice`.
    ///
    /// # Errors
    /// When the other end cannot be reached, or does not answer with success. It is not led elsewhere by a redirect.
    pub(super) async fn post(&self, notice: &Notice) -> Result<(), NotTold> {
        let (id, time, body) = (notice.id(), notice.time.as_second(), notice.data().to_string());
        let client = Client::builder()
            .tls_backend_preconfigured(self.authorities.client()?)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build();
        let request = client.map_err(NotTold::Unreachable)?.post(self.url.0.clone());
        let request = request
            .header("content-type", "application/json")
            .header("webhook-signature", self.secret.sign(&id, time, &body))
            .header("webhook-timestamp", time.to_string())
            .header("webhook-id", id);
        let response = request.body(body).send().await.map_err(|error| NotTold::Unreachable(error.without_url()))?;
        if response.status().is_success() { Ok(()) } else { Err(NotTold::Answer(response.status().as_u16())) }
    }
}

impl Secret {
    /// The signature of a message, in the form of its header.
    fn sign(&self, id: &str, time: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(tag))
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands behind the path is often a secret.
        let mut url = self.url.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        let _ = url.set_password(None);
        write!(f, "webhook {url}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_said() {
        for wrong in ["", "secret", "whsec_", "whsec_???", "whsec_c2hvcnQ="] {
            assert!(wrong.parse::<Secret>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let allowed = |url: &str| HookUrl::try_from(url.to_owned()).is_ok();
        for good in ["https://hooks.example/x", "http://localhost:1/", "http://127.0.0.1:1/x", "http://[::1]/"] {
            assert!(allowed(good), "{good}");
        }
        for bad in ["http://hooks.example/", "http://localhost.evil.example/", "ftp://127.0.0.1/", "hooks", ""] {
            assert!(!allowed(bad), "{bad}");
        }
    }
}
