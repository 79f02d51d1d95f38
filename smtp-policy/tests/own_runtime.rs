//! The example `own_runtime`, against a server that knows six lines.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the server has a socket and a thread; the crate does not"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use smtp_policy::{
    Protocol,
    report::Status,
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

#[path = "../examples/own_runtime.rs"]
mod own_runtime;

/// Serves one connection; returns what the client has said.
fn serve(listener: TcpListener) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let mut answers = &stream;
    answers.write_all(b"220 server.example ESMTP\r\n").unwrap();
    let (mut said, mut in_text) = (Vec::new(), false);
    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
        let verb = line.get(..4).unwrap_or_default().to_owned();
        said.push(line);
        let answer = match (verb.as_str(), in_text) {
            ("DATA", false) => "354 go on",
            ("RCPT", false) if said.last().is_some_and(|line| line.contains("<b@")) => {
                "550 5.1.1 who is that"
            }
            (_, true) if said.last().is_some_and(|line| line == ".") => {
                "250 2.0.0 Ok: queued as 4X1"
            }
            (_, true) => continue,
            _ => "250 fine",
        };
        in_text = answer.starts_with('3');
        answers
            .write_all(format!("{answer}\r\n").as_bytes())
            .unwrap();
    }
    said
}

#[test]
fn a_runtime_of_a_page_delivers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let server = thread::spawn(|| serve(listener));
    let to = ["a@example.com", "b@example.com"];
    let to = to.map(|to| Recipient::from(to.parse::<Address>().unwrap()));
    let nexthop = format!("[server.example]:{}", host.port());
    let request = Request::new(
        Protocol::Smtp,
        nexthop.parse().unwrap(),
        ReversePath::Null,
        to.into(),
    );
    let report = own_runtime::deliver(request, "Subject: x\n\n.hello\n".into(), host).unwrap();
    let outcomes: Vec<_> = report
        .recipients
        .iter()
        .map(|(_, outcome)| outcome)
        .collect();
    let statuses: Vec<Status> = outcomes.iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [Status::Sent, Status::Bounced]);
    assert_eq!(outcomes.first().unwrap().remote_queue_id(), Some("4X1"));
    assert!(server.join().unwrap().contains(&"..hello".to_owned()));
}

#[test]
fn what_the_resolver_does_not_know_is_deferred_or_bounced_and_nobody_waits() {
    let nobody = "[::1]:1".parse().unwrap();
    let to = Recipient::from("a@example.com".parse::<Address>().unwrap());
    let nexthop = "[server.example]".parse().unwrap();
    let request = Request::new(Protocol::Smtp, nexthop, ReversePath::Null, vec![to]);
    let report = own_runtime::deliver(request, "x\n".into(), nobody).unwrap();
    assert!(report.all(Status::Bounced), "{report}");
    assert!(report.to_string().contains("server.example"), "{report}");
}
