//! Where to connect to, and from which address.

use crate::parameter::{apart, params, shared, twins};
use crate::{Derived, Grammar};
use smtp_policy::route::Families;

params! {
    "connect";
    /// Ports, source addresses, own addresses, relays, and how many servers are tried.
    pub struct ConnectParams {
        /// The port to connect to when the destination names none: a number, or a name of
        /// `known_tcp_ports` or of the system. Only with port 25 does the client look out for mail
        /// that loops back to this machine.
        tcp_port: String = apart("smtp_tcp_port", "smtp", "lmtp_tcp_port", "24");
        /// Names of TCP ports, `name=name=…=port` separated by commas; they come before the
        /// system's own names. A bad entry is skipped with a warning.
        known_tcp_ports: String =
            shared("known_tcp_ports", "lmtp=24, smtp=25, smtps=submissions=465, submission=587");
        /// The source address of IPv4 connections, with or without square brackets. If it cannot be
        /// used, the system chooses one, unless `smtp_bind_address_enforce` is set. Empty: see
        /// `inet_interfaces`.
        bind_address: String = twins("smtp_bind_address", "lmtp_bind_address", "")
            .grammar(Grammar::Ipv4Address);
        /// The source address of IPv6 connections, by the same rules as `smtp_bind_address`.
        bind_address6: String = twins("smtp_bind_address6", "lmtp_bind_address6", "")
            .grammar(Grammar::Ipv6Address);
        /// Whether an address is skipped, with status 4.4.0, when its connection cannot have the
        /// source address asked for. Otherwise a warning is given and the system chooses.
        bind_address_enforce: bool =
            twins("smtp_bind_address_enforce", "lmtp_bind_address_enforce", "no");
        /// If positive, the send and receive buffers of each new TCP socket get this many bytes
        /// before it connects. 0 leaves them to the system.
        tcp_windowsize: u32 = shared("tcp_windowsize", "0");
        /// The addresses at which this machine receives mail: `all`, `loopback-only`, addresses or
        /// host names. An MX record that points to one of them is a loop, and a single address of a
        /// family, if it is no loopback address, becomes the source address.
        inet_interfaces: String = shared("inet_interfaces", "all").min(1);
        /// Further addresses at which this machine receives mail, through a proxy or address
        /// translation. They count for loop detection, not as source addresses.
        proxy_interfaces: String = shared("proxy_interfaces", "");
        /// The address families that are looked up and connected to. With none, everything is
        /// deferred with 4.4.4.
        inet_protocols: Families = shared("inet_protocols", "all");
        /// Destinations to try, in order, for recipients whom no server of the destinations before
        /// could take for now, or whose servers could not be looked up. Not used after a loop, when
        /// this machine is an MX host of the domain, or for LMTP over a UNIX-domain socket.
        fallback_relay: Derived<Vec<String>> =
            apart("smtp_fallback_relay", "$fallback_relay", "lmtp_fallback_relay", "");
        /// The next hop for mail to other domains when no table says otherwise. Postfix's rewriting
        /// service uses it, not the client; programs may take it as the default next hop.
        relayhost: String = shared("relayhost", "");
        /// SMTP only: when this machine turns out to be the best MX host of a domain, the mail goes
        /// to this `transport:nexthop` instead of being returned as a loop.
        best_mx_transport: String = shared("best_mx_transport", "")
            .mapped("outside of master(8), smtp, relay and lmtp are the transports that can be reached");
        /// How many addresses of one destination are tried at most, counting those that are
        /// skipped; each fallback relay counts anew. 0 means no limit.
        mx_address_limit: u32 = twins("smtp_mx_address_limit", "lmtp_mx_address_limit", "5");
        /// How many sessions of one destination may get as far as a mail transaction; a session
        /// that ends in the handshake does not count. 0 means no limit.
        mx_session_limit: u32 = twins("smtp_mx_session_limit", "lmtp_mx_session_limit", "2");
    }
    rows {
        /// The old name of `smtp_fallback_relay`, and still its default.
        List = shared("fallback_relay", "")
            .mapped("the old name; the default of smtp_fallback_relay")
            .unlisted();
    }
}
