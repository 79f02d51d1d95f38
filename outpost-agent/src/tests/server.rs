//! A mail server that follows a script.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// In place of a reply: the connection is closed.
pub(super) const CLOSE: &str = "close";

/// In front of a reply: after it nothing is read for a moment.
const PAUSE: &str = "pause ";

/// A running server.
pub(super) struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

/// The answers to commands: the first row counts whose first part the command begins with. `GREETING` and `DOT` stand for
/// what is no command.
pub(super) type Script = &'static [(&'static str, &'static str)];

const DEFAULT: Script = &[
    ("GREETING", "220 test"),
    ("EHLO", "250 test"),
    ("DATA", "354 go on"),
    ("DOT", "250 2.0.0 taken"),
    ("QUIT", "221 2.0.0 bye"),
    ("", "250 2.0.0 ok"),
];

impl Server {
    pub(super) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let to = Arc::clone(&to);
                // The client may leave at any time.
                thread::spawn(move || serve(stream, script, &to).unwrap_or_default());
            }
        });
        Self { port, heard }
    }

    /// A destination at which nobody listens, which a free port might not stay.
    pub(super) fn nobody() -> String {
        "[127.0.0.1]:1".to_owned()
    }

    pub(super) fn nexthop(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// The commands that came, with what came of a message as `TEXT …` if it was ended and `CUT …` if not.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until something that begins so was noted.
    pub(super) fn wait_for(&self, start: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.count(start) == 0 {
            assert!(Instant::now() < until, "no {start}: {:?}", self.heard());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The number of notes that begin so.
    pub(super) fn count(&self, start: &str) -> usize {
        self.heard()
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }
}

fn serve(stream: TcpStream, script: Script, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).split(b'\n');
    let mut answer = |command: &str| -> std::io::Result<bool> {
        let rows = script.iter().chain(DEFAULT);
        let reply = rows
            .filter(|(start, _)| command.starts_with(start))
            .map(|(_, reply)| *reply)
            .next()
            .unwrap_or(CLOSE);
        let (pauses, reply) = match reply.strip_prefix(PAUSE) {
            Some(reply) => (true, reply),
            None => (false, reply),
        };
        if reply != CLOSE {
            writer.write_all(format!("{reply}\r\n").as_bytes())?;
        }
        if pauses {
            thread::sleep(Duration::from_millis(500));
        }
        Ok(reply != CLOSE && !reply.starts_with("221"))
    };
    let mut next = || -> std::io::Result<Option<String>> {
        let line = lines.next().transpose()?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()))
    };
    if !answer("GREETING")? {
        return Ok(());
    }
    while let Some(command) = next()? {
        heard.lock().unwrap().push(command.clone());
        if !answer(&command)? {
            return Ok(());
        }
        if command != "DATA" {
            continue;
        }
        let mut text = Vec::new();
        loop {
            match next() {
                Ok(Some(line)) if line == "." => break,
                Ok(Some(line)) => text.push(line),
                _ => {
                    let text = text.join("|");
                    heard.lock().unwrap().push(format!("CUT {text}"));
                    return Ok(());
                }
            }
        }
        let text = text.join("|");
        heard.lock().unwrap().push(format!("TEXT {text}"));
        if !answer("DOT")? {
            return Ok(());
        }
    }
    Ok(())
}
