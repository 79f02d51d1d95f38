//! One connection of a host: a thread that does what the state machine says.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smtp_proto::Time;
use socket2::Socket;

use super::listen::reset_on_close;
use super::{Shared, lock};
use crate::server::{ServerConfig, ServerConnection, ServerStep};

/// How long a write may take before the server gives it up.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// The shortest time limit that a socket takes.
const TICK: Duration = Duration::from_millis(1);
/// How often a server that does not read looks whether the client has finished.
const GLANCE: Duration = Duration::from_millis(20);

/// Writes the connection down and serves it on a thread of its own.
pub(super) fn serve(
    stream: Socket,
    peer: &str,
    config: &Arc<ServerConfig>,
    number: u32,
    shared: &Arc<Shared>,
) {
    let connection = ServerConnection::new(Arc::clone(config), number, peer, shared.now());
    let connection = Arc::new(Mutex::new(connection));
    let mut state = shared.lock();
    state.connections.push(Arc::clone(&connection));
    state.running += 1;
    drop(state);
    let own = Arc::clone(shared);
    let work = move || {
        talk(stream, &connection, &own);
        finished(&own);
    };
    if std::thread::Builder::new().spawn(work).is_err() {
        finished(shared);
    }
}

fn finished(shared: &Shared) {
    let mut state = shared.lock();
    state.running = state.running.saturating_sub(1);
    shared.changed.notify_all();
}

fn talk(mut stream: Socket, connection: &Mutex<ServerConnection>, shared: &Shared) {
    loop {
        let step = lock(connection).poll(shared.now());
        // A client that has gone shows when reading; what cannot be written or
        // set before is of no interest.
        match step {
            ServerStep::Send(bytes) => {
                let _ = stream.set_write_timeout(Some(WRITE_LIMIT));
                let _ = stream.write_all(&bytes);
            }
            ServerStep::Wait { until } => listen(&mut stream, connection, shared, until),
            ServerStep::Stall { until } => {
                let left = until.since(shared.now()).min(GLANCE);
                std::thread::sleep(left.max(TICK));
                if shared.lock().finishing {
                    lock(connection).disconnected();
                }
            }
            ServerStep::Shutdown => {
                let _ = stream.shutdown(Shutdown::Write);
            }
            ServerStep::Reset => {
                let _ = reset_on_close(&stream);
                return;
            }
            ServerStep::Close => return,
        }
    }
}

/// Reads once, for no longer than until the given time.
fn listen(stream: &mut Socket, connection: &Mutex<ServerConnection>, shared: &Shared, until: Time) {
    let limit = until.since(shared.now()).max(TICK);
    let mut buffer = [0; 64 * 1024];
    let result = stream
        .set_read_timeout(Some(limit))
        .and_then(|()| stream.read(&mut buffer));
    let mut connection = lock(connection);
    match result {
        Ok(0) => connection.disconnected(),
        Ok(count) => {
            connection.receive(shared.now(), buffer.get(..count).unwrap_or_default());
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
            _ => connection.disconnected(),
        },
    }
}
