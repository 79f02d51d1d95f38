//! Agents that are killed: the queue manager delivers again to who is not marked, and nobody is lost.

use std::{io::Write, os::unix::net::UnixStream};

use nix::sys::signal::{Signal, kill};
use postfix_ipc::request::NotifyFlags;

use crate::{
    master::{Agent, MODES, Postfix, ask, comes, lives},
    neighbours::{Mail, Manner, greeted},
    server::{Script, Server},
};

/// A service that kills the agent when it is told something.
struct Case {
    service: &'static str,
    script: Script,
    flags: u32,
    notify: NotifyFlags,
    /// The marks at the death of the agent.
    marks: &'static str,
    /// The marks in the end.
    last: &'static str,
}

const CASE: Case = Case {
    service: "",
    script: &[],
    flags: 3,
    notify: NotifyFlags(0),
    marks: "R",
    last: "D",
};
const BAD: Script = &[("RCPT", "550 5.1.1 no such user")];
const BUSY: Script = &[("RCPT", "450 4.2.1 busy")];

const CASES: [Case; 7] = [
    Case {
        service: "bounce",
        script: BAD,
        ..CASE
    },
    Case {
        service: "defer",
        script: BUSY,
        last: "R",
        ..CASE
    },
    Case {
        service: "flush",
        script: BUSY,
        last: "R",
        ..CASE
    },
    Case {
        service: "trace",
        notify: NotifyFlags::SUCCESS,
        ..CASE
    },
    Case {
        service: "trace",
        flags: 515,
        ..CASE
    },
    Case {
        service: "verify",
        flags: 259,
        ..CASE
    },
    // Behind the mark, and before the reply.
    Case {
        service: "cleanup",
        script: &[("MAIL", "500 5.5.1 what")],
        marks: "D",
        ..CASE
    },
];

/// Waits for the end of an agent that was killed, or whose worker was.
fn buried(agent: &mut Agent, mode: &str) {
    let status = agent.end();
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    // The worker has served somebody.
    assert_eq!(
        (killed, status.success()),
        match mode {
            "mode=classic" => (true, false),
            _ => (false, true),
        }
    );
}

#[test]
fn an_agent_that_is_killed_at_a_report_reports_again() {
    for case in &CASES {
        for mode in MODES {
            let manners = [(case.service, Manner::KillsFirst)];
            let postfix = Postfix::new(
                "notify_classes = protocol\nrelay_domains = relay.test\n",
                &manners,
            );
            let server = Server::start(case.script);
            let mut mail = postfix
                .mail(&server.nexthop(), &["a@relay.test"])
                .with_flags(case.flags);
            mail.request.recipients[0].notify = case.notify;
            let context = format!("{} {mode} {}", case.service, case.flags);
            let mut agent = postfix.start(&[mode]);
            assert!(postfix.serve(&mail).is_none(), "{context}");
            buried(&mut agent, mode);
            assert_eq!(mail.marks(), case.marks, "{context}");
            let start = format!("{} ", case.service);
            assert_eq!(postfix.scribe().told(&start).len(), 1, "{context}");
            mail.forget_done();
            if !mail.request.recipients.is_empty() {
                let _agent = postfix.start(&[mode]);
                let status = postfix.serve(&mail).unwrap().status;
                assert_eq!(
                    (mail.marks().as_str(), status == 0),
                    (case.last, case.last == "D"),
                    "{context}"
                );
                assert!(postfix.scribe().told(&start).len() > 1, "{context}");
            }
            assert!(!postfix.scribe().verdicts().is_empty(), "{context}");
        }
    }
}

#[test]
fn who_is_marked_at_the_death_of_an_agent_gets_nothing_twice() {
    for mode in MODES {
        let (postfix, server) = (
            Postfix::new("", &[("trace", Manner::KillsFirst)]),
            Server::start(&[]),
        );
        let mut mail = postfix.mail(&server.nexthop(), &["a@test", "b@test", "c@test"]);
        mail.request.recipients[1].notify = NotifyFlags::SUCCESS;
        let mut agent = postfix.start(&[mode]);
        assert!(postfix.serve(&mail).is_none());
        buried(&mut agent, mode);
        assert_eq!(mail.marks(), "DRR", "{mode}");
        mail.forget_done();
        let _agent = postfix.start(&[mode]);
        assert_eq!(postfix.serve(&mail).unwrap().status, 0);
        assert_eq!(mail.marks(), "DD");
        let count = |to| server.count(&format!("RCPT TO:<{to}@test>"));
        assert_eq!((count("a"), count("b"), count("c")), (1, 2, 2));
    }
}

/// Delivers as long as somebody is not marked.
fn finish(postfix: &Postfix, mode: &str, mail: &mut Mail) {
    mail.forget_done();
    let _agent = postfix.start(&[mode]);
    if !mail.request.recipients.is_empty() {
        assert_eq!(postfix.serve(mail).unwrap().status, 0);
    }
    mail.forget_done();
    assert!(mail.request.recipients.is_empty());
}

#[test]
fn an_agent_that_is_killed_when_a_report_is_answered_loses_nobody() {
    for mode in MODES {
        for _ in 0..5 {
            let postfix = Postfix::new("", &[("bounce", Manner::KillsFirstInTheEnd)]);
            let server = Server::start(&[("RCPT TO:<bad", "550 5.1.1 no such user")]);
            let mut mail = postfix.mail(&server.nexthop(), &["bad@test", "a@test"]);
            let mut agent = postfix.start(&[mode]);
            let _ = postfix.serve(&mail);
            agent.end();
            finish(&postfix, mode, &mut mail);
            let (reports, texts) = (postfix.scribe().told("bounce ").len(), server.count("TEXT"));
            assert!(
                (1..=2).contains(&reports) && (1..=2).contains(&texts),
                "{reports} {texts}"
            );
        }
    }
}

#[test]
fn an_agent_that_is_killed_anywhere_in_the_dialogue_loses_nobody() {
    for mode in MODES {
        for point in ["EHLO", "MAIL", "RCPT", "DATA", "TEXT", "QUIT"] {
            let (postfix, server) = (Postfix::new("", &[]), Server::start(&[]));
            let mut mail = postfix.mail(&server.nexthop(), &["a@test", "b@test"]);
            let mut agent = postfix.start(&[mode]);
            let mut stream = postfix.connect();
            greeted(&mut stream);
            stream.write_all(&mail.request.encode()).unwrap();
            server.wait_for(point);
            kill(agent.server(), Signal::SIGKILL).unwrap();
            agent.end();
            finish(&postfix, mode, &mut mail);
            assert!((1..=2).contains(&server.count("TEXT")), "{mode} {point}");
        }
    }
}

#[test]
fn a_worker_that_is_killed_loses_none_of_its_requests() {
    let postfix = Postfix::new("", &[]);
    let servers = [
        Server::start(&[]),
        Server::start(&[("DATA", "pause 354 go on")]),
    ];
    let mut agent = postfix.start(&["mode=shared"]);
    let mut mails: Vec<Mail> = (0..8)
        .map(|number| postfix.mail(&servers[number % 2].nexthop(), &["a@test", "b@test"]))
        .collect();
    let mut streams: Vec<UnixStream> = mails.iter().map(|_| postfix.connect()).collect();
    for (stream, mail) in streams.iter_mut().zip(&mails) {
        greeted(stream);
        stream.write_all(&mail.request.encode()).unwrap();
    }
    servers[1].wait_for("DATA");
    let worker = agent.server();
    kill(worker, Signal::SIGKILL).unwrap();
    assert!(agent.end().success());
    assert!(comes(|| !lives(worker)));
    drop(streams);
    let _agent = postfix.start(&["mode=shared"]);
    for mail in &mut mails {
        mail.forget_done();
        if !mail.request.recipients.is_empty() {
            let mut stream = postfix.connect();
            greeted(&mut stream);
            assert_eq!(ask(&mut stream, mail).unwrap().status, 0);
        }
        mail.forget_done();
        assert!(mail.request.recipients.is_empty());
    }
    for server in servers {
        assert!(
            (4..=8).contains(&server.count("TEXT")),
            "{:?}",
            server.heard()
        );
    }
}
