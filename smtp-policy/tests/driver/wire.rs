//! A server in memory, and the sockets that lead to it.

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex},
};

use smtp_policy::driver::Interest;
use smtp_proto::Time;

/// A server that takes everything, unless it is silent. It writes down what it hears.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Lines as they come, and what happens to connections.
    heard: Vec<String>,
    /// No reply comes to a line that begins with this.
    silent: Option<&'static str>,
    /// A text is refused at once when so many of its lines have come.
    refused_at: Option<usize>,
    text_lines: usize,
    /// The number of reads that found nothing.
    vain_reads: usize,
    /// Bytes that connections bring next without being asked.
    unasked: Vec<u8>,
    /// Connections are at their end.
    hung_up: bool,
    expiries: Vec<Time>,
}

/// The client's end of a connection.
pub(crate) struct Socket {
    server: Server,
    to_client: Vec<u8>,
    line: Vec<u8>,
    text: bool,
    ended: bool,
}

impl Server {
    /// A server that does not reply to a line that begins with `verb`.
    pub(crate) fn silent_at(verb: &'static str) -> Self {
        let server = Self::default();
        server.0.lock().unwrap().silent = Some(verb);
        server
    }

    /// A server that refuses a text when so many of its lines have come, and hangs up.
    pub(crate) fn refusing_after(lines: usize) -> Self {
        let server = Self::default();
        server.0.lock().unwrap().refused_at = Some(lines);
        server
    }

    /// Says something unasked.
    pub(crate) fn say(&self, line: &str) {
        let unasked = format!("{line}\r\n");
        self.0.lock().unwrap().unasked.extend(unasked.bytes());
    }

    /// Ends its connections.
    pub(crate) fn hang_up(&self) {
        self.0.lock().unwrap().hung_up = true;
    }

    /// The number of lines of texts that have come.
    pub(crate) fn text_lines(&self) -> usize {
        self.0.lock().unwrap().text_lines
    }

    pub(crate) fn connect(&self) -> Socket {
        self.note("connected");
        Socket {
            server: self.clone(),
            to_client: b"220 server.example ESMTP\r\n".to_vec(),
            line: Vec::new(),
            text: false,
            ended: false,
        }
    }

    /// Writes down what it hears of.
    pub(crate) fn note(&self, what: &str) {
        self.0.lock().unwrap().heard.push(what.to_owned());
    }

    /// Returns what it has heard since it was asked last.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().heard)
    }

    /// Returns what it has heard, without the texts.
    pub(crate) fn verbs(&self) -> String {
        let heard = self.heard();
        let verbs = heard
            .iter()
            .map(|line| line.split([' ', ':']).next().unwrap());
        verbs.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn vain_reads(&self) -> usize {
        self.0.lock().unwrap().vain_reads
    }

    pub(crate) fn expire(&self, at: Time) {
        self.0.lock().unwrap().expiries.push(at);
    }

    /// When somebody was to look after kept connections.
    pub(crate) fn expiries(&self) -> Vec<Time> {
        self.0.lock().unwrap().expiries.clone()
    }
}

impl Socket {
    pub(crate) fn is_ready(&self, interest: Interest) -> bool {
        let state = self.server.0.lock().unwrap();
        let ended = self.ended || state.hung_up;
        let more = !self.to_client.is_empty() || !state.unasked.is_empty();
        interest.writes() || interest.reads() && (ended || more)
    }

    fn hear(&mut self, line: &str) {
        if self.text {
            let mut state = self.server.0.lock().unwrap();
            state.text_lines += 1;
            if Some(state.text_lines) == state.refused_at {
                self.to_client.extend(b"552 5.3.4 too long\r\n");
                self.ended = true;
            }
            if line == "." {
                self.text = false;
                self.to_client.extend(b"250 taken\r\n");
            }
            return;
        }
        self.server.note(line);
        let silent = self.server.0.lock().unwrap().silent;
        if silent.is_some_and(|verb| line.starts_with(verb)) {
            return;
        }
        self.text = line == "DATA";
        self.ended = line == "QUIT";
        self.to_client.extend(match line {
            "DATA" => b"354 go on\r\n".as_slice(),
            "QUIT" => b"221 bye\r\n",
            _ => b"250 fine\r\n",
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.server.note("closed");
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut state = self.server.0.lock().unwrap();
        self.to_client.append(&mut state.unasked);
        let count = self.to_client.len().min(scratch.len());
        if count == 0 && !self.ended && !state.hung_up {
            state.vain_reads += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        scratch[..count].copy_from_slice(&self.to_client[..count]);
        self.to_client.drain(..count);
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                    self.hear(&line);
                }
                b'\r' => {}
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
