//! `outpost-queue demo`: the way of one message through the queue, with servers inside this program.

mod server;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use outpost::{
    Address, Message, Recipient, ReversePath, Status,
    smtp_policy::{
        Protocol,
        request::{Nexthop, Request},
    },
};
use outpost_queue::{
    model::{DestinationName, Fate, Filter, MessageId, MessageState},
    operation::{Addressee, List, Submission, SubmissionKey, Submit, Submitted, Survey},
    store::Store,
    worker::{Listener, QueueEvent, Stop},
};

use self::server::{Manner, Server};
use crate::{
    cli::{DemoArgs, SettingsArgs},
    exit::{Exit, Failure, OrExit},
    manage::counted,
    output::Output,
    place::{Missing, Place},
    settings::{self, Settings},
    work,
};

const MESSAGE: &[u8] = include_bytes!("message.eml");
const SENDER: &str = "demo@outpost.example";
/// The recipients, how their servers behave, and what is to become of them.
const RECIPIENTS: [(&str, Manner, Fate); 3] = [
    ("alice@open.example", Manner::Open, Fate::Sent),
    ("bob@grey.example", Manner::Grey, Fate::Sent),
    ("nobody@shut.example", Manner::Shut, Fate::Bounced),
];
/// The demonstration needs no parameter file, and nothing of this machine. Nobody waits five minutes for it.
const SETTINGS: [&str; 4] = [
    "myhostname=client.outpost.example",
    "inet_interfaces=127.0.0.1",
    "minimal_backoff_time=2s",
    "maximal_backoff_time=4s",
];
/// The time after which it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Queues a message, shows what becomes of it, and checks that it is what was to become of it.
pub(crate) async fn run(_: &DemoArgs) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().or_exit(Exit::System)?;
    let place = Place::File(folder.path().join("queue.db"));
    let store = place.open(Missing::Make).await?;
    let mut servers = Vec::new();
    for (_, manner, _) in RECIPIENTS {
        servers.push(Server::start(manner).await.or_exit(Exit::System)?);
    }
    let home = Server::start(Manner::Open).await.or_exit(Exit::System)?;
    let mut settings = settings::read(&SettingsArgs {
        main_cf: None,
        set: SETTINGS.map(str::to_owned).to_vec(),
    })?;
    // Where reports to the sender go.
    settings.relayhost = Some(home.nexthop().parse().or_exit(Exit::Software)?);

    let start = Instant::now();
    let mut output = Output::default();
    output.text(
        "A queue in a file of SQLite, and servers inside this program: no network is used.\n\
         One takes mail, one wants to be asked twice, and one knows nobody.\n\n",
    );
    let id = submit(&store, &servers, &settings).await?;
    output.line(format_args!("{:6.1} s  {id}: in the queue, for good", 0.0));
    let output = Arc::new(Mutex::new(output));
    let stop = Stop::new();
    let watch = tokio::spawn(watch(store.clone(), stop.clone()));
    let options = work::options(&settings, 10);
    let voice = Voice {
        output: Arc::clone(&output),
        start,
    };
    work::work(store.clone(), &settings, options, Arc::new(voice), stop).await;
    let ended = watch.await.or_exit(Exit::Software)?;
    let mut output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    let fates = fates(&store, id).await?;
    let reports = home.texts();
    for report in &reports {
        output.text("\nThe sender got this report:\n\n");
        output.text(&excerpt(report));
    }
    let planned = RECIPIENTS.map(|(_, _, fate)| fate);
    let is_planned = ended && fates == planned && reports.len() == 1;
    output.line(
        format_args!(
            "\n{}, {}, in {:.1} s.",
            words(&fates),
            if is_planned {
                "as planned"
            } else {
                "NOT as planned"
            },
            start.elapsed().as_secs_f64()
        )
        .to_string()
        .trim_start(),
    );
    output.finish(if is_planned { Exit::Ok } else { Exit::Software })
}

async fn submit(
    store: &impl Store,
    servers: &[Server],
    settings: &Settings,
) -> Result<MessageId, Failure> {
    let message = Message::exact(MESSAGE);
    let address = |text: &str| Address::parse(text).or_exit(Exit::Software);
    let mut recipients = Vec::new();
    for ((recipient, ..), server) in RECIPIENTS.iter().zip(servers) {
        let nexthop: Nexthop = server.nexthop().parse().or_exit(Exit::Software)?;
        recipients.push(Addressee {
            recipient: Recipient::new(address(recipient)?),
            destination: DestinationName::new(Protocol::Smtp, &nexthop),
        });
    }
    let sender = ReversePath::Mailbox(address(SENDER)?);
    let any = Nexthop::parse("localhost").or_exit(Exit::Software)?;
    let mut request = Request::new(Protocol::Smtp, any, sender, Vec::new());
    message.facts().describe(&mut request);
    let limit = settings.recipient_limit;
    let submission = Submission::of_request(&request, recipients, limit);
    let mut submission = submission.or_exit(Exit::Software)?;
    submission.text = Submitted::Text(MESSAGE.into());
    let submit = Submit {
        key: SubmissionKey::random(),
        submissions: vec![submission],
    };
    let ids = store.run(submit).await?;
    let none = || Failure {
        exit: Exit::Software,
        error: anyhow!("the store has given no queue id"),
    };
    ids.first().copied().ok_or_else(none)
}

/// Stops the worker when nothing is left in the queue. Returns false where that takes too long.
async fn watch<S: Store>(store: S, stop: Stop) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        let state = store.run(Survey { destinations: 0 }).await;
        if state.is_ok_and(|state| state.counts.messages == 0) {
            stop.step();
            return true;
        }
    }
    stop.step();
    false
}

async fn fates(store: &impl Store, id: MessageId) -> Result<Vec<Fate>, Failure> {
    let mut filter = Filter::default();
    filter.state = Some(MessageState::Finished);
    let list = List {
        filter,
        after: Some(MessageId(id.0.saturating_sub(1))),
        limit: 1,
        recipients: true,
    };
    let (_, listed) = store.run(list).await?;
    let recipients = listed.into_iter().flat_map(|listed| listed.recipients);
    Ok(recipients.map(|one| one.fate).collect())
}

fn words(fates: &[Fate]) -> String {
    let count = |wanted| fates.iter().filter(|fate| **fate == wanted).count() as u64;
    format!(
        "{}: {} sent, {} bounced",
        counted(fates.len() as u64, "recipient"),
        count(Fate::Sent),
        count(Fate::Bounced)
    )
}

/// The part of a report that people read.
fn excerpt(report: &str) -> String {
    const LINES: usize = 40;
    let head = report.lines().take_while(|line| !line.is_empty());
    let wanted = |line: &&str| {
        ["From:", "To:", "Subject:"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let head: Vec<&str> = head.filter(wanted).collect();
    let parts = report.split("\n--");
    let part = parts
        .skip(1)
        .find(|part| part.contains("Notification") || part.contains("text/plain"));
    let text = part
        .and_then(|part| part.split_once("\n\n"))
        .map_or("", |(_, text)| text);
    let lines = head.into_iter().chain([""]).chain(text.lines().take(LINES));
    lines.map(|line| format!("    {line}\n")).collect()
}

/// Tells what happens while it happens.
struct Voice {
    output: Arc<Mutex<Output>>,
    start: Instant,
}

impl Listener for Voice {
    fn hear(&self, event: &QueueEvent<'_>) {
        let QueueEvent::Settled { message, verdict } = event else {
            return;
        };
        let outcome = &verdict.outcome;
        let what = match outcome.status {
            Status::Deferred => "deferred, and tried again in two seconds",
            other => other.as_str(),
        };
        let seconds = self.start.elapsed().as_secs_f64();
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.line(format_args!(
            "{seconds:6.1} s  {message}: <{}> {what}: {}",
            verdict.recipient.address, outcome.text
        ));
    }
}
