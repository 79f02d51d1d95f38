//! Where to connect to, and from which address.

use crate::config::choice::InetProtocols;
use crate::config::parameter::{apart, params, shared, twins};

params! {
    "connect";
    /// Ports, source addresses, own addresses, relays, and how many servers are tried.
    pub struct ConnectParams {
        /// Default port for SMTP. MX self-detection and HELO loop detection are active only when the
        /// effective port is 25.
        tcp_port: String = apart("smtp_tcp_port", "smtp", "lmtp_tcp_port", "24");
        /// Symbolic TCP port names resolved from this table before the services database is asked;
        /// applies to destination ports and `smtp_tcp_port`/`lmtp_tcp_port`. Bad entries (numeric
        /// name, non-numeric port, duplicate name, white space inside) are logged with a warning and
        /// skipped.
        known_tcp_ports: String =
            shared("known_tcp_ports", "lmtp=24, smtp=25, smtps=submissions=465, submission=587");
        /// Source address for IPv4 connections. Not an address: fatal. Bind failure: warning and
        /// continue, or with `smtp_bind_address_enforce` skip the address with 4.4.0.
        bind_address: String = twins("smtp_bind_address", "lmtp_bind_address", "");
        /// Source address for IPv6 connections; same rules.
        bind_address6: String = twins("smtp_bind_address6", "lmtp_bind_address6", "");
        /// Whether an address is skipped, with status 4.4.0, when its connection cannot have the
        /// source address asked for. Otherwise a warning is given and the system chooses.
        bind_address_enforce: bool =
            twins("smtp_bind_address_enforce", "lmtp_bind_address_enforce", "no");
        /// If positive: SO_SNDBUF and SO_RCVBUF are set to this value on every new client TCP socket
        /// before connect.
        tcp_windowsize: u32 = shared("tcp_windowsize", "0");
        /// Defines own addresses: used for MX self-detection (port 25 only) and, when exactly one
        /// non-loopback address of a family is listed, as source address.
        inet_interfaces: String = shared("inet_interfaces", "all").min(1);
        /// Addresses at which this machine receives mail through a proxy or NAT; added to own
        /// addresses for self-detection, never used as source address.
        proxy_interfaces: String = shared("proxy_interfaces", "");
        /// Address families used for lookups and connections. If none is usable: 4.4.4 "all network
        /// protocols are disabled".
        inet_protocols: InetProtocols = shared("inet_protocols", "all");
        /// Appended to the nexthop list; tried in order for recipients left over by soft delivery
        /// failures or by any lookup failure (also a hard one) of the destinations before. Not used
        /// after a loop result, when this machine is an MX for the domain, or for UNIX-domain LMTP
        /// (warning). A hard error at the fallback relay is changed to 4.3.5 with warning
        /// "`smtp_fallback_relay` configuration problem".
        fallback_relay: Vec<String> =
            apart("smtp_fallback_relay", "$fallback_relay", "lmtp_fallback_relay", "");
        /// The next hop for mail to other domains when no table says otherwise. Postfix's rewriting
        /// service uses it, not the client; programs may take it as the default next hop.
        relayhost: String = shared("relayhost", "");
        /// SMTP only: when the MX lookup shows that this machine is the best MX (5.4.6 loop result),
        /// hand all recipients to this transport instead of bouncing. No fallback relay is tried.
        best_mx_transport: String = shared("best_mx_transport", "")
            .mapped("of all transports, smtp, relay and lmtp can be reached");
        /// Maximum number of server addresses tried per nexthop (separately for each destination in
        /// the list and each fallback relay); counts addresses skipped by policy or found in the
        /// cache search as well as failed connects.
        mx_address_limit: u32 = twins("smtp_mx_address_limit", "lmtp_mx_address_limit", "5");
        /// Maximum number of sessions per nexthop that got past the handshake (greeting, EHLO, TLS,
        /// AUTH) and started a mail transaction. Handshake failures are not counted; cached sessions
        /// are.
        mx_session_limit: u32 = twins("smtp_mx_session_limit", "lmtp_mx_session_limit", "2");
    }
    rows {
        /// The old name of `smtp_fallback_relay`, and still its default.
        List = shared("fallback_relay", "")
            .mapped("the old name; the default of smtp_fallback_relay")
            .unlisted();
    }
}
