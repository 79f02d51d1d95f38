//! Runs the program, and servers for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::strict::Strict;

/// A small message.
pub(crate) const MESSAGE: &str = "Subject: hello\nTo: ann@x.example\n\nOne line.\n.\n..two dots\n";

/// The program, told nothing yet.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outpost-queue"));
    command.stdin(Stdio::null());
    for name in ["RUST_LOG", "OUTPOST_STORE", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program with these arguments to its end.
pub(crate) fn run(args: &[&str]) -> Run {
    Run::of(program().args(args).output().unwrap())
}

/// The outcome of a run of the program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.exit, Some(status), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(all.contains(text), "no {text:?} in {self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A queue in a scratch folder.
pub(crate) struct Queue {
    pub(crate) folder: TempDir,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn store(&self) -> String {
        self.path("queue.db")
    }

    /// Runs a command on this queue.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, b"")
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Run {
        let mut child = program()
            .args(args)
            .args(["--store", &self.store()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It need not read to the end.
        let _ = child.stdin.take().unwrap().write_all(input);
        Run::of(child.wait_with_output().unwrap())
    }

    /// Adds a message; returns its queue id.
    pub(crate) fn submit(&self, nexthop: &str, to: &[&str]) -> String {
        let args = [
            &["submit", "-f", "me@home.example", "--nexthop", nexthop][..],
            to,
        ]
        .concat();
        let run = self.run_with(&args, MESSAGE.as_bytes()).exits(0);
        run.stdout.trim().to_owned()
    }

    /// All messages in a state, one value each, as the schema describes them.
    #[track_caller]
    pub(crate) fn list(&self, args: &[&str]) -> Vec<Value> {
        let run = self.run(&[&["list", "--json"], args].concat()).exits(0);
        Strict::new("queue-list").takes_lines(&run.stdout)
    }

    /// Begins a worker on this queue, with an event for each line of its standard output.
    pub(crate) fn work(&self, args: &[&str]) -> Work {
        let mut child = program()
            .args(["run", "--events", "-", "--store", &self.store()])
            .args([
                "-o",
                "inet_interfaces=127.0.0.1",
                "-o",
                "myhostname=box.example",
            ])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap();
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let strict = Strict::new("queue-event");
        Work {
            child,
            events,
            strict,
        }
    }
}

/// A running worker, ended when it is dropped.
pub(crate) struct Work {
    pub(crate) child: Child,
    events: mpsc::Receiver<Value>,
    strict: Strict,
}

impl Work {
    /// Waits for an event of this kind. All that come are as the schema describes them.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("no event {kind}"));
            self.strict.takes(&event);
            if event["kind"] == kind {
                return event;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Run {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        Run {
            exit: self.child.wait().unwrap().code(),
            stdout: String::new(),
            stderr,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The behaviour of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes everything.
    Takes,
    /// It puts recipients off.
    Defers,
    /// It knows nobody.
    Refuses,
    /// It takes a text, and says nothing about it.
    Mute,
}

/// A server on a thread.
pub(crate) struct Server {
    pub(crate) nexthop: String,
    manner: Arc<Mutex<Manner>>,
    texts: Arc<Mutex<Vec<Vec<u8>>>>,
    ended: mpsc::Receiver<()>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
        let manner = Arc::new(Mutex::new(manner));
        let texts = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel();
        let (its_manner, its_texts) = (Arc::clone(&manner), Arc::clone(&texts));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (manner, texts, end) =
                    (Arc::clone(&its_manner), Arc::clone(&its_texts), end.clone());
                thread::spawn(move || {
                    let _ = talk(stream, &manner, &texts, &end);
                });
            }
        });
        Self {
            nexthop,
            manner,
            texts,
            ended,
        }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Waits for the end of a text.
    pub(crate) fn wait(&self) {
        self.ended.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    /// The texts that it has taken, with LF at line ends.
    pub(crate) fn texts(&self) -> Vec<Vec<u8>> {
        self.texts.lock().unwrap().clone()
    }
}

fn talk(
    mut stream: std::net::TcpStream,
    manner: &Mutex<Manner>,
    texts: &Mutex<Vec<Vec<u8>>>,
    end: &mpsc::Sender<()>,
) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 test ESMTP\r\n")?;
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let now = *manner.lock().unwrap();
        let reply = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250 test",
            "RCPT" if now == Manner::Defers => "450 4.2.0 later",
            "RCPT" if now == Manner::Refuses => "550 5.1.1 nobody",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let text = text(&mut input)?;
                let now = *manner.lock().unwrap();
                if now == Manner::Mute {
                    let _ = end.send(());
                    // Until the client goes away.
                    return input.read_line(&mut line).map(drop);
                }
                texts.lock().unwrap().push(text);
                let _ = end.send(());
                "250 2.0.0 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
    }
}

fn text(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let (mut text, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
        if line == b"." {
            return Ok(text);
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        text.push(b'\n');
    }
}
