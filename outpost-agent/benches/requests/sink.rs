//! A server that takes every message.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

pub(crate) struct Sink {
    port: u16,
}

/// Answers to commands, by their first letters.
const REPLIES: &[(&str, &str)] = &[
    (
        "EHLO",
        "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 SIZE\r\n",
    ),
    ("MAIL", "250 2.1.0 Ok\r\n"),
    ("RCPT", "250 2.1.5 Ok\r\n"),
    ("DATA", "354 End data with <CR><LF>.<CR><LF>\r\n"),
    ("RSET", "250 2.0.0 Ok\r\n"),
    ("QUIT", "221 2.0.0 Bye\r\n"),
];

impl Sink {
    pub(crate) fn start(tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = tls.then(config);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                // The client may leave at any time.
                thread::spawn(move || greet(stream, config).unwrap_or_default());
            }
        });
        Self { port }
    }

    pub(crate) fn nexthop(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }
}

fn config() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["sink.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

fn greet(mut stream: TcpStream, config: Option<Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.test ESMTP\r\n")?;
    let Some(config) = config else {
        return serve(stream);
    };
    let mut line = String::new();
    // Byte by byte: what comes after STARTTLS is no text.
    for reply in [
        "250-sink.test\r\n250 STARTTLS\r\n",
        "220 2.0.0 Ready to start TLS\r\n",
    ] {
        line.clear();
        while !line.ends_with('\n') {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.push(char::from(byte[0]));
        }
        stream.write_all(reply.as_bytes())?;
    }
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    serve(StreamOwned::new(connection, stream))
}

/// Answers all that has come at once, as servers with PIPELINING do.
fn serve(stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(16 * 1024, stream);
    let (mut line, mut replies, mut in_text) = (Vec::new(), String::new(), false);
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line);
        if in_text {
            if command == ".\r\n" {
                in_text = false;
                replies += "250 2.0.0 Ok: queued\r\n";
            }
        } else {
            in_text = command.starts_with("DATA");
            let row = REPLIES
                .iter()
                .find(|(letters, _)| command.starts_with(letters));
            replies += row.map_or("502 5.5.2 Error\r\n", |(_, reply)| reply);
        }
        if stream.buffer().is_empty() && !replies.is_empty() {
            stream.get_mut().write_all(replies.as_bytes())?;
            stream.get_mut().flush()?;
            replies.clear();
        }
    }
}
