//! The servers of the demonstration: as much SMTP as a client of ours speaks to one without extensions.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A server's way with recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It takes them.
    Open,
    /// It takes them the second time.
    Grey,
    /// It knows none.
    Shut,
}

/// A server, as long as the program runs. Clones are the same.
#[derive(Clone)]
pub(super) struct Server {
    /// The address at which it listens.
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Recipients that were put off.
    strangers: BTreeSet<String>,
    texts: Vec<String>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// There is no port.
    pub(super) async fn start(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Self {
            address: listener.local_addr()?,
            seen: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                // It is over when the client goes away.
                tokio::spawn(async move { serving.talk(stream, manner).await.ok() });
            }
        });
        Ok(server)
    }

    /// The next hop that leads here.
    pub(super) fn nexthop(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// The texts that it has taken.
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen().texts.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn talk(&self, stream: TcpStream, manner: Manner) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 demo.example ESMTP\r\n").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                "RCPT" => self.recipient(line.trim(), manner),
                "DATA" => {
                    stream.write_all(b"354 end it with a dot\r\n").await?;
                    self.text(&mut stream).await?;
                    "250 2.0.0 taken"
                }
                "QUIT" => "221 2.0.0 bye",
                "EHLO" => "250 demo.example",
                "HELO" | "MAIL" | "RSET" | "NOOP" => "250 2.0.0 ok",
                _ => "500 5.5.2 unknown",
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            if verb == "QUIT" {
                return Ok(());
            }
        }
    }

    fn recipient(&self, line: &str, manner: Manner) -> &'static str {
        match manner {
            Manner::Open => "250 2.1.5 ok",
            Manner::Shut => "550 5.1.1 no such mailbox here",
            Manner::Grey if self.seen().strangers.insert(line.to_owned()) => {
                "450 4.7.1 greylisted: come again later"
            }
            Manner::Grey => "250 2.1.5 ok",
        }
    }

    async fn text(&self, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
        let mut text = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.as_str() {
                ".\r\n" => break,
                other => {
                    text += other
                        .strip_prefix('.')
                        .unwrap_or(other)
                        .trim_end_matches("\r\n");
                    text.push('\n');
                }
            }
        }
        self.seen().texts.push(text);
        Ok(())
    }
}
