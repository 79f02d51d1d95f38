//! Lines about the way to a server and the connection to it.

use super::*;

#[test]
fn lines_about_the_way_to_a_server() {
    check([
        (
            Event::Routed {
                text: "ignoring DNS RR: x".into(),
            },
            Level::Info,
            "ignoring DNS RR: x",
        ),
        (
            Event::RouteWarning {
                text: "numeric domain name".into(),
            },
            Level::Warning,
            "numeric domain name",
        ),
        (
            Event::FallbackIgnored {
                relays: "a, b".into(),
            },
            Level::Warning,
            "ignoring \"lmtp_fallback_relay = a, b\" setting for non-TCP connections",
        ),
        (
            Event::ConfigurationProblem {
                parameter: "relayhost",
            },
            Level::Warning,
            "relayhost configuration problem",
        ),
        (
            Event::PassedOn {
                id: id(),
                transport: "lmtp".into(),
            },
            Level::Info,
            "4X1: passing mail to transport=lmtp",
        ),
        (
            Event::PassedOn {
                id: QueueId::default(),
                transport: "lmtp".into(),
            },
            Level::Info,
            "passing mail to transport=lmtp",
        ),
    ]);
}

#[test]
fn lines_about_a_connection() {
    let unreachable = |error| Event::ConnectFailed {
        server: server(),
        error,
    };
    check([
        (
            Event::Connected { server: server() },
            Level::Trace,
            "connected to mx.example[192.0.2.1]:25",
        ),
        (
            unreachable(ConnectError::TimedOut),
            Level::Info,
            "connect to mx.example[192.0.2.1]:25: Connection timed out",
        ),
        (
            unreachable(ConnectError::Other("No route to host".into())),
            Level::Info,
            "connect to mx.example[192.0.2.1]:25: No route to host",
        ),
        (
            unreachable(ConnectError::Bind("in use".into())),
            Level::Info,
            "server configuration error",
        ),
        (
            unreachable(ConnectError::PathTooLong),
            Level::Info,
            "Server configuration error",
        ),
        (
            Event::Disconnected { server: server() },
            Level::Trace,
            "disconnected from mx.example[192.0.2.1]:25",
        ),
    ]);
}

#[test]
fn lines_about_a_kept_connection() {
    check([
        (
            Event::Kept { server: server() },
            Level::Trace,
            "mx.example[192.0.2.1]:25: keeping the connection",
        ),
        (
            Event::Reused {
                server: server(),
                uses: 2,
            },
            Level::Trace,
            "mx.example[192.0.2.1]:25: using the connection that was kept from an earlier message",
        ),
        (
            Event::KeptConnectionOver {
                server: server(),
                why: "lost connection".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: the connection that was kept from an earlier message is \
             over: lost connection",
        ),
        (
            Event::KeptConnectionEnded {
                server: server(),
                said: "421 bye".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: the server ends the connection that was kept from an \
             earlier message: 421 bye",
        ),
        (
            Event::UnaskedReplies {
                server: server(),
                bytes: 12,
            },
            Level::Info,
            "host mx.example[192.0.2.1] said more than it was asked: 12 bytes are forgotten",
        ),
    ]);
}
