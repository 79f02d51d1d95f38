//! The endpoints of a host: they bind, accept, and hand connections over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::Shared;
use super::serve::serve;
use crate::scenario::{Accept, Endpoint};
use crate::server::ServerConfig;

/// How many connections fill the queue of an endpoint that answers nobody.
const STUFFERS: usize = 4;
/// How long these connections take to arrive.
const STUFFING: Duration = Duration::from_millis(50);
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// An endpoint that is open.
#[derive(Debug)]
pub(super) struct Listening {
    address: SockAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the queue of an endpoint full that answers nobody.
    _stuffing: Vec<Socket>,
}

impl Listening {
    pub(super) fn start(
        endpoint: &Endpoint,
        config: Arc<ServerConfig>,
        shared: &Arc<Shared>,
    ) -> io::Result<Listening> {
        let stop = Arc::new(AtomicBool::new(false));
        let (socket, address) = bind(endpoint)?;
        let mut listening = Listening {
            address,
            stop,
            thread: None,
            _stuffing: Vec::new(),
        };
        if config.script.accept == Some(Accept::Stall) {
            socket.listen(0)?;
            listening._stuffing = stuff(socket, &listening.address)?;
            return Ok(listening);
        }
        socket.listen(BACKLOG)?;
        let (shared, stop) = (Arc::clone(shared), Arc::clone(&listening.stop));
        let work = move || accept_all(&socket, &config, &shared, &stop);
        listening.thread = Some(std::thread::Builder::new().spawn(work)?);
        Ok(listening)
    }

    /// Closes the port.
    pub(super) fn stop(self) {
        let Some(thread) = self.thread else { return };
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits in accept(2), so somebody has to come. That nobody can
        // means that the port has been closed already.
        let came = Socket::new(self.address.domain(), Type::STREAM, None)
            .and_then(|socket| socket.connect(&self.address));
        if came.is_ok() || thread.is_finished() {
            let _ = thread.join();
        }
    }
}

fn bind(endpoint: &Endpoint) -> io::Result<(Socket, SockAddr)> {
    let (domain, address) = match endpoint {
        Endpoint::Inet(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Endpoint::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    match endpoint {
        Endpoint::Inet(_) => socket.set_reuse_address(true)?,
        Endpoint::Unix(path) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{endpoint:?}: {error}"));
    socket.bind(&address).map_err(explain)?;
    Ok((socket, address))
}

/// Fills the queue of a listening socket.
fn stuff(listener: Socket, address: &SockAddr) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for _ in 0..STUFFERS {
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // That the connection is not there at once is the point.
        let _ = socket.connect(address);
        sockets.push(socket);
    }
    std::thread::sleep(STUFFING);
    sockets.push(listener);
    Ok(sockets)
}

/// Accepts a connection, and says from which address it comes. A Unix-domain socket has none.
fn accept(listener: &Socket) -> io::Result<(Socket, String)> {
    let (stream, peer) = loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    let Some(peer) = peer.as_socket() else {
        return Ok((stream, String::new()));
    };
    stream.set_tcp_nodelay(true)?;
    Ok((stream, peer.ip().to_string()))
}

/// Accepts connections until it is told to stop or has had enough of them.
fn accept_all(
    listener: &Socket,
    config: &Arc<ServerConfig>,
    shared: &Arc<Shared>,
    stop: &AtomicBool,
) {
    let mut accepted = 0_u32;
    loop {
        let arrival = accept(listener);
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, peer)) = arrival else { return };
        accepted = accepted.saturating_add(1);
        serve(stream, &peer, config, accepted, shared);
        if config
            .script
            .max_sessions
            .is_some_and(|most| accepted >= most)
        {
            return;
        }
    }
}

/// Has the socket answer with a reset when it is closed. A Unix-domain socket cannot.
pub(super) fn reset_on_close(stream: &Socket) -> io::Result<()> {
    match stream.local_addr()?.as_socket() {
        Some(_) => stream.set_linger(Some(Duration::ZERO)),
        None => Ok(()),
    }
}
