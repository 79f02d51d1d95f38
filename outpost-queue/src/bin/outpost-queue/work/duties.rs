//! A worker's duties besides deliveries: reports, tasks that nobody tries, cleaning up, what workers share.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outpost::{
    Address,
    smtp_policy::{Protocol, request::Nexthop},
};
use outpost_queue::{
    model::DestinationName,
    operation::Purge,
    report::{self, Context},
    shared::Exchange,
    store::{Store, StoreError},
    tlsrpt::{Reporter, Signer},
    worker::{Courier, Duty, Listener, Progress, Worker},
};
use tokio::sync::Mutex;

use crate::settings::Settings;

/// The times between two rounds.
const EXCHANGES: Duration = Duration::from_secs(5);
const PURGES: Duration = Duration::from_secs(60);
/// The most things of a round.
const LIMIT: usize = 100;

/// Gives a worker its duties.
pub(crate) fn with_duties<S: Store, C: Courier, L: Listener>(
    worker: Worker<S, C>,
    store: &S,
    settings: &Settings,
    listener: &Arc<L>,
) -> Worker<S, C> {
    let reports = report::duties(
        store,
        &context(settings),
        &settings.queueing.rules,
        listener,
    );
    let others = [purges(store, settings), exchanges(store, settings)];
    let duties = reports.into_iter().chain(others);
    duties.fold(worker, Worker::with_duty)
}

/// The size in bytes up to which messages are returned where nobody wants a limit: a report is made in memory.
const NO_LIMIT: u64 = 16 * 1024 * 1024;

/// The contents of reports, and the way they go: that of all mail.
fn context(settings: &Settings) -> Context {
    let relayhost = settings.relayhost.clone();
    let host = settings.myhostname.clone();
    let route = move |address: &Address| {
        let domain = address.domain().map(Nexthop::parse).and_then(Result::ok);
        let nexthop = relayhost.clone().or(domain);
        // An address without a domain is one of this machine.
        let nexthop = nexthop.or_else(|| Nexthop::parse(&host).ok());
        DestinationName::new(Protocol::Smtp, &nexthop.unwrap_or_default())
    };
    let mut context = Context::new(settings.myhostname.clone(), route);
    context.mail_name.clone_from(&settings.queueing.mail_name);
    context.size_limit = match settings.queueing.bounce_size {
        0 => NO_LIMIT,
        limit => limit.into(),
    };
    context
}

/// The maker of reports about TLS, and the way they go.
pub(super) fn reporter(settings: &Settings) -> Reporter {
    let route = context(settings).route;
    let mut reporter = Reporter::new(settings.myhostname.clone(), move |address| route(address));
    let signer = settings.signer.clone();
    reporter.signer = signer.map(|signer| signer as Arc<dyn Signer>);
    reporter
}

fn purges<S: Store>(store: &S, settings: &Settings) -> Duty {
    let store = store.clone();
    let purge = Purge {
        finished: settings.queueing.keep,
        arriving: settings.queueing.arrival,
        limit: LIMIT,
    };
    Duty::new("purge", PURGES, move || {
        let store = store.clone();
        async move {
            let removed = store.run(purge).await?;
            Ok::<_, StoreError>(progress(removed.len() >= LIMIT))
        }
    })
}

fn exchanges<S: Store>(store: &S, settings: &Settings) -> Duty {
    let (store, policy) = (store.clone(), Arc::clone(&settings.policy));
    let exchange = Arc::new(Mutex::new(Exchange::new()));
    Duty::new("exchange", EXCHANGES, move || {
        let (store, policy, exchange) = (store.clone(), Arc::clone(&policy), Arc::clone(&exchange));
        async move {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            exchange.lock().await.run(&store, &policy, now).await?;
            Ok::<_, StoreError>(Progress::Done)
        }
    })
}

const fn progress(more: bool) -> Progress {
    match more {
        true => Progress::More,
        false => Progress::Done,
    }
}
