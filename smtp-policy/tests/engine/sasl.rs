//! Login: RFC 4954 from the side of the verdicts.

use std::sync::Arc;

use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    report::{Outcome, Scope},
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath, session::Stage};

use crate::{MINUTE, Rules, Then, World, brief, policy};

const LOGIN: &str = "smtp_sasl_auth_enable = yes\n\
    smtp_sasl_password_maps = inline:{mx1.example=bob:hush}\n\
    smtp_sasl_security_options = noanonymous\n";

const PLAIN: (&str, &str) = ("EHLO", "250-mx\r\n250 AUTH PLAIN");

fn from(sender: &str) -> Request {
    let to = Recipient::new(Address::parse("a@example.com").unwrap());
    let sender = ReversePath::parse(sender).unwrap();
    Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        sender,
        vec![to],
    )
}

fn with_rules(rules: Rules) -> World {
    World::new().with_server("192.0.2.1", rules)
}

fn deliver(rules: Rules, main_cf: &str) -> (World, Outcome) {
    let mut world = with_rules(rules);
    let outcome = world
        .deliver(&format!("{LOGIN}{main_cf}"), &["a@example.com"])
        .remove(0);
    (world, outcome)
}

fn heard(world: &World, start: &str) -> bool {
    world.heard.iter().any(|line| line.starts_with(start))
}

#[test]
fn a_message_goes_out_after_the_login() {
    let (world, outcome) = deliver(&[PLAIN, ("AUTH", "235 2.7.0 ok")], "");
    assert_eq!(brief(&[outcome]), ["sent 2.0.0"]);
    let start: Vec<&str> = world.heard.iter().take(3).map(String::as_str).collect();
    let mail = "MAIL FROM:<from@example.org>";
    assert_eq!(
        start,
        ["EHLO client.example", "AUTH PLAIN AGJvYgBodXNo", mail]
    );
}

#[test]
fn what_may_be_said_inside_tls_is_not_said_in_the_clear() {
    let options = "smtp_sasl_security_options = noplaintext, noanonymous\n\
        smtp_sasl_tls_security_options = noanonymous\n\
        smtp_sasl_tls_verified_security_options = noanonymous\n";
    let (world, outcome) = deliver(&[PLAIN, ("AUTH", "235 2.7.0 ok")], options);
    assert_eq!(brief(&[outcome]), ["deferred 4.7.0"]);
    assert!(!heard(&world, "AUTH"), "{:?}", world.heard);
}

#[test]
fn a_login_that_fails_is_a_failure_of_the_session() {
    const CRAM: (&str, &str) = ("EHLO", "250-mx\r\n250 AUTH CRAM-MD5");
    let said = "SASL authentication failed; server mx1.example[192.0.2.1] said: ";
    let cannot =
        "SASL authentication failed; cannot authenticate to server mx1.example[192.0.2.1]: ";
    let rows: &[(Rules, &str, &str, String)] = &[
        (
            &[PLAIN, ("AUTH", "535 5.7.8 no")],
            "",
            "deferred 4.7.8",
            format!("{said}535 5.7.8 no"),
        ),
        (
            &[PLAIN, ("AUTH", "535 5.7.8 no")],
            "smtp_sasl_auth_soft_bounce = no\n",
            "bounced 5.7.8",
            format!("{said}535 5.7.8 no"),
        ),
        (
            &[PLAIN, ("AUTH", "454 4.7.0 later")],
            "",
            "deferred 4.7.0",
            format!("{said}454 4.7.0 later"),
        ),
        (
            &[PLAIN, ("AUTH", "535-5.7.8 no\r\n535 5.7.8 never")],
            "",
            "deferred 4.7.8",
            format!("{said}535-5.7.8 no?535 5.7.8 never"),
        ),
        (
            &[PLAIN, ("AUTH", "199 what")],
            "",
            "bounced 5.5.0",
            format!("{said}199 what"),
        ),
        (
            &[PLAIN, ("AUTH", "334 ")],
            "",
            "deferred 4.7.0",
            format!("{cannot}generic failure"),
        ),
        (
            &[CRAM, ("AUTH", "334 who are you?")],
            "",
            "deferred 4.7.0",
            format!("{cannot}bad protocol / cancel"),
        ),
        (
            &[CRAM, ("AUTH", "334 YWFhYW")],
            "",
            "deferred 4.7.0",
            format!("{cannot}another step is needed in authentication"),
        ),
        (
            &[
                CRAM,
                ("CONNECT", "220 mx"),
                ("AUTH", "334 YQ=="),
                ("MAIL", "250 ok"),
                ("QUIT", ""),
                ("", "334 YQ=="),
            ],
            "",
            "deferred 4.7.0",
            format!("{cannot}generic failure"),
        ),
        (
            &[PLAIN],
            "smtp_sasl_security_options = noplaintext\n",
            "deferred 4.7.0",
            format!("{cannot}no mechanism available"),
        ),
        (
            &[("EHLO", "250-mx\r\n250 AUTH EXTERNAL PLAIN")],
            "",
            "deferred 4.7.0",
            format!("{cannot}no mechanism available"),
        ),
        (
            &[
                ("EHLO", "250-mx\r\n250 AUTH SCRAM-SHA-256"),
                ("AUTH", "235 2.7.0 welcome"),
            ],
            "smtp_sasl_security_options = mutual_auth\n",
            "deferred 4.7.0",
            format!("{cannot}server failed mutual authentication step"),
        ),
        (
            &[PLAIN],
            "smtp_sasl_mechanism_filter = login\n",
            "deferred 4.7.0",
            "SASL authentication failed: server mx1.example[192.0.2.1] offered no compatible \
             authentication mechanisms for this type of connection security"
                .to_owned(),
        ),
    ];
    for (rules, main_cf, verdict, text) in rows {
        let (world, outcome) = deliver(rules, main_cf);
        assert_eq!(
            (outcome.scope, outcome.stage),
            (Scope::Session, Some(Stage::Auth)),
            "{text}"
        );
        assert_eq!(outcome.text, *text);
        assert_eq!(brief(&[outcome]), [*verdict], "{text}");
        assert!(
            heard(&world, "QUIT") && !heard(&world, "MAIL"),
            "{text}: {:?}",
            world.heard
        );
        assert!(!heard(&world, "*"), "{text}");
    }
}

#[test]
fn a_challenge_of_a_megabyte_or_without_end_defers() {
    let megabyte = format!("334 {}", "YWFh".repeat(1 << 18));
    let endless = format!("{}334 YWFh", "334-YWFh\r\n".repeat(20_000));
    let cannot =
        "SASL authentication failed; cannot authenticate to server mx1.example[192.0.2.1]: ";
    let rows = [
        (
            megabyte,
            "deferred 4.7.0",
            format!("{cannot}bad protocol / cancel"),
        ),
        (
            endless,
            "deferred 4.5.0",
            "protocol error of mx1.example[192.0.2.1] while performing the EHLO handshake: the reply has too many lines".to_owned(),
        ),
    ];
    for (challenge, verdict, text) in rows {
        let challenge: &'static str = challenge.leak();
        let rules = vec![("EHLO", "250-mx\r\n250 AUTH CRAM-MD5"), ("AUTH", challenge)];
        let (world, outcome) = deliver(rules.leak(), "");
        assert_eq!(outcome.text, text);
        assert_eq!(brief(&[outcome]), [verdict]);
        assert!(!heard(&world, "MAIL"), "{:?}", world.heard);
    }
}

#[test]
fn a_long_response_is_not_said_to_a_server_that_speaks_out_of_turn() {
    let password = "h".repeat(600);
    let main_cf =
        format!("{LOGIN}smtp_sasl_password_maps = inline:{{mx1.example=bob:{password}}}\n");
    let mut world = with_rules(&[PLAIN, ("AUTH", "334 aGVsbG8="), ("AGJv", "235 ok")]);
    let outcome = world.deliver(&main_cf, &["a@example.com"]).remove(0);
    assert_eq!(
        outcome.text,
        "SASL authentication failed; non-empty initial PLAIN challenge from server \
         mx1.example[192.0.2.1]"
    );
    let mut world = with_rules(&[PLAIN, ("AUTH", "334 "), ("AGJv", "235 ok")]);
    assert_eq!(
        brief(&world.deliver(&main_cf, &["a@example.com"])),
        ["sent 2.0.0"]
    );
    assert!(heard(&world, "AUTH PLAIN") && heard(&world, "AGJvYgBoaGho"));
}

#[test]
fn another_server_is_tried_after_a_login_failed() {
    let mut world = with_rules(&[PLAIN, ("AUTH", "535 5.7.8 no")]).with_backup("192.0.2.2", &[]);
    assert_eq!(
        brief(&world.deliver(LOGIN, &["a@example.com"])),
        ["sent 2.0.0"]
    );
    assert_eq!(world.connects, 2);
}

#[test]
fn who_has_no_credentials_goes_on_as_a_stranger() {
    let rows: [(Rules, &str); 3] = [
        (
            &[PLAIN],
            "smtp_sasl_password_maps = inline:{elsewhere=bob:hush}\n",
        ),
        (&[], ""),
        (&[("EHLO", "502 what"), ("HELO", "250 mx")], ""),
    ];
    for (rules, main_cf) in rows {
        let (world, outcome) = deliver(
            rules,
            &format!("smtp_send_dummy_mail_auth = yes\n{main_cf}"),
        );
        assert_eq!(brief(&[outcome]), ["sent 2.0.0"]);
        assert!(!heard(&world, "AUTH"), "{:?}", world.heard);
        assert!(
            world
                .heard
                .contains(&"MAIL FROM:<from@example.org>".to_owned())
        );
    }
}

#[test]
fn a_message_after_a_login_names_no_author_if_wished() {
    let (world, _) = deliver(
        &[PLAIN, ("AUTH", "235 2.7.0 ok")],
        "smtp_send_dummy_mail_auth = yes\n",
    );
    assert!(heard(&world, "MAIL FROM:<from@example.org> AUTH=<>"));
}

#[test]
fn offers_without_a_mechanism_are_remarked_upon() {
    const OLD: (&str, &str) = ("EHLO", "250-mx\r\n250-AUTH\r\n250 AUTH=X-FOO");
    let (world, outcome) = deliver(&[OLD], "smtp_sasl_mechanism_filter = plain\n");
    assert_eq!(brief(&[outcome]), ["deferred 4.7.0"]);
    for note in [
        "mx1.example[192.0.2.1]:25 offered null AUTH mechanism list",
        "mx1.example[192.0.2.1]:25 offered no supported AUTH mechanisms: 'X-FOO'",
    ] {
        assert!(
            world.notes.contains(&note.to_owned()),
            "{note}: {:?}",
            world.notes
        );
    }
}

#[test]
fn credentials_can_come_from_outside_and_their_failure_matters_only_at_auth() {
    const EXTERNAL: &str = "smtp_sasl_password_maps = external:passwords\n";
    let mut world = with_rules(&[PLAIN, ("AUTH PLAIN AGJvYgBodXNo", "235 ok")]);
    world.tables.insert("passwords", Ok("bob:hush"));
    let main_cf = format!("{LOGIN}{EXTERNAL}");
    assert_eq!(
        brief(&world.deliver(&main_cf, &["a@example.com"])),
        ["sent 2.0.0"]
    );
    assert!(heard(&world, "AUTH"));

    world.tables.insert("passwords", Err("on fire"));
    let mut request = from("from@example.org");
    request.id = "QID".parse().unwrap();
    let outcome = world.run(&main_cf, request).remove(0);
    assert_eq!(
        outcome.text,
        "local data error while talking to mx1.example[192.0.2.1]"
    );
    assert_eq!(brief(&[outcome]), ["deferred 4.3.0"]);
    assert!(
        world
            .notes
            .contains(&"QID: smtp_sasl_password_maps lookup error".to_owned())
    );

    world.servers.insert("192.0.2.1", &[]);
    assert_eq!(
        brief(&world.deliver(&main_cf, &["a@example.com"])),
        ["sent 2.0.0"]
    );
}

#[test]
fn a_login_that_was_rejected_is_not_tried_again_soon() {
    const MEMORY: &str = "smtp_sasl_auth_cache_name = proxy:btree:/var/lib/sasl\n\
        smtp_sasl_auth_cache_time = 1h\n";
    let policy = policy(&format!("{LOGIN}{MEMORY}"));
    let mut world = with_rules(&[PLAIN, ("AUTH", "535 5.7.8 no")]);
    let logins = |world: &mut World| {
        world.heard.clear();
        let outcome = world
            .run_under(Arc::clone(&policy), from("from@example.org"))
            .remove(0);
        (heard(world, "AUTH"), outcome.text, outcome.code.to_string())
    };
    let said = "SASL authentication failed; server mx1.example[192.0.2.1] said: 535 5.7.8 no";
    let cached = "SASL [CACHED] authentication failed; server mx1.example said: 535 5.7.8 no";
    assert_eq!(logins(&mut world), (true, said.into(), "4.7.8".into()));
    assert_eq!(logins(&mut world), (false, cached.into(), "4.7.8".into()));
    world.now = world.now + MINUTE * 61;
    assert_eq!(logins(&mut world), (true, said.into(), "4.7.8".into()));
    // Other refusals are not remembered.
    world.now = world.now + MINUTE * 61;
    world
        .servers
        .insert("192.0.2.1", &[PLAIN, ("AUTH", "534 5.7.9 too weak")]);
    assert!(logins(&mut world).0 && logins(&mut world).0);
}

#[test]
fn a_connection_is_shared_by_those_who_log_in_alike() {
    let keep = format!(
        "{LOGIN}smtp_connection_cache_destinations = example.com\n\
         smtp_sasl_password_maps = inline:{{a@example.org=ann:hush, mx1.example=bob:hush}}\n"
    );
    let by_sender = format!("{keep}smtp_sender_dependent_authentication = yes\n");
    for (main_cf, connects) in [(keep, 1), (by_sender, 2)] {
        let mut world = with_rules(&[PLAIN, ("AUTH", "235 2.7.0 ok")]);
        for sender in ["a@example.org", "a@example.org", "b@example.org"] {
            assert_eq!(brief(&world.run(&main_cf, from(sender))), ["sent 2.0.0"]);
        }
        assert_eq!(world.connects, connects, "{main_cf}");
        let logins = world
            .heard
            .iter()
            .filter(|line| line.starts_with("AUTH"))
            .count();
        assert_eq!(logins, connects);
    }
}

#[test]
fn a_connection_lost_during_the_login_is_lost_while_saying_hello() {
    let mut world = with_rules(&[PLAIN, ("LHLO", "250-mx\r\n250 AUTH LOGIN")]);
    world.cut_after = Some("AUTH");
    let outcome = world.deliver(LOGIN, &["a@example.com"]).remove(0);
    let lost = "lost connection with mx1.example[192.0.2.1] while performing the EHLO handshake";
    assert_eq!(outcome.text, lost);

    let main_cf = "lmtp_sasl_auth_enable = yes\nlmtp_sasl_password_maps = static:bob:hush\n\
        lmtp_sasl_security_options =\n";
    let mut request = from("from@example.org");
    request.protocol = Protocol::Lmtp;
    request.nexthop = "[192.0.2.1]".parse().unwrap();
    world.cut_after = Some("AUTH");
    let outcome = world.run(main_cf, request).remove(0);
    let lost = "lost connection with 192.0.2.1[192.0.2.1] while performing the LHLO handshake";
    assert_eq!(outcome.text, lost);
}

#[test]
fn a_login_that_is_cancelled_ends_with_quit_or_silence() {
    let mut world = with_rules(&[PLAIN, ("AUTH", "SILENCE")]);
    world.cancel_after = Some("AUTH");
    assert_eq!(
        brief(&world.deliver(LOGIN, &["a@example.com"])),
        ["deferred 4.3.2"]
    );
}

#[test]
fn a_configuration_that_cannot_log_in_is_refused() {
    let rows = [
        (
            "smtp_sasl_auth_enable = yes\n",
            "smtp_sasl_password_maps: specify a password table via the \
             `smtp_sasl_password_maps' configuration parameter",
        ),
        (
            "lmtp_sasl_auth_enable = yes\nlmtp_sasl_type = dovecot\n",
            "lmtp_sasl_type: unsupported SASL client implementation: dovecot",
        ),
        (
            "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{hush}\n",
            "smtp_sasl_password_maps: inline:…: missing …",
        ),
    ];
    for (text, expected) in rows {
        let main_cf = MainCf::parse(text, "main.cf", "/nowhere".as_ref()).unwrap();
        let error = compile(&main_cf, ResolverConfig::default(), &[]).unwrap_err();
        let first = error.errors()[0].to_string();
        assert!(first.ends_with(expected), "{error}");
    }
}

/// Whether something gives the password `swordfish` away: in clear, as the numbers of
/// its bytes, or as part of base64 text, in which it can begin at one of three places.
fn leaks(shown: &str) -> Option<&'static str> {
    let bytes = format!("{:?}", "swordfish".as_bytes());
    let forms = ["swordfish", "c3dvcmRmaXNo", "N3b3JkZmlzaA", "zd29yZGZpc2"];
    if shown.contains(bytes.trim_matches(['[', ']'])) {
        return Some("bytes");
    }
    forms.into_iter().find(|form| shown.contains(form))
}

#[test]
fn no_password_is_shown_anywhere() {
    let tables = [
        "inline:{mx1.example=bob:swordfish}",
        "static:bob:swordfish",
        "external:passwords",
    ];
    let servers: [Rules; 8] = [
        &[PLAIN, ("AUTH", "235 ok")],
        &[PLAIN, ("AUTH", "535 5.7.8 no")],
        &[PLAIN, ("AUTH", "SILENCE")],
        &[
            ("EHLO", "250-mx\r\n250 AUTH LOGIN"),
            ("AUTH", "334 VXNlcm5hbWU6"),
            ("Ym9i", "334 UGFzc3dvcmQ6"),
            ("c3dv", "235 ok"),
        ],
        &[
            ("EHLO", "250-mx\r\n250 AUTH CRAM-MD5"),
            ("CONNECT", "220 mx"),
            ("AUTH", "334 PDFAbXg+"),
            ("", "334 PDFAbXg+"),
        ],
        &[
            ("EHLO", "250-mx\r\n250 AUTH XOAUTH2"),
            ("CONNECT", "220 mx"),
            ("AUTH", "334 e30="),
            ("", "535 5.7.8 no"),
        ],
        &[
            ("EHLO", "250-mx\r\n250 AUTH OAUTHBEARER"),
            ("CONNECT", "220 mx"),
            ("AUTH", "334 e30="),
            ("", "535 5.7.8 no"),
        ],
        &[
            ("EHLO", "250-mx\r\n250 AUTH SCRAM-SHA-1"),
            ("AUTH", "334 cj14LHM9eCxpPTQwOTY="),
        ],
    ];
    for passwords in tables {
        let text = format!(
            "myhostname = client.example\n{LOGIN}smtp_sasl_auth_cache_name = proxy:x:y\n\
             smtp_sasl_password_maps = {passwords}\nsmtp_connection_cache_destinations = example.com\n\
             smtp_randomize_addresses = no\ndebug_peer_list = 192.0.2.1\n\
             notify_classes = protocol, data\n"
        );
        let main_cf = MainCf::parse(&text, "main.cf", "/nowhere".as_ref()).unwrap();
        let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
        let policy = Arc::new(policy);
        for rules in servers {
            let mut world = with_rules(rules);
            world.tables.insert("passwords", Ok("bob:swordfish"));
            world.shown = Some(String::new());
            let outcomes = world.run_under(Arc::clone(&policy), from("from@example.org"));
            let config = main_cf.config(Protocol::Smtp).unwrap();
            let shown = format!(
                "{} {outcomes:?} {:?} {:?} {policy:?} {config:?} {main_cf:?} {:?} {:?}",
                world.shown.unwrap(),
                world.notes,
                world.notices,
                main_cf.warnings(),
                policy.warnings(),
            );
            assert!(shown.contains("sasl_password_maps") && shown.contains("AUTH"));
            assert_eq!(leaks(&shown), None, "{passwords} {rules:?}");
        }
    }
}

#[test]
fn what_would_give_a_password_away_is_noticed() {
    for shown in [
        "swordfish",
        "AUTH PLAIN AGJvYgBzd29yZGZpc2g=",
        "[115, 119, 111, 114, 100, 102, 105, 115, 104]",
    ] {
        assert!(leaks(shown).is_some(), "{shown}");
    }
    assert_eq!(leaks("bob"), None);
}

#[test]
fn a_password_for_a_server_without_auth_is_told() {
    let told = |world: &World| {
        let start =
            "mx1.example[192.0.2.1]:25: there is a password for this server, but it offers no AUTH";
        world.notes.iter().any(|note| note.starts_with(start))
    };
    let (world, outcome) = deliver(&[], "");
    assert_eq!(
        (brief(&[outcome]), told(&world)),
        (vec!["sent 2.0.0".to_owned()], true)
    );
    // Nobody's password, no login, or a login that is made.
    assert!(!told(
        &deliver(&[], "smtp_sasl_password_maps = inline:{other=bob:hush}\n").0
    ));
    assert!(!told(&deliver(&[], "smtp_sasl_auth_enable = no\n").0));
    assert!(!told(&deliver(&[PLAIN, ("AUTH", "235 2.7.0 ok")], "").0));
}

#[test]
fn a_connection_that_is_lost_while_auth_is_out_was_lost_at_auth() {
    for (then, text) in [
        (Then::Close, "lost connection with"),
        (Then::Stall, "conversation with"),
    ] {
        let mut world = with_rules(&[PLAIN]);
        world.budget = "220 mx ESMTP\r\n250-mx\r\n250 AUTH PLAIN\r\n".len();
        world.then = then;
        let outcomes = world.deliver(LOGIN, &["a@example.com"]);
        assert!(outcomes[0].text.starts_with(text), "{}", outcomes[0].text);
        assert!(
            outcomes[0]
                .text
                .ends_with("while performing the EHLO handshake")
        );
        assert_eq!(outcomes[0].stage, Some(Stage::Auth));
        let told = "mx1.example[192.0.2.1]:25: it was the reply to AUTH that did not come";
        assert!(
            world.notes.iter().any(|note| note == told),
            "{:?}",
            world.notes
        );
    }
}
