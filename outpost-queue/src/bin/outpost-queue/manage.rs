//! `outpost-queue hold`, `release`, `retry`, `cancel`, `purge`: what operators do to messages, page by page.

use std::collections::BTreeMap;

use outpost_queue::{
    model::{Filter, MessageId},
    operation::{Change, List, Manage, Managed, Purge},
    rules::Rules,
    store::Store,
};

use crate::{
    cli::{ManageArgs, PurgeArgs, Wanted},
    exit::{Exit, Failure},
    output::{Output, complain},
    place::{Missing, Place},
    settings::{self, Settings},
    view,
};

/// The number of messages of a transaction.
const PAGE: usize = 200;

/// Changes messages.
pub(crate) async fn run(args: &ManageArgs, change: Change) -> Result<Exit, Failure> {
    let Settings { queueing, .. } = settings::read(&args.place.settings)?;
    let store = Place::of(&args.place)?.open(Missing::Refuse).await?;
    let done = change_all(&store, &args.wanted, change, &queueing.rules).await?;
    let mut output = Output::default();
    output.line(words(change, &done.sum));
    for id in &done.missing {
        complain(format_args!("{id}: there is no such message in the queue"));
    }
    let exit = match (done.missing.is_empty(), done.sum.under_way, change) {
        (false, ..) => Exit::Data,
        (true, 1.., Change::Hold | Change::Cancel) => Exit::Later,
        (true, ..) => Exit::Ok,
    };
    output.finish(exit)
}

/// All that was done.
#[derive(Debug, Default)]
struct Done {
    sum: Sum,
    /// Messages that were named, and are not in the queue.
    missing: Vec<MessageId>,
}

#[derive(Debug, Default)]
struct Sum {
    messages: u64,
    recipients: u64,
    stopped: u64,
    under_way: u64,
}

impl Sum {
    fn add(&mut self, managed: &BTreeMap<MessageId, Managed>) {
        for one in managed.values() {
            self.messages += u64::from(one.changed > 0);
            self.recipients += u64::from(one.recipients);
            self.stopped += u64::from(one.stopped);
            self.under_way += u64::from(one.under_way);
        }
    }
}

async fn change_all(
    store: &impl Store,
    wanted: &Wanted,
    change: Change,
    rules: &Rules,
) -> Result<Done, Failure> {
    let mut done = Done::default();
    if !wanted.ids.is_empty() {
        for ids in wanted.ids.chunks(PAGE) {
            let managed = manage(store, ids.to_vec(), change, rules).await?;
            let missing = ids.iter().filter(|id| !managed.contains_key(id));
            done.missing.extend(missing);
            done.sum.add(&managed);
        }
        return Ok(done);
    }
    let filter = view::filter(store, &wanted.filter).await?;
    let mut after = None;
    loop {
        let ids = page(store, &filter, after).await?;
        let Some(last) = ids.last() else {
            return Ok(done);
        };
        after = Some(*last);
        done.sum.add(&manage(store, ids, change, rules).await?);
    }
}

async fn page(
    store: &impl Store,
    filter: &Filter,
    after: Option<MessageId>,
) -> Result<Vec<MessageId>, Failure> {
    let list = List {
        filter: filter.clone(),
        after,
        limit: PAGE,
        recipients: false,
    };
    let (_, messages) = store.run(list).await?;
    Ok(messages.iter().map(|one| one.message.id).collect())
}

async fn manage(
    store: &impl Store,
    messages: Vec<MessageId>,
    change: Change,
    rules: &Rules,
) -> Result<BTreeMap<MessageId, Managed>, Failure> {
    let rules = rules.clone();
    let operation = Manage {
        messages,
        change,
        rules,
    };
    Ok(store.run(operation).await?)
}

/// The line that says what was done.
fn words(change: Change, sum: &Sum) -> String {
    let done = match change {
        Change::Hold => "held",
        Change::Release => "released",
        Change::Retry => "due now",
        Change::Cancel => "cancelled",
    };
    let mut line = format!("{} {done}", counted(sum.messages, "message"));
    if change == Change::Cancel {
        line += &format!(", {}", counted(sum.recipients, "recipient"));
    }
    if sum.stopped > 0 {
        line += &format!("; {} stopped", counted(sum.stopped, "attempt"));
    }
    if sum.under_way > 0 {
        let attempts = counted(sum.under_way, "attempt");
        line += &match change {
            Change::Hold | Change::Cancel => {
                format!(
                    "; {attempts} in the last step, not stopped: say it again if a recipient is deferred"
                )
            }
            Change::Release | Change::Retry => format!("; {attempts} under way"),
        };
    }
    line
}

/// A number with its noun.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{end}")
}

/// Removes old messages.
pub(crate) async fn purge(args: &PurgeArgs) -> Result<Exit, Failure> {
    let Settings { queueing, .. } = settings::read(&args.place.settings)?;
    let store = Place::of(&args.place)?.open(Missing::Refuse).await?;
    let purge = Purge {
        finished: args.finished.unwrap_or(queueing.keep),
        arriving: args.arriving.unwrap_or(queueing.arrival),
        limit: PAGE,
    };
    let mut removed = 0;
    loop {
        match store.run(purge).await?.len() {
            0 => break,
            more => removed += more as u64,
        }
    }
    let mut output = Output::default();
    output.line(format_args!("{} removed", counted(removed, "message")));
    output.finish(Exit::Ok)
}
