//! Tests of `outpost-queue run`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{MESSAGE, Manner, Queue, Server, run};

#[test]
fn the_demonstration_goes_as_planned() {
    let run = run(&["demo"]).exits(0);
    run.says("greylisted")
        .says("3 recipients: 2 sent, 1 bounced, as planned");
}

#[test]
fn a_message_is_delivered_and_the_first_signal_ends_the_worker_politely() {
    let queue = Queue::new();
    let server = Server::start(Manner::Takes);
    queue.submit(&server.nexthop, &["a@x.example", "b@x.example"]);
    let work = queue.work(&[]);
    let claimed = work.event("claimed");
    assert_eq!(claimed["recipients"], 2);
    assert!(claimed["time"].as_str().unwrap().ends_with('Z'));
    let settled = work.event("settled");
    assert_eq!(settled["status"], "sent");
    work.event("concluded");
    assert!(server.texts()[0].ends_with(MESSAGE.as_bytes()));
    // What comes while it runs is seen, too.
    queue.submit(&server.nexthop, &["c@x.example"]);
    work.event("concluded");
    work.signal("TERM");
    work.end()
        .exits(0)
        .says("ending politely")
        .says("deliveries=2, sent=3");
    assert_eq!(queue.list(&["--state", "finished"]).len(), 2);
}

#[test]
fn a_deferred_message_waits_and_can_be_tried_at_once() {
    let queue = Queue::new();
    let server = Server::start(Manner::Defers);
    queue.submit(&server.nexthop, &["a@x.example"]);
    let work = queue.work(&[]);
    assert_eq!(work.event("settled")["status"], "deferred");
    work.event("concluded");
    let listed = queue.list(&[]);
    assert_eq!(listed[0]["tasks"][0]["attempts"], 1);
    let reason = listed[0]["recipients"][0]["delay_reason"].as_str().unwrap();
    assert!(reason.contains("450 4.2.0 later"), "{reason}");
    queue
        .run(&["list"])
        .exits(0)
        .says("450 4.2.0 later")
        .says("1 attempt");
    server.behave(Manner::Takes);
    queue
        .run(&["retry", "--all", "--yes"])
        .exits(0)
        .says("1 message due now");
    assert_eq!(work.event("settled")["status"], "sent");
}

#[test]
fn who_is_refused_is_reported_to_the_sender_once() {
    let queue = Queue::new();
    let (refuses, home) = (Server::start(Manner::Refuses), Server::start(Manner::Takes));
    queue.submit(&refuses.nexthop, &["a@x.example"]);
    let relay = format!("relayhost={}", home.nexthop);
    let work = queue.work(&["-o", &relay, "--drain"]);
    work.end().exits(0);
    let texts = home.texts();
    assert_eq!(texts.len(), 1);
    let report = String::from_utf8(texts[0].clone()).unwrap();
    assert!(
        report.contains("550 5.1.1 nobody") && report.contains("To: <me@home.example>"),
        "{report}"
    );
    assert!(queue.list(&[]).is_empty());
    queue.run(&["check"]).exits(0);
}

#[test]
fn the_second_signal_ends_it_at_once_and_the_next_worker_goes_on() {
    let queue = Queue::new();
    let server = Server::start(Manner::Mute);
    let id = queue.submit(&server.nexthop, &["a@x.example"]);
    let lease = ["-o", "queue_lease_time=2s"];
    let work = queue.work(&lease);
    server.wait();
    queue
        .run(&["list"])
        .exits(0)
        .says(&format!("{id}*"))
        .says("in the last step");
    // What may have gone out is not taken back.
    queue
        .run(&["cancel", &id])
        .exits(75)
        .says("1 attempt in the last step");
    work.signal("INT");
    work.event("stopping");
    work.signal("INT");
    work.end().exits(130).says("ended at once");
    server.behave(Manner::Takes);
    let work = queue.work(&lease);
    assert_eq!(work.event("reaped")["in_doubt"], true);
    work.event("concluded");
    assert_eq!(server.texts().len(), 1);
    let finished = queue.list(&["--state", "finished"]);
    assert_eq!(finished[0]["recipients"][0]["may_have_copy"], true);
}

#[test]
fn nothing_is_lost_when_a_worker_is_killed() {
    let queue = Queue::new();
    let server = Server::start(Manner::Mute);
    for number in 0..20 {
        queue.submit(&server.nexthop, &[&format!("r{number}@x.example")]);
    }
    let lease = ["-o", "queue_lease_time=2s"];
    let mut work = queue.work(&lease);
    server.wait();
    work.child.kill().unwrap();
    work.child.wait().unwrap();
    drop(work);
    server.behave(Manner::Takes);
    let work = queue.work(&lease);
    for _ in 0..20 {
        work.event("concluded");
    }
    assert_eq!(server.texts().len(), 20);
    assert!(queue.list(&[]).is_empty());
    work.signal("TERM");
    work.end().exits(0);
    queue
        .run(&["check"])
        .exits(0)
        .says("20 messages looked at: all right");
}

#[test]
fn doubt_can_be_held_for_an_operator() {
    let queue = Queue::new();
    let server = Server::start(Manner::Mute);
    let id = queue.submit(&server.nexthop, &["a@x.example"]);
    let args = ["-o", "queue_lease_time=2s", "-o", "queue_doubt=hold"];
    let mut work = queue.work(&args);
    server.wait();
    work.child.kill().unwrap();
    work.child.wait().unwrap();
    let work = queue.work(&args);
    work.event("reaped");
    queue
        .run(&["list", "--held"])
        .exits(0)
        .says("a server may have the message");
    server.behave(Manner::Takes);
    queue.run(&["release", &id]).exits(0);
    work.event("concluded");
    assert_eq!(server.texts().len(), 1);
}

#[test]
fn events_that_cannot_be_written_do_not_keep_mail_back() {
    let queue = Queue::new();
    queue
        .run(&["run", "--drain", "--events", &queue.path("none/x")])
        .exits(74)
        .says("none/x");
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let server = Server::start(Manner::Takes);
    queue.submit(&server.nexthop, &["a@x.example"]);
    let run = queue.run(&[
        "run",
        "--drain",
        "--events",
        "/dev/full",
        "-o",
        "inet_interfaces=127.0.0.1",
    ]);
    run.exits(74).says("cannot write /dev/full");
    assert_eq!(server.texts().len(), 1);
}
