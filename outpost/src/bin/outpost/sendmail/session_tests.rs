//! Tests of the dialogue.

use super::*;

fn session() -> Session {
    Session::new("box.example", 1000)
}

/// Says the lines, and compares how the last line of each reply begins.
fn play(session: &mut Session, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let reply = match session.command(Ok(line)) {
            Turn::Reply(lines) => lines.last().cloned().unwrap_or_default(),
            Turn::Text(line) | Turn::Close(line) => line,
        };
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
}

#[test]
fn a_message_has_an_envelope_with_all_wishes() {
    let mut session = session();
    assert!(session.greeting().starts_with("220 box.example ESMTP"));
    play(
        &mut session,
        &[
            ("EHLO me", "250 DSN"),
            (
                "mail from:<a@x> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb",
                "250 2.1.0",
            ),
            (
                "RCPT TO:<\"b c\"@x> NOTIFY=NEVER ORCPT=rfc822;o+2Bp@x",
                "250 2.1.5",
            ),
            ("RCPT TO: root", "250 2.1.5"),
            ("DATA", "354"),
        ],
    );
    let envelope = session.take();
    assert_eq!(envelope.sender.as_str(), "a@x");
    assert_eq!(envelope.ret, Some(Ret::Hdrs));
    assert_eq!(
        envelope
            .envid
            .map(|envid| envid.as_str().to_owned())
            .as_deref(),
        Some("a+b")
    );
    let [first, second] = envelope.recipients.as_slice() else {
        panic!("{:?}", envelope.recipients)
    };
    assert_eq!(first.address.as_str(), "b c@x");
    assert_eq!(first.notify, Notify::NEVER);
    assert_eq!(first.orcpt.as_ref().map(Orcpt::address), Some("o+p@x"));
    assert_eq!(second.address.as_str(), "root");
    play(&mut session, &[("DATA", "503"), ("QUIT", "221")]);
}

#[test]
fn commands_out_of_order_and_malformed_ones_are_refused() {
    let mut session = session();
    play(
        &mut session,
        &[
            ("MAIL FROM:<a@x>", "503"),
            ("HELO", "501"),
            ("HELO me", "250 box.example"),
            ("RCPT TO:<b@x>", "503"),
            ("MAIL FROM", "501 5.5.4"),
            ("MAIL FROM:", "501 5.5.4"),
            ("MAIL FROM:<a@x,b@x>", "501 5.1.3"),
            ("MAIL FROM:<a@x> SIZE=1001", "552 5.3.4"),
            ("MAIL FROM:<a@x> COLOUR=red", "555 5.5.4"),
            ("MAIL FROM:<a@x> ENVID=+ZZ", "501 5.5.4"),
            ("MAIL FROM:<>", "250"),
            ("MAIL FROM:<a@x>", "503"),
            ("RCPT TO:<>", "501 5.1.3"),
            ("RCPT TO:<b@x> NOTIFY=SOMETIMES", "501 5.5.4"),
            ("DATA", "554"),
            ("RCPT TO:<b@x>", "250"),
            ("RSET", "250"),
            ("DATA", "503"),
            ("VRFY b", "252"),
            ("NOOP", "250"),
            ("AUTH PLAIN", "502"),
        ],
    );
}

#[test]
fn mistakes_without_end_end_the_dialogue() {
    let mut session = session();
    for _ in 1..MISTAKES {
        assert!(matches!(session.command(Err(TOO_LONG)), Turn::Reply(_)));
    }
    assert!(matches!(session.command(Ok("XYZZY")), Turn::Close(_)));
}

#[test]
fn a_message_has_so_many_recipients_and_no_more() {
    let mut session = session();
    play(&mut session, &[("HELO me", "250"), ("MAIL FROM:<>", "250")]);
    for _ in 0..RECIPIENTS {
        play(&mut session, &[("RCPT TO:<b@x>", "250")]);
    }
    play(
        &mut session,
        &[("RCPT TO:<b@x>", "452 4.5.3"), ("DATA", "354")],
    );
}
