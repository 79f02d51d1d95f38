//! The worker of a guard: it serves all requests, on one thread as long as nothing has to be waited for that cannot be waited for
//! together with everything else. For that, another thread takes over.

use std::{
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream as System},
    },
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use futures_util::FutureExt;
use postfix_ipc::{
    attr::List,
    request::{DeliveryRequest, FinalReply, RequestError, RequestReader},
};
use runtime_tokio::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
    runtime::Builder,
    task::{JoinSet, block_in_place},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    agent::Agent,
    fatal::{FATAL_PAUSE, Fatal, words},
    log,
    order::Begun,
    poll,
    shared::Leash,
    watchdog::Watched,
};

/// The room for a request. Longer ones are read in pieces.
const ROOM: usize = 4096;
/// The time until a thread ends that nobody needs: another might not be had when it is needed again.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves requests, no more than `limit` at once, until there is a reason to go; then finishes what is under way.
///
/// # Errors
/// The system refuses what is needed to begin.
pub(crate) fn work(agent: &Arc<Agent>, leash: Leash, limit: Option<u32>) -> Result<(), Fatal> {
    let failed = |error: &dyn std::fmt::Display| Fatal::new(format!("worker: {error}"));
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("requests")
        .thread_keep_alive(KEEP)
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    // The thread that takes over is there before threads become scarce.
    runtime.spawn_blocking(|| {});
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let agent = Arc::clone(agent);
    // In a task, since what waits for the end of tasks has a thread of its own.
    let work = runtime.spawn(async move {
        let client = Client::new(Arc::clone(&agent.policy));
        let worker = Arc::new(Worker {
            agent,
            client,
            limit,
        });
        worker.run(leash).await
    });
    runtime
        .block_on(work)
        .unwrap_or_else(|error| Err(failed(&error)))
}

struct Worker {
    agent: Arc<Agent>,
    client: Client,
    /// The most requests at once.
    limit: usize,
}

/// The doors of a worker.
struct Doors {
    listener: UnixListener,
    /// The listener, as tokio watches it: a socket of which nothing but readiness matters. A table may have changed before anything
    /// is accepted.
    bell: UnixStream,
    /// Ends with the guard.
    leash: UnixStream,
}

impl Doors {
    fn new(leash: &Leash) -> io::Result<Self> {
        let guard = leash.stream.try_clone()?;
        guard.set_nonblocking(true)?;
        let listener = leash.listener.try_clone()?;
        Ok(Self {
            bell: UnixStream::from_std(OwnedFd::from(listener.try_clone()?).into())?,
            listener,
            leash: UnixStream::from_std(guard)?,
        })
    }
}

/// The result of a look at the listener.
enum Look {
    Request(System),
    /// Another process was faster, or the other end has gone.
    Nothing,
    /// Nothing can be accepted for now.
    Refused,
    /// There is a reason to go.
    Leave,
}

impl Worker {
    async fn run(self: Arc<Self>, mut leash: Leash) -> Result<(), Fatal> {
        let doors = Doors::new(&leash).map_err(|error| Fatal::new(format!("worker: {error}")))?;
        let mut requests = JoinSet::new();
        let result = self.accept(&doors, &mut leash, &mut requests).await;
        leash.tell_leaving();
        while requests.join_next().await.is_some() {}
        self.client.hang_up();
        result
    }

    /// Accepts requests until there is a reason to go.
    async fn accept(
        self: &Arc<Self>,
        doors: &Doors,
        leash: &mut Leash,
        requests: &mut JoinSet<()>,
    ) -> Result<(), Fatal> {
        let most = u64::try_from(self.limit)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.agent.max_use().into());
        let (mut served, mut idle_since) = (0, Instant::now());
        while served < most {
            let (is_idle, is_full) = (requests.is_empty(), requests.len() >= self.limit);
            let look = tokio::select! {
                biased;
                // The guard is gone.
                _ = doors.leash.readable() => return Ok(()),
                Some(_) = requests.join_next() => {
                    idle_since = Instant::now();
                    continue;
                }
                _ = doors.bell.readable(), if !is_full => self.look(doors)?,
                () = sleep_until(idle_since + self.agent.max_idle()), if is_idle => return Ok(()),
            };
            match look {
                Look::Nothing => {}
                Look::Leave => return Ok(()),
                Look::Refused => tokio::select! {
                    _ = doors.leash.readable() => return Ok(()),
                    () = sleep(poll::PAUSE) => {}
                },
                Look::Request(stream) => {
                    let worker = Arc::clone(self);
                    requests.spawn(async move { worker.serve(stream).await });
                    if served == 0 {
                        leash.tell_served();
                    }
                    served += 1;
                }
            }
        }
        Ok(())
    }

    /// Accepts a connection that may be there, unless a table has changed.
    ///
    /// # Errors
    /// A table of proxymap(8) is refused by now.
    fn look(&self, doors: &Doors) -> Result<Look, Fatal> {
        let agent = &self.agent;
        let _watched = agent.watchdog.watch();
        if agent.is_outdated()? {
            return Ok(Look::Leave);
        }
        let accept = || doors.listener.accept();
        Ok(match doors.bell.try_io(Interest::READABLE, accept) {
            Ok((stream, _)) => Look::Request(stream),
            Err(error) if poll::is_passing(&error) => Look::Nothing,
            Err(error) => {
                agent
                    .log
                    .error(format_args!("accept connection: {}", words(&error)));
                Look::Refused
            }
        })
    }

    /// Serves one connection to its end.
    async fn serve(&self, stream: System) {
        let watched = self.agent.watchdog.watch();
        let done = async {
            let mut stream = greet(stream)?;
            if let Err(fatal) = self.converse(&mut stream, &watched).await? {
                // It would end a process that has no other request. The queue manager hears of it no sooner: what is wrong may
                // be wrong with many messages.
                self.agent.log.error(fatal);
                sleep(FATAL_PAUSE).await;
            }
            io::Result::Ok(())
        };
        if let Err(error) = done.await {
            self.agent.lost(&error);
        }
    }

    async fn converse(
        &self,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Result<(), Fatal>> {
        let Some(heard) = self.read(stream, watched).await? else {
            return Ok(Ok(()));
        };
        let reply = match self.agent.understand(heard) {
            Some(request) => match self.handle(request, watched).await {
                Ok(reply) => reply.encode(),
                Err(fatal) => return Ok(Err(fatal)),
            },
            None => FinalReply::deferred().encode(),
        };
        // Whoever has asked may be gone by now, as after a reload. The marks say what is done.
        let written = timeout(self.agent.ipc_timeout(), stream.write_all(&reply)).await;
        if let Ok(Ok(())) = written {
            let _ = stream.readable().await;
        }
        if self.agent.log.is_behind() {
            block_in_place(|| self.agent.log.flush(log::PATIENCE));
        }
        Ok(Ok(()))
    }

    /// Reads a request, for whose begin it waits as long as it takes; `None` if the queue manager has changed its mind.
    async fn read(
        &self,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Option<Result<DeliveryRequest, RequestError>>> {
        let mut reader = RequestReader::new(format!("{} socket", self.agent.service));
        let mut bytes = BytesMut::with_capacity(ROOM);
        let mut length = stream.read_buf(&mut bytes).await?;
        while length > 0 {
            watched.beat();
            reader.push(&bytes);
            bytes.clear();
            match reader.next_request() {
                Ok(None) => {}
                Ok(Some(request)) => return Ok(Some(Ok(request))),
                Err(error) => return Ok(Some(Err(error))),
            }
            length = match timeout(self.agent.ipc_timeout(), stream.read_buf(&mut bytes)).await {
                Ok(length) => length?,
                Err(_) => return Ok(Some(Err(reader.timed_out()))),
            };
        }
        Ok(reader.ended().map(Err))
    }

    /// Delivers a request. One whose delivery panics, which a correct program does not do, is tried again later.
    async fn handle(
        &self,
        request: DeliveryRequest,
        watched: &Watched,
    ) -> Result<FinalReply, Fatal> {
        let id = request.head.queue_id.to_string();
        let delivery = async {
            Ok(match self.agent.begin(request, watched.pulse())? {
                Begun::Over(reply) => *reply,
                Begun::Order(order) => {
                    let delivery =
                        self.client
                            .deliver_whole(order.request, order.text, order.reporter);
                    delivery.await;
                    order.books.close()
                }
            })
        };
        // What it shares with others is behind locks that nobody leaves half done.
        let delivered = AssertUnwindSafe(delivery).catch_unwind().await;
        delivered.unwrap_or_else(|_| Ok(self.agent.panicked(&id)))
    }
}

/// Greets a new connection, which has room for that.
fn greet(mut stream: System) -> io::Result<UnixStream> {
    stream.write_all(&DeliveryRequest::greeting())?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
