//! What the journal may know of a visitor: a token that lives for a day, and the kind of program.
//!
//! Addresses, user agents and referrers come in here and do not go further.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use tieup_protocol::access::{AgentClass, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::robots;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// The key of today's visitor tokens. It is in memory alone, and yesterday's is overwritten.
pub struct DailyKey {
    day: i64,
    key: [u8; 32],
}

/// Draws random bytes.
pub trait Randomness: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn draw(&self) -> [u8; 32];
}

impl DailyKey {
    /// A key for the day of `unix_seconds`.
    pub fn new(unix_seconds: i64, random: &dyn Randomness) -> Self {
        Self { day: unix_seconds.div_euclid(DAY), key: random.draw() }
    }

    /// The token of a visitor at `unix_seconds`; draws a new key when the (UTC) day is another.
    pub fn token(&mut self, unix_seconds: i64, address: IpAddr, agent: &str, random: &dyn Randomness) -> VisitorToken {
        if self.day != unix_seconds.div_euclid(DAY) {
            *self = Self::new(unix_seconds, random);
        }
        VisitorToken::new(&self.key, &address.to_string(), agent)
    }
}

/// What is kept of a request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The kind of program.
    pub agent: AgentClass,
    /// The robot rule that matched, 0 for none.
    pub robot: u16,
    /// Where the visitor came from.
    pub referrer: ReferrerClass,
    /// Whether the browser only wants to have the answer ready.
    pub prefetch: Option<Purpose>,
}

/// Reduces a request's headers to what may be kept.
pub fn reduce(headers: &HeaderMap) -> Traits {
    let agent = text(headers, header::USER_AGENT.as_str());
    let robot = robots::matching_rule(agent).unwrap_or(0);
    let prefetching = ["sec-purpose", "purpose"].iter().any(|name| text(headers, name).contains("prefetch"));
    Traits {
        agent: agent_class(agent, robot),
        robot,
        referrer: referrer_class(text(headers, header::REFERER.as_str()), text(headers, header::HOST.as_str())),
        prefetch: prefetching.then_some(Purpose::Prefetch),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn agent_class(agent: &str, robot: u16) -> AgentClass {
    if robot != 0 {
        AgentClass::Robot
    } else if !agent.starts_with("Mozilla/") {
        AgentClass::Other
    } else if agent.contains("Mobi") || agent.contains("Android") {
        AgentClass::Mobile
    } else {
        AgentClass::Desktop
    }
}

fn referrer_class(referrer: &str, host: &str) -> ReferrerClass {
    let from = referrer.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    match from {
        None => ReferrerClass::None,
        Some(from) if from == host => ReferrerClass::Same,
        Some(_) => ReferrerClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Randomness for Counting {
        fn draw(&self) -> [u8; 32] {
            [self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed); 32]
        }
    }

    #[test]
    fn a_token_lasts_a_day_and_is_then_unlinkable() {
        let random = Counting(0.into());
        let mut key = DailyKey::new(0, &random);
        let address = IpAddr::from([192, 0, 2, 1]);
        let morning = key.token(1, address, "a", &random);
        assert_eq!(key.token(DAY - 1, address, "a", &random), morning);
        assert_ne!(key.token(DAY, address, "a", &random), morning);
    }

    #[test]
    fn headers_are_reduced_to_classes() {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0 (iPhone) Mobile Safari"));
        headers.insert("host", HeaderValue::from_static("shop.example"));
        headers.insert("referer", HeaderValue::from_static("https://shop.example/secret?q=1"));
        headers.insert("sec-purpose", HeaderValue::from_static("prefetch;prerender"));
        let traits = reduce(&headers);
        assert_eq!(traits.agent, AgentClass::Mobile);
        assert_eq!(traits.referrer, ReferrerClass::Same);
        assert_eq!(traits.prefetch, Some(Purpose::Prefetch));
        assert_eq!(reduce(&HeaderMap::new()).agent, AgentClass::Other);
    }
}
