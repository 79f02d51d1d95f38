//! One connection of the queue manager: a request, its delivery, the reply (`src/global/deliver_request.c`), in a process that has
//! no other.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use postfix_ipc::{
    attr::List,
    request::{DeliveryRequest, FinalReply, RequestError, RequestReader},
};
use runtime_blocking::Client;

use crate::{agent::Agent, fatal::Fatal, log, order::Begun, watchdog::Watched};

impl Agent {
    /// Serves one connection to its end.
    ///
    /// # Errors
    /// A fault that ends a process of Postfix: the queue file can be neither opened nor locked. There is no reply then; the
    /// queue manager sees the end of the connection.
    pub(crate) fn serve(
        self: &Arc<Self>,
        client: &Client,
        stream: &mut UnixStream,
    ) -> Result<(), Fatal> {
        self.converse(client, stream, &self.watchdog.watch())
            .unwrap_or_else(|error| {
                self.lost(&error);
                Ok(())
            })
    }

    fn converse(
        self: &Arc<Self>,
        client: &Client,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Result<(), Fatal>> {
        // This and the reply are all that is written here, and there is room for both.
        stream.write_all(&DeliveryRequest::greeting())?;
        let Some(heard) = self.read(stream, watched)? else {
            return Ok(Ok(()));
        };
        let reply = match self.understand(heard) {
            Some(request) => match self.handle(client, request, watched) {
                Ok(reply) => reply,
                Err(fatal) => return Ok(Err(fatal)),
            },
            None => FinalReply::deferred(),
        };
        // Whoever has asked may be gone by now, as after a reload. The marks say what is done.
        if stream.write_all(&reply.encode()).is_ok() {
            let _ = stream.read(&mut [0]);
        }
        self.log.flush(log::PATIENCE);
        Ok(Ok(()))
    }

    /// Reads a request, for whose begin it waits as long as it takes; `None` if the queue manager has changed its mind.
    fn read(
        &self,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Option<Result<DeliveryRequest, RequestError>>> {
        let mut reader = RequestReader::new(format!("{} socket", self.service));
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return Ok(reader.ended().map(Err)),
                Ok(length) => {
                    watched.beat();
                    reader.push(bytes.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Err(reader.timed_out())));
                }
                Err(error) => return Err(error),
            }
            match reader.next_request() {
                Ok(None) => stream.set_read_timeout(Some(self.ipc_timeout()))?,
                Ok(Some(request)) => return Ok(Some(Ok(request))),
                Err(error) => return Ok(Some(Err(error))),
            }
        }
    }

    /// Delivers a request. One whose delivery panics, which a correct program does not do, is tried again later.
    fn handle(
        self: &Arc<Self>,
        client: &Client,
        request: DeliveryRequest,
        watched: &Watched,
    ) -> Result<FinalReply, Fatal> {
        let id = request.head.queue_id.to_string();
        let delivery = || {
            Ok(match self.begin(request, watched.pulse())? {
                Begun::Over(reply) => *reply,
                Begun::Order(order) => {
                    client.deliver_whole(order.request, order.text, order.reporter);
                    order.books.close()
                }
            })
        };
        // What it shares with others is behind locks that nobody leaves half done.
        panic::catch_unwind(AssertUnwindSafe(delivery)).unwrap_or_else(|_| Ok(self.panicked(&id)))
    }
}
