//! Runs the program and its sink for the black-box tests.

#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub(crate) mod schema;
pub(crate) mod tls;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
};

use serde_json::Value;
use tempfile::TempDir;

/// The runtimes that must all give the same result.
pub(crate) const RUNTIMES: [&str; 3] = ["tokio", "smol", "blocking"];

/// A small message.
pub(crate) const MESSAGE: &str =
    "From: a@example.org\nSubject: hello\n\nOne line.\n.\n..two dots\n";

/// The program, told nothing yet. Its host name does not depend on the machine.
pub(crate) fn outpost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outpost"));
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// Runs the program with these arguments to its end.
pub(crate) fn run(args: &[&str]) -> Run {
    Run::of(outpost().args(args).output().unwrap())
}

/// Runs the program with something on its standard input.
pub(crate) fn run_with_input(args: &[&str], input: &[u8]) -> Run {
    let mut command = outpost();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It need not read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    Run::of(child.wait_with_output().unwrap())
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

    /// Asserts the exit status, showing everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.exit, Some(status), "{self:#?}");
        self
    }

    /// Asserts that standard error has this text.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// The report as JSON.
    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A folder for one test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a file and returns its path as text.
pub(crate) fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A running `outpost sink`, ended when it is dropped.
pub(crate) struct Sink {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    maildir: TempDir,
}

impl Sink {
    /// Starts a sink on a free port with these further arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        let maildir = folder();
        let mut child = outpost()
            .args(["sink", "--listen", "127.0.0.1:0", "--maildir"])
            .arg(maildir.path())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .split(' ')
            .nth(2)
            .unwrap_or_else(|| panic!("{line:?}"))
            .parse()
            .unwrap();
        Self {
            child,
            stdout,
            address,
            maildir,
        }
    }

    /// The next hop that leads here.
    pub(crate) fn nexthop(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// The line about the next message.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The messages that were kept, oldest first.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        files(&self.maildir.path().join("new"))
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect()
    }

    /// The number of half-received messages that lie about.
    pub(crate) fn unfinished(&self) -> usize {
        files(&self.maildir.path().join("tmp")).len()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A request file with these requests.
pub(crate) fn request_file(folder: &TempDir, requests: Value) -> String {
    let file = serde_json::json!({ "protocol": "smtp", "requests": requests });
    write(folder, "request.json", file.to_string())
}

/// A request for one recipient at a next hop.
pub(crate) fn request(nexthop: &str, to: &str) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    serde_json::json!({
        "nexthop": nexthop, "sender": "a@example.org", "recipients": [{ "address": to }],
        "message_base64": STANDARD.encode(MESSAGE),
    })
}

/// Sends a signal by name, such as INT.
#[cfg(unix)]
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(id.to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}

/// A server that takes messages for anybody but `bad@…` and answers none; tells of each that is there.
/// The first value is its next hop.
pub(crate) fn mute_server() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    let (there, told) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let there = there.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                stream.write_all(b"220 mute ESMTP\r\n").unwrap();
                let mut in_text = false;
                while let Some(Ok(line)) = lines.next() {
                    match line.as_str() {
                        line if in_text && line != "." => {}
                        "DATA" => {
                            in_text = true;
                            stream.write_all(b"354 go on\r\n").unwrap();
                        }
                        "." => there.send(()).unwrap(),
                        line if line.contains("<bad@") => stream.write_all(b"550 no\r\n").unwrap(),
                        line if line.starts_with(['E', 'M', 'R']) && line.contains([' ', ':']) => {
                            stream.write_all(b"250 ok\r\n").unwrap();
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    (nexthop, told)
}

/// Calls `each` with the name of every field.
pub(crate) fn field_names(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                each(name);
                field_names(value, each);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| field_names(value, each)),
        _ => {}
    }
}
