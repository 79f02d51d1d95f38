//! Services that are not there, or do not do as they should: nothing is lost, and nobody is reported twice.

use postfix_ipc::request::NotifyFlags;

use super::{
    server::{Script, Server},
    world::{Manner, World},
};

const BROKEN: [Manner; 10] = [
    Manner::Absent,
    Manner::Deaf,
    Manner::Closes,
    Manner::Leaves,
    Manner::Announces(b"protocol\0queue_flush_protocol\0\0"),
    Manner::Announces(b"\xff\xfe\0\0\0\0"),
    Manner::Babbles(b"state\0"),
    Manner::Babbles(b"status\0x\0\0"),
    Manner::Answers(-1),
    Manner::Silent,
];

const UNKNOWN: Script = &[("RCPT TO:<bad", "550 5.1.1 no such user")];

#[test]
fn a_bounce_that_cannot_be_recorded_is_deferred() {
    let server = Server::start(UNKNOWN);
    for manner in BROKEN {
        let world = World::with_services(&[("bounce", manner)]);
        let mail = world.mail(&server.nexthop(), &["bad@test", "a@test"]);
        let served = world.serve(&mail);
        assert_eq!(served.status(), -1, "{manner:?}");
        assert_eq!(served.hop().0, "", "{manner:?}");
        assert_eq!(mail.marks(), "RD", "{manner:?}");
        let number = world.number;
        let text = format!("bounce{number} or trace{number} service failure");
        let mut verdicts = world.verdicts();
        verdicts.sort();
        assert_eq!(
            verdicts,
            [
                "a@test 2.0.0 sent (250 2.0.0 taken)".to_owned(),
                format!("bad@test 4.3.0 deferred ({text})")
            ],
            "{manner:?}"
        );
        let records = world.told("defer ");
        assert_eq!(records.len(), 1, "{manner:?}");
        assert!(records[0].ends_with(&format!("action delayed reason {text}")));
        // A refusal is not worth more words than the verdict.
        let warnings = usize::from(!matches!(manner, Manner::Answers(_)));
        assert_eq!(world.told("log warning: ").len(), warnings, "{manner:?}");
    }
}

#[test]
fn a_softened_bounce_that_cannot_be_recorded_is_deferred() {
    let server = Server::start(UNKNOWN);
    for manner in BROKEN {
        let main_cf = "ipc_timeout = 1s\nsoft_bounce = yes\n";
        let world = World::with(main_cf, &[("defer", manner)], &[], |_| {});
        let mail = world.mail(&server.nexthop(), &["bad@test"]);
        assert_eq!(world.serve(&mail).status(), -1, "{manner:?}");
        let number = world.number;
        let text = format!("bounce{number} or trace{number} service failure");
        let verdict = format!("bad@test 4.3.0 deferred ({text})");
        assert_eq!(world.verdicts(), [verdict], "{manner:?}");
        assert_eq!(mail.marks(), "R", "{manner:?}");
        let warning = format!("{}: defer{number} service failure", mail.id);
        assert!(world.told("log warning: ").contains(&warning), "{manner:?}");
    }
}

#[test]
fn a_bounce_whose_trace_cannot_be_recorded_is_deferred() {
    let server = Server::start(UNKNOWN);
    for manner in BROKEN {
        let world = World::with_services(&[("trace", manner)]);
        let mail = world
            .mail(&server.nexthop(), &["bad@test"])
            .with_flags(1027);
        assert_eq!(world.serve(&mail).status(), -1, "{manner:?}");
        assert_eq!(mail.marks(), "R", "{manner:?}");
        let verdicts = world.verdicts();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        assert!(
            verdicts[0].starts_with("bad@test 4.3.0 deferred (bounce"),
            "{verdicts:?}"
        );
        assert_eq!(
            (world.told("bounce ").len(), world.told("defer ").len()),
            (1, 1)
        );
    }
}

#[test]
fn a_delivery_that_cannot_be_traced_is_deferred() {
    let server = Server::start(&[]);
    for manner in BROKEN {
        let world = World::with_services(&[("trace", manner)]);
        let mut mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
        mail.request.recipients[0].notify = NotifyFlags::SUCCESS;
        assert_eq!(world.serve(&mail).status(), -1, "{manner:?}");
        assert_eq!(mail.marks(), "RD", "{manner:?}");
        let (id, number) = (&mail.id, world.number);
        assert_eq!(
            world.verdicts(),
            [
                format!("a@test 4.3.0 deferred ({id}: trace{number} service failed)"),
                "b@test 2.0.0 sent (250 2.0.0 taken)".to_owned()
            ],
            "{manner:?}"
        );
        assert_eq!(world.told("defer ").len(), 1, "{manner:?}");
    }
}

#[test]
fn what_cannot_be_recorded_as_deferred_is_deferred_all_the_same() {
    let nexthop = Server::nobody();
    for manner in BROKEN {
        let world = World::with_services(&[("defer", manner)]);
        // The sender wants to see all.
        let mail = world.mail(&nexthop, &["a@test", "b@test"]).with_flags(1027);
        let served = world.serve(&mail);
        assert_eq!(served.status(), -1, "{manner:?}");
        assert_eq!(served.hop().0, "4.4.1", "{manner:?}");
        assert_eq!(mail.marks(), "RR", "{manner:?}");
        let verdicts = world.verdicts();
        assert_eq!(verdicts.len(), 2, "{verdicts:?}");
        assert!(
            verdicts[0].starts_with("a@test 4.4.1 deferred (connect to"),
            "{verdicts:?}"
        );
        let warning = format!("{}: defer{} service failure", mail.id, world.number);
        let warnings = world.told("log warning: ");
        assert_eq!(
            warnings.iter().filter(|line| **line == warning).count(),
            2,
            "{warnings:?}"
        );
        assert_eq!(world.told("trace ").len(), 2, "{manner:?}");
    }
}

#[test]
fn a_probe_that_verify_does_not_take_stays() {
    let server = Server::start(&[]);
    for (flags, name) in [(259, "verify"), (515, "trace")] {
        for manner in BROKEN {
            let world = World::with_services(&[(name, manner)]);
            let mail = world.mail(&server.nexthop(), &["a@test"]).with_flags(flags);
            assert_eq!(world.serve(&mail).status(), -1, "{manner:?}");
            assert_eq!((mail.marks().as_str(), world.verdicts().len()), ("R", 0));
            assert_eq!(world.told("defer ").len(), 0);
            let warning = format!("{}: {name}{} service failure", mail.id, world.number);
            assert!(world.told("log warning: ").contains(&warning), "{manner:?}");
        }
    }
}

#[test]
fn a_flush_that_fails_changes_nothing() {
    let nexthop = Server::nobody();
    let quiet = [Manner::Answers(0), Manner::Answers(4)];
    for manner in BROKEN.into_iter().chain(quiet) {
        let world = World::with_services(&[("flush", manner)]);
        let mail = world.mail(&nexthop, &["a@relay.test"]);
        let served = world.serve(&mail);
        assert_eq!((served.status(), served.hop().0.as_str()), (-1, "4.4.1"));
        assert_eq!((world.verdicts().len(), world.told("defer ").len()), (1, 1));
        let silent = matches!(manner, Manner::Answers(0 | 4));
        assert_eq!(world.told("log warning: ").is_empty(), silent, "{manner:?}");
    }
}

#[test]
fn a_notice_that_cannot_be_mailed_changes_nothing() {
    let server = Server::start(&[("MAIL", "500 5.5.1 what")]);
    for manner in BROKEN.into_iter().chain([Manner::Answers(0)]) {
        let main_cf = "ipc_timeout = 1s\nnotify_classes = protocol\n";
        let world = World::with(main_cf, &[("cleanup", manner)], &[], |_| {});
        let mail = world.mail(&server.nexthop(), &["a@test"]);
        assert_eq!(world.serve(&mail).status(), 0, "{manner:?}");
        assert_eq!((mail.marks().as_str(), world.verdicts().len()), ("D", 1));
        let warnings = world.told("log warning: ");
        let failed = warnings
            .iter()
            .filter(|line| line.contains("postmaster notification failed"));
        let broken = !matches!(manner, Manner::Answers(0));
        assert_eq!(
            failed.count(),
            usize::from(broken),
            "{manner:?} {warnings:?}"
        );
    }
}
