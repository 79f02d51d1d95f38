//! A toy server on threads of the standard library, for the tests of all three
//! runtimes. It does what its script says, and is not a test kit: that is
//! `smtp-sim`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    policy::Policy,
    request::{Encoding, Recipient, Request},
};
use smtp_proto::address::{Address, ReversePath};

/// The time that a test waits for what must happen, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, from the server's side.
pub struct Peer {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
    told: mpsc::Sender<String>,
}

impl Peer {
    fn tcp(stream: TcpStream, told: mpsc::Sender<String>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader: Box<dyn Read + Send> = Box::new(stream.try_clone().unwrap());
        Self {
            reader: BufReader::new(reader),
            writer: Box::new(stream),
            told,
        }
    }

    fn unix(stream: UnixStream, told: mpsc::Sender<String>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader: Box<dyn Read + Send> = Box::new(stream.try_clone().unwrap());
        Self {
            reader: BufReader::new(reader),
            writer: Box::new(stream),
            told,
        }
    }

    pub fn say(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.write_all(b"\r\n").unwrap();
    }

    /// The next line; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let _ = self.reader.read_until(b'\n', &mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Tells the test something.
    pub fn tell(&self, what: impl Into<String>) {
        let _ = self.told.send(what.into());
    }

    /// Greets and answers until a line that begins with `verb`, which is left
    /// without a reply. False when the client ends the conversation before.
    pub fn serve_until(&mut self, verb: &str) -> bool {
        self.say("220 toy.example ESMTP");
        self.answer_until(verb)
    }

    /// Answers until a line that begins with `verb`.
    pub fn answer_until(&mut self, verb: &str) -> bool {
        loop {
            let line = self.line();
            if line.starts_with(verb) {
                return true;
            }
            match line.split([' ', ':']).next().unwrap() {
                "" => return false,
                "EHLO" | "LHLO" => self.say("250-toy.example\r\n250 PIPELINING"),
                "DATA" => {
                    self.say("354 go on");
                    let text = self.text();
                    self.tell(text);
                    self.say("250 2.0.0 taken");
                }
                "QUIT" => {
                    self.say("221 bye");
                    return false;
                }
                "RSET" => {
                    self.tell("RSET");
                    self.say("250 fine");
                }
                _ => self.say("250 fine"),
            }
        }
    }

    /// The text up to the final dot, as it stands on the wire.
    pub fn text(&mut self) -> String {
        let mut text = String::new();
        loop {
            match self.line().as_str() {
                "." => return text,
                "" if self.reader.fill_buf().map_or(true, <[u8]>::is_empty) => {
                    panic!("the text ends without a dot")
                }
                line => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
}

/// A running server. Its threads end with their connections.
pub struct Toy {
    /// The next hop that stands for this server.
    pub nexthop: String,
    told: Mutex<mpsc::Receiver<String>>,
}

impl Toy {
    /// On a TCP port of `address`.
    pub fn tcp(address: &str, script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = mpsc::channel();
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let peer = Peer::tcp(stream.unwrap(), tell.clone());
                let script = Arc::clone(&script);
                thread::spawn(move || script(peer));
            }
        });
        Self {
            nexthop: format!("[{address}]:{port}"),
            told: Mutex::new(told),
        }
    }

    /// On a UNIX-domain socket.
    pub fn unix(path: &Path, script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                script(Peer::unix(stream.unwrap(), tell.clone()));
            }
        });
        Self {
            nexthop: format!("unix:{}", path.display()),
            told: Mutex::new(told),
        }
    }

    /// The next thing that a script told.
    pub fn told(&self) -> String {
        self.told
            .lock()
            .unwrap()
            .recv_timeout(PATIENCE)
            .expect("the server says nothing")
    }

    /// Returns the lines that scripts told and that are not taken yet.
    pub fn rest(&self) -> Vec<String> {
        self.told.lock().unwrap().try_iter().collect()
    }

    /// A port of 127.0.0.1 where nobody listens.
    pub fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port())
    }
}

/// A DNS server that knows one address for every name, and gives it over TCP
/// only: over UDP it says that the answer does not fit.
pub fn truncating_dns() -> SocketAddr {
    let stream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stream.local_addr().unwrap();
    let datagrams = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((count, from)) = datagrams.recv_from(&mut question) {
            datagrams
                .send_to(&dns_reply(&question[..count], true), from)
                .unwrap();
        }
    });
    thread::spawn(move || {
        for stream in stream.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            let reply = dns_reply(&question, false);
            // In pieces, as a slow server sends it.
            stream
                .write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes())
                .unwrap();
            for piece in reply.chunks(7) {
                stream.write_all(piece).unwrap();
            }
        }
    });
    address
}

/// A reply to the question: its first section, and for type A one record.
fn dns_reply(question: &[u8], truncated: bool) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += 1 + usize::from(question[end]);
    }
    let is_a = question[end + 1..end + 3] == [0, 1];
    let count = u8::from(is_a && !truncated);
    let flags = if truncated { 0x86 } else { 0x84 };
    let mut reply = question[..2].to_vec();
    reply.extend([flags, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend(&question[12..end + 5]);
    if count == 1 {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(Ipv4Addr::LOCALHOST.octets());
    }
    reply
}

/// A policy from lines of main.cf, with the given name servers.
pub fn policy(settings: &str, servers: Vec<SocketAddr>) -> Arc<Policy> {
    let settings = format!("myhostname = client.example\n{settings}\n");
    let main_cf = MainCf::parse(&settings, "main.cf", Path::new("/")).unwrap();
    let resolver = ResolverConfig {
        servers,
        ..ResolverConfig::default()
    };
    Arc::new(compile(&main_cf, resolver, &[]).unwrap())
}

/// A request for this many recipients.
pub fn request(protocol: Protocol, nexthop: &str, recipients: usize) -> Request {
    let recipient = |n| Recipient::new(Address::parse(&format!("user{n}@example.com")).unwrap());
    let sender = ReversePath::parse("sender@example.org").unwrap();
    let mut request = Request::new(
        protocol,
        nexthop.parse().unwrap(),
        sender,
        (0..recipients).map(recipient).collect(),
    );
    // Nothing is to be converted for a server without 8BITMIME.
    request.encoding = Encoding::SevenBit;
    request
}
