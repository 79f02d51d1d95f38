//! Servers as a delivery knows them: where each is, what it is called, and why it could
//! not be reached. They are not connections.

use core::fmt;
use std::{net::SocketAddr, path::PathBuf};

use crate::printable::printable;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Inet(SocketAddr),
    /// A UNIX-domain stream socket.
    Unix(PathBuf),
}

/// `192.0.2.1:25`, `[2001:db8::1]:25` or the path of a socket.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A server with its name. Its `Display` is what Postfix's log calls it:
/// `host[address]:port`, or `host[path]`.
///
/// ```
/// use smtp_policy::server::Server;
///
/// let server = Server::inet("mx.example.com", "192.0.2.1:25".parse()?);
/// assert_eq!(server.to_string(), "mx.example.com[192.0.2.1]:25");
/// assert_eq!(server.name(), "mx.example.com[192.0.2.1]");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Server {
    /// The host name; `myhostname` for a UNIX-domain socket.
    pub host: String,
    /// The address and port, or the socket.
    pub endpoint: Endpoint,
}

impl Server {
    /// A server with this name.
    pub fn new(host: impl Into<String>, endpoint: Endpoint) -> Self {
        Self {
            host: host.into(),
            endpoint,
        }
    }

    /// A server on a TCP port.
    pub fn inet(host: impl Into<String>, address: SocketAddr) -> Self {
        Self::new(host, Endpoint::Inet(address))
    }

    /// `host[address]`, as Postfix names a server in texts.
    pub fn name(&self) -> String {
        format!("{}[{}]", printable(&self.host), self.address())
    }

    /// The printable address without the port, or the path of the socket.
    pub fn address(&self) -> String {
        match &self.endpoint {
            Endpoint::Inet(address) => address.ip().to_string(),
            Endpoint::Unix(path) => printable(&path.display().to_string()).into_owned(),
        }
    }

    /// The port; `None` for a UNIX-domain socket.
    pub const fn port(&self) -> Option<u16> {
        match &self.endpoint {
            Endpoint::Inet(address) => Some(address.port()),
            Endpoint::Unix(_) => None,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = printable(&self.host);
        match &self.endpoint {
            Endpoint::Inet(address) => write!(f, "{host}[{}]:{}", address.ip(), address.port()),
            Endpoint::Unix(_) => write!(f, "{host}[{}]", self.address()),
        }
    }
}

/// Why a connection could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No answer within the limit.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// Any other error, in the words of strerror(3).
    Other(String),
    /// The source address could not be bound, and `enforce` was asked for.
    Bind(String),
    /// The path of the UNIX-domain socket does not fit a socket address.
    PathTooLong,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("Connection timed out"),
            Self::Refused => f.write_str("Connection refused"),
            Self::Other(text) => f.write_str(text),
            Self::Bind(text) => write!(f, "cannot bind the source address: {text}"),
            Self::PathTooLong => f.write_str("the path of the socket is too long"),
        }
    }
}

impl core::error::Error for ConnectError {}

impl ConnectError {
    /// The words of the log, and of a verdict that rests on it. What is a mistake of ours
    /// does not name the server.
    pub(crate) fn at(&self, server: &Server) -> String {
        match self {
            Self::PathTooLong => "Server configuration error".to_owned(),
            Self::Bind(_) => "server configuration error".to_owned(),
            _ => format!("connect to {server}: {self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_postfix_names_it() {
        let six = Server::inet("mx.example", ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 24).into());
        assert_eq!(six.to_string(), "mx.example[2001:db8::1]:24");
        assert_eq!(six.port(), Some(24));
        let socket = Server::new("me.example", Endpoint::Unix("/run/lmtp".into()));
        assert_eq!(socket.to_string(), "me.example[/run/lmtp]");
        assert_eq!((socket.name(), socket.port()), (socket.to_string(), None));
    }

    #[test]
    fn a_name_cannot_end_the_line() {
        let server = Server::new("mx\n", Endpoint::Unix("/a\u{1b}b".into()));
        assert_eq!(server.to_string(), "mx?[/a?b]");
    }
}
