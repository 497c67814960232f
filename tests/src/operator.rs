//! An operator at the console, with a browser that keeps one cookie and follows no redirect.

use std::fmt::Write as _;
use std::net::SocketAddr;

use jiff::Timestamp;

use crate::raw::{RawAnswer, send};
use crate::world::World;

/// A browser at the console of one partner.
#[derive(Clone, Debug)]
pub struct Operator {
    console: SocketAddr,
    /// The cookie it holds, if any.
    pub cookie: Option<String>,
}

impl World {
    /// Where an address for the operator listens.
    pub fn listens(&self, url: Option<&str>) -> SocketAddr {
        let port = url.and_then(|url| url.trim_end_matches('/').rsplit(':').next()).and_then(|port| port.parse().ok());
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_else(|| panic!("{url:?} has no port"))))
    }

    /// Where the preview of `partner` is.
    pub fn preview(&self, partner: &str) -> SocketAddr {
        self.listens(self.daemon(partner).front().preview())
    }

    /// Somebody at the console of `partner` who has not signed in.
    pub fn stranger(&self, partner: &str) -> Operator {
        Operator { console: self.listens(self.daemon(partner).front().console()), cookie: None }
    }

    /// The path of a new sign-in link.
    pub fn link(&self, partner: &str) -> String {
        let link = self.daemon(partner).front().sign_in_link(Timestamp::now());
        let link = link.unwrap_or_else(|error| panic!("no link: {error}"));
        link.splitn(4, '/').nth(3).map_or_else(|| panic!("{link} has no path"), |path| format!("/{path}"))
    }

    /// The operator of `partner`, signed in.
    pub async fn operator(&self, partner: &str) -> Operator {
        let mut operator = self.stranger(partner);
        let answer = operator.enter(&self.link(partner)).await;
        assert_eq!(answer.status, 303, "not signed in: {answer:?}");
        operator
    }
}

impl Operator {
    /// Signs in by the path of a link, and keeps the cookie.
    pub async fn enter(&mut self, link: &str) -> RawAnswer {
        let secret = link.split_once("link=").map(|(_, secret)| secret.to_owned()).unwrap_or_default();
        let answer = self.post("/sign-in", &[("link", &secret)]).await;
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next().map(str::to_owned));
        self.cookie = cookie.or(self.cookie.take());
        answer
    }

    /// GETs a page.
    pub async fn get(&self, path: &str) -> RawAnswer {
        self.ask("GET", path, &[], "").await
    }

    /// POSTs a form as one of the console's own pages does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> RawAnswer {
        self.post_from(&format!("http://{}", self.console), path, fields).await
    }

    /// POSTs a form as a page at another origin does.
    pub async fn post_from(&self, origin: &str, path: &str, fields: &[(&str, &str)]) -> RawAnswer {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.ask("POST", path, &[("origin", origin)], &body.join("&")).await
    }

    /// Sends a request with these headers besides the usual ones.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> RawAnswer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        text.push_str("content-type: application/x-www-form-urlencoded\r\n");
        if headers.iter().all(|(name, _)| *name != "host") {
            let _ = write!(text, "host: {}\r\n", self.console);
        }
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(text, "cookie: {cookie}\r\n");
        }
        send(self.console, &format!("{text}\r\n{body}")).await
    }

    /// The fields of the form on the page at `path` that is sent to `action`.
    pub async fn fields(&self, path: &str, action: &str) -> Vec<(String, String)> {
        let page = self.get(path).await;
        let start =
            page.body.find(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("no form for {action}: {page:?}"));
        let form = page.body[start..].split("</form>").next().unwrap_or_default();
        let inputs = form.split("<input ").skip(1).filter(|input| input.contains("type=\"hidden\""));
        let value = |input: &str, name: &str| {
            let rest = input.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        inputs.map(|input| (value(input, "name"), value(input, "value"))).collect()
    }

    /// Presses the button of the form on the page at `path` that is sent to `action`, having written `more` into it.
    pub async fn press(&self, path: &str, action: &str, more: &[(&str, &str)]) -> RawAnswer {
        let hidden = self.fields(path, action).await;
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.post(action, &hidden.chain(more.iter().copied()).collect::<Vec<_>>()).await
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
