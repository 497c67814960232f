//! Where a server listens, as a configuration says it.

use serde::Deserialize;

/// Host and port to listen at: `127.0.0.1:8080`, `[::]:80` or `localhost:8080`. Whether this machine has the host shows when
/// the port is opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress(pub String);

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_host = |host: &str| {
            let is_six = host.starts_with('[') && host.ends_with(']');
            !host.is_empty() && !host.contains(char::is_whitespace) && (is_six || !host.contains(':'))
        };
        let parts = text.rsplit_once(':');
        if parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok()) {
            return Ok(Self(text));
        }
        Err(format!("`{text}` is not an address to listen at: write it like 127.0.0.1:8080"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:8080", "localhost:0", "[::]:80", "shop.example:65535"] {
            assert_eq!(ListenAddress::try_from(good.to_owned()), Ok(ListenAddress(good.to_owned())));
        }
        for bad in ["localhost", "8080", ":80", "127.0.0.1:99999", "127.0.0.1:", "::1:80", "a b:1", ""] {
            let told = ListenAddress::try_from(bad.to_owned()).unwrap_err();
            assert_eq!(told, format!("`{bad}` is not an address to listen at: write it like 127.0.0.1:8080"));
        }
    }
}
