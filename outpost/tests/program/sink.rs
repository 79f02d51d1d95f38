//! The sink against clients that want too much, and its end.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::common::{Sink, signal};

/// A client that says what it likes.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(sink: &Sink) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(sink.address).unwrap()));
        assert!(client.reply().starts_with("220"));
        client
    }

    /// One line of what the server says; empty at the end.
    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn say(&mut self, line: &str) -> String {
        self.write(&format!("{line}\r\n"));
        self.reply()
    }
}

#[test]
fn a_message_has_so_many_recipients_and_no_more() {
    let mut sink = Sink::start(&[]);
    let mut client = Client::connect(&sink);
    client.say("MAIL FROM:<a@b.example>");
    for batch in 0..100 {
        let commands = (0..100).map(|number| format!("RCPT TO:<r{batch}-{number}@x.example>\r\n"));
        client.write(&commands.collect::<String>());
        for _ in 0..100 {
            assert_eq!(client.reply(), "250 2.1.5 Ok");
        }
    }
    for _ in 0..2 {
        let reply = client.say("RCPT TO:<one-more@x.example>");
        assert_eq!(reply, "452 4.5.3 Error: too many recipients");
    }
    assert!(client.say("DATA").starts_with("354"));
    client.write("text\r\n.\r\n");
    // The line is told before the reply is given.
    assert_eq!(sink.line().matches("@x.example>").count(), 10_000);
    assert!(client.reply().starts_with("250"));
    // The next message begins anew.
    client.say("MAIL FROM:<>");
    assert_eq!(client.say("RCPT TO:<r@x.example>"), "250 2.1.5 Ok");
}

#[test]
fn an_address_has_a_length_and_no_more() {
    let sink = Sink::start(&[]);
    let mut client = Client::connect(&sink);
    let long = "x".repeat(2049);
    let reply = "501 5.1.0 Error: address is too long";
    assert_eq!(client.say(&format!("MAIL FROM:<{long}>")), reply);
    assert_eq!(client.say("MAIL FROM:<>"), "250 2.1.0 Ok");
    assert_eq!(client.say(&format!("RCPT TO:<{long}>")), reply);
    let fits = "x".repeat(2048);
    assert_eq!(client.say(&format!("RCPT TO:<{fits}>")), "250 2.1.5 Ok");
}

#[test]
fn a_client_that_says_nothing_but_nonsense_is_sent_away() {
    let sink = Sink::start(&["--fault", "XGOOD=250 2.0.0 Ok"]);
    let mut client = Client::connect(&sink);
    for number in 0..100 {
        assert_eq!(client.say("XGOOD"), "250 2.0.0 Ok");
        let reply = client.say(&format!("VERB{number}"));
        assert_eq!(reply, "502 5.5.2 Error: command not recognized");
    }
    assert_eq!(client.say("VERB100"), "421 4.7.0 Error: too many errors");
    assert_eq!(client.reply(), "");
}

#[test]
fn so_many_connections_are_served_and_no_more() {
    let sink = Sink::start(&[]);
    let served: Vec<Client> = (0..500).map(|_| Client::connect(&sink)).collect();
    let mut turned_away = Client(BufReader::new(TcpStream::connect(sink.address).unwrap()));
    assert_eq!(turned_away.reply(), "421 4.3.2 Error: too many connections");
    assert_eq!(turned_away.reply(), "");
    drop(served);
}

#[test]
fn a_message_that_is_under_way_at_the_end_leaves_nothing_behind() {
    for name in ["TERM", "INT"] {
        let mut sink = Sink::start(&[]);
        let mut client = Client::connect(&sink);
        client.say("MAIL FROM:<>");
        client.say("RCPT TO:<a@x.example>");
        assert!(client.say("DATA").starts_with("354"));
        assert_eq!(sink.unfinished(), 1);
        client.write("half a mess");
        signal(sink.id(), name);
        assert_eq!(sink.wait(), Some(0), "{name}");
        assert_eq!((sink.unfinished(), sink.messages().len()), (0, 0), "{name}");
        let _ = client.0.read_to_end(&mut Vec::new());
    }
}
