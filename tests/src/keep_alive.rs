//! A visitor on one connection: several pages, one after another, over the same TCP stream.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the connection counts as broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that is kept from one request to the next.
#[derive(Debug)]
pub struct KeepAlive {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub text: String,
}

impl KeepAlive {
    /// Connects to the public site at `host`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(host: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// When the connection breaks, as it does when the daemon is killed.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(broken)?];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, text: String::from_utf8_lossy(&body).into_owned() })
    }

    /// A line of the head, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn broken() -> io::Error {
    io::Error::other("what came back is not an answer with a length")
}
