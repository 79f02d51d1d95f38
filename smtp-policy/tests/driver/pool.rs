//! Kept connections.

use smtp_policy::report::Status;

use super::*;

const KEEP: &str =
    "smtp_connection_cache_destinations = 192.0.2.1\nsmtp_connection_cache_time_limit = 2s";

fn send(hub: &Hubs, server: &Server, now: Time) {
    let report = run(&mut job(hub, "[192.0.2.1]"), server, now).report();
    assert!(report.all(Status::Sent), "{report:?}");
}

#[test]
fn a_connection_serves_the_next_job_and_hears_quit_in_the_end() {
    let (hub, server) = (hub(KEEP), Server::default());
    send(&hub, &server, Time::ZERO);
    send(&hub, &server, Time::ZERO + SECOND);
    assert_eq!(hub.kept(), 1);
    hub.close(Time::ZERO + SECOND);
    assert_eq!(
        server.verbs(),
        "connected EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT closed"
    );
    assert_eq!(hub.kept(), 0);
}

#[test]
fn hanging_up_says_nothing() {
    let (hub, server) = (hub(KEEP), Server::default());
    send(&hub, &server, Time::ZERO);
    hub.hang_up();
    assert_eq!(server.verbs(), "connected EHLO MAIL RCPT DATA closed");
}

#[test]
fn somebody_comes_once_for_connections_that_are_kept_one_after_the_other() {
    let (hub, server) = (hub(KEEP), Server::default());
    for second in 0..3 {
        send(&hub, &server, Time::ZERO + SECOND * second);
        send(&hub, &server, Time::ZERO + SECOND * second);
    }
    let first = Time::ZERO + SECOND * 2;
    assert_eq!(server.expiries(), [first]);
    // It was used since, and its time is over later.
    let next = hub.expire(first);
    assert_eq!((next, hub.kept()), (Some(Time::ZERO + SECOND * 4), 1));
    assert_eq!(hub.expire(Time::ZERO + SECOND * 4), None);
    assert_eq!(
        (hub.kept(), server.heard().last().unwrap().as_str()),
        (0, "closed")
    );
    send(&hub, &server, Time::ZERO + SECOND * 5);
    assert_eq!(server.expiries(), [first, Time::ZERO + SECOND * 7]);
}

#[test]
fn who_comes_too_early_leaves_it_to_the_one_who_comes_then() {
    let (hub, server) = (hub(KEEP), Server::default());
    send(&hub, &server, Time::ZERO);
    assert_eq!((hub.expire(Time::ZERO + SECOND), hub.kept()), (None, 1));
    assert_eq!((hub.expire(Time::ZERO + SECOND * 2), hub.kept()), (None, 0));
}
