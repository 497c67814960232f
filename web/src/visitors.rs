//! What the journal may know of a visitor: a token that lives for a day, and the kind of program.
//!
//! Addresses, user agents and referrers come in here and do not go further.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use tieup_protocol::access::{AgentClass, ReferrerClass, VisitorToken};
use tieup_protocol::robots;

use crate::access_log::{Caller, Introduction};

/// Seconds in a day.
const DAY: i64 = 86_400;

/// The longest user agent that a connection remembers.
const REMEMBERED_AGENT: usize = 1024;

/// Who asked, as far as the journal may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who, for a day.
    pub token: VisitorToken,
    /// The kind of program.
    pub agent: AgentClass,
    /// The robot rule that matched, 0 for none.
    pub robot: u16,
    /// Where the visitor came from.
    pub referrer: ReferrerClass,
    /// What the answer is wanted for.
    pub wish: Wish,
}

/// What a visitor's program wants an answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To use it now.
    Now,
    /// To have it ready in case a person asks.
    Prefetch,
}

impl Visitor {
    /// What a log knows that keeps nothing.
    pub const NOBODY: Self = Self {
        token: VisitorToken([0; 16]),
        agent: AgentClass::Other,
        robot: 0,
        referrer: ReferrerClass::None,
        wish: Wish::Now,
    };
}

/// What a connection remembers of its visitor, so that the next request on it need not work it out again.
///
/// Address and user agent seldom change on a connection. It is in memory alone and ends with the connection. What it
/// remembers under another key, or for another day, it does not use.
#[derive(Debug, Default)]
pub struct Remembered {
    program: Option<Program>,
    token: Option<Known>,
}

/// What a user agent was reduced to.
#[derive(Debug)]
struct Program {
    user_agent: Vec<u8>,
    class: AgentClass,
    robot: u16,
}

/// A token and what it was made from besides the program.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u64,
    day: i64,
    address: IpAddr,
    token: VisitorToken,
}

/// The key of today's visitor tokens. It is in memory alone, and yesterday's is overwritten when a new (UTC) day begins. A
/// restart draws a new one too: a visitor of before is another visitor after it.
pub struct VisitorKey {
    today: Mutex<DailyKey>,
    /// The number of today's key.
    number: AtomicU64,
}

struct DailyKey {
    day: i64,
    number: u64,
    key: [u8; 32],
}

/// Draws random bytes.
pub trait Randomness: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn draw(&self) -> [u8; 32];
}

/// Random bytes from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn draw(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the operating system gave random numbers when the keys were made");
        bytes
    }
}

impl VisitorKey {
    /// A key for the day of `unix_seconds`.
    pub fn new(unix_seconds: i64, random: &dyn Randomness) -> Self {
        let today = DailyKey::new(unix_seconds.div_euclid(DAY), random);
        Self { number: AtomicU64::new(today.number), today: Mutex::new(today) }
    }

    /// Reduces who asks to what may be kept. Draws a new key when the day is another.
    pub fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered, random: &dyn Randomness) -> Visitor {
        let introduction = &caller.introduction;
        let user_agent = introduction.user_agent.unwrap_or_default();
        let (agent, robot) = remembered.program(user_agent);
        let day = caller.time.as_second().div_euclid(DAY);
        let token = remembered.token(self.number.load(Ordering::Acquire), day, caller.address).unwrap_or_else(|| {
            let known = self.know(day, caller.address, user_agent, random);
            remembered.token.insert(known).token
        });
        Visitor { token, agent, robot, referrer: referrer_class(introduction), wish: wish(introduction) }
    }

    /// Overwrites yesterday's key where the day of `unix_seconds` is another, visited or not. Returns how many seconds of the
    /// day are left.
    pub fn turn(&self, unix_seconds: i64, random: &dyn Randomness) -> u64 {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn_to(&mut today, unix_seconds.div_euclid(DAY), random);
        (DAY - unix_seconds.rem_euclid(DAY)).unsigned_abs()
    }

    fn turn_to(&self, today: &mut DailyKey, day: i64, random: &dyn Randomness) {
        if today.day != day {
            *today = DailyKey::new(day, random);
            self.number.store(today.number, Ordering::Release);
        }
    }

    fn know(&self, day: i64, address: IpAddr, user_agent: &[u8], random: &dyn Randomness) -> Known {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn_to(&mut today, day, random);
        let token = VisitorToken::new(&today.key, &address.to_string(), user_agent);
        Known { key: today.number, day, address, token }
    }
}

impl DailyKey {
    fn new(day: i64, random: &dyn Randomness) -> Self {
        /// Numbers tell keys apart, also those of different logs, and say nothing of them.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { day, number: NEXT.fetch_add(1, Ordering::Relaxed), key: random.draw() }
    }
}

impl Remembered {
    /// The kind of program and its robot rule. Forgets the token where the program is another.
    fn program(&mut self, user_agent: &[u8]) -> (AgentClass, u16) {
        if let Some(program) = self.program.as_ref().filter(|program| program.user_agent == user_agent) {
            return (program.class, program.robot);
        }
        self.token = None;
        let (class, robot) = agent_class(user_agent);
        self.program =
            (user_agent.len() <= REMEMBERED_AGENT).then(|| Program { user_agent: user_agent.to_vec(), class, robot });
        (class, robot)
    }

    fn token(&self, key: u64, day: i64, address: IpAddr) -> Option<VisitorToken> {
        let known = self.token.filter(|known| known.key == key && known.day == day && known.address == address)?;
        self.program.is_some().then_some(known.token)
    }
}

/// What is said as text: what is no ASCII is none.
fn text(said: Option<&[u8]>) -> Option<&str> {
    let said = said.filter(|said| said.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')))?;
    std::str::from_utf8(said).ok()
}

fn wish(introduction: &Introduction<'_>) -> Wish {
    let prefetching =
        introduction.purposes.iter().any(|said| text(*said).is_some_and(|said| said.contains("prefetch")));
    if prefetching { Wish::Prefetch } else { Wish::Now }
}

fn agent_class(user_agent: &[u8]) -> (AgentClass, u16) {
    let agent = String::from_utf8_lossy(user_agent);
    let class = match robots::matching_rule(&agent) {
        Some(rule) => return (AgentClass::Robot, rule),
        None if !agent.starts_with("Mozilla/") => AgentClass::Other,
        None if agent.contains("Mobi") || agent.contains("Android") => AgentClass::Mobile,
        None => AgentClass::Desktop,
    };
    (class, 0)
}

fn referrer_class(introduction: &Introduction<'_>) -> ReferrerClass {
    let after_scheme = text(introduction.referrer).and_then(|referrer| referrer.split_once("://"));
    let from = after_scheme.map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    match from {
        None => ReferrerClass::None,
        Some(from) if from == text(introduction.host).unwrap_or_default() => ReferrerClass::Same,
        Some(_) => ReferrerClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::USER_AGENT;
    use axum::http::{HeaderMap, HeaderValue};
    use jiff::Timestamp;

    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Randomness for Counting {
        fn draw(&self) -> [u8; 32] {
            [self.0.fetch_add(1, Ordering::Relaxed); 32]
        }
    }

    /// A key, and one visit after the other under it.
    struct Day {
        key: VisitorKey,
        random: Counting,
    }

    impl Day {
        fn new() -> Self {
            let random = Counting(0.into());
            Self { key: VisitorKey::new(0, &random), random }
        }

        fn visitor(&self, second: i64, host: u8, agent: &'static str, remembered: &mut Remembered) -> Visitor {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
            let time = Timestamp::from_second(second).unwrap();
            let caller = Caller { time, address: IpAddr::from([192, 0, 2, host]), introduction: (&headers).into() };
            self.key.recognise(&caller, remembered, &self.random)
        }
    }

    #[test]
    fn a_token_lasts_a_day_and_is_then_unlinkable() {
        let day = Day::new();
        let mut connection = Remembered::default();
        let morning = day.visitor(1, 1, "a", &mut connection).token;
        assert_eq!(day.visitor(DAY - 1, 1, "a", &mut connection).token, morning);
        let next = day.visitor(DAY, 1, "a", &mut connection).token;
        assert_ne!(next, morning);
        // A clock that steps back does not bring back a key that was destroyed.
        let back = day.visitor(DAY - 1, 1, "a", &mut connection).token;
        assert!(back != morning && back != next);
    }

    #[test]
    fn a_key_does_not_outlast_its_day_though_nobody_comes() {
        let random = Counting(0.into());
        let key = VisitorKey::new(5, &random);
        let number = || key.number.load(Ordering::Acquire);
        let first = number();
        assert_eq!((key.turn(DAY - 10, &random), number()), (10, first));
        assert_eq!(key.turn(DAY, &random), DAY.unsigned_abs());
        assert_ne!(number(), first);
        assert_eq!(key.today.lock().unwrap().key, [1; 32]);
    }

    #[test]
    fn a_connection_that_remembers_is_told_what_a_new_one_is() {
        let day = Day::new();
        let mut connection = Remembered::default();
        for (second, host, agent) in
            [(1, 1, "a"), (2, 1, "a"), (3, 2, "a"), (4, 1, "b"), (5, 1, "a"), (DAY, 1, "a"), (DAY + 1, 1, "curl/8")]
        {
            let remembered = day.visitor(second, host, agent, &mut connection);
            assert_eq!(remembered, day.visitor(second, host, agent, &mut Remembered::default()), "{second}");
        }
    }

    #[test]
    fn a_connection_to_two_logs_has_a_token_of_each() {
        let (one, other) = (Day::new(), Day::new());
        let mut connection = Remembered::default();
        let token = one.visitor(1, 1, "a", &mut connection).token;
        other.random.0.store(9, Ordering::Relaxed);
        other.visitor(DAY, 1, "a", &mut connection);
        let elsewhere = other.visitor(1, 1, "a", &mut connection).token;
        assert_ne!(elsewhere, token);
        assert_eq!(one.visitor(1, 1, "a", &mut connection).token, token);
    }

    #[test]
    fn headers_are_reduced_to_classes() {
        let key = VisitorKey::new(0, &SystemRandomness);
        let recognise = |headers: &HeaderMap| {
            let caller = Caller {
                time: Timestamp::UNIX_EPOCH,
                address: IpAddr::from([192, 0, 2, 1]),
                introduction: headers.into(),
            };
            key.recognise(&caller, &mut Remembered::default(), &SystemRandomness)
        };
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0 (iPhone) Mobile Safari"));
        headers.insert("host", HeaderValue::from_static("shop.example"));
        headers.insert("referer", HeaderValue::from_static("https://shop.example/secret?q=1"));
        headers.insert("sec-purpose", HeaderValue::from_static("prefetch;prerender"));
        let visitor = recognise(&headers);
        assert_eq!(visitor.agent, AgentClass::Mobile);
        assert_eq!(visitor.referrer, ReferrerClass::Same);
        assert_eq!(visitor.wish, Wish::Prefetch);
        let nobody = recognise(&HeaderMap::new());
        assert_eq!((nobody.agent, nobody.wish), (AgentClass::Other, Wish::Now));
    }
}
