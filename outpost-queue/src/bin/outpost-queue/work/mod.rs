//! `outpost-queue run`: a worker with all that belongs to it: deliveries, reports, cleaning up, and those who listen.

mod duties;
mod ears;
mod post;
mod signals;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use outpost_queue::{
    model::WorkerName,
    operation::Survey,
    shared,
    store::Store,
    tlsrpt::{self, Tally},
    worker::{Listener, Options, Stop, Summary, Worker},
};
use tokio::sync::Mutex;

use crate::{
    cli::RunArgs,
    exit::{Exit, Failure, OrExit},
    output::complain,
    place::{Missing, Place},
    serve::{
        http::{self, Site},
        metrics::{Metrics, Timed},
    },
    settings::{self, Settings},
};
use duties::reporter;
pub(crate) use duties::with_duties;
pub(crate) use ears::Ears;
pub(crate) use post::Post;

/// The pause between two looks whether there is something left to do, with `--drain`.
const LOOK: Duration = Duration::from_millis(200);
/// The looks that have to find nothing: reports are made every five seconds.
const LOOKS: u32 = 30;

/// Works until a signal comes.
pub(crate) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let settings = settings::of_run(args)?;
    let place = Place::of(&args.place)?;
    let socket = match args.listen {
        Some(address) => {
            let socket = http::bind(address).await;
            let what = || format!("cannot listen at {address}");
            Some(socket.with_context(what).or_exit(Exit::System)?)
        }
        None => None,
    };
    let metrics = Metrics::new();
    let ears = Arc::new(Ears::open(args.events.as_deref(), metrics.clone())?);
    let stop = Stop::new();
    signals::listen(&stop).or_exit(Exit::System)?;
    let store = place.open(Missing::Make).await?;
    let store = Timed { store, metrics };
    let options = options(&settings, usize::from(args.slots));
    if let Some(socket) = socket {
        if let Ok(address) = socket.local_addr() {
            complain(format_args!("http://{address}/ has metrics and a page"));
        }
        tokio::spawn(http::serve(socket, site(&store, &place, &options.name)));
    }
    complain(format_args!("delivering what is in {place}"));
    if args.drain {
        tokio::spawn(drain(store.clone(), stop.clone()));
    }
    let summary = work(store, &settings, options, Arc::clone(&ears), stop).await;
    complain(format_args!("stopped: {summary}"));
    Ok(match ears.is_sound() {
        true => Exit::Ok,
        false => Exit::Output,
    })
}

/// The settings of a worker.
pub(crate) fn options(settings: &Settings, slots: usize) -> Options {
    let mut options = Options::default();
    options.slots = slots;
    options.rules = settings.queueing.rules.clone();
    options
}

/// Runs a worker to its end.
pub(crate) async fn work<S: Store>(
    store: S,
    settings: &Settings,
    options: Options,
    listener: Arc<impl Listener>,
    stop: Stop,
) -> Summary {
    shared::join(&store, &settings.policy, &options.name);
    let post = Post::new(Arc::clone(&settings.policy));
    let name = options.name.clone();
    let tally = settings
        .tls_reports
        .then(|| Arc::new(Tally::new(&settings.policy)));
    let ears = (Arc::clone(&listener), tally.clone());
    let worker = Worker::with_listener(store.clone(), post.clone(), options, ears);
    let mut worker = with_duties(worker.with_stop(stop), &store, settings, &listener);
    if let Some(tally) = &tally {
        let reporter = reporter(settings);
        let duties = tlsrpt::duties(&store, tally, post.client(), &reporter, &name, &listener);
        worker = duties.into_iter().fold(worker, Worker::with_duty);
    }
    let summary = worker.run().await;
    post.close().await;
    if let Some(tally) = tally
        && let Err(why) = tally.flush(&store).await
    {
        complain(format_args!(
            "the last results of TLS are not counted: {why}"
        ));
    }
    summary
}

fn site<S: Store>(store: &Timed<S>, place: &Place, worker: &WorkerName) -> Site<Timed<S>> {
    Site {
        store: store.clone(),
        metrics: store.metrics.clone(),
        place: place.to_string(),
        worker: worker.to_string(),
        last: Mutex::default(),
    }
}

/// Stops when nothing is due, and nothing under way, for some looks in a row.
async fn drain<S: Store>(store: S, stop: Stop) {
    let mut idle = 0;
    while idle < LOOKS {
        tokio::time::sleep(LOOK).await;
        // A store that does not answer now is no empty queue.
        let counts = store.run(Survey { destinations: 0 }).await;
        let counts = counts.map(|state| state.counts);
        idle = match counts {
            Ok(counts) if counts.new + counts.due + counts.leased == 0 => idle + 1,
            _ => 0,
        };
    }
    stop.step();
}
