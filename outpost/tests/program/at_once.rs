//! Several deliveries at the same time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{Arc, Barrier},
};

use crate::common::{
    MESSAGE, RUNTIMES, Run, Sink, folder, mute_server, outpost, request, request_file, run,
    run_with_input, signal,
};
use serde_json::{Value, json};

/// More than a thread for each processor would do.
const MANY: usize = 12;

/// A server that greets nobody before so many clients are there, and answers no end of a
/// message before so many have sent theirs.
fn server_for(clients: usize) -> String {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    let all_there = Arc::new(Barrier::new(clients));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let all_there = Arc::clone(&all_there);
            std::thread::spawn(move || serve(stream, &all_there));
        }
    });
    nexthop
}

fn serve(mut stream: TcpStream, all_there: &Barrier) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    all_there.wait();
    stream.write_all(b"220 patient ESMTP\r\n").unwrap();
    let mut in_text = false;
    while let Some(Ok(line)) = lines.next() {
        let answer = match line.as_str() {
            "." => {
                in_text = false;
                all_there.wait();
                "250 2.0.0 Ok\r\n"
            }
            _ if in_text => continue,
            "DATA" => {
                in_text = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn requests(nexthop: &str, many: usize) -> Vec<Value> {
    let to = |number| format!("u{number}@x");
    (1..=many)
        .map(|number| request(nexthop, &to(number)))
        .collect()
}

#[test]
fn as_many_requests_as_asked_for_are_under_way_at_the_same_time() {
    for runtime in RUNTIMES {
        let nexthop = server_for(MANY);
        let folder = folder();
        // The second dozen begins when the first is through.
        let path = request_file(&folder, json!(requests(&nexthop, 2 * MANY)));
        let many = MANY.to_string();
        let args = ["deliver", "--runtime", runtime, "--request", &path];
        let run = run(&[&args[..], &["--at-once", &many, "--report", "json"]].concat()).exits(0);
        let report = run.report();
        let reported = report["requests"].as_array().unwrap();
        assert_eq!(reported.len(), 2 * MANY, "{runtime}");
        for (number, request) in reported.iter().enumerate() {
            let recipient = &request["recipients"][0];
            assert_eq!(
                recipient["address"],
                format!("u{}@x", number + 1),
                "{runtime}"
            );
            assert_eq!(recipient["status"], "sent", "{runtime}");
        }
    }
}

#[test]
fn domains_of_the_command_line_can_be_served_at_the_same_time() {
    for runtime in RUNTIMES {
        let nexthop = server_for(2);
        let port = nexthop.rsplit(':').next().unwrap();
        let port = format!("smtp_tcp_port={port}");
        let args = [
            "deliver",
            "--runtime",
            runtime,
            "--at-once",
            "9",
            "-o",
            &port,
        ];
        let envelope = [
            "--from",
            "a@x",
            "--to",
            "b@[127.0.0.1]",
            "--to",
            "c@[127.0.0.2]",
        ];
        let args = [&args[..], &envelope[..]].concat();
        run_with_input(&args, MESSAGE.as_bytes()).exits(0);
    }
}

#[test]
fn text_names_the_request_of_each_verdict_when_they_come_in_any_order() {
    let nexthop = server_for(2);
    let folder = folder();
    let mut both = requests(&nexthop, 2);
    both.insert(1, json!({ "colour": "red" }));
    let path = request_file(&folder, json!(both));
    let run = run(&["deliver", "--at-once", "3", "--request", &path]).exits(65);
    let mut blocks: Vec<&str> = run.stdout.split("\n\n").collect();
    let sum = blocks.pop().unwrap();
    assert_eq!(
        sum,
        "2 sent, 0 deferred, 0 bounced, 1 request not understood\n"
    );
    blocks.sort_unstable();
    assert_eq!(blocks.len(), 3, "{run:#?}");
    assert!(blocks[0].starts_with("request 1: <u1@x>: sent (2.0.0, plaintext)\n"));
    assert!(
        blocks[1].starts_with("request 2: not delivered: "),
        "{run:#?}"
    );
    assert!(blocks[2].starts_with("request 3: <u2@x>: sent (2.0.0, plaintext)\n"));
}

#[test]
fn one_request_needs_no_name() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!(requests(&sink.nexthop(), 1)));
    let run = run(&["deliver", "--at-once", "3", "--request", &path]).exits(0);
    assert!(run.stdout.starts_with("<u1@x>: sent"), "{run:#?}");
}

#[test]
fn a_number_that_makes_no_sense_is_refused() {
    for number in ["0", "1001", "-1", "many"] {
        run(&["deliver", "--at-once", number, "--request", "x"]).exits(64);
    }
}

#[test]
fn the_second_interrupt_accounts_for_all_that_are_under_way() {
    for runtime in RUNTIMES {
        let (nexthop, told) = mute_server();
        let folder = folder();
        let path = request_file(&folder, json!(requests(&nexthop, 4)));
        let mut child = outpost()
            .args([
                "deliver",
                "--runtime",
                runtime,
                "--at-once",
                "3",
                "--request",
                &path,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for _ in 0..3 {
            told.recv().unwrap();
        }
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        signal(child.id(), "INT");
        assert!(lines.next().unwrap().unwrap().contains("interrupted"));
        signal(child.id(), "INT");
        let last: Vec<String> = lines.map_while(Result::ok).collect();
        let doubt = ": in doubt: the whole message was sent, and not answered yet";
        let expected = [
            "outpost: ended at once".to_owned(),
            format!("outpost: request 1: <u1@x>{doubt}"),
            format!("outpost: request 2: <u2@x>{doubt}"),
            format!("outpost: request 3: <u3@x>{doubt}"),
            "outpost: request 4: <u4@x>: not begun".to_owned(),
        ];
        assert_eq!(last, expected, "{runtime}");
        Run::of(child.wait_with_output().unwrap()).exits(130);
    }
}

#[test]
fn the_first_interrupt_ends_all_politely() {
    for runtime in RUNTIMES {
        // Nobody is greeted before there are more than will ever come.
        let nexthop = server_for(9);
        let sink = Sink::start(&[]);
        let folder = folder();
        let mut all = requests(&nexthop, 3);
        all.insert(0, request(&sink.nexthop(), "first@x"));
        let path = request_file(&folder, json!(all));
        let mut child = outpost()
            .args([
                "deliver",
                "--runtime",
                runtime,
                "--at-once",
                "2",
                "--report",
                "json",
            ])
            .args(["--request", &path])
            .env("RUST_LOG", "outpost=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("settled")));
        signal(child.id(), "INT");
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).count());
        let run = Run::of(child.wait_with_output().unwrap()).exits(75);
        rest.join().unwrap();
        let report = run.report();
        let word = |number: usize| report["requests"][number]["recipients"][0]["status"].clone();
        let words: Vec<Value> = (0..4).map(word).collect();
        assert_eq!(
            words,
            ["sent", "deferred", "deferred", "deferred"],
            "{runtime}"
        );
    }
}
