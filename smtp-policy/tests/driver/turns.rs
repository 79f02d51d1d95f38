//! Turns at destinations, cancelling, and what a job leaves behind.

use std::{
    io,
    sync::{Arc, Mutex},
    task::{Wake, Waker},
};

use smtp_policy::{driver::Job, report::Status};
use smtp_proto::Time;

use super::*;

const ONE: &str = "smtp_destination_concurrency_limit = 1";

#[test]
fn a_second_job_waits_for_its_turn_and_is_woken_by_it() {
    let (hub, server) = (hub(ONE), Server::silent_at("MAIL"));
    let (mut first, mut second) = (job(&hub, "[192.0.2.1]"), job(&hub, "[192.0.2.1]"));
    assert!(matches!(
        run(&mut first, &server, Time::ZERO),
        Rest::Until(_)
    ));
    let (alarm, waker) = Alarm::new();
    let rest = go_on(&mut second, &server, Time::ZERO, &waker);
    assert!(matches!(rest, Rest::Until(Time::FAR)), "{rest:?}");
    assert_eq!((second.turns(), alarm.rang()), ((0, false), 0));
    drop(first);
    assert_eq!(alarm.rang(), 1);
    assert!(matches!(
        go_on(&mut second, &server, Time::ZERO, &waker),
        Rest::Until(_)
    ));
    assert_eq!(second.turns(), (1, true));
    assert_eq!(
        server.verbs(),
        "connected EHLO MAIL closed connected EHLO MAIL"
    );
}

#[test]
fn other_destinations_do_not_wait() {
    let (hub, server) = (hub(ONE), Server::silent_at("MAIL"));
    for nexthop in ["[192.0.2.1]", "[192.0.2.2]"] {
        let mut job = job(&hub, nexthop);
        let _ = run(&mut job, &server, Time::ZERO);
        assert_eq!(job.turns(), (1, true));
        std::mem::forget(job);
    }
}

/// Writes into the server's notes that it was woken.
struct Writer(Mutex<Server>);

impl Wake for Writer {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().note("turn");
    }
}

#[test]
fn a_dropped_job_closes_its_connection_before_it_passes_its_turn_on() {
    let (hub, server) = (hub(ONE), Server::silent_at("DATA"));
    let (mut first, mut second) = (job(&hub, "[192.0.2.1]"), job(&hub, "[192.0.2.1]"));
    let _ = run(&mut first, &server, Time::ZERO);
    let waker = Waker::from(Arc::new(Writer(Mutex::new(server.clone()))));
    let _ = go_on(&mut second, &server, Time::ZERO, &waker);
    drop(first);
    assert_eq!(server.verbs(), "connected EHLO MAIL RCPT DATA closed turn");
}

#[test]
fn a_job_that_is_dropped_while_it_waits_takes_no_turn() {
    let (hub, server) = (hub(ONE), Server::silent_at("MAIL"));
    let mut jobs = [(); 3].map(|()| Some(job(&hub, "[192.0.2.1]")));
    let (alarm, waker) = Alarm::new();
    for job in jobs.iter_mut().flatten() {
        let _ = go_on(job, &server, Time::ZERO, &waker);
    }
    jobs[1] = None;
    assert_eq!(alarm.rang(), 0);
    jobs[0] = None;
    assert_eq!(alarm.rang(), 1);
    let last = jobs[2].as_mut().unwrap();
    let _ = go_on(last, &server, Time::ZERO, &waker);
    assert_eq!(last.turns(), (1, true));
}

#[test]
fn cancelling_ends_those_who_run_and_those_who_wait_for_their_turn() {
    let (hub, server) = (hub(ONE), Server::silent_at("MAIL"));
    let (mut first, mut second) = (job(&hub, "[192.0.2.1]"), job(&hub, "[192.0.2.1]"));
    let (alarm, waker) = Alarm::new();
    for job in [&mut first, &mut second] {
        let _ = go_on(job, &server, Time::ZERO, &waker);
    }
    hub.cancel();
    assert_eq!(alarm.rang(), 2);
    // Whoever waited opens no connection, and does not wait for the other.
    let report = go_on(&mut second, &server, Time::ZERO, &waker).report();
    assert!(report.all(Status::Deferred) && report.recipients.len() == 1);
    let report = go_on(&mut first, &server, Time::ZERO, &waker).report();
    assert!(report.all(Status::Deferred) && report.recipients.len() == 1);
    assert_eq!(server.verbs(), "connected EHLO MAIL closed");
    let later = run(&mut job(&hub, "[192.0.2.1]"), &server, Time::ZERO).report();
    assert!(later.all(Status::Deferred), "{later:?}");
    assert!(server.heard().is_empty());
}

#[test]
fn one_job_can_be_cancelled_alone() {
    let (hub, server) = (hub(""), Server::default());
    let (mut first, mut second) = (job(&hub, "[192.0.2.1]"), job(&hub, "[192.0.2.1]"));
    first.cancel();
    assert!(
        run(&mut first, &server, Time::ZERO)
            .report()
            .all(Status::Deferred)
    );
    assert!(
        run(&mut second, &server, Time::ZERO)
            .report()
            .all(Status::Sent)
    );
}

/// Not even a table that would change the verdict can be asked then.
#[test]
fn a_driver_that_cannot_wait_defers_everybody_and_takes_no_turn() {
    for settings in ["", "smtp_delivery_status_filter = external:filter"] {
        let hub = hub(&format!("{ONE}\n{settings}"));
        let server = Server::silent_at("MAIL");
        let mut first = job(&hub, "example.com");
        let _ = run(&mut first, &server, Time::ZERO);
        let mut second = Job::new(Arc::clone(&hub), request("example.com", 2), TEXT, ());
        second.fail(&io::Error::from_raw_os_error(24));
        let report = run(&mut second, &server, Time::ZERO).report();
        assert_eq!(report.recipients.len(), 2);
        for (_, outcome) in &report.recipients {
            let code = outcome.code.to_string();
            assert_eq!((outcome.status, code.as_str()), (Status::Deferred, "4.3.0"));
            let text = "cannot wait for input and output: Too many open files";
            assert!(outcome.text == text || !settings.is_empty(), "{outcome:?}");
            assert!(!outcome.uncertain);
        }
    }
}

#[test]
fn a_job_that_is_over_has_nothing_more_to_report() {
    let (hub, server) = (hub(""), Server::default());
    let mut job = job(&hub, "[192.0.2.1]");
    assert_eq!(
        run(&mut job, &server, Time::ZERO).report().recipients.len(),
        1
    );
    assert!(
        run(&mut job, &server, Time::ZERO)
            .report()
            .recipients
            .is_empty()
    );
}
