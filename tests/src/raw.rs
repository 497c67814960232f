//! Requests byte by byte, for those that no client library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most bytes of an answer that are read.
const MAX_ANSWER: u64 = 16 << 20;

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status, 0 where the answer is not HTTP.
    pub status: u16,
    /// The lines before the body, as they came.
    pub head: String,
    /// What follows the head.
    pub body: String,
}

impl RawAnswer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Asks for `target`, which is sent as it is, by `method` with these further header lines; the connection is closed
/// after the answer.
pub async fn request(site: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> RawAnswer {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {site}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    send(site, &text).await
}

/// Sends these bytes and reads the answer to its end.
pub async fn send(site: SocketAddr, bytes: &str) -> RawAnswer {
    let exchange = async {
        let mut stream = TcpStream::connect(site).await?;
        stream.write_all(bytes.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?} to {bytes:?}"));
    parse(&answer.unwrap_or_else(|error| panic!("no answer to {bytes:?}: {error}")))
}

fn parse(answer: &str) -> RawAnswer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    RawAnswer { status, head: head.to_owned(), body: body.to_owned() }
}
