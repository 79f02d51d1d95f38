//! Tests of accounts whose servers want TLS and a password.
#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::common::tls as server;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, mpsc},
    thread,
};

use crate::common::{Run, folder, run, run_with_input, write};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use server::certificate;
use tempfile::TempDir;

const PASSWORD: &str = "sword: fish";

/// A submission server on `localhost`, an account for it, and what it has heard.
struct Submission {
    port: u16,
    folder: TempDir,
    heard: mpsc::Receiver<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Starttls,
    Implicit,
    /// It offers no STARTTLS, as if somebody had taken it away.
    Stripped,
}

impl Submission {
    fn start(how: Start) -> Self {
        let (pem, config) = certificate("localhost");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = folder();
        write(&folder, "ca.pem", pem);
        let (hears, heard) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, hears) = (Arc::clone(&config), hears.clone());
                thread::spawn(move || serve(stream, how, config, &hears));
            }
        });
        Self {
            port,
            folder,
            heard,
        }
    }

    /// Writes the accounts file, with this mode.
    fn accounts(&self, more: &str, mode: u32) -> String {
        let text = format!(
            "[accounts.a]\nhost = \"localhost\"\nport = {}\nfrom = \"me@x.example\"\n{more}\n",
            self.port
        );
        let file = write(&self.folder, "config.toml", text);
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).unwrap();
        file
    }

    fn send(&self, more: &str, mode: u32) -> Run {
        let file = self.accounts(more, mode);
        run_with_input(
            &["sendmail", "--file", &file, "bob@x.example"],
            b"Subject: x\n\nx\n",
        )
    }

    /// The lines that the server has heard up to now.
    fn heard(&self) -> Vec<String> {
        self.heard.try_iter().collect()
    }
}

fn serve(
    mut stream: TcpStream,
    how: Start,
    config: Arc<ServerConfig>,
    hears: &mpsc::Sender<String>,
) {
    let offer = match how {
        Start::Starttls => "250-x\r\n250 STARTTLS",
        Start::Stripped => "250-x\r\n250 AUTH PLAIN",
        Start::Implicit => {
            let server = ServerConnection::new(config).unwrap();
            return talk(
                &mut StreamOwned::new(server, stream),
                "250-x\r\n250 AUTH PLAIN",
                true,
                hears,
            );
        }
    };
    talk(&mut stream, offer, true, hears);
    let server = ServerConnection::new(config).unwrap();
    talk(
        &mut StreamOwned::new(server, stream),
        "250-x\r\n250 AUTH PLAIN",
        false,
        hears,
    );
}

/// Talks until QUIT or STARTTLS.
fn talk<S: Read + Write>(stream: &mut S, offer: &str, greets: bool, hears: &mpsc::Sender<String>) {
    let right = STANDARD.encode(format!("\0me\0{PASSWORD}"));
    let mut in_text = false;
    if greets && stream.write_all(b"220 localhost ESMTP\r\n").is_err() {
        return;
    }
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let _ = hears.send(line.clone());
        let reply = match line.split([' ', ':']).next().unwrap_or_default() {
            "." if in_text => {
                in_text = false;
                "250 2.0.0 taken"
            }
            _ if in_text => continue,
            "EHLO" => offer,
            "STARTTLS" => "220 go on",
            "AUTH" if line == format!("AUTH PLAIN {right}") => "235 2.7.0 welcome",
            "AUTH" => "535 5.7.8 who are you",
            "DATA" => {
                in_text = true;
                "354 go on"
            }
            _ => "250 2.0.0 fine",
        };
        let _ = stream.write_all(format!("{reply}\r\n").as_bytes());
        if matches!(line.as_str(), "STARTTLS" | "QUIT") {
            return;
        }
    }
}

fn login(source: &str) -> String {
    format!("ca_file = \"ca.pem\"\nuser = \"me\"\n{source}")
}

#[test]
fn a_message_goes_out_after_starttls_and_login_with_a_password_from_anywhere() {
    let submission = Submission::start(Start::Starttls);
    let file = write(
        &submission.folder,
        "password",
        format!("{PASSWORD}\nnotes\n"),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (source, mode) in [
        (
            format!("password_command = [\"printf\", \"%s\\\\n\", \"{PASSWORD}\"]"),
            0o644,
        ),
        ("password_file = \"password\"".to_owned(), 0o644),
        (format!("password = \"{PASSWORD}\""), 0o600),
        (
            format!("min_tls = \"1.3\"\npassword = \"{PASSWORD}\""),
            0o400,
        ),
    ] {
        let done = submission.send(&login(&source), mode).exits(0);
        assert_eq!(done.stderr, "", "{source}");
        let heard = submission.heard();
        let place = |what: &str| {
            heard
                .iter()
                .position(|line| line.starts_with(what))
                .unwrap()
        };
        assert!(place("STARTTLS") < place("AUTH PLAIN"), "{heard:?}");
        assert!(
            place("AUTH PLAIN") < place("MAIL FROM:<me@x.example>"),
            "{heard:?}"
        );
    }
}

#[test]
fn tls_can_begin_with_the_connection() {
    let submission = Submission::start(Start::Implicit);
    let more = login(&format!("tls = \"implicit\"\npassword = \"{PASSWORD}\""));
    submission.send(&more, 0o600).exits(0);
    assert!(submission.heard().iter().any(|line| line == "."));
}

#[test]
fn nothing_goes_out_where_the_connection_is_not_what_it_should_be() {
    let password = format!("password = \"{PASSWORD}\"");
    let stripped = Submission::start(Start::Stripped);
    let unknown = Submission::start(Start::Starttls);
    for (submission, more, said) in [
        (
            &stripped,
            login(&password),
            "TLS is required, but was not offered",
        ),
        // Not by an authority that is trusted.
        (
            &unknown,
            format!("user = \"me\"\n{password}"),
            "certificate not",
        ),
    ] {
        let done = submission.send(&more, 0o600).exits(75).complains(said);
        assert!(
            done.stderr.contains("<bob@x.example>: deferred (4.7."),
            "{done:#?}"
        );
        let heard = submission.heard();
        let secret = |line: &&String| {
            ["AUTH", "MAIL", "DATA"]
                .iter()
                .any(|verb| line.starts_with(verb))
        };
        assert_eq!(heard.iter().find(secret), None, "{heard:?}");
    }
}

#[test]
fn a_password_is_shown_nowhere() {
    let submission = Submission::start(Start::Starttls);
    let more = login("password = \"open sesame\"");
    let shown = STANDARD.encode("\0me\0open sesame");
    let file = submission.accounts(&more, 0o600);
    let message = b"Subject: x\n\nx\n";
    for options in [&[][..], &["-v"], &["-vv"]] {
        let args = [&["sendmail", "--file", &file, "bob@x.example"], options].concat();
        let done = run_with_input(&args, message)
            .exits(75)
            .complains("who are you");
        assert!(
            !done.stderr.contains("sesame") && !done.stderr.contains(&shown),
            "{done:#?}"
        );
    }
    let check = run(&["account", "check", "--file", &file, "--login", "-vv"]).exits(69);
    let all = format!("{}{}", check.stdout, check.stderr);
    assert!(!all.contains("sesame") && !all.contains(&shown), "{all}");
    assert!(check.stdout.contains("logged in  FAILED"), "{check:#?}");
    // Others may read it now.
    let open = submission.accounts(&more, 0o644);
    let done = run_with_input(&["sendmail", "--file", &open, "bob@x.example"], message).exits(78);
    let done = done.complains("config.toml:7: password: others may read");
    assert!(!done.stderr.contains("sesame"), "{done:#?}");
}

#[test]
fn a_password_that_cannot_be_had_is_a_reason_to_try_again_later() {
    let submission = Submission::start(Start::Starttls);
    let more = login("password_command = [\"sh\", \"-c\", \"echo locked >&2; exit 3\"]");
    let done = submission.send(&more, 0o644).exits(75);
    assert!(done.stderr.starts_with("locked\n"), "{done:#?}");
    done.complains("sh was to give the password, and ended with exit status: 3");
    assert!(submission.heard().is_empty(), "nobody has called");
}

#[test]
fn a_check_logs_in_and_sends_nothing() {
    let submission = Submission::start(Start::Starttls);
    let file = submission.accounts(&login(&format!("password = \"{PASSWORD}\"")), 0o600);
    let done = run(&["account", "check", "--file", &file, "--login"]).exits(0);
    for row in [
        "TLS        STARTTLS, with a certificate for localhost by the authorities in ",
        "login      me, with the password in the accounts file\n",
        "encryption TLSv1.3 with cipher",
        "logged in  the server takes user and password\n",
        "result     mail from and to <me@x.example> is taken\n",
    ] {
        assert!(done.stdout.contains(row), "{row}: {done:#?}");
    }
    let heard = submission.heard();
    assert!(!heard.iter().any(|line| line == "DATA"), "{heard:?}");
}
