//! What one browser has chosen to see: kept in its cookies, so that addresses and links stay as they are.

use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use tieup_generator::{Audience, Drafts, Future, Shown};

const AUDIENCE: &str = "tieup-audience";
const SLOTS: &str = "tieup-slots";
const OUTLINED: &str = "outlined";

/// Whether the slots of a page are outlined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slots {
    #[default]
    Plain,
    Outlined,
}

/// What one browser has chosen to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) audience: Audience,
    pub(super) slots: Slots,
}

/// The bar's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    /// A partner, or empty for the main site.
    #[serde(default)]
    audience: String,
    drafts: Option<String>,
    future: Option<String>,
    slots: Option<String>,
    /// The path to go back to.
    #[serde(default)]
    pub(super) back: String,
}

impl Choice {
    /// Reads the cookies. What cannot be understood is as if it were not there.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut choice = Self { audience: Audience::Main, slots: Slots::Plain };
        for (name, value) in pairs {
            match name {
                AUDIENCE => choice.audience = audience(value),
                SLOTS if value == OUTLINED => choice.slots = Slots::Outlined,
                _ => {}
            }
        }
        choice
    }
}

impl Form {
    /// What everybody is to be shown.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            drafts: if self.drafts.is_some() { Drafts::Shown } else { Drafts::LeftOut },
            future: if self.future.is_some() { Future::Shown } else { Future::LeftOut },
        }
    }

    /// The cookies that keep the rest.
    pub(super) fn cookies(&self) -> [HeaderValue; 2] {
        let audience = match audience(&self.audience) {
            Audience::Main => String::new(),
            Audience::Partner(id) => id.to_string(),
        };
        let slots = if self.slots.is_some() { OUTLINED } else { "" };
        [cookie(AUDIENCE, &audience), cookie(SLOTS, slots)]
    }
}

fn audience(name: &str) -> Audience {
    name.parse().map_or(Audience::Main, Audience::Partner)
}

fn cookie(name: &str, value: &str) -> HeaderValue {
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}");
    HeaderValue::from_str(&text).expect("a partner's name and our own words are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_back_from_its_cookies() {
        let form = |audience: &str, slots: Option<&str>| Form {
            audience: audience.to_owned(),
            drafts: None,
            future: None,
            slots: slots.map(str::to_owned),
            back: String::new(),
        };
        let kept = |form: &Form| {
            let mut headers = HeaderMap::new();
            for cookie in form.cookies() {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
                headers.append(header::COOKIE, HeaderValue::from_str(&pair).unwrap());
            }
            Choice::of(&headers)
        };
        let shop = Audience::Partner("harbor-shop".parse().unwrap());
        assert_eq!(kept(&form("harbor-shop", Some("on"))), Choice { audience: shop, slots: Slots::Outlined });
        let plain = Choice { audience: Audience::Main, slots: Slots::Plain };
        for other in ["", "a\r\nSet-Cookie: b=c", "../x"] {
            assert_eq!(kept(&form(other, None)), plain, "{other:?}");
        }
    }
}
