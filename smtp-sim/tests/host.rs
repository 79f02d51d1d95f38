//! The scripted servers and the scripted DNS on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg(feature = "host")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use smtp_sim::Scenario;
use smtp_sim::host::Host;

const HOLD: Duration = Duration::from_millis(10);

fn scenario(servers: &str) -> Scenario {
    let text = format!(
        r#"{{"name": "x", "requests": [], "dns": {{"a": {{"A": ["127.0.0.1"]}}}}, "servers": {servers}}}"#
    );
    serde_json::from_str(&text).expect("a scenario")
}

/// Sends lines one by one, and returns what the server says.
fn dialogue(stream: impl std::io::Read + Write, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    for line in lines {
        let mut reply = String::new();
        stream.read_line(&mut reply).expect("a reply");
        heard.push(reply.trim_end().to_owned());
        stream
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .expect("a server that reads");
    }
    heard
}

#[test]
fn tcp_and_unix_servers_answer_and_write_down_what_they_see() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = scenario(
        r#"{"127.0.0.77:17725": {"name": "s", "record_peer": true}, "[::1]:17725": {"name": "s"},
            "unix:${config_directory}/s.sock": {"name": "u"}}"#,
    );
    let dns = "127.0.0.77:17753".parse().expect("an address");
    let host = Host::start(&scenario, folder.path(), dns, HOLD).expect("free addresses");
    let heard = dialogue(
        TcpStream::connect("127.0.0.77:17725").expect("a server"),
        &["NOOP", "QUIT"],
    );
    assert_eq!(heard, ["220 s ESMTP", "250 2.0.0 Ok"]);
    dialogue(
        TcpStream::connect("[::1]:17725").expect("a server"),
        &["QUIT"],
    );
    dialogue(
        UnixStream::connect(folder.path().join("s.sock")).expect("a server"),
        &["QUIT"],
    );
    let sessions = host.finish();
    let servers: Vec<&str> = sessions
        .iter()
        .map(|session| session.server.as_str())
        .collect();
    assert_eq!(
        servers,
        [
            "127.0.0.77:17725",
            "[::1]:17725",
            "unix:${config_directory}/s.sock"
        ]
    );
    let first: Vec<String> = sessions[0]
        .transcript
        .iter()
        .map(|(kind, text)| format!("{kind} {text}"))
        .collect();
    assert_eq!(
        first,
        [
            "P 127.0.0.1",
            "S 220 s ESMTP",
            "C NOOP",
            "S 250 2.0.0 Ok",
            "C QUIT",
            "X client"
        ]
    );
    assert!(TcpStream::connect("127.0.0.77:17725").is_err());
}

#[test]
fn a_port_can_stall_and_can_close_after_its_sessions() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = scenario(
        r#"{"127.0.0.78:17725": {"accept": "stall"}, "127.0.0.79:17725": {"max_sessions": 1}}"#,
    );
    let dns = "127.0.0.78:17753".parse().expect("an address");
    let host = Host::start(&scenario, folder.path(), dns, HOLD).expect("free addresses");
    let stalled = "127.0.0.78:17725".parse().expect("an address");
    let error =
        TcpStream::connect_timeout(&stalled, Duration::from_millis(100)).expect_err("no answer");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    dialogue(
        TcpStream::connect("127.0.0.79:17725").expect("a server"),
        &["QUIT"],
    );
    std::thread::sleep(HOLD);
    assert!(TcpStream::connect("127.0.0.79:17725").is_err());
    assert_eq!(host.finish().len(), 1);
}

#[test]
fn the_name_server_answers_datagrams() {
    let folder = tempfile::tempdir().expect("a folder");
    let dns = "127.0.0.80:17753".parse().expect("an address");
    let host = Host::start(&scenario("{}"), folder.path(), dns, HOLD).expect("free addresses");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    socket.send_to(question, dns).expect("a server");
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"\x12\x34"));
    assert!(answer[..length].ends_with(&[127, 0, 0, 1]));
    assert!(host.finish().is_empty());
}
