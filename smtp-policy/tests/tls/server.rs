//! A server in memory: SMTP, STARTTLS, and what can go wrong with it.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection};

/// What a server does about TLS.
#[derive(Clone)]
pub enum Offer {
    /// It does not offer STARTTLS.
    Nothing,
    /// It starts TLS.
    StartTls(Arc<ServerConfig>),
    /// It starts TLS, and offers REQUIRETLS inside.
    RequireTls(Arc<ServerConfig>),
    /// It offers STARTTLS, and says this to it.
    Refuse(&'static str),
    /// It answers the handshake with a line of text.
    Garbage,
    /// It takes the handshake and says nothing.
    Stall,
    /// It closes after its reply to STARTTLS.
    Close,
    /// It adds a line to its reply to STARTTLS.
    Inject(Arc<ServerConfig>),
    /// TLS comes first.
    Wrapped(Arc<ServerConfig>),
    /// It starts TLS, and offers these mechanisms inside.
    Login(Arc<ServerConfig>, &'static str),
    /// It starts TLS, and closes when it hears MAIL inside.
    CloseAtMail(Arc<ServerConfig>),
}

/// One connection as the server sees it.
pub struct Server {
    offer: Offer,
    tls: Option<ServerConnection>,
    input: Vec<u8>,
    /// What is on the wire to the client.
    pub wire: Vec<u8>,
    in_text: bool,
    pub open: bool,
    /// Lines that came in plaintext, and inside TLS.
    pub plain: Vec<String>,
    pub secret: Vec<String>,
    /// What the client asked for by SNI.
    pub sni: Option<String>,
    /// The client's certificate.
    pub client: Option<Vec<u8>>,
    deaf: bool,
    /// The client has ended its side of TLS.
    pub goodbye: bool,
    /// What the client has said since AUTH.
    exchange: Vec<String>,
}

impl Server {
    pub fn new(offer: &Offer) -> Self {
        let mut server = Self {
            offer: offer.clone(),
            tls: None,
            input: Vec::new(),
            wire: Vec::new(),
            in_text: false,
            open: true,
            plain: Vec::new(),
            secret: Vec::new(),
            sni: None,
            client: None,
            deaf: false,
            goodbye: false,
            exchange: Vec::new(),
        };
        if let Offer::Wrapped(config) = offer {
            server.tls = Some(ServerConnection::new(Arc::clone(config)).unwrap());
        }
        server.say("220 mx ESMTP");
        server
    }

    /// Takes what the client wrote.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.deaf || (!self.open && self.tls.is_none()) {
            return;
        }
        if matches!(self.offer, Offer::Garbage) && self.plain.iter().any(|line| line == "STARTTLS")
        {
            self.wire.extend_from_slice(b"what is this?\r\n");
            self.open = false;
            return;
        }
        match &mut self.tls {
            Some(tls) => {
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    if tls.read_tls(&mut bytes).unwrap() == 0 {
                        break;
                    }
                    if tls.process_new_packets().is_err() {
                        self.open = false;
                        break;
                    }
                }
                let mut plain = Vec::new();
                self.goodbye |= tls.reader().read_to_end(&mut plain).is_ok();
                self.sni = tls.server_name().map(str::to_owned);
                self.client = tls.peer_certificates().map(|chain| chain[0].to_vec());
                self.input.extend_from_slice(&plain);
            }
            None => self.input.extend_from_slice(bytes),
        }
        self.lines();
        self.flush();
    }

    /// Says a line that nobody asked for.
    pub fn mutter(&mut self, line: &str) {
        self.say(line);
        self.flush();
    }

    fn lines(&mut self) {
        while self.open
            && let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n")
        {
            let line: Vec<u8> = self.input.drain(..end + 2).collect();
            let line = String::from_utf8(line[..end].to_vec()).unwrap();
            let heard = if self.tls.is_some() {
                &mut self.secret
            } else {
                &mut self.plain
            };
            heard.push(line.clone());
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        if line.starts_with("AUTH ") || !self.exchange.is_empty() {
            return self.log_in(line);
        }
        if self.in_text {
            if line == "." {
                self.in_text = false;
                self.say("250 2.0.0 queued");
            }
            return;
        }
        match line.split(' ').next().unwrap() {
            "EHLO" if self.tls.is_some() && matches!(self.offer, Offer::RequireTls(_)) => {
                self.say("250-mx\r\n250-PIPELINING\r\n250 REQUIRETLS");
            }
            "EHLO" if self.tls.is_some() && matches!(self.offer, Offer::Login(..)) => {
                if let Offer::Login(_, mechanisms) = self.offer {
                    self.say(&format!("250-mx\r\n250 AUTH {mechanisms}"));
                }
            }
            "EHLO" if self.tls.is_some() || matches!(self.offer, Offer::Nothing) => {
                self.say("250-mx\r\n250 PIPELINING");
            }
            "EHLO" => self.say("250-mx\r\n250-PIPELINING\r\n250 STARTTLS"),
            "STARTTLS" => self.start_tls(),
            "MAIL" if matches!(self.offer, Offer::CloseAtMail(_)) && self.tls.is_some() => {
                self.open = false;
            }
            "DATA" => {
                self.in_text = true;
                self.say("354 go");
            }
            "QUIT" => self.open = false,
            _ => self.say("250 2.1.0 ok"),
        }
    }

    fn start_tls(&mut self) {
        match self.offer.clone() {
            Offer::Refuse(reply) => self.say(reply),
            Offer::StartTls(config)
            | Offer::CloseAtMail(config)
            | Offer::RequireTls(config)
            | Offer::Login(config, _) => {
                self.begin("220 go", config);
            }
            Offer::Inject(config) => self.begin("220 go\r\n250-mx.evil\r\n250 AUTH PLAIN", config),
            Offer::Stall => {
                self.say("220 go");
                self.deaf = true;
            }
            Offer::Close => {
                self.say("220 go");
                self.open = false;
            }
            _ => self.say("220 go"),
        }
    }

    /// SCRAM, with what this end of the connection knows of it.
    fn log_in(&mut self, line: &str) {
        self.exchange.push(line.to_owned());
        let keys = self.tls.as_ref().and_then(|tls| {
            let label = b"EXPORTER-Channel-Binding";
            tls.export_keying_material([0; 32], label, Some(b"")).ok()
        });
        let reply = crate::login::answer(&self.exchange, &keys.unwrap());
        if !reply.starts_with('3') {
            self.exchange.clear();
        }
        self.say(&reply);
    }

    fn begin(&mut self, reply: &str, config: Arc<ServerConfig>) {
        self.say(reply);
        self.tls = Some(ServerConnection::new(config).unwrap());
    }

    fn say(&mut self, reply: &str) {
        let reply = format!("{reply}\r\n");
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(reply.as_bytes()).unwrap(),
            None => self.wire.extend_from_slice(reply.as_bytes()),
        }
    }

    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.wire).unwrap();
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}
