//! Lines about the login and the message.

use super::*;

#[test]
fn lines_about_the_login() {
    check([
        (
            Event::OddMechanisms {
                server: server(),
                remark: "offered null AUTH mechanism list".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25 offered null AUTH mechanism list",
        ),
        (
            Event::UselessPassword {
                server: server(),
                place: " outside of TLS",
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: there is a password for this server, but it offers no AUTH \
             outside of TLS: mail goes out without a login",
        ),
        (
            Event::PasswordLookupFailed {
                id: id(),
                protocol: Protocol::Lmtp,
            },
            Level::Warning,
            "4X1: lmtp_sasl_password_maps lookup error",
        ),
        (
            Event::TokenRefused {
                server: server(),
                said: "535 5.7.8 expired".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25 refused the access token, and is tried again with a new one: \
             535 5.7.8 expired",
        ),
        (
            Event::LoggedIn { server: server() },
            Level::Trace,
            "mx.example[192.0.2.1]:25: logged in",
        ),
        (
            Event::UnansweredLogin { server: server() },
            Level::Info,
            "mx.example[192.0.2.1]:25: it was the reply to AUTH that did not come",
        ),
    ]);
}

#[test]
fn lines_about_the_message() {
    check([
        (
            Event::FlagNeedsOneRecipient {
                flag: 'D',
                service: Protocol::Smtp.into(),
            },
            Level::Warning,
            "flag `D' requires smtp_destination_recipient_limit = 1",
        ),
        (
            Event::LineBroken {
                id: id(),
                limit: 998,
            },
            Level::Info,
            "4X1: breaking line > 998 bytes with <CR><LF>SPACE",
        ),
        (
            Event::ContentChecked {
                id: id(),
                text: "warning: header Subject: x".into(),
            },
            Level::Info,
            "4X1: warning: header Subject: x",
        ),
        (
            Event::ContentWarning { text: "bad".into() },
            Level::Warning,
            "bad",
        ),
    ]);
}
