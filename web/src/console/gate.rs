//! Who may come in: one-time links, sessions and form tokens. All of it is in memory; a restart signs everybody out.
//!
//! Of secrets only digests are kept, so looking one up tells nothing about another. Time comes in as an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blake3::Hash;
use jiff::{SignedDuration, Timestamp};

use super::guard::Names;
use crate::visitors::Randomness;

/// How long a sign-in link is good.
pub const LINK_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// How long a session lasts.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// How many wrong links may be tried within [`FAILURES_WITHIN`].
const MOST_FAILURES: usize = 10;

/// The time over which wrong links are counted.
const FAILURES_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// The most links, and the most sessions, that are good at once; the oldest make room.
const MOST_OPEN: usize = 32;

/// What the digest of a form token is bound to.
const FORM_TOKEN: &str = "tieup 2026-11 console form token";

/// The gate of one console.
pub struct Gate {
    /// Under which names the console is reached.
    pub names: Names,
    /// Whose console it is, as its pages say.
    pub title: String,
    /// The command that gives a link to sign in by.
    pub command: String,
    cookie: String,
    random: Box<dyn Randomness>,
    open: Mutex<Open>,
}

/// What is good at the moment, by the digest of the secret, with the time at which it ends.
#[derive(Default)]
struct Open {
    links: HashMap<Hash, Timestamp>,
    sessions: HashMap<Hash, Timestamp>,
    failures: VecDeque<Timestamp>,
}

/// A session: proof that whoever asks has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    secret: String,
}

/// Why somebody does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// The link is unknown, was used, or is too old.
    #[error("this link was used before, or is too old")]
    Link,
    /// Too many wrong links were tried.
    #[error("too many links that are not good were tried")]
    TooMany,
}

impl Gate {
    /// A gate that nobody has passed yet, for a console with this title that is reached under `names`.
    pub fn new(names: Names, title: impl Into<String>, random: Box<dyn Randomness>) -> Self {
        // Browsers do not tell ports apart in cookies, so each console has a name of its own.
        let cookie = format!("{}tieup-console-{}", names.cookie_prefix(), names.mark());
        let command = "syncd console".to_owned();
        Self { names, title: title.into(), command, cookie, random, open: Mutex::default() }
    }

    /// The same, for a console to which another command gives a link.
    #[must_use]
    pub fn entered_by(self, command: impl Into<String>) -> Self {
        Self { command: command.into(), ..self }
    }

    /// A one-time link's secret, good for [`LINK_LIFETIME`].
    pub fn invite(&self, now: Timestamp) -> String {
        let secret = self.secret();
        admit(&mut self.open(now).links, digest(&secret), now + LINK_LIFETIME);
        secret
    }

    /// Begins a session by a link's secret, which is used up.
    ///
    /// # Errors
    /// When the link is not good, or too many were tried that are not.
    pub fn sign_in(&self, link: &str, now: Timestamp) -> Result<Sign, NotSignedIn> {
        let mut open = self.open(now);
        if open.failures.len() >= MOST_FAILURES {
            return Err(NotSignedIn::TooMany);
        }
        if open.links.remove(&digest(link)).is_none() {
            open.failures.push_back(now);
            return Err(NotSignedIn::Link);
        }
        let secret = self.secret();
        admit(&mut open.sessions, digest(&secret), now + SESSION_LIFETIME);
        Ok(Sign { secret })
    }

    /// The session that one of these `Cookie` headers belongs to.
    ///
    /// All are tried: a page at another port of this machine may have set a cookie of the same name.
    pub fn session<'a>(&self, cookies: impl Iterator<Item = &'a str>, now: Timestamp) -> Option<Sign> {
        let open = self.open(now);
        let pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut own = pairs.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        let secret = own.find(|secret| open.sessions.contains_key(&digest(secret)))?;
        Some(Sign { secret: secret.to_owned() })
    }

    /// Ends a session.
    pub fn sign_out(&self, sign: &Sign, now: Timestamp) {
        self.open(now).sessions.remove(&digest(&sign.secret));
    }

    /// The `Set-Cookie` that begins a session in the browser, or ends it where there is none.
    pub fn set_cookie(&self, sign: Option<&Sign>) -> String {
        let (value, age) = sign.map_or(("", 0), |sign| (&*sign.secret, SESSION_LIFETIME.as_secs()));
        let secure = self.names.cookie_attribute();
        format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", self.cookie)
    }

    fn secret(&self) -> String {
        Hash::from_bytes(self.random.draw()).to_string()
    }

    /// What is good at `now`.
    fn open(&self, now: Timestamp) -> MutexGuard<'_, Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.links.retain(|_, until| *until > now);
        open.sessions.retain(|_, until| *until > now);
        while open.failures.front().is_some_and(|failure| *failure + FAILURES_WITHIN <= now) {
            open.failures.pop_front();
        }
        open
    }
}

impl Sign {
    /// The token of this session's forms. Nobody finds it without the session's secret.
    pub fn form_token(&self) -> String {
        self.token().to_string()
    }

    /// Whether `token` is the one of this session's forms, compared in constant time.
    pub fn owns(&self, token: &str) -> bool {
        // Equality of `Hash` takes the same time whatever differs.
        Hash::from_hex(token).is_ok_and(|token| token == self.token())
    }

    fn token(&self) -> Hash {
        Hash::from_bytes(blake3::derive_key(FORM_TOKEN, self.secret.as_bytes()))
    }
}

fn digest(secret: &str) -> Hash {
    blake3::hash(secret.as_bytes())
}

fn admit(good: &mut HashMap<Hash, Timestamp>, secret: Hash, until: Timestamp) {
    if good.len() >= MOST_OPEN
        && let Some(oldest) = good.iter().min_by_key(|(_, until)| **until).map(|(secret, _)| *secret)
    {
        good.remove(&oldest);
    }
    good.insert(secret, until);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    struct Counting(AtomicU8);

    impl Randomness for Counting {
        fn draw(&self) -> [u8; 32] {
            [self.0.fetch_add(1, Ordering::Relaxed); 32]
        }
    }

    fn gate() -> Gate {
        Gate::new(Names::loopback(7460), "north", Box::new(Counting(AtomicU8::new(1))))
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).unwrap()
    }

    fn cookie(gate: &Gate, sign: &Sign) -> String {
        gate.set_cookie(Some(sign)).split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_link_is_good_once_and_for_minutes() {
        let gate = gate();
        let link = gate.invite(NOW);
        assert!(gate.sign_in(&link, NOW).is_ok());
        assert_eq!(gate.sign_in(&link, NOW), Err(NotSignedIn::Link));
        let late = gate.invite(NOW);
        assert_eq!(gate.sign_in(&late, NOW + LINK_LIFETIME), Err(NotSignedIn::Link));
    }

    #[test]
    fn guessing_is_stopped_and_then_forgiven() {
        let gate = gate();
        let link = gate.invite(NOW);
        for _ in 0..MOST_FAILURES {
            assert_eq!(gate.sign_in("guess", NOW), Err(NotSignedIn::Link));
        }
        assert_eq!(gate.sign_in(&link, second(59)), Err(NotSignedIn::TooMany));
        assert!(gate.sign_in(&link, second(60)).is_ok());
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_it_ends() {
        let gate = gate();
        let sign = gate.sign_in(&gate.invite(NOW), NOW).unwrap();
        let cookie = cookie(&gate, &sign);
        let name = cookie.split('=').next().unwrap();
        let planted = format!("{name}=planted; other=1; {cookie}");
        assert_eq!(gate.session([&*planted].into_iter(), NOW), Some(sign.clone()));
        assert_eq!(gate.session([&*planted].into_iter(), NOW + SESSION_LIFETIME), None);
        for wrong in ["", "x", &*format!("{name}=planted"), &*cookie.to_uppercase()] {
            assert_eq!(gate.session([wrong].into_iter(), NOW), None, "{wrong}");
        }
        let again = gate.sign_in(&gate.invite(NOW), NOW).unwrap();
        gate.sign_out(&again, NOW);
        assert_eq!(gate.session([&*self::cookie(&gate, &again)].into_iter(), NOW), None);
    }

    #[test]
    fn a_form_token_belongs_to_one_session() {
        let gate = gate();
        let (one, two) = (gate.invite(NOW), gate.invite(NOW));
        let (one, two) = (gate.sign_in(&one, NOW).unwrap(), gate.sign_in(&two, NOW).unwrap());
        assert!(one.owns(&one.form_token()));
        for wrong in [two.form_token(), one.secret.clone(), String::new(), one.form_token()[1..].to_owned()] {
            assert!(!one.owns(&wrong), "{wrong}");
        }
    }

    #[test]
    fn the_oldest_sessions_make_room() {
        let gate = gate();
        let first = gate.invite(NOW);
        for number in 0..MOST_OPEN {
            gate.invite(second(1 + i64::try_from(number).unwrap()));
        }
        assert_eq!(gate.sign_in(&first, second(100)), Err(NotSignedIn::Link));
    }

    #[test]
    fn no_script_and_no_other_site_gets_the_cookie() {
        let gate = gate();
        let sign = gate.sign_in(&gate.invite(NOW), NOW).unwrap();
        let header = gate.set_cookie(Some(&sign));
        assert!(header.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{header}");
        let names = Names::public(&"https://console.example/".parse().unwrap());
        let gate = Gate::new(names, "north", Box::new(Counting(AtomicU8::new(1))));
        let header = gate.set_cookie(None);
        assert!(header.starts_with("__Host-tieup-console-") && header.ends_with("SameSite=Strict; Secure"), "{header}");
    }
}
