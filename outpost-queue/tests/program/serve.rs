//! Tests of `--listen`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::common::{Manner, Queue, Server};

/// Asks for a page; returns head and body.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn metrics_and_the_page_show_what_is_there() {
    let queue = Queue::new();
    let (takes, defers) = (Server::start(Manner::Takes), Server::start(Manner::Defers));
    queue.submit(&takes.nexthop, &["a@x.example"]);
    queue.submit(&defers.nexthop, &["b@x.example"]);
    let mut work = queue.work(&["--listen", "127.0.0.1:0"]);
    let mut line = String::new();
    BufReader::new(work.child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    work.event("concluded");
    work.event("concluded");

    // An answer may be a second old.
    let is_new = |body: &str| body.contains("outpost_queue_tasks{state=\"deferred\"} 1");
    let (head, body) = loop {
        let (head, body) = ask(address, "GET /metrics");
        if is_new(&body) {
            break (head, body);
        }
    };
    assert!(
        head.starts_with("http/1.1 200") && head.contains("version=0.0.4"),
        "{head}"
    );
    for line in [
        "outpost_queue_messages 1",
        "outpost_queue_store_up 1",
        "outpost_queue_verdicts_total{status=\"sent\"} 1",
        "outpost_queue_verdicts_total{status=\"deferred\"} 1",
        "outpost_queue_claims_total 2",
        "outpost_queue_operation_seconds_count{operation=\"conclude\"} ",
        "outpost_queue_in_doubt 0",
        &format!(
            "outpost_queue_destination_tasks{{destination=\"smtp:{}\"}} 1",
            defers.nexthop
        ),
    ] {
        assert!(body.contains(line), "{line} is not in {body}");
    }
    let names: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(names.len(), unique.len(), "{names:?}");

    let (head, page) = ask(address, "GET /");
    assert!(
        head.contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    assert!(
        page.contains(&defers.nexthop) && !page.contains("<script"),
        "{page}"
    );
    assert_eq!(ask(address, "GET /healthz").1, "ok\n");
    assert_eq!(ask(address, "HEAD /").1, "");
    assert!(ask(address, "POST /").0.starts_with("http/1.1 405"));
    assert!(ask(address, "GET /x").0.starts_with("http/1.1 404"));
    assert!(ask(address, "FROB").0.starts_with("http/1.1 400"));
}

#[test]
fn an_address_that_is_taken_is_told() {
    let queue = Queue::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    queue
        .run(&["run", "--listen", &address])
        .exits(71)
        .says("cannot listen");
}
