//! One face for the three runtimes.

use std::{sync::Arc, thread};

use anyhow::Context;
use futures_util::{StreamExt, stream::FuturesUnordered};
use smtp_policy::{
    delivery::Observer, policy::Policy, report::Report, request::Request, text::TextSource,
};

use crate::{cli::Runtime, output::complain};

/// A client on the runtime that the user chose.
pub(crate) enum Worker {
    /// On tokio, whose runtime it owns.
    Tokio(tokio::runtime::Runtime, runtime_tokio::Client),
    /// On smol.
    Smol(runtime_smol::Client),
    /// On the calling thread.
    Blocking(runtime_blocking::Client),
}

impl Worker {
    /// Starts the runtime and makes its client.
    ///
    /// # Errors
    /// The operating system refuses threads or polling.
    pub(crate) fn start(runtime: Runtime, policy: Arc<Policy>) -> anyhow::Result<Self> {
        Ok(match runtime {
            Runtime::Tokio => Self::Tokio(
                tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()
                    .context("cannot start tokio")?,
                runtime_tokio::Client::new(policy),
            ),
            Runtime::Smol => {
                runtime_smol::start_reactor().context("cannot start smol")?;
                Self::Smol(runtime_smol::Client::new(policy))
            }
            Runtime::Blocking => Self::Blocking(runtime_blocking::Client::new(policy)),
        })
    }

    /// The same for [lanes](Self::run_lanes), which share the thread that runs them: with
    /// tokio, that one also looks after the sockets.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub(crate) fn start_for_lanes(runtime: Runtime, policy: Arc<Policy>) -> anyhow::Result<Self> {
        if runtime != Runtime::Tokio {
            return Self::start(runtime, policy);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start tokio")?;
        Ok(Self::Tokio(runtime, runtime_tokio::Client::new(policy)))
    }

    /// Delivers one request, in as many deliveries as the recipient limit demands;
    /// returns when every recipient is settled.
    pub(crate) fn deliver(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        match self {
            Self::Tokio(runtime, client) => {
                runtime.block_on(client.deliver(request, text, observer))
            }
            Self::Smol(client) => smol::block_on(client.deliver(request, text, observer)),
            Self::Blocking(client) => client.deliver(request, text, observer),
        }
    }

    /// Runs so many lanes of work to their end: tasks on this thread, or threads where the
    /// runtime has no tasks.
    pub(crate) fn run_lanes<F: Future<Output = ()>>(
        &self,
        count: usize,
        lane: impl Fn() -> F + Sync,
    ) {
        let lanes = || -> FuturesUnordered<F> { (0..count).map(|_| lane()).collect() };
        match self {
            Self::Tokio(runtime, _) => runtime.block_on(lanes().collect::<()>()),
            Self::Smol(_) => smol::block_on(lanes().collect::<()>()),
            Self::Blocking(_) => threads(count, || smol::future::block_on(lane())),
        }
    }

    /// Delivers one request in a lane, in a single delivery if it is to be `whole`.
    pub(crate) async fn deliver_in_lane(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
        whole: bool,
    ) -> Report {
        match (self, whole) {
            (Self::Tokio(_, client), false) => client.deliver(request, text, observer).await,
            (Self::Tokio(_, client), true) => client.deliver_whole(request, text, observer).await,
            (Self::Smol(client), false) => client.deliver(request, text, observer).await,
            (Self::Smol(client), true) => client.deliver_whole(request, text, observer).await,
            (Self::Blocking(client), false) => client.deliver(request, text, observer),
            (Self::Blocking(client), true) => client.deliver_whole(request, text, observer),
        }
    }

    /// Returns a function that cancels all deliveries cleanly, from any thread.
    pub(crate) fn canceller(&self) -> Box<dyn Fn() + Send> {
        match self {
            Self::Tokio(_, client) => {
                let client = client.clone();
                Box::new(move || client.cancel())
            }
            Self::Smol(client) => {
                let client = client.clone();
                Box::new(move || client.cancel())
            }
            Self::Blocking(client) => {
                let client = client.clone();
                Box::new(move || client.cancel())
            }
        }
    }

    /// Closes the connections that were kept, without QUIT: Postfix's processes say none
    /// when they end either.
    pub(crate) fn close(self) {
        match self {
            Self::Tokio(_, client) => client.hang_up(),
            Self::Smol(client) => client.hang_up(),
            Self::Blocking(client) => client.hang_up(),
        }
    }
}

/// Works on the calling thread, and on as many others as are needed.
fn threads(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for number in 1..count {
            let thread = thread::Builder::new().name(format!("delivery-{number}"));
            if let Err(error) = thread.spawn_scoped(scope, &work) {
                let warning = "warning: the system refuses threads, so that there are at most";
                complain(format_args!(
                    "{warning} {number} deliveries at once: {error}"
                ));
                break;
            }
        }
        work();
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::{
        path::Path,
        sync::{
            Mutex,
            mpsc::{self, Receiver, Sender},
        },
        thread,
    };

    use postfix_config::{MainCf, compile};
    use smtp_policy::{
        Protocol,
        dns::ResolverConfig,
        report::Status,
        request::Recipient,
        tables::{Table, TableFailure},
    };
    use smtp_proto::address::{Address, ReversePath};

    use super::*;

    /// A table that says when it is asked, and waits until it may answer.
    #[derive(Debug)]
    struct Slow {
        asked: Sender<()>,
        may_answer: Mutex<Receiver<()>>,
    }

    impl Table for Slow {
        fn lookup(&self, _: &str) -> Result<Option<String>, TableFailure> {
            self.asked.send(()).unwrap();
            let let_go = self.may_answer.lock().unwrap().recv();
            panic!("answered: {let_go:?}")
        }
    }

    fn request() -> Request {
        let to = Recipient::new(Address::parse("a@example.com").unwrap());
        Request::new(
            Protocol::Smtp,
            "[127.0.0.1]:1".parse().unwrap(),
            ReversePath::Null,
            vec![to],
        )
    }

    #[test]
    fn the_end_does_not_wait_for_a_table_that_is_still_being_asked() {
        for runtime in [Runtime::Tokio, Runtime::Smol, Runtime::Blocking] {
            let main_cf = "smtp_tls_policy_maps = external:slow\n";
            let main_cf = MainCf::parse(main_cf, "main.cf", Path::new(".")).unwrap();
            let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
            let worker = Worker::start(runtime, Arc::new(policy)).unwrap();
            let (asked, is_asked) = mpsc::channel();
            let (lets_go, may_answer) = mpsc::channel::<()>();
            let table = Arc::new(Slow {
                asked,
                may_answer: Mutex::new(may_answer),
            });
            match &worker {
                Worker::Tokio(_, client) => client.add_table("slow", table),
                Worker::Smol(client) => client.add_table("slow", table),
                Worker::Blocking(client) => client.add_table("slow", table),
            }
            let cancel = worker.canceller();
            let canceller = thread::spawn(move || {
                is_asked.recv().unwrap();
                cancel();
            });
            let report = worker.deliver(request(), bytes::Bytes::new(), ());
            assert!(report.all(Status::Deferred), "{runtime:?}: {report:?}");
            canceller.join().unwrap();
            worker.close();
            // Only now may the table answer.
            drop(lets_go);
        }
    }
}
