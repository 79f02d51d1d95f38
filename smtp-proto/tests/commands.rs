//! Commands as bytes: what Postfix sends for the same values, and that no
//! value breaks out of its line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use proptest::prelude::*;
use smtp_proto::*;

fn mail(build: impl FnOnce(&mut MailFrom), sender: &str) -> String {
    let mut command = MailFrom::new(ReversePath::parse(sender).unwrap());
    build(&mut command);
    let mut out = Vec::new();
    command.encode(&mut out);
    String::from_utf8(out).unwrap()
}

fn rcpt(build: impl FnOnce(&mut RcptTo), recipient: &str) -> String {
    let mut command = RcptTo::new(Address::parse(recipient).unwrap());
    build(&mut command);
    let mut out = Vec::new();
    command.encode(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn mail_parameters_stand_in_postfix_order() {
    let all = |command: &mut MailFrom| {
        command.auth_null = true;
        command.smtputf8 = true;
        command.ret = Some(Ret::Full);
        command.envid = Some("QQ+314=159 x".to_owned());
        command.body = Some(BodyType::EightBitMime);
        command.size = Some(95);
    };
    assert_eq!(
        mail(all, "s@a"),
        "MAIL FROM:<s@a> SIZE=95 BODY=8BITMIME ENVID=QQ+2B314+3D159+20x RET=FULL SMTPUTF8 AUTH=<>\r\n"
    );
    assert_eq!(mail(|_| {}, ""), "MAIL FROM:<>\r\n");
    assert_eq!(
        mail(|command| command.body = Some(BodyType::SevenBit), "s@a"),
        "MAIL FROM:<s@a> BODY=7BIT\r\n"
    );
    assert_eq!(
        mail(|command| command.envid = Some(String::new()), "s@a"),
        "MAIL FROM:<s@a>\r\n"
    );
}

#[test]
fn quoting_can_be_turned_off() {
    assert_eq!(
        mail(|_| {}, "two words@a"),
        "MAIL FROM:<\"two words\"@a>\r\n"
    );
    assert_eq!(
        mail(|command| command.quote = false, "two words@a"),
        "MAIL FROM:<two words@a>\r\n"
    );
    assert_eq!(
        rcpt(|command| command.quote = false, "two words@a"),
        "RCPT TO:<two words@a>\r\n"
    );
}

#[test]
fn a_path_is_never_ended_by_its_local_part() {
    for (address, line) in [
        (
            "b> NOTIFY=NEVER <c@a",
            "RCPT TO:<\"b> NOTIFY=NEVER <c\"@a>\r\n",
        ),
        ("b<c@a", "RCPT TO:<\"b<c\"@a>\r\n"),
        ("b\u{1b}c@a", "RCPT TO:<\"b\u{1b}c\"@a>\r\n"),
        ("b> c", "RCPT TO:<\"b> c\">\r\n"),
    ] {
        assert_eq!(rcpt(|command| command.quote = true, address), line);
        assert_eq!(rcpt(|command| command.quote = false, address), line);
    }
}

/// The rest of a command line behind its path, as a server reads it.
fn behind_path(line: &str) -> &str {
    let path = line.split_once('<').unwrap().1;
    let mut escaped = false;
    let closing = |c: char| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    };
    let rest = path.strip_prefix('"').and_then(|text| {
        let end = text.find(closing)?;
        text.get(end + 1..)
    });
    rest.unwrap_or(path).split_once('>').unwrap().1
}

#[test]
fn rcpt_parameters_are_encoded_by_their_type() {
    for (kind, address, notify, line) in [
        (
            "rfc822",
            "x+y=z@d.test",
            "",
            "RCPT TO:<u@a> ORCPT=rfc822;x+2By+3Dz@d.test\r\n",
        ),
        (
            "rfc822",
            "\"two words\"@a",
            "never",
            "RCPT TO:<u@a> ORCPT=rfc822;\"two+20words\"@a NOTIFY=NEVER\r\n",
        ),
        (
            "utf-8",
            "\u{fc}ser@a",
            "delay,success",
            "RCPT TO:<u@a> ORCPT=utf-8;\\x{FC}ser@a NOTIFY=SUCCESS,DELAY\r\n",
        ),
        (
            "UTF-8",
            "a b@a",
            "",
            "RCPT TO:<u@a> ORCPT=UTF-8;a\\x{20}b@a\r\n",
        ),
    ] {
        let build = |command: &mut RcptTo| {
            command.orcpt = Some((kind.to_owned(), address.to_owned()));
            command.notify = Notify::parse(notify).unwrap();
        };
        assert_eq!(rcpt(build, "u@a"), line);
    }
    assert_eq!(rcpt(|_| {}, "u@a"), "RCPT TO:<u@a>\r\n");
}

#[test]
fn xforward_values_keep_their_equals_signs() {
    let command = Xforward(vec![
        (XforwardName::Proto, "ESMTPS".to_owned()),
        (XforwardName::Helo, "a b=c+d".to_owned()),
    ]);
    let mut out = Vec::new();
    command.encode(&mut out);
    assert_eq!(out, b"XFORWARD PROTO=ESMTPS HELO=a+20b=c+2Bd\r\n");
    out.clear();
    Xforward::default().encode(&mut out);
    assert!(out.is_empty());
}

#[test]
fn names_with_white_space_are_no_hello_names() {
    for bad in ["", "a b", "a\r\nMAIL", "a\0", "a\t", "\u{a0}"] {
        assert_eq!(HelloName::parse(bad), Err(HelloNameError), "{bad:?}");
    }
    let mut out = Vec::new();
    for verb in [Verb::Ehlo, Verb::Helo, Verb::Lhlo] {
        hello(verb, &HelloName::parse("[192.0.2.1]").unwrap(), &mut out);
    }
    assert_eq!(
        out,
        b"EHLO [192.0.2.1]\r\nHELO [192.0.2.1]\r\nLHLO [192.0.2.1]\r\n"
    );
}

#[test]
fn ehlo_replies_are_read_as_postfix_reads_them() {
    let parse = |text: &str, discard: &str| {
        Capabilities::parse(&Reply::new(250, text), KeywordSet::parse(discard))
    };
    let c = parse(
        "250-mx.Example.com Hello\n250-pipelining\n250-Size 5000000\n250-8BitMime\n250 dsn",
        "",
    );
    assert_eq!(c.name, "mx.Example.com");
    assert!(c.pipelining && c.eight_bit_mime && c.dsn && !c.starttls && !c.smtputf8);
    assert_eq!((c.size, c.bad_size), (Some(5_000_000), None));

    let c = parse(
        "250-n\n250-STARTTLSX\n250-DSN2\n250-X-FOO bar\n250-CHUNKING\n250-STARTTLS\n250 SMTPUTF8",
        "",
    );
    assert!(c.starttls && c.smtputf8 && c.chunking && !c.dsn);

    for (line, size, bad) in [
        ("SIZE", Some(0), None),
        ("SIZE 0", Some(0), None),
        ("SIZE=77", Some(77), None),
        ("SIZE 10M", Some(0), Some("10M")),
        ("SIZE -1", Some(0), Some("-1")),
        ("SIZE 99999999999999999999999", Some(0), None),
        ("SIZES 3", None, None),
    ] {
        let c = parse(&format!("250-n\n250 {line}"), "");
        assert_eq!((c.size, c.bad_size.as_deref()), (size, bad), "{line}");
    }

    let c = parse("250-n\n250-AUTH PLAIN LOGIN\n250-AUTH=LOGIN\n250 AUTH", "");
    assert_eq!(c.auth, ["PLAIN LOGIN", "LOGIN", ""]);

    let c = parse("250-n\n250 XFORWARD name ADDR\tSOURCE what", "");
    assert!(c.xforward.contains(XforwardName::Name) && c.xforward.contains(XforwardName::Source));
    assert!(!c.xforward.contains(XforwardName::Port) && !c.xforward.is_empty());

    // The first line with a word is the name, whatever it is.
    assert_eq!(parse("250-\n250-DSN\n250 SIZE 1", "").name, "DSN");
    assert_eq!(parse("250", ""), Capabilities::default());
    // More hyphens and blanks than needed.
    assert!(parse("250-n\n250- DSN", "").dsn);
}

#[test]
fn discarded_keywords_are_not_heard() {
    let discard = KeywordSet::parse("Size, dsn\t8bitmime,auth xforward  nonsense");
    let text = "250-n\n250-SIZE 5\n250-DSN\n250-8BITMIME\n250-AUTH PLAIN\n250-XFORWARD NAME\n250 PIPELINING";
    let c = Capabilities::parse(&Reply::new(250, text), discard);
    assert!(
        c.pipelining && !c.dsn && !c.eight_bit_mime && c.auth.is_empty() && c.xforward.is_empty()
    );
    assert_eq!((c.size, c.discarded), (None, discard));
    let names: Vec<_> = discard.names().collect();
    assert_eq!(names, ["8BITMIME", "AUTH", "SIZE", "XFORWARD", "DSN"]);
    assert!(KeywordSet::parse("").is_empty());
    assert!(KeywordSet::parse("silent-discard").contains(Keyword::SilentDiscard));
}

proptest! {
    #[test]
    fn no_address_adds_to_its_line(text in "[a-b<>@\" \\\\\x1b.:]{1,12}", quote in any::<bool>()) {
        let Ok(address) = Address::parse(&text) else {
            return Ok(());
        };
        let mut line = Vec::new();
        let mut rcpt = RcptTo::new(address);
        rcpt.quote = quote;
        rcpt.encode(&mut line);
        let line = String::from_utf8(line).unwrap();
        prop_assert_eq!(behind_path(&line), "\r\n", "{:?}", line);
    }

    #[test]
    fn no_value_breaks_out_of_its_line(a in ".{1,40}", b in any::<String>(), c in any::<String>(), quote in any::<bool>()) {
        let mut lines = Vec::new();
        if let (Ok(sender), Ok(recipient)) = (ReversePath::parse(&a), Address::parse(&a)) {
            let mut mail = MailFrom::new(sender);
            mail.quote = quote;
            mail.envid = Some(b.clone());
            mail.encode(&mut lines);
            let mut rcpt = RcptTo::new(recipient);
            rcpt.quote = quote;
            rcpt.orcpt = Some((c.clone(), b.clone()));
            rcpt.encode(&mut lines);
        }
        if let Ok(name) = HelloName::parse(&b) {
            hello(Verb::Ehlo, &name, &mut lines);
        }
        Xforward(vec![(XforwardName::Helo, b), (XforwardName::Name, c)]).encode(&mut lines);
        let text = String::from_utf8(lines).unwrap();
        for line in text.split_terminator("\r\n") {
            prop_assert!(!line.contains(['\r', '\n', '\0']));
            let verb = line.split([' ']).next().unwrap();
            prop_assert!(["MAIL", "RCPT", "EHLO", "XFORWARD"].contains(&verb));
        }
    }
}

#[test]
fn requiretls_is_heard_and_said() {
    let reply = Reply::new(250, "250-n\n250-RequireTLS\n250 REQUIRETLSX");
    assert!(Capabilities::parse(&reply, KeywordSet::EMPTY).require_tls);
    let reply = Reply::new(250, "250-REQUIRETLS\n250 REQUIRETLSX");
    assert!(!Capabilities::parse(&reply, KeywordSet::EMPTY).require_tls);
    let mut mail = MailFrom::new(ReversePath::Null);
    (mail.smtputf8, mail.require_tls) = (true, true);
    let mut out = Vec::new();
    mail.encode(&mut out);
    assert_eq!(out, b"MAIL FROM:<> SMTPUTF8 REQUIRETLS\r\n");
}
