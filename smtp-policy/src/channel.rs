//! A connection as the engine and the connection cache hold it: the dialogue's
//! state and what is known about the peer. Not the socket, which the driver
//! keeps beside it.

use smtp_proto::session::Session;

/// One open connection without its socket. Opaque to drivers: they get it with
/// [`Ask::Keep`](crate::delivery::Ask::Keep) and give it back to
/// [`Delivery::reused`](crate::delivery::Delivery::reused).
#[derive(Debug)]
pub struct Channel {
    pub(crate) session: Session,
    pub(crate) peer: Peer,
    /// Whether the server knows who we are (AUTH).
    pub(crate) authenticated: bool,
    /// How many messages went over the connection before the present one.
    pub(crate) uses: u32,
    /// When `smtp_connection_reuse_time_limit` ends the connection's life.
    pub(crate) expires: smtp_proto::time::Time,
}

/// The server at the other end, as log lines and verdicts name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The host name, or `myhostname` for a UNIX-domain socket.
    pub(crate) host: String,
    /// The printable address, or the path of the socket.
    pub(crate) address: String,
    /// The port; `None` for a UNIX-domain socket.
    pub(crate) port: Option<u16>,
    /// The destination that the connection was made for, as it is written.
    pub(crate) destination: String,
    /// Whether the address has the best preference of its list.
    pub(crate) best_mx: bool,
}

impl Peer {
    /// `host[address]`, as Postfix names a server in texts.
    pub(crate) fn name(&self) -> String {
        format!("{}[{}]", self.host, self.address)
    }

    /// `host[address]:port`, as Postfix names a server in log lines.
    pub(crate) fn relay(&self) -> String {
        match self.port {
            Some(port) => format!("{}[{}]:{port}", self.host, self.address),
            None => self.name(),
        }
    }
}
