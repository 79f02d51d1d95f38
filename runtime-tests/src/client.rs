//! Deliveries against the toy server: connections, limits, cancelling, observers.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use smtp_policy::{
    Protocol::{Lmtp, Smtp},
    delivery::Observer,
    report::{Outcome, Report, Status},
    request::{Encoding, RcptIndex, Recipient},
};

use crate::{
    Client, Droppable, TEXT, client, deliver, serve,
    toy::{Toy, request},
};

const WIRE: &str = "Subject: hello\n\n..world\n";

pub fn a_message_arrives_and_every_recipient_has_its_verdict<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let report = deliver(&client::<C>(""), request(Smtp, &toy.nexthop, 3));
    assert_eq!(toy.told(), WIRE);
    assert_eq!(report.recipients.len(), 3);
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn an_ipv6_address_is_connected_to<C: Client>() {
    let toy = Toy::tcp("::1", serve);
    let settings = "inet_protocols = all";
    let nexthop = toy.nexthop.replace("[::1]", "[ipv6:::1]");
    let report = deliver(&client::<C>(settings), request(Smtp, &nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn a_unix_domain_socket_is_connected_to<C: Client>() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::unix(&folder.path().join("socket"), serve);
    let report = deliver(&client::<C>(""), request(Lmtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn errors_of_connect_are_worded_as_the_c_library_words_them<C: Client>() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("unix:{}", folder.path().join("missing").display());
    let too_long = format!("unix:/{}", "x".repeat(200));
    let cases = [
        (Smtp, Toy::nobody(), "Connection refused"),
        (Lmtp, missing, "No such file or directory"),
        (Lmtp, too_long, ""),
    ];
    for (protocol, nexthop, text) in cases {
        let report = deliver(&client::<C>(""), request(protocol, &nexthop, 1));
        let (_, outcome) = &report.recipients[0];
        assert_eq!(outcome.status, Status::Deferred, "{outcome:?}");
        assert!(
            outcome.text.contains(text) && !outcome.text.contains("os error"),
            "{outcome:?}"
        );
    }
}

pub fn several_deliveries_run_at_once<C: Client>() {
    let together = Arc::new(Barrier::new(2));
    let toy = Toy::tcp("127.0.0.1", move |mut peer| {
        // Neither is answered before the other has come as far.
        assert!(peer.serve_until("MAIL"));
        together.wait();
        peer.say("250 fine");
        peer.answer_until("nothing");
    });
    let client = client::<C>("");
    let reports = at_once(&client, &toy.nexthop, 2);
    assert!(
        reports.iter().all(|report| report.all(Status::Sent)),
        "{reports:?}"
    );
}

pub fn deliveries_are_taken_and_reported_as_others_end<C: Client>() {
    const LIMIT: usize = 2;
    let (ends, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    // It answers when the others are over.
    let slow = Toy::tcp("127.0.0.1", move |mut peer| {
        assert!(peer.serve_until("MAIL"));
        let ended = ended.lock().unwrap();
        assert_eq!(ended.iter().take(3).count(), 3);
        peer.say("250 fine");
        peer.answer_until("nothing");
    });
    let quick = Toy::tcp("127.0.0.1", serve);
    let taken = AtomicUsize::new(0);
    let hops = [&slow, &quick, &quick, &quick].into_iter();
    let requests = hops.map(|toy| {
        taken.fetch_add(1, Ordering::SeqCst);
        request(Smtp, &toy.nexthop, 1)
    });
    let mut order = Vec::new();
    client::<C>("").deliver_all(
        requests,
        Bytes::from_static(TEXT),
        LIMIT,
        |number, report| {
            assert!(report.all(Status::Sent), "{report:?}");
            assert!(taken.load(Ordering::SeqCst) <= order.len() + LIMIT);
            order.push(number);
            let _ = ends.send(());
        },
    );
    assert_eq!(order, [1, 2, 3, 0]);
}

pub fn a_destination_has_no_more_deliveries_at_a_time_than_its_limit<C: Client>() {
    let running = Arc::new(AtomicUsize::new(0));
    let toy = Toy::tcp("127.0.0.1", move |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.tell(running.fetch_add(1, Ordering::SeqCst).to_string());
        thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
        peer.say("250 fine");
        peer.answer_until("nothing");
    });
    let client = client::<C>("smtp_destination_concurrency_limit = 1");
    let reports = at_once(&client, &toy.nexthop, 5);
    assert!(
        reports.iter().all(|report| report.all(Status::Sent)),
        "{reports:?}"
    );
    let told = toy.rest();
    let counts: Vec<_> = told
        .iter()
        .filter(|told| told.parse::<u32>().is_ok())
        .collect();
    assert_eq!(counts, ["0"; 5], "{told:?}");
}

pub fn more_recipients_than_the_limit_get_the_message_in_several_deliveries<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.say("250 fine");
        let mut recipients = 0;
        while let line = peer.line()
            && line.starts_with("RCPT")
        {
            recipients += 1;
            peer.say(if line.contains("user3") {
                "550 5.1.1 nobody"
            } else {
                "250 fine"
            });
        }
        peer.tell(recipients.to_string());
        peer.say("354 go on");
        assert_eq!(peer.text(), WIRE);
        peer.say("250 taken");
        peer.answer_until("nothing");
    });
    let limits = "smtp_destination_recipient_limit = 2\nsmtp_destination_concurrency_limit = 1";
    let client = client::<C>(limits);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mail = request(Smtp, &toy.nexthop, 5);
    let text = Bytes::from_static(TEXT);
    let report = client.deliver(mail, text.clone(), Order(Arc::clone(&order)));
    let (words, names): (Vec<_>, Vec<_>) = report
        .recipients
        .iter()
        .map(|(recipient, outcome)| (outcome.word, recipient.address.local_part()))
        .unzip();
    assert_eq!(words, ["sent", "sent", "sent", "bounced", "sent"]);
    assert_eq!(names, ["user0", "user1", "user2", "user3", "user4"]);
    let mut settled = order.lock().unwrap().clone();
    settled.sort_unstable();
    assert_eq!(settled, [0, 1, 2, 3, 4]);
    assert_eq!([(); 3].map(|()| toy.told()), ["2", "2", "1"]);

    let whole = request(Smtp, &toy.nexthop, 5);
    let report = client.deliver_whole(whole, text);
    assert_eq!((report.recipients.len(), toy.told().as_str()), (5, "5"));
}

pub fn cancelling_ends_a_delivery_to_a_silent_server<C: Client>() {
    let toy = Arc::new(Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.tell("waiting");
        // No reply, lest it be taken for that to MAIL.
        while !peer.line().is_empty() {}
    }));
    let client = client::<C>("smtp_destination_concurrency_limit = 1");
    let canceller = thread::spawn({
        let (client, toy) = (client.clone(), Arc::clone(&toy));
        move || {
            toy.told();
            client.cancel();
        }
    });
    // The second waits for its turn until then.
    let reports = at_once(&client, &toy.nexthop, 2);
    canceller.join().unwrap();
    for report in &reports {
        assert_eq!(report.recipients.len(), 2);
        assert!(report.all(Status::Deferred), "{report:?}");
    }
    let later = deliver(&client, request(Smtp, &toy.nexthop, 2));
    assert!(later.all(Status::Deferred), "{later:?}");
}

pub fn a_dropped_delivery_closes_its_connection_and_gives_its_turn_back<C: Droppable>() {
    let toy = Arc::new(Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.tell("stuck");
        while !peer.line().is_empty() {}
        peer.tell("closed");
    }));
    let client = client::<C>("smtp_destination_concurrency_limit = 1");
    for _ in 0..2 {
        let heard = Arc::clone(&toy);
        let mail = request(Smtp, &toy.nexthop, 1);
        let seen = client.drop_delivery_after(mail, Bytes::from_static(TEXT), move || heard.told());
        assert_eq!(seen, "stuck");
        assert_eq!(toy.told(), "closed");
    }
}

pub fn a_dropped_stream_of_deliveries_drops_them<C: Droppable>() {
    let toy = Arc::new(Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.tell("stuck");
        while !peer.line().is_empty() {}
        peer.tell("closed");
    }));
    let (client, heard) = (client::<C>(""), Arc::clone(&toy));
    let mail = request(Smtp, &toy.nexthop, 1);
    let seen = client.drop_stream_after(mail, Bytes::from_static(TEXT), move || heard.told());
    assert_eq!((seen, toy.told()), ("stuck".into(), "closed".into()));
}

pub fn a_server_that_talks_while_it_is_written_to_is_no_deadlock<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
        // More than the socket buffers hold, before anything is read.
        let line = format!("250-{}", "x".repeat(1000));
        for _ in 0..3000 {
            peer.say(&line);
        }
        peer.text();
        peer.say("250 taken");
        peer.answer_until("nothing");
    });
    let text = Bytes::from("0123456789abcde\n".repeat(512 * 1024));
    let report = client::<C>("").deliver(request(Smtp, &toy.nexthop, 1), text, ());
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn a_large_message_arrives_whole<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let text = "0123456789abcde\n".repeat(512 * 1024);
    let client = client::<C>("");
    let sent = Bytes::from(text.clone());
    let report = client.deliver(request(Smtp, &toy.nexthop, 1), sent, ());
    assert!(report.all(Status::Sent), "{report:?}");
    assert!(toy.told() == text, "the text is another");
}

pub fn a_text_goes_on_when_the_server_takes_it_again<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
        // Meanwhile the text fills the buffers, and nothing comes that could be read.
        thread::sleep(Duration::from_millis(300));
        peer.text();
        peer.say("250 taken");
        peer.answer_until("nothing");
    });
    let text = Bytes::from("0123456789abcde\n".repeat(512 * 1024));
    let client = client::<C>("tcp_windowsize = 65536");
    let report = client.deliver(request(Smtp, &toy.nexthop, 1), text, ());
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn a_server_that_refuses_and_closes_during_the_text_is_heard<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on\r\n552 5.3.4 too big for me");
    });
    let text = Bytes::from("0123456789abcde\n".repeat(512 * 1024));
    let report = client::<C>("").deliver(request(Smtp, &toy.nexthop, 1), text, ());
    assert_eq!(report.recipients.len(), 1);
    assert!(!report.all(Status::Sent), "{report:?}");
}

pub fn the_end_of_a_connection_right_behind_a_reply_is_heard<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("MAIL"));
        peer.say("250 fine");
    });
    let client = client::<C>("smtp_rcpt_timeout = 2");
    for _ in 0..10 {
        let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
        let text = &report.recipients[0].1.text;
        assert!(text.starts_with("lost connection with"), "{text}");
    }
}

pub fn a_kept_connection_serves_the_next_message_and_hears_quit_in_the_end<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        peer.tell("connected");
        if peer.serve_until("QUIT") {
            peer.tell("QUIT");
        }
    });
    let client = client::<C>("smtp_connection_cache_destinations = 127.0.0.1");
    for _ in 0..2 {
        let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
        assert!(report.all(Status::Sent), "{report:?}");
    }
    client.close();
    assert_eq!(
        [(); 5].map(|()| toy.told()),
        ["connected", WIRE, "RSET", WIRE, "QUIT"]
    );
    assert!(toy.rest().is_empty());
}

pub fn a_kept_connection_is_closed_without_a_word_when_its_time_is_over<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(!peer.serve_until("QUIT"));
        peer.tell("closed");
    });
    let settings = "smtp_connection_cache_destinations = 127.0.0.1\n\
                    smtp_connection_cache_time_limit = 1";
    let client = client::<C>(settings);
    let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
    assert_eq!([toy.told(), toy.told()], [WIRE, "closed"]);
}

pub fn what_came_while_a_connection_was_kept_is_no_reply_to_the_next_message<C: Client>() {
    let (kept, first) = (Arc::new(Barrier::new(2)), AtomicUsize::new(0));
    let resting = Arc::clone(&kept);
    let toy = Toy::tcp("127.0.0.1", move |mut peer| {
        if first.fetch_add(1, Ordering::SeqCst) > 0 {
            return serve(peer);
        }
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
        peer.text();
        peer.say("250 2.0.0 taken");
        resting.wait();
        peer.say("250 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n250 2.0.0 lost");
        peer.tell("said");
        peer.answer_until("nothing");
    });
    let client = client::<C>("smtp_connection_cache_destinations = 127.0.0.1");
    let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
    kept.wait();
    assert_eq!(toy.told(), "said");
    let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
    assert_eq!(report.recipients[0].1.text, "250 2.0.0 taken");
}

pub fn a_bind_address_that_is_not_ours_is_left_out_or_enforced<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let lax = "smtp_bind_address = 192.0.2.1";
    let report = deliver(&client::<C>(lax), request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
    let strict = format!("{lax}\nsmtp_bind_address_enforce = yes");
    let report = deliver(&client::<C>(&strict), request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Deferred), "{report:?}");
}

pub fn an_observer_hears_of_the_doubt_before_the_end_of_the_text_is_sent<C: Client>() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let there = Arc::clone(&seen);
    let toy = Toy::tcp("127.0.0.1", move |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
        while peer.line() != "." {}
        let seen = there.lock().unwrap().join(" ");
        peer.tell(seen);
        peer.say("250 fine");
        peer.answer_until("nothing");
    });
    let client = client::<C>("smtp_destination_recipient_limit = 2");
    let watcher = Doubts(Arc::clone(&seen));
    let mut mail = request(Smtp, &toy.nexthop, 3);
    mail.encoding = Encoding::SevenBit;
    client.deliver(mail, Bytes::from_static(TEXT), watcher);
    let told = toy.rest();
    assert_eq!(told.first().unwrap(), "[0, 1]");
    assert!(told[1].ends_with(" [2]"), "{told:?}");
    let seen = seen.lock().unwrap().join(" ");
    assert_eq!(seen, "[0, 1] 0 settled 1 settled [2] 2 settled");
}

pub fn an_observer_sees_every_recipient_settled_once<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let seen = Arc::new(AtomicUsize::new(0));
    let watcher = Watcher(Arc::clone(&seen));
    let mut mail = request(Smtp, &toy.nexthop, 4);
    mail.encoding = Encoding::SevenBit;
    client::<C>("").deliver(mail, Bytes::from_static(TEXT), watcher);
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

/// Takes down who was settled.
struct Order(Arc<Mutex<Vec<RcptIndex>>>);

impl Observer for Order {
    fn settled(&mut self, index: RcptIndex, _: &Recipient, _: &Outcome) {
        self.0.lock().unwrap().push(index);
    }
}

struct Watcher(Arc<AtomicUsize>);

impl Observer for Watcher {
    fn settled(&mut self, _: RcptIndex, _: &Recipient, _: &Outcome) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn progress(&mut self, bytes: u64) {
        assert!(bytes <= TEXT.len() as u64);
    }
}

/// Writes down who is in doubt, and who is settled.
struct Doubts(Arc<Mutex<Vec<String>>>);

impl Observer for Doubts {
    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        self.0.lock().unwrap().push(format!("{recipients:?}"));
    }

    fn settled(&mut self, index: RcptIndex, _: &Recipient, _: &Outcome) {
        self.0.lock().unwrap().push(format!("{index} settled"));
    }
}

fn at_once(client: &impl Client, nexthop: &str, count: usize) -> Vec<Report> {
    let requests = (0..count).map(|_| request(Smtp, nexthop, 2)).collect();
    client.deliver_at_once(requests, Bytes::from_static(TEXT))
}
