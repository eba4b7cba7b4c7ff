//! Addresses of webhooks.
//!
//! **Source**: RFC 3986 (URI).

use std::fmt;

/// A web address, as far as it is needed. Its path may be a secret and is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAddress {
    /// https.
    pub is_tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl WebAddress {
    /// Reads `http://host[:port]/path?query`, or https.
    ///
    /// # Errors
    /// What is wrong with it, without its text: it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("a webhook's address begins with http:// or https://".into()),
        };
        let is_clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii());
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        if !is_clean || place.contains(['@', '#']) || path.contains('#') {
            return Err("a webhook's address has no spaces, users or fragments, and is ASCII".into());
        }
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        let after_host = place.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match place[after_host..].rfind(':') {
            Some(at) => (&place[..after_host + at], port(&place[after_host + at + 1..])),
            None => (place, Some(if is_tls { 443 } else { 80 })),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (Some(port), false) = (port, host.is_empty()) else {
            return Err("a webhook's address has a host and, if any, a port from 1 to 65535".into());
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host: host.to_owned(), port, path })
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}/***", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let url = |is_tls, host: &str, port, path: &str| {
            Ok(WebAddress { is_tls, host: host.into(), port, path: path.into() })
        };
        assert_eq!(WebAddress::parse("http://127.0.0.1:9000/a?b=c"), url(false, "127.0.0.1", 9000, "/a?b=c"));
        assert_eq!(WebAddress::parse("https://hooks.example"), url(true, "hooks.example", 443, "/"));
        assert_eq!(WebAddress::parse("http://[::1]:80?x"), url(false, "::1", 80, "/?x"));
        assert_eq!(WebAddress::parse("http://[::1]/"), url(false, "::1", 80, "/"));
        for bad in [
            "",
            "ftp://a/",
            "http://",
            "http://:80/",
            "http://a:0/",
            "http://a:70000/",
            "http://a:b/",
            "http://user:pass@a/",
            "http://a/b c",
            "http://a/\r\nX: y",
            "http://a/#x",
            "http://é/",
        ] {
            let error = WebAddress::parse(bad).expect_err(bad);
            assert!(!error.contains("pass"), "{error}");
        }
    }
}
