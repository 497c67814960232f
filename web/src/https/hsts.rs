//! For how long browsers are told to come by HTTPS alone (RFC 6797).

use axum::http::HeaderValue;
use serde::Deserialize;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// For how long a browser that was here comes back by HTTPS alone.
///
/// Thirty days unless something else is said: long enough that a visitor who comes each month is never met on plain HTTP,
/// where whoever stands between could keep them, and short enough that a shop which gives up HTTPS again has not locked
/// out last year's customers. Subdomains are left out, since others may serve them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hsts {
    days: u64,
}

impl Default for Hsts {
    fn default() -> Self {
        Self { days: 30 }
    }
}

impl TryFrom<String> for Hsts {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let days = if text == "off" { Some(0) } else { text.strip_suffix('d').and_then(|days| days.parse().ok()) };
        // Two years are the most that anybody asks for.
        let days = days.filter(|days| *days <= 730);
        days.map(|days| Self { days })
            .ok_or_else(|| format!("`{text}` is no number of days up to 730: write `180d`, or `off`"))
    }
}

impl Hsts {
    /// The value of `Strict-Transport-Security`. Where it is off, browsers are told to forget what they were told before.
    pub fn header(self) -> HeaderValue {
        let text = format!("max-age={}", self.days * DAY);
        // Letters, digits, `=` and `-` may all stand in a header.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_in_seconds_and_off_takes_a_promise_back() {
        let header =
            |text: &str| Hsts::try_from(text.to_owned()).map(|hsts| hsts.header().to_str().unwrap().to_owned());
        assert_eq!(header("180d").unwrap(), "max-age=15552000");
        assert_eq!(header("off").unwrap(), "max-age=0");
        assert_eq!(Hsts::default().header(), "max-age=2592000");
        for wrong in ["180", "-1d", "731d", "99999999999999999999d", "on", ""] {
            assert!(header(wrong).unwrap_err().contains("write `180d`"), "{wrong}");
        }
    }
}
