//! `outpost-queue check` and `migrate`: are the settings right, and does what the store holds fit together?

use std::collections::BTreeSet;

use outpost_queue::{
    model::{Fate, Filter, MessageId, MessageState, TaskId, TaskState, Timestamp},
    operation::{List, Listed, Survey},
    store::Store,
};

use crate::{
    cli::{CheckArgs, MigrateArgs},
    exit::{Exit, Failure},
    manage::counted,
    output::Output,
    place::{Missing, Place},
    settings,
};

/// The number of messages of a transaction.
const PAGE: usize = 200;
/// The findings that are told.
const FINDINGS: usize = 100;

/// Checks settings and store.
pub(crate) async fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let mut output = Output::default();
    if args.parameters {
        for row in settings::ROWS {
            output.line(format_args!("{} = {}", row.name, row.default));
            output.line(format_args!("    {}", row.about));
        }
        return output.finish(Exit::Ok);
    }
    let settings = settings::read_with_key(&args.place.settings)?;
    output.line("settings: all right");
    if let Some(signer) = &settings.signer {
        output.line(format_args!(
            "reports about TLS: signed ({}) with the key whose record is {}",
            signer.algorithm(),
            signer.record_name()
        ));
    }
    let place = Place::of(&args.place)?;
    let store = place.open(Missing::Refuse).await?;
    output.line(format_args!(
        "store: {place}, with the schema of this program"
    ));
    let (messages, findings) = findings(&store).await?;
    for finding in findings.iter().take(FINDINGS) {
        output.line(finding);
    }
    let words = match findings.len() {
        0 => "all right".to_owned(),
        found => counted(found as u64, "finding"),
    };
    output.line(format_args!(
        "{} looked at: {words}",
        counted(messages, "message")
    ));
    output.finish(match findings.is_empty() {
        true => Exit::Ok,
        false => Exit::Software,
    })
}

/// Makes the schema, or brings it up to date: the store does so when it is opened.
pub(crate) async fn migrate(args: &MigrateArgs) -> Result<Exit, Failure> {
    let place = Place::of(&args.place)?;
    place.open(Missing::Make).await?;
    let mut output = Output::default();
    output.line(format_args!("{place}: the schema is that of this program"));
    output.finish(Exit::Ok)
}

/// The number of messages, and what does not fit together about them.
async fn findings(store: &impl Store) -> Result<(u64, Vec<String>), Failure> {
    let (mut messages, mut findings) = (0, Vec::new());
    for state in [None, Some(MessageState::Finished)] {
        let mut filter = Filter::default();
        filter.state = state;
        let mut after = None;
        loop {
            let page = page(store, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.message.id);
            messages += page.len() as u64;
            for listed in &page {
                findings.extend(look_twice(store, listed).await?);
            }
        }
    }
    findings.extend(turns(store).await?);
    Ok((messages, findings))
}

async fn page(
    store: &impl Store,
    filter: &Filter,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<Listed>, Failure> {
    let list = List {
        filter: filter.clone(),
        after,
        limit,
        recipients: true,
    };
    Ok(store.run(list).await?.1)
}

/// The things that are wrong about a message both now and a moment later: between two rows that are read, a worker may
/// have changed others.
async fn look_twice(store: &impl Store, listed: &Listed) -> Result<Vec<String>, Failure> {
    let first = wrongs(listed);
    if first.is_empty() {
        return Ok(first);
    }
    let mut filter = Filter::default();
    filter.state = Some(listed.message.state);
    let after = MessageId(listed.message.id.0.saturating_sub(1));
    let again = page(store, &filter, Some(after), 1).await?;
    let same = again
        .first()
        .filter(|again| again.message.id == listed.message.id);
    let second = same.map(wrongs).unwrap_or_default();
    Ok(first
        .into_iter()
        .filter(|wrong| second.contains(wrong))
        .collect())
}

/// The things that do not fit together about a message.
fn wrongs(listed: &Listed) -> Vec<String> {
    let message = &listed.message;
    let pending = || {
        listed
            .recipients
            .iter()
            .filter(|one| one.fate == Fate::Pending)
    };
    let tasks: BTreeSet<TaskId> = listed.tasks.iter().map(|task| task.id).collect();
    let used: BTreeSet<TaskId> = pending().map(|one| one.task).collect();
    let leased = |task: &&outpost_queue::model::Task| matches!(task.state, TaskState::Leased(_));
    let idle = listed
        .tasks
        .iter()
        .filter(|task| !leased(task) && !used.contains(&task.id));
    let owed = listed.recipients.iter().any(|one| one.owed.is_some());
    let is_finished = message.state == MessageState::Finished;
    let envelope: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_str(&message.envelope);
    let rules = [
        (
            message.unsettled as usize != pending().count(),
            "the number of unsettled recipients is not that of those who wait",
        ),
        (
            used.difference(&tasks).next().is_some(),
            "a recipient waits for a task that is not there",
        ),
        (idle.count() > 0, "a task has no recipient"),
        (
            is_finished && !tasks.is_empty(),
            "it is finished, and has a task",
        ),
        (
            is_finished && (message.finished == Timestamp::NEVER || owed),
            "it is finished, and is not",
        ),
        (
            owed && message.report_at == Timestamp::NEVER,
            "a report is owed that nobody makes",
        ),
        (
            message.state != MessageState::Arriving && envelope.is_err(),
            "its envelope cannot be read",
        ),
        (
            listed.recipients.iter().any(|one| one.outcome().is_err()),
            "a verdict cannot be read",
        ),
    ];
    let wrong = rules.into_iter().filter(|(is_wrong, _)| *is_wrong);
    wrong
        .map(|(_, what)| format!("{}: {what}", message.id))
        .collect()
}

/// Compares the turns that are out with the tasks under way, until they are the same or it is clear that they are not.
async fn turns(store: &impl Store) -> Result<Option<String>, Failure> {
    const LOOKS: usize = 3;
    let mut finding = None;
    for _ in 0..LOOKS {
        let survey = Survey {
            destinations: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
        };
        let state = store.run(survey).await?;
        let running = state
            .loads
            .iter()
            .map(|load| u64::from(load.destination.running));
        let (out, leased) = (running.sum::<u64>(), state.counts.leased);
        if out == leased {
            return Ok(None);
        }
        finding = Some(format!(
            "{out} turns are out, and {leased} tasks are under way"
        ));
    }
    Ok(finding)
}
