//! The scripted DNS server on real sockets: UDP and TCP on one address.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::dns_server::Zone;

/// How long a client may take for a question over TCP.
const STREAM_LIMIT: Duration = Duration::from_secs(5);

/// A DNS server that is running.
#[derive(Debug)]
pub(super) struct DnsHost {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl DnsHost {
    pub(super) fn start(zone: Zone, address: SocketAddr) -> io::Result<DnsHost> {
        let udp = UdpSocket::bind(address)?;
        let tcp = TcpListener::bind(address)?;
        let zone = Arc::new(zone);
        let stop = Arc::new(AtomicBool::new(false));
        let mut host = DnsHost {
            address,
            stop,
            threads: Vec::new(),
        };
        let (own, stop) = (Arc::clone(&zone), Arc::clone(&host.stop));
        let work = move || datagrams(&udp, &own, &stop);
        host.threads.push(std::thread::Builder::new().spawn(work)?);
        let stop = Arc::clone(&host.stop);
        let work = move || streams(&tcp, &zone, &stop);
        host.threads.push(std::thread::Builder::new().spawn(work)?);
        Ok(host)
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        // Both threads wait for somebody to come.
        let local: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let knocked = UdpSocket::bind((local, 0))
            .and_then(|socket| socket.send_to(&[], self.address))
            .and_then(|_| TcpStream::connect(self.address));
        if knocked.is_ok() {
            for thread in self.threads {
                let _ = thread.join();
            }
        }
    }
}

fn datagrams(socket: &UdpSocket, zone: &Zone, stop: &AtomicBool) {
    let mut question = [0; 65_536];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, peer)) = socket.recv_from(&mut question) else {
            continue;
        };
        let question = question.get(..length).unwrap_or_default();
        if let Some(answer) = zone.answer(question, false) {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn streams(listener: &TcpListener, zone: &Arc<Zone>, stop: &AtomicBool) {
    loop {
        let arrival = listener.accept();
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = arrival else { continue };
        let zone = Arc::clone(zone);
        // A client that gets no answer asks again.
        let _ = std::thread::Builder::new().spawn(move || stream_questions(stream, &zone));
    }
}

/// Answers the questions of one connection until it ends.
fn stream_questions(mut stream: TcpStream, zone: &Zone) -> io::Result<()> {
    stream.set_read_timeout(Some(STREAM_LIMIT))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question)?;
        if let Some(answer) = zone.answer(&question, true) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
        }
    }
}
