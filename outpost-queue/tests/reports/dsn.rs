//! Delivery status notifications.

use outpost_queue::model::{Kind, MessageState, Timestamp};
use smtp_policy::report::DsnKind;

use super::{DAY, HOUR, MINUTE, World, bounced, deferred, sent};

fn by_local_part(address: &str) -> smtp_policy::report::Outcome {
    match address.split('@').next().unwrap_or_default() {
        "no" => bounced(),
        "later" => deferred(),
        _ => sent(),
    }
}

#[test]
fn a_failure_is_told_once_and_ends_the_message() {
    let world = World::new();
    let id = world.submit("me@example.org", &[("no@example.com", "")], "");
    assert!(world.make_due().reports.is_empty());
    world.attempt(by_local_part);
    assert_eq!(world.message(id).state, MessageState::Queued);
    let made = world.make_due();
    let text = world.only(&made);
    assert!(text.contains("\nTo: <me@example.org>\n"), "{text}");
    assert!(text.contains("\nFrom: Mail Delivery System <MAILER-DAEMON@mail.example.net>\n"));
    assert!(
        text.contains("\nFinal-Recipient: rfc822; no@example.com\n"),
        "{text}"
    );
    assert!(text.contains("\nArrival-Date: Mon, 01 Jan 2024 00:00:00 +0000\n"));
    assert!(text.contains("\nHow do you do?\n"), "{text}");
    assert!(world.is_finished(id));
    assert!(world.text(id).is_empty());
    assert!(world.make_due().reports.is_empty());

    let report = world.message(made.reports[0].report);
    assert_eq!((report.kind, report.sender.as_str()), (Kind::Report, ""));
    let envelope: serde_json::Value = serde_json::from_str(&report.envelope).unwrap();
    let size = text.len();
    let expected = serde_json::json!({"sender": "", "encoding": "7bit", "size": size});
    assert_eq!(envelope, expected);
    let claimed = world.claim();
    let request = claimed[0].request().unwrap();
    assert!(request.sender.is_null());
    assert_eq!(request.nexthop, "example.org");
    assert_eq!(request.recipients[0].address.as_str(), "me@example.org");
}

#[test]
fn the_failures_of_the_first_round_are_one_report() {
    let world = World::new();
    let to = [
        ("no@a.example", ""),
        ("later@b.example", ""),
        ("no@c.example", ""),
    ];
    world.submit("me@example.org", &to, "");
    let claimed = world.claim();
    assert_eq!(claimed.len(), 3);
    world.conclude(&claimed[..2], by_local_part);
    for _ in 0..4 {
        world.pass(MINUTE);
        assert!(
            world.make_due().reports.is_empty(),
            "the third is under way"
        );
    }
    world.conclude(&claimed[2..], by_local_part);
    world.pass(MINUTE / 4);
    let text = world.only(&world.make_due());
    assert_eq!(text.matches("\nFinal-Recipient").count(), 2, "{text}");
}

#[test]
fn a_first_round_that_takes_long_is_not_waited_for() {
    let world = World::new();
    world.submit(
        "me@example.org",
        &[("no@a.example", ""), ("slow@b.example", "")],
        "",
    );
    let claimed = world.claim();
    world.conclude(&claimed[..1], by_local_part);
    world.pass(MINUTE * 5);
    assert_eq!(world.make_due().reports.len(), 1);
    world.conclude(&claimed[1..], |_| bounced());
    assert_eq!(world.make_due().reports.len(), 1);
}

#[test]
fn mail_that_is_too_old_comes_back_in_one_report() {
    let world = World::new();
    let id = world.submit(
        "me@example.org",
        &[("later@a.example", ""), ("later@b.example", "")],
        "",
    );
    world.attempt(by_local_part);
    world.pass(DAY * 5);
    let claimed = world.claim();
    assert_eq!(claimed.len(), 2);
    world.conclude(&claimed[..1], by_local_part);
    let mut reports = Vec::new();
    for _ in 0..6 {
        world.pass(MINUTE * 10);
        reports.extend(world.make_due().reports);
    }
    assert!(reports.is_empty(), "{reports:?}");
    world.conclude(&claimed[1..], by_local_part);
    reports.extend(world.make_due().reports);
    assert_eq!(reports.len(), 1, "{reports:?}");
    let text = world.text(reports[0].report);
    assert_eq!(text.matches("\nFinal-Recipient").count(), 2, "{text}");
    assert_eq!(
        text.matches("\n    It could not be delivered before")
            .count(),
        2
    );
    assert_eq!(text.matches("\nAction: failed\nStatus: 4.2.1\n").count(), 2);
    assert!(world.is_finished(id));
}

#[test]
fn notify_decides_who_hears() {
    let rows: &[(&str, &str, Option<DsnKind>)] = &[
        ("no@example.com", "", Some(DsnKind::Failure)),
        ("no@example.com", "NEVER", None),
        ("no@example.com", "SUCCESS", None),
        ("no@example.com", "SUCCESS,FAILURE", Some(DsnKind::Failure)),
        ("no@example.com", "DELAY", None),
        ("yes@example.com", "", None),
        ("yes@example.com", "SUCCESS", Some(DsnKind::Success)),
        ("yes@example.com", "FAILURE", None),
    ];
    for (address, notify, expected) in rows {
        let world = World::new();
        let id = world.submit("me@example.org", &[(address, notify)], "");
        world.attempt(by_local_part);
        let made = world.make_due();
        let kinds: Vec<DsnKind> = made.reports.iter().map(|one| one.kind).collect();
        assert_eq!(kinds.first().copied(), *expected, "{address} {notify}");
        assert!(world.is_finished(id), "{address} {notify}");
    }
}

#[test]
fn each_kind_is_a_report_of_its_own() {
    let world = World::new();
    let to = [("no@example.com", ""), ("yes@example.com", "SUCCESS")];
    world.submit("me@example.org", &to, "");
    world.attempt(by_local_part);
    let made = world.make_due();
    let kinds: Vec<DsnKind> = made.reports.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [DsnKind::Failure, DsnKind::Success]);
    let lines: Vec<String> = made
        .reports
        .iter()
        .map(|one| one.event().to_string())
        .collect();
    assert!(
        lines[0].contains(": sender non-delivery notification: "),
        "{lines:?}"
    );
    assert!(
        lines[1].contains(": sender delivery status notification: "),
        "{lines:?}"
    );
}

#[test]
fn nobody_hears_of_reports_and_of_mail_of_the_null_sender() {
    let world = World::new();
    let id = world.submit("", &[("no@example.com", "SUCCESS,FAILURE,DELAY")], "");
    world.attempt(by_local_part);
    assert!(world.is_finished(id));
    assert!(world.make_due().reports.is_empty());
}

#[test]
fn a_report_whose_own_destination_defers_is_given_up_in_silence() {
    let world = World::new();
    world.submit("me@example.org", &[("no@example.com", "")], "");
    world.attempt(by_local_part);
    let report = world.make_due().reports[0].report;
    let mut attempts = 0;
    for _ in 0..200 {
        attempts += world.attempt(|_| deferred());
        assert!(world.make_due().reports.is_empty());
        world.look();
        world.pass(HOUR);
    }
    // 5 days of a pause of up to 4000 seconds, looked at each hour.
    assert!((50..130).contains(&attempts), "{attempts}");
    assert!(world.is_finished(report));
    let rows = world.store.rows();
    assert!(rows.tasks.is_empty() && rows.chunks.is_empty());
    assert_eq!(rows.messages.len(), 2);
}

#[test]
fn ret_and_the_size_decide_how_much_comes_back() {
    let body = "x".repeat(70) + "\n";
    let small = format!("Subject: hello\n\n{body}");
    let large = format!("Subject: hello\n\n{}", body.repeat(1000));
    // A header whose end is in the second piece.
    let field = format!("X-Long: {}\n", "y".repeat(60));
    let wide = format!("{}\n{}", field.repeat(1400), body.repeat(5000));
    // One that is no end of a header at all.
    let endless = field.repeat(8000);
    let whole = "\nContent-Type: message/rfc822\n";
    let header = "\nContent-Type: text/rfc822-headers\n";
    let rows: &[(&str, &str, &str, usize)] = &[
        ("", &small, whole, 1000),
        (r#","ret":"FULL""#, &small, whole, 1000),
        (r#","ret":"HDRS""#, &small, header, 1000),
        (r#","require_tls":true"#, &small, header, 1000),
        (r#","ret":"FULL""#, &large, header, 1000),
        ("", &wide, header, 98_000),
        ("", &endless, header, 102_400),
    ];
    for (more, text, expected, most) in rows {
        let world = World::new();
        world.submit_text(
            "me@example.org",
            &[("no@example.com", "")],
            more,
            (*text).to_owned(),
        );
        world.attempt(by_local_part);
        let report = world.only(&world.make_due());
        assert!(report.contains(expected), "{more}");
        assert_eq!(report.contains(&body), *expected == whole, "{more}");
        assert!(report.len() < most + 2000, "{more} {}", report.len());
        assert!(report.contains(&text[..14]), "{more}");
    }
}

#[test]
fn addresses_beyond_ascii_keep_their_flags() {
    let world = World::new();
    let more = r#","smtputf8":true,"header_utf8":true"#;
    let text = "Subject: привет\n\nпривет\n";
    world.submit_text("я@пример.example", &[("no@example.com", "")], more, text);
    world.attempt(by_local_part);
    let made = world.make_due();
    let report = world.message(made.reports[0].report);
    let form: serde_json::Value = serde_json::from_str(&report.envelope).unwrap();
    assert_eq!(form["smtputf8"], true);
    assert_eq!(form["header_utf8"], true);
    assert_eq!(form["encoding"], "8bit");
    let request = world.claim()[0].request().unwrap();
    assert!(request.needs_smtputf8());
    assert!(
        world
            .text(report.id)
            .contains("\nContent-Type: message/global\n")
    );
}

#[test]
fn a_text_of_eight_bits_makes_a_report_of_eight_bits() {
    let world = World::new();
    let text = "Subject: hello\n\nGrüße\n";
    world.submit_text("me@example.org", &[("no@example.com", "")], "", text);
    world.attempt(by_local_part);
    let made = world.make_due();
    let report = world.message(made.reports[0].report);
    let form: serde_json::Value = serde_json::from_str(&report.envelope).unwrap();
    assert_eq!(
        (form.get("smtputf8"), &form["encoding"]),
        (None, &"8bit".into())
    );
}

#[test]
fn who_may_have_got_it_is_told_so() {
    let world = World::new();
    world.submit(
        "me@example.org",
        &[("later@example.com", ""), ("no@example.com", "")],
        "",
    );
    let lost = |address: &str| {
        let mut outcome = by_local_part(address);
        outcome.uncertain = address.starts_with("later");
        outcome
    };
    world.attempt(lost);
    world.pass(DAY * 5);
    world.attempt(by_local_part);
    let made = world.make_due();
    let text = world.text(made.reports.last().unwrap().report);
    assert_eq!(
        text.matches("It may have been delivered all the same")
            .count(),
        1,
        "{text}"
    );
}

/// Has so many recipients fail. Returns how many recipients each report tells of, and the size of the largest.
fn many(world: &World, count: usize) -> (Vec<usize>, usize) {
    let addresses = (0..count).map(|n| format!("no@d{}.example", n % 7));
    let addresses: Vec<String> = addresses.collect();
    let to: Vec<(&str, &str)> = addresses.iter().map(|one| (one.as_str(), "")).collect();
    let id = world.submit("me@example.org", &to, "");
    world.attempt(by_local_part);
    let (mut told, mut largest) = (Vec::new(), 0);
    // One turn more than it takes, so that a failure ends too.
    for _ in 0..=count / world.context.recipient_limit + 1 {
        let made = world.make_due();
        for one in &made.reports {
            told.push(one.recipients);
            largest = largest.max(world.message(one.report).size as usize);
        }
        if !made.more {
            break;
        }
        assert!(!world.is_finished(id));
    }
    assert!(world.is_finished(id));
    assert_eq!(world.message(id).report_at, Timestamp::NEVER);
    (told, largest)
}

#[test]
fn many_failures_make_reports_of_a_size_that_can_be_sent() {
    let mut world = World::new();
    world.context.recipient_limit = 100;
    let (told, largest) = many(&world, 250);
    assert_eq!(told, [100, 100, 50]);
    assert!(largest < 100_000);
    let (told, _) = many(&world, 200);
    assert_eq!(told, [100, 100]);
}

#[test]
fn a_hundred_thousand_failures_are_twenty_reports() {
    let world = World::new();
    let (told, largest) = many(&world, 100_000);
    assert_eq!(told, [5000; 20]);
    assert!((500_000..2_500_000).contains(&largest), "{largest}");
}

#[test]
fn what_cannot_be_read_keeps_nobody_from_hearing() {
    let world = World::new();
    let envelope = world.submit("me@example.org", &[("no@example.com", "")], "");
    let verdict = world.submit("me@example.org", &[("no@example.com", "")], "");
    let sender = world.submit("me@example.org", &[("no@example.com", "")], "");
    let good = world.submit("me@example.org", &[("no@example.com", "")], "");
    world.attempt(by_local_part);
    {
        let mut rows = world.store.rows();
        rows.messages.get_mut(&envelope).unwrap().envelope = "{".into();
        rows.recipients.get_mut(&(verdict, 0)).unwrap().verdict = Some("{}".into());
        rows.messages.get_mut(&sender).unwrap().sender = "a\nb".into();
    }
    let made = world.make_due();
    let about: Vec<_> = made.reports.iter().map(|one| one.about).collect();
    assert_eq!(about, [envelope, verdict, good]);
    let damaged: Vec<_> = made.damaged.iter().map(|one| one.0).collect();
    assert_eq!(damaged, [envelope, verdict, sender]);
    assert!(
        world
            .text(made.reports[1].report)
            .contains("the reason is not known any more")
    );
    for id in [envelope, verdict, sender, good] {
        assert!(world.is_finished(id));
    }
}

#[test]
fn a_wish_to_waive_tls_goes_along_and_a_demand_does_not() {
    for (more, waived) in [
        (r#","waive_tls":true"#, true),
        (r#","require_tls":true"#, false),
    ] {
        let world = World::new();
        world.submit("me@example.org", &[("no@example.com", "")], more);
        world.attempt(by_local_part);
        let made = world.make_due();
        let envelope = world.message(made.reports[0].report).envelope;
        assert_eq!(envelope.contains("waive_tls"), waived);
        assert!(!envelope.contains("require_tls"));
    }
}
