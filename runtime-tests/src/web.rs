//! A domain with an MTA-STS policy: a name server and a web server for one request.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use postfix_config::{MainCf, compile};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use smtp_policy::{dns::ResolverConfig, policy::Policy, sts::MtaSts};

/// The text of a delivery to example.com if its policy was read, and does not name
/// its mail exchanger.
pub const UNNAMED: &str = "MTA-STS policy of example.com does not name mail exchanger example.com";

/// A policy with MTA-STS for a world where example.com has one, and is its own mail
/// exchanger. With `known`, the web server's authority is.
pub fn policy(known: bool) -> Arc<Policy> {
    let [policy] = policies(known);
    policy
}

/// Several such policies in the same world, whose web server answers one request.
pub fn policies<const N: usize>(known: bool) -> [Arc<Policy>; N] {
    let text = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 60\n";
    let answer = answer("200 OK", "Content-Type: text/plain\r\n", text);
    let web = Web::start("mta-sts.example.com", answer);
    let settings = "myhostname = client.example\ninet_protocols = ipv4\nsmtp_connect_timeout = 1\n\
                    smtp_tls_security_level = encrypt\n";
    let main_cf = MainCf::parse(settings, "main.cf", Path::new("/")).unwrap();
    let resolver = ResolverConfig {
        servers: vec![names()],
        ..ResolverConfig::default()
    };
    std::array::from_fn(|_| {
        let sts = MtaSts::default().with_port(web.port);
        let sts = match known {
            true => sts.with_authorities(vec![web.authority.clone()]),
            false => sts,
        };
        let policy = compile(&main_cf, resolver.clone(), &[]).unwrap();
        Arc::new(policy.with_mta_sts(sts))
    })
}

/// A policy for a client in a world with a web server at `name`, which is on this machine, and answers one request.
pub fn client_of(name: &str, answer: String) -> (Arc<Policy>, Web) {
    let web = Web::start(name, answer);
    let main_cf = MainCf::parse("myhostname = client.example\n", "main.cf", Path::new("/"));
    let resolver = ResolverConfig {
        servers: vec![names()],
        ..ResolverConfig::default()
    };
    let policy = compile(&main_cf.unwrap(), resolver, &[]).unwrap();
    let sts = MtaSts::default().with_authorities(vec![web.authority.clone()]);
    (Arc::new(policy.with_mta_sts(sts)), web)
}

/// A name server: this machine for every name, and a record of MTA-STS.
fn names() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((count, from)) = socket.recv_from(&mut question) {
            socket.send_to(&reply(&question[..count]), from).unwrap();
        }
    });
    address
}

fn reply(question: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += 1 + usize::from(question[end]);
    }
    let data = match question[end + 1..end + 3] {
        [0, 1] => Ipv4Addr::LOCALHOST.octets().to_vec(),
        [0, 16] => [&[14][..], b"v=STSv1; id=1;"].concat(),
        _ => Vec::new(),
    };
    let count = u8::from(!data.is_empty());
    let mut reply = question[..2].to_vec();
    reply.extend([0x84, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend(&question[12..end + 5]);
    if count == 1 {
        reply.extend([0xc0, 12]);
        reply.extend(&question[end + 1..end + 5]);
        reply.extend([0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        reply.extend(data);
    }
    reply
}

/// A web server for one request, with a certificate of its own authority.
pub struct Web {
    pub port: u16,
    /// The certificate of the authority.
    pub authority: Vec<u8>,
    served: JoinHandle<Option<String>>,
}

impl Web {
    /// A server whose certificate is for `name`. `answer` is all that it sends.
    pub fn start(name: &str, answer: String) -> Self {
        let (config, authority) = certified(name);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).ok()?;
                request.extend(byte);
            }
            let _ = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
            String::from_utf8(request).ok()
        });
        Self {
            port,
            authority,
            served,
        }
    }

    /// The request that came, if one did.
    pub fn heard(self) -> Option<String> {
        self.served.join().unwrap()
    }
}

/// An answer of a web server; `more` are further fields of its header.
pub fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n{body}")
}

/// A server with a certificate for `name`, and the certificate of the authority that signed it.
fn certified(name: &str) -> (ServerConfig, Vec<u8>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (config, authority.der().to_vec())
}
