//! Tests of what operators and callers do to messages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{MESSAGE, Manner, Queue, Server};

const NOWHERE: &str = "[127.0.0.1]:1";

#[test]
fn a_message_is_listed_and_shown_as_it_was_submitted() {
    let queue = Queue::new();
    let id = queue.submit(
        NOWHERE,
        &["ann@x.example", "Bob <bob@y.example>, ann@x.example"],
    );
    let text = queue.run(&["list"]).exits(0).stdout;
    for word in [
        id.as_str(),
        "me@home.example",
        "ann@x.example",
        "bob@y.example",
        "new",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(
        text.ends_with("-- 1 message, 2 recipients waiting, 57 B\n"),
        "{text}"
    );
    let shown = queue.run(&["show", &id, "--json"]).exits(0).json();
    assert_eq!(shown["sender"], "me@home.example");
    assert_eq!(shown["message_size"], MESSAGE.len());
    assert_eq!(shown["header"], "Subject: hello\nTo: ann@x.example\n");
    assert_eq!(shown["recipients"][1]["address"], "bob@y.example");
    assert_eq!(shown["tasks"][0]["destination"], "smtp:[127.0.0.1]:1");
    queue.run(&["show", &id]).exits(0).says("Subject: hello\n");
    queue
        .run(&["show", "FFFF"])
        .exits(65)
        .says("FFFF: there is no such message");
    queue.run(&["show", "x"]).exits(64);
}

#[test]
fn recipients_come_from_the_header_too_and_bcc_does_not_stay() {
    let queue = Queue::new();
    let text = "To: a@x.example\nBcc: b@y.example\nSubject: hi\n\n.\n";
    let run = queue
        .run_with(&["submit", "-t", "c@z.example"], text.as_bytes())
        .exits(0);
    let shown = queue
        .run(&["show", run.stdout.trim(), "--json"])
        .exits(0)
        .json();
    let to: Vec<&str> = shown["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["address"].as_str().unwrap())
        .collect();
    assert_eq!(to, ["c@z.example", "a@x.example", "b@y.example"]);
    assert_eq!(shown["header"], "To: a@x.example\nSubject: hi\n");
    assert_eq!(shown["sender"], "");
    // Each domain is a destination.
    assert_eq!(shown["tasks"].as_array().unwrap().len(), 3);
}

#[test]
fn several_files_go_in_together_or_not_at_all() {
    let queue = Queue::new();
    let file = queue.path("m.eml");
    std::fs::write(&file, MESSAGE).unwrap();
    let missing = queue.path("none.eml");
    let args = ["submit", "--file", &file, "--file", &missing, "a@x.example"];
    queue.run(&args).exits(65).says("none.eml");
    let args = ["submit", "--file", &file, "--file", &file, "a@x.example"];
    let ids = queue.run(&args).exits(0).stdout;
    assert_eq!((ids.lines().count(), queue.list(&[]).len()), (2, 2));
}

#[test]
fn an_envelope_through_the_pipe_is_kept() {
    let queue = Queue::new();
    let head = r#"{"protocol":"smtp","nexthop":"localhost","sender":"me@home.example","envid":"e","ret":"HDRS",
        "recipients":[{"address":"a@x.example","notify":"SUCCESS"}]}"#;
    let input = format!("{}\n{MESSAGE}", head.replace('\n', ""));
    let run = queue
        .run_with(&["submit", "--pipe"], input.as_bytes())
        .exits(0);
    let shown = queue
        .run(&["show", run.stdout.trim(), "--json"])
        .exits(0)
        .json();
    assert_eq!(shown["sender"], "me@home.example");
    assert_eq!(shown["message_size"], MESSAGE.len());
    for wrong in ["", "{}\n", "x\n", "{\"recipients\":[]}\n"] {
        queue
            .run_with(&["submit", "--pipe"], wrong.as_bytes())
            .exits(65);
    }
    assert_eq!(queue.list(&[]).len(), 1);
}

#[test]
fn what_is_wrong_with_a_submission_is_said_and_nothing_is_queued() {
    let queue = Queue::new();
    for (args, status, words) in [
        (&["submit"][..], 64, "recipients must be named"),
        (
            &["submit", "joe"],
            64,
            "recipient 'joe': there is no domain",
        ),
        (&["submit", "a b@x"], 64, "recipient 'a b@x'"),
        (&["submit", "-f", "a b@x", "a@x"], 64, "sender 'a b@x'"),
        (
            &["submit", "--notify", "often", "a@x"],
            64,
            "--notify 'often'",
        ),
        (&["submit", "--ret", "some", "a@x"], 64, "--ret 'some'"),
        (&["submit", "--nexthop", "[", "a@x"], 64, "--nexthop"),
        (&["submit", "-t", "--pipe"], 64, "--pipe"),
        (&["submit", "--frob"], 64, "--frob"),
        (&["frob"], 64, "frob"),
        (&["submit", "-o", "frob", "a@x"], 64, "NAME=VALUE"),
        (
            &["submit", "-o", "maximal_backoff_time=5x", "a@x"],
            78,
            "maximal_backoff_time: bad time unit",
        ),
    ] {
        queue
            .run_with(args, MESSAGE.as_bytes())
            .exits(status)
            .says(words);
    }
    assert!(queue.list(&[]).is_empty());
}

#[test]
fn operators_hold_release_and_cancel_by_name_filter_or_all() {
    let queue = Queue::new();
    let one = queue.submit(NOWHERE, &["a@x.example"]);
    let two = queue.submit("[127.0.0.2]:1", &["b@y.example", "c@y.example"]);
    queue.run(&["hold"]).exits(64);
    queue.run(&["hold", "--all"]).exits(64).says("--yes");
    queue.run(&["hold", &one, "--all", "--yes"]).exits(64);
    queue.run(&["hold", &one]).exits(0).says("1 message held");
    assert_eq!(queue.list(&["--held"]).len(), 1);
    queue
        .run(&["list"])
        .exits(0)
        .says(&format!("{one}!"))
        .says("held by an operator");
    queue
        .run(&["hold", "--all", "--yes"])
        .exits(0)
        .says("1 message held");
    queue
        .run(&["release", "--destination", "[127.0.0.2]:1"])
        .exits(0)
        .says("1 message released");
    queue
        .run(&["retry", "--recipient", "B@Y.example"])
        .exits(0)
        .says("1 message due now");
    queue
        .run(&["cancel", &two, "FFFF"])
        .exits(65)
        .says("1 message cancelled, 2 recipients")
        .says("FFFF");
    queue
        .run(&["cancel", "--older-than", "1d"])
        .exits(0)
        .says("0 messages cancelled");
    assert_eq!(queue.list(&[]).len(), 1);
    let finished = queue.list(&["--state", "finished"]);
    assert_eq!(finished[0]["recipients"][0]["fate"], "cancelled");
    queue.run(&["purge"]).exits(0).says("0 messages removed");
    queue
        .run(&["purge", "--finished", "0"])
        .exits(0)
        .says("1 message removed");
    queue
        .run(&["check"])
        .exits(0)
        .says("1 message looked at: all right");
    let stats = queue.run(&["stats", "--json"]).exits(0).json();
    assert_eq!(
        (&stats["messages"], &stats["tasks"]["held"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        stats["destinations"][0]["destination"],
        "smtp:[127.0.0.1]:1"
    );
}

#[test]
fn lists_have_pages() {
    let queue = Queue::new();
    let ids: Vec<String> = (0..5)
        .map(|_| queue.submit(NOWHERE, &["a@x.example"]))
        .collect();
    let page = queue.list(&["--limit", "2", "--after", &ids[1]]);
    let page: Vec<&str> = page
        .iter()
        .map(|one| one["queue_id"].as_str().unwrap())
        .collect();
    assert_eq!(page, [&ids[2], &ids[3]]);
}

#[test]
fn suppressed_addresses_are_kept_until_they_are_removed() {
    let queue = Queue::new();
    let add = [
        "suppress",
        "add",
        "Gone@x.example",
        "--why",
        "moved",
        "--time",
        "30d",
    ];
    queue.run(&add).exits(0);
    queue
        .run(&["suppress", "list"])
        .exits(0)
        .says("gone@x.example  until ")
        .says(": moved");
    queue
        .run(&["suppress", "remove", "gone@X.example"])
        .exits(0)
        .says("1 recipient removed");
    assert_eq!(queue.run(&["suppress", "list"]).exits(0).stdout, "");
    queue.run(&["suppress", "add", "a b"]).exits(64);
}

#[test]
fn fifty_megabytes_come_and_go_whole() {
    let queue = Queue::new();
    let server = Server::start(Manner::Takes);
    let line = format!("{}\n", "x".repeat(77));
    let text = format!(
        "Subject: big\n\n{}",
        line.repeat(50 * 1024 * 1024 / line.len())
    );
    let args = ["submit", "--nexthop", &server.nexthop, "a@x.example"];
    queue.run_with(&args, text.as_bytes()).exits(0);
    let work = queue.work(&[]);
    work.event("concluded");
    let texts = server.texts();
    let text = text.into_bytes();
    // The client puts a line at the top.
    assert!(
        texts.len() == 1 && texts[0].ends_with(&text),
        "{}",
        texts[0].len()
    );
    work.signal("TERM");
    work.end().exits(0);
}
