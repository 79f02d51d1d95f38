//! Lines about the dialogue.

use super::*;

#[test]
fn lines_about_what_is_said() {
    check([
        (
            Event::Greeted {
                server: server(),
                name: "mx.example".into(),
            },
            Level::Trace,
            "mx.example[192.0.2.1]:25 introduces itself as mx.example",
        ),
        (
            Event::Said {
                server: server(),
                line: "QUIT".into(),
            },
            Level::Debug,
            "> mx.example[192.0.2.1]:25: QUIT",
        ),
        (
            Event::Heard {
                server: server(),
                line: "221 bye".into(),
            },
            Level::Debug,
            "< mx.example[192.0.2.1]:25: 221 bye",
        ),
        (
            Event::TextSent {
                server: server(),
                bytes: 7,
            },
            Level::Debug,
            "> mx.example[192.0.2.1]:25: [message text of 7 bytes]",
        ),
    ]);
}

#[test]
fn lines_about_replies() {
    check([
        (
            Event::ReplyLineTooLong {
                server: server(),
                start: "250 x".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: response longer than 2048: 250 x...",
        ),
        (
            Event::ReplyTooLong {
                server: server(),
                start: "250 x".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: multi-line response longer than 2048 250 x...",
        ),
        (
            Event::ReplyGarbage {
                server: server(),
                line: "hello".into(),
            },
            Level::Warning,
            "non-ESMTP response from mx.example[192.0.2.1]:25: hello",
        ),
        (
            Event::ReplyReplaced {
                server: server(),
                old: "550 a".into(),
                new: "450 a".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: replacing server reply \"550 a\" with \"450 a\"",
        ),
        (
            Event::Refused {
                server: server(),
                stage: Stage::XforwardNameAddr,
                reply: Reply::new(550, "550-5.7.0 no\n550 5.7.0 never"),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 said: 550-5.7.0 no 550 5.7.0 never (in reply to \
             XFORWARD name/address command)",
        ),
    ]);
}

#[test]
fn lines_about_the_introduction_of_a_server() {
    check([
        (
            Event::PixWorkarounds {
                id: id(),
                server: server(),
                workarounds: PixWorkarounds {
                    disable_esmtp: true,
                    delay_dotcrlf: Some(Duration::from_secs(10)),
                },
            },
            Level::Info,
            "4X1: enabling PIX workarounds: disable_esmtp delay_dotcrlf for \
             mx.example[192.0.2.1]:25",
        ),
        (
            Event::GreetedWithOwnName {
                server: server(),
                name: "me.example".into(),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 greeted me with my own hostname me.example",
        ),
        (
            Event::OwnNameInHello {
                server: server(),
                name: "me.example".into(),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 replied to HELO/EHLO with my own hostname me.example",
        ),
        (
            Event::KeywordsDiscarded {
                server: server(),
                keywords: "DSN ETRN".into(),
            },
            Level::Info,
            "discarding EHLO keywords: DSN ETRN",
        ),
        (
            Event::BadSizeLimit {
                server: server(),
                word: "big".into(),
            },
            Level::Warning,
            "bad EHLO SIZE limit \"big\" from mx.example[192.0.2.1]:25",
        ),
        (
            Event::Smtputf8Alone { server: server() },
            Level::Info,
            "host mx.example[192.0.2.1] offers SMTPUTF8 support, but not 8BITMIME",
        ),
    ]);
}

#[test]
fn a_line_about_a_failure_that_another_server_may_mend() {
    check([(
        Event::Postponed {
            id: id(),
            server: Some(server()),
            text: "host x said: 450 no".into(),
        },
        Level::Info,
        "4X1: host x said: 450 no",
    )]);
}
