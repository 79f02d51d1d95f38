//! Connections: one thread each, plain blocking sockets.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    dialogue::{Dialogue, Envelope, Manner, Next, Turn},
    text::Unstuffer,
};

/// The longest time that a client may be silent.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most connections at once.
const CONNECTIONS: usize = 500;
/// The longest command line, in bytes.
const LINE: u64 = 64 * 1024;
/// The number of bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// A listener to what happens at a sink. Its methods are called from the connections' threads.
pub(crate) trait Listener: Send + Sync + 'static {
    /// The writer for the text of one message.
    type Text: Write;

    /// A line went over the wire. Message text comes as a line in parentheses
    /// that says how much it was.
    fn line(&self, who: Who, line: &str);
    /// A message begins.
    ///
    /// # Errors
    /// Its text cannot be kept; the client is told to try later.
    fn begin(&self, number: u64) -> io::Result<Self::Text>;
    /// A message was accepted.
    ///
    /// # Errors
    /// It cannot be kept; the client is told to try later.
    fn keep(&self, message: Received<Self::Text>) -> io::Result<()>;
    /// A connection is over.
    fn ended(&self) {}
}

/// The speaker of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The client.
    Client,
    /// This server.
    Server,
}

/// A message that was received.
#[derive(Debug)]
pub(crate) struct Received<T> {
    /// Its number, counted from one over all connections.
    pub(crate) number: u64,
    /// From whom it came.
    pub(crate) peer: SocketAddr,
    /// Its envelope.
    pub(crate) envelope: Envelope,
    /// Its text, as [`Listener::begin`] wanted it.
    pub(crate) text: T,
    /// The length of the text in bytes, with LF line ends.
    pub(crate) length: u64,
}

/// Takes connections until the process ends.
pub(crate) fn serve<L: Listener>(listener: TcpListener, manner: Manner, events: Arc<L>) {
    let manner = Arc::new(manner);
    let numbers = Arc::new(AtomicU64::new(0));
    let seats = Arc::new(AtomicUsize::new(CONNECTIONS));
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Most likely there are too many open files: not for long.
                tracing::warn!("cannot accept a connection: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(seat) = Seat::take(&seats) else {
            // It may not even hear that.
            let _ = (&stream).write_all(b"421 4.3.2 Error: too many connections\r\n");
            continue;
        };
        let (manner, events) = (Arc::clone(&manner), Arc::clone(&events));
        let numbers = Arc::clone(&numbers);
        let spawned = thread::Builder::new()
            .name("connection".to_owned())
            .spawn(move || {
                let _seat = seat;
                if let Err(error) = Connection::serve(&stream, manner, &*events, &numbers) {
                    tracing::info!("connection ended: {error}");
                }
                events.ended();
            });
        if let Err(error) = spawned {
            tracing::warn!("cannot serve a connection: {error}");
        }
    }
}

/// The place of one connection among those that there may be at once.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(free: &Arc<AtomicUsize>) -> Option<Self> {
        let fewer = |free: usize| free.checked_sub(1);
        let taken = free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        taken.ok().map(|_| Self(Arc::clone(free)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Connection<'a, L> {
    reader: BufReader<&'a TcpStream>,
    stream: &'a TcpStream,
    peer: SocketAddr,
    dialogue: Dialogue,
    events: &'a L,
    numbers: &'a AtomicU64,
}

impl<'a, L: Listener> Connection<'a, L> {
    fn serve(
        stream: &'a TcpStream,
        manner: Arc<Manner>,
        events: &'a L,
        numbers: &'a AtomicU64,
    ) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            reader: BufReader::with_capacity(CHUNK, stream),
            stream,
            peer: stream.peer_addr()?,
            dialogue: Dialogue::new(manner),
            events,
            numbers,
        };
        let turn = connection.dialogue.greet();
        let mut going = connection.act(turn)?;
        while going {
            let Some(line) = connection.read_line()? else {
                break;
            };
            let turn = connection.dialogue.command(&line);
            going = connection.act(turn)?;
        }
        Ok(())
    }

    /// Sends the reply and does what comes then. False ends the connection.
    fn act(&mut self, turn: Turn) -> io::Result<bool> {
        match turn.next {
            Next::Command => self.say(&turn.reply)?,
            Next::Text => return self.receive(&turn.reply),
            // Both need a message and come from `receive` only.
            Next::Keep => self.say(&turn.reply)?,
            Next::Close => {
                self.say(&turn.reply)?;
                return Ok(false);
            }
            Next::Reset => {
                socket2::SockRef::from(self.stream).set_linger(Some(Duration::ZERO))?;
                return Ok(false);
            }
            Next::Silent => {
                self.hear_out()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn say(&mut self, lines: &[String]) -> io::Result<()> {
        let mut wire = String::new();
        for line in lines {
            self.events.line(Who::Server, line);
            wire.push_str(line);
            wire.push_str("\r\n");
        }
        (&mut &*self.stream).write_all(wire.as_bytes())
    }

    /// A command, or `None` at the end of the connection.
    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut self.reader, LINE);
        limited.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            if line.len() as u64 == LINE {
                self.say(&["500 5.5.2 Error: line too long".to_owned()])?;
            }
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        self.events.line(Who::Client, &line);
        Ok(Some(line))
    }

    /// Asks for message text, reads it and answers its end.
    fn receive(&mut self, go_on: &[String]) -> io::Result<bool> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let begun = self.events.begin(number);
        self.say(go_on)?;
        let (text, length) = self.read_text(begun)?;
        self.events
            .line(Who::Client, &format!("({length} bytes of message text)"));
        self.events.line(Who::Client, ".");
        let turn = self.dialogue.message(number);
        if turn.next != Next::Keep {
            return self.act(turn);
        }
        let replies = self.dialogue.replies_to_text();
        let envelope = self.dialogue.take_envelope();
        let peer = self.peer;
        let kept = text.and_then(|text| {
            self.events.keep(Received {
                number,
                peer,
                envelope,
                text,
                length,
            })
        });
        match kept {
            Ok(()) => self.say(&turn.reply)?,
            Err(error) => {
                let reply = format!("451 4.3.0 Error: cannot keep the message: {error}");
                self.say(&vec![reply; replies])?;
            }
        }
        Ok(true)
    }

    /// Reads to the end of the text even when it cannot be kept, so that the
    /// client hears the reply.
    fn read_text(&mut self, text: io::Result<L::Text>) -> io::Result<(io::Result<L::Text>, u64)> {
        let mut text = text;
        let mut unstuffer = Unstuffer::default();
        let mut plain = Vec::with_capacity(CHUNK);
        let mut length = 0;
        loop {
            let wire = self.reader.fill_buf()?;
            if wire.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            plain.clear();
            let end = unstuffer.push(wire, &mut plain);
            let taken = end.unwrap_or(wire.len());
            self.reader.consume(taken);
            length += plain.len() as u64;
            text = text.and_then(|mut text| text.write_all(&plain).map(|()| text));
            if end.is_some() {
                return Ok((text, length));
            }
        }
    }

    /// Reads and forgets until the client closes.
    fn hear_out(&mut self) -> io::Result<()> {
        loop {
            let length = self.reader.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            self.reader.consume(length);
        }
    }
}
